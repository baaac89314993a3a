//! Do costs tell the truth? Query by query: what PostgreSQL's plan and JoinScan's are said to cost, how long they take,
//! which one is chosen, and what the choice loses; then what the constants of cost.c should be (`constants.rs`). Nothing is
//! changed, only said.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::Runs;
use crate::constants::{self, Constants};
use crate::measure::{chosen, database, no_query};
use crate::plan;
use crate::profile::number;
use crate::queries::{Query, Set};
use crate::report::{json_number, medians, middle, quoted, warm_medians};
use crate::session::Session;

#[derive(Args)]
pub struct Costs {
    #[command(flatten)]
    pub runs: Runs,
    /// Where the constants stand
    #[arg(long, default_value = "c_src/cost.c")]
    source: PathBuf,
}

/// PostgreSQL adds it to the cost of each node whose kind is off.
const DISABLE_COST: f64 = 1e10;

/// Paths of PostgreSQL lose by this, while those of JoinScan cost what they always do. With min_cost = 0 they would not.
const UNATTRACTIVE: [&str; 10] = [
    "seqscan",
    "indexscan",
    "indexonlyscan",
    "bitmapscan",
    "nestloop",
    "hashjoin",
    "mergejoin",
    "hashagg",
    "sort",
    "gathermerge",
];

/// A plan's figures.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    cost: f64,
    ms: f64,
}

impl Side {
    fn units_per_ms(self) -> f64 {
        self.cost / self.ms
    }
}

/// A query that can be run in both ways.
struct Choice {
    set: Set,
    query: &'static Query,
    postgres: Side,
    /// None where there is no such plan.
    joinscan: Option<Side>,
    /// At default settings.
    takes_joinscan: bool,
    /// PostgreSQL's plan costs less than joinscan.min_cost: whatever JoinScan's costs, it stays out.
    too_cheap: bool,
    note: String,
}

/// A choice counts as wrong where it is slower than the other plan by more than this.
const WRONG: f64 = 1.05;

impl Choice {
    /// ms that the choice loses against the faster plan.
    fn lost(&self) -> f64 {
        self.joinscan.map_or(0.0, |joinscan| lost(self.postgres, joinscan, self.takes_joinscan))
    }

    /// The time of what is chosen over that of the other plan.
    fn ratio(&self) -> f64 {
        match self.joinscan {
            None => 1.0,
            Some(joinscan) if self.takes_joinscan => joinscan.ms / self.postgres.ms,
            Some(joinscan) => self.postgres.ms / joinscan.ms,
        }
    }

    fn line(&self) -> String {
        let chosen = match (self.takes_joinscan, self.too_cheap) {
            (true, _) => "JoinScan",
            (false, true) => "PG, min_cost",
            (false, false) => "PostgreSQL",
        };
        let mut out = format!("{:<16}{:>12.0}{:>10.1}", self.query.name, self.postgres.cost, self.postgres.ms);
        match self.joinscan {
            Some(joinscan) => {
                let faster = if joinscan.ms < self.postgres.ms { "JoinScan" } else { "PostgreSQL" };
                let _ = write!(
                    out,
                    "{:>12.0}{:>10.1}{:>9.1}{:>9.1}  {chosen:<14}{faster:<12}{:>9.1}",
                    joinscan.cost,
                    joinscan.ms,
                    self.postgres.units_per_ms(),
                    joinscan.units_per_ms(),
                    self.lost()
                );
            }
            None => {
                let _ = write!(
                    out,
                    "{:>12}{:>10}{:>9.1}{:>9}  {chosen:<14}{:<12}{:>9}",
                    "-",
                    "-",
                    self.postgres.units_per_ms(),
                    "-",
                    "-",
                    "-"
                );
            }
        }
        if !self.note.is_empty() {
            let _ = write!(out, "  {}", self.note);
        }
        out
    }
}

fn lost(postgres: Side, joinscan: Side, takes_joinscan: bool) -> f64 {
    let slower = if takes_joinscan { joinscan.ms - postgres.ms } else { postgres.ms - joinscan.ms };
    slower.max(0.0)
}

/// A range of factors on JoinScan's costs within which all choices are the same.
#[derive(Debug, PartialEq)]
struct Factor {
    above: f64,
    below: f64,
    lost: f64,
}

fn lost_with(pairs: &[(Side, Side)], factor: f64) -> f64 {
    pairs.iter().map(|&(postgres, joinscan)| lost(postgres, joinscan, joinscan.cost * factor < postgres.cost)).sum()
}

