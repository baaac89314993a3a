//! The ratios as a chart: a bar for JoinScan and a mark for every other engine, against the best of PostgreSQL's plans,
//! on a logarithmic scale.

use std::fmt::Write as _;

use crate::queries::Set;
use crate::report::Measured;

const LEFT: f64 = 130.0;
const WIDTH: f64 = 640.0;
const RIGHT: f64 = 70.0;
const ROW: f64 = 20.0;
const TOP: f64 = 56.0;
const MARKS: [&str; 2] = ["#c0392b", "#8e6bb0"];

/// Factors to the left and right of 1 that the scale has room for: a power of two each.
fn range(ratios: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = ratios
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .fold((0.5, 2.0), |(a, b): (f64, f64), x| (a.min(x), b.max(x)));
    (least.log2().floor(), most.log2().ceil())
}

pub fn chart(all: &[Measured]) -> String {
    let every = all.iter().flat_map(|m| m.others().map(|timing| m.ratio_of(timing)).chain([m.ratio()]));
    let (low, high) = range(every);
    let x = |ratio: f64| LEFT + WIDTH * (ratio.log2() - low) / (high - low);
    let sets: Vec<Set> = Set::ALL.into_iter().filter(|set| all.iter().any(|measured| measured.set == *set)).collect();
    let height = TOP + ROW * (all.len() + 2 * sets.len()) as f64 + 20.0;
    let total = LEFT + WIDTH + RIGHT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{total}\" height=\"{height}\" fill=\"white\"/>\n<text x=\"10\" y=\"20\" \
         font-size=\"14\">Times as fast as the best of PostgreSQL's plans: JoinScan (bars)</text>\n"
    );
    let mut legend = 470.0;
    for (other, colour) in all.first().into_iter().flat_map(Measured::others).zip(MARKS) {
        let _ = writeln!(
            out,
            "<circle cx=\"{legend}\" cy=\"16\" r=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"20\">{}</text>",
            legend + 8.0,
            other.engine
        );
        legend += 140.0;
    }
    for power in low as i32..=high as i32 {
        let factor = f64::from(power).exp2();
        let (at, colour) = (x(factor), if power == 0 { "#333" } else { "#ddd" });
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{height}\" stroke=\"{colour}\"/><text x=\"{at:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{factor}</text>",
            TOP - 10.0,
            TOP - 14.0
        );
    }
    let mut y = TOP;
    for set in sets {
        y += ROW;
        let _ = writeln!(out, "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{set:?}</text>", y - 6.0);
        for measured in all.iter().filter(|measured| measured.set == set) {
            row(&mut out, measured, y, &x);
            y += ROW;
        }
        y += ROW;
    }
    out + "</svg>\n"
}

fn row(out: &mut String, measured: &Measured, y: f64, x: &impl Fn(f64) -> f64) {
    let ratio = measured.ratio();
    let middle = y + ROW / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        LEFT - 8.0,
        middle + 4.0,
        measured.query.name
    );
    if ratio.is_finite() {
        let (from, to) = (x(ratio.min(1.0)), x(ratio.max(1.0)));
        // Pale where JoinScan stayed out, and both are PostgreSQL's plans.
        let colour = match (measured.above.is_some(), ratio < 1.0) {
            (false, _) => "#bbb",
            (true, true) => "#e0a030",
            (true, false) => "#3b7dbd",
        };
        let _ = writeln!(
            out,
            "<rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{ratio:.2}\
             </text>",
            y + 3.0,
            to - from,
            ROW - 6.0,
            to + 6.0,
            middle + 4.0
        );
    }
    for (timing, colour) in measured.others().zip(MARKS) {
        let ratio = measured.ratio_of(timing);
        if ratio.is_finite() {
            let _ = writeln!(out, "<circle cx=\"{:.1}\" cy=\"{middle}\" r=\"4\" fill=\"{colour}\"/>", x(ratio));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{measured, with_duckdb};

    #[test]
    fn the_range_has_room_for_all() {
        assert_eq!(range([1.0].into_iter()), (-1.0, 1.0));
        assert_eq!(range([0.3, 7.0, f64::NAN].into_iter()), (-2.0, 3.0));
    }

    #[test]
    fn a_bar_and_a_mark_for_each_query() {
        let one = || with_duckdb(measured([&[100.0], &[30.0], &[40.0], &[10.0]]), &[5.0]);
        let chart = chart(&[one(), one()]);
        assert_eq!(chart.matches("#3b7dbd").count(), 2);
        assert_eq!(chart.matches(MARKS[0]).count(), 3); // and the legend
        assert_eq!(chart.matches("<text").count(), chart.matches("</text>").count());
        assert!(chart.ends_with("</svg>\n"));
    }
}
