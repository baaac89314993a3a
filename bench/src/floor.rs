//! Single costs against their targets: what a launch costs at least, what a row costs on its way in and out, what a key
//! that many rows have, what planning costs, how work grows with the tables and shrinks with workers.
//!
//! The server's own clock counts: EXPLAIN (ANALYZE, TIMING OFF), so no client, no formatting, no clock for each row;
//! medians of interleaved runs.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::plan;
use crate::profile;
use crate::queries::{Query, Set};
use crate::report::{json_number, medians, quoted};
use crate::session::Session;

#[derive(Args)]
pub struct Floor {
    /// The psql to run
    #[arg(long, default_value = "psql")]
    psql: PathBuf,
    /// Has TPC-H
    #[arg(long, default_value = "tpch")]
    database: String,
    /// Has TPC-H, too, at a tenth of the scale; without it no growth is measured
    #[arg(long)]
    tenth: Option<String>,
    /// Runs of what takes long; what is short has twenty times as many
    #[arg(long, default_value_t = 5)]
    runs: usize,
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// What rust_core's test `exchange::throughput` printed: bytes per second of a shuffle and of memcpy from one thread to
    /// another, and of both on one thread; of narrow rows, then of wide ones
    #[arg(long, value_delimiter = ',')]
    exchange: Vec<f64>,
    /// Only costs whose name contains one of these, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write the figures as JSON to this file too
    #[arg(long)]
    json: Option<PathBuf>,
}

const NO_INDEXES: &str = "set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off;";

type Part = fn(&Floor) -> io::Result<Vec<Figure>>;

/// How a figure is judged.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Target {
    /// At most so many times the reference.
    AtMost(f64),
    AtLeast(f64),
    /// Shown only.
    None,
}

struct Figure {
    what: String,
    figure: f64,
    reference: f64,
    unit: &'static str,
    target: Target,
    note: String,
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.figure / self.reference
    }

    /// None where there is nothing to judge by.
    fn met(&self) -> Option<bool> {
        if !self.ratio().is_finite() || self.reference <= 0.0 {
            return None;
        }
        match self.target {
            Target::AtMost(most) => Some(self.ratio() <= most),
            Target::AtLeast(least) => Some(self.ratio() >= least),
            Target::None => None,
        }
    }

    fn line(&self) -> String {
        let target = match self.target {
            Target::AtMost(most) => format!("<= {most}"),
            Target::AtLeast(least) => format!(">= {least}"),
            Target::None => String::new(),
        };
        let met = match (self.met(), self.target) {
            (Some(true), _) => "met",
            (Some(false), _) => "NOT MET",
            (None, Target::None) => "",
            (None, _) => "unclear",
        };
        format!(
            "{:<34}{:>12.3}{:>12.3} {:<7}{:>7.2}  {target:<8}{met:<9}{}",
            self.what,
            self.figure,
            self.reference,
            self.unit,
            self.ratio(),
            self.note
        )
    }
}

/// One server's session with JoinScan on or off, and so many workers.
struct Side {
    session: Session,
}

/// What an execution said of itself.
struct Execution {
    ms: f64,
    workers: u32,
    joinscan: bool,
}

impl Side {
    fn open(floor: &Floor, database: &str, joinscan: bool, workers: u32) -> io::Result<Side> {
        let settings = [
            format!("set joinscan.enabled = {};", if joinscan { "on" } else { "off" }),
            "set joinscan.min_cost = 0;".into(),
            format!("set max_parallel_workers_per_gather = {workers};"),
            "set jit = off;".into(),
        ];
        Ok(Side { session: Session::open(&floor.psql, database, &settings)? })
    }

    fn explain(&mut self, options: &str, sql: &str) -> io::Result<Vec<String>> {
        self.session.ask(&format!("explain ({options}) {sql};"))
    }

    fn execute(&mut self, sql: &str) -> io::Result<Execution> {
        let lines = self.explain("analyze, timing off, costs off, summary on", sql)?;
        let ms = plan::execution_time(&lines).ok_or_else(|| io::Error::other("EXPLAIN printed no time"))?;
        let joinscan = plan::besides_joinscan(&lines).is_some();
        Ok(Execution { ms, workers: plan::workers_launched(&lines), joinscan })
    }
}

