//! `DsmWriterExec`: the passive marker above a procedure.
//!
//! It carries the stream's number and distribution through the plan's bytes; decoding it registers
//! its input. Executed, it gives nothing: rows move only when a reader asks.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, EmptyRecordBatchStream, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    apply_expression_roots,
};

use super::partition::CommonKeys;
use super::reader::DsmReaderExec;
use super::registry::{Distribution, StreamSource};
use crate::postgres::PostgresLeafExec;

#[derive(Debug)]
pub struct DsmWriterExec {
    pub stream: u32,
    pub distribution: Distribution,
    /// See [`StreamSource::from_leader`].
    pub from_leader: bool,
    /// Told by the consumers which rows they want.
    runtime_filter: Option<Arc<DynamicFilterPhysicalExpr>>,
    common: Option<CommonKeys>,
    input: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl DsmWriterExec {
    pub fn new(stream: u32, distribution: Distribution, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = boundary_properties(&input, 1);
        let from_leader = has_leaf(&input);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { stream, distribution, from_leader, runtime_filter: None, common: None, input, metrics, properties }
    }

    /// Its consumers say which keys they want: `BuildKeysExec` collects them.
    pub fn with_runtime_filter(mut self) -> Self {
        if let Distribution::Hash(keys) = &self.distribution {
            let anything = Arc::new(Literal::new(ScalarValue::Boolean(Some(true))));
            self.runtime_filter = Some(Arc::new(DynamicFilterPhysicalExpr::new(keys.clone(), anything)));
        }
        self
    }

    pub fn has_runtime_filter(&self) -> bool {
        self.runtime_filter.is_some()
    }

    /// Keys to be set apart: the join's other stream has the same, with the other treatment.
    pub fn with_common_keys(self, common: Option<CommonKeys>) -> Self {
        Self { common, ..self }
    }

    pub fn common_keys(&self) -> Option<&CommonKeys> {
        self.common.as_ref()
    }

    pub fn source(&self) -> StreamSource {
        StreamSource {
            input: Arc::clone(&self.input),
            distribution: self.distribution.clone(),
            runtime_filter: self.runtime_filter.clone(),
            common: self.common.clone(),
            from_leader: self.from_leader,
            metrics: self.metrics.clone(),
        }
    }
}

/// Does a leaf of the leader stand in `plan`, on this side of all streams?
pub fn has_leaf(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.downcast_ref::<DsmReaderExec>().is_some() {
        return false;
    }
    plan.downcast_ref::<PostgresLeafExec>().is_some() || plan.children().into_iter().any(has_leaf)
}

/// Nothing known of order or partitioning: no optimiser pass plans across the boundary.
pub(super) fn boundary_properties(input: &Arc<dyn ExecutionPlan>, partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(input.schema()),
        Partitioning::UnknownPartitioning(partitions),
        input.properties().emission_type,
        input.properties().boundedness,
    ))
}

impl DisplayAs for DsmWriterExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "DsmWriterExec: stream={}, {}", self.stream, self.distribution.kind().name())?;
        match &self.common {
            None => Ok(()),
            Some(common) => write!(f, ", {} common keys {:?}", common.hashes().len(), common.treatment),
        }
    }
}

impl ExecutionPlan for DsmWriterExec {
    fn name(&self) -> &str {
        "DsmWriterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.distribution {
            Distribution::Hash(keys) => apply_expression_roots(keys, f),
            Distribution::Broadcast | Distribution::Gather => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let new = Self::new(self.stream, self.distribution.clone(), children.swap_remove(0));
        Ok(Arc::new(Self { runtime_filter: self.runtime_filter.clone(), common: self.common.clone(), ..new }))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parents: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let mut input = ChildFilterDescription::all_unsupported(&parents);
        if let Some(filter) = &self.runtime_filter {
            input = input.with_self_filter(Arc::clone(filter) as _);
        }
        Ok(FilterDescription::new().with_child(input))
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(EmptyRecordBatchStream::new(self.schema())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
