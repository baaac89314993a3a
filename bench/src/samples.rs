//! What JoinScan's operators do, and how long they take, in EXPLAIN (ANALYZE, VERBOSE): samples for the fit of cost.c's
//! constants.
//!
//! A scan, an aggregate and a sort tell their own time. A join's is what its phases leave when its inputs' times are taken
//! off, which not all have. So joins share what is left of the execution when all the others' times are taken off, with
//! the start of a plan and the rows that go into slots.

use std::collections::HashMap;
use std::io;

use crate::least_squares::Sample;
use crate::plan;
use crate::profile::{self, Operator, inputs, number, rows_in};
use crate::report::middle;
use crate::session::Session;

/// Tables of narrow and of wide rows: those of the sets are too much alike to tell a page from its rows. `k` stands in order,
/// `v` has about the same values in none.
pub const TABLES: &str = "set client_min_messages = warning; drop schema if exists joinscan_costs cascade;
    create schema joinscan_costs;
    create unlogged table joinscan_costs.narrow as select i as k, (i * 48271::bigint % 1000003)::int as v
        from generate_series(1, 1000000) i;
    create unlogged table joinscan_costs.wide as
        select i as k, i as v, repeat('x', 1000) as pad from generate_series(1, 50000) i;
    vacuum analyze joinscan_costs.narrow; vacuum analyze joinscan_costs.wide;";

/// What the sets' queries have seldom, or never by itself.
pub const PROBES: [&str; 26] = [
    "select count(*) from narrow",
    "select max(k) from narrow",
    "select max(k), max(v) from narrow",
    "select max(k) from narrow where v > 0",
    "select max(k) from narrow where v < 0",
    "select max(k) from narrow where v % 2 = 0 and k > 0",
    "select count(*) from wide",
    "select max(k), max(v) from wide",
    "select max(k) from wide where v < 0",
    "select k, count(*) from narrow group by k having count(*) > 1",
    "select k % 1000, count(*), sum(k), min(v), max(v) from narrow group by k % 1000",
    "select k % 1000 from narrow group by k % 1000",
    "select v from narrow order by v desc",
    "select k from narrow order by v % 1000, k",
    "select k from narrow order by v % 1000, k limit 100",
    // Built, probed, joined; without a match; few built, all probed; wide rows built; pairs; rows that go out.
    "select count(*) from narrow a join narrow b on a.k = b.k",
    "select count(*) from narrow a where not exists (select from narrow b where a.k = b.k)",
    "select count(*) from narrow a left join narrow b on a.k = b.k and b.v <= 1000",
    "select count(*) from narrow a join narrow b on a.v = b.k",
    "select count(*) from narrow a join narrow b on a.k = b.v",
    "select count(*) from narrow a left join narrow b on a.v = b.k and b.v <= 100000",
    "select count(pad) from narrow a join wide b on a.k = b.k",
    "select count(*) from narrow a join narrow b on a.v + b.v < 0 where a.k <= 2000 and b.k <= 10000",
    "select count(*) from narrow a join narrow b on a.v + b.v < 0 where a.k <= 200 and b.k <= 50000",
    "select count(*) from narrow a join narrow b on a.v > b.v + 2000000 where a.k <= 5000 and b.k <= 5000",
    "select a.k, a.v, b.v from narrow a join narrow b on a.k = b.k",
];

/// One query's operators, medians of its runs.
pub struct Observed {
    operators: Vec<Operator>,
    /// Of the execution, less the own times of all operators but joins. None where more than one JoinScan took part, or where
    /// PostgreSQL did much.
    rest: Option<Rest>,
}

struct Rest {
    ms: f64,
    /// The whole execution.
    of: f64,
    /// Rows that JoinScan gave.
    rows: f64,
}

fn is_join(operator: &Operator) -> bool {
    (operator.name.starts_with("Hash ") && operator.name.ends_with("Join")) || operator.name.starts_with("Nested Loop")
}

fn is_scan(operator: &Operator) -> bool {
    operator.name.starts_with("Heap Scan on ")
}

/// So many rows on their way through PostgreSQL's nodes are nothing.
const FEW_ROWS: f64 = 1000.0;

