//! Grouping: partial groups where the rows are, an exchange, final groups; or all at once where the rows are in one place.
//!
//! ```text
//! few groups    Finalize Aggregate ← gather ← Partial Aggregate        in the leader
//! many          Finalize Aggregate ← by group key ← Partial Aggregate  each participant its share
//! ```
//!
//! With DISTINCT in an aggregate the rows themselves are exchanged. So they are where PostgreSQL computes an aggregate:
//!
//! ```text
//! PostgreSQL Aggregate ← Aggregate ← PostgreSQL Accumulate ← Group Number
//! by number              any number   rows by number         {keys}
//! ```
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
use crate::group_number::GroupNumberExec;
use crate::plan::aggregates;
use crate::plan::expressions::{GroupKey, TranslateError, Translator};
use crate::postgres::{EvaluationKind, GROUP_NUMBER, PostgresEvalExec, ResultColumn, UNSEEN};

/// An aggregate without a native form: its expr, and its column where somebody wants it.
struct Foreign {
    expr: usize,
    column: Option<usize>,
}

/// What an aggregation gives, over one input.
#[derive(Default)]
struct Grouping {
    /// In the names of its columns: what tells them from those of other groupings.
    name: usize,
    group_by: Vec<(Arc<dyn PhysicalExpr>, String)>,
    functions: Vec<Arc<AggregateFunctionExpr>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Aggregates that PostgreSQL computes.
    foreign: Vec<Foreign>,
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
        let first = aggregate.aggregates.first().copied().unwrap_or_default();
        let clauses = Clauses::Groups { first, count: aggregate.aggregates.len() - grouping.foreign.len() };
        let operator = |name| Operator { clauses, ..Operator::new(name, node) };
        let distribution = |group_by: &PhysicalGroupBy| match aggregate.exchange {
            Some(StreamKind::Gather) => Ok(Distribution::Gather),
            Some(StreamKind::Hash) if !group_by.expr().is_empty() => {
                Ok(Distribution::Hash(group_by.expr().iter().map(|(key, _)| Arc::clone(key)).collect()))
            }
            _ => Err(Error::internal("groups can only be gathered or spread by their keys")),
        };
        let exchanged = tree.participants > 1 && !(aggregate.exchange.is_none() && tree.is_gathered(aggregate.input));

