//! Each aggregate over one batch in each way it runs, through codec and frames: Single; Partial twice and Final; the
//! same with partial aggregation skipped; without GROUP BY. Expected results are what PostgreSQL 15 shows.

mod exact;
mod extremes;
mod floats;
mod variance;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, sort_to_indices, take};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::ScalarValue;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::{ExecutionPlan, common};
use datafusion::prelude::SessionConfig;

use super::*;
use crate::codec::JoinScanCodec;
use crate::error::Result;
use crate::exchange::batch::decode_batch;
use crate::exchange::encoder::BatchEncoder;
use crate::exchange::frames::Frame;
use crate::plan::testing::{numeric_payload, task_context};
use crate::scan::numeric::{Kind as Stored, Parsed};

/// Rows for an aggregate.
struct Rows {
    /// Column 0.
    groups: Vec<Option<i32>>,
    args: Vec<ArrayRef>,
    /// FILTER: the last column.
    filter: Option<Vec<Option<bool>>>,
}

/// Groups before a partial aggregation is skipped: none or any number.
const NEVER: usize = usize::MAX;

fn context(skip_after: usize) -> Arc<TaskContext> {
    let mut config = SessionConfig::new().with_batch_size(3);
    config.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = skip_after;
    config.options_mut().execution.skip_partial_aggregation_probe_ratio_threshold = 0.0;
    config.options_mut().execution.target_partitions = 1;
    Arc::new(task_context().with_session_config(config))
}

impl Rows {
    fn new(groups: &[i32], args: Vec<ArrayRef>) -> Self {
        Self { groups: groups.iter().copied().map(Some).collect(), args, filter: None }
    }

    fn filtered(mut self, filter: &[Option<bool>]) -> Self {
        self.filter = Some(filter.to_vec());
        self
    }

