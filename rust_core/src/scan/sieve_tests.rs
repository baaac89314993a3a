//! Scans with conditions, against the same rows decoded whole and filtered by Arrow.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int32Type;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator::{self, And, Divide, Gt, Lt, NotEq};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_plan::ExecutionPlan;
use pgrx_pg_sys::BuiltinOid;
use proptest::prelude::*;

use super::testing::{FakeHost, HeapPage, Value, attribute, context, tuple};
use super::tests::{collect, columns};
use super::{HeapScanExec, Scan, ScanFilter};
use crate::error::Result;
use crate::testing::text_of;

/// Rows of (int4, text, int4).
type Row = (Option<i32>, Option<String>, Option<i32>);

fn host(rows: &[Row], per_page: usize) -> Arc<FakeHost> {
    let attributes = vec![
        attribute(BuiltinOid::INT4OID, -1),
        attribute(BuiltinOid::TEXTOID, -1),
        attribute(BuiltinOid::INT4OID, -1),
    ];
    let int4 = |value: &Option<i32>| value.map_or(Value::Null, Value::int4);
    let pages = rows.chunks(per_page).map(|rows| {
        let tuples: Vec<_> = rows
            .iter()
            .map(|(a, b, c)| {
                let text = b.as_deref().map_or(Value::Null, Value::text);
                tuple(&attributes, &[int4(a), text, int4(c)])
            })
            .collect();
        HeapPage::of(tuples.iter().map(Vec::as_slice))
    });
    let pages = pages.collect();
    Arc::new(FakeHost::new(attributes, pages, 16))
}

fn column(at: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(&format!("c{}", at + 1), at))
}

fn op(left: Arc<dyn PhysicalExpr>, op: Operator, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    Arc::new(BinaryExpr::new(left, op, right))
}

fn filter(predicate: Arc<dyn PhysicalExpr>) -> ScanFilter {
    ScanFilter { predicate, raises: false }
}

fn raising(predicate: Arc<dyn PhysicalExpr>) -> ScanFilter {
    ScanFilter { predicate, raises: true }
}

fn batches(host: &Arc<FakeHost>, scan: Scan, batch_size: usize) -> Result<Vec<RecordBatch>> {
    let exec = HeapScanExec::new(0, "t".into(), scan);
    let (context, _session) = context(host.clone(), batch_size);
    host.rewind(16);
    collect(exec.execute(0, context)?)
}

fn all(host: &Arc<FakeHost>, scan: Scan) -> Result<RecordBatch> {
    let schema = scan.schema.clone();
    Ok(concat_batches(&schema, &batches(host, scan, 100)?)?)
}

fn scan(host: &FakeHost, filters: Vec<ScanFilter>, output: &[usize]) -> Scan {
    Scan::with_filters(columns(&host.attributes, &[1, 2, 3]).0, filters, output.to_vec()).unwrap()
}

fn numbers(count: i32) -> Vec<Row> {
    (0..count).map(|n| (Some(n), Some(format!("text {n}")), Some(n % 10))).collect()
}

fn ints(array: &ArrayRef) -> Vec<i32> {
    array.as_primitive::<Int32Type>().values().to_vec()
}

#[test]
fn batches_are_full_though_few_rows_pass() {
    let host = host(&numbers(10_000), 20);
    let few = op(column(2), Lt, lit(1));
    let found = batches(&host, scan(&host, vec![filter(few)], &[0]), 100).unwrap();
    let sizes: Vec<_> = found.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 1000);
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size >= 100), "{sizes:?}");
    assert_eq!(ints(found[0].column(0))[..3], [0, 10, 20]);
}

#[test]
fn few_pins_are_enough() {
    for pins in [1, 3] {
        let mut host = host(&numbers(1000), 20);
        Arc::get_mut(&mut host).unwrap().pins = pins;
        let few = op(column(2), Lt, lit(1));
        let found = all(&host, scan(&host, vec![filter(few)], &[0, 1])).unwrap();
        assert_eq!(found.num_rows(), 100);
        let texts: Vec<_> = found.column(1).as_string::<i32>().iter().map(Option::unwrap).collect();
        assert_eq!(texts[..2], ["text 0", "text 10"]);
    }
}

#[test]
fn what_may_raise_meets_what_is_left() {
    let host = host(&numbers(500), 7);
    let divides = || raising(op(op(lit(100), Divide, column(2)), Gt, lit(20)));
    let sound = || filter(op(column(2), NotEq, lit(0)));
    let found = all(&host, scan(&host, vec![sound(), divides()], &[2])).unwrap();
    assert_eq!(found.num_rows(), 200);
    assert!(ints(found.column(0)).iter().all(|n| (1..5).contains(n)));
    // In the other order PostgreSQL raises, though the condition that would save it is the cheaper one.
    assert!(all(&host, scan(&host, vec![divides(), sound()], &[2])).is_err());
}