pub fn run(floor: &Floor) -> io::Result<bool> {
    let mut figures = Vec::new();
    println!(
        "{:<34}{:>12}{:>12} {:<7}{:>7}  {:<8}{:<9}note",
        "cost", "JoinScan", "reference", "unit", "ratio", "target", "is"
    );
    let parts: [(&str, Part); 7] = [
        ("launch", launch),
        ("emit", emit),
        ("exchange", exchange),
        ("skew", skew),
        ("scan", scan),
        ("planning", planning),
        ("scaling", scaling),
    ];
    for (name, part) in parts {
        if !floor.only.is_empty() && !floor.only.iter().any(|only| name.contains(only.as_str())) {
            continue;
        }
        for figure in part(floor)? {
            println!("{}", figure.line());
            figures.push(figure);
        }
    }
    let missed = figures.iter().filter(|figure| figure.met() == Some(false)).count();
    let judged = figures.iter().filter(|figure| figure.met().is_some()).count();
    println!("{} of {judged} targets met", judged - missed);
    if let Some(path) = &floor.json {
        std::fs::write(path, json(&figures))?;
        println!("written to {}", path.display());
    }
    Ok(true) // a target missed is a measurement, no failure
}

const DROP: &str = "drop schema if exists joinscan_bench cascade;";

/// The session that has made the schema joinscan_bench, with what `statements` make in it, and is to `DROP` it.
fn with_tables(floor: &Floor, statements: &str) -> io::Result<Side> {
    let mut owner = Side::open(floor, &floor.database, false, 0)?;
    owner.session.ask(&format!("set client_min_messages = warning; {DROP}"))?;
    owner.session.ask(&format!("create schema joinscan_bench; {statements}"))?;
    Ok(owner)
}

/// An empty join of two small tables: what is left is the begin, the workers' start and the end.
fn launch(floor: &Floor) -> io::Result<Vec<Figure>> {
    const JOIN: &str = "select a.v, b.v from joinscan_bench.a join joinscan_bench.b using (k)";
    let mut owner = with_tables(floor, &format!(
        "create table joinscan_bench.a with (parallel_workers = {0}) as select i as k, i as v from generate_series(1, 1000) i;
         create table joinscan_bench.b with (parallel_workers = {0}) as select -i as k, i as v from generate_series(1, 1000) i;
         analyze joinscan_bench.a; analyze joinscan_bench.b;",
        floor.workers
    ))?;
    let mut figures = Vec::new();
    for workers in 0..=floor.workers {
        let mut sides =
            [Side::open(floor, &floor.database, true, workers)?, Side::open(floor, &floor.database, false, workers)?];
        for side in &mut sides {
            side.session.ask(
                "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;",
            )?;
        }
        let mut note = String::new();
        let [with, without] = medians(20 * floor.runs, || {
            let (with, without) = (sides[0].execute(JOIN)?, sides[1].execute(JOIN)?);
            if !with.joinscan {
                note = "JoinScan stays out".into();
            } else if (with.workers, without.workers) != (workers, workers) {
                note = format!("launched: JoinScan {}, PostgreSQL {}", with.workers, without.workers);
            }
            Ok([with.ms, without.ms])
        })?;
        figures.push(Figure {
            what: format!("launch, {workers} workers"),
            figure: with,
            reference: without,
            unit: "ms",
            target: if workers > 0 { Target::AtMost(1.5) } else { Target::None },
            note,
        });
    }
    owner.session.ask(DROP)?;
    Ok(figures)
}

