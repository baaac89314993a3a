//! `joinscan-bench fuzz`: random join queries with JoinScan off and on, compared by joinscan.verify, some of them again
//! as prepared statements and through cursors.
//!
//! Query i of a seed is always the same: `--seed S --first i --queries 1` runs it alone. What differs is an error of
//! JoinScan, unless PostgreSQL's own plans give different outcomes, too: which of two equal values stands for a group,
//! or whether a division by zero is reached at all, is not settled by SQL. That is counted as excused; and so, by
//! itself, is an error of one side alone that one of the query's own conditions raises, evaluated by itself (order.rs).

mod ast;
mod expressions;
mod forms;
mod generate;
mod order;
mod outputs;
mod reduce;
mod relations;
mod rng;
mod server;
mod tally;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use crate::plan;
use ast::{Expr, Select, Ty};
use rng::Rng;
use server::{Server, Verdict};
use tally::Tally;

#[derive(Args)]
pub struct Fuzz {
    /// The psql to run
    #[arg(long, default_value = "psql")]
    psql: PathBuf,
    /// Decides the queries
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stops after so long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Stops after so many queries
    #[arg(long, default_value_t = u64::MAX)]
    queries: u64,
    /// The number of the first query
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// A query for whose hash tables work_mem is not enough (53200) is a mismatch, too
    #[arg(long)]
    strict: bool,
    /// Prints each query
    #[arg(long)]
    verbose: bool,
}

/// Queries that PostgreSQL reckons dearer than this are left out: they would take the time of many.
const MAX_COST: f64 = 1_200.0;
const TIMEOUT_MS: u64 = 2_000;
const REDUCE: Duration = Duration::from_secs(30);

/// Why PostgreSQL's plan cannot take over, where that cannot be helped.
const NO_FALLBACK: &[&str] =
    &["rows have been returned", "functions are volatile", "the plan of a subquery cannot be run twice"];

struct Run {
    server: Server,
    tally: Tally,
    verbose: bool,
    strict: bool,
}

/// How a query is sent besides joinscan.verify.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Verify,
    /// As it is, for the order of its rows, which joinscan.verify does not look at.
    Plain,
    Prepared,
    Cursor,
    /// Where costs decide, and PostgreSQL's joins cost more than anything: JoinScan is offered what it is by default, all
    /// tables or parts of PostgreSQL's plan, and not wherever there is a tree.
    ByCost,
}

struct Case {
    query: Select,
    settings: Vec<String>,
    way: Way,
}

struct Mismatch {
    lost: bool,
    lines: Vec<String>,
}

/// False when there was a mismatch.
pub fn run(args: &Fuzz) -> io::Result<bool> {
    let mut run = Run {
        server: Server::new(&args.psql, TIMEOUT_MS),
        tally: Tally::default(),
        verbose: args.verbose,
        strict: args.strict,
    };
    load(args)?;
    println!("seed {}", args.seed);
    let start = Instant::now();
    let until = start + Duration::from_secs(args.seconds);
    let mut said = start;
    let mut index = args.first;
    while index - args.first < args.queries && Instant::now() < until {
        run.one(args.seed, index)?;
        index += 1;
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            println!("{:4} s: {}", start.elapsed().as_secs(), run.tally.line());
        }
    }
    run.tally.report(start.elapsed());
    Ok(run.tally.mismatches == 0)
}

/// The tables, made anew in a session of its own, which has no temporary table of the same name.
fn load(args: &Fuzz) -> io::Result<()> {
    use std::io::Write;
    let mut psql = std::process::Command::new(&args.psql)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = psql.stdin.take() {
        writeln!(stdin, "set client_min_messages = warning;\ncreate extension if not exists pg_joinscan;")?;
        stdin.write_all(include_bytes!("schema.sql"))?;
    }
    if psql.wait()?.success() { Ok(()) } else { Err(io::Error::other("the tables could not be made")) }
}

