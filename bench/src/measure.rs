//! What `demo`, `run` and `profile` do: the same query on several engines, interleaved, and the same rows from all.

use std::io;
use std::time::{Duration, Instant};

use crate::Runs;
use crate::compare;
use crate::engine::{Engine, Kind};
use crate::plan;
use crate::profile::{self, Operator};
use crate::queries::{Query, Set};
use crate::report::{self, Measured, Timing};
use crate::svg;

pub fn database(runs: &Runs, set: Set) -> &str {
    runs.database.as_deref().unwrap_or(set.database())
}

pub fn chosen(runs: &Runs, set: Set) -> Vec<&'static Query> {
    let named = |query: &Query| runs.only.is_empty() || runs.only.iter().any(|part| query.name.contains(part.as_str()));
    set.queries().filter(|query| named(query)).collect()
}

pub fn no_query() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no query has such a name")
}

/// One more round? At least `runs`; then for as long as there is time, up to five times as many.
fn goes_on(runs: &Runs, done: usize, elapsed: Duration) -> bool {
    let least = runs.runs.max(1);
    done < least || (done < 5 * least && elapsed.as_secs_f64() < runs.seconds)
}

/// Timed runs in turns: what else the machine does hits all engines alike. Whoever compared the rows has warmed the
/// caches. Of PostgreSQL's plans those that are far from the best in the first round have that one run alone, since the
/// best is what counts. DuckDB may fail; then it has no times.
fn interleaved(engines: &mut [Engine], sql: &str, runs: &Runs) -> io::Result<Vec<Timing>> {
    let mut times = vec![Vec::new(); engines.len()];
    let mut left_out = vec![false; engines.len()];
    let start = Instant::now();
    let mut done = 0;
    while goes_on(runs, done, start.elapsed()) {
        for (i, engine) in engines.iter_mut().enumerate() {
            if left_out[i] {
                continue;
            }
            match engine.time(sql) {
                Ok(time) => times[i].push(time),
                Err(_) if engine.kind == Kind::DuckDb => left_out[i] = true,
                Err(error) => return Err(error),
            }
        }
        if done == 0 {
            let first: Vec<_> =
                engines.iter().zip(&times).map(|(engine, times)| (engine.kind, times.first())).collect();
            for (out, far) in left_out.iter_mut().zip(far_from_best(&first)) {
                *out |= far;
            }
        }
        done += 1;
    }
    Ok(engines.iter().zip(times).map(|(engine, times)| Timing::new(&engine.name, engine.kind, times)).collect())
}

const FAR: f64 = 1.5;

/// Which of PostgreSQL's plans need no second run.
fn far_from_best(first: &[(Kind, Option<&f64>)]) -> Vec<bool> {
    let plain = |kind: Kind, time: Option<&f64>| if kind == Kind::Plain { time.copied() } else { None };
    let best = first.iter().filter_map(|(kind, time)| plain(*kind, *time)).fold(f64::INFINITY, f64::min);
    first.iter().map(|(kind, time)| plain(*kind, *time).is_some_and(|time| time > FAR * best)).collect()
}

/// True when every engine of the server gives the rows that the first one gives; and who of the others does not.
fn same_rows(engines: &mut [Engine], sql: &str, exact: bool) -> io::Result<(usize, bool, Vec<String>)> {
    let (first, others) = engines.split_first_mut().ok_or_else(|| io::Error::other("no engine"))?;
    let expected = first.rows(sql)?;
    let mut same = true;
    let mut differ = Vec::new();
    for other in others {
        match (other.kind, other.rows(sql)) {
            (Kind::DuckDb, Ok(rows)) if compare::nearly_same(&expected, &rows) => {}
            (Kind::DuckDb, Ok(_)) => differ.push(format!("{}: other rows", other.name)),
            (Kind::DuckDb, Err(error)) => differ.push(error.to_string()),
            (_, Err(error)) => return Err(error),
            (_, Ok(rows)) if exact => same &= rows == expected,
            (_, Ok(rows)) => same &= compare::nearly_same(&expected, &rows),
        }
    }
    Ok((expected.len(), same, differ))
}

fn joinscan(engines: &mut [Engine]) -> io::Result<&mut Engine> {
    engines.iter_mut().find(|engine| engine.kind == Kind::JoinScan).ok_or_else(|| io::Error::other("no JoinScan"))
}

fn measure(engines: &mut [Engine], set: Set, query: &'static Query, runs: &Runs) -> io::Result<Measured> {
    let sql = query.sql(runs.sf);
    let (rows, same, differ) = same_rows(engines, &sql, set.is_exact())?;
    let plan = joinscan(engines)?.ask(&format!("explain (analyze, timing off, costs off) {sql};"))?;
    let above = plan::besides_joinscan(&plan).map(|besides| besides.above);
    let peak_memory = profile::operators(&plan).iter().map(|operator| operator.memory).sum();
    let timings = interleaved(engines, &sql, runs)?;
    Ok(Measured { set, query, rows, same, differ, above, peak_memory, timings })
}