/// What columns cost a row that a join gives: the join with these columns, less the same join that only counts them (into
/// the slot), or less the same join without any (from the table's page into the slot). For PostgreSQL, whose slot holds
/// the row as it lies in the page, the two are one. The leader alone, so that no exchange is in it, and the same plan for
/// all: a hash join of scans.
fn emit(floor: &Floor) -> io::Result<Vec<Figure>> {
    const FROM: &str = "from orders join customer on o_custkey = c_custkey";
    const COLUMNS: [(&str, [&str; 4]); 3] = [
        ("integers", ["o_orderkey", "o_custkey", "c_nationkey", "o_shippriority"]),
        ("dates and numerics", ["o_orderkey", "o_orderdate", "o_totalprice", "c_acctbal"]),
        ("texts", ["o_orderpriority", "o_comment", "c_name", "c_address"]),
    ];
    let mut sides = [Side::open(floor, &floor.database, true, 0)?, Side::open(floor, &floor.database, false, 0)?];
    for side in &mut sides {
        side.session.ask(NO_INDEXES)?;
        side.session.ask("set enable_mergejoin = off; set enable_nestloop = off; set work_mem = '1GB';")?;
    }
    let rows: f64 = sides[1].session.ask_number("select count(*) from orders;")?;
    let mut figures = Vec::new();
    for (name, columns) in COLUMNS {
        let whole = format!("select {} {FROM}", columns.join(", "));
        let without = format!("select {FROM}");
        let counted = format!("select count({}) {FROM}", columns.join("), count("));
        let mut stays_out = false;
        let [with, with_none, with_counted, pg, pg_none] = medians(floor.runs, || {
            let (joinscan, postgres) = sides.split_at_mut(1);
            let mut taken = |sql: &str| -> io::Result<f64> {
                let execution = joinscan[0].execute(sql)?;
                stays_out |= !execution.joinscan;
                Ok(execution.ms)
            };
            Ok([
                taken(&whole)?,
                taken(&without)?,
                taken(&counted)?,
                postgres[0].execute(&whole)?.ms,
                postgres[0].execute(&without)?.ms,
            ])
        })?;
        let per_row = |ms: f64| ms * 1e6 / rows;
        let figure = |what: &str, ms: f64, target| Figure {
            what: format!("{what}, {name}"),
            figure: per_row(ms),
            reference: per_row(pg - pg_none),
            unit: "ns/row",
            target,
            note: match stays_out {
                true => "JoinScan stays out".into(),
                false => format!("the whole join {:.0}, PostgreSQL's {:.0}", per_row(with), per_row(pg)),
            },
        };
        figures.push(figure("emit", with - with_counted, Target::AtMost(1.5)));
        figures.push(figure("page to slot", with - with_none, Target::None));
    }
    Ok(figures)
}

fn exchange(floor: &Floor) -> io::Result<Vec<Figure>> {
    let figure = |what: String, rate: f64, reference: f64, target, note: &str| Figure {
        what,
        figure: rate / 1e9,
        reference: reference / 1e9,
        unit: "GB/s",
        target,
        note: format!("partition, encode, copy in, copy out, decode; against memcpy in and out; {note}"),
    };
    let mut figures = Vec::new();
    for (rates, rows) in floor.exchange.chunks_exact(4).zip(["narrow", "wide"]) {
        let what = format!("exchange, {rows} rows");
        figures.push(figure(what.clone(), rates[0], rates[1], Target::AtLeast(0.5), "from thread to thread"));
        figures.push(figure(format!("{what}, one thread"), rates[2], rates[3], Target::None, "both sides in turns"));
    }
    Ok(figures)
}

/// The same join of two large tables where half of one's rows have one key, and where each key has as many rows as any
/// other: as many pairs in both. With workers, whose shares the key could make uneven, and too little memory for copies
/// of the other table in each.
fn skew(floor: &Floor) -> io::Result<Vec<Figure>> {
    let mut owner = with_tables(floor,
        "create table joinscan_bench.keys as select i as k, i as v, repeat('x', 60) as pad from generate_series(1, 500000) i;
         create table joinscan_bench.even as
             select i % 500000 + 1 as k, i as v, repeat('x', 60) as pad from generate_series(1, 2000000) i;
         create table joinscan_bench.skewed as
             select case when i % 2 = 0 then 7 else i % 500000 + 1 end as k, i as v, repeat('x', 60) as pad
             from generate_series(1, 2000000) i;
         vacuum analyze joinscan_bench.keys, joinscan_bench.even, joinscan_bench.skewed;",
    )?;
    let mut side = Side::open(floor, &floor.database, true, floor.workers)?;
    side.session.ask("set work_mem = '16MB';")?;
    let join = |table: &str| {
        format!(
            "select count(*), sum(f.v), sum(keys.v), max(f.pad), max(keys.pad)
             from joinscan_bench.{table} f join joinscan_bench.keys using (k)"
        )
    };
    let lines = side.explain("verbose, costs off", &join("skewed"))?;
    let note = match lines.iter().find_map(|line| line.trim().strip_prefix("Common Keys")) {
        Some(common) => format!("against none on more than four; common keys{common}"),
        None => "against none on more than four; no key is set apart".into(),
    };
    let [skewed, even] =
        medians(floor.runs, || Ok([side.execute(&join("skewed"))?.ms, side.execute(&join("even"))?.ms]))?;
    owner.session.ask(DROP)?;
    Ok(vec![Figure {
        what: "skew, half of the rows on one key".into(),
        figure: skewed,
        reference: even,
        unit: "ms",
        target: Target::AtMost(1.5),
        note,
    }])
}