fn settings(rng: &mut Rng) -> Vec<String> {
    let mut settings: Vec<String> = Vec::new();
    if rng.percent(50) {
        settings.push("max_parallel_workers_per_gather = 2".into());
        settings.push("parallel_setup_cost = 0".into());
        settings.push("parallel_tuple_cost = 0".into());
        settings.push("min_parallel_table_scan_size = 0".into());
        if rng.percent(60) {
            // Shuffles, where tables as small as these would be broadcast.
            settings.push("cpu_tuple_cost = 0.002".into());
        }
    } else {
        settings.push("max_parallel_workers_per_gather = 0".into());
    }
    match rng.below(10) {
        0 => settings.push("work_mem = '64kB'".into()),
        1 | 2 => settings.push("work_mem = '1MB'".into()),
        _ => {}
    }
    if rng.percent(15) {
        settings.push(format!("{} = off", rng.pick(PLANS)));
    }
    for (chance, setting) in [
        (8, "join_collapse_limit = 1"),
        (5, "geqo_threshold = 2"),
        (12, "enable_partitionwise_join = on"),
        (5, "enable_partitionwise_aggregate = on"),
        (5, "joinscan.queue_size = 16"),
    ] {
        if rng.percent(chance) {
            settings.push(setting.into());
        }
    }
    settings
}

const PLANS: &[&str] = &[
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_hashagg",
    "enable_sort",
    "enable_seqscan",
    "enable_material",
    "enable_memoize",
];

impl Run {
    fn one(&mut self, seed: u64, index: u64) -> io::Result<()> {
        let mut rng = Rng::new(seed, index);
        let query = generate::query(&mut rng);
        let mut case = Case { query, settings: settings(&mut rng), way: Way::Verify };
        let sql = case.query.sql();
        if self.verbose {
            println!("-- {index}\n{}{sql};", statements(&case.settings));
        }
        match self.server.cost(&sql)? {
            Some(cost) if cost > MAX_COST => {
                self.tally.skipped += 1;
                return Ok(());
            }
            _ => {}
        }
        let (verdict, verified) = self.server.verify(&sql, &case.settings)?;
        self.tally.count(&verdict, &verified);
        let lines = self.server.plan(&sql, &case.settings)?;
        self.tally.count_plan(case.query.groups(), plan::besides_joinscan(&lines).as_ref());
        let runs = matches!(verdict, Verdict::Equal { error: None });
        let mut mismatch = self.judge(&case, verdict)?;
        if runs && mismatch.is_none() {
            let plain = if case.query.order.is_some() { 50 } else { 0 };
            case.way = rng.weighted(&[
                (60 - plain, Way::Verify),
                (plain, Way::Plain),
                (10, Way::Prepared),
                (10, Way::Cursor),
                (20, Way::ByCost),
            ]);
            mismatch = self.otherwise(&case)?;
        }
        if let Some(mismatch) = mismatch {
            self.report(seed, index, case, mismatch)?;
        }
        Ok(())
    }

    /// What is wrong, if anything is.
    fn judge(&mut self, case: &Case, verdict: Verdict) -> io::Result<Option<Mismatch>> {
        Ok(match verdict {
            Verdict::Equal { .. } | Verdict::Invalid(_) => None,
            Verdict::Different { off_error, on_error, lines } => {
                let statements = format!("set joinscan.min_cost = 0;\n{};", case.query.sql());
                let known = self.beyond_memory(case, &statements, &off_error, &on_error)?
                    || self.excused(case, &off_error, &on_error)?;
                (!known).then_some(Mismatch { lost: false, lines })
            }
            Verdict::Timeout => self.slow(case)?.then(|| Mismatch {
                lost: false,
                lines: vec![format!("no end within {TIMEOUT_MS} ms with JoinScan, but without it")],
            }),
            Verdict::Broken(lines) => Some(Mismatch { lost: false, lines }),
            Verdict::Lost(lines) => Some(Mismatch { lost: true, lines }),
        })
    }