/// The rows of the one JoinScan of a plan: all that the execution does is its work.
fn rows_of_all(lines: &[String], operators: &[Operator]) -> Option<f64> {
    let nodes: Vec<(usize, &String)> =
        lines.iter().enumerate().filter(|(_, line)| line.contains("Custom Scan (JoinScan)")).collect();
    let [(place, node)] = nodes[..] else { return None };
    let (_, figures) = node.split_once("(actual ")?;
    let rows = number(figures, "rows=");
    let aside = lines.iter().map(|line| line.trim_start());
    let aside =
        aside.filter(|line| ["InitPlan ", "SubPlan ", "CTE ", "Fallback"].iter().any(|word| line.starts_with(word)));
    let alone = aside.count() == 0 && !operators.iter().any(|operator| operator.name.starts_with("PostgreSQL"));
    (alone && number(figures, "loops=") == 1.0 && (place == 0 || rows <= FEW_ROWS)).then_some(rows)
}

/// None where there is nothing to learn: no JoinScan, or one for each row of something, which may take for ever.
pub fn observe(session: &mut Session, runs: usize, sql: &str) -> io::Result<Option<Observed>> {
    let no_time = || io::Error::other("EXPLAIN printed no time");
    let planned = session.ask(&format!("explain (costs off) {sql};"))?;
    if planned.iter().any(|line| line.trim_start().starts_with("SubPlan "))
        || plan::besides_joinscan(&planned).is_none()
    {
        return Ok(None);
    }
    session.ask(&format!("explain (analyze, timing off) {sql};"))?; // warms the caches
    let mut all: Vec<(f64, Vec<Operator>)> = Vec::new();
    let mut rows = None;
    for _ in 0..runs.max(1) {
        let lines = session.ask(&format!("explain (analyze, verbose) {sql};"))?;
        let operators = profile::operators(&lines);
        rows = rows_of_all(&lines, &operators);
        all.push((plan::execution_time(&lines).ok_or_else(no_time)?, operators));
    }
    let Some((_, first)) = all.first().filter(|(_, operators)| !operators.is_empty()) else { return Ok(None) };
    let mut operators: Vec<Operator> = first.clone();
    all.retain(|(_, others)| {
        others.iter().map(|other| &other.name).eq(operators.iter().map(|operator| &operator.name))
    });
    for (i, operator) in operators.iter_mut().enumerate() {
        operator.own = middle(all.iter().map(|(_, run)| run[i].own).collect());
    }
    let others =
        |run: &[Operator]| run.iter().filter(|operator| !is_join(operator)).map(|operator| operator.own).sum::<f64>();
    let rest = match rows {
        None => None,
        Some(rows) if rows <= FEW_ROWS => {
            let ms = middle(all.iter().map(|(execution, run)| execution - others(run)).collect());
            Some(Rest { ms, of: middle(all.iter().map(|(execution, _)| *execution).collect()), rows })
        }
        // EXPLAIN looks at its clock for each row.
        Some(rows) => {
            let mut without_clock = Vec::new();
            for _ in 0..runs.max(1) {
                let lines = session.ask(&format!("explain (analyze, timing off) {sql};"))?;
                without_clock.push(plan::execution_time(&lines).ok_or_else(no_time)?);
            }
            let of = middle(without_clock);
            Some(Rest { ms: of - others(&operators), of, rows })
        }
    };
    Ok(Some(Observed { operators, rest }))
}

/// Pages of each table by its name.
pub fn pages(session: &mut Session) -> io::Result<HashMap<String, f64>> {
    let lines = session.ask("select relname, relpages from pg_class where relkind in ('r', 'm') and relpages > 0;")?;
    let pair = |line: &String| {
        let (name, pages) = line.rsplit_once('|')?;
        Some((name.to_string(), pages.parse().ok()?))
    };
    Ok(lines.iter().filter_map(pair).collect())
}

/// Times shorter than this are of the clock, and of chance.
const LEAST_MS: f64 = 1.0;

fn sample(numbers: Vec<f64>, total: f64) -> Option<Sample> {
    (total >= LEAST_MS).then_some(Sample { numbers, total, error: total })
}