        if !exchanged || !grouping.occurrences.is_empty() || !grouping.foreign.is_empty() {
            // Which row is the first with its values is known only where all of its group are, and PostgreSQL's
            // aggregates are not known to have two phases.
            let mut input = input;
            if exchanged {
                input = self.exchange(input, distribution(&group_by)?, node, tree.nodes[aggregate.input].width);
            }
            if !grouping.occurrences.is_empty() {
                let flagged = FirstOccurrenceExec::new(input.plan, std::mem::take(&mut grouping.occurrences));
                let operators = above(Operator::new("First Occurrence", node), [input.operators]);
                input = Built { plan: Arc::new(flagged), operators, ..input };
            }
            let foreign = std::mem::take(&mut grouping.foreign);
            let wanted = foreign.iter().any(|foreign| foreign.column.is_some());
            let call = if wanted { Some(self.next_call()) } else { None };
            if let Some(call) = call {
                input = self.accumulated(call, input, &foreign, &mut grouping, node)?;
            }
            let schema = input.plan.schema();
            let plan = exec(AggregateMode::Single, group_by, &grouping, input.plan, &schema)?;
            let operators = above(operator("Aggregate"), [input.operators]);
            let built = grouping.output(plan, operators, node)?;
            return match call {
                Some(call) => self.finalized(call, built, &foreign, node),
                None => Ok(built),
            };
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

    /// Rows whose groups PostgreSQL knows; the number of each is one more column of the aggregation.
    fn accumulated(
        &self,
        call: u32,
        input: Built,
        foreign: &[Foreign],
        grouping: &mut Grouping,
        node: usize,
    ) -> Result<Built> {
        let mut seen = BTreeSet::new();
        for foreign in foreign.iter().filter(|foreign| foreign.column.is_some()) {
            seen.extend(self.expr(foreign.expr)?.columns.iter().copied());
        }
        let Built { mut plan, columns, mut operators } = input;
        let seen = |&column: &usize| if seen.contains(&column) { column as u32 } else { UNSEEN };
        let mut inputs: Vec<u32> = columns.iter().map(seen).collect();
        // Behind the columns of the plan: which rows are the first ones.
        inputs.resize(plan.schema().fields().len(), UNSEEN);
        if !grouping.group_by.is_empty() {
            let keys = grouping.group_by.iter().map(|(key, _)| Arc::clone(key)).collect();
            plan = Arc::new(GroupNumberExec::new(plan, keys));
            operators = above(Operator::new("Group Number", node), [operators]);
            let schema = plan.schema();
            let (number, _) = column_at(&schema, inputs.len());
            inputs.push(GROUP_NUMBER);
            grouping.add(aggregates::any_value(), vec![number], None, Some(self.number_column()), &schema)?;
        }
        let keep = (0..inputs.len()).collect();
        let (kind, exprs) = (EvaluationKind::Accumulate, wanted_exprs(foreign));
        let plan = Arc::new(PostgresEvalExec::try_new(kind, call, plan, inputs, exprs, vec![], keep)?);
        Ok(Built { plan, columns, operators: above(Operator::new("PostgreSQL Accumulate", node), [operators]) })
    }

    /// Groups with what PostgreSQL has made of their rows.
    fn finalized(&self, call: u32, groups: Built, foreign: &[Foreign], node: usize) -> Result<Built> {
        let number = self.number_column();
        let input = |&column: &usize| if column == number { GROUP_NUMBER } else { UNSEEN };
        let inputs = groups.columns.iter().map(input).collect();
        let keep: Vec<usize> = (0..groups.columns.len()).filter(|&at| groups.columns[at] != number).collect();
        let mut columns: Vec<usize> = keep.iter().map(|&at| groups.columns[at]).collect();
        let mut results = vec![];
        for foreign in foreign {
            let Some(column) = foreign.column else { continue };
            let name = format!("aggregate of {}", foreign.expr);
            let data_type = self.column(column)?.computed_type()?;
            results.push(ResultColumn { expr: foreign.expr as u32, data_type, name });
            columns.push(column);
        }
        let kind = EvaluationKind::Finalize;
        let plan = Arc::new(PostgresEvalExec::try_new(kind, call, groups.plan, inputs, vec![], results, keep)?);
        let first = foreign.first().map_or(0, |foreign| foreign.expr);
        let clauses = Clauses::Aggregates { first, count: foreign.len() };
        let operator = Operator { clauses, ..Operator::new("PostgreSQL Aggregate", node) };
        Ok(Built { plan, columns, operators: above(operator, [groups.operators]) })
    }

    /// Of group numbers: behind all columns of the plan.
    fn number_column(&self) -> usize {
        self.tree.columns.len()
    }

    /// # Safety
    /// As `translate`.
    unsafe fn grouping(&self, aggregate: &AggregateNode, input: &Built, needed: &BTreeSet<usize>) -> Result<Grouping> {
        let schema = input.plan.schema();
        let layout = Layout { columns: &input.columns, schema: &schema };
        let translator = Translator::new(self.tree.host, &layout);
        let mut grouping = Grouping {
            name: aggregate.keys.first().copied().unwrap_or_default(),
            sets: aggregate.sets.clone(),
            ..Grouping::default()
        };
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
            grouping.group_by.push((key, format!("key.{}.{number}", grouping.name)));
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
            if !grouping.foreign.is_empty() {
                grouping.foreign.push(Foreign { expr, column });
                given.extend(column);
                continue;
            }
            // One at least makes the row of all rows.
            if column.is_none() && !(grouping.group_by.is_empty() && grouping.functions.is_empty()) {
                continue;
            }
            given.extend(column);
            // SAFETY: the caller's promise.
            let call = match unsafe { translator.aggregate(self.expr(expr)?.node.cast()) } {
                Ok(call) => call,
                // From the first one on all are PostgreSQL's: the planner has put these to the end.
                Err(TranslateError::Decline(_)) if aggregate.sets.is_empty() => {
                    grouping.foreign.push(Foreign { expr, column });
                    continue;
                }
                Err(error) => return Err(translate_error(error)),
            };
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
            .alias(format!("aggregate.{}.{}", self.name, self.functions.len()))
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

/// The exprs of aggregates that somebody wants.
fn wanted_exprs(foreign: &[Foreign]) -> Vec<u32> {
    foreign.iter().filter(|foreign| foreign.column.is_some()).map(|foreign| foreign.expr as u32).collect()
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
