//! Sorting: each participant its rows, or under a limit its first ones alone; then those of all in the leader. What is
//! cut of sorted rows (`cut.rs`) is cut in both.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;

use super::{Builder, Built, Clauses, Layout, Operator, SortNode, above, compacted, translate_error};
use crate::cut::{Cut, CutExec};
use crate::error::{Error, Result};
use crate::exchange::Distribution;
use crate::plan::expressions::Translator;

impl Builder<'_, '_> {
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn sort(&mut self, node: usize, sort: &SortNode, needed: &BTreeSet<usize>) -> Result<Built> {
        let tree = self.tree;
        if sort.input >= node {
            return Err(Error::internal("a sort stands before its input"));
        }
        let mut wanted = needed.clone();
        for &expr in &sort.keys {
            wanted.extend(&self.expr(expr)?.columns);
        }
        // SAFETY: the caller's promise, here and below.
        let mut built = unsafe { self.build(sort.input, &wanted) }?;
        if tree.participants > 1 && !tree.is_gathered(sort.input) {
            if sort.limit.is_some() || sort.cut_keys > 0 {
                built = unsafe { self.sorted(node, sort, built) }?;
            }
            built = self.exchange(built, Distribution::Gather, node, tree.nodes[node].width);
        }
        unsafe { self.sorted(node, sort, built) }
    }

    /// # Safety
    /// As `translate`.
    unsafe fn sorted(&self, node: usize, sort: &SortNode, built: Built) -> Result<Built> {
        let input = compacted(built);
        // SAFETY: the caller's promise.
        let keys = unsafe { self.order(&sort.keys, sort.nulls_first, &input.columns, &input.plan.schema()) }?;
        let order = LexOrdering::new(keys).ok_or_else(|| Error::internal("a sort without keys"))?;
        let cut: Vec<_> = order.iter().take(sort.cut_keys).map(|key| Arc::clone(&key.expr)).collect();
        let fetch = if cut.is_empty() { sort.limit } else { None };
        let plan = Arc::new(SortExec::new(order, input.plan).with_fetch(fetch));
        let name = if fetch.is_some() { "Top-N Sort" } else { "Sort" };
        let operator = Operator { clauses: Clauses::Order, ..Operator::new(name, node) };
        let sorted = Built { plan, columns: input.columns, operators: above(operator, [input.operators]) };
        if cut.is_empty() {
            return Ok(sorted);
        }
        let (name, way) = match sort.limit {
            Some(limit) => ("Limit", Cut::WithTies(limit)),
            None => ("Unique", Cut::FirstOfEach),
        };
        let operators = above(Operator::new(name, node), [sorted.operators]);
        Ok(Built { plan: Arc::new(CutExec::new(sorted.plan, cut, way)), operators, ..sorted })
    }

    /// The order that sort keys say, each with its bit of `nulls_first`.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn order(
        &self,
        keys: &[usize],
        nulls_first: u64,
        columns: &[usize],
        schema: &Schema,
    ) -> Result<Vec<PhysicalSortExpr>> {
        let layout = Layout { columns, schema };
        let translator = Translator::new(self.tree.host, &layout);
        let key = |(at, &expr): (usize, &usize)| {
            // SAFETY: the caller's promise.
            let key = unsafe { translator.sort_key(self.expr(expr)?.node) }.map_err(translate_error)?;
            let options = SortOptions { descending: key.descending, nulls_first: nulls_first >> at & 1 != 0 };
            Ok(PhysicalSortExpr::new(key.key, options))
        };
        keys.iter().enumerate().map(key).collect()
    }
}