/// The factor that loses least; of several, the one next to 1. Choices change where a factor makes both costs equal, and
/// nowhere else. None where there is nothing to choose.
fn best_factor(pairs: &[(Side, Side)]) -> Option<Factor> {
    let mut breaks: Vec<f64> = pairs.iter().map(|(postgres, joinscan)| postgres.cost / joinscan.cost).collect();
    breaks.retain(|ratio| ratio.is_finite());
    breaks.sort_by(f64::total_cmp);
    let (least, most) = (*breaks.first()?, *breaks.last()?);
    let ends = std::iter::once(0.0).chain(breaks.iter().copied());
    let ranges = ends.zip(breaks.iter().copied().chain([f64::INFINITY]));
    let middle = |above: f64, below: f64| match (above, below) {
        (0.0, _) => least / 2.0,
        (_, f64::INFINITY) => most * 2.0,
        _ => (above * below).sqrt(),
    };
    // How far from 1 the range's next point is.
    let distance = |factor: &Factor| {
        if factor.above < 1.0 && factor.below > 1.0 {
            0.0
        } else {
            factor.above.ln().abs().min(factor.below.ln().abs())
        }
    };
    ranges
        .filter(|(above, below)| above < below)
        .map(|(above, below)| Factor { above, below, lost: lost_with(pairs, middle(above, below)) })
        .min_by(|a, b| a.lost.total_cmp(&b.lost).then_with(|| distance(a).total_cmp(&distance(b))))
}

/// Of an EXPLAIN's first line, without what the nodes have to it whose kind is off.
fn total_cost(lines: &[String]) -> Option<f64> {
    let cost: f64 = lines.first()?.split_once("(cost=")?.1.split_once("..")?.1.split_once(' ')?.0.parse().ok()?;
    Some(cost.rem_euclid(DISABLE_COST))
}

fn has_disabled_nodes(lines: &[String]) -> bool {
    lines.iter().any(|line| line.split_once("(cost=").is_some_and(|(_, cost)| number(cost, "..") >= DISABLE_COST))
}

fn open(runs: &Runs, set: Set, settings: &[String]) -> io::Result<Session> {
    let mut all = vec![format!("set max_parallel_workers_per_gather = {};", runs.workers)];
    all.extend_from_slice(settings);
    Session::open(&runs.psql, database(runs, set), &all)
}

fn unattractive() -> Vec<String> {
    let off = UNATTRACTIVE.iter().map(|kind| format!("set enable_{kind} = off;"));
    off.chain(["set joinscan.min_cost = 1;".into()]).collect()
}

/// JoinScan may be so much slower that nobody waits: after so many times PostgreSQL's time and some seconds it is left.
const PATIENCE: f64 = 5.0;
const PATIENCE_MS: f64 = 2000.0;

struct Sides {
    postgres: Session,
    default: Session,
    forced: Session,
    min_cost: f64,
}

impl Sides {
    fn open(runs: &Runs, set: Set) -> io::Result<Sides> {
        let mut default = open(runs, set, &[])?;
        let min_cost = default.ask_number("show joinscan.min_cost;")?;
        let postgres = open(runs, set, &["set joinscan.enabled = off;".into()])?;
        Ok(Sides { postgres, default, forced: open(runs, set, &unattractive())?, min_cost })
    }

    fn compare(&mut self, runs: &Runs, set: Set, query: &'static Query) -> io::Result<Choice> {
        let sql = query.sql(runs.sf);
        let explain = format!("explain {sql};");
        let no_cost = || io::Error::other(format!("EXPLAIN of {} printed no cost", query.name));
        let cost = total_cost(&self.postgres.ask(&explain)?).ok_or_else(no_cost)?;
        let by_default = self.default.ask(&explain)?;
        let takes_joinscan = plan::besides_joinscan(&by_default).is_some();
        let lines = if takes_joinscan { by_default } else { self.forced.ask(&explain)? };
        let too_cheap = cost < self.min_cost;
        let mut choice = Choice {
            set,
            query,
            postgres: Side { cost, ms: f64::NAN },
            joinscan: None,
            takes_joinscan,
            too_cheap,
            note: String::new(),
        };
        if plan::besides_joinscan(&lines).is_none() {
            [choice.postgres.ms] = medians(runs.runs, || Ok([self.postgres.time(&sql)?]))?;
            choice.note = "no JoinScan, though nothing else has a choice".into();
            return Ok(choice);
        }
        let joinscan_cost = total_cost(&lines).ok_or_else(no_cost)?;
        if has_disabled_nodes(&lines) {
            choice.note = "with nodes of PostgreSQL that had no choice".into();
        }

        let warm = self.postgres.time(&sql)?;
        let patience = PATIENCE * warm + PATIENCE_MS;
        let joinscan = if takes_joinscan { &mut self.default } else { &mut self.forced };
        joinscan.ask(&format!("set statement_timeout = {patience:.0};"))?;
        if joinscan.time(&sql).is_err() {
            // psql has ended with the ERROR.
            choice.note = format!(
                "JoinScan was left after {patience:.0} ms{}{}",
                if choice.note.is_empty() { "" } else { "; " },
                choice.note
            );
            if takes_joinscan {
                self.default = open(runs, set, &[])?;
            } else {
                self.forced = open(runs, set, &unattractive())?;
            }
            [choice.postgres.ms] = warm_medians(runs.runs, || Ok([self.postgres.time(&sql)?]))?;
            choice.joinscan = Some(Side { cost: joinscan_cost, ms: patience });
            return Ok(choice);
        }
        joinscan.ask("set statement_timeout = 0;")?;
        let [postgres_ms, joinscan_ms] =
            warm_medians(runs.runs, || Ok([self.postgres.time(&sql)?, joinscan.time(&sql)?]))?;
        choice.postgres.ms = postgres_ms;
        choice.joinscan = Some(Side { cost: joinscan_cost, ms: joinscan_ms });
        Ok(choice)
    }
}

