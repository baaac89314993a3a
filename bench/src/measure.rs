//! What `demo` and `run` do: the same query on several engines, interleaved, and the same rows from all.

use std::io;

use crate::Runs;
use crate::queries::{self, Query};
use crate::report::{self, Measured, Timing};
use crate::session::Session;

/// One way to run a query, in a session of its own.
struct Engine {
    name: &'static str,
    session: Session,
}

/// The same server, memory and queries for all; they differ in these settings alone.
fn engine(runs: &Runs, name: &'static str, joinscan: bool, workers: u32) -> io::Result<Engine> {
    let mut settings = vec![
        format!("set joinscan.enabled = {};", if joinscan { "on" } else { "off" }),
        format!("set max_parallel_workers_per_gather = {workers};"),
    ];
    if joinscan && runs.force {
        settings.push("set joinscan.min_cost = 0;".into());
    }
    Ok(Engine { name, session: Session::open(&runs.psql, &settings)? })
}

fn chosen(runs: &Runs, demo: bool) -> io::Result<Vec<&'static Query>> {
    let wanted =
        |query: &&Query| (!demo || query.demo) && runs.only.as_deref().is_none_or(|part| query.name.contains(part));
    let queries: Vec<_> = queries::ALL.iter().filter(wanted).collect();
    if queries.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no query has such a name"));
    }
    Ok(queries)
}

/// Timed runs in turns: what else the machine does hits all engines alike.
fn interleaved(engines: &mut [Engine], query: &Query, runs: usize) -> io::Result<Vec<Timing>> {
    for engine in engines.iter_mut() {
        engine.session.time(query.sql)?; // warms caches; not counted
    }
    let mut times = vec![Vec::with_capacity(runs); engines.len()];
    for _ in 0..runs.max(1) {
        for (engine, times) in engines.iter_mut().zip(&mut times) {
            times.push(engine.session.time(query.sql)?);
        }
    }
    Ok(engines.iter().zip(times).map(|(engine, times)| Timing::new(engine.name, times)).collect())
}

fn takes_part(session: &mut Session, query: &Query) -> io::Result<bool> {
    let plan = session.ask(&format!("explain {};", query.sql))?;
    Ok(plan.iter().any(|line| line.contains("JoinScan")))
}

/// True when every engine gives the rows that the first one gives.
fn same_rows(engines: &mut [Engine], query: &Query) -> io::Result<(usize, bool)> {
    let (first, others) = engines.split_first_mut().ok_or_else(|| io::Error::other("no engine"))?;
    let expected = first.session.rows(query.sql)?;
    let mut same = true;
    for other in others {
        same &= other.session.rows(query.sql)? == expected;
    }
    Ok((expected.len(), same))
}

fn measure(engines: &mut [Engine], query: &'static Query, runs: usize) -> io::Result<Measured> {
    let (rows, same) = same_rows(engines, query)?;
    let joinscan = match engines.last_mut() {
        Some(engine) => takes_part(&mut engine.session, query)?,
        None => false,
    };
    let timings = interleaved(engines, query, runs)?;
    Ok(Measured { query, rows, same, joinscan, timings })
}

pub fn run(runs: &Runs) -> io::Result<bool> {
    let mut engines = vec![
        engine(runs, "PostgreSQL serial", false, 0)?,
        engine(runs, "PostgreSQL parallel", false, runs.workers)?,
        engine(runs, "JoinScan", true, runs.workers)?,
    ];
    println!("{}", report::header(runs.runs, runs.workers));
    let mut all = Vec::new();
    for query in chosen(runs, false)? {
        let measured = measure(&mut engines, query, runs.runs)?;
        println!("{}", report::line(&measured));
        all.push(measured);
    }
    if let Some(path) = &runs.json {
        std::fs::write(path, report::json(&all))?;
        println!("written to {}", path.display());
    }
    Ok(all.iter().all(|measured| measured.same))
}

pub fn demo(runs: &Runs) -> io::Result<bool> {
    let mut engines =
        vec![engine(runs, "JoinScan off", false, runs.workers)?, engine(runs, "JoinScan on", true, runs.workers)?];
    let mut all_same = true;
    for query in chosen(runs, true)? {
        println!("\n=== {}: {}\n\n{}", query.name, query.title, query.sql);
        let measured = measure(&mut engines, query, runs.runs)?;
        for engine in &mut engines {
            println!("--- {}", engine.name);
            for line in engine.session.ask(&format!("explain (analyze, costs off) {};", query.sql))? {
                println!("{line}");
            }
            println!();
        }
        println!("{}", report::demo(&measured));
        all_same &= measured.same;
    }
    Ok(all_same)
}
