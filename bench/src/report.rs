//! How measurements read: a table for people, JSON for what comes after.

use std::fmt::Write as _;
use std::io;

use crate::engine::{Engine, Kind};
use crate::queries::{Query, Set};

/// The runs of one query on one engine, in milliseconds.
pub struct Timing {
    pub engine: String,
    pub kind: Kind,
    pub times: Vec<f64>,
}

impl Timing {
    pub fn new(engine: &str, kind: Kind, mut times: Vec<f64>) -> Timing {
        times.sort_by(f64::total_cmp);
        Timing { engine: engine.into(), kind, times }
    }

    pub fn median(&self) -> f64 {
        median(&self.times)
    }
}

/// The middle of sorted figures; NaN where there are none.
pub fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The middle of figures in any order; NaN where there are none.
pub fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    median(&figures)
}

/// Runs of several things in turns; the medians. One round before them warms up.
pub fn medians<const N: usize>(runs: usize, mut round: impl FnMut() -> io::Result<[f64; N]>) -> io::Result<[f64; N]> {
    round()?;
    warm_medians(runs, round)
}

/// The same of what is warm.
pub fn warm_medians<const N: usize>(
    runs: usize,
    mut round: impl FnMut() -> io::Result<[f64; N]>,
) -> io::Result<[f64; N]> {
    let mut all = vec![Vec::new(); N];
    for _ in 0..runs.max(1) {
        for (times, time) in all.iter_mut().zip(round()?) {
            times.push(time);
        }
    }
    Ok(std::array::from_fn(|i| middle(std::mem::take(&mut all[i]))))
}

pub struct Measured {
    pub set: Set,
    pub query: &'static Query,
    pub rows: usize,
    /// PostgreSQL's plans and JoinScan give the same rows.
    pub same: bool,
    /// What is wrong with the rows of other engines.
    pub differ: Vec<String>,
    /// What of PostgreSQL's stands above JoinScan in the plan; None when JoinScan stays out.
    pub above: Option<Vec<&'static str>>,
    /// Of JoinScan's operators, kB: the sum of each one's peak, so that no participant had more at once.
    pub peak_memory: u64,
    pub timings: Vec<Timing>,
}

impl Measured {
    fn of(&self, kind: Kind) -> f64 {
        self.timings.iter().filter(|timing| timing.kind == kind).map(Timing::median).fold(f64::NAN, f64::min)
    }

    /// The best of PostgreSQL's plans over JoinScan: how many times as fast that is.
    pub fn ratio(&self) -> f64 {
        self.of(Kind::Plain) / self.of(Kind::JoinScan)
    }

    /// PostgreSQL's plan with as many workers, which is what runs without the extension, over JoinScan.
    fn against_default(&self) -> f64 {
        let default = self.timings.iter().rfind(|timing| timing.kind == Kind::Plain);
        default.map_or(f64::NAN, Timing::median) / self.of(Kind::JoinScan)
    }

    /// The best of PostgreSQL's plans over another engine.
    pub fn ratio_of(&self, timing: &Timing) -> f64 {
        self.of(Kind::Plain) / timing.median()
    }

    /// One engine's time over JoinScan's; NaN where it has none.
    fn behind(&self, engine: &str) -> f64 {
        let timing = self.timings.iter().find(|timing| timing.engine == engine);
        timing.map_or(f64::NAN, Timing::median) / self.of(Kind::JoinScan)
    }

    pub fn others(&self) -> impl Iterator<Item = &Timing> {
        self.timings.iter().filter(|timing| timing.kind == Kind::DuckDb)
    }

    fn verdict(&self) -> &'static str {
        if self.same { "same" } else { "DIFFERENT" }
    }

    fn plan(&self) -> String {
        match self.above.as_deref() {
            None => "no JoinScan".into(),
            Some([]) => "JoinScan".into(),
            Some(above) => format!("JoinScan below {}", above.join(", ")),
        }
    }
}

/// Slower than this counts as slower.
const SLOWER: f64 = 1.0 / 1.05;

pub fn plain_engine(workers: u32) -> String {
    format!("PostgreSQL, {workers} workers")
}

pub fn header(set: Set, runs: usize, workers: u32, engines: &[Engine]) -> String {
    let mut out = format!(
        "{set:?}: medians of {runs} interleaved runs or more, ms: PostgreSQL with so many workers (one run where far from its \
         best), JoinScan with {workers}.\nThe ratio is to the best of PostgreSQL's; peak kB: memory of JoinScan's \
         operators, at most, in one participant.\n{:<16}{:>8}",
        "query", "rows"
    );
    for engine in engines {
        let title = match engine.kind {
            Kind::Plain => engine.name.trim_start_matches("PostgreSQL, ").to_string(),
            Kind::JoinScan => engine.name.clone(),
            Kind::DuckDb => engine.name.replace("DuckDB, ", "D.").replace("attached", "attach"),
        };
        let _ = write!(out, "{title:>11}");
    }
    let _ = write!(out, "{:>9}{:>10}  {:<10}{:<6}plan", "ratio", "peak kB", "rows are", "runs");
    out
}