/// Units of cost per ms of PostgreSQL's own plans.
fn scale(choices: &[Choice]) -> f64 {
    middle(choices.iter().map(|choice| choice.postgres.units_per_ms()).filter(|scale| scale.is_finite()).collect())
}

fn pairs(choices: &[Choice], too_cheap: bool) -> Vec<(Side, Side)> {
    let of = choices.iter().filter(|choice| choice.too_cheap == too_cheap);
    of.filter_map(|choice| Some((choice.postgres, choice.joinscan?))).collect()
}

fn summary(choices: &[Choice]) -> String {
    let of_joinscan = choices.iter().filter_map(|choice| Some(choice.joinscan?.units_per_ms()));
    let mut out = format!(
        "Units of cost per ms, medians: PostgreSQL {:.1}, JoinScan {:.1}\n",
        scale(choices),
        middle(of_joinscan.collect())
    );
    let wrong: Vec<_> = choices.iter().filter(|choice| choice.ratio() > WRONG).collect();
    let all: f64 = choices.iter().map(Choice::lost).sum();
    let _ = write!(out, "Wrong choices (slower by more than 5 %): {} of {}", wrong.len(), choices.len());
    let by_minimum = wrong.iter().filter(|choice| choice.too_cheap && !choice.takes_joinscan).count();
    if by_minimum > 0 {
        let _ = write!(out, ", {by_minimum} of them by joinscan.min_cost");
    }
    let _ = write!(out, "; all choices together lose {all:.0} ms");
    if let Some(worst) = wrong.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio())) {
        let _ = write!(out, "; the worst is {:.2} times as slow ({})", worst.ratio(), worst.query.name);
    }
    let open = pairs(choices, false);
    if let Some(best) = best_factor(&open) {
        let fixed = choices.iter().filter(|choice| choice.too_cheap).map(Choice::lost).fold(0.0, |sum, ms| sum + ms);
        let _ = write!(
            out,
            "\nThe factor on JoinScan's costs that loses least is between {:.2} and {:.2}: {:.0} ms; 1 loses {:.0} ms (what \
             joinscan.min_cost loses, {fixed:.0} ms, is in both)",
            best.above,
            best.below,
            best.lost + fixed,
            lost_with(&open, 1.0) + fixed
        );
    }
    let other = |choice: &&Choice| {
        choice.joinscan.is_some_and(|joinscan| (joinscan.cost < choice.postgres.cost) != choice.takes_joinscan)
            && !choice.too_cheap
    };
    let others: Vec<_> = choices.iter().filter(other).map(|choice| choice.query.name).collect();
    if !others.is_empty() {
        let _ = write!(out, "\nChosen against the two plans' costs, so that no factor tells: {}", others.join(", "));
    }
    out
}

pub fn run(costs: &Costs) -> io::Result<bool> {
    let runs = &costs.runs;
    let defined = constants::parse(&std::fs::read_to_string(&costs.source)?);
    let mut choices = Vec::new();
    for set in runs.sets() {
        let queries = chosen(runs, set);
        if queries.is_empty() {
            continue;
        }
        let mut sides = Sides::open(runs, set)?;
        println!(
            "{set:?}: cost and time (medians of {} interleaved runs) of PostgreSQL's plan and of JoinScan's, and the choice at default settings\n\
             {:<16}{:>12}{:>10}{:>12}{:>10}{:>9}{:>9}  {:<14}{:<12}{:>9}",
            runs.runs,
            "query",
            "PG cost",
            "PG ms",
            "JS cost",
            "JS ms",
            "PG u/ms",
            "JS u/ms",
            "chosen",
            "faster",
            "lost ms"
        );
        for query in queries {
            let choice = sides.compare(runs, set, query)?;
            println!("{}", choice.line());
            choices.push(choice);
        }
        println!();
    }
    if choices.is_empty() {
        return Err(no_query());
    }
    println!("{}\n", summary(&choices));
    let constants = constants::measure(runs, &defined, scale(&choices))?;
    print!("{}", constants.table());
    if let Some(path) = &runs.json {
        std::fs::write(path, json(&choices, &constants))?;
        println!("written to {}", path.display());
    }
    Ok(true) // a wrong choice is a measurement, no failure
}