/// Own time of the heap scan of one execution, ns a row that it sees.
fn scan_time(side: &mut Side, sql: &str) -> io::Result<f64> {
    let lines = side.explain("analyze, verbose, costs off", sql)?;
    let operators = profile::operators(&lines);
    let scan = operators.iter().find(|operator| operator.name.starts_with("Heap Scan"));
    let scan = scan.ok_or_else(|| io::Error::other(format!("JoinScan scans nothing: {}", lines.join("\n"))))?;
    Ok(scan.own * 1e6 / scan.rows.max(1) as f64)
}

/// The columns of TPC-H 3's lineitem against a walk over the same pages for visibility alone, one participant. Once over
/// the table as it is, whose pages all are known to be visible, so that the walk looks at no tuple; and once over a copy
/// that was never vacuumed, where it looks at each.
fn scan(floor: &Floor) -> io::Result<Vec<Figure>> {
    let mut owner = with_tables(
        floor,
        "create table joinscan_bench.lineitem with (autovacuum_enabled = off) as select * from lineitem;
         analyze joinscan_bench.lineitem;",
    )?;
    let mut figures = scan_of(floor, "lineitem", "pages all visible")?;
    figures.extend(scan_of(floor, "joinscan_bench.lineitem", "tuples looked at")?);
    owner.session.ask(DROP)?;
    Ok(figures)
}

fn scan_of(floor: &Floor, table: &str, pages: &str) -> io::Result<Vec<Figure>> {
    let whole = format!("select max(l_orderkey), max(l_extendedprice), max(l_discount), max(l_shipdate) from {table}");
    let filtered = format!(
        "select max(l_orderkey), max(l_extendedprice), max(l_discount) from {table} where l_shipdate > date '1995-03-15'"
    );
    let bare = format!("select count(*) from {table}");
    let mut with = Side::open(floor, &floor.database, true, 0)?;
    let mut without = Side::open(floor, &floor.database, false, 0)?;
    without.session.ask(NO_INDEXES)?;
    with.session.ask(NO_INDEXES)?;
    let rows = without.session.ask_number(&format!("{bare};"))?;
    let [whole, filtered, own_walk, count] = medians(floor.runs, || {
        Ok([
            scan_time(&mut with, &whole)?,
            scan_time(&mut with, &filtered)?,
            scan_time(&mut with, &bare)?,
            without.execute(&bare)?.ms * 1e6 / rows,
        ])
    })?;
    let walk = own_walk.min(count);
    let figure = |what: &str, figure, target, note: &str| Figure {
        what: what.into(),
        figure,
        reference: walk,
        unit: "ns/row",
        target,
        note: format!("{note}; {pages}"),
    };
    Ok(vec![
        figure("scan, the 4 columns of TPC-H 3", whole, Target::AtMost(2.0), "of every row"),
        figure("scan, with its condition", filtered, Target::AtMost(2.0), "the other columns of rows that meet it"),
        figure(
            "scan, no column",
            own_walk,
            Target::None,
            &format!("the reference is the lower of this and PostgreSQL's serial count(*), {count:.1} ns/row"),
        ),
    ])
}

/// Ten tables, all joined by keys.
fn planning(floor: &Floor) -> io::Result<Vec<Figure>> {
    const TEN: &str = "select count(*) from lineitem, orders, customer, nation cn, region cr, part, partsupp, supplier, nation sn, \
                       region sr where l_orderkey = o_orderkey and o_custkey = c_custkey and c_nationkey = cn.n_nationkey and \
                       cn.n_regionkey = cr.r_regionkey and l_partkey = ps_partkey and l_suppkey = ps_suppkey and \
                       ps_partkey = p_partkey and ps_suppkey = s_suppkey and s_nationkey = sn.n_nationkey and \
                       sn.n_regionkey = sr.r_regionkey and cr.r_name = 'ASIA' and sr.r_name = 'EUROPE' and p_size < 10";
    let mut with = Side::open(floor, &floor.database, true, floor.workers)?;
    let mut without = Side::open(floor, &floor.database, false, floor.workers)?;
    with.session.ask("reset joinscan.min_cost;")?;
    let plan = |side: &mut Side| -> io::Result<f64> {
        let lines = side.explain("summary on, costs off", TEN)?;
        plan::planning_time(&lines).ok_or_else(|| io::Error::other("EXPLAIN printed no time"))
    };
    let [with, without] = medians(20 * floor.runs, || Ok([plan(&mut with)?, plan(&mut without)?]))?;
    Ok(vec![Figure {
        what: "planning, a join of 10 tables".into(),
        figure: with,
        reference: without,
        unit: "ms",
        target: Target::AtMost(1.05),
        note: "JoinScan on and off".into(),
    }])
}