/// Parts of a list at its outermost level.
fn parts(list: &str, separator: &str) -> usize {
    let mut depth = 0i32;
    let mut quoted = false;
    let mut count = 1;
    for (i, c) in list.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            _ if !quoted && depth == 0 && list[i..].starts_with(separator) => count += 1,
            _ => {}
        }
    }
    count
}

/// Conditions of `(a) AND (b)`, or of `((a) AND (b))`.
fn conditions(filter: &str) -> usize {
    let inner = filter.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(filter);
    parts(inner, " AND ")
}

/// Pages, rows seen, conditions on them, rows decoded.
pub fn scans(observed: &[Observed], pages: &HashMap<String, f64>) -> Vec<Sample> {
    let mut out = Vec::new();
    for Observed { operators, .. } in observed {
        for (i, scan) in operators.iter().enumerate().filter(|(_, operator)| is_scan(operator)) {
            let table = scan.name.trim_start_matches("Heap Scan on ").split(' ').next().unwrap_or_default();
            let Some(pages) = pages.get(table.rsplit('.').next().unwrap_or(table)) else { continue };
            let dropped = scan.detail("Rows Removed by Runtime Filter: ").map_or(0.0, |rows| number(rows, ""));
            // The conditions are an operator of their own, directly above.
            let filter = i.checked_sub(1).map(|above| &operators[above]).filter(|above| above.name == "Filter");
            let (seen, passed, conditions) = match filter {
                Some(filter) => {
                    (scan.rows as f64, filter.rows as f64, filter.detail("Filter: ").map_or(1, conditions) as f64)
                }
                None => (scan.rows as f64 + dropped, scan.rows as f64, 0.0),
            };
            let decoded = if scan.width > 0 { passed } else { 0.0 };
            out.extend(sample(vec![*pages, seen, seen * conditions, decoded], scan.own));
        }
    }
    out
}

/// Rows, transitions, groups: with keys. Without keys there are whole columns at once, for next to nothing.
pub fn aggregates(observed: &[Observed]) -> Vec<Sample> {
    let mut out = Vec::new();
    for Observed { operators, .. } in observed {
        for (i, aggregate) in operators.iter().enumerate().filter(|(_, operator)| operator.name == "Aggregate") {
            if aggregate.detail("Group Key: ").is_none() {
                continue;
            }
            let rows = rows_in(operators, i) as f64;
            let transitions = aggregate.detail("Aggregates: ").map_or(0, |list| parts(list, ", ")) as f64;
            out.extend(sample(vec![rows, rows * transitions, aggregate.rows as f64], aggregate.own));
        }
    }
    out
}

/// ms per comparison.
pub fn sorts(observed: &[Observed]) -> Vec<f64> {
    let mut out = Vec::new();
    for Observed { operators, .. } in observed {
        for (i, sort) in operators.iter().enumerate() {
            let rows = rows_in(operators, i) as f64;
            let compared = match (sort.name.as_str(), sort.detail("Limit: ")) {
                ("Sort", None) => rows,
                ("Top-N Sort", Some(limit)) => rows.min(number(limit, "")),
                _ => continue,
            };
            if sort.own >= LEAST_MS {
                out.push(sort.own / (rows * (compared + 2.0).log2()));
            }
        }
    }
    out
}

/// A plan, rows that go out, rows built, their bytes, rows probed, rows joined, pairs of a nested loop.
pub fn rests(observed: &[Observed]) -> Vec<Sample> {
    let mut out = Vec::new();
    for Observed { operators, rest } in observed {
        let Some(rest) = rest else { continue };
        let mut numbers = vec![1.0, rest.rows, 0.0, 0.0, 0.0, 0.0, 0.0];
        for (i, join) in operators.iter().enumerate().filter(|(_, operator)| is_join(operator)) {
            let [build, probe] = inputs(operators, i)[..] else { continue };
            numbers[2] += build.rows as f64;
            // A filter's width is the scan's below it.
            let width =
                if build.width > 0 { build.width } else { below(operators, build).map_or(0, |scan| scan.width) };
            numbers[3] += (build.rows * width) as f64;
            if join.name.starts_with("Hash ") {
                numbers[4] += probe.rows as f64;
            } else {
                numbers[6] += build.rows as f64 * probe.rows as f64;
            }
            numbers[5] += join.rows as f64;
        }
        out.push(Sample { numbers, total: rest.ms, error: rest.of });
    }
    out
}

