//! What each operator did in this participant, in the pre-order of `plan::translate::Operator`.

use crate::checkpoint::CheckpointExec;
use crate::exchange::BuildKeysExec;
use crate::nested_loop::SkipProbeExec;
use crate::scan::{HeapScanExec, VISIBLE_ROWS, WITHOUT_PARTNER};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorMetrics {
    pub rows: u64,
    pub elapsed_ns: u64,
    pub memory: u64,
    /// Rows that runtime filters have dropped, of a scan.
    pub without_partner: u64,
}

/// Pre-order, as the operators were listed when the plan was made.
pub fn collect(plan: &dyn ExecutionPlan) -> Vec<OperatorMetrics> {
    let mut out = Vec::new();
    walk(plan, &mut out);
    out
}

fn walk(plan: &dyn ExecutionPlan, out: &mut Vec<OperatorMetrics>) {
    // A scan's conditions are an operator of their own, above it; a checkpoint is none, nor is who notes keys.
    if let Some(scan) = plan.downcast_ref::<HeapScanExec>() {
        out.extend(scan_and_filter(scan));
    } else if plan.downcast_ref::<CheckpointExec>().is_none() && plan.downcast_ref::<BuildKeysExec>().is_none() {
        out.push(plan.metrics().map(|metrics| summarise(&metrics)).unwrap_or_default());
    }
    // The join below it is the same operator.
    let same = plan.downcast_ref::<SkipProbeExec>().map(|skip| skip.join().as_ref());
    for child in same.unwrap_or(plan).children() {
        walk(child.as_ref(), out);
    }
}

fn scan_and_filter(scan: &HeapScanExec) -> Vec<OperatorMetrics> {
    let metrics = scan.metrics().unwrap_or_default();
    let count = |name| metrics.sum_by_name(name).map_or(0, |rows| rows.as_usize() as u64);
    let given = OperatorMetrics { without_partner: count(WITHOUT_PARTNER), ..summarise(&metrics) };
    if scan.scan().filters.is_empty() {
        return vec![given];
    }
    let filter = OperatorMetrics { rows: given.rows, ..Default::default() };
    vec![filter, OperatorMetrics { rows: count(VISIBLE_ROWS), ..given }]
}

fn summarise(metrics: &MetricsSet) -> OperatorMetrics {
    let mut summary = OperatorMetrics::default();
    let mut phases = 0; // a hash join times its two phases, and the two may not be in its elapsed time
    for metric in metrics.iter() {
        match metric.value() {
            MetricValue::OutputRows(rows) => summary.rows += rows.value() as u64,
            MetricValue::ElapsedCompute(time) => summary.elapsed_ns += time.value() as u64,
            MetricValue::Time { name, time } if name == "build_time" || name == "join_time" => {
                phases += time.value() as u64;
            }
            MetricValue::PeakMemoryUsage { gauge, .. } => summary.memory = summary.memory.max(gauge.value() as u64),
            _ => {}
        }
    }
    summary.elapsed_ns = summary.elapsed_ns.max(phases);
    summary
}
