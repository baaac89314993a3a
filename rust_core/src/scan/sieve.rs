//! Which rows of a chunk are worth decoding: conditions are evaluated one after another, each on the columns that it
//! mentions, decoded for the rows that the ones before it left.
//!
//! ```text
//! filters, as PostgreSQL orders them   p1  p2  r3  p4        r3 may raise an ERROR
//! stages, cheapest first               p2 ∧ p1 │ r3 │ p4     never across r3
//! then what joins above learnt         │ runtime filter      given up where it drops little
//! ```
//!
//! So a condition that may raise meets the rows that it would meet in PostgreSQL, no more and no fewer. Where none can,
//! `sifting.rs` puts them in the order that pays most.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::BooleanBufferBuilder;
use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_expr::utils::collect_columns;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::scan::chunk::Chunk;
use crate::scan::columns::ColumnBuilder;
use crate::scan::exec::Scan;

/// A condition on a scan's rows.
#[derive(Clone, Debug)]
pub struct ScanFilter {
    /// Boolean, over the scan's columns.
    pub predicate: Arc<dyn PhysicalExpr>,
    /// Evaluating it may raise an ERROR.
    pub raises: bool,
}

/// Bytes of one column that are decoded for a condition at a time.
const STEP_BYTES: usize = 16 << 20;

/// What conditions let pass is judged by so many rows; in tests by so few that tables of some pages are enough.
pub(super) const TRIAL_ROWS: usize = if cfg!(test) { 128 } else { 16 << 10 };
/// A runtime filter must drop one row in so many to be kept.
const WORTHWHILE: usize = 5;

/// What is evaluated at once.
#[derive(Clone)]
pub(super) struct Condition {
    /// Over the scan's columns.
    predicate: Arc<dyn PhysicalExpr>,
    /// Those of them that it mentions, ascending.
    pub columns: Vec<usize>,
    /// It may raise an ERROR.
    pub raises: bool,
    /// Rows need not be dropped.
    pub optional: bool,
    /// Of decoding its columns, relative to an integer.
    pub cost: usize,
}

impl Condition {
    fn new(schema: &Schema, predicate: Arc<dyn PhysicalExpr>, raises: bool, optional: bool) -> Self {
        let columns = columns_of(&predicate);
        let cost = columns.iter().map(|&at| decoding_cost(schema.field(at).data_type())).sum();
        Self { predicate, columns, raises, optional, cost }
    }
}

/// What a scan evaluates, in this order.
pub(super) fn conditions(scan: &Scan) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for run in scan.filters.chunk_by(|before, after| !before.raises && !after.raises) {
        // By their columns; what PostgreSQL puts first stays first among equals.
        let mut merged: BTreeMap<(usize, Vec<usize>), Condition> = BTreeMap::new();
        for filter in run {
            let condition = Condition::new(&scan.input, Arc::clone(&filter.predicate), filter.raises, false);
            merged
                .entry((condition.cost, condition.columns.clone()))
                .and_modify(|Condition { predicate: before, .. }| {
                    let both = BinaryExpr::new(Arc::clone(before), Operator::And, Arc::clone(&filter.predicate));
                    *before = Arc::new(both);
                })
                .or_insert(condition);
        }
        conditions.extend(merged.into_values());
    }
    let runtime = scan.runtime_filters.iter();
    conditions.extend(runtime.map(|filter| Condition::new(&scan.input, Arc::clone(filter), false, true)));
    conditions
}

/// Conditions that are evaluated one after another on the same chunk.
pub(super) struct Sieve {
    stages: Vec<Stage>,
}

/// One condition, and decoders for the columns that it needs.
struct Stage {
    /// Over `columns`, in their order.
    predicate: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// With the walker's slots that they are fed from.
    columns: Vec<(usize, ColumnBuilder)>,
    optional: bool,
    tally: Tally,
}

/// How many rows met a condition, and how many of them passed.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub seen: usize,
    pub kept: usize,
}

impl Tally {
    /// What it costs to drop a row, where one that is evaluated costs `cost`.
    pub fn price(self, cost: usize) -> f64 {
        (1.0 + cost as f64) * self.seen as f64 / (self.seen - self.kept) as f64
    }

    /// Does it drop too few rows to be worth its time?
    pub fn is_poor(self) -> bool {
        self.seen >= TRIAL_ROWS && (self.seen - self.kept) * WORTHWHILE < self.seen
    }
}

impl Sieve {
    /// `schema`: the scan's columns; `column` gives the walker's slot of one, and a builder.
    pub fn new(
        schema: &Schema,
        conditions: &[Condition],
        column: &dyn Fn(usize) -> Result<(usize, ColumnBuilder)>,
    ) -> Result<Self> {
        let stages = conditions.iter().map(|condition| Stage::new(schema, condition.clone(), column));
        Ok(Self { stages: stages.collect::<Result<_>>()? })
    }

