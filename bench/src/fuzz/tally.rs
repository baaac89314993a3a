//! What came of the queries, and the tables that are printed at the end.

use std::collections::HashMap;
use std::time::Duration;

use crate::plan::Besides;

use super::server::{Verdict, Verified};

#[derive(Default)]
pub struct Tally {
    pub queries: u64,
    pub skipped: u64,
    /// PostgreSQL's own plans differ.
    pub excused: u64,
    /// Only one side met an error that the order of evaluation decides about.
    pub by_order: u64,
    /// Memory ran out with JoinScan alone: why PostgreSQL's plan did not take over.
    pub beyond_memory: HashMap<String, u64>,
    pub otherwise: u64,
    pub mismatches: u64,
    timeouts: u64,
    with_workers: u64,
    with_rows: u64,
    parts: HashMap<String, u64>,
    errors: HashMap<String, u64>,
    invalid: HashMap<String, u64>,
    declined: HashMap<String, u64>,
    groups: HashMap<String, u64>,
    above: HashMap<String, u64>,
}

const GROUPS_INSIDE: &str = "by JoinScan";

impl Tally {
    pub fn count(&mut self, verdict: &Verdict, verified: &Verified) {
        self.queries += 1;
        match verdict {
            Verdict::Equal { error: Some(state) } => *self.errors.entry(state.clone()).or_default() += 1,
            Verdict::Invalid(state) => *self.invalid.entry(state.clone()).or_default() += 1,
            Verdict::Timeout => self.timeouts += 1,
            _ => {}
        }
        self.with_workers += u64::from(verified.workers);
        self.with_rows += u64::from(verified.rows);
        if !verified.part.is_empty() {
            *self.parts.entry(verified.part.clone()).or_default() += 1;
        }
        for reason in &verified.declined {
            *self.declined.entry(without_numbers(reason)).or_default() += 1;
        }
    }

    /// Who aggregates in a query that groups, and what else of PostgreSQL's stands above JoinScan.
    pub fn count_plan(&mut self, groups: bool, besides: Option<&Besides>) {
        if groups {
            let who = match besides {
                None => "no JoinScan in the plan",
                Some(besides) if besides.aggregates => "by PostgreSQL, besides JoinScan",
                Some(_) => GROUPS_INSIDE,
            };
            *self.groups.entry(who.into()).or_default() += 1;
        }
        for kind in besides.iter().flat_map(|besides| &besides.above) {
            *self.above.entry(kind.to_string()).or_default() += 1;
        }
    }

    /// Of the queries that group, so many in a hundred.
    fn groups_inside(&self) -> f64 {
        let inside = self.groups.get(GROUPS_INSIDE).copied().unwrap_or_default() as f64;
        100.0 * inside / (self.groups.values().sum::<u64>().max(1) as f64)
    }

    /// Of the queries that have a join in their plan, so many in a hundred.
    fn share(&self, part: &str) -> f64 {
        let of = |part: &str| self.parts.get(part).copied().unwrap_or_default() as f64;
        let joins = of("whole join tree") + of("part of the joins") + of("not in the plan");
        if joins == 0.0 { 0.0 } else { 100.0 * of(part) / joins }
    }

    pub fn line(&self) -> String {
        format!(
            "{} queries, JoinScan took {:.0} % of the join trees whole and {:.0} % in part, {:.0} % of the groupings, {} excused, {} by evaluation order, {} mismatches",
            self.queries,
            self.share("whole join tree"),
            self.share("part of the joins"),
            self.groups_inside(),
            self.excused,
            self.by_order,
            self.mismatches
        )
    }

    pub fn report(&self, elapsed: Duration) {
        println!("\n{} in {:.0} s", self.line(), elapsed.as_secs_f64());
        println!(
            "{} with rows, {} with workers of JoinScan, {} also prepared or by cursor, {} left out as too large, {} timeouts",
            self.with_rows, self.with_workers, self.otherwise, self.skipped, self.timeouts
        );
        table("out of memory with JoinScan alone (--strict counts them as mismatches)", &self.beyond_memory);
        table("join trees", &self.parts);
        table("queries that group: who does it", &self.groups);
        table("plans with PostgreSQL's nodes above JoinScan", &self.above);
        table("why JoinScan stayed out", &self.declined);
        table("errors, the same on both sides", &self.errors);
        table("no valid queries", &self.invalid);
    }
}

fn table(title: &str, counts: &HashMap<String, u64>) {
    if counts.is_empty() {
        return;
    }
    println!("{title}:");
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    rows.iter().for_each(|(what, count)| println!("{count:7}  {what}"));
}

/// Reasons that differ in their numbers alone are one; those in a type's name stay.
fn without_numbers(reason: &str) -> String {
    let mut text = String::new();
    for word in reason.split_inclusive(' ') {
        if word.trim_start_matches('(').starts_with(|c: char| c.is_ascii_digit()) {
            text += &word.replace(|c: char| c.is_ascii_digit(), "#");
            while text.contains("##") {
                text = text.replace("##", "#");
            }
        } else {
            text += word;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn numbers_are_one() {
        assert_eq!(without_numbers("cost 1234, is (56 kB) of int4"), "cost #, is (# kB) of int4");
    }
}
