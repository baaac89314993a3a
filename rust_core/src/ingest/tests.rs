//! There and back: what `emit` gives is what `ingest` takes.

use arrow::array::{
    Array, AsArray, BinaryArray, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::emit::Emitter;
use crate::error::sqlstate;
use crate::scan::long_header;
use crate::scan::numeric::{self, NAN};
use crate::testing::text_of;

fn batch(arrays: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> = arrays.iter().map(|array| Field::new("c", array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The batch as Datums, and those as a batch again.
fn round_trip(batch: &RecordBatch) -> Vec<ArrayRef> {
    let types: Vec<DataType> = batch.columns().iter().map(|array| array.data_type().clone()).collect();
    let mut emitter = Emitter::new(types.clone());
    let out = emitter.emit(batch.clone()).unwrap();
    let columns = out.ncolumns as usize;
    // SAFETY: the emitter that all this points into lives on.
    unsafe {
        let (values, nulls) =
            (std::slice::from_raw_parts(out.values, columns), std::slice::from_raw_parts(out.nulls, columns));
        ingest(&types, values, nulls, out.nrows as usize).unwrap()
    }
}

fn fixed(width: i32, values: &[Option<&[u8]>]) -> ArrayRef {
    Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.iter().copied(), width).unwrap())
}

fn every_type() -> RecordBatch {
    let wide = "ä".repeat(70_000);
    let decimals = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    batch(vec![
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int8Array::from(vec![Some(-1), None, Some(i8::MAX)])),
        Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(7)])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(7)])),
        Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(7)])),
        Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::NEG_INFINITY)])),
        Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::MAX)])),
        decimals(vec![Some(-1_234_567), None, Some(NAN)], 15, 2),
        decimals(vec![Some(10i128.pow(38) - 1), None, Some(0)], 38, 38),
        Arc::new(StringArray::from(vec![Some(""), None, Some(wide.as_str())])),
        Arc::new(BinaryArray::from(vec![Some(&b"\xff\0"[..]), None, Some(b"")])),
        fixed(1, &[Some(b"x"), None, Some(b"\0")]),
        fixed(6, &[Some(b"123456"), None, Some(b"abcdef")]),
        fixed(16, &[Some(b"0123456789abcdef"), None, Some(&[0xFF; 16])]),
        fixed(64, &[Some(&[7; 64]), None, Some(&[0; 64])]),
    ])
}

#[test]
fn every_type_comes_back() {
    let batch = every_type();
    for batch in [batch.clone(), batch.slice(1, 2), batch.slice(0, 1), batch.slice(1, 1), batch.slice(0, 0)] {
        let found = round_trip(&batch);
        for (found, expected) in found.iter().zip(batch.columns()) {
            assert_eq!(found.as_ref(), expected.as_ref());
            found.to_data().validate_full().unwrap();
        }
        assert_eq!(found.len(), batch.num_columns());
    }
}

#[test]
fn no_rows_need_no_pointers() {
    let types = [DataType::Int32, DataType::Utf8, DataType::Decimal128(5, 2), DataType::FixedSizeBinary(16)];
    // SAFETY: without rows nothing is read.
    let arrays = unsafe { ingest(&types, &[std::ptr::null(); 4], &[std::ptr::null(); 4], 0) }.unwrap();
    for (array, data_type) in arrays.iter().zip(&types) {
        assert_eq!((array.len(), array.data_type()), (0, data_type));
    }
}

/// One column of by-reference Datums.
fn one(data_type: DataType, datums: &[Option<&[u8]>]) -> Result<ArrayRef> {
    let values: Vec<u64> = datums.iter().map(|datum| datum.map_or(0, |bytes| bytes.as_ptr() as u64)).collect();
    let nulls: Vec<bool> = datums.iter().map(Option::is_none).collect();
    // SAFETY: the Datums point at the caller's values.
    unsafe { ingest(&[data_type], &[values.as_ptr()], &[nulls.as_ptr()], datums.len()) }
        .map(|mut arrays| arrays.remove(0))
}

