//! What `demo` and `run` do: the same query on several engines, interleaved, and the same rows from all.

use std::io;
use std::time::{Duration, Instant};

use crate::Runs;
use crate::plan;
use crate::queries::{self, Query, Set};
use crate::report::{self, Measured, Timing};
use crate::session::Session;

/// One way to run a query, in a session of its own.
struct Engine {
    name: String,
    session: Session,
}

/// The same server, memory and queries for all; they differ in these settings alone.
fn engine(runs: &Runs, name: impl Into<String>, joinscan: bool, workers: u32) -> io::Result<Engine> {
    let mut settings = vec![
        format!("set joinscan.enabled = {};", if joinscan { "on" } else { "off" }),
        format!("set max_parallel_workers_per_gather = {workers};"),
    ];
    if joinscan && runs.force {
        settings.push("set joinscan.min_cost = 0;".into());
    }
    Ok(Engine { name: name.into(), session: Session::open(&runs.psql, &settings)? })
}

fn chosen(runs: &Runs, demo: bool) -> io::Result<Vec<&'static Query>> {
    let named = |query: &Query| runs.only.is_empty() || runs.only.iter().any(|part| query.name.contains(part.as_str()));
    let in_set = |query: &Query| runs.set.is_none_or(|set| query.set == set);
    let queries: Vec<_> =
        queries::ALL.iter().filter(|query| (!demo || query.demo) && named(query) && in_set(query)).collect();
    if queries.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no query has such a name"));
    }
    Ok(queries)
}

/// One more round? At least `runs`; then for as long as there is time, up to five times as many.
fn goes_on(runs: &Runs, done: usize, elapsed: Duration) -> bool {
    let least = runs.runs.max(1);
    done < least || (done < 5 * least && elapsed.as_secs_f64() < runs.seconds)
}

/// Timed runs in turns: what else the machine does hits all engines alike. Whoever compared the rows has warmed the
/// caches. Of PostgreSQL's plans those that are far from the best in the first round have that one run alone, since the
/// best is what counts.
fn interleaved(engines: &mut [Engine], sql: &str, runs: &Runs) -> io::Result<Vec<Timing>> {
    let mut times = vec![Vec::new(); engines.len()];
    let mut left_out = vec![false; engines.len()];
    let start = Instant::now();
    let mut done = 0;
    while goes_on(runs, done, start.elapsed()) {
        for (i, engine) in engines.iter_mut().enumerate().filter(|(i, _)| !left_out[*i]) {
            times[i].push(engine.session.time(sql)?);
        }
        if done == 0 {
            left_out = far_from_best(&times.iter().map(|times| times[0]).collect::<Vec<_>>());
        }
        done += 1;
    }
    Ok(engines.iter().zip(times).map(|(engine, times)| Timing::new(&engine.name, times)).collect())
}

const FAR: f64 = 1.5;

/// Which engines need no second run; the last one always does, and the best of the others.
fn far_from_best(first: &[f64]) -> Vec<bool> {
    let others = first.len().saturating_sub(1);
    let best = first[..others].iter().copied().fold(f64::INFINITY, f64::min);
    first.iter().enumerate().map(|(i, time)| i < others && *time > FAR * best).collect()
}

/// What PostgreSQL does above JoinScan; None when it stays out.
fn above_joinscan(engine: &mut Engine, sql: &str) -> io::Result<Option<Vec<&'static str>>> {
    let lines = engine.session.ask(&format!("explain (costs off) {sql};"))?;
    Ok(plan::besides_joinscan(&lines).map(|besides| besides.above))
}

/// True when every engine gives the rows that the first one gives.
fn same_rows(engines: &mut [Engine], sql: &str) -> io::Result<(usize, bool)> {
    let (first, others) = engines.split_first_mut().ok_or_else(|| io::Error::other("no engine"))?;
    let expected = first.session.rows(sql)?;
    let mut same = true;
    for other in others {
        same &= other.session.rows(sql)? == expected;
    }
    Ok((expected.len(), same))
}

fn measure(engines: &mut [Engine], query: &'static Query, runs: &Runs) -> io::Result<Measured> {
    let sql = query.sql(runs.sf);
    let (rows, same) = same_rows(engines, &sql)?;
    let above = match engines.last_mut() {
        Some(engine) => above_joinscan(engine, &sql)?,
        None => None,
    };
    let timings = interleaved(engines, &sql, runs)?;
    Ok(Measured { query, rows, same, above, timings })
}

pub fn run(runs: &Runs) -> io::Result<bool> {
    let mut engines = Vec::new();
    for workers in 0..=runs.workers {
        engines.push(engine(runs, report::plain_engine(workers), false, workers)?);
    }
    engines.push(engine(runs, "JoinScan", true, runs.workers)?);
    println!("{}", report::header(runs.runs, runs.workers));
    let mut all = Vec::new();
    for set in [Set::Micro, Set::Tpch] {
        let mut of_set = Vec::new();
        for query in chosen(runs, false)?.into_iter().filter(|query| query.set == set) {
            let measured = measure(&mut engines, query, runs)?;
            println!("{}", report::line(&measured));
            of_set.push(measured);
        }
        if !of_set.is_empty() {
            println!("{}\n", report::summary(set, &of_set));
        }
        all.extend(of_set);
    }
    if let Some(path) = &runs.json {
        std::fs::write(path, report::json(runs.sf, runs.workers, &all))?;
        println!("written to {}", path.display());
    }
    Ok(all.iter().all(|measured| measured.same))
}

pub fn demo(runs: &Runs) -> io::Result<bool> {
    let mut engines =
        vec![engine(runs, "JoinScan off", false, runs.workers)?, engine(runs, "JoinScan on", true, runs.workers)?];
    let mut all_same = true;
    for query in chosen(runs, true)? {
        let sql = query.sql(runs.sf);
        println!("\n=== {}: {}\n\n{sql}\n", query.name, query.title);
        let measured = measure(&mut engines, query, runs)?;
        for engine in &mut engines {
            println!("--- {}", engine.name);
            for line in engine.session.ask(&format!("explain (analyze, costs off) {sql};"))? {
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

    #[test]
    fn the_best_and_the_last_run_on() {
        assert_eq!(far_from_best(&[100.0, 50.0, 60.0, 400.0]), [true, false, false, false]);
        assert_eq!(far_from_best(&[100.0, 10.0]), [false, false]);
        assert_eq!(far_from_best(&[1.0]), [false]);
    }
}