fn below<'a>(operators: &'a [Operator], operator: &Operator) -> Option<&'a Operator> {
    let place = operators.iter().position(|other| std::ptr::eq(other, operator))?;
    operators.get(place + 1)
}

/// Rows and bytes of writers; times as they would be had each participant a core of its own.
pub fn exchanges(observed: &[Observed], slower: f64) -> Vec<Sample> {
    let mut out = Vec::new();
    for Observed { operators, .. } in observed {
        for pair in operators.windows(2) {
            if let [reader, writer] = pair
                && reader.name.starts_with("Reader ")
                && writer.name.starts_with("Writer ")
            {
                out.extend(sample(vec![writer.rows as f64, reader.bytes as f64], (writer.own + reader.own) / slower));
            }
        }
    }
    out
}

pub fn time_of_scans(observed: &Observed) -> f64 {
    observed.operators.iter().filter(|operator| is_scan(operator)).map(|scan| scan.own).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_parts() {
        assert_eq!(parts("sum(a, b), count(*), max('x, (y')", ", "), 3);
        assert_eq!(conditions("((a > 1) AND (b ~~ '% AND %'::text))"), 2);
        assert_eq!(conditions("(a = ANY ('{1,2}'::integer[]))"), 1);
        assert_eq!(conditions("(a < b)"), 1);
    }

    fn operator(name: &str, depth: usize, rows: u64, own: f64) -> Operator {
        Operator { name: name.into(), depth, rows, own, width: 8, ..Operator::default() }
    }

    fn observed() -> Observed {
        let mut filter = operator("Filter", 2, 10, 0.0);
        filter.width = 0;
        filter.details = vec!["Filter: ((a.x > 1) AND (a.y > 1))".into()];
        let mut aggregate = operator("Aggregate", 0, 3, 2.0);
        aggregate.details = vec!["Group Key: a.x".into(), "Aggregates: count(*), sum(a.y)".into()];
        let mut probe = operator("Heap Scan on public.b z", 2, 200, 4.0);
        probe.details = vec!["Rows Removed by Runtime Filter: 50".into()];
        let operators = vec![
            aggregate,
            operator("Hash Join", 1, 70, 99.0),
            filter,
            operator("Heap Scan on public.a", 3, 100, 5.0),
            probe,
        ];
        Observed { operators, rest: Some(Rest { ms: 7.0, of: 20.0, rows: 3.0 }) }
    }

    #[test]
    fn operators_become_samples() {
        let all = [observed()];
        let pages = HashMap::from([("a".to_string(), 4.0), ("b".to_string(), 9.0)]);
        let numbers = |samples: Vec<Sample>| samples.into_iter().map(|sample| sample.numbers).collect::<Vec<_>>();
        assert_eq!(numbers(scans(&all, &pages)), [vec![4.0, 100.0, 200.0, 10.0], vec![9.0, 250.0, 0.0, 200.0]]);
        assert_eq!(numbers(aggregates(&all)), [vec![70.0, 140.0, 3.0]]);
        assert_eq!(numbers(rests(&all)), [vec![1.0, 3.0, 10.0, 80.0, 200.0, 70.0, 0.0]]);
    }

    #[test]
    fn a_plan_of_more_than_joinscan_has_no_rest() {
        let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
        let alone = lines("Custom Scan (JoinScan)  (cost=0..1 rows=1 width=8) (actual time=1..2 rows=5000 loops=1)");
        assert_eq!(rows_of_all(&alone, &[]), Some(5000.0));
        assert_eq!(rows_of_all(&alone, &[operator("PostgreSQL Filter", 0, 1, 0.0)]), None);
        let many = lines("Sort\n  ->  Custom Scan (JoinScan)  (actual time=1..2 rows=5000 loops=1)");
        assert_eq!(rows_of_all(&many, &[]), None);
        let few = lines("Sort\n  ->  Custom Scan (JoinScan)  (actual time=1..2 rows=50 loops=1)");
        assert_eq!(rows_of_all(&few, &[]), Some(50.0));
    }
}