pub fn line(measured: &Measured) -> String {
    let mut out = format!("{:<16}{:>8}", measured.query.name, measured.rows);
    let mut runs = 0;
    for timing in &measured.timings {
        match timing.times.len() {
            0 => out += &format!("{:>11}", "-"),
            _ => out += &format!("{:>11.2}", timing.median()),
        }
        if timing.kind == Kind::JoinScan {
            runs = timing.times.len();
        }
    }
    let _ = write!(
        out,
        "{:>8.2}x{:>10}  {:<10}{runs:<6}{}",
        measured.ratio(),
        measured.peak_memory,
        measured.verdict(),
        measured.plan()
    );
    for what in &measured.differ {
        let _ = write!(out, "; {what}");
    }
    out
}

/// Of the ratios that there are; NaN where there are none.
fn geometric_mean(ratios: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) =
        ratios.filter(|ratio| ratio.is_finite()).fold((0, 0.0), |(n, sum), ratio| (n + 1, sum + ratio.ln()));
    (sum / f64::from(count)).exp()
}

/// A line that names those whose ratio is below 1/1.05.
fn slower<'a>(which: &str, all: impl Iterator<Item = &'a Measured>, ratio: fn(&Measured) -> f64) -> String {
    let slow = all.filter(|measured| ratio(measured) < SLOWER);
    let names: Vec<_> = slow.map(|slow| format!("{} ({:.2}x)", slow.query.name, ratio(slow))).collect();
    let names = if names.is_empty() { "none".into() } else { names.join(", ") };
    format!("\nSlower than 1/1.05, {which}: {names}")
}

pub fn summary(set: Set, all: &[Measured]) -> String {
    let mean = geometric_mean(all.iter().map(Measured::ratio));
    let mut out = format!("{set:?}: geometric mean of {} ratios {mean:.2}x", all.len());
    if let Some(slowest) = all.iter().min_by(|a, b| a.ratio().total_cmp(&b.ratio())) {
        let _ = write!(out, ", the lowest {:.2}x ({})", slowest.ratio(), slowest.query.name);
    }
    let different = all.iter().filter(|measured| !measured.same).count();
    if different > 0 {
        let _ = write!(out, "; {different} with DIFFERENT rows");
    }
    let taken = all.iter().filter(|measured| measured.above.is_some()).count();
    let _ = write!(out, "\nJoinScan was chosen for {taken} of {}", all.len());
    // The last two are the same plans, or plans that differ in their workers: what differs may be chance.
    let by = |taken: bool| move |measured: &&Measured| measured.above.is_some() == taken;
    out += &slower("by JoinScan", all.iter().filter(by(true)), Measured::ratio);
    out += &slower("where it stayed out", all.iter().filter(by(false)), Measured::ratio);
    let default = "than PostgreSQL's plan with as many workers, by either";
    out += &slower(default, all.iter(), Measured::against_default);
    for other in all.first().into_iter().flat_map(Measured::others) {
        let behind: Vec<f64> =
            all.iter().map(|measured| measured.behind(&other.engine)).filter(|ratio| ratio.is_finite()).collect();
        let ahead = behind.iter().filter(|ratio| **ratio > 1.0).count();
        let mean = geometric_mean(behind.iter().copied());
        let differ = all.iter().filter(|m| m.differ.iter().any(|what| what.starts_with(&other.engine))).count();
        let _ = write!(
            out,
            "\nJoinScan and {}: {mean:.2}x as fast, ahead in {ahead} of {}; other rows (numbers compared with a tolerance of \
             1e-9) in {differ}",
            other.engine,
            behind.len()
        );
    }
    out
}

pub fn demo(measured: &Measured) -> String {
    let mut out = String::new();
    for timing in &measured.timings {
        let _ = writeln!(out, "{:<14}{:>10.2} ms (median of {})", timing.engine, timing.median(), timing.times.len());
    }
    let _ = write!(out, "rows: {}, {}; {:.2} times as fast", measured.rows, measured.verdict(), measured.ratio());
    if measured.above.is_none() {
        out += "; JoinScan stayed out";
    }
    out
}

/// A JSON string; the names are ours, but what an engine says is not.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push(' '),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A JSON number with so many digits behind the point; JSON has no NaN and no infinity.
pub fn json_number(number: f64, digits: usize) -> String {
    if number.is_finite() { format!("{number:.digits$}") } else { "null".into() }
}