pub fn or_null(number: f64) -> String {
    json_number(number, 6)
}

fn json(choices: &[Choice], constants: &Constants) -> String {
    let mut out = String::from("{\"choices\": [\n");
    for (i, choice) in choices.iter().enumerate() {
        let joinscan = choice.joinscan.unwrap_or(Side { cost: f64::NAN, ms: f64::NAN });
        let _ = writeln!(
            out,
            "  {{\"set\": \"{:?}\", \"query\": {}, \"postgres\": {{\"cost\": {}, \"ms\": {}}}, \"joinscan\": {{\"cost\": {}, \"ms\": {}}}, \
             \"takes_joinscan\": {}, \"below_min_cost\": {}, \"lost_ms\": {}, \"note\": {}}}{}",
            choice.set,
            quoted(choice.query.name),
            or_null(choice.postgres.cost),
            or_null(choice.postgres.ms),
            or_null(joinscan.cost),
            or_null(joinscan.ms),
            choice.takes_joinscan,
            choice.too_cheap,
            or_null(choice.lost()),
            quoted(&choice.note),
            if i + 1 < choices.len() { "," } else { "" }
        );
    }
    let factor = best_factor(&pairs(choices, false)).map_or("null".into(), |best| {
        format!(
            "{{\"above\": {}, \"below\": {}, \"lost_ms\": {}}}",
            or_null(best.above),
            or_null(best.below),
            or_null(best.lost)
        )
    });
    let _ =
        writeln!(out, "], \"units_per_ms\": {}, \"factor\": {factor}, {}}}", or_null(scale(choices)), constants.json());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(postgres: (f64, f64), joinscan: (f64, f64)) -> (Side, Side) {
        (Side { cost: postgres.0, ms: postgres.1 }, Side { cost: joinscan.0, ms: joinscan.1 })
    }

    #[test]
    fn a_choice_loses_what_the_other_plan_had_saved() {
        let (postgres, joinscan) = pair((100.0, 10.0), (50.0, 30.0));
        assert_eq!(lost(postgres, joinscan, true), 20.0);
        assert_eq!(lost(postgres, joinscan, false), 0.0);
    }

    #[test]
    fn the_best_factor_lies_between_the_right_choices() {
        // Right: JoinScan for the first (below 4), PostgreSQL for the second (above 2).
        let pairs = [pair((400.0, 40.0), (100.0, 10.0)), pair((200.0, 5.0), (100.0, 20.0))];
        assert_eq!(lost_with(&pairs, 1.0), 15.0);
        assert_eq!(best_factor(&pairs), Some(Factor { above: 2.0, below: 4.0, lost: 0.0 }));
    }

    #[test]
    fn of_equal_factors_the_one_next_to_1() {
        let pairs = [pair((50.0, 10.0), (100.0, 10.0)), pair((300.0, 10.0), (100.0, 10.0))];
        assert_eq!(best_factor(&pairs), Some(Factor { above: 0.5, below: 3.0, lost: 0.0 }));
        assert_eq!(best_factor(&[]), None);
    }

    #[test]
    fn where_joinscan_always_loses_no_factor_is_too_high() {
        let best = best_factor(&[pair((100.0, 1.0), (100.0, 2.0))]);
        assert_eq!(best, Some(Factor { above: 1.0, below: f64::INFINITY, lost: 0.0 }));
    }

    #[test]
    fn costs_are_read_without_what_disabled_nodes_have_to_them() {
        let lines =
            ["Limit  (cost=10000010555.06..20000010555.06 rows=1 width=192)".to_string(), "  ->  Seq Scan on a".into()];
        assert!(total_cost(&lines).is_some_and(|cost| (cost - 10555.06).abs() < 0.01));
        assert!(has_disabled_nodes(&lines));
        assert!(!has_disabled_nodes(&["Limit  (cost=0.00..5.06 rows=1 width=192)".into()]));
        assert_eq!(total_cost(&["Limit".into()]), None);
    }
}
