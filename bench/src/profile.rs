//! Where a JoinScan's time goes, operator by operator, from the text of EXPLAIN (ANALYZE, VERBOSE).

use std::fmt::Write as _;

/// One operator of a JoinScan plan; its figures are sums over the participants but for memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operator {
    pub name: String,
    /// How deep it stands below the plan's root.
    pub depth: usize,
    /// Rows that it gave.
    pub rows: u64,
    /// Own time of all participants together, ms; without VERBOSE there is none.
    pub own: f64,
    /// Of its stream, at the first operator that names it: between participants, without what stays in one.
    pub bytes: u64,
    /// kB, in the participant that had most.
    pub memory: u64,
    /// Bytes of a row by the planner's estimate; 0 with COSTS OFF, and of operators without an estimate.
    pub width: u64,
    /// What else EXPLAIN says of it, a line each.
    pub details: Vec<String>,
}

impl Operator {
    /// What follows `key` in the details.
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.details.iter().find_map(|line| line.strip_prefix(key))
    }
}

const PLAN: &str = "JoinScan Plan:";
const ARROW: &str = "->  ";
const INDENT: usize = 6;

/// All operators of all JoinScans of a plan, in pre-order.
pub fn operators(lines: &[String]) -> Vec<Operator> {
    let mut out: Vec<Operator> = Vec::new();
    let mut plan: Option<usize> = None; // where the operators' arrows begin
    for line in lines {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text == PLAN {
            plan = Some(indent + 2);
            continue;
        }
        // A line that stands no deeper than the title is no longer of this plan.
        let Some(start) = plan.filter(|start| indent >= *start) else {
            plan = None;
            continue;
        };
        if let Some(operator) = text.strip_prefix(ARROW) {
            let (name, figures) = operator.split_once(" (actual ").unwrap_or((operator, ""));
            let (name, estimates) = name.split_once("  (rows=").unwrap_or((name, ""));
            out.push(Operator {
                name: name.into(),
                depth: (indent - start) / INDENT,
                rows: number(figures, "rows=") as u64,
                width: number(estimates, "width=") as u64,
                ..Operator::default()
            });
        } else if let Some(last) = out.last_mut() {
            if text.starts_with("Participant ") {
                last.own += number(text, "time=");
            } else if text.starts_with("Sent: ") {
                last.bytes = number(text, "bytes=") as u64;
            } else if let Some(memory) = text.strip_prefix("Peak Memory: ") {
                last.memory = number(memory, "") as u64;
            } else {
                last.details.push(text.into());
            }
        }
    }
    out
}

/// The number after `key`, or 0.
pub fn number(text: &str, key: &str) -> f64 {
    let Some((_, rest)) = text.split_once(key) else { return 0.0 };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].parse().unwrap_or(0.0)
}

/// The operators directly below one.
pub fn inputs(operators: &[Operator], at: usize) -> Vec<&Operator> {
    let below = operators[at + 1..].iter().take_while(|other| other.depth > operators[at].depth);
    below.filter(|other| other.depth == operators[at].depth + 1).collect()
}

/// Rows that come in: those of the operators directly below; of a scan, those that it sees.
pub fn rows_in(operators: &[Operator], at: usize) -> u64 {
    let children = inputs(operators, at);
    if children.is_empty() { operators[at].rows } else { children.iter().map(|child| child.rows).sum() }
}

/// `time`: the execution's, ms.
pub fn table(operators: &[Operator], time: f64) -> String {
    if operators.is_empty() {
        return format!("no JoinScan, {time:.3} ms\n");
    }
    let total: f64 = operators.iter().map(|operator| operator.own).sum();
    let mut out = format!(
        "{:<64}{:>12}{:>12}{:>10}{:>9}{:>7}{:>12}{:>11}\n",
        "operator", "rows in", "rows out", "own ms", "ns/row", "share", "sent bytes", "peak kB"
    );
    for (i, operator) in operators.iter().enumerate() {
        let rows = rows_in(operators, i);
        let name = format!("{:1$}{2}", "", 2 * operator.depth, operator.name);
        let per_row = if rows > 0 { operator.own * 1e6 / rows as f64 } else { 0.0 };
        let share = if total > 0.0 { 100.0 * operator.own / total } else { 0.0 };
        let or_blank = |figure: u64| if figure > 0 { figure.to_string() } else { String::new() };
        let _ = writeln!(
            out,
            "{name:<64}{rows:>12}{:>12}{:>10.3}{per_row:>9.1}{share:>6.1}%{:>12}{:>11}",
            operator.rows,
            operator.own,
            or_blank(operator.bytes),
            or_blank(operator.memory)
        );
    }
    let _ = writeln!(
        out,
        "execution {time:.3} ms; own times {total:.3} ms of all participants together. What is in neither: launch, copies \
         into and out of queues, emit, waiting. Rows that a join's filter drops in a scan without conditions are not counted"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Limit (actual time=1.0..2.0 rows=1 loops=1)
  ->  Custom Scan (JoinScan) (actual time=1.0..2.0 rows=1 loops=1)
        Participants Planned: 2
        JoinScan Plan:
          ->  Reader (stream 0, gather) (actual rows=9 longest time=0.000)
                Sent: rows=4 bytes=512
                Participant 0: rows=9 time=0.000
                ->  Hash Join  (rows=8 width=24) (actual rows=9 longest time=3.500)
                      Hash Cond: (a.x = b.x)
                      Peak Memory: 33 kB
                      Participant 0: rows=5 time=3.500
                      Participant 1: rows=4 time=2.500
                      ->  Heap Scan on public.a (actual rows=100 longest time=1.000)
                            Participant 0: rows=100 time=1.000
                      ->  Heap Scan on public.b (actual rows=900 longest time=1.000)
Planning Time: 1.000 ms
Execution Time: 6.000 ms";

    fn parsed() -> Vec<Operator> {
        operators(&TEXT.lines().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn figures_are_read() {
        let operators = parsed();
        let depths: Vec<_> = operators.iter().map(|operator| (operator.name.as_str(), operator.depth)).collect();
        assert_eq!(
            depths,
            [
                ("Reader (stream 0, gather)", 0),
                ("Hash Join", 1),
                ("Heap Scan on public.a", 2),
                ("Heap Scan on public.b", 2)
            ]
        );
        assert_eq!((operators[1].width, operators[1].detail("Hash Cond: ")), (24, Some("(a.x = b.x)")));
        assert_eq!((operators[0].bytes, operators[1].memory, operators[1].own), (512, 33, 6.0));
        assert_eq!((rows_in(&operators, 0), rows_in(&operators, 1), rows_in(&operators, 2)), (9, 1000, 100));
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let table = table(&parsed(), 6.0);
        assert_eq!(table.lines().count(), 6);
        // 6 ms for 1000 rows.
        assert!(table.lines().nth(2).is_some_and(|line| line.contains("6000.0")), "{table}");
    }
}