#[test]
fn a_runtime_filter_speaks_once_it_is_told() {
    let host = host(&numbers(300), 10);
    let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![column(0)], lit(true)));
    let with = |filters| {
        let mut scan = scan(&host, filters, &[1, 0]);
        scan.runtime_filters = vec![Arc::clone(&filter) as _];
        scan
    };
    assert_eq!(all(&host, with(vec![])).unwrap().num_rows(), 300);
    filter.update(op(column(0), Lt, lit(5))).unwrap();
    let found = all(&host, with(vec![])).unwrap();
    assert_eq!(ints(found.column(1)), [0, 1, 2, 3, 4]);
    assert_eq!(found.column(0).as_string::<i32>().value(4), "text 4");
}

#[test]
fn a_runtime_filter_that_drops_little_is_given_up() {
    let host = host(&numbers(4000), 50);
    // It drops one row in ten of the first chunk, of 16 pages, and would drop all of the last ones.
    let kept = op(op(column(0), Lt, lit(3000)), And, op(column(2), NotEq, lit(5)));
    let mut scan = scan(&host, vec![], &[0]);
    let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![column(0), column(2)], lit(true)));
    filter.update(kept).unwrap();
    scan.runtime_filters = vec![filter];
    assert_eq!(all(&host, scan).unwrap().num_rows(), 4000 - 80);
}

#[test]
fn a_selective_condition_comes_to_be_the_first() {
    let host = host(&numbers(8000), 50);
    let most = filter(op(column(0), Gt, lit(-1)));
    let few = filter(op(column(1), Operator::Eq, lit("text 7")));
    let filters = vec![most, few];
    let found = all(&host, scan(&host, filters, &[2, 0])).unwrap();
    assert_eq!((ints(found.column(0)), ints(found.column(1))), (vec![7], vec![7]));
}

#[test]
fn wide_survivors_end_a_batch() {
    let attributes = vec![attribute(BuiltinOid::INT4OID, -1), attribute(BuiltinOid::TEXTOID, -1)];
    let pages =
        (0..8).map(|n| HeapPage::of([tuple(&attributes, &[Value::int4(n % 2), Value::External(0)]).as_slice()]));
    let pages = pages.collect();
    let mut host = FakeHost::new(attributes, pages, 128);
    host.toast.insert(0, vec![b'x'; 9 << 20]);
    let host = Arc::new(host);
    let odd = filter(op(column(0), Gt, lit(0)));
    let scan = Scan::with_filters(columns(&host.attributes, &[1, 2]).0, vec![odd], vec![1]).unwrap();
    let sizes: Vec<_> = batches(&host, scan, 8192).unwrap().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [2, 2]);
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::weighted(0.9, -5..5),
        prop::option::weighted(0.9, text_of("abcd", 3)),
        prop::option::weighted(0.9, -5..5),
    )
}

fn condition() -> impl Strategy<Value = Arc<dyn PhysicalExpr>> {
    let compared = prop::sample::select(vec![Lt, Gt, NotEq, Operator::Eq]);
    let number = (prop::sample::select(vec![0, 2]), compared.clone(), -5..5);
    let text = (compared.clone(), text_of("abcd", 2));
    prop_oneof![
        number.prop_map(|(at, operator, value)| op(column(at), operator, lit(value))),
        text.prop_map(|(operator, value)| op(column(1), operator, lit(ScalarValue::Utf8(Some(value))))),
        compared.prop_map(|operator| op(column(0), operator, column(2))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn as_a_filter_of_all_rows(
        rows in prop::collection::vec(row(), 0..1500),
        conditions in prop::collection::vec(condition(), 1..4),
        output in prop::sample::subsequence(vec![0, 1, 2], 0..=3),
        raises in 0..4usize,
        per_page in 1..40usize,
    ) {
        let host = host(&rows, per_page);
        let whole = all(&host, scan(&host, vec![], &[0, 1, 2])).unwrap();
        let predicate = conditions.iter().cloned().reduce(|left, right| op(left, And, right)).unwrap();
        let truth = predicate.evaluate(&whole).unwrap().into_array(whole.num_rows()).unwrap();
        let expected = filter_record_batch(&whole, truth.as_boolean()).unwrap().project(&output).unwrap();

            let filters = conditions.into_iter().enumerate();
        let filters = filters.map(|(at, predicate)| ScanFilter { predicate, raises: at == raises }).collect();
        let found = all(&host, scan(&host, filters, &output)).unwrap();
        prop_assert_eq!(found.num_rows(), expected.num_rows());
        prop_assert_eq!(found.columns(), expected.columns());
    }
}