    fn batch(&self) -> RecordBatch {
        let mut columns: Vec<(String, ArrayRef)> = vec![("g".into(), Arc::new(Int32Array::from(self.groups.clone())))];
        columns.extend(self.args.iter().enumerate().map(|(at, arg)| (format!("a{at}"), Arc::clone(arg))));
        if let Some(filter) = &self.filter {
            columns.push(("f".into(), Arc::new(BooleanArray::from(filter.clone()))));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
            .expect("columns agree")
    }

    fn plan(
        &self,
        function: &Arc<AggregateUDF>,
        mode: AggregateMode,
        grouped: bool,
        batches: Vec<RecordBatch>,
        input: SchemaRef,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.batch().schema();
        let args = (0..self.args.len()).map(|at| Arc::new(Column::new(&format!("a{at}"), at + 1)) as _).collect();
        let aggregate = AggregateExprBuilder::new(Arc::clone(function), args)
            .schema(Arc::clone(&schema))
            .alias("result")
            .build()?;
        let raw = matches!(mode, AggregateMode::Partial | AggregateMode::Single);
        let filter = self.filter.as_ref().filter(|_| raw);
        let filter = filter.map(|_| Arc::new(Column::new("f", self.args.len() + 1)) as Arc<dyn PhysicalExpr>);
        let key: Arc<dyn PhysicalExpr> = Arc::new(Column::new("g", 0));
        let group_by = PhysicalGroupBy::new_single(if grouped { vec![(key, "g".into())] } else { vec![] });
        let leaf = Arc::new(EmptyExec::new(Arc::clone(&input)));
        let plan = AggregateExec::try_new(mode, group_by, vec![Arc::new(aggregate)], vec![filter], leaf, schema)?;
        let codec = JoinScanCodec { registry: Arc::default() };
        let plan = codec.decode(&codec.encode(Arc::new(plan))?, &task_context())?;
        let rows = MemorySourceConfig::try_new_exec(&[batches], input, None)?;
        Ok(plan.replace_children(vec![rows], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?)
    }

    fn execute(plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<RecordBatch> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let batches = runtime.block_on(async { common::collect(plan.execute(0, Arc::clone(context))?).await })?;
        let batch = concat_batches(&plan.schema(), &batches)?;
        // As another participant gets them.
        let mut bytes = vec![];
        BatchEncoder::default().encode(&mut bytes, 1, &batch, None)?;
        let Frame::Batch { body, .. } = Frame::parse(&bytes)? else { panic!("not a batch") };
        decode_batch(body, &batch.schema())
    }

    /// Single.
    fn at_once(&self, function: &Arc<AggregateUDF>, grouped: bool) -> Result<RecordBatch> {
        let batch = self.batch();
        let (schema, length) = (batch.schema(), batch.num_rows());
        let batches = vec![batch.slice(0, length / 3), batch.slice(length / 3, length - length / 3)];
        let plan = self.plan(function, AggregateMode::Single, grouped, batches, schema)?;
        Self::execute(&plan, &context(NEVER))
    }

    /// Partial in two participants, and Final.
    fn in_parts(&self, function: &Arc<AggregateUDF>, grouped: bool, skip_after: usize) -> Result<RecordBatch> {
        let batch = self.batch();
        let half = batch.num_rows() / 2;
        let mut states = vec![];
        for part in [batch.slice(0, half), batch.slice(half, batch.num_rows() - half)] {
            let rows = (0..part.num_rows()).map(|row| part.slice(row, 1)).collect();
            let plan = self.plan(function, AggregateMode::Partial, grouped, rows, batch.schema())?;
            states.push(Self::execute(&plan, &context(skip_after))?);
        }
        let schema = states[0].schema();
        let plan = self.plan(function, AggregateMode::Final, grouped, states, schema)?;
        Self::execute(&plan, &context(NEVER))
    }

    /// The result of each group in the order of their keys, the same in every way.
    fn grouped(&self, function: &Arc<AggregateUDF>) -> Result<ArrayRef> {
        let sorted = |batch: RecordBatch| -> Result<ArrayRef> {
            let order: UInt32Array = sort_to_indices(batch.column(0), None, None)?;
            Ok(take(batch.column(1), &order, None)?)
        };
        let single = sorted(self.at_once(function, true)?)?;
        for skip_after in [NEVER, 0] {
            let parts = sorted(self.in_parts(function, true, skip_after)?)?;
            assert_eq!(close(&single), close(&parts), "{} in parts, skipped after {skip_after}", function.name());
        }
        Ok(single)
    }

    /// The result without GROUP BY, the same in every way.
    fn scalar(&self, function: &Arc<AggregateUDF>) -> Result<ArrayRef> {
        let single = self.at_once(function, false)?;
        let parts = self.in_parts(function, false, NEVER)?;
        assert_eq!(single.num_rows(), 1);
        assert_eq!(close(single.column(0)), close(parts.column(0)), "{} in parts", function.name());
        Ok(Arc::clone(single.column(0)))
    }
}

/// Results, floats to some digits: parts of them are added in another order.
fn close(array: &ArrayRef) -> Vec<String> {
    let value = |row| ScalarValue::try_from_array(array, row).expect("a value");
    (0..array.len())
        .map(|row| match value(row) {
            ScalarValue::Float64(Some(value)) => format!("{value:.10e}"),
            ScalarValue::Float32(Some(value)) => format!("{value:.4e}"),
            other => format!("{other:?}"),
        })
        .collect()
}

/// A function of DataFusion's or of ours, by its name in plans.
fn named(name: &str) -> Arc<AggregateUDF> {
    all().into_iter().find(|udaf| udaf.name() == name).expect("is registered")
}

/// What PostgreSQL would show of numerics without a declared scale.
fn shown(array: &ArrayRef) -> Vec<Option<String>> {
    array.as_binary::<i32>().iter().map(|payload| payload.map(numeric_text)).collect()
}

fn numeric_text(payload: &[u8]) -> String {
    let Parsed { negative, scale, weight, digits } = match Stored::of(payload).expect("is well-formed") {
        Stored::NaN => return "NaN".into(),
        Stored::Infinity { negative } => return if negative { "-Infinity" } else { "Infinity" }.into(),
        Stored::Finite(parsed) => parsed,
    };
    let digit = |weight_of: i32| {
        let at = usize::try_from(weight - weight_of).ok().and_then(|at| digits.get(at));
        format!("{:04}", at.map_or(0, |digit| u16::from_le_bytes(*digit)))
    };
    let integral: String = (0..=weight.max(0)).rev().map(digit).collect();
    let fraction: String = (1..=scale.div_ceil(4) as i32).map(|at| digit(-at)).collect();
    let integral = Some(integral.trim_start_matches('0')).filter(|text| !text.is_empty()).unwrap_or("0");
    let point = if scale > 0 { "." } else { "" };
    format!("{}{integral}{point}{}", if negative { "-" } else { "" }, &fraction[..scale as usize])
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| (*text != "NULL").then(|| (*text).to_owned())).collect()
}

/// The SQLSTATE of an ERROR.
fn raised<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Raised { sqlstate, .. }) => sqlstate,
        other => panic!("nothing was raised: {other:?}"),
    }
}

#[test]
fn found_by_name_and_by_number() {
    for (position, (function, name, _)) in FUNCTIONS.iter().enumerate() {
        assert_eq!(*function as usize, position, "{name}");
        assert_eq!(aggregate(*function).name(), *name);
        assert!(name.starts_with("pg_"));
    }
}

