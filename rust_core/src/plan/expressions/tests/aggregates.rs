//! Aggregate calls: what they become, when an argument is evaluated, what is declined.

use pgrx_pg_sys as pg_sys;

use super::*;
use crate::plan::expressions::AggregateCall;
use crate::plan::testing::*;

const INT4_DIVIDE: u32 = pg_sys::F_INT4DIV;
const INT4_GREATER: u32 = pg_sys::F_INT4GT;

fn call(columns: &dyn Columns, aggref: pg_sys::Aggref) -> Result<AggregateCall, String> {
    // SAFETY: the tests' nodes live for ever.
    match unsafe { Translator::new(&FakeHost, columns).aggregate(&aggref) } {
        Ok(call) => Ok(call),
        Err(TranslateError::Decline(Decline(reason))) => Err(reason),
        Err(TranslateError::Error(error)) => panic!("{error:?}"),
    }
}

fn table() -> Table {
    Table::new(vec![
        int4s(&[Some(1), Some(2)]),
        numerics(15, 2, &[Some(100), Some(200)]),
        free_numerics(&[Some("1.5"), None]),
        float8s(&[Some(0.5), None]),
        texts(&[Some("a"), None]),
        int8s(&[Some(1), None]),
        bools(&[T, F]),
    ])
}

fn column(attno: i16) -> NodePtr {
    let types = [
        pg_sys::INT4OID,
        pg_sys::NUMERICOID,
        pg_sys::NUMERICOID,
        pg_sys::FLOAT8OID,
        pg_sys::TEXTOID,
        pg_sys::INT8OID,
        pg_sys::BOOLOID,
    ];
    var(attno, types[attno as usize - 1], -1)
}

#[test]
fn functions_and_their_results() {
    let table = table();
    let max_oid = pg_sys::F_MAX_OID.to_u32();
    for (function, args, name, result) in [
        (pg_sys::F_COUNT_, vec![], "count", DataType::Int64),
        (pg_sys::F_COUNT_ANY, vec![column(5)], "count", DataType::Int64),
        (pg_sys::F_SUM_INT4, vec![column(1)], "pg_sum_int", DataType::Int64),
        (pg_sys::F_SUM_INT8, vec![column(6)], "pg_sum_numeric", DataType::Binary),
        (pg_sys::F_SUM_NUMERIC, vec![column(2)], "pg_sum_numeric", DataType::Binary),
        (pg_sys::F_SUM_NUMERIC, vec![column(3)], "pg_sum_numeric", DataType::Binary),
        (pg_sys::F_AVG_INT4, vec![column(1)], "pg_avg_numeric", DataType::Binary),
        (pg_sys::F_AVG_FLOAT8, vec![column(4)], "pg_avg_float", DataType::Float64),
        (pg_sys::F_MAX_INT4, vec![column(1)], "max", DataType::Int32),
        (pg_sys::F_MIN_NUMERIC, vec![column(2)], "min", DataType::Decimal128(15, 2)),
        (pg_sys::F_MIN_NUMERIC, vec![column(3)], "pg_min_numeric", DataType::Binary),
        (pg_sys::F_MAX_FLOAT8, vec![column(4)], "pg_max_float", DataType::Float64),
        (pg_sys::F_MAX_TEXT, vec![column(5)], "max", DataType::Utf8),
        (pg_sys::F_MAX_BPCHAR, vec![column(5)], "pg_max_bpchar", DataType::Utf8),
        (max_oid, vec![column(1)], "max", DataType::Int32),
        (pg_sys::F_EVERY, vec![column(7)], "bool_and", DataType::Boolean),
        (pg_sys::F_BIT_XOR_INT8, vec![column(6)], "bit_xor", DataType::Int64),
        (pg_sys::F_STDDEV_FLOAT8, vec![column(4)], "pg_stddev_samp", DataType::Float64),
        (pg_sys::F_CORR, vec![column(4), column(4)], "pg_corr", DataType::Float64),
        (pg_sys::F_REGR_COUNT, vec![column(4), column(4)], "pg_regr_count", DataType::Int64),
    ] {
        let call = call(&table, aggref(function, C_COLLATION, &args)).expect("has a translation");
        assert_eq!((call.function.name(), &call.result), (name, &result), "{function}");
        assert_eq!(call.args.len(), args.len().max(1));
        assert!(call.filter.is_none() && !call.distinct && call.distinct_keys.is_empty());
    }
}

#[test]
fn declined() {
    let table = table();
    let of = |aggref| call(&table, aggref).map(|call| call.function.name().to_owned()).expect_err("is declined");
    let reason = "an aggregate of values of such a type is not supported";
    assert_eq!(of(aggref(pg_sys::F_AVG_INTERVAL, 0, &[column(1)])), "the aggregate with OID 2106 is not supported");
    assert_eq!(of(aggref(pg_sys::F_SUM_INT4, 0, &[column(5)])), reason);
    assert_eq!(of(aggref(pg_sys::F_MAX_INT4, 0, &[column(5)])), reason);
    assert_eq!(of(aggref(pg_sys::F_EVERY, 0, &[column(5)])), reason);
    assert_eq!(of(aggref(pg_sys::F_CORR, 0, &[column(4), column(1)])), reason);
    assert_eq!(
        of(aggref(pg_sys::F_MAX_TEXT, DEFAULT_COLLATION, &[column(5)])),
        "text order under a collation other than C is not supported"
    );
    assert_eq!(
        of(pg_sys::Aggref { aggkind: b'o' as _, ..aggref(pg_sys::F_COUNT_, 0, &[]) }),
        "an ordered-set or variadic aggregate is not supported"
    );
    assert_eq!(
        of(pg_sys::Aggref { agglevelsup: 1, ..aggref(pg_sys::F_COUNT_, 0, &[]) }),
        "an aggregate of an outer query is not supported"
    );
    assert_eq!(
        of(pg_sys::Aggref { aggsplit: pg_sys::AggSplit::AGGSPLIT_INITIAL_SERIAL, ..aggref(pg_sys::F_COUNT_, 0, &[]) }),
        "a partial aggregate of PostgreSQL's is not supported"
    );
}

