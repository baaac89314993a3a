//! Grouping: partial groups where the rows are, an exchange, final groups; or all at once where the rows are in one place.
//!
//! ```text
//! few groups    Finalize Aggregate ← gather ← Partial Aggregate        in the leader
//! many          Finalize Aggregate ← by group key ← Partial Aggregate  each participant its share
//! ```
//!
//! With DISTINCT in an aggregate the rows themselves are exchanged.
//!
//! Group keys whose equal values may differ in form (−0 and 0, 1.0 and 1.00) are hashed in a normal form, and the value
//! is that of some row of the group. So are columns that are no keys but depend on one.
//!
//! With grouping sets (`sets.rs`), each row is in a group of every set, and the set's number is one more key.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::sets::{self, Sets};
use super::{
    AggregateNode, Builder, Built, Clauses, GroupingSet, Layout, Operator, above, checkpointed, column_at,
    translate_error,
};
use crate::distinct::{FirstOccurrenceExec, Occurrence};
use crate::error::{Error, Result};
use crate::exchange::{Distribution, StreamKind};
use crate::plan::aggregates;
use crate::plan::expressions::{GroupKey, Translator};

/// What an aggregation gives, over one input.
#[derive(Default)]
struct Grouping {
    group_by: Vec<(Arc<dyn PhysicalExpr>, String)>,
    functions: Vec<Arc<AggregateFunctionExpr>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// What the functions with DISTINCT look at: their filters are the columns that come of it, behind the input's.
    occurrences: Vec<Occurrence>,
    /// The plan's column of each group key, of the number of the grouping set where there are such, and of each function;
    /// `None` for what nobody wants.
    columns: Vec<Option<usize>>,
    /// Columns that some function samples, with the key that they are.
    sampled_keys: Vec<(usize, usize)>,
    sets: Vec<GroupingSet>,
    /// The columns that tell the sets apart, with the place of their value among each set's.
    set_values: Vec<(usize, usize)>,
}

impl Builder<'_, '_> {
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn aggregate(
        &mut self,
        node: usize,
        aggregate: &AggregateNode,
        needed: &BTreeSet<usize>,
    ) -> Result<Built> {
        let tree = self.tree;
        if aggregate.input >= node {
            return Err(Error::internal("an aggregate stands before its input"));
        }
        let computed: BTreeSet<usize> = aggregate.outputs().filter_map(|expr| self.column_of(expr)).collect();
        let mut wanted: BTreeSet<usize> = needed.difference(&computed).copied().collect();
        for &expr in aggregate.keys.iter().chain(&aggregate.aggregates) {
            wanted.extend(&self.expr(expr)?.columns);
        }
        // SAFETY: the caller's promise, here and below.
        let input = checkpointed(unsafe { self.build(aggregate.input, &wanted) }?);
        let mut grouping = unsafe { self.grouping(aggregate, &input, needed) }?;
        let group_by = match aggregate.sets.as_slice() {
            [] => PhysicalGroupBy::new_single(grouping.group_by.clone()),
            sets => sets::group_by(grouping.group_by.clone(), sets, &input.plan.schema())?,
        };
        let clauses = Clauses::Groups;
        let operator = |name| Operator { clauses, ..Operator::new(name, node) };
        let distribution = |group_by: &PhysicalGroupBy| match aggregate.exchange {
            Some(StreamKind::Gather) => Ok(Distribution::Gather),
            Some(StreamKind::Hash) if !group_by.expr().is_empty() => {
                Ok(Distribution::Hash(group_by.expr().iter().map(|(key, _)| Arc::clone(key)).collect()))
            }
            _ => Err(Error::internal("groups can only be gathered or spread by their keys")),
        };
        let exchanged = tree.participants > 1 && !(aggregate.exchange.is_none() && tree.is_gathered(aggregate.input));

        if !exchanged || !grouping.occurrences.is_empty() {
            // Which row is the first with its values is known only where all of its group are.
            let mut input = input;
            if exchanged {
                input = self.exchange(input, distribution(&group_by)?, node, tree.nodes[aggregate.input].width);
            }
            if !grouping.occurrences.is_empty() {
                let flagged = FirstOccurrenceExec::new(input.plan, std::mem::take(&mut grouping.occurrences));
                let operators = above(Operator::new("First Occurrence", node), [input.operators]);
                input = Built { plan: Arc::new(flagged), operators, ..input };
            }
            let schema = input.plan.schema();
            let plan = exec(AggregateMode::Single, group_by, &grouping, input.plan, &schema)?;
            let operators = above(operator("Aggregate"), [input.operators]);
            return grouping.output(plan, operators, node);
        }
        let schema = input.plan.schema();
        let last = group_by.as_final();
        let partial = exec(AggregateMode::Partial, group_by, &grouping, input.plan, &schema)?;
        let distribution = distribution(&last)?;
        let operators = above(operator("Partial Aggregate"), [input.operators]);
        let built = Built { plan: partial, columns: vec![], operators };
        let built = self.exchange(built, distribution, node, tree.nodes[node].width);
        let without = Grouping { filters: vec![None; grouping.functions.len()], ..grouping };
        let plan = exec(AggregateMode::FinalPartitioned, last, &without, built.plan, &schema)?;
        let operators = above(operator("Finalize Aggregate"), [built.operators]);
        without.output(plan, operators, node)
    }