#[test]
fn foreign_arguments_are_errors() {
    for (function, name, arity) in FUNCTIONS.iter().filter(|(function, ..)| *function != Function::AnyValue) {
        let udaf = aggregate(*function);
        assert!(udaf.return_type(&vec![DataType::Boolean; *arity]).is_err(), "{name}");
        assert!(udaf.return_type(&[]).is_err(), "{name}");
        assert!(udaf.return_type(&[DataType::Float64, DataType::Float64, DataType::Float64]).is_err(), "{name}");
    }
}

#[test]
fn no_rows() {
    let none = |data_type: DataType| Rows::new(&[], vec![arrow::array::new_empty_array(&data_type)]);
    for (name, data_type) in [
        ("pg_sum_int", DataType::Int32),
        ("pg_sum_numeric", DataType::Decimal128(15, 2)),
        ("pg_sum_numeric", DataType::Binary),
        ("pg_avg_numeric", DataType::Int64),
        ("pg_avg_numeric", DataType::Binary),
        ("pg_sum_float", DataType::Float32),
        ("pg_avg_float", DataType::Float64),
        ("pg_max_float", DataType::Float64),
        ("pg_min_numeric", DataType::Binary),
        ("pg_max_bpchar", DataType::Utf8),
        ("pg_any_value", DataType::Utf8),
        ("max", DataType::Decimal128(15, 2)),
        ("bool_and", DataType::Boolean),
        ("bit_xor", DataType::Int64),
    ] {
        let rows = none(data_type);
        assert_eq!(rows.grouped(&named(name)).expect("aggregates").len(), 0, "{name}");
        assert_eq!(rows.scalar(&named(name)).expect("aggregates").null_count(), 1, "{name}");
    }
    let pairs = Rows::new(&[], vec![arrow::array::new_empty_array(&DataType::Float64); 2]);
    assert_eq!(pairs.scalar(&named("pg_regr_count")).expect("aggregates").as_primitive::<Int64Type>().value(0), 0);
    let count = none(DataType::Int32).scalar(&named("count")).expect("aggregates");
    assert_eq!(count.as_primitive::<Int64Type>().value(0), 0);
}

#[test]
fn any_value_is_the_first_of_each_group() {
    let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![Some("b"), None, Some("a"), None, Some("c")]));
    let rows = Rows::new(&[2, 1, 0, 1, 3], vec![texts]);
    let found = rows.grouped(&any_value()).expect("aggregates");
    assert_eq!(found.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("b"), Some("c")]);
}

#[test]
fn any_value_of_many_groups() {
    let groups: Vec<i32> = (0..2000).map(|row| row * 7 % 500).collect();
    let values: ArrayRef = Arc::new(Int32Array::from_iter_values(groups.iter().map(|group| group * 3)));
    let found = Rows::new(&groups, vec![values]).grouped(&any_value()).expect("aggregates");
    assert_eq!(
        found.as_primitive::<Int32Type>().values().to_vec(),
        (0..500).map(|group| group * 3).collect::<Vec<_>>()
    );
}

#[test]
fn any_value_emits_the_first_groups_alone() {
    let mut any = AnyValue::new(DataType::Int32);
    let column = |values: Vec<i32>| -> Vec<ArrayRef> { vec![Arc::new(Int32Array::from(values))] };
    any.update_batch(&column(vec![10, 11, 12]), &[1, 0, 1], None, 2).expect("takes");
    any.update_batch(&column(vec![13, 14]), &[0, 2], None, 3).expect("takes");
    let emitted = any.evaluate(datafusion::logical_expr::EmitTo::First(1)).expect("emits");
    assert_eq!(emitted.as_primitive::<Int32Type>().values().to_vec(), [11]);
    any.update_batch(&column(vec![15, 16]), &[1, 2], None, 3).expect("takes");
    let rest = any.evaluate(datafusion::logical_expr::EmitTo::All).expect("emits");
    assert_eq!(rest.as_primitive::<Int32Type>().values().to_vec(), [10, 14, 16]);
    assert_eq!(any.size(), 0);
}

#[test]
fn sums_emit_the_first_groups_alone() {
    let udaf = Grouped::new(Exact::<Int64Type, 1>::new(Kind::Sum, 0));
    let mut sums: Box<dyn GroupsAccumulator> = Box::new(udaf);
    let column = |values: Vec<i64>| -> Vec<ArrayRef> { vec![Arc::new(arrow::array::Int64Array::from(values))] };
    sums.update_batch(&column(vec![1, 2, 3]), &[0, 1, 2], None, 3).expect("takes");
    let emitted = sums.evaluate(datafusion::logical_expr::EmitTo::First(2)).expect("emits");
    assert_eq!(shown(&emitted), some(&["1", "2"]));
    sums.update_batch(&column(vec![4, 5]), &[0, 1], None, 2).expect("takes");
    let rest = sums.evaluate(datafusion::logical_expr::EmitTo::All).expect("emits");
    assert_eq!(shown(&rest), some(&["7", "5"]));
}
