//! The keys of a hash join's build side as a list, for the scan of its probe side: where they are few, an index finds
//! the rows that have them, and the others are never looked at.
//!
//! ```text
//!               HashJoinExec  probe.a = build.b
//!                 │      │
//!        KeyListExec    … ── HeapScanExec of the probe side, whose runtime filter is on column a
//!   notes b ─▶ KeyList ─────▶ ScanKeys { a, list }
//! ```
//!
//! A participant's own affair, as the runtime filters of DataFusion's that it goes by: a list belongs to the scan that the
//! filter of its join has come to. So it is nothing that travels in a plan.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat, filter, is_not_null, partition, sort, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
    apply_expression_roots,
};
use futures::{Stream, StreamExt};

use crate::scan::{HeapScanExec, ScanKeys};

/// More rows, or bytes of keys, make no list: a scan of the table is as fast as looking them up.
const MOST_ROWS: usize = 256 << 10;
const MOST_BYTES: usize = 4 << 20;

/// The values of one key of a build side, while it is built and after.
#[derive(Debug, Default)]
pub struct KeyList(Mutex<Keys>);

#[derive(Debug)]
enum Keys {
    Growing { arrays: Vec<ArrayRef>, rows: usize, bytes: usize },
    Complete(Vec<ArrayRef>),
    Distinct(ArrayRef),
    TooMany,
}

impl Default for Keys {
    fn default() -> Self {
        Self::Growing { arrays: vec![], rows: 0, bytes: 0 }
    }
}

impl KeyList {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        // One thread: poisoned only by a panic that ends the session anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        *self.keys() = Keys::default();
    }

    fn add(&self, array: ArrayRef) -> Result<()> {
        let keys = &mut *self.keys();
        let Keys::Growing { arrays, rows, bytes } = keys else { return Ok(()) };
        *rows += array.len();
        *bytes += array.to_data().get_slice_memory_size()?;
        arrays.push(array);
        if *rows > MOST_ROWS || *bytes > MOST_BYTES {
            *keys = Keys::TooMany;
        }
        Ok(())
    }

    fn complete(&self) {
        let keys = &mut *self.keys();
        if let Keys::Growing { arrays, .. } = keys {
            *keys = Keys::Complete(std::mem::take(arrays));
        }
    }

    /// The distinct keys but NULL, ascending; `None` while the build side is not complete, or when it has too many.
    pub fn distinct(&self) -> Result<Option<ArrayRef>> {
        let keys = &mut *self.keys();
        if let Keys::Complete(arrays) = keys {
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            *keys = match arrays.is_empty() {
                true => Keys::TooMany, // nothing will be asked of a scan without any
                false => Keys::Distinct(distinct(&concat(&arrays)?)?),
            };
        }
        Ok(match keys {
            Keys::Distinct(array) => Some(Arc::clone(array)),
            _ => None,
        })
    }
}

/// The values of an array, each once, ascending; NULL is left out.
fn distinct(array: &ArrayRef) -> Result<ArrayRef> {
    let values = filter(array, &is_not_null(array)?)?;
    let sorted = sort(&values, Some(SortOptions::default()))?;
    if sorted.is_empty() {
        return Ok(sorted);
    }
    let first = partition(&[Arc::clone(&sorted)])?.ranges().into_iter().map(|range| range.start as u32);
    Ok(take(&sorted, &UInt32Array::from_iter_values(first), None)?)
}

/// The plan in which each hash join whose runtime filter has come to a scan notes its build side's keys for it.
pub fn with_key_lists(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let mut wanted = HashSet::new();
    find_filters(&plan, &mut wanted);
    if wanted.is_empty() {
        return Ok(plan);
    }
    let mut lists = HashMap::new();
    make_lists(&plan, &wanted, &mut lists)?;
    let connected = plan.transform_up(|node| {
        if let Some(scan) = node.downcast_ref::<HeapScanExec>() {
            let keys = keys_of(scan, &lists);
            return Ok(match keys.is_empty() {
                true => Transformed::no(node),
                false => Transformed::yes(Arc::new(scan.clone().with_keys(keys))),
            });
        }
        let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
        let Some(lists) = filter_of(join).and_then(|filter| lists.get(&filter)) else {
            return Ok(Transformed::no(node));
        };
        let keys = join.on().iter().map(|(build, _)| Arc::clone(build)).zip(lists.iter().cloned()).collect();
        let noting = Arc::new(KeyListExec { keys, input: Arc::clone(join.left()) });
        let children = vec![noting as _, Arc::clone(join.right())];
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        Ok(Transformed::yes(node.replace_children(children, options)?))
    });
    connected.data()
}

