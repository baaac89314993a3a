//! Comparisons of what a plan holds as bytes, or as the bits of a type that it does not know.

use pg_sys::{
    BPCHAROID, BYTEAOID, CHAROID, CIDROID, INETOID, INT4OID, INTERVALOID, MONEYOID, NAMEOID, NUMERICOID, OIDOID,
    REGCLASSOID, TEXTOID, TIMEOID, UUIDOID, VARCHAROID,
};
use pgrx_pg_sys::*;

use super::comparisons::{all_six, check_key, expected};
use super::*;
use crate::host::TypeLayout;
use crate::plan::testing::*;

const NUMERIC_SIX: [u32; 6] = [F_NUMERIC_EQ, F_NUMERIC_NE, F_NUMERIC_LT, F_NUMERIC_LE, F_NUMERIC_GT, F_NUMERIC_GE];

fn name(value: &str) -> Vec<u8> {
    let mut bytes = value.as_bytes().to_vec();
    bytes.resize(64, 0);
    bytes
}

#[test]
fn numerics_without_a_precision() {
    let left = ["1.50", "-0.0100", "NaN", "Infinity", "1", "-2", "0.000", "12345678901234567890123456789012345678901"];
    let right = ["1.5", "-0.01", "NaN", "NaN", "1.0000001", "-2.5", "-0", "1"];
    let order = [0, 0, 0, -1, -1, 1, 0, 1];
    let some = |values: [&'static str; 8]| values.map(Some);
    let table = Table::new(vec![
        free_numerics(&[&some(left)[..], &[None]].concat()),
        free_numerics(&[&some(right)[..], &[Some("1")]].concat()),
        numerics(5, 1, &[Some(15), Some(0), NAN, NAN, Some(10), Some(-25), Some(0), Some(10), Some(10)]),
    ]);
    let (a, b) = (var(1, NUMERICOID, -1), var(2, NUMERICOID, -1));
    let orders: Vec<_> = order.iter().copied().map(Some).chain([None]).collect();
    assert_eq!(all_six(NUMERIC_SIX, a, b, 0, &table), expected(&orders));
    // With a declared precision on one side.
    let declared = var(3, NUMERICOID, numeric_typmod(5, 1));
    let mixed = [0, -1, 0, -1, 0, 1, 0, 1].map(Some);
    let results = all_six(NUMERIC_SIX, a, declared, 0, &table).map(|result| result[..8].to_vec());
    assert_eq!(results, expected(&mixed));
    for (constant, order) in [
        ("1.500", [0, -1, 1, 1, -1, -1, -1, 1]),
        ("-Infinity", [1; 8]),
        ("12345678901234567890123456789012345678901", [-1, -1, 1, 1, -1, -1, -1, 0]),
    ] {
        let results = all_six(NUMERIC_SIX, a, numeric_const(constant), 0, &table).map(|result| result[..8].to_vec());
        assert_eq!(results, expected(&order.map(Some)), "{constant}");
    }
    assert_eq!(table.predicate(op(F_NUMERIC_EQ, 0, &[a, null(NUMERICOID)])).expect("evaluates"), [N; 9]);
    // Two constants beyond all decimals, folded.
    let infinities = op(F_NUMERIC_LT, 0, &[numeric_const("-Infinity"), numeric_const("Infinity")]);
    assert_eq!(table.predicate(infinities).expect("evaluates"), [T; 9]);
    assert_eq!(
        declined(&table, op(F_NUMERIC_EQ, 0, &[op(F_NUMERIC_ADD, 0, &[a, b]), a])),
        "arithmetic of these types is not supported"
    );
    let list = ["1.5", "Infinity", "0"].map(|value| Some(varlena(&numeric_payload(value))));
    let list = array(NUMERICOID, NUMERICARRAYOID, 4, &list);
    let found = table.predicate(array_op(F_NUMERIC_EQ, true, 0, a, list)).expect("evaluates");
    assert_eq!(found, [T, F, F, T, F, F, T, F, N]);
}

#[test]
fn keys_over_numerics() {
    check_key(
        op(F_NUMERIC_EQ, 0, &[var(1, NUMERICOID, -1), var(1, NUMERICOID, numeric_typmod(9, 3))]),
        &Table::new(vec![free_numerics(&[Some("1.50"), Some("NaN"), Some("Infinity"), Some("-0.001"), None])]),
        &Table::new(vec![numerics(9, 3, &[Some(1500), NAN, NAN, Some(-1), Some(0)])]),
        &[T, T, F, T, N],
    );
    // Neither alone needs bytes, but no decimal holds both.
    check_key(
        op(F_NUMERIC_EQ, 0, &[var(1, NUMERICOID, numeric_typmod(38, 0)), var(1, NUMERICOID, numeric_typmod(38, 38))]),
        &Table::new(vec![numerics(38, 0, &[Some(0), Some(1), NAN])]),
        &Table::new(vec![numerics(38, 38, &[Some(0), Some(1), NAN])]),
        &[T, F, T],
    );
}

#[test]
fn intervals_by_their_span() {
    const DAY: i64 = 86_400_000_000;
    let table = Table::new(vec![
        fixed(16, &[Some(interval(1, 0, 0)), Some(interval(0, 1, 0)), Some(interval(0, 0, -1)), None]),
        fixed(
            16,
            &[Some(interval(0, 30, 0)), Some(interval(0, 0, DAY + 1)), Some(interval(-1, 29, 0)), Some(vec![0; 16])],
        ),
    ]);
    let (a, b) = (var(1, INTERVALOID, -1), var(2, INTERVALOID, -1));
    let six = [F_INTERVAL_EQ, F_INTERVAL_NE, F_INTERVAL_LT, F_INTERVAL_LE, F_INTERVAL_GT, F_INTERVAL_GE];
    assert_eq!(all_six(six, a, b, 0, &table), expected(&[Some(0), Some(-1), Some(1), None]));
    let month = by_reference(INTERVALOID, interval(0, 29, DAY));
    assert_eq!(all_six(six, a, month, 0, &table), expected(&[Some(0), Some(-1), Some(-1), None]));
    let list = array(INTERVALOID, INTERVALARRAYOID, 8, &[Some(interval(0, 30, 0)), Some(interval(0, 0, DAY))]);
    let found = table.predicate(array_op(F_INTERVAL_EQ, true, 0, a, list)).expect("evaluates");
    assert_eq!(found, [T, T, F, N]);
    let one = |values: &[Option<Vec<u8>>]| Table::new(vec![fixed(16, values)]);
    check_key(
        op(F_INTERVAL_EQ, 0, &[a, var(1, INTERVALOID, -1)]),
        &one(&[Some(interval(1, 0, 0)), Some(interval(0, 1, 0)), None]),
        &one(&[Some(interval(0, 29, DAY)), Some(interval(0, 0, DAY + 1)), None]),
        &[T, F, N],
    );
}

#[test]
fn bytes_compare_as_they_lie() {
    let uuid = |last: u8| [vec![7; 15], vec![last]].concat();
    let table = Table::new(vec![
        fixed(16, &[Some(uuid(1)), Some(uuid(0x80)), None]),
        binaries(&[Some(b"a"), Some(b"a\0"), Some(b"")]),
    ]);
    let (a, b) = (var(1, UUIDOID, -1), var(2, BYTEAOID, -1));
    let uuids = [F_UUID_EQ, F_UUID_NE, F_UUID_LT, F_UUID_LE, F_UUID_GT, F_UUID_GE];
    assert_eq!(all_six(uuids, a, by_reference(UUIDOID, uuid(1)), 0, &table), expected(&[Some(0), Some(1), None]));
    let byteas = [F_BYTEAEQ, F_BYTEANE, F_BYTEALT, F_BYTEALE, F_BYTEAGT, F_BYTEAGE];
    let constant = by_reference(BYTEAOID, varlena(b"a"));
    assert_eq!(all_six(byteas, b, constant, 0, &table), expected(&[Some(0), Some(1), Some(-1)]));
    let high = by_reference(BYTEAOID, short_varlena(b"\xff"));
    assert_eq!(all_six(byteas, b, high, 0, &table), expected(&[Some(-1); 3]));
    let list = array(UUIDOID, UUIDARRAYOID, 1, &[Some(uuid(1)), None, Some(uuid(2))]);
    let found = table.predicate(array_op(F_UUID_EQ, true, 0, a, list)).expect("evaluates");
    assert_eq!(found, [T, N, N]);
    let list = array(BYTEAOID, BYTEAARRAYOID, 4, &[Some(varlena(b"a")), Some(short_varlena(b"x"))]);
    let found = table.predicate(array_op(F_BYTEANE, false, 0, b, list)).expect("evaluates");
    assert_eq!(found, [F, T, T]);
    check_key(
        op(F_UUID_EQ, 0, &[a, var(1, UUIDOID, -1)]),
        &Table::new(vec![fixed(16, &[Some(uuid(1)), Some(uuid(2))])]),
        &Table::new(vec![fixed(16, &[Some(uuid(1)), Some(uuid(3))])]),
        &[T, F],
    );
}

#[test]
fn by_value_types_compare_as_numbers() {
    let table = Table::new(vec![
        int8s(&[Some(5), Some(-5), None]),
        int1s(&[Some(b'a' as i8), Some(-1), None]),
        int4s(&[Some(70_100), Some(-3), None]),
    ]);
    let six = [F_TIME_EQ, F_TIME_NE, F_TIME_LT, F_TIME_LE, F_TIME_GT, F_TIME_GE];
    let results = all_six(six, var(1, TIMEOID, -1), by_value(TIMEOID, 5), 0, &table);
    assert_eq!(results, expected(&[Some(0), Some(-1), None]));
    let six = [F_CASH_EQ, F_CASH_NE, F_CASH_LT, F_CASH_LE, F_CASH_GT, F_CASH_GE];
    let results = all_six(six, var(1, MONEYOID, -1), by_value(MONEYOID, -5i64 as u64), 0, &table);
    assert_eq!(results, expected(&[Some(1), Some(0), None]));
    let test = |function, left, right| table.predicate(op(function, 0, &[left, right])).expect("evaluates");
    let character = var(2, CHAROID, -1);
    assert_eq!(test(F_CHAREQ, character, by_value(CHAROID, 0xFF)), [F, T, N]);
    assert_eq!(test(F_CHARNE, character, by_value(CHAROID, b'a'.into())), [F, T, N]);
    let label = var(3, ENUM, -1);
    assert_eq!(test(F_ENUM_EQ, label, by_value(ENUM, 70_100)), [T, F, N]);
    assert_eq!(test(F_ENUM_NE, label, null(ENUM)), [N; 3]);
    let labels = [70_100i32, 70_102].map(|value| Some(value.to_le_bytes().to_vec()));
    let list = array(ENUM, Oid::from(70_012), 4, &labels);
    assert_eq!(table.predicate(array_op(F_ENUM_EQ, true, 0, label, list)).expect("evaluates"), [T, F, N]);
}

#[test]
fn names_are_equal_or_not() {
    let table = Table::new(vec![fixed(64, &[Some(name("pg_class")), Some(name("pg_clas")), None])]);
    let (a, constant) = (var(1, NAMEOID, -1), by_reference(NAMEOID, name("pg_class")));
    let test = |function, collation| table.predicate(op(function, collation, &[a, constant])).expect("evaluates");
    assert_eq!(test(F_NAMEEQ, C_COLLATION), [T, F, N]);
    assert_eq!(test(F_NAMENE, DEFAULT_COLLATION), [F, T, N]);
    assert_eq!(
        declined(&table, op(F_NAMEEQ, NONDETERMINISTIC_COLLATION, &[a, constant])),
        "text equality under a nondeterministic collation is not supported"
    );
}

/// A database of another encoding.
struct Latin;

impl crate::host::Host for Latin {
    fn interrupt_pending(&self) -> bool {
        FakeHost.interrupt_pending()
    }
    fn cancelled(&self) -> bool {
        FakeHost.cancelled()
    }
    fn scan_claim(&self, scan: u32) -> crate::error::Result<crate::host::Claim> {
        FakeHost.scan_claim(scan)
    }
    fn scan_open(&self, _: u32, _: u32) -> crate::error::Result<crate::host::Relation<'_>> {
        Err(Error::Parked)
    }
    fn scan_look_up(&self, _: u32, _: u32, _: u32, _: &[u64]) -> crate::error::Result<crate::host::Lookup> {
        Err(Error::Parked)
    }
    fn scan_page(
        &self,
        scan: u32,
        block: u32,
        keep: bool,
        read: &mut dyn FnMut(crate::host::Page<'_>) -> crate::error::Result<()>,
    ) -> crate::error::Result<()> {
        FakeHost.scan_page(scan, block, keep, read)
    }
    fn scan_unpin(&self, scan: u32) -> crate::error::Result<()> {
        FakeHost.scan_unpin(scan)
    }
    fn detoast(
        &self,
        datum: &[u8],
        read: &mut dyn FnMut(&[u8]) -> crate::error::Result<()>,
    ) -> crate::error::Result<()> {
        FakeHost.detoast(datum, read)
    }
    fn send(&self, queue: u32, message: &[u8], flush: bool) -> crate::error::Result<crate::host::Send> {
        FakeHost.send(queue, message, flush)
    }
    fn receive(
        &self,
        queue: u32,
        read: &mut dyn FnMut(&[u8]) -> crate::error::Result<()>,
    ) -> crate::error::Result<crate::host::Receive> {
        FakeHost.receive(queue, read)
    }
    fn log(&self, message: &str) -> crate::error::Result<()> {
        FakeHost.log(message)
    }
    fn type_layout(&self, typid: u32) -> crate::error::Result<TypeLayout> {
        Ok(layout(Oid::from(typid), false))
    }
    fn collation(&self, collation: u32) -> crate::error::Result<crate::host::CollationFlags> {
        FakeHost.collation(collation)
    }
}

#[test]
fn text_of_another_encoding() {
    let table = Table::new(vec![binaries(&[Some(b"\xe4"), Some(b"b  "), None])]);
    let (a, padded) = (var(1, TEXTOID, -1), var(1, BPCHAROID, 7));
    let constant = |bytes| by_reference(TEXTOID, varlena(bytes));
    let translator = Translator::new(&Latin, &table);
    // SAFETY: the tests' nodes live for ever.
    let test = |node| unsafe { translator.predicate(node) }.map(|(expr, _)| table.booleans(&expr).expect("evaluates"));
    assert_eq!(test(op(F_TEXTEQ, DEFAULT_COLLATION, &[a, constant(b"\xe4")])).expect("is native"), [T, F, N]);
    assert_eq!(test(op(F_TEXT_LT, C_COLLATION, &[a, constant(b"c")])).expect("is native"), [F, T, N]);
    let equal = op(F_BPCHAREQ, DEFAULT_COLLATION, &[padded, by_reference(BPCHAROID, varlena(b"b "))]);
    assert_eq!(test(equal).expect("is native"), [F, T, N]);
    let relabelled = op(F_TEXTEQ, DEFAULT_COLLATION, &[relabel(var(1, VARCHAROID, -1), TEXTOID), constant(b"b  ")]);
    assert_eq!(test(relabelled).expect("is native"), [F, T, N]);
    for node in [
        op(F_TEXT_LT, DEFAULT_COLLATION, &[a, constant(b"c")]),
        op(F_TEXTLIKE, DEFAULT_COLLATION, &[a, constant(b"%")]),
    ] {
        assert!(matches!(test(node), Err(TranslateError::Decline(_))));
    }
}

#[test]
fn relabelled_where_both_types_lie_alike() {
    let table = Table::new(vec![
        oids(&[Some(5)]),
        binaries(&[Some(b"\x02\x20\x7f\0\0\x01")]),
        int4s(&[Some(1)]),
        numerics(9, 2, &[Some(150)]),
    ]);
    let class = relabel(var(1, REGCLASSOID, -1), OIDOID);
    assert_eq!(table.predicate(op(F_OIDEQ, 0, &[class, by_value(OIDOID, 5)])).expect("evaluates"), [T]);
    let wider = relabel(var(4, NUMERICOID, numeric_typmod(9, 2)), NUMERICOID);
    assert_eq!(table.predicate(op(F_NUMERIC_EQ, 0, &[wider, numeric_const("1.5")])).expect("evaluates"), [T]);
    // PostgreSQL's own cast, of which the plan knows only that the bytes stay.
    let address = null_test(relabel(var(2, CIDROID, -1), INETOID), NullTestType::IS_NULL);
    assert_eq!(table.predicate(address).expect("evaluates"), [F]);
    let number = op(F_OIDEQ, 0, &[relabel(var(3, INT4OID, -1), OIDOID), by_value(OIDOID, 1)]);
    assert_eq!(declined(&table, number), "a cast to the type with OID 26 is not supported");
}