    /// Is PostgreSQL at least ten times as fast as the time that was not enough for JoinScan, even where costs decide
    /// about its use, and it is used? joinscan.verify takes it at any cost: then a subquery for each row is dear. So is a
    /// kind of plan that is switched off, for PostgreSQL alone.
    fn slow(&mut self, case: &Case) -> io::Result<bool> {
        let count = format!("select count(*) from ({}) x;", case.query.sql());
        let is_switch = |setting: &String| setting.starts_with("enable_") && setting.ends_with("= off");
        let settings: Vec<String> = case.settings.iter().filter(|setting| !is_switch(setting)).cloned().collect();
        let start = Instant::now();
        let off = self.server.outcome(&settings, &format!("set joinscan.enabled = off;\n{count}"))?;
        if off.is_err() || start.elapsed() > Duration::from_millis(TIMEOUT_MS / 10) {
            return Ok(false);
        }
        let lines = self.server.outcome(&settings, &format!("explain (costs off) {count}"))?.unwrap_or_default();
        if plan::besides_joinscan(&lines).is_none() {
            return Ok(false);
        }
        Ok(self.server.outcome(&settings, &count)?.is_err_and(|state| state == "57014" || state == "lost"))
    }

    /// The same query by itself, as a prepared statement with a generic plan, or through a cursor.
    fn otherwise(&mut self, case: &Case) -> io::Result<Option<Mismatch>> {
        let statements = match case.way {
            Way::Verify => return Ok(None),
            Way::Plain | Way::ByCost => format!("{};", case.query.sql()),
            Way::Prepared => prepared(&case.query),
            Way::Cursor => format!(
                "begin; declare c cursor for {};\nfetch 3 from c; fetch 7 from c; fetch all from c; close c; commit;",
                case.query.sql()
            ),
        };
        let with = match case.way {
            Way::ByCost => {
                "set joinscan.min_cost = 1; set enable_hashjoin = off; set enable_mergejoin = off; set enable_nestloop = off;"
            }
            _ => "set joinscan.min_cost = 0;",
        };
        let engine = |on: bool| format!("{}\n{statements}", if on { with } else { "set joinscan.enabled = off;" });
        let mut off = self.server.outcome(&case.settings, &engine(false))?;
        let mut on = self.server.outcome(&case.settings, &engine(true))?;
        for rows in [&mut off, &mut on].into_iter().flatten() {
            determined(&case.query, rows);
        }
        self.server.ask("rollback; deallocate all;")?;
        self.tally.otherwise += 1;
        if off == on {
            return Ok(None);
        }
        let lost = on.as_ref().is_err_and(|state| state == "lost");
        let timeout = |outcome: &Result<_, String>| outcome.as_ref().is_err_and(|state| state == "57014");
        if timeout(&off) || timeout(&on) {
            return Ok(None);
        }
        let (off_error, on_error) = (off.as_ref().err().cloned(), on.as_ref().err().cloned());
        if self.beyond_memory(case, &engine(true), &off_error, &on_error)? {
            return Ok(None);
        }
        if !lost && self.excused(case, &off_error, &on_error)? {
            return Ok(None);
        }
        let lines = vec![format!("{:?}:", case.way), format!("off: {off:.300?}"), format!("on:  {on:.300?}")];
        Ok(Some(Mismatch { lost, lines }))
    }

    /// JoinScan's hash tables do not spill: where an estimate was too low, PostgreSQL's plan takes over, unless rows have
    /// been returned, or there is no such plan for a reason that is known. Counted by the reason.
    fn beyond_memory(
        &mut self,
        case: &Case,
        sent: &str,
        off: &Option<String>,
        on: &Option<String>,
    ) -> io::Result<bool> {
        if self.strict || off.is_some() || on.as_deref() != Some("53200") {
            return Ok(false);
        }
        let Some(reason) = self.server.no_fallback(&case.settings, sent)? else { return Ok(false) };
        if !NO_FALLBACK.contains(&reason.as_str()) {
            return Ok(false);
        }
        let count = self.tally.beyond_memory.entry(reason.clone()).or_default();
        *count += 1;
        if *count == 1 {
            println!(
                "out of memory with JoinScan alone ({reason}), as for:\n{}{};",
                statements(&case.settings),
                case.query.sql()
            );
        }
        Ok(true)
    }

    /// Is what differs nothing that SQL settles? Counted if so.
    fn excused(&mut self, case: &Case, off: &Option<String>, on: &Option<String>) -> io::Result<bool> {
        if self.by_order(case, off, on)? {
            self.tally.by_order += 1;
            return Ok(true);
        }
        let by_plans = self.by_other_plans(case, off, on)?;
        self.tally.excused += u64::from(by_plans);
        Ok(by_plans)
    }

