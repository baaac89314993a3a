//! Sorting: each participant its rows, or under a limit its first ones alone; the leader merges them. What is cut of
//! sorted rows (`cut.rs`) is cut in both.
//!
//! ```text
//! Limit / Unique ← Merge ← gather ← Limit / Unique ← Sort     cut where there is something to cut
//!       in the leader                  in each participant
//! ```
//!
//! Of WITH TIES what cannot be among the first rows is left out before it is sorted (`key_bound.rs`).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;

use super::{Builder, Built, Clauses, Layout, Operator, SortNode, above, checkpointed, compacted, translate_error};
use crate::cut::{Cut, CutExec};
use crate::error::{Error, Result};
use crate::key_bound::KeyBoundExec;
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
        let mut built = checkpointed(unsafe { self.build(sort.input, &wanted) }?);
        let keys = unsafe { self.order(&sort.keys, sort.nulls_first, &built.columns, &built.plan.schema()) }?;
        // Of all keys: an ordering has each expression once.
        let cut_by: Vec<_> = keys.iter().take(sort.cut_keys).map(|key| Arc::clone(&key.expr)).collect();
        let order = LexOrdering::new(keys).ok_or_else(|| Error::internal("a sort without keys"))?;
        if let Some(limit) = sort.limit.filter(|_| sort.cut_keys == sort.keys.len()) {
            built.plan = Arc::new(KeyBoundExec::new(built.plan, order.clone(), limit));
            built.operators = above(Operator::new("Key Bound", node), [built.operators]);
        }
        let built = compacted(built);
        let fetch = if sort.cut_keys > 0 { None } else { sort.limit };
        let name = if fetch.is_some() { "Top-N Sort" } else { "Sort" };
        let operators = above(Operator { clauses: Clauses::Order, ..Operator::new(name, node) }, [built.operators]);
        let plan = Arc::new(SortExec::new(order.clone(), built.plan).with_fetch(fetch));
        let mut built = cut(Built { plan, columns: built.columns, operators }, &cut_by, sort, node);
        if tree.participants > 1 && !tree.is_gathered(sort.input) {
            built = self.gather_sorted(built, order, fetch, node, tree.nodes[node].width);
            built = cut(built, &cut_by, sort, node);
        }
        Ok(built)
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

/// What goes on of sorted rows.
fn cut(sorted: Built, keys: &[Arc<dyn PhysicalExpr>], sort: &SortNode, node: usize) -> Built {
    if keys.is_empty() {
        return sorted;
    }
    let (name, way) = match sort.limit {
        Some(limit) => ("Limit", Cut::WithTies(limit)),
        None => ("Unique", Cut::FirstOfEach),
    };
    let operators = above(Operator::new(name, node), [sorted.operators]);
    Built { plan: Arc::new(CutExec::new(sorted.plan, keys.to_vec(), way)), operators, ..sorted }
}