    /// Of each condition.
    pub fn tallies(&self) -> impl Iterator<Item = Tally> + '_ {
        self.stages.iter().map(|stage| stage.tally)
    }

    /// How many of the conditions have been told what to drop.
    pub fn speaking(&self) -> Result<usize> {
        self.stages.iter().map(|stage| Ok(usize::from(!says_nothing(&stage.predicate)?))).sum()
    }

    /// Would it drop nothing?
    pub fn is_idle(&self) -> Result<bool> {
        for stage in &self.stages {
            if !stage.is_idle()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Strikes off the chunk's tuples that fail a condition; how many of them fail a runtime filter. Errors: what a
    /// condition raises; XX001.
    pub fn sift(&mut self, host: &dyn Host, chunk: &mut Chunk) -> Result<usize> {
        let mut without_partner = 0;
        for stage in &mut self.stages {
            let before = chunk.rows();
            if before == 0 {
                break;
            }
            stage.sift(host, chunk)?;
            if stage.optional {
                without_partner += before - chunk.rows();
            }
        }
        Ok(without_partner)
    }
}

impl Stage {
    fn new(
        schema: &Schema,
        Condition { predicate, columns: used, optional, .. }: Condition,
        column: &dyn Fn(usize) -> Result<(usize, ColumnBuilder)>,
    ) -> Result<Self> {
        let fields: Vec<Field> = used.iter().map(|&at| schema.field(at).clone()).collect();
        let predicate = moved(&predicate, |column| used.binary_search(&column).ok())?;
        let columns = used.iter().map(|&at| column(at)).collect::<Result<_>>()?;
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { predicate, schema, columns, optional, tally: Tally::default() })
    }

    fn is_idle(&self) -> Result<bool> {
        Ok(self.optional && (self.tally.is_poor() || says_nothing(&self.predicate)?))
    }

    fn sift(&mut self, host: &dyn Host, chunk: &mut Chunk) -> Result<()> {
        if self.is_idle()? {
            return Ok(());
        }
        let total = chunk.rows();
        let mut keep = BooleanBufferBuilder::new(total);
        let mut rows = 0;
        for page in 0..chunk.len() {
            for (slot, builder) in &mut self.columns {
                chunk.append(host, page, *slot, builder)?;
            }
            rows += chunk.rows_of(page);
            let full = self.columns.iter().any(|(_, builder)| builder.bytes() >= STEP_BYTES);
            if rows > 0 && (full || page + 1 == chunk.len()) {
                self.evaluate(rows, &mut keep)?;
                rows = 0;
            }
        }
        let keep = keep.finish();
        self.tally.seen += total;
        self.tally.kept += keep.count_set_bits();
        chunk.retain(&keep);
        Ok(())
    }

    /// Appends to `keep` which of the rows that were decoded satisfy the condition.
    fn evaluate(&mut self, rows: usize, keep: &mut BooleanBufferBuilder) -> Result<()> {
        let arrays = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        match self.predicate.evaluate(&batch)? {
            ColumnarValue::Array(array) => {
                let truth = array.as_boolean_opt().ok_or_else(not_boolean)?;
                let truth = match truth.nulls() {
                    Some(nulls) => truth.values() & nulls.inner(),
                    None => truth.values().clone(),
                };
                keep.append_buffer(&truth);
            }
            ColumnarValue::Scalar(ScalarValue::Boolean(truth)) => keep.append_n(rows, truth == Some(true)),
            ColumnarValue::Scalar(_) => return Err(not_boolean()),
        }
        Ok(())
    }
}

#[cold]
fn not_boolean() -> Error {
    Error::internal("a condition is not boolean")
}

/// Is it a runtime filter that has not been told anything yet, or nothing of use?
fn says_nothing(predicate: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let Some(runtime) = predicate.downcast_ref::<DynamicFilterPhysicalExpr>() else { return Ok(false) };
    let current = runtime.current()?;
    Ok(current.downcast_ref::<Literal>().is_some_and(|literal| *literal.value() == ScalarValue::Boolean(Some(true))))
}

/// An expression over other columns: each is where `place` says.
pub(super) fn moved(
    expr: &Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> Option<usize>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = Arc::clone(expr).transform_up(|node| match node.downcast_ref::<Column>() {
        Some(column) => match place(column.index()) {
            Some(at) => Ok(Transformed::yes(Arc::new(Column::new(column.name(), at)) as _)),
            None => Err(Error::internal(format!("column {} of a condition is not there", column.index())).into()),
        },
        None => Ok(Transformed::no(node)),
    })?;
    Ok(moved.data)
}

/// The columns that are mentioned, ascending.
fn columns_of(predicate: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    let mut columns: Vec<usize> = collect_columns(predicate).iter().map(Column::index).collect();
    columns.sort_unstable();
    columns
}

/// About how long it takes to decode and to compare a value, relative to an integer.
fn decoding_cost(data_type: &DataType) -> usize {
    match data_type {
        DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) => 4,
        DataType::Decimal128(..) => 2,
        _ => 1,
    }
}
