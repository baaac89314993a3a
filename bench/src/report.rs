//! How measurements read: a table for people, JSON for what comes after.

use std::fmt::Write as _;

use crate::queries::{Query, Set};

/// The runs of one query on one engine, in milliseconds.
pub struct Timing {
    pub engine: String,
    pub times: Vec<f64>,
}

impl Timing {
    pub fn new(engine: &str, mut times: Vec<f64>) -> Timing {
        times.sort_by(f64::total_cmp);
        Timing { engine: engine.into(), times }
    }

    pub fn median(&self) -> f64 {
        match self.times.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => self.times[n / 2],
            n => (self.times[n / 2 - 1] + self.times[n / 2]) / 2.0,
        }
    }
}

pub struct Measured {
    pub query: &'static Query,
    pub rows: usize,
    pub same: bool,
    /// What of PostgreSQL's stands above JoinScan in the plan of the last engine; None when JoinScan stays out.
    pub above: Option<Vec<&'static str>>,
    pub timings: Vec<Timing>,
}

impl Measured {
    /// How many times as fast as the best of the engines before it the last engine is.
    fn ratio(&self) -> f64 {
        match self.timings.split_last() {
            Some((last, others)) => others.iter().map(Timing::median).fold(f64::NAN, f64::min) / last.median(),
            None => f64::NAN,
        }
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

pub fn plain_engine(workers: u32) -> String {
    format!("PostgreSQL, {workers} workers")
}

pub fn header(runs: usize, workers: u32) -> String {
    let mut out = format!(
        "Medians of {runs} interleaved runs or more, ms: PostgreSQL with so many workers (one run where far from its best), \
         JoinScan with {workers}.\nThe ratio is to the best of PostgreSQL's.\n{:<16}{:>8}",
        "query", "rows"
    );
    for count in 0..=workers {
        let _ = write!(out, "{:>11}", format!("{count} workers"));
    }
    let _ = write!(out, "{:>11}{:>9}  {:<10}{:<6}plan", "JoinScan", "ratio", "rows are", "runs");
    out
}

pub fn line(measured: &Measured) -> String {
    let mut out = format!("{:<16}{:>8}", measured.query.name, measured.rows);
    for timing in &measured.timings {
        let _ = write!(out, "{:>11.2}", timing.median());
    }
    let runs = measured.timings.last().map_or(0, |timing| timing.times.len());
    let _ = write!(out, "{:>8.2}x  {:<10}{runs:<6}{}", measured.ratio(), measured.verdict(), measured.plan());
    out
}

fn geometric_mean<'a>(all: impl Iterator<Item = &'a Measured> + Clone) -> f64 {
    let count = all.clone().count() as f64;
    (all.map(|measured| measured.ratio().ln()).sum::<f64>() / count).exp()
}

pub fn summary(set: Set, all: &[Measured]) -> String {
    let mut out = format!("{set:?}: geometric mean of {} ratios {:.2}x", all.len(), geometric_mean(all.iter()));
    if let Some(slowest) = all.iter().min_by(|a, b| a.ratio().total_cmp(&b.ratio())) {
        let _ = write!(out, ", the lowest {:.2}x ({})", slowest.ratio(), slowest.query.name);
    }
    let different = all.iter().filter(|measured| !measured.same).count();
    if different > 0 {
        let _ = write!(out, "; {different} with DIFFERENT rows");
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

/// Names are ours and need no escapes.
pub fn json(sf: f64, workers: u32, all: &[Measured]) -> String {
    let mut out = format!("{{\"sf\": {sf}, \"workers\": {workers}, \"geometric_means\": {{");
    let means = [Set::Micro, Set::Tpch].into_iter().filter_map(|set| {
        let of_set = all.iter().filter(|measured| measured.query.set == set);
        (of_set.clone().next().is_some()).then(|| format!("\"{set:?}\": {:.4}", geometric_mean(of_set)))
    });
    out += &means.collect::<Vec<_>>().join(", ");
    out += "}, \"queries\": [\n";
    for (i, measured) in all.iter().enumerate() {
        let _ = write!(
            out,
            "  {{\"query\": \"{}\", \"set\": \"{:?}\", \"rows\": {}, \"same\": {}, \"plan\": \"{}\", \"ratio\": {:.4}, \"ms\": {{",
            measured.query.name,
            measured.query.set,
            measured.rows,
            measured.same,
            measured.plan(),
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
mod tests {
    use super::*;
    use crate::queries::ALL;

    fn measured(times: [&[f64]; 4]) -> Measured {
        let names = ["PostgreSQL, 0 workers", "PostgreSQL, 1 workers", "PostgreSQL, 2 workers", "JoinScan"];
        let timings = names.iter().zip(times).map(|(name, times)| Timing::new(name, times.to_vec())).collect();
        Measured { query: &ALL[0], rows: 3, same: true, above: Some(vec!["sort"]), timings }
    }

    #[test]
    fn the_median_is_the_middle_run() {
        assert_eq!(Timing::new("x", vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Timing::new("x", vec![4.0, 1.0, 2.0, 9.0]).median(), 3.0);
        assert!(Timing::new("x", vec![]).median().is_nan());
    }

    #[test]
    fn the_ratio_compares_with_the_best_plan() {
        let measured = measured([&[100.0], &[30.0], &[40.0], &[10.0]]);
        assert_eq!(measured.ratio(), 3.0);
        assert!(line(&measured).contains("3.00x") && line(&measured).ends_with("JoinScan below sort"));
    }

    #[test]
    fn the_mean_is_geometric() {
        let all = [measured([&[4.0], &[9.0], &[9.0], &[1.0]]), measured([&[9.0], &[9.0], &[1.0], &[1.0]])];
        assert!((geometric_mean(all.iter()) - 2.0).abs() < 1e-12);
        assert_eq!(summary(Set::Micro, &all), "Micro: geometric mean of 2 ratios 2.00x, the lowest 1.00x (shipping)");
    }

    #[test]
    fn json_has_every_run() {
        let text = json(1.0, 2, &[measured([&[1.0], &[2.0], &[3.0], &[3.5, 3.0]])]);
        assert!(text.contains("\"JoinScan\": [3.000, 3.500]"), "{text}");
        assert!(text.contains("\"geometric_means\": {\"Micro\": 0.3077}"), "{text}");
        assert!(text.starts_with("{\"sf\": 1, ") && text.ends_with("]}\n"));
    }
}
