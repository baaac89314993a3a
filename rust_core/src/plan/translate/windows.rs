//! Window functions: all rows of a partition in one participant, sorted, then the functions.
//!
//! ```text
//! PARTITION BY    Window <- Sort <- by partition <- rows    each participant its share
//! without         Window <- Merge <- gather <- Sort <- rows    in the leader
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::{
    Builder, Built, Clauses, Layout, Operator, WindowCall, WindowNode, above, column_at, compacted, translate_error,
};
use crate::error::{Error, Result};
use crate::exchange::{Distribution, StreamKind};
use crate::plan::expressions::Translator;
use crate::window::{self, Kind, Window, WindowExec, WindowFunction};

impl Builder<'_, '_> {
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn window(
        &mut self,
        node: usize,
        window: &WindowNode,
        needed: &BTreeSet<usize>,
    ) -> Result<Built> {
        let tree = self.tree;
        if window.input >= node {
            return Err(Error::internal("a window stands before its input"));
        }
        // The functions that somebody wants, with their columns.
        let mut calls = vec![];
        for call in &window.functions {
            let column = call.exprs.first().and_then(|&expr| self.column_of(expr));
            calls.extend(column.filter(|column| needed.contains(column)).map(|column| (call, column)));
        }
        let computed: BTreeSet<usize> = calls.iter().map(|(_, column)| *column).collect();
        let mut wanted: BTreeSet<usize> = needed.difference(&computed).copied().collect();
        let of_calls = calls.iter().flat_map(|(call, _)| &call.exprs);
        for &expr in window.keys.iter().chain(&window.order).chain(of_calls) {
            wanted.extend(&self.expr(expr)?.columns);
        }
        // SAFETY: the caller's promise, here and below.
        let mut input = compacted(unsafe { self.build(window.input, &wanted) }?);
        let schema = input.plan.schema();
        let partition = unsafe { self.partition(window, &input.columns, &schema) }?;
        let order = unsafe { self.order(&window.order, window.nulls_first, &input.columns, &schema) }?;
        let functions = calls.iter().map(|(call, _)| unsafe { self.window_function(call, &input.columns, &schema) });
        let functions = functions.collect::<Result<Vec<_>>>()?;

        let by_partition = partition.iter().map(|key| PhysicalSortExpr::new(Arc::clone(key), SortOptions::default()));
        let sort = LexOrdering::new(by_partition.chain(order.iter().cloned()));
        let distribution = match window.exchange {
            _ if tree.participants == 1 || tree.is_gathered(window.input) => None,
            Some(StreamKind::Gather) => Some(Distribution::Gather),
            Some(StreamKind::Hash) if !partition.is_empty() => Some(Distribution::Hash(partition.clone())),
            None if !partition.is_empty() => None,
            _ => return Err(Error::internal("windows can only be gathered or spread by their partitions")),
        };
        let width = tree.nodes[window.input].width;
        input = match (distribution, sort) {
            (Some(Distribution::Gather), Some(sort)) => {
                self.gather_sorted(sorted(input, sort.clone(), node), sort, None, node, width)
            }
            (distribution, sort) => {
                if let Some(distribution) = distribution {
                    input = self.exchange(input, distribution, node, width);
                }
                match sort {
                    Some(sort) => sorted(input, sort, node),
                    None => input,
                }
            }
        };
        let order = order.into_iter().map(|key| key.expr).collect();
        let plan = Arc::new(WindowExec::try_new(input.plan, Window { partition, order, functions })?);
        let operators =
            above(Operator { clauses: Clauses::Window, ..Operator::new("Window", node) }, [input.operators]);
        let columns: Vec<usize> =
            input.columns.iter().copied().chain(calls.iter().map(|(_, column)| *column)).collect();
        let kept: Vec<usize> = (0..columns.len()).filter(|&at| needed.contains(&columns[at])).collect();
        if kept.len() == columns.len() {
            return Ok(Built { plan, columns, operators });
        }
        let schema = plan.schema();
        let exprs: Vec<_> = kept.iter().map(|&at| column_at(&schema, at)).collect();
        let columns = kept.iter().map(|&at| columns[at]).collect();
        let projection = Arc::new(ProjectionExec::try_new(exprs, plan)?);
        Ok(Built { plan: projection, columns, operators: above(Operator::new("Projection", node), [operators]) })
    }

    /// What rows are partitioned by.
    ///
    /// # Safety
    /// As `translate`.
    unsafe fn partition(
        &self,
        window: &WindowNode,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let layout = Layout { columns, schema };
        let translator = Translator::new(self.tree.host, &layout);
        // SAFETY: the caller's promise.
        let key = |&expr: &usize| unsafe { translator.group_key(self.expr(expr)?.node) }.map_err(translate_error);
        window.keys.iter().map(|expr| Ok(key(expr)?.key)).collect()
    }

    /// # Safety
    /// As `translate`.
    unsafe fn window_function(
        &self,
        call: &WindowCall,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<WindowFunction> {
        let layout = Layout { columns, schema };
        let translator = Translator::new(self.tree.host, &layout);
        let Some(kind) = &call.kind else {
            let expr = call.exprs.first().copied().ok_or_else(|| Error::internal("a window function is missing"))?;
            // SAFETY: the caller's promise, here and below.
            let of = unsafe { translator.aggregate(self.expr(expr)?.node.cast()) }.map_err(translate_error)?;
            let kind = Kind::Aggregate(window::aggregate(of.function, of.args.clone(), schema)?);
            return Ok(WindowFunction { kind, args: of.args, filter: of.filter, frame: call.frame });
        };
        let mut args = vec![];
        if matches!(kind, Kind::Lag(_) | Kind::Nth(_) | Kind::Last) {
            for &expr in &call.exprs {
                args.push(unsafe { translator.value(self.expr(expr)?.node) }.map_err(translate_error)?.0);
            }
        }
        Ok(WindowFunction { kind: kind.clone(), args, filter: None, frame: call.frame })
    }
}

fn sorted(input: Built, sort: LexOrdering, node: usize) -> Built {
    let plan = Arc::new(SortExec::new(sort, input.plan));
    Built { plan, operators: above(Operator::new("Sort", node), [input.operators]), ..input }
}