#[test]
fn order_by() {
    let table = table();
    let ordered = |function, arg| {
        let mut aggref = aggref(function, C_COLLATION, &[arg]);
        aggref.aggorder = list(&[sort_clause(1, 0)]);
        call(&table, aggref).map(|call| call.function.name().to_owned())
    };
    assert_eq!(ordered(pg_sys::F_SUM_INT4, column(1)).as_deref(), Ok("pg_sum_int"));
    assert_eq!(ordered(pg_sys::F_MAX_TEXT, column(5)).as_deref(), Ok("max"));
    let reason = "an aggregate whose result depends on its ORDER BY is not supported";
    assert_eq!(ordered(pg_sys::F_SUM_FLOAT8, column(4)), Err(reason.into()));
    assert_eq!(ordered(pg_sys::F_MAX_NUMERIC, column(3)), Err(reason.into()));
    // An argument that is only ordered by.
    let with = |order| {
        let mut aggref = aggref(pg_sys::F_SUM_INT4, 0, &[column(1)]);
        aggref.args = list(&[target(column(1), 0, false), target(order, 1, true)]);
        aggref.aggorder = list(&[sort_clause(1, 0)]);
        call(&table, aggref).map(|call| call.args.len())
    };
    assert_eq!(with(column(5)), Ok(1));
    assert_eq!(
        with(op(INT4_DIVIDE, 0, &[int4(1), column(1)])),
        Err("an aggregate ordered by an expression that can raise is not supported".into())
    );
}

#[test]
fn distinct() {
    let table = table();
    let distinct = |function, arg: i16, equality: u32| {
        let mut aggref = aggref(function, DEFAULT_COLLATION, &[column(arg)]);
        aggref.args = list(&[target(column(arg), 1, false)]);
        aggref.aggdistinct = list(&[sort_clause(1, equality)]);
        call(&table, aggref)
    };
    let (int4_equality, numeric_equality, float8_equality, text_equality) = (96, 1752, 670, 98);
    let key = |call: Result<AggregateCall, String>| {
        let call = call.expect("has a translation");
        assert!(call.distinct);
        table.evaluate(&call.distinct_keys[0]).expect("evaluates")
    };
    assert_eq!(*key(distinct(pg_sys::F_COUNT_ANY, 1, int4_equality)).data_type(), DataType::Int32);
    assert_eq!(*key(distinct(pg_sys::F_SUM_NUMERIC, 2, numeric_equality)).data_type(), DataType::Decimal128(15, 2));
    assert_eq!(key(distinct(pg_sys::F_COUNT_ANY, 3, numeric_equality)).as_binary::<i32>().value(0)[0], 0xC0);
    assert_eq!(*key(distinct(pg_sys::F_COUNT_ANY, 4, float8_equality)).data_type(), DataType::Float64);
    assert_eq!(*key(distinct(pg_sys::F_COUNT_ANY, 5, text_equality)).data_type(), DataType::Utf8);
    // Duplicates change nothing.
    let max = distinct(pg_sys::F_MAX_INT4, 1, int4_equality).expect("has a translation");
    assert!(!max.distinct && max.distinct_keys.is_empty());
    let reason = "an aggregate whose result depends on which of equal values is kept is not supported";
    assert_eq!(distinct(pg_sys::F_SUM_FLOAT8, 4, float8_equality).map(|_| ()), Err(reason.into()));
    assert_eq!(distinct(pg_sys::F_SUM_NUMERIC, 3, numeric_equality).map(|_| ()), Err(reason.into()));
    // Equality of jsonb.
    assert!(distinct(pg_sys::F_COUNT_ANY, 1, 3240).is_err());
}

#[test]
fn an_argument_that_can_raise_waits_for_the_filter() {
    let table = Table::new(vec![int4s(&[Some(0), Some(2)])]);
    let value = || var(1, pg_sys::INT4OID, -1);
    let quotient = op(INT4_DIVIDE, 0, &[int4(10), value()]);
    let mut sum = aggref(pg_sys::F_SUM_INT4, 0, &[quotient]);
    let bare = call(&table, sum).expect("has a translation");
    assert_eq!(raised(table.evaluate(&bare.args[0])).0, "22012");
    sum.aggfilter = op(INT4_GREATER, 0, &[value(), int4(0)]).cast_mut().cast();
    let filtered = call(&table, sum).expect("has a translation");
    assert_eq!(table.booleans(filtered.filter.as_ref().expect("a filter")).expect("evaluates"), [F, T]);
    let args = table.evaluate(&filtered.args[0]).expect("evaluates");
    assert_eq!(args.as_primitive::<arrow::datatypes::Int32Type>().iter().collect::<Vec<_>>(), [None, Some(5)]);
}
