//! Windows over sorted rows in small batches, through the codec. Expected results are what PostgreSQL 15 shows.

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::common;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::prelude::SessionConfig;

use super::frames::Rows;
use super::*;
use crate::codec::JoinScanCodec;
use crate::plan::aggregates::{Function, aggregate as native};
use crate::plan::testing::task_context;

const GROWING: Frame = Frame { rows: false, start: Bound::Unbounded, end: Bound::Current };
const WHOLE: Frame = Frame { rows: false, start: Bound::Unbounded, end: Bound::Unbounded };

fn column(name: &str, at: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(name, at))
}

/// Columns p, o, x; partitions 1, 2 and NULL, with peers, and a NULL among the arguments.
fn batch() -> RecordBatch {
    let p: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), Some(1), Some(1), Some(2), None, None]));
    let o: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), Some(2), None, Some(5), Some(7), Some(8)]));
    let x: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(10), Some(20), None, Some(40), Some(50), Some(60), Some(70)]));
    RecordBatch::try_from_iter_with_nullable([("p", p, true), ("o", o, true), ("x", x, true)]).expect("columns agree")
}

fn function(kind: Kind, frame: Frame) -> WindowFunction {
    let args = match kind {
        Kind::Lag(_) | Kind::Nth(_) | Kind::Last | Kind::Aggregate(_) => vec![column("x", 2)],
        _ => vec![],
    };
    WindowFunction { kind, args, filter: None, frame }
}

fn sum(frame: Frame) -> WindowFunction {
    let x = vec![column("x", 2)];
    let sum = aggregate(native(Function::SumInt), x, &batch().schema()).expect("sum of int8 wraps as money's");
    function(Kind::Aggregate(sum), frame)
}