fn long(payload: &[u8]) -> Vec<u8> {
    [&long_header(payload.len())[..], payload].concat()
}

fn short(payload: &[u8]) -> Vec<u8> {
    [&[((payload.len() as u8 + 1) << 1) | 1], payload].concat()
}

fn code(result: Result<ArrayRef>) -> String {
    match result {
        Err(Error::Raised { sqlstate, .. }) => sqlstate,
        other => panic!("no error: {other:?}"),
    }
}

#[test]
fn headers_of_both_lengths() {
    let values = [long(b"long"), short(b"short"), short(b""), long(b"")];
    let datums: Vec<_> = values.iter().map(|value| Some(value.as_slice())).chain([None]).collect();
    let found = one(DataType::Utf8, &datums).unwrap();
    let expected = [Some("long"), Some("short"), Some(""), Some(""), None];
    assert_eq!(found.as_string::<i32>().iter().collect::<Vec<_>>(), expected);
    let number = short(numeric::encode(-150, 2).payload());
    let found = one(DataType::Decimal128(5, 2), &[Some(&number), None]).unwrap();
    assert_eq!(found.as_primitive::<arrow::datatypes::Decimal128Type>().iter().collect::<Vec<_>>(), [Some(-150), None]);
}

#[test]
fn what_c_must_not_give() {
    let compressed = [(10 << 2) | 2, 0, 0, 0, 1, 2, 3, 4, 5, 6];
    let mut external = [0; 18];
    external[..2].copy_from_slice(&[1, 18]);
    for toasted in [&compressed[..], &external] {
        for data_type in [DataType::Binary, DataType::Utf8, DataType::Decimal128(5, 2)] {
            assert_eq!(code(one(data_type, &[Some(toasted)])), sqlstate::INTERNAL_ERROR);
        }
    }
    assert_eq!(code(one(DataType::Utf8, &[Some(&long(b"a\xc3"))])), sqlstate::CHARACTER_NOT_IN_REPERTOIRE);
    // Another scale, too many digits, no number.
    for bytes in [numeric::encode(1, 3).payload(), numeric::encode(100_000, 2).payload(), &[0x00, 0xD0], &[1]] {
        assert_eq!(code(one(DataType::Decimal128(5, 2), &[Some(&long(bytes))])), sqlstate::INTERNAL_ERROR);
    }
    assert_eq!(code(one(DataType::Date32, &[None])), sqlstate::INTERNAL_ERROR);
    let nulls = [false];
    for data_type in [DataType::Binary, DataType::FixedSizeBinary(4), DataType::Decimal128(5, 2)] {
        // SAFETY: a null pointer is looked at, not through.
        let result = unsafe { ingest(&[data_type], &[[0u64].as_ptr()], &[nulls.as_ptr()], 1) };
        assert_eq!(code(result.map(|mut arrays| arrays.remove(0))), sqlstate::INTERNAL_ERROR);
    }
    // SAFETY: nothing is read of columns that do not fit the types.
    assert!(unsafe { ingest(&[DataType::Int32], &[], &[], 1) }.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_rows_come_back(
        rows in proptest::collection::vec(
            (any::<Option<i64>>(), proptest::option::of(text_of("aé ", 12)), any::<Option<[u8; 12]>>(),
             proptest::option::of(-99_999i128..=99_999), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20))),
            0..20,
        ),
    ) {
        let decimals: Decimal128Array = rows.iter().map(|row| row.3).collect();
        let fixed_values = rows.iter().map(|row| row.2.as_ref());
        let batch = batch(vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed_values, 12).unwrap()),
            Arc::new(decimals.with_precision_and_scale(5, 2).unwrap()),
            Arc::new(rows.iter().map(|row| row.4.as_deref()).collect::<BinaryArray>()),
        ]);
        let found = round_trip(&batch);
        prop_assert_eq!(&found, batch.columns());
    }
}
