//! What the constants of cost.c should be, by what JoinScan's operators do in EXPLAIN (ANALYZE, VERBOSE): with no worker,
//! so that nothing is exchanged and nobody waits; exchanges with workers.
//!
//! Times become costs by one scale, that of PostgreSQL's own plans, which JoinScan competes with.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use crate::Runs;
use crate::costs::or_null;
use crate::least_squares::{Fit, fit};
use crate::measure::{chosen, database};
use crate::queries::Set;
use crate::report::{middle, quoted};
use crate::samples::{PROBES, TABLES, aggregates, exchanges, observe, pages, rests, scans, sorts, time_of_scans};
use crate::session::Session;

/// `#define PGJS_… number` lines, in their order.
pub fn parse(source: &str) -> Vec<(String, f64)> {
    let define = |line: &str| {
        let mut words = line.strip_prefix("#define ")?.split_whitespace();
        let name = words.next().filter(|name| name.starts_with("PGJS_"))?;
        Some((name.to_string(), words.next()?.parse().ok()?))
    };
    source.lines().filter_map(define).collect()
}

/// In what a constant is counted.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Unit {
    Tuple,
    Operator,
    Cost,
}

/// What is fitted, and in which unit cost.c has it.
const FITTED: [(&str, Unit); 13] = [
    ("PGJS_WALK_ROW", Unit::Tuple),
    ("PGJS_DECODE_ROW", Unit::Tuple),
    ("PGJS_FILTER_ROW", Unit::Operator),
    ("PGJS_NESTED_PAIR", Unit::Operator),
    ("PGJS_BUILD_ROW", Unit::Operator),
    ("PGJS_BUILD_BYTE", Unit::Cost),
    ("PGJS_PROBE_ROW", Unit::Operator),
    ("PGJS_OUTPUT_ROW", Unit::Tuple),
    ("PGJS_GROUP_ROW", Unit::Operator),
    ("PGJS_TRANSITION", Unit::Operator),
    ("PGJS_EXCHANGE_ROW", Unit::Tuple),
    ("PGJS_EXCHANGE_BYTE", Unit::Cost),
    ("PGJS_EMIT_ROW", Unit::Tuple),
];
const START: &str = "PGJS_START";
const COMPARISON: &str = "PGJS_COMPARISON";
/// No constant of cost.c: it takes the tablespace's.
const PAGE: &str = "seq_page_cost";

/// What the operators' times do not tell.
const UNTOLD: [(&str, &str); 7] = [
    ("PGJS_SHARED_PAGE", "elapsed time of many participants, not work"),
    ("PGJS_CALL_ROW", "PostgreSQL's evaluator has no time of its own"),
    ("PGJS_LOOKUP", "a factor on PostgreSQL's own cost"),
    ("PGJS_STORE_ROW", "PostgreSQL's aggregates have no time of their own"),
    ("PGJS_BATCH_ROWS", "a size, no time"),
    ("PGJS_HASH_OVERHEAD", "a size, no time"),
    ("PGJS_HASH_GROWTH", "a size, no time"),
];

/// What was found of a constant.
struct Found {
    name: String,
    /// In cost.c, or PostgreSQL's setting.
    value: f64,
    fitted: Option<f64>,
    /// Relative.
    spread: f64,
    samples: usize,
    note: String,
}

pub struct Constants {
    found: Vec<Found>,
    scale: f64,
    workers: u32,
    /// The scans' work with workers over the same without.
    slower: f64,
}

/// Fewer samples tell nothing.
const LEAST_SAMPLES: usize = 3;

fn judge(name: &str, value: f64, fit: Option<Fit>, to_units: f64, note: &str) -> Found {
    let mut found = Found { name: name.into(), value, fitted: None, spread: f64::NAN, samples: 0, note: note.into() };
    let Some(fit) = fit else { return found };
    found.samples = fit.samples;
    if fit.samples == 0 {
        found.note = "no operator exhibits it".into();
    } else if fit.samples < LEAST_SAMPLES {
        found.note = "too few samples".into();
    } else if fit.error.is_infinite() {
        found.note = "always together with others, so not to be told from them".into();
    } else if fit.error >= fit.value {
        found.note = format!("lost in the noise: at most {:.6}", (fit.value + 2.0 * fit.error) * to_units);
    } else {
        found.fitted = Some(fit.value * to_units);
        found.spread = fit.error / fit.value;
    }
    found
}

