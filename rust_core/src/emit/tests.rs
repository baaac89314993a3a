use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, StringArray, UInt32Array,
};
use arrow::datatypes::{Field, Schema, i256};
use pgrx_pg_sys::BuiltinOid;

use super::*;
use crate::host::{Attribute, TypeLayout};
use crate::scan::arrow_type;
use crate::scan::testing::attribute;

fn column(oid: BuiltinOid, typmod: i32) -> DataType {
    let Attribute { attlen, attbyval, .. } = attribute(oid, typmod);
    arrow_type(oid as u32, typmod, TypeLayout { len: attlen, byval: attbyval, utf8: true }).unwrap()
}

fn numeric_typmod(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | scale) + 4
}

fn batch(arrays: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> = arrays.iter().map(|array| Field::new("c", array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// What C would read: the Datums of column `index`, `None` for NULL.
fn datums(batch: &PgjsBatch, index: usize) -> Vec<Option<u64>> {
    assert!(index < batch.ncolumns as usize);
    // SAFETY: the emitter that the batch came from is alive in the tests.
    unsafe {
        let (values, nulls) = (*batch.values.add(index), *batch.nulls.add(index));
        (0..batch.nrows as usize).map(|row| (!*nulls.add(row)).then(|| *values.add(row))).collect()
    }
}

/// The payload of a varlena Datum with a four-byte header.
fn payload(datum: u64) -> Vec<u8> {
    assert_eq!(datum % 8, 0, "varlenas begin at a multiple of 8");
    // SAFETY: as in `datums`.
    unsafe {
        let header = (datum as *const u32).read();
        assert_eq!(header & 3, 0);
        std::slice::from_raw_parts((datum as *const u8).add(4), (header >> 2) as usize - 4).to_vec()
    }
}

#[test]
fn by_value() {
    let mut emitter = Emitter::new(vec![
        column(BuiltinOid::BOOLOID, -1),
        column(BuiltinOid::INT2OID, -1),
        column(BuiltinOid::INT4OID, -1),
        column(BuiltinOid::INT8OID, -1),
        column(BuiltinOid::OIDOID, -1),
        column(BuiltinOid::FLOAT4OID, -1),
        column(BuiltinOid::FLOAT8OID, -1),
        column(BuiltinOid::DATEOID, -1),
        column(BuiltinOid::TIMESTAMPTZOID, -1),
    ]);
    let out = emitter
        .emit(batch(vec![
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(Int16Array::from(vec![Some(-1), None, Some(2)])),
            Arc::new(Int32Array::from(vec![-7, 8, i32::MIN])),
            Arc::new(Int64Array::from(vec![-7, 8, i64::MIN])),
            Arc::new(UInt32Array::from(vec![0, u32::MAX, 5])),
            Arc::new(Float32Array::from(vec![-1.5, 0.0, 1.5])),
            Arc::new(Float64Array::from(vec![-1.5, f64::NAN, 1.5])),
            Arc::new(Int32Array::from(vec![i32::MAX, 0, -1])),
            Arc::new(Int64Array::from(vec![i64::MAX, 0, -1])),
        ]))
        .unwrap();
    assert_eq!((out.nrows, out.ncolumns), (3, 9));
    assert_eq!(datums(&out, 0), [Some(1), Some(0), None]);
    assert_eq!(datums(&out, 1), [Some(u64::MAX), None, Some(2)]);
    assert_eq!(datums(&out, 2), [Some(-7i64 as u64), Some(8), Some(i32::MIN as i64 as u64)]);
    assert_eq!(datums(&out, 3), [Some(-7i64 as u64), Some(8), Some(i64::MIN as u64)]);
    assert_eq!(datums(&out, 4), [Some(0), Some(0xFFFF_FFFF), Some(5)]);
    assert_eq!(datums(&out, 5), [Some(0xFFFF_FFFF_BFC0_0000), Some(0), Some(0x3FC0_0000)]);
    assert_eq!(datums(&out, 6), [-1.5, f64::NAN, 1.5].map(|value| Some(value.to_bits())));
    assert_eq!(datums(&out, 7), [Some(i32::MAX as u64), Some(0), Some(u64::MAX)]);
    assert_eq!(datums(&out, 8), [Some(i64::MAX as u64), Some(0), Some(u64::MAX)]);
}

#[test]
fn by_reference() {
    let columns = [column(BuiltinOid::TEXTOID, -1), column(BuiltinOid::NUMERICOID, numeric_typmod(15, 2))];
    let mut emitter = Emitter::new(columns.to_vec());
    let texts = ["", "a", "four", "fives", "twelve bytes", "thirteen byte", "äöü"];
    for round in 1..4 {
        let strings: StringArray =
            texts.iter().map(|text| Some(text.repeat(round))).chain(std::iter::once(None)).collect();
        let decimals = Decimal128Array::from(vec![
            Some(0),
            Some(1_234_567),
            Some(-5),
            Some(numeric::NAN),
            None,
            Some(100),
            Some(1),
            Some(999_999_999_999_999),
        ])
        .with_precision_and_scale(15, 2)
        .unwrap();
        // A slice has its own offsets: rows 0.. of the emitted batch are rows 1.. of the arrays.
        let sliced = batch(vec![Arc::new(strings), Arc::new(decimals.clone())]).slice(1, 7);
        let out = emitter.emit(sliced).unwrap();
        let found: Vec<_> = datums(&out, 0).into_iter().map(|datum| datum.map(payload)).collect();
        let expected: Vec<_> = texts[1..].iter().map(|text| Some(text.repeat(round).into_bytes())).collect();
        assert_eq!(found[..6], expected[..]);
        assert_eq!(found[6], None);
        for (datum, value) in datums(&out, 1).into_iter().zip(decimals.iter().skip(1)) {
            assert_eq!(datum.map(payload), value.map(|value| numeric::encode(value, 2).payload().to_vec()));
        }
    }
}

#[test]
fn nan_is_a_bare_header() {
    let mut emitter = Emitter::new(vec![column(BuiltinOid::NUMERICOID, numeric_typmod(38, 10))]);
    let decimals = Decimal128Array::from(vec![numeric::NAN]).with_precision_and_scale(38, 10).unwrap();
    let out = emitter.emit(batch(vec![Arc::new(decimals)])).unwrap();
    assert_eq!(payload(datums(&out, 0)[0].unwrap()), [0x00, 0xC0]);
}

#[test]
fn wide_numerics() {
    let mut emitter = Emitter::new(vec![DataType::Decimal256(76, 70)]);
    let nines = i256::from_string(&"9".repeat(76)).unwrap();
    let values = [Some(nines), None, Some(i256::from_i128(-5)), Some(numeric::NAN_256), Some(i256::ZERO)];
    let decimals = Decimal256Array::from(values.to_vec()).with_precision_and_scale(76, 70).unwrap();
    // As often as the arena has room for the longest.
    let decimals: ArrayRef = Arc::new(decimals);
    let out = emitter.emit(batch(vec![Arc::clone(&decimals)])).unwrap();
    let found: Vec<_> = datums(&out, 0).into_iter().map(|datum| datum.map(payload)).collect();
    assert_eq!(found, values.map(|value| value.map(|value| numeric::encode_wide(value, 70).payload().to_vec())));
    assert_eq!(found[2], Some(vec![70, 0x40, 0xEE, 0xFF, 0xF4, 0x01]), "500 · 10000^-18, at a scale of 70");
    let longest = Decimal256Array::from(vec![nines; 100]).with_precision_and_scale(76, 70).unwrap();
    let out = emitter.emit(batch(vec![Arc::new(longest)])).unwrap();
    assert_eq!(
        datums(&out, 0).into_iter().flatten().map(payload).filter(|bytes| *bytes == found[0].clone().unwrap()).count(),
        100
    );
}

#[test]
fn no_columns_and_no_rows() {
    let mut emitter = Emitter::new(vec![column(BuiltinOid::TEXTOID, -1)]);
    let out = emitter.emit(batch(vec![Arc::new(StringArray::from(Vec::<&str>::new()))])).unwrap();
    assert_eq!((out.nrows, out.ncolumns), (0, 1));
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(5));
    let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let out = Emitter::new(vec![]).emit(rows).unwrap();
    assert_eq!((out.nrows, out.ncolumns), (5, 0));
}

#[test]
fn other_types_are_refused() {
    let mut emitter = Emitter::new(vec![column(BuiltinOid::NUMERICOID, numeric_typmod(15, 2))]);
    let decimals = Decimal128Array::from(vec![1]).with_precision_and_scale(15, 3).unwrap();
    assert!(emitter.emit(batch(vec![Arc::new(decimals)])).is_err());
    assert!(emitter.emit(RecordBatch::new_empty(Arc::new(Schema::empty()))).is_err());
}

#[test]
fn opaque_values() {
    let mut emitter = Emitter::new(vec![
        column(BuiltinOid::CHAROID, -1),
        column(BuiltinOid::JSONBOID, -1),
        column(BuiltinOid::NUMERICOID, -1),
        column(BuiltinOid::UUIDOID, -1),
        column(BuiltinOid::NAMEOID, -1),
    ]);
    let uuids = [Some(*b"0123456789abcdef"), None, Some([0xFF; 16])];
    let names = [Some([b'n'; 64]), Some([0; 64]), None];
    let numeric = numeric::encode(-150, 2);
    let out = emitter
        .emit(batch(vec![
            Arc::new(Int8Array::from(vec![Some(-1), Some(65), None])),
            Arc::new(BinaryArray::from(vec![Some(&b"\xff\0\x01"[..]), None, Some(b"")])),
            Arc::new(BinaryArray::from(vec![None, Some(numeric.payload()), Some(&[0x00, 0xD0])])),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.iter().map(Option::as_ref), 16).unwrap(),
            ),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(names.iter().map(Option::as_ref), 64).unwrap(),
            ),
        ]))
        .unwrap();
    // A char is what the platform's compiler says.
    assert_eq!(datums(&out, 0), [Some(-1i8 as std::ffi::c_char as i64 as u64), Some(65), None]);
    let payloads = |column| datums(&out, column).into_iter().map(|datum| datum.map(payload)).collect::<Vec<_>>();
    assert_eq!(payloads(1), [Some(b"\xff\0\x01".to_vec()), None, Some(vec![])]);
    assert_eq!(payloads(2), [None, Some(numeric.payload().to_vec()), Some(vec![0x00, 0xD0])]);
    let plain = |column, length| {
        let read = |datum: u64| {
            assert_eq!(datum % 8, 0, "values begin at a multiple of 8");
            // SAFETY: as in `datums`.
            unsafe { std::slice::from_raw_parts(datum as *const u8, length) }.to_vec()
        };
        datums(&out, column).into_iter().map(|datum| datum.map(read)).collect::<Vec<_>>()
    };
    assert_eq!(plain(3, 16), uuids.map(|uuid| uuid.map(|uuid| uuid.to_vec())));
    assert_eq!(plain(4, 64), names.map(|name| name.map(|name| name.to_vec())));
}
