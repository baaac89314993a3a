//! What of a plan stands above JoinScan, as EXPLAIN shows it.

/// What PostgreSQL does besides the JoinScans of a plan.
#[derive(Debug, PartialEq, Eq)]
pub struct Besides {
    /// The kinds of its nodes that stand above a JoinScan, each once.
    pub above: Vec<&'static str>,
    /// It aggregates, outside of subqueries that are parameters or CTEs, and not for a leaf of a JoinScan.
    pub aggregates: bool,
}

/// None where there is no JoinScan.
pub fn besides_joinscan(lines: &[String]) -> Option<Besides> {
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut found = false;
    let mut besides = Besides { above: Vec::new(), aggregates: false };
    for (i, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let node = match text.strip_prefix("->  ") {
            Some(node) => node,
            None if i == 0 => text,
            // Its rows are parameters, or read elsewhere: what is above the plan that has it is not above them.
            None if ["InitPlan ", "SubPlan ", "CTE "].iter().any(|word| text.starts_with(word)) => "",
            None => continue,
        };
        path.retain(|(outer, _)| *outer < indent);
        let aside = path.iter().rposition(|(_, node)| node.is_empty());
        if node.starts_with(JOINSCAN) {
            found = true;
            let from = aside.map_or(0, |place| place + 1);
            besides.above.extend(path[from..].iter().filter_map(|(_, node)| kind(node)));
        }
        let below = path.iter().any(|(_, node)| node.starts_with(JOINSCAN));
        besides.aggregates |= kind(node) == Some(AGGREGATE) && aside.is_none() && !below;
        path.push((indent, node));
    }
    besides.above.sort_unstable();
    besides.above.dedup();
    found.then_some(besides)
}

/// Of EXPLAIN ANALYZE, ms.
pub fn execution_time(lines: &[String]) -> Option<f64> {
    summary_time(lines, "Execution Time: ")
}

/// Of EXPLAIN (SUMMARY), ms.
pub fn planning_time(lines: &[String]) -> Option<f64> {
    summary_time(lines, "Planning Time: ")
}

fn summary_time(lines: &[String], key: &str) -> Option<f64> {
    lines.iter().find_map(|line| line.strip_prefix(key)?.strip_suffix(" ms")?.parse().ok())
}

/// How many processes took part in the plan's topmost Gather or JoinScan besides the leader; 0 where there is none.
pub fn workers_launched(lines: &[String]) -> u32 {
    let after = |line: &String, key: &str| line.trim_start().strip_prefix(key)?.parse::<u32>().ok();
    let launched = lines.iter().find_map(|line| {
        after(line, "Workers Launched: ")
            .or_else(|| after(line, "Participants Launched: ").map(|all| all.saturating_sub(1)))
    });
    launched.unwrap_or(0)
}

const JOINSCAN: &str = "Custom Scan (JoinScan)";
const AGGREGATE: &str = "aggregate";

/// What a JoinScan could do itself.
fn kind(node: &str) -> Option<&'static str> {
    let mut name = node.split(" (").next()?.split(" on ").next()?;
    for how in ["Parallel ", "Partial ", "Finalize "] {
        name = name.strip_prefix(how).unwrap_or(name);
    }
    Some(match name {
        "Aggregate" | "HashAggregate" | "GroupAggregate" | "MixedAggregate" | "Group" => AGGREGATE,
        "Sort" | "Incremental Sort" => "sort",
        "Limit" => "limit",
        "Unique" => "unique",
        "WindowAgg" => "window",
        "Append" | "Merge Append" => "append",
        name if name.ends_with("SetOp") || name.starts_with("SetOp") || name.starts_with("HashSetOp") => {
            "set operation"
        }
        name if name.starts_with("Nested Loop") || name.starts_with("Hash") || name.starts_with("Merge") => "join",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(plan: &str) -> Option<Besides> {
        besides_joinscan(&plan.lines().map(String::from).collect::<Vec<_>>())
    }

    fn besides(above: &[&'static str], aggregates: bool) -> Option<Besides> {
        Some(Besides { above: above.to_vec(), aggregates })
    }

    #[test]
    fn what_is_above_and_what_is_not() {
        let plan = "Limit
  Output: x
  ->  Finalize GroupAggregate
        Group Key: a.k
        InitPlan 1 (returns $0)
          ->  Custom Scan (JoinScan)
                JoinScan Plan:
                  ->  HashAggregate
        ->  Sort
              ->  Custom Scan (JoinScan)
                    Filter: (x)";
        assert_eq!(of(plan), besides(&["aggregate", "limit", "sort"], true));
        assert_eq!(of("Custom Scan (JoinScan)\n  JoinScan Plan:\n    ->  Aggregate"), besides(&[], false));
        let append = "Append\n  ->  Aggregate\n        ->  Seq Scan on a\n  ->  Custom Scan (JoinScan)";
        assert_eq!(of(append), besides(&["append"], true));
        assert_eq!(of("Aggregate\n  ->  Seq Scan on a"), None);
    }

    #[test]
    fn times_and_workers() {
        let lines: Vec<String> =
            ["Gather", "  Workers Launched: 2", "Planning Time: 0.100 ms", "Execution Time: 12.5 ms"]
                .map(String::from)
                .into();
        assert_eq!((execution_time(&lines), planning_time(&lines)), (Some(12.5), Some(0.1)));
        assert_eq!(workers_launched(&lines), 2);
        assert_eq!(workers_launched(&["Participants Launched: 3".into()]), 2);
        assert_eq!(workers_launched(&lines[2..]), 0);
    }
}
