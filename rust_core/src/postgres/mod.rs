//! What PostgreSQL computes for a plan, by CALL: expressions that have no native form, a batch at a time, in
//! whichever participant has the rows; and the rows of leaves that PostgreSQL plans and runs itself, in the leader.
//!
//! ```text
//! node ── Request ──▶ Calls ── the turn returns CALL ──▶ C evaluates, no Rust frame below it
//! node ◀── Answer ─── Calls ◀── pgjs_session_answer ──── C
//! ```

mod calls;
mod eval;
mod leaf;
mod matching;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, PlanProperties};

pub use calls::{Answer, Calls, EvaluationKind, Request};
pub use eval::{GROUP_NUMBER, PostgresEvalExec, ResultColumn, UNSEEN};
pub use leaf::{LeafColumn, PostgresLeafExec};
pub use matching::{MatchColumns, MatchKind, PostgresMatchExec, RowNumberExec};

/// The columns that a plan gives.
pub(crate) fn fields_of(input: &Arc<dyn ExecutionPlan>) -> Vec<Field> {
    input.schema().fields().iter().map(|field| field.as_ref().clone()).collect()
}

/// Of a node over `input` that gives `fields`: one partition, of which no order is known.
pub(crate) fn properties(input: &Arc<dyn ExecutionPlan>, fields: Vec<Field>) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::new(Schema::new(fields))),
        Partitioning::UnknownPartitioning(1),
        input.properties().emission_type,
        input.properties().boundedness,
    ))
}

#[cfg(test)]
mod tests;