/// The same joins with more workers, and over ten times as many rows.
fn scaling(floor: &Floor) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let names = ["count", "priorities", "shipping"];
    let queries: Vec<&Query> = Set::Micro.queries().filter(|query| names.contains(&query.name)).collect();
    for query in queries {
        let sql = query.sql(1.0);
        let mut alone = f64::NAN;
        for workers in 0..=floor.workers {
            let mut side = Side::open(floor, &floor.database, true, workers)?;
            let mut note = String::new();
            let [ms] = medians(floor.runs, || {
                let execution = side.execute(&sql)?;
                note = match execution.joinscan {
                    false => "JoinScan stays out".into(),
                    true => format!("{} launched", execution.workers),
                };
                Ok([execution.ms])
            })?;
            if workers == 0 {
                alone = ms;
            }
            figures.push(Figure {
                what: format!("scaling, {}, {workers} workers", query.name),
                figure: ms,
                reference: alone,
                unit: "ms",
                target: Target::None,
                note: format!("{:.2} times as fast as alone; {note}", alone / ms),
            });
        }
        let Some(tenth) = &floor.tenth else { continue };
        for workers in [0, floor.workers] {
            let mut sides =
                [Side::open(floor, &floor.database, true, workers)?, Side::open(floor, tenth, true, workers)?];
            let [large, small] = medians(floor.runs, || Ok([sides[0].execute(&sql)?.ms, sides[1].execute(&sql)?.ms]))?;
            figures.push(Figure {
                what: format!("growth, {}, {workers} workers", query.name),
                figure: large,
                reference: small,
                unit: "ms",
                target: Target::AtMost(11.0),
                note: "ten times the rows".into(),
            });
        }
    }
    Ok(figures)
}

fn json(figures: &[Figure]) -> String {
    let mut out = String::from("{\"figures\": [\n");
    for (i, figure) in figures.iter().enumerate() {
        let or_null = |number: f64| json_number(number, 4);
        let met = figure.met().map_or("null".into(), |met| met.to_string());
        let _ = writeln!(
            out,
            "  {{\"what\": {}, \"figure\": {}, \"reference\": {}, \"unit\": {}, \"ratio\": {}, \"met\": {met}, \"note\": {}}}{}",
            quoted(&figure.what),
            or_null(figure.figure),
            or_null(figure.reference),
            quoted(figure.unit),
            or_null(figure.ratio()),
            quoted(&figure.note),
            if i + 1 < figures.len() { "," } else { "" }
        );
    }
    out + "]}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(figure: f64, reference: f64, target: Target) -> Figure {
        Figure { what: "x".into(), figure, reference, unit: "ms", target, note: String::new() }
    }

    #[test]
    fn a_target_is_a_ratio() {
        assert_eq!(figure(3.0, 2.0, Target::AtMost(1.5)).met(), Some(true));
        assert_eq!(figure(3.1, 2.0, Target::AtMost(1.5)).met(), Some(false));
        assert_eq!(figure(1.0, 2.0, Target::AtLeast(0.5)).met(), Some(true));
        assert_eq!(figure(0.9, 2.0, Target::AtLeast(0.5)).met(), Some(false));
        assert_eq!(figure(1.0, 2.0, Target::None).met(), None);
        // A difference of two noisy times may come out below nothing.
        assert_eq!(figure(1.0, -2.0, Target::AtMost(1.5)).met(), None);
        assert!(figure(1.0, -2.0, Target::AtMost(1.5)).line().contains("unclear"));
    }

    #[test]
    fn json_has_no_nan() {
        let text = json(&[figure(1.0, f64::NAN, Target::None)]);
        assert!(text.contains("\"reference\": null") && text.contains("\"ratio\": null"), "{text}");
    }
}