impl Constants {
    pub fn table(&self) -> String {
        let mut out = format!(
            "Constants of cost.c by the operators' times, {:.1} units of cost per ms\n{:<22}{:>12}{:>12}{:>9}{:>9}{:>9}  note\n",
            self.scale, "constant", "is", "fitted", "ratio", "spread", "samples"
        );
        for found in &self.found {
            let (fitted, ratio) = match found.fitted {
                Some(fitted) => (format!("{fitted:.6}"), format!("{:.2}", fitted / found.value)),
                None => ("-".into(), "-".into()),
            };
            let spread = if found.spread.is_finite() { format!("{:.0} %", 100.0 * found.spread) } else { "-".into() };
            let samples = if found.samples > 0 { found.samples.to_string() } else { "-".into() };
            let line = format!(
                "{:<22}{:>12}{fitted:>12}{ratio:>9}{spread:>9}{samples:>9}  {}",
                found.name, found.value, found.note
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let _ = writeln!(
            out,
            "The spread is the standard error; of {COMPARISON}, half of what the middle half of the samples spans. With {} workers \
             the scans' work took {:.2} times as long, all participants together.",
            self.workers, self.slower
        );
        out
    }

    /// Members of an object.
    pub fn json(&self) -> String {
        let found = self.found.iter().map(|found| {
            format!(
                "  {{\"constant\": {}, \"is\": {}, \"fitted\": {}, \"spread\": {}, \"samples\": {}, \"note\": {}}}",
                quoted(&found.name),
                found.value,
                found.fitted.map_or("null".into(), or_null),
                or_null(found.spread),
                found.samples,
                quoted(&found.note)
            )
        });
        let found: Vec<_> = found.collect();
        format!("\"slower_with_workers\": {}, \"constants\": [\n{}\n]", or_null(self.slower), found.join(",\n"))
    }
}

/// The middle one, and half of what the middle half spans.
fn of_ratios(mut ratios: Vec<f64>) -> Fit {
    ratios.sort_by(f64::total_cmp);
    let samples = ratios.len();
    let at =
        |share: f64| ratios.get(((samples.max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(f64::NAN);
    let error = if samples < LEAST_SAMPLES { f64::INFINITY } else { (at(0.75) - at(0.25)) / 2.0 };
    Fit { value: at(0.5), error, samples }
}

fn open(runs: &Runs, set: Set, workers: u32) -> io::Result<Session> {
    let settings = [
        "set joinscan.min_cost = 0;".into(),
        format!("set max_parallel_workers_per_gather = {workers};"),
        "set work_mem = '1GB';".into(),
        "set jit = off;".into(),
    ];
    Session::open(&runs.psql, database(runs, set), &settings)
}

/// `scale`: units of cost per ms.
pub fn measure(runs: &Runs, defined: &[(String, f64)], scale: f64) -> io::Result<Constants> {
    let mut alone = Vec::new();
    let mut together = Vec::new();
    let mut all_pages = HashMap::new();
    let mut slower = Vec::new();
    for (i, set) in runs.sets().into_iter().enumerate() {
        let mut leader = open(runs, set, 0)?;
        let mut workers = open(runs, set, runs.workers)?;
        if i == 0 {
            leader.ask(TABLES)?;
            all_pages.extend(pages(&mut leader)?);
            leader.ask("set search_path = joinscan_costs;")?;
            for sql in PROBES {
                alone.extend(observe(&mut leader, runs.runs, sql)?);
            }
            leader.ask("reset search_path; drop schema joinscan_costs cascade;")?;
        }
        all_pages.extend(pages(&mut leader)?);
        for query in chosen(runs, set) {
            let sql = query.sql(runs.sf);
            let one = observe(&mut leader, runs.runs, &sql)?;
            let many = observe(&mut workers, runs.runs, &sql)?;
            if let (Some(one), Some(many)) = (&one, &many) {
                slower.push(time_of_scans(many) / time_of_scans(one));
            }
            alone.extend(one);
            together.extend(many);
        }
    }
    slower.retain(|ratio| ratio.is_finite());
    let slower = Some(middle(slower)).filter(|ratio| *ratio >= 1.0).unwrap_or(1.0);

    let scan = fit(&scans(&alone, &all_pages));
    let aggregate = fit(&aggregates(&alone));
    let rest = fit(&rests(&alone));
    let exchange = fit(&exchanges(&together, slower));
    let fits = HashMap::from([
        (PAGE, scan.first()),
        ("PGJS_WALK_ROW", scan.get(1)),
        ("PGJS_FILTER_ROW", scan.get(2)),
        ("PGJS_DECODE_ROW", scan.get(3)),
        ("PGJS_GROUP_ROW", aggregate.first()),
        ("PGJS_TRANSITION", aggregate.get(1)),
        (START, rest.first()),
        ("PGJS_EMIT_ROW", rest.get(1)),
        ("PGJS_BUILD_ROW", rest.get(2)),
        ("PGJS_BUILD_BYTE", rest.get(3)),
        ("PGJS_PROBE_ROW", rest.get(4)),
        ("PGJS_OUTPUT_ROW", rest.get(5)),
        ("PGJS_NESTED_PAIR", rest.get(6)),
        ("PGJS_EXCHANGE_ROW", exchange.first()),
        ("PGJS_EXCHANGE_BYTE", exchange.get(1)),
    ]);
    let comparison = of_ratios(sorts(&alone));

    let mut server = open(runs, runs.sets()[0], 0)?;
    let (tuple, operator) = (server.ask_number("show cpu_tuple_cost;")?, server.ask_number("show cpu_operator_cost;")?);
    let none = Fit { value: 0.0, error: f64::INFINITY, samples: 0 };
    let fitted = |name: &str| fits.get(name).copied().flatten().copied().or(Some(none));
    let mut found: Vec<Found> = Vec::new();
    for (name, value) in defined {
        let unit = FITTED.iter().find(|(known, _)| known == name).map(|(_, unit)| match unit {
            Unit::Tuple => tuple,
            Unit::Operator => operator,
            Unit::Cost => 1.0,
        });
        let note = if name.starts_with("PGJS_EXCHANGE") { "writers and readers alone, without queues" } else { "" };
        found.push(match (name.as_str(), unit) {
            (COMPARISON, _) => judge(name, *value, Some(comparison), scale / operator, ""),
            (START, _) => judge(name, *value, fitted(name), scale, ""),
            (_, Some(unit)) => judge(name, *value, fitted(name), scale / unit, note),
            (_, None) => {
                let why =
                    UNTOLD.iter().find(|(untold, _)| untold == name).map_or("not known to this script", |(_, why)| why);
                judge(name, *value, None, 1.0, why)
            }
        });
    }
    found.push(judge(
        PAGE,
        server.ask_number(&format!("show {PAGE};"))?,
        fitted(PAGE),
        scale,
        "PostgreSQL's; of pages in memory",
    ));
    Ok(Constants { found, scale, workers: runs.workers, slower })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defines_are_read() {
        let source = "/* x */\n#define PGJS_WALK_ROW\t\t0.2\n#define PGJS_FLAG\n#define OTHER 3\n#define PGJS_HASH_OVERHEAD\t48\n";
        assert_eq!(parse(source), [("PGJS_WALK_ROW".to_string(), 0.2), ("PGJS_HASH_OVERHEAD".into(), 48.0)]);
    }

    #[test]
    fn every_constant_is_fitted_or_excused() {
        let names: Vec<_> = parse(include_str!("../../c_src/cost.c")).into_iter().map(|(name, _)| name).collect();
        assert!(names.len() > 15);
        let known = |name: &str| {
            [START, COMPARISON].contains(&name)
                || FITTED.iter().any(|(fitted, _)| *fitted == name)
                || UNTOLD.iter().any(|(untold, _)| *untold == name)
        };
        let unknown: Vec<_> = names.iter().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn what_the_data_cannot_tell_has_no_number() {
        let fit = |value, error, samples| Some(Fit { value, error, samples });
        assert_eq!(judge("x", 1.0, fit(2.0, 0.5, 9), 10.0, "").fitted, Some(20.0));
        for untold in [fit(2.0, 0.5, 2), fit(2.0, f64::INFINITY, 9), fit(2.0, 3.0, 9), fit(0.0, 1.0, 0), None] {
            assert_eq!(judge("x", 1.0, untold, 10.0, "").fitted, None);
        }
    }
}