    /// # Safety
    /// As `translate`.
    unsafe fn grouping(&self, aggregate: &AggregateNode, input: &Built, needed: &BTreeSet<usize>) -> Result<Grouping> {
        let schema = input.plan.schema();
        let layout = Layout { columns: &input.columns, schema: &schema };
        let translator = Translator::new(self.tree.host, &layout);
        let mut grouping = Grouping { sets: aggregate.sets.clone(), ..Grouping::default() };
        let mut given = BTreeSet::new();
        let mut samples = vec![];
        for &expr in &aggregate.keys {
            // SAFETY: the caller's promise.
            let key = unsafe { translator.group_key(self.expr(expr)?.node) }.map_err(translate_error)?;
            let GroupKey { value, key, column } = key;
            // A key that the input computes has a column of its own above.
            let column = self.column_of(expr).or_else(|| column.map(|position| position - 1));
            let column = column.filter(|column| needed.contains(column) && given.insert(*column));
            let exact = key.eq(&value);
            let number = grouping.group_by.len();
            grouping.group_by.push((key, format!("key.{number}")));
            grouping.columns.push(column.filter(|_| exact));
            if let Some(column) = column.filter(|_| !exact) {
                samples.push((column, value));
                grouping.sampled_keys.push((column, number));
            }
        }
        if !aggregate.sets.is_empty() {
            grouping.columns.push(None);
        }
        for (at, &expr) in aggregate.groupings.iter().enumerate() {
            let column = self.column_of(expr).filter(|column| needed.contains(column));
            given.extend(column);
            grouping.set_values.extend(column.map(|column| (column, at)));
        }
        for &expr in &aggregate.aggregates {
            let column = self.column_of(expr).filter(|column| needed.contains(column));
            // One at least makes the row of all rows.
            if column.is_none() && !(grouping.group_by.is_empty() && grouping.functions.is_empty()) {
                continue;
            }
            // SAFETY: the caller's promise.
            let call = unsafe { translator.aggregate(self.expr(expr)?.node.cast()) }.map_err(translate_error)?;
            given.extend(column);
            let filter = if call.distinct {
                Some(grouping.first(call.distinct_keys, call.filter, &schema))
            } else {
                call.filter
            };
            grouping.add(call.function, call.args, filter, column, &schema)?;
        }
        for (at, &column) in input.columns.iter().enumerate() {
            if needed.contains(&column) && given.insert(column) {
                samples.push((column, column_at(&schema, at).0));
            }
        }
        for (column, value) in samples {
            grouping.add(aggregates::any_value(), vec![value], None, Some(column), &schema)?;
        }
        if grouping.group_by.is_empty() && grouping.functions.is_empty() {
            // Nobody wants a value of it, but there is the row.
            let one = Arc::new(Literal::new(ScalarValue::Int64(Some(1))));
            grouping.add(count_udaf(), vec![one], None, None, &schema)?;
        }
        if needed.iter().any(|column| !given.contains(column)) {
            return Err(Error::internal("an aggregate is asked for a column of something else"));
        }
        Ok(grouping)
    }
}