/// All engines on the tables of one set.
fn engines(runs: &Runs, database: &str) -> io::Result<Vec<Engine>> {
    let mut engines = Vec::new();
    for workers in 0..=runs.workers {
        engines.push(Engine::postgres(runs, database, Kind::Plain, report::plain_engine(workers), workers)?);
    }
    engines.push(Engine::postgres(runs, database, Kind::JoinScan, "JoinScan".into(), runs.workers)?);
    for storage in ["own", "attached"].iter().filter(|_| runs.duckdb) {
        engines.push(Engine::duckdb(runs, database, storage)?);
    }
    Ok(engines)
}

pub fn run(runs: &Runs) -> io::Result<bool> {
    let mut all = Vec::new();
    for set in runs.sets() {
        let queries = chosen(runs, set);
        if queries.is_empty() {
            continue;
        }
        let mut engines = engines(runs, database(runs, set))?;
        println!("{}", report::header(set, runs.runs, runs.workers, &engines));
        let mut of_set = Vec::new();
        for query in queries {
            let measured = measure(&mut engines, set, query, runs)?;
            println!("{}", report::line(&measured));
            of_set.push(measured);
        }
        println!("{}\n", report::summary(set, &of_set));
        all.extend(of_set);
    }
    if all.is_empty() {
        return Err(no_query());
    }
    if let Some(path) = &runs.json {
        std::fs::write(path, report::json(runs.sf, runs.workers, &all))?;
        println!("written to {}", path.display());
    }
    if let Some(path) = &runs.svg {
        std::fs::write(path, svg::chart(&all))?;
        println!("drawn in {}", path.display());
    }
    Ok(all.iter().all(|measured| measured.same))
}

/// What each operator of JoinScan's plan did, query by query.
pub fn profile(runs: &Runs) -> io::Result<bool> {
    let mut any = false;
    for set in runs.sets() {
        let queries = chosen(runs, set);
        if queries.is_empty() {
            continue;
        }
        any = true;
        let mut engine = Engine::postgres(runs, database(runs, set), Kind::JoinScan, "JoinScan".into(), runs.workers)?;
        for query in queries {
            let sql = query.sql(runs.sf);
            engine.time(&sql)?; // warms the caches
            let mut best: Option<(f64, Vec<Operator>)> = None;
            for _ in 0..runs.runs.max(1) {
                let lines = engine.ask(&format!("explain (analyze, verbose, costs off) {sql};"))?;
                let time = plan::execution_time(&lines).ok_or_else(|| io::Error::other("EXPLAIN printed no time"))?;
                if best.as_ref().is_none_or(|(least, _)| time < *least) {
                    best = Some((time, profile::operators(&lines)));
                }
            }
            if let Some((time, operators)) = best {
                println!("=== {:?} {}: {}\n{}", set, query.name, query.title, profile::table(&operators, time));
            }
        }
    }
    if any { Ok(true) } else { Err(no_query()) }
}

pub fn demo(runs: &Runs) -> io::Result<bool> {
    let set = Set::Micro;
    let mut engines = vec![
        Engine::postgres(runs, database(runs, set), Kind::Plain, "JoinScan off".into(), runs.workers)?,
        Engine::postgres(runs, database(runs, set), Kind::JoinScan, "JoinScan on".into(), runs.workers)?,
    ];
    let queries: Vec<_> = chosen(runs, set).into_iter().filter(|query| query.demo).collect();
    if queries.is_empty() {
        return Err(no_query());
    }
    let mut all_same = true;
    for query in queries {
        let sql = query.sql(runs.sf);
        println!("\n=== {}: {}\n\n{sql}\n", query.name, query.title);
        let measured = measure(&mut engines, set, query, runs)?;
        for engine in &mut engines {
            println!("--- {}", engine.name);
            for line in engine.ask(&format!("explain (analyze, costs off) {sql};"))? {
                println!("{line}");
            }
            println!();
        }
        println!("{}", report::demo(&measured));
        all_same &= measured.same;
    }
    Ok(all_same)
}

#[cfg(test)]
mod tests {
    use super::far_from_best;
    use crate::engine::Kind::{DuckDb, JoinScan, Plain};

    #[test]
    fn the_best_plan_and_the_other_engines_run_on() {
        let first = [(Plain, Some(&100.0)), (Plain, Some(&50.0)), (Plain, Some(&60.0)), (JoinScan, Some(&400.0))];
        assert_eq!(far_from_best(&first), [true, false, false, false]);
        assert_eq!(far_from_best(&[(Plain, Some(&100.0)), (JoinScan, Some(&10.0))]), [false, false]);
        assert_eq!(far_from_best(&[(Plain, Some(&1.0)), (DuckDb, Some(&9.0)), (DuckDb, None)]), [false, false, false]);
    }
}