    /// Can the error that one side alone raised be met in another order of evaluation (order.rs)? Where each raised
    /// another one, it was the order of the rows.
    fn by_order(&mut self, case: &Case, off: &Option<String>, on: &Option<String>) -> io::Result<bool> {
        let raised: Vec<&String> = off.iter().chain(on).collect();
        if raised.is_empty() || !raised.iter().all(|state| order::depends_on_values(state)) {
            return Ok(false);
        }
        let [wanted] = raised[..] else { return Ok(true) };
        let wanted = Err(wanted.clone());
        let settings = ["statement_timeout = 300".to_string()];
        for query in order::alone(&case.query) {
            if self.server.outcome(&settings, &format!("set joinscan.enabled = off;\n{query};"))? == wanted
                && self.server.outcome(&settings, &format!("set joinscan.min_cost = 0;\n{query};"))? == wanted
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does PostgreSQL alone, under other plans, come to what differs?
    fn by_other_plans(&mut self, case: &Case, off: &Option<String>, on: &Option<String>) -> io::Result<bool> {
        let digest = format!(
            "select count(*) || ' ' || coalesce(sum(hashtextextended(x::text, 0)), 0) from ({}) x;",
            case.query.sql()
        );
        let mut plans: Vec<String> = vec![String::new()];
        plans.extend(PLANS.iter().map(|plan| format!("set {plan} = off;")));
        plans.push("set enable_hashjoin = off; set enable_mergejoin = off;".into());
        plans.push("set enable_hashjoin = off; set enable_nestloop = off;".into());
        plans.push("set enable_mergejoin = off; set enable_nestloop = off;".into());
        plans.push("set join_collapse_limit = 1; set from_collapse_limit = 1;".into());
        plans.push("set max_parallel_workers_per_gather = 0;".into());
        let mut seen: Option<Vec<String>> = None;
        for plan in plans {
            let statements = format!("set joinscan.enabled = off; {plan}\n{digest}");
            let outcome = self.server.outcome(&case.settings, &statements)?;
            match (on, off, outcome) {
                (Some(on), _, Err(state)) if state == *on => return Ok(true),
                (None, Some(_), Ok(_)) => return Ok(true),
                (None, None, Ok(rows)) => match &seen {
                    Some(seen) if *seen != rows => return Ok(true),
                    _ => seen = Some(rows),
                },
                _ => {}
            }
        }
        Ok(false)
    }

    fn fails(&mut self, case: &Case, lost: bool) -> io::Result<bool> {
        if case.way != Way::Verify {
            return Ok(self.otherwise(case)?.is_some_and(|mismatch| mismatch.lost == lost));
        }
        let (verdict, _) = self.server.verify(&case.query.sql(), &case.settings)?;
        if lost != matches!(verdict, Verdict::Lost(_)) {
            return Ok(false);
        }
        Ok(self.judge(case, verdict)?.is_some())
    }

    fn report(&mut self, seed: u64, index: u64, case: Case, mismatch: Mismatch) -> io::Result<()> {
        self.tally.mismatches += 1;
        println!("\nMISMATCH: --seed {seed} --first {index} --queries 1 ({:?})", case.way);
        println!("{}{}", statements(&case.settings), case.query.sql());
        mismatch.lines.iter().for_each(|line| println!("    {line}"));
        if self.tally.mismatches > 5 {
            return Ok(()); // five are enough to look at; the seed gives the others
        }
        let counts = (self.tally.excused, self.tally.by_order, self.tally.beyond_memory.clone(), self.tally.otherwise);
        let reduced = self.reduce(case, mismatch.lost)?;
        println!("reduced:\n{}{};", statements(&reduced.settings), reduced.query.sql());
        let (verdict, _) = self.server.verify(&reduced.query.sql(), &reduced.settings)?;
        if let Verdict::Different { lines, .. } | Verdict::Broken(lines) | Verdict::Lost(lines) = verdict {
            lines.iter().for_each(|line| println!("    {line}"));
        }
        println!();
        (self.tally.excused, self.tally.by_order, self.tally.beyond_memory, self.tally.otherwise) = counts;
        Ok(())
    }

    /// Takes things out for as long as it still fails.
    fn reduce(&mut self, mut case: Case, lost: bool) -> io::Result<Case> {
        let until = Instant::now() + REDUCE;
        'smaller: loop {
            for i in 0..case.settings.len() {
                let mut settings = case.settings.clone();
                settings.remove(i);
                let form = Case { query: case.query.clone(), settings, way: case.way };
                if Instant::now() < until && self.fails(&form, lost)? {
                    case = form;
                    continue 'smaller;
                }
            }
            for query in reduce::smaller(&case.query) {
                if Instant::now() > until {
                    return Ok(case);
                }
                let form = Case { query, settings: case.settings.clone(), way: case.way };
                if self.fails(&form, lost)? {
                    case = form;
                    continue 'smaller;
                }
            }
            return Ok(case);
        }
    }
}

/// Leaves of the rows' order what ORDER BY decides: all of it; or the order of the leading columns it is by, whose rows
/// come first, and then all rows as a set; or nothing.
fn determined(query: &Select, rows: &mut Vec<String>) {
    let settled = |place: &usize| query.outputs.get(*place).is_some_and(|(_, expr)| expr.is_settled());
    let all = (0..query.outputs.len()).all(|place| settled(&place));
    let mut keys = Vec::new();
    if let Some(order) = &query.order {
        if !order.partial && all {
            return;
        }
        if order.exprs.is_empty() {
            let places = order.places(query.outputs.len());
            keys = places.into_iter().map(|(place, _)| place).take_while(settled).collect();
        }
    }
    let key = |row: &String| {
        let fields: Vec<&str> = row.split(server::SEPARATOR).collect();
        keys.iter().map(|place| fields.get(*place).copied().unwrap_or_default()).collect::<Vec<_>>().join("|")
    };
    let ordered: Vec<String> = if keys.is_empty() { Vec::new() } else { rows.iter().map(key).collect() };
    rows.sort_unstable();
    rows.splice(0..0, ordered);
}

fn statements(settings: &[String]) -> String {
    settings.iter().map(|setting| format!("set {setting}; ")).collect()
}

/// The first integer of the query becomes a parameter, wherever it stands: an expression of the SELECT list may be one of
/// GROUP BY. Three executions with two values of it.
fn prepared(query: &Select) -> String {
    let mut query = query.clone();
    let mut value: Option<String> = None;
    query.visit(&mut |expr| {
        if let Expr::Literal { sql, ty: Ty::Int4 } = expr
            && sql.ends_with("::int4")
            && !sql.starts_with("null")
            && value.get_or_insert_with(|| sql.clone()) == sql
        {
            *sql = "$1".into();
        }
    });
    let (types, values) = match &value {
        Some(value) => (" (int4)", [format!("({value})"), "(7)".to_string(), format!("({value})")]),
        None => ("", [const { String::new() }; 3]),
    };
    let runs: String = values.iter().map(|values| format!(" execute q{values};")).collect();
    format!("set plan_cache_mode = force_generic_plan; prepare q{types} as {};\n{runs} deallocate q;", query.sql())
}

#[cfg(test)]
mod tests {
    use super::ast::Order;
    use super::*;

    #[test]
    fn rows_keep_the_order_that_the_query_decides() {
        let column = |ty| Expr::literal("x", ty);
        let mut query = Select {
            outputs: vec![("c0".into(), column(Ty::Int4)), ("c1".into(), column(Ty::Text))],
            order: Some(Order { places: vec![(1, " desc")], ..Order::default() }),
            ..Select::default()
        };
        let after = |query: &Select| {
            let mut rows = vec!["2\x1fb".to_string(), "3\x1fa".into(), "1\x1fa".into()];
            determined(query, &mut rows);
            rows.join(" ").replace('\x1f', "|")
        };
        assert_eq!(after(&query), "2|b 3|a 1|a");
        query.order = Some(Order { places: vec![(1, " desc")], partial: true, ..Order::default() });
        assert_eq!(after(&query), "b a a 1|a 2|b 3|a");
        query.order = None;
        assert_eq!(after(&query), "1|a 2|b 3|a");
        // A total order of outputs that may be written in several ways decides no more than the keys before those.
        query.outputs[0].1 = column(Ty::Numeric);
        query.order = Some(Order { places: vec![(1, ""), (0, "")], ..Order::default() });
        assert_eq!(after(&query), "b a a 1|a 2|b 3|a");
    }
}
