//! What each operator did in this participant, in the pre-order of `plan::translate::Operator`.

use crate::checkpoint::CheckpointExec;
use crate::exchange::{BuildKeysExec, DsmReaderExec};
use crate::key_list::KeyListExec;
use crate::nested_loop::SkipProbeExec;
use crate::scan::{HeapScanExec, LOOKED_UP, VISIBLE_ROWS, WITHOUT_PARTNER};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorMetrics {
    pub rows: u64,
    pub elapsed_ns: u64,
    pub memory: u64,
    /// Rows that runtime filters have dropped, of a scan.
    pub without_partner: u64,
    /// Pages that an index has found for a runtime filter's keys, of a scan.
    pub looked_up: u64,
}

/// Pre-order, as the operators were listed when the plan was made.
pub fn collect(plan: &dyn ExecutionPlan) -> Vec<OperatorMetrics> {
    let mut out = Vec::new();
    walk(plan, &mut out);
    out
}

/// Returns the time of all operators that are polled with this one.
fn walk(plan: &dyn ExecutionPlan, out: &mut Vec<OperatorMetrics>) -> u64 {
    let at = out.len();
    // A scan's conditions are an operator of their own, above it.
    if let Some(scan) = plan.downcast_ref::<HeapScanExec>() {
        out.extend(scan_and_filter(scan));
    } else if !is_hidden(plan) {
        out.push(plan.metrics().map(|metrics| summarise(&metrics)).unwrap_or_default());
    }
    let own = out.len();
    // The join below it is the same operator.
    let plan = plan.downcast_ref::<SkipProbeExec>().map_or(plan, |skip| skip.join().as_ref());
    let inputs: Vec<u64> = plan.children().into_iter().map(|child| walk(child.as_ref(), out)).collect();
    // What a join waits for is in its phases: its build side; of a nested loop, both.
    let awaited = if plan.downcast_ref::<HashJoinExec>().is_some() {
        inputs.first().copied().unwrap_or_default()
    } else if plan.downcast_ref::<NestedLoopJoinExec>().is_some() {
        inputs.iter().sum()
    } else {
        0
    };
    let mut total = 0;
    for operator in &mut out[at..own] {
        operator.elapsed_ns = operator.elapsed_ns.saturating_sub(awaited);
        total += operator.elapsed_ns;
    }
    // What is below a reader is polled by tasks of its own.
    if plan.downcast_ref::<DsmReaderExec>().is_some() { total } else { total + inputs.iter().sum::<u64>() }
}

/// A checkpoint is no operator, nor is who notes keys.
fn is_hidden(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<CheckpointExec>().is_some()
        || plan.downcast_ref::<BuildKeysExec>().is_some()
        || plan.downcast_ref::<KeyListExec>().is_some()
}

fn scan_and_filter(scan: &HeapScanExec) -> Vec<OperatorMetrics> {
    let metrics = scan.metrics().unwrap_or_default();
    let count = |name| metrics.sum_by_name(name).map_or(0, |rows| rows.as_usize() as u64);
    let given =
        OperatorMetrics { without_partner: count(WITHOUT_PARTNER), looked_up: count(LOOKED_UP), ..summarise(&metrics) };
    if scan.scan().filters.is_empty() {
        return vec![given];
    }
    let filter = OperatorMetrics { rows: given.rows, ..Default::default() };
    vec![filter, OperatorMetrics { rows: count(VISIBLE_ROWS), ..given }]
}

fn summarise(metrics: &MetricsSet) -> OperatorMetrics {
    let mut summary = OperatorMetrics::default();
    // A join times its two phases; its elapsed time has them once or more.
    let mut phases = None;
    for metric in metrics.iter() {
        match metric.value() {
            MetricValue::OutputRows(rows) => summary.rows += rows.value() as u64,
            MetricValue::ElapsedCompute(time) => summary.elapsed_ns += time.value() as u64,
            MetricValue::Time { name, time } if name == "build_time" || name == "join_time" => {
                *phases.get_or_insert(0) += time.value() as u64;
            }
            MetricValue::PeakMemoryUsage { gauge, .. } => summary.memory = summary.memory.max(gauge.value() as u64),
            _ => {}
        }
    }
    summary.elapsed_ns = phases.unwrap_or(summary.elapsed_ns);
    summary
}
