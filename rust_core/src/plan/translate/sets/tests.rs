//! Groups by sets of two keys, through the codec.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, common};

use super::*;
use crate::codec::JoinScanCodec;
use crate::plan::testing::task_context;

fn column(name: &str, at: usize) -> Expr {
    Arc::new(Column::new(name, at))
}

/// A plan with other rows, as another participant decodes it.
fn sent(plan: Arc<dyn ExecutionPlan>, rows: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let codec = JoinScanCodec { registry: Arc::default() };
    let plan = codec.decode(&codec.encode(plan).expect("encodes"), &task_context()).expect("decodes");
    plan.replace_children(vec![rows], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
        .expect("takes rows")
}

fn set(keys: u64, value: u64) -> GroupingSet {
    GroupingSet { keys, values: vec![value] }
}

type Row = [Option<i32>; 4];

/// Sorted rows (a, b, value of the set, a where the set has it) for the groups of `rows` (a, b).
fn groups(rows: &[(i32, i32)], sets: &[GroupingSet]) -> Vec<Row> {
    let a: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>());
    let b: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int32Array>());
    let batch = RecordBatch::try_from_iter([("a", a), ("b", b)]).expect("columns agree");
    let schema = batch.schema();
    let empty = Arc::new(EmptyExec::new(Arc::clone(&schema)));
    let input = MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(&schema), None).expect("rows");
    let keys = vec![(column("a", 0), "a".into()), (column("b", 1), "b".into())];
    let keys = group_by(keys, sets, &schema).expect("keys have types");
    let plan = AggregateExec::try_new(AggregateMode::Single, keys, vec![], vec![], empty, schema).expect("groups");
    let plan = sent(Arc::new(plan), input);
    let schema = plan.schema();
    let told = Sets::new(sets, 2, column(schema.field(2).name(), 2), schema.field(2).data_type()).expect("numbers fit");
    let exprs = vec![
        (column("a", 0), "a".to_string()),
        (column("b", 1), "b".to_string()),
        (told.value(0).expect("a choice"), "value".to_string()),
        (told.where_had(0, column("a", 0), &DataType::Int32).expect("a choice"), "had".to_string()),
    ];
    let projection = ProjectionExec::try_new(exprs, Arc::new(EmptyExec::new(schema))).expect("a projection");
    let plan = sent(Arc::new(projection), plan);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let batches = runtime.block_on(async { common::collect(plan.execute(0, Arc::new(task_context()))?).await });
    let all = concat_batches(&plan.schema(), &batches.expect("runs")).expect("batches agree");
    let cell = |row: usize, at: usize| {
        let column = all.column(at).as_primitive::<Int32Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let mut found: Vec<Row> = (0..all.num_rows()).map(|row| [0, 1, 2, 3].map(|at| cell(row, at))).collect();
    found.sort_unstable();
    found
}

#[test]
fn each_set_has_its_groups_and_its_value() {
    let found = groups(&[(1, 7), (1, 8), (2, 7)], &[set(0b01, 10), set(0b10, 20), set(0b11, 0)]);
    let by_b = [[None, Some(7), Some(20), None], [None, Some(8), Some(20), None]];
    let one = [
        [Some(1), None, Some(10), Some(1)],
        [Some(1), Some(7), Some(0), Some(1)],
        [Some(1), Some(8), Some(0), Some(1)],
    ];
    let two = [[Some(2), None, Some(10), Some(2)], [Some(2), Some(7), Some(0), Some(2)]];
    assert_eq!(found, [&by_b[..], &one[..], &two[..]].concat());
}

#[test]
fn equal_sets_keep_their_rows_apart() {
    let found = groups(&[(1, 7), (1, 8)], &[set(0b01, 5), set(0, 6), set(0b01, 5), set(0, 6)]);
    let none = [None, None, Some(6), None];
    let one = [Some(1), None, Some(5), Some(1)];
    assert_eq!(found, [none, none, one, one]);
}

#[test]
fn the_empty_set_has_a_row_of_no_rows() {
    assert_eq!(groups(&[], &[set(0b11, 0), set(0, 3)]), [[None, None, Some(3), None]]);
    assert_eq!(groups(&[], &[set(0b11, 0), set(0b10, 2)]), [[None; 4]; 0]);
}