/// The scan's runtime filters, as its keys' filters are called.
fn filters_of(scan: &HeapScanExec) -> impl Iterator<Item = (u64, &DynamicFilterPhysicalExpr)> {
    let filters = scan.scan().runtime_filters.iter();
    filters.filter_map(|filter| filter.expression_id().zip(filter.downcast_ref::<DynamicFilterPhysicalExpr>()))
}

fn find_filters(plan: &Arc<dyn ExecutionPlan>, filters: &mut HashSet<u64>) {
    if let Some(scan) = plan.downcast_ref::<HeapScanExec>() {
        filters.extend(filters_of(scan).map(|(id, _)| id));
    }
    plan.children().into_iter().for_each(|child| find_filters(child, filters));
}

/// Which runtime filter a join tells its keys to.
fn filter_of(join: &HashJoinExec) -> Option<u64> {
    join.dynamic_expressions_produced().into_iter().find_map(|filter| filter.expression_id())
}

fn make_lists(
    plan: &Arc<dyn ExecutionPlan>,
    wanted: &HashSet<u64>,
    lists: &mut HashMap<u64, Vec<Arc<KeyList>>>,
) -> Result<()> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && let Some(filter) = filter_of(join).filter(|filter| wanted.contains(filter))
    {
        lists.insert(filter, join.on().iter().map(|_| Arc::default()).collect());
    }
    plan.children().into_iter().try_for_each(|child| make_lists(child, wanted, lists))
}

/// The columns of a scan that are keys of joins above, as they are. A filter has its join's keys as children.
fn keys_of(scan: &HeapScanExec, lists: &HashMap<u64, Vec<Arc<KeyList>>>) -> Vec<ScanKeys> {
    let of_filter = |(id, filter): (u64, &DynamicFilterPhysicalExpr)| {
        let columns = filter.children().into_iter().map(|key| key.downcast_ref::<Column>().map(Column::index));
        let columns: Vec<_> = columns.collect();
        let lists = lists.get(&id).map_or(&[][..], Vec::as_slice);
        let keys = columns.into_iter().zip(lists);
        keys.filter_map(|(column, list)| Some(ScanKeys { column: column?, list: Arc::clone(list) })).collect::<Vec<_>>()
    };
    filters_of(scan).flat_map(of_filter).collect()
}

/// The build side of a join, as it is; its keys are noted.
#[derive(Debug)]
pub struct KeyListExec {
    keys: Vec<(Arc<dyn PhysicalExpr>, Arc<KeyList>)>,
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for KeyListExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "KeyListExec: keys={}", self.keys.len())
    }
}

impl ExecutionPlan for KeyListExec {
    fn name(&self) -> &str {
        "KeyListExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.keys.iter().map(|(key, _)| key), f)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { keys: self.keys.clone(), input: children.swap_remove(0) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.keys.iter().for_each(|(_, list)| list.begin());
        Ok(Box::pin(KeyListStream { keys: self.keys.clone(), input: self.input.execute(partition, context)? }))
    }
}

struct KeyListStream {
    keys: Vec<(Arc<dyn PhysicalExpr>, Arc<KeyList>)>,
    input: SendableRecordBatchStream,
}

impl Stream for KeyListStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.input.poll_next_unpin(cx));
        for (key, list) in &self.keys {
            match &batch {
                Some(Ok(batch)) => list.add(key.evaluate(batch)?.into_array(batch.num_rows())?)?,
                Some(Err(_)) => {}
                None => list.complete(),
            }
        }
        Poll::Ready(batch)
    }
}

