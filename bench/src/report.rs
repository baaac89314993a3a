//! How measurements read: a table for people, JSON for what comes after.

use std::fmt::Write as _;

use crate::queries::Query;

/// The runs of one query on one engine, in milliseconds.
pub struct Timing {
    pub engine: &'static str,
    pub times: Vec<f64>,
}

impl Timing {
    pub fn new(engine: &'static str, mut times: Vec<f64>) -> Timing {
        times.sort_by(f64::total_cmp);
        Timing { engine, times }
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
    /// JoinScan stands in the plan of the last engine.
    pub joinscan: bool,
    pub timings: Vec<Timing>,
}

impl Measured {
    /// How many times as fast as the engine before it the last engine is.
    fn ratio(&self) -> f64 {
        match self.timings.as_slice() {
            [.., before, last] => before.median() / last.median(),
            _ => f64::NAN,
        }
    }

    fn verdict(&self) -> &'static str {
        if self.same { "same" } else { "DIFFERENT" }
    }
}

pub fn header(runs: usize, workers: u32) -> String {
    format!(
        "Medians of {runs} interleaved runs, ms; parallel plans and JoinScan with {workers} workers.\n\
         {:<16}{:>10}{:>12}{:>12}{:>12}{:>10}  {:<10}{}",
        "query", "rows", "serial", "parallel", "JoinScan", "ratio", "rows are", "JoinScan in plan"
    )
}

pub fn line(measured: &Measured) -> String {
    let mut out = format!("{:<16}{:>10}", measured.query.name, measured.rows);
    for timing in &measured.timings {
        let _ = write!(out, "{:>12.2}", timing.median());
    }
    let _ = write!(
        out,
        "{:>9.2}x  {:<10}{}",
        measured.ratio(),
        measured.verdict(),
        if measured.joinscan { "yes" } else { "no" }
    );
    out
}

pub fn demo(measured: &Measured) -> String {
    let mut out = String::new();
    for timing in &measured.timings {
        let _ = writeln!(out, "{:<14}{:>10.2} ms (median of {})", timing.engine, timing.median(), timing.times.len());
    }
    let _ = write!(out, "rows: {}, {}; {:.2} times as fast", measured.rows, measured.verdict(), measured.ratio());
    if !measured.joinscan {
        out += "; JoinScan stayed out";
    }
    out
}

/// Names are ours and need no escapes.
pub fn json(all: &[Measured]) -> String {
    let mut out = String::from("[\n");
    for (i, measured) in all.iter().enumerate() {
        let _ = write!(
            out,
            "  {{\"query\": \"{}\", \"rows\": {}, \"same\": {}, \"joinscan\": {}, \"ms\": {{",
            measured.query.name, measured.rows, measured.same, measured.joinscan
        );
        for (j, timing) in measured.timings.iter().enumerate() {
            let times: Vec<String> = timing.times.iter().map(|time| format!("{time:.3}")).collect();
            let _ = write!(out, "{}\"{}\": [{}]", if j > 0 { ", " } else { "" }, timing.engine, times.join(", "));
        }
        let _ = writeln!(out, "}}}}{}", if i + 1 < all.len() { "," } else { "" });
    }
    out + "]\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::ALL;

    fn measured(times: [&[f64]; 3]) -> Measured {
        let names = ["PostgreSQL serial", "PostgreSQL parallel", "JoinScan"];
        let timings = names.iter().zip(times).map(|(name, times)| Timing::new(name, times.to_vec())).collect();
        Measured { query: &ALL[0], rows: 3, same: true, joinscan: true, timings }
    }

    #[test]
    fn the_median_is_the_middle_run() {
        assert_eq!(Timing::new("x", vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Timing::new("x", vec![4.0, 1.0, 2.0, 9.0]).median(), 3.0);
        assert!(Timing::new("x", vec![]).median().is_nan());
    }

    #[test]
    fn the_ratio_compares_with_the_parallel_plan() {
        let measured = measured([&[100.0], &[30.0], &[10.0]]);
        assert_eq!(measured.ratio(), 3.0);
        assert!(line(&measured).contains("3.00x"));
    }

    #[test]
    fn json_has_every_run() {
        let text = json(&[measured([&[1.0], &[2.0], &[3.5, 3.0]])]);
        assert!(text.contains("\"JoinScan\": [3.000, 3.500]"), "{text}");
        assert!(text.starts_with("[\n") && text.ends_with("]\n"));
    }
}
