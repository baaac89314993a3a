//! Who evaluates what: a clause that has a native form is part of a filter or a projection; any other is PostgreSQL's,
//! by CALL. Decided when the plan is made, with the values of parameters known.
//!
//! ```text
//! filters  n1 n2 p3 p4 n5    →    Filter(n5) over Eval(p3 p4) over Filter(n1 n2)
//! ```
//!
//! So the order of evaluation stays PostgreSQL's: a row that fails one condition meets none of those after it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::projection::ProjectionExec;

use super::{
    Builder, Built, Clauses, FilterNode, Layout, Operator, TreeColumn, above, checkpointed, column_at, translate_error,
};
use crate::error::{Error, Result};
use crate::exchange::Distribution;
use crate::plan::expressions::{TranslateError, Translator};
use crate::postgres::{EvaluationKind, PostgresEvalExec, ResultColumn};
use crate::scan::ScanFilter;

impl Builder<'_, '_> {
    /// The rows of `built` for which all of `filters` are true; of its columns those that are needed.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn filtered(
        &mut self,
        mut built: Built,
        node: usize,
        filters: &[usize],
        needed: &BTreeSet<usize>,
    ) -> Result<Built> {
        let mut rest = filters;
        while let Some(&first) = rest.first() {
            let schema = built.plan.schema();
            // SAFETY: the caller's promise, here and below.
            let native = unsafe { self.is_native(first, &built.columns, &schema) }?;
            let count = unsafe { self.prefix(rest, native, &built.columns, &schema) }?;
            let (now, later) = rest.split_at(count);
            rest = later;
            let mut wanted = needed.clone();
            for &expr in later {
                wanted.extend(&self.expr(expr)?.columns);
            }
            let keep: Vec<usize> = (0..built.columns.len()).filter(|&at| wanted.contains(&built.columns[at])).collect();
            let columns = keep.iter().map(|&at| built.columns[at]).collect();
            let clauses = Clauses::Filters { first, count };
            let input = checkpointed(built);
            built = if native {
                let predicate = unsafe { self.conjunction(now, &input.columns, &schema) }?;
                let predicate = predicate.ok_or_else(|| Error::internal("an empty filter"))?;
                let projection = (keep.len() < input.columns.len()).then_some(keep);
                let filter = FilterExecBuilder::new(predicate, input.plan).apply_projection(projection)?.build()?;
                let operator = Operator { clauses, ..Operator::new("Filter", node) };
                Built { plan: Arc::new(filter), columns, operators: above(operator, [input.operators]) }
            } else {
                self.asked(input, node, now, keep)?
            };
        }
        Ok(built)
    }

    /// The rows of `input` for which PostgreSQL finds all of `conditions` true, which are one run of exprs; of its
    /// columns those at `keep`.
    fn asked(&mut self, input: Built, node: usize, conditions: &[usize], keep: Vec<usize>) -> Result<Built> {
        let first = conditions.first().copied().ok_or_else(|| Error::internal("an empty filter"))?;
        let clauses = Clauses::Filters { first, count: conditions.len() };
        let columns = keep.iter().map(|&at| input.columns[at]).collect();
        let inputs = input.columns.iter().map(|&column| column as u32).collect();
        let conditions = conditions.iter().map(|&expr| expr as u32).collect();
        let plan = PostgresEvalExec::try_new(
            EvaluationKind::Rows,
            self.next_call(),
            input.plan,
            inputs,
            conditions,
            vec![],
            keep,
        )?;
        let operator = Operator { clauses, ..Operator::new("PostgreSQL Filter", node) };
        Ok(Built { plan: Arc::new(plan), columns, operators: above(operator, [input.operators]) })
    }

    /// Conditions for the leader alone: all rows are gathered before them.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn in_leader(
        &mut self,
        node: usize,
        filter: &FilterNode,
        needed: &BTreeSet<usize>,
    ) -> Result<Built> {
        let tree = self.tree;
        if filter.input >= node {
            return Err(Error::internal("a filter stands before its input"));
        }
        let mut wanted = needed.clone();
        for &expr in &filter.conditions {
            wanted.extend(&self.expr(expr)?.columns);
        }
        // SAFETY: the caller's promise.
        let mut input = checkpointed(unsafe { self.build(filter.input, &wanted) }?);
        if tree.participants > 1 && !tree.is_gathered(filter.input) {
            input = self.exchange(input, Distribution::Gather, node, tree.nodes[filter.input].width);
        }
        let keep = (0..input.columns.len()).filter(|&at| needed.contains(&input.columns[at])).collect();
        self.asked(input, node, &filter.conditions, keep)
    }

    /// The columns `below` of `built`, and `results` (expr, column) computed of its rows.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn computed(
        &mut self,
        built: Built,
        node: usize,
        results: &[(usize, usize)],
        below: &BTreeSet<usize>,
    ) -> Result<Built> {
        if results.is_empty() {
            return Ok(built);
        }
        let schema = built.plan.schema();
        let keep: Vec<usize> = (0..built.columns.len()).filter(|&at| below.contains(&built.columns[at])).collect();
        let mut columns: Vec<usize> = keep.iter().map(|&at| built.columns[at]).collect();
        columns.extend(results.iter().map(|&(_, column)| column));
        // All of them, or none: one node computes them.
        let mut native = Some(Vec::new());
        for &(expr, column) in results {
            // SAFETY: the caller's promise.
            let value = unsafe { self.native_value(expr, &self.column(column)?, &built.columns, &schema) }?;
            native = native.zip(value).map(|(mut native, value)| {
                native.push((value, format!("computed.{column}")));
                native
            });
        }
        let input = checkpointed(built);
        let clauses = Clauses::Results;
        if let Some(values) = native {
            let exprs: Vec<_> = keep.iter().map(|&at| column_at(&schema, at)).chain(values).collect();
            let plan = Arc::new(ProjectionExec::try_new(exprs, input.plan)?);
            let operator = Operator { clauses, ..Operator::new("Projection", node) };
            return Ok(Built { plan, columns, operators: above(operator, [input.operators]) });
        }
        let mut wanted = Vec::new();
        for &(expr, column) in results {
            let name = format!("computed.{column}");
            wanted.push(ResultColumn { expr: expr as u32, data_type: self.column(column)?.computed_type()?, name });
        }
        let inputs = input.columns.iter().map(|&column| column as u32).collect();
        let plan = PostgresEvalExec::try_new(
            EvaluationKind::Rows,
            self.next_call(),
            input.plan,
            inputs,
            vec![],
            wanted,
            keep,
        )?;
        let operator = Operator { clauses, ..Operator::new("PostgreSQL Projection", node) };
        Ok(Built { plan: Arc::new(plan), columns, operators: above(operator, [input.operators]) })
    }

    pub(super) fn next_call(&mut self) -> u32 {
        self.calls += 1;
        self.calls - 1
    }

    /// How many of the first clauses are native, or are not.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn prefix(
        &self,
        clauses: &[usize],
        native: bool,
        columns: &[usize],
        schema: &Schema,
    ) -> Result<usize> {
        for (at, clause) in clauses.iter().enumerate() {
            // SAFETY: the caller's promise.
            if unsafe { self.is_native(*clause, columns, schema) }? != native {
                return Ok(at);
            }
        }
        Ok(clauses.len())
    }

    /// # Safety
    /// As `translate`.
    unsafe fn is_native(&self, clause: usize, columns: &[usize], schema: &Schema) -> Result<bool> {
        let layout = Layout { columns, schema };
        // SAFETY: the caller's promise.
        match unsafe { Translator::new(self.tree.host, &layout).predicate(self.expr(clause)?.node) } {
            Ok(_) => Ok(true),
            Err(TranslateError::Decline(_)) => Ok(false),
            Err(TranslateError::Error(error)) => Err(error),
        }
    }

    /// Native clauses as conditions of a scan.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn scan_filters(
        &self,
        clauses: &[usize],
        columns: &[usize],
        schema: &Schema,
    ) -> Result<Vec<ScanFilter>> {
        let layout = Layout { columns, schema };
        let translator = Translator::new(self.tree.host, &layout);
        let filter = |&clause: &usize| {
            let node = self.expr(clause)?.node;
            // SAFETY: the caller's promise.
            let (predicate, raises) = unsafe { translator.predicate(node) }.map_err(translate_error)?;
            Ok(ScanFilter { predicate, raises })
        };
        clauses.iter().map(filter).collect()
    }

    /// The native form of a computed column, where it has one of the very type that the column must have.
    ///
    /// # Safety
    /// As `translate`.
    unsafe fn native_value(
        &self,
        expr: usize,
        info: &TreeColumn,
        columns: &[usize],
        schema: &Schema,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let layout = Layout { columns, schema };
        // SAFETY: the caller's promise.
        let (value, found) = match unsafe { Translator::new(self.tree.host, &layout).value(self.expr(expr)?.node) } {
            Ok(translated) => translated,
            Err(TranslateError::Decline(_)) => return Ok(None),
            Err(TranslateError::Error(error)) => return Err(error),
        };
        let fits = found == info.computed_type()? || (info.is_numeric() && found.is_decimal());
        Ok(fits.then_some(value))
    }

    /// All of `clauses`, which are native, as one predicate; `None` where there are none.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn conjunction(
        &self,
        clauses: &[usize],
        columns: &[usize],
        schema: &Schema,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let layout = Layout { columns, schema };
        let nodes = clauses.iter().map(|&clause| Ok(self.expr(clause)?.node)).collect::<Result<Vec<_>>>()?;
        // SAFETY: the caller's promise.
        unsafe { Translator::new(self.tree.host, &layout).conjunction(&nodes) }.map_err(translate_error)
    }
}