impl RecordBatchStream for KeyListStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::Int32Type;
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::common::{JoinType, NullEquality};
    use datafusion::logical_expr::Operator::Gt;
    use datafusion::physical_expr::expressions::{BinaryExpr, lit};
    use datafusion::physical_plan::common;
    use datafusion::physical_plan::joins::PartitionMode;
    use pgrx_pg_sys::BuiltinOid;

    use super::*;
    use crate::codec::with_runtime_filters;
    use crate::host::TypeLayout;
    use crate::scan::testing::{FakeHost, HeapPage, Value, attribute, context, tuple};
    use crate::scan::{Scan, ScanColumn, ScanFilter};

    const PAGES: i32 = 50;
    const ROWS_OF_PAGE: i32 = 20;

    /// A table of the numbers from 0 on, with an index.
    fn host() -> FakeHost {
        let attributes = vec![attribute(BuiltinOid::INT4OID, -1)];
        let row = |number| tuple(&attributes, &[Value::int4(number)]);
        let rows_of = |page: i32| (page * ROWS_OF_PAGE..(page + 1) * ROWS_OF_PAGE).map(row).collect::<Vec<_>>();
        let pages = (0..PAGES).map(|page| HeapPage::of(rows_of(page).iter().map(Vec::as_slice))).collect();
        let mut host = FakeHost::new(attributes, pages, 16);
        let numbers = 0..PAGES * ROWS_OF_PAGE;
        let index = numbers.map(|number| (number as u64, vec![(number / ROWS_OF_PAGE) as u32])).collect();
        host.indexes.insert(1, index);
        host
    }

    fn key(name: &str) -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new(name, 0))
    }

    /// The numbers that a join with `keys` finds, and how many pages it reads for them.
    fn join(host: FakeHost, keys: &[Option<i32>], filters: Vec<ScanFilter>) -> (Vec<i32>, u32) {
        let host = Arc::new(host);
        let layout = TypeLayout { len: 4, byval: true, utf8: true };
        let typid = BuiltinOid::INT4OID as u32;
        let columns = vec![ScanColumn { attno: 1, typid, typmod: -1, name: "number".into(), layout }];
        let scan = HeapScanExec::new(0, "t".into(), Scan::with_filters(columns, filters, vec![0]).expect("a scan"));
        let column: ArrayRef = Arc::new(Int32Array::from(keys.to_vec()));
        let batch = RecordBatch::try_from_iter_with_nullable([("key", column, true)]).expect("a column");
        let build = MemorySourceConfig::try_new_exec(&[vec![batch.clone()]], batch.schema(), None).expect("keys");
        let plan = HashJoinExec::try_new(
            build,
            Arc::new(scan),
            vec![(key("key"), key("number"))],
            None,
            &JoinType::Inner,
            None,
            PartitionMode::CollectLeft,
            NullEquality::NullEqualsNothing,
            false,
        );
        let (context, _session) = context(Arc::clone(&host) as _, 100);
        let plan = with_runtime_filters(Arc::new(plan.expect("a join")), &context).expect("filters");
        let plan = with_key_lists(plan).expect("lists");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let batches = runtime.block_on(async { common::collect(plan.execute(0, context)?).await }).expect("runs");
        let numbers = batches.iter().flat_map(|batch| batch.column(1).as_primitive::<Int32Type>().values().to_vec());
        let mut numbers: Vec<i32> = numbers.collect();
        numbers.sort_unstable();
        (numbers, host.pages_read.load(Relaxed))
    }

    #[test]
    fn pages_without_a_key_are_not_read() {
        let keys = [Some(997), Some(3), None, Some(3), Some(5000), Some(19)];
        assert_eq!(join(host(), &keys, vec![]), (vec![3, 3, 19, 997], 2));
        assert_eq!(join(host(), &[Some(-1), None], vec![]), (vec![], 0));
    }

    #[test]
    fn without_an_index_that_pays_all_are() {
        let keys = [Some(997), Some(3)];
        let all = (vec![3, 997], PAGES as u32);
        assert_eq!(join(FakeHost { most_found: Some(1), ..host() }, &keys, vec![]), all);
        assert_eq!(join(FakeHost { indexes: HashMap::new(), ..host() }, &keys, vec![]), all);
        let many: Vec<_> = (0..=MOST_ROWS as i32).map(Some).collect();
        assert_eq!(join(host(), &many, vec![]).1, PAGES as u32);
    }

    #[test]
    fn a_condition_that_may_raise_meets_all_rows() {
        let sound = ScanFilter { predicate: Arc::new(BinaryExpr::new(key("number"), Gt, lit(-1))), raises: true };
        assert_eq!(join(host(), &[Some(3)], vec![sound]), (vec![3], PAGES as u32));
    }

    #[test]
    fn a_list_is_there_once_it_is_complete() {
        let list = KeyList::default();
        let array = |values: Vec<Option<i32>>| Arc::new(Int32Array::from(values)) as ArrayRef;
        list.add(array(vec![Some(7), None, Some(3)])).expect("adds");
        assert!(list.distinct().expect("no list").is_none());
        list.add(array(vec![Some(7), Some(5), None])).expect("adds");
        list.complete();
        for _ in 0..2 {
            let distinct = list.distinct().expect("a list").expect("is complete");
            assert_eq!(distinct.as_primitive::<Int32Type>().values(), &[3, 5, 7]);
        }
        list.begin();
        assert!(list.distinct().expect("no list").is_none());
    }
}