pub fn json(sf: f64, workers: u32, all: &[Measured]) -> String {
    let mut out = format!("{{\"sf\": {sf}, \"workers\": {workers}, \"geometric_means\": {{");
    let means = Set::ALL.into_iter().filter_map(|set| {
        let of_set: Vec<_> = all.iter().filter(|measured| measured.set == set).map(Measured::ratio).collect();
        (!of_set.is_empty()).then(|| format!("\"{set:?}\": {:.4}", geometric_mean(of_set.into_iter())))
    });
    out += &means.collect::<Vec<_>>().join(", ");
    out += "}, \"queries\": [\n";
    for (i, measured) in all.iter().enumerate() {
        let differ: Vec<_> = measured.differ.iter().map(|what| quoted(what)).collect();
        let _ = write!(
            out,
            "  {{\"query\": \"{}\", \"set\": \"{:?}\", \"rows\": {}, \"same\": {}, \"others_differ\": [{}], \"plan\": \"{}\", \
             \"peak_memory_kb\": {}, \"ratio\": {:.4}, \"ms\": {{",
            measured.query.name,
            measured.set,
            measured.rows,
            measured.same,
            differ.join(", "),
            measured.plan(),
            measured.peak_memory,
            measured.ratio()
        );
        for (j, timing) in measured.timings.iter().enumerate() {
            let times: Vec<String> = timing.times.iter().map(|time| format!("{time:.3}")).collect();
            let _ = write!(out, "{}\"{}\": [{}]", if j > 0 { ", " } else { "" }, timing.engine, times.join(", "));
        }
        let _ = writeln!(out, "}}}}{}", if i + 1 < all.len() { "," } else { "" });
    }
    out + "]}\n"
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::queries::ALL;

    pub fn measured(times: [&[f64]; 4]) -> Measured {
        let names = ["PostgreSQL, 0 workers", "PostgreSQL, 1 workers", "PostgreSQL, 2 workers", "JoinScan"];
        let timings = names
            .iter()
            .zip(times)
            .map(|(name, times)| {
                let kind = if *name == "JoinScan" { Kind::JoinScan } else { Kind::Plain };
                Timing::new(name, kind, times.to_vec())
            })
            .collect();
        Measured {
            set: Set::Micro,
            query: &ALL[0],
            rows: 3,
            same: true,
            differ: Vec::new(),
            above: Some(vec!["sort"]),
            peak_memory: 77,
            timings,
        }
    }

    pub fn with_duckdb(mut measured: Measured, times: &[f64]) -> Measured {
        measured.timings.push(Timing::new("DuckDB, own", Kind::DuckDb, times.to_vec()));
        measured
    }

    #[test]
    fn the_median_is_the_middle_run() {
        assert_eq!(Timing::new("x", Kind::Plain, vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Timing::new("x", Kind::Plain, vec![4.0, 1.0, 2.0, 9.0]).median(), 3.0);
        assert!(Timing::new("x", Kind::Plain, vec![]).median().is_nan());
    }

    #[test]
    fn medians_warm_up_first() {
        let mut calls = 0.0;
        let got = medians(3, || {
            calls += 1.0;
            Ok([calls, -calls])
        });
        assert_eq!(got.ok(), Some([3.0, -3.0]));
    }

    #[test]
    fn the_ratio_compares_with_the_best_plan() {
        let measured = measured([&[100.0], &[30.0], &[40.0], &[10.0]]);
        assert_eq!(measured.ratio(), 3.0);
        assert!(line(&measured).contains("3.00x") && line(&measured).ends_with("JoinScan below sort"));
    }

    #[test]
    fn another_engine_is_not_postgresqls_best() {
        let one = with_duckdb(measured([&[100.0], &[30.0], &[40.0], &[10.0]]), &[5.0]);
        let two = with_duckdb(measured([&[100.0], &[30.0], &[40.0], &[10.0]]), &[]);
        assert_eq!(one.ratio(), 3.0);
        assert!(line(&two).contains(" - "));
        let text = summary(Set::Micro, &[one, two]);
        assert!(text.contains("JoinScan and DuckDB, own: 0.50x as fast, ahead in 0 of 1"), "{text}");
    }

    #[test]
    fn the_mean_is_geometric() {
        let all = [measured([&[4.0], &[9.0], &[9.0], &[1.0]]), measured([&[9.0], &[9.0], &[1.0], &[1.0]])];
        let text = summary(Set::Micro, &all);
        assert!(text.starts_with("Micro: geometric mean of 2 ratios 2.00x, the lowest 1.00x (shipping)\n"), "{text}");
    }

    #[test]
    fn slow_queries_are_named() {
        let all = [measured([&[4.0], &[9.0], &[9.0], &[4.1]]), measured([&[9.0], &[9.0], &[1.0], &[2.0]])];
        let text = summary(Set::Micro, &all);
        assert!(
            text.contains("by JoinScan: shipping (0.50x)\nSlower than 1/1.05, where it stayed out: none\n"),
            "{text}"
        );
        assert!(text.ends_with("than PostgreSQL's plan with as many workers, by either: shipping (0.50x)"), "{text}");
    }

    #[test]
    fn json_has_every_run() {
        let text = json(1.0, 2, &[measured([&[1.0], &[2.0], &[3.0], &[3.5, 3.0]])]);
        assert!(text.contains("\"JoinScan\": [3.000, 3.500]"), "{text}");
        assert!(text.contains("\"geometric_means\": {\"Micro\": 0.3077}"), "{text}");
        assert!(text.starts_with("{\"sf\": 1, ") && text.ends_with("]}\n"));
        assert_eq!(quoted("a\"b\n"), "\"a\\\"b \"");
    }
}