impl Grouping {
    /// The column that is true of the first row of its group with such keys.
    fn first(
        &mut self,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        schema: &SchemaRef,
    ) -> Arc<dyn PhysicalExpr> {
        let keys: Vec<_> = self.group_by.iter().map(|(key, _)| Arc::clone(key)).chain(keys).collect();
        let same = |have: &Occurrence| have.keys == keys && have.filter == filter;
        let at = self.occurrences.iter().position(same).unwrap_or_else(|| {
            self.occurrences.push(Occurrence { keys: keys.clone(), filter: filter.clone() });
            self.occurrences.len() - 1
        });
        Arc::new(Column::new(&format!("first.{at}"), schema.fields().len() + at))
    }

    fn add(
        &mut self,
        function: Arc<AggregateUDF>,
        args: Vec<Arc<dyn PhysicalExpr>>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        column: Option<usize>,
        schema: &SchemaRef,
    ) -> Result<()> {
        let call = AggregateExprBuilder::new(function, args)
            .schema(Arc::clone(schema))
            .alias(format!("aggregate.{}", self.functions.len()))
            .build()?;
        self.functions.push(Arc::new(call));
        self.filters.push(filter);
        self.columns.push(column);
        Ok(())
    }

    /// The rows of `plan` without keys that nobody wants.
    fn output(self, plan: Arc<dyn ExecutionPlan>, operators: Vec<Operator>, node: usize) -> Result<Built> {
        let kept: Vec<usize> = (0..self.columns.len()).filter(|&at| self.columns[at].is_some()).collect();
        let mut columns: Vec<usize> = self.columns.iter().copied().flatten().collect();
        if kept.len() == self.columns.len() && self.set_values.is_empty() {
            return Ok(Built { plan, columns, operators });
        }
        let schema = plan.schema();
        let mut exprs: Vec<_> = kept.into_iter().map(|at| column_at(&schema, at)).collect();
        if !self.sets.is_empty() {
            let keys = self.group_by.len();
            let (number, _) = column_at(&schema, keys);
            let sets = Sets::new(&self.sets, keys, number, schema.field(keys).data_type())?;
            for ((value, _), column) in exprs.iter_mut().zip(&columns) {
                if let Some(&(_, key)) = self.sampled_keys.iter().find(|(sampled, _)| sampled == column) {
                    let data_type = value.data_type(&schema)?;
                    *value = sets.where_had(key, Arc::clone(value), &data_type)?;
                }
            }
            for &(column, at) in &self.set_values {
                columns.push(column);
                exprs.push((sets.value(at)?, format!("grouping.{at}")));
            }
        } else {
            // One set alone, which PostgreSQL forgets, has all that GROUPING is asked about.
            for &(column, at) in &self.set_values {
                columns.push(column);
                exprs.push((Arc::new(Literal::new(ScalarValue::Int32(Some(0)))), format!("grouping.{at}")));
            }
        }
        let plan = Arc::new(ProjectionExec::try_new(exprs, plan)?);
        Ok(Built { plan, columns, operators: above(Operator::new("Projection", node), [operators]) })
    }
}

fn exec(
    mode: AggregateMode,
    group_by: PhysicalGroupBy,
    grouping: &Grouping,
    input: Arc<dyn ExecutionPlan>,
    schema: &SchemaRef,
) -> Result<Arc<dyn ExecutionPlan>> {
    let (functions, filters) = (grouping.functions.clone(), grouping.filters.clone());
    Ok(Arc::new(AggregateExec::try_new(mode, group_by, functions, filters, input, Arc::clone(schema))?))
}