/// The column of each function, with batches of `rows` rows.
fn run(partitioned: bool, functions: Vec<WindowFunction>, rows: usize) -> Vec<ArrayRef> {
    let batch = batch();
    let schema = batch.schema();
    let partition = if partitioned { vec![column("p", 0)] } else { vec![] };
    let window = Window { partition, order: vec![column("o", 1)], functions };
    let plan = WindowExec::try_new(Arc::new(EmptyExec::new(Arc::clone(&schema))), window).expect("a window");
    let codec = JoinScanCodec { registry: Arc::default() };
    let bytes = codec.encode(Arc::new(plan)).expect("encodes");
    let plan = codec.decode(&bytes, &task_context()).expect("decodes");
    let count = batch.num_rows();
    let batches = (0..count).step_by(rows).map(|at| batch.slice(at, rows.min(count - at))).collect();
    let input = MemorySourceConfig::try_new_exec(&[batches], schema, None).expect("rows");
    let plan = plan
        .replace_children(vec![input], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
        .expect("takes rows");
    let context = Arc::new(task_context().with_session_config(SessionConfig::new().with_batch_size(2)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let batches = runtime.block_on(async { common::collect(plan.execute(0, context)?).await }).expect("runs");
    assert!(batches.iter().all(|batch| batch.num_rows() <= 2));
    let all = concat_batches(&plan.schema(), &batches).expect("batches agree");
    assert_eq!(all.num_rows(), count);
    all.columns()[3..].to_vec()
}

fn int8s(array: &ArrayRef) -> Vec<Option<i64>> {
    array.as_primitive::<Int64Type>().iter().collect()
}

#[test]
fn numbers_rows_and_peers_by_partition_however_batches_are_cut() {
    for rows in 1..=7 {
        let kinds = [Kind::RowNumber, Kind::Rank, Kind::DenseRank, Kind::PercentRank, Kind::CumeDist, Kind::Ntile(3)];
        let columns = run(true, kinds.into_iter().map(|kind| function(kind, GROWING)).collect(), rows);
        assert_eq!(int8s(&columns[0]), [1, 2, 3, 4, 1, 1, 2].map(Some));
        assert_eq!(int8s(&columns[1]), [1, 1, 3, 4, 1, 1, 2].map(Some));
        assert_eq!(int8s(&columns[2]), [1, 1, 2, 3, 1, 1, 2].map(Some));
        let floats = |array: &ArrayRef| array.as_primitive::<Float64Type>().values().to_vec();
        assert_eq!(floats(&columns[3]), [0.0, 0.0, 2.0 / 3.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(floats(&columns[4]), [0.5, 0.5, 0.75, 1.0, 1.0, 0.5, 1.0]);
        assert_eq!(columns[5].as_primitive::<Int32Type>().values().to_vec(), [1, 1, 2, 3, 1, 1, 2]);
    }
}

#[test]
fn looks_at_neighbours_within_the_partition() {
    let lead = WindowFunction { args: vec![column("x", 2), column("x", 2)], ..function(Kind::Lag(-2), GROWING) };
    let nth = function(Kind::Nth(2), Frame { rows: true, start: Bound::Rows(-1), end: Bound::Rows(1) });
    let columns = run(true, vec![function(Kind::Lag(1), GROWING), lead, nth, function(Kind::Last, GROWING)], 3);
    assert_eq!(int8s(&columns[0]), [None, Some(10), Some(20), None, None, None, Some(60)]);
    assert_eq!(int8s(&columns[1]), [None, Some(40), None, Some(40), Some(50), Some(60), Some(70)]);
    assert_eq!(int8s(&columns[2]), [Some(20), Some(20), None, Some(40), None, Some(70), Some(70)]);
    assert_eq!(int8s(&columns[3]), [Some(20), Some(20), None, Some(40), Some(50), Some(60), Some(70)]);
}

#[test]
fn aggregates_growing_whole_and_moving_frames() {
    let moving = Frame { rows: true, start: Bound::Rows(-1), end: Bound::Current };
    let ahead = Frame { rows: true, start: Bound::Rows(1), end: Bound::Rows(2) };
    let count = aggregate(count_udaf(), vec![column("x", 2)], &batch().schema()).expect("a count");
    let count = function(Kind::Aggregate(count), GROWING);
    for rows in [1, 4, 7] {
        let columns = run(true, vec![sum(GROWING), sum(WHOLE), sum(moving), sum(ahead), count.clone()], rows);
        assert_eq!(int8s(&columns[0]), [30, 30, 30, 70, 50, 60, 130].map(Some));
        assert_eq!(int8s(&columns[1]), [70, 70, 70, 70, 50, 130, 130].map(Some));
        assert_eq!(int8s(&columns[2]), [10, 30, 20, 40, 50, 60, 130].map(Some));
        assert_eq!(int8s(&columns[3]), [Some(20), Some(40), Some(40), None, None, Some(70), None]);
        assert_eq!(int8s(&columns[4]), [2, 2, 2, 3, 1, 1, 2].map(Some));
    }
    let columns = run(false, vec![sum(WHOLE), function(Kind::RowNumber, WHOLE)], 2);
    assert_eq!(int8s(&columns[0]), [250; 7].map(Some));
    assert_eq!(int8s(&columns[1]), [1, 2, 3, 4, 5, 6, 7].map(Some));
}

#[test]
fn frames_stay_in_their_partition() {
    let keys: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1, 1, 2, 2, 2]))];
    let rows = Rows::new(5, &keys, &[]).expect("keys compare");
    let frame = |start, end| rows.frames(Frame { rows: true, start: Bound::Rows(start), end: Bound::Rows(end) });
    assert_eq!(frame(-1, 1), [0..2, 0..2, 2..4, 2..5, 3..5]);
    assert_eq!(frame(i64::MIN, i64::MAX), [0..2, 0..2, 2..5, 2..5, 2..5]);
    assert_eq!(frame(3, 1), [2..2, 2..2, 5..5, 5..5, 5..5]);
}
