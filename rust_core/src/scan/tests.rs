//! The scan as a whole: pages in, batches out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef,
    UInt32Type,
};
use datafusion::common::Result as DataFusionResult;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::StreamExt;
use futures::task::noop_waker_ref;
use pgrx_pg_sys::BuiltinOid;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::testing::text_of;

use super::decoder::PageDecoder;
use super::testing::*;
use super::*;
use crate::error::{Error, Result, sqlstate};
use crate::host::{Attribute, Host as _, TypeLayout};

fn layout(attribute: &Attribute) -> TypeLayout {
    TypeLayout { len: attribute.attlen, byval: attribute.attbyval, utf8: true }
}

/// Columns for the attributes with these numbers (from 1).
pub(super) fn columns(attributes: &[Attribute], numbers: &[u32]) -> (Vec<ScanColumn>, SchemaRef) {
    let columns: Vec<ScanColumn> = numbers
        .iter()
        .map(|&attno| {
            let attribute = &attributes[attno as usize - 1];
            let layout = layout(attribute);
            ScanColumn { attno, typid: attribute.typid, typmod: attribute.typmod, name: format!("c{attno}"), layout }
        })
        .collect();
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, column.arrow_type().unwrap(), true)).collect();
    (columns, Arc::new(Schema::new(fields)))
}

/// One batch of all tuples of the host's pages.
fn decode(host: &FakeHost, numbers: &[u32]) -> Result<RecordBatch> {
    let (columns, _) = columns(&host.attributes, numbers);
    let scan = Scan::new(columns)?;
    let mut decoder = PageDecoder::new(host, &host.scan_open(0, 0).unwrap(), &scan.columns, &scan, 8192)?;
    for page in &host.pages {
        decoder.push(host, page.page())?;
    }
    decoder.finish()
}

fn host_with(attributes: Vec<Attribute>, rows: &[Vec<Value>]) -> FakeHost {
    let tuples: Vec<_> = rows.iter().map(|row| tuple(&attributes, row)).collect();
    let page = HeapPage::of(tuples.iter().map(Vec::as_slice));
    FakeHost::new(attributes, vec![page], 128)
}

fn state(error: &Error) -> &str {
    match error {
        Error::Raised { sqlstate, .. } => sqlstate,
        Error::Parked | Error::Cancelled => "parked",
    }
}

#[test]
fn every_type() {
    let oids = [
        BuiltinOid::BOOLOID,
        BuiltinOid::INT2OID,
        BuiltinOid::BOOLOID,
        BuiltinOid::INT4OID,
        BuiltinOid::INT8OID,
        BuiltinOid::OIDOID,
        BuiltinOid::FLOAT4OID,
        BuiltinOid::FLOAT8OID,
        BuiltinOid::DATEOID,
        BuiltinOid::TIMESTAMPOID,
        BuiltinOid::TIMESTAMPTZOID,
        BuiltinOid::TEXTOID,
        BuiltinOid::VARCHAROID,
        BuiltinOid::BPCHAROID,
    ];
    let mut attributes: Vec<_> = oids.iter().map(|&oid| attribute(oid, -1)).collect();
    attributes.push(attribute(BuiltinOid::NUMERICOID, numeric_typmod(15, 2)));
    let row = vec![
        Value::Fixed(vec![1]),
        Value::Fixed((-3i16).to_le_bytes().to_vec()),
        Value::Fixed(vec![0]),
        Value::int4(-4),
        Value::int8(i64::MIN),
        Value::Fixed(u32::MAX.to_le_bytes().to_vec()),
        Value::Fixed(1.5f32.to_le_bytes().to_vec()),
        Value::Fixed((-2.5f64).to_le_bytes().to_vec()),
        Value::int4(i32::MAX),
        Value::int8(-1),
        Value::int8(i64::MAX),
        Value::text("short"),
        Value::text(&"long ".repeat(50)),
        Value::text("padded   "),
        Value::numeric(-1_234_567, 2),
    ];
    let nulls = vec![Value::Null; row.len()];
    let host = host_with(attributes, &[row.clone(), nulls, row]);
    let batch = decode(&host, &(1..=15).collect::<Vec<_>>()).unwrap();
    assert_eq!(batch.num_rows(), 3);
    for array in batch.columns() {
        assert_eq!((array.is_null(0), array.is_null(1), array.is_null(2)), (false, true, false));
    }
    for row in [0, 2] {
        assert!(batch.column(0).as_boolean().value(row));
        assert_eq!(batch.column(1).as_primitive::<Int16Type>().value(row), -3);
        assert!(!batch.column(2).as_boolean().value(row));
        assert_eq!(batch.column(3).as_primitive::<Int32Type>().value(row), -4);
        assert_eq!(batch.column(4).as_primitive::<Int64Type>().value(row), i64::MIN);
        assert_eq!(batch.column(5).as_primitive::<UInt32Type>().value(row), u32::MAX);
        assert_eq!(batch.column(6).as_primitive::<Float32Type>().value(row), 1.5);
        assert_eq!(batch.column(7).as_primitive::<Float64Type>().value(row), -2.5);
        assert_eq!(batch.column(8).as_primitive::<Int32Type>().value(row), i32::MAX);
        assert_eq!(batch.column(9).as_primitive::<Int64Type>().value(row), -1);
        assert_eq!(batch.column(10).as_primitive::<Int64Type>().value(row), i64::MAX);
        assert_eq!(batch.column(11).as_string::<i32>().value(row), "short");
        assert_eq!(batch.column(12).as_string::<i32>().value(row), "long ".repeat(50));
        assert_eq!(batch.column(13).as_string::<i32>().value(row), "padded   ");
        assert_eq!(batch.column(14).as_primitive::<Decimal128Type>().value(row), -1_234_567);
    }
}

#[test]
fn columns_in_any_order_and_twice() {
    let attributes = vec![attribute(BuiltinOid::TEXTOID, -1), attribute(BuiltinOid::INT4OID, -1)];
    let host = host_with(attributes, &[vec![Value::text("x"), Value::int4(7)]]);
    let batch = decode(&host, &[2, 1, 2]).unwrap();
    assert_eq!(batch.column(0), batch.column(2));
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().values(), &[7]);
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "x");
}

#[test]
fn no_null_bitmap_without_nulls() {
    // NULLs behind the last needed attribute leave a tuple plain.
    let attributes = vec![attribute(BuiltinOid::INT4OID, -1), attribute(BuiltinOid::INT4OID, -1)];
    let host = host_with(attributes, &[vec![Value::int4(1), Value::Null], vec![Value::int4(2), Value::int4(3)]]);
    let batch = decode(&host, &[1]).unwrap();
    assert!(batch.column(0).nulls().is_none());
    assert_eq!(decode(&host, &[2]).unwrap().column(0).null_count(), 1);
}

#[test]
fn toasted_values() {
    let attributes = vec![
        attribute(BuiltinOid::TEXTOID, -1),
        attribute(BuiltinOid::NUMERICOID, numeric_typmod(38, 2)),
        attribute(BuiltinOid::INT8OID, -1),
    ];
    let number = numeric::encode(12_345, 2);
    let mut host = host_with(
        attributes,
        &[
            vec![Value::External(1), Value::Compressed(number.payload().to_vec()), Value::int8(1)],
            vec![Value::Compressed(b"squeezed".to_vec()), Value::External(2), Value::int8(2)],
            vec![Value::Long(b"plain".to_vec()), Value::Long(number.payload().to_vec()), Value::int8(3)],
        ],
    );
    host.toast = [(1, vec![b'x'; 100_000]), (2, number.payload().to_vec())].into();
    let batch = decode(&host, &[1, 2, 3]).unwrap();
    let texts = batch.column(0).as_string::<i32>();
    assert_eq!(texts.value(0).len(), 100_000);
    assert_eq!((texts.value(1), texts.value(2)), ("squeezed", "plain"));
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().values(), &[12_345; 3]);
    assert_eq!(batch.column(2).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    host.toast.clear();
    assert_eq!(state(&decode(&host, &[1]).unwrap_err()), "parked");
}

#[test]
fn missing_values() {
    let long = [&varlena::long_header(7)[..], b"default"].concat();
    let squeezed = compressed(b"squeezed default");
    let number = [&[11u8][..], numeric::encode(500, 2).payload()].concat();
    let mut attributes = vec![
        attribute(BuiltinOid::INT4OID, -1),
        attribute(BuiltinOid::INT2OID, -1),
        attribute(BuiltinOid::TEXTOID, -1),
        attribute(BuiltinOid::NUMERICOID, numeric_typmod(10, 2)),
        attribute(BuiltinOid::TEXTOID, -1),
        attribute(BuiltinOid::INT8OID, -1),
    ];
    let datums =
        [(1, -5i64 as u64), (2, long.as_ptr() as u64), (3, number.as_ptr() as u64), (4, squeezed.as_ptr() as u64)];
    for (index, datum) in datums {
        attributes[index].missing_value = datum;
        attributes[index].missing_isnull = false;
    }
    assert_eq!(number.len(), 11 >> 1);
    let full = vec![
        Value::int4(1),
        Value::Fixed(vec![2, 0]),
        Value::text("own"),
        Value::numeric(1, 2),
        Value::text("o"),
        Value::int8(9),
    ];
    let host = host_with(attributes, &[full[..1].to_vec(), full.clone(), vec![Value::Null], full]);
    let batch = decode(&host, &[1, 2, 3, 4, 5, 6]).unwrap();
    let int4 = batch.column(0).as_primitive::<Int32Type>();
    assert_eq!(int4.iter().collect::<Vec<_>>(), [Some(1), Some(1), None, Some(1)]);
    assert_eq!(batch.column(1).as_primitive::<Int16Type>().values(), &[-5, 2, -5, 2]);
    let text = batch.column(2).as_string::<i32>();
    assert_eq!(text.iter().flatten().collect::<Vec<_>>(), ["default", "own", "default", "own"]);
    assert_eq!(batch.column(3).as_primitive::<Decimal128Type>().values(), &[500, 1, 500, 1]);
    let text = batch.column(4).as_string::<i32>();
    assert_eq!(text.iter().flatten().collect::<Vec<_>>(), ["squeezed default", "o", "squeezed default", "o"]);
    let int8 = batch.column(5).as_primitive::<Int64Type>();
    assert_eq!(int8.iter().collect::<Vec<_>>(), [None, Some(9), None, Some(9)]);
}

#[test]
fn stored_numerics_must_be_of_the_declared_type() {
    let attributes = vec![attribute(BuiltinOid::NUMERICOID, numeric_typmod(5, 2))];
    let nan = host_with(attributes.clone(), &[vec![Value::numeric(numeric::NAN, 2)]]);
    assert_eq!(decode(&nan, &[1]).unwrap().column(0).as_primitive::<Decimal128Type>().value(0), numeric::NAN);
    for value in [Value::numeric(1, 3), Value::numeric(100_000, 2), Value::Short(vec![0x00, 0xD0])] {
        let host = host_with(attributes.clone(), &[vec![value]]);
        assert_eq!(state(&decode(&host, &[1]).unwrap_err()), sqlstate::INTERNAL_ERROR);
    }
}

#[test]
fn text_must_be_utf8_value_by_value() {
    let attributes = vec![attribute(BuiltinOid::TEXTOID, -1)];
    let rows = |values: &[&[u8]]| values.iter().map(|value| vec![Value::Short(value.to_vec())]).collect::<Vec<_>>();
    let host = host_with(attributes.clone(), &rows(&["ä".as_bytes(), b"", "€𐍈".as_bytes()]));
    assert_eq!(decode(&host, &[1]).unwrap().column(0).as_string::<i32>().value(2), "€𐍈");
    // Valid when run together, but not each for itself.
    let host = host_with(attributes.clone(), &rows(&[b"ok", b"\xC3", b"\xA4"]));
    let error = decode(&host, &[1]).unwrap_err();
    assert_eq!(state(&error), sqlstate::CHARACTER_NOT_IN_REPERTOIRE);
    assert_eq!(error.to_string(), "invalid byte sequence for encoding \"UTF8\": 0xc3");
    let host = host_with(attributes, &rows(&[b"caf\xE9 noir"]));
    let error = decode(&host, &[1]).unwrap_err();
    assert_eq!(error.to_string(), "invalid byte sequence for encoding \"UTF8\": 0xe9 0x20 0x6e");
}

#[test]
fn columns_of_another_table() {
    let mut attributes = vec![attribute(BuiltinOid::INT4OID, -1), attribute(BuiltinOid::INT4OID, -1)];
    attributes[1].attisdropped = true;
    let host = host_with(attributes, &[]);
    let (mut columns, _) = columns(&host.attributes, &[1]);
    let scan = Scan::new(columns.clone()).unwrap();
    for (attno, typid) in [(2, 23), (3, 23), (0, 23), (1, 25)] {
        columns[0].attno = attno;
        columns[0].typid = typid;
        assert!(PageDecoder::new(&host, &host.scan_open(0, 0).unwrap(), &columns, &scan, 10).is_err());
    }
}

#[test]
fn broken_pages() {
    let attributes = vec![attribute(BuiltinOid::INT4OID, -1), attribute(BuiltinOid::TEXTOID, -1)];
    let sound = || host_with(attributes.clone(), &[vec![Value::int4(1), Value::text("text")]]);
    let begin = (u32::from_le_bytes(sound().pages[0].bytes[24..28].try_into().unwrap()) & 0x7FFF) as usize;
    let pointer = |offset: u32, flags: u32, length: u32| (offset | flags << 15 | length << 17).to_le_bytes().to_vec();
    for (at, bytes) in [
        (24, pointer(begin as u32, 0, 33)),
        (24, pointer(begin as u32, 2, 33)),
        (24, pointer(begin as u32 + 4, 1, 33)),
        (24, pointer(8, 1, 33)),
        (24, pointer(begin as u32, 1, 8000)),
        (24, pointer(8184, 1, 8)),
        (24, pointer(begin as u32, 1, 20)),
        (24, pointer(begin as u32, 1, 26)),
        (begin + 22, vec![0]),
        (begin + 22, vec![28]),
        (begin + 22, vec![248]),
        (begin + 28, vec![0xFF]),
        (begin + 28, vec![0x01, 0x12]),
        (begin + 28, vec![0x01, 0x01]),
        (begin + 28, vec![0xFC, 0xFF, 0xFF, 0xFF]),
        (begin + 28, vec![0x04, 0, 0, 0]),
    ] {
        let mut host = sound();
        host.pages[0].bytes[at..at + bytes.len()].copy_from_slice(&bytes);
        assert_eq!(state(&decode(&host, &[1, 2]).unwrap_err()), sqlstate::DATA_CORRUPTED, "{bytes:?} at {at}");
    }
    for number in [0, 5, 3000, u16::MAX] {
        let mut host = sound();
        host.pages[0].offsets = vec![number];
        assert_eq!(state(&decode(&host, &[1, 2]).unwrap_err()), sqlstate::DATA_CORRUPTED);
    }
}

/// What stands in one column of a random row, with what the scan should make of it.
fn value_of(oid: BuiltinOid) -> BoxedStrategy<Value> {
    let bytes = |length: usize| vec(any::<u8>(), length).prop_map(Value::Fixed).boxed();
    match oid {
        BuiltinOid::BOOLOID => any::<bool>().prop_map(|value| Value::Fixed(vec![value.into()])).boxed(),
        BuiltinOid::INT2OID => bytes(2),
        BuiltinOid::INT4OID => bytes(4),
        BuiltinOid::INT8OID => bytes(8),
        BuiltinOid::NAMEOID => bytes(64),
        BuiltinOid::CSTRINGOID => vec(1u8..=255, 0..9).prop_map(Value::CString).boxed(),
        BuiltinOid::NUMERICOID => prop_oneof![
            8 => (-9_999_999_999i128..10_000_000_000).prop_map(|value| Value::numeric(value, 4)),
            1 => Just(Value::numeric(numeric::NAN, 4)),
        ]
        .boxed(),
        _ => prop_oneof![
            8 => text_of("abcxyzä", 12).prop_map(|text| Value::Short(text.into())),
            1 => text_of("abcxyzä", 40).prop_map(|text| Value::Long(text.into())),
            1 => text_of("abcxyzä", 9).prop_map(|text| Value::Compressed(text.into())),
            1 => (0u32..4).prop_map(Value::External),
        ]
        .boxed(),
    }
}

/// A table of any layout with some rows: attributes, rows (some short), and the attribute numbers that a scan can read.
fn table() -> impl Strategy<Value = (Vec<Attribute>, Vec<Vec<Value>>)> {
    let oids = [
        BuiltinOid::BOOLOID,
        BuiltinOid::INT2OID,
        BuiltinOid::INT4OID,
        BuiltinOid::INT8OID,
        BuiltinOid::NUMERICOID,
        BuiltinOid::TEXTOID,
        BuiltinOid::NAMEOID,
        BuiltinOid::CSTRINGOID,
        BuiltinOid::PATHOID,
    ];
    (vec(proptest::sample::select(oids.to_vec()), 1..12), 0.0..0.3).prop_flat_map(|(oids, nulls)| {
        let attributes = oids.iter().map(|&oid| attribute(oid, numeric_typmod(15, 4))).collect::<Vec<_>>();
        let natts = attributes.len();
        let row = oids
            .iter()
            .map(|&oid| prop_oneof![1 => proptest::option::weighted(1.0 - nulls, value_of(oid))])
            .collect::<Vec<_>>()
            .prop_map(|row| row.into_iter().map(|value| value.unwrap_or(Value::Null)).collect::<Vec<_>>());
        let cut = prop_oneof![9 => Just(natts), 1 => 0..=natts];
        let rows = vec((row, cut).prop_map(|(row, cut)| row[..cut].to_vec()), 0..8);
        (Just(attributes), rows)
    })
}

fn readable(attributes: &[Attribute]) -> Vec<u32> {
    let readable = |attribute: &Attribute| arrow_type(attribute.typid, attribute.typmod, layout(attribute)).is_ok();
    (1..).zip(attributes).filter(|(_, attribute)| readable(attribute)).map(|(number, _)| number).collect()
}

/// The stored form of what an array has in a row, in the terms of `Value`.
fn found(array: &dyn Array, row: usize, oid: u32) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match BuiltinOid::from_u32(oid) {
        Ok(BuiltinOid::BOOLOID) => Value::Fixed(vec![array.as_boolean().value(row).into()]),
        Ok(BuiltinOid::INT2OID) => Value::Fixed(array.as_primitive::<Int16Type>().value(row).to_le_bytes().to_vec()),
        Ok(BuiltinOid::INT4OID) => Value::int4(array.as_primitive::<Int32Type>().value(row)),
        Ok(BuiltinOid::INT8OID) => Value::int8(array.as_primitive::<Int64Type>().value(row)),
        Ok(BuiltinOid::NUMERICOID) => Value::numeric(array.as_primitive::<Decimal128Type>().value(row), 4),
        Ok(BuiltinOid::NAMEOID) => Value::Fixed(array.as_fixed_size_binary().value(row).to_vec()),
        Ok(BuiltinOid::PATHOID) => Value::Short(array.as_binary::<i32>().value(row).to_vec()),
        _ => Value::Short(array.as_string::<i32>().value(row).into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_table_reads_as_written((attributes, rows) in table(), skip: prop::sample::Index) {
        let mut host = host_with(attributes, &rows);
        host.toast = (0..4).map(|number| (number, vec![b'a' + number as u8; 30])).collect();
        let mut numbers = readable(&host.attributes);
        if numbers.len() > 1 {
            // What is not read must still be walked over.
            numbers.remove(skip.index(numbers.len()));
        }
        let batch = decode(&host, &numbers).unwrap();
        prop_assert_eq!(batch.num_rows(), rows.len());
        for (array, &number) in batch.columns().iter().zip(&numbers) {
            let index = number as usize - 1;
            for (row, values) in rows.iter().enumerate() {
                let expected = match values.get(index) {
                    None => Value::Null,
                    Some(Value::External(number)) => Value::Short(host.toast[number].clone()),
                    Some(Value::Long(bytes) | Value::Compressed(bytes)) => Value::Short(bytes.clone()),
                    Some(value) => value.clone(),
                };
                prop_assert_eq!(found(array, row, host.attributes[index].typid), expected);
            }
        }
    }

    #[test]
    fn a_damaged_page_is_read_or_refused(
        (attributes, rows) in table(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        near_end: bool,
    ) {
        let mut host = host_with(attributes, &rows);
        let page = &mut host.pages[0];
        for (at, byte) in damage {
            let at = if near_end { 8191 - at.index(400) } else { at.index(8192) };
            page.bytes[at] = byte;
        }
        let _ = decode(&host, &readable(&host.attributes));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        (attributes, _) in table(),
        bytes in vec(any::<u8>(), 8192), pointers in vec((any::<u16>(), any::<u16>()), 1..10),
    ) {
        let mut host = host_with(attributes, &[]);
        let page = &mut host.pages[0];
        page.bytes.copy_from_slice(&bytes);
        // Line pointers and header lengths that are sound, so that the walk gets to the attributes.
        for (index, (offset, length)) in (0u16..).zip(pointers) {
            let offset = usize::from(offset % 8000 / 8 * 8 + 24).min(8168);
            let length = (usize::from(length) % 400).min(8192 - offset);
            let pointer = offset as u32 | 1 << 15 | (length as u32) << 17;
            let at = 24 + usize::from(index) * 4;
            page.bytes[at..at + 4].copy_from_slice(&pointer.to_le_bytes());
            page.bytes[offset + 22] = 24;
            page.bytes[offset + 20] &= 0xFE;
            page.offsets.push(index + 1);
        }
        let _ = decode(&host, &readable(&host.attributes));
    }
}

/// A table of one int4 with `rows_per_page` rows on each page, numbered through.
fn numbered(pages: usize, rows_per_page: usize, range: u32) -> FakeHost {
    let attributes = vec![attribute(BuiltinOid::INT4OID, -1)];
    let pages = (0..pages)
        .map(|page| {
            let tuples: Vec<_> = (0..rows_per_page)
                .map(|row| tuple(&attributes, &[Value::int4((page * rows_per_page + row) as i32)]))
                .collect();
            HeapPage::of(tuples.iter().map(Vec::as_slice))
        })
        .collect();
    FakeHost::new(attributes, pages, range)
}

fn execute(host: &Arc<FakeHost>, numbers: &[u32], batch_size: usize) -> (HeapScanExec, SendableRecordBatchStream) {
    let (columns, _) = columns(&host.attributes, numbers);
    let exec = HeapScanExec::new(0, "t".into(), Scan::new(columns).unwrap());
    let stream = exec.execute(0, context(host.clone(), batch_size).0).unwrap();
    (exec, stream)
}

fn poll(stream: &mut SendableRecordBatchStream) -> Poll<Option<DataFusionResult<RecordBatch>>> {
    stream.poll_next_unpin(&mut Context::from_waker(noop_waker_ref()))
}

pub(super) fn collect(mut stream: SendableRecordBatchStream) -> Result<Vec<RecordBatch>> {
    let mut batches = vec![];
    loop {
        match poll(&mut stream) {
            Poll::Ready(Some(batch)) => batches.push(batch?),
            Poll::Ready(None) => return Ok(batches),
            Poll::Pending => {}
        }
    }
}

#[test]
fn a_batch_never_spans_two_ranges() {
    // Ranges of 4 pages with 10 rows, batches of 25: three pages, then the rest of the range.
    let host = Arc::new(numbered(10, 10, 4));
    let (exec, stream) = execute(&host, &[1], 25);
    assert_eq!(stream.schema(), exec.schema());
    let batches = collect(stream).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [30, 10, 30, 10, 20]);
    let values = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec());
    assert!(values.eq(0..100));
    assert_eq!(host.unpinned.load(Ordering::Relaxed), 1);
    let metrics = exec.metrics().unwrap();
    assert_eq!(metrics.output_rows(), Some(100));
    assert!(metrics.elapsed_compute().is_some_and(|ns| ns > 0));
}

/// Parts of (int4, text) whose tables have the columns in their own ways: as they are; the other way round, after a
/// dropped one; and with a column of their own in between.
fn parted() -> FakeHost {
    let (int4, text) = (attribute(BuiltinOid::INT4OID, -1), attribute(BuiltinOid::TEXTOID, -1));
    let dropped = Attribute { attisdropped: true, typid: 0, ..int4 };
    let part = |attributes: Vec<Attribute>, attnos, tuples: &[Vec<Value>]| {
        let tuples: Vec<_> = tuples.iter().map(|values| tuple(&attributes, values)).collect();
        let page = HeapPage::of(tuples.iter().map(Vec::as_slice));
        FakeHost { attnos, ..FakeHost::new(attributes, vec![page], 4) }
    };
    let mut first = part(vec![int4, text], None, &[vec![Value::int4(1), Value::text("a")]]);
    let mut second = part(
        vec![dropped, text, int4],
        Some(vec![3, 2]),
        &[vec![Value::Null, Value::text("b"), Value::int4(2)], vec![Value::Null, Value::text("c"), Value::Null]],
    );
    let third = part(vec![int4, int4, text], Some(vec![1, 3]), &[vec![Value::int4(3), Value::int4(9), Value::Null]]);
    second.next = Some(Box::new(third));
    first.next = Some(Box::new(second));
    first
}

#[test]
fn parts_are_read_each_in_its_own_way() {
    let host = Arc::new(parted());
    let (exec, stream) = execute(&host, &[2, 1], 8192);
    let batches = collect(stream).unwrap();
    // A batch never spans two parts.
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1, 2, 1]);
    assert!(batches.iter().all(|batch| batch.schema() == exec.schema()));
    let texts: Vec<_> = batches
        .iter()
        .flat_map(|batch| {
            batch.column(0).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(texts, [Some("a".into()), Some("b".into()), Some("c".into()), None]);
    let numbers: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.column(1).as_primitive::<Int32Type>().iter().collect::<Vec<_>>())
        .collect();
    assert_eq!(numbers, [Some(1), Some(2), None, Some(3)]);
}

#[test]
fn a_part_without_the_column_is_refused() {
    for attnos in [vec![1, 0], vec![1]] {
        let mut host = parted();
        host.next.as_mut().unwrap().attnos = Some(attnos);
        let (_, mut stream) = execute(&Arc::new(host), &[2], 8192);
        assert!(matches!(poll(&mut stream), Poll::Ready(Some(Ok(_)))));
        let Poll::Ready(Some(Err(error))) = poll(&mut stream) else { panic!("no error") };
        assert_eq!(state(&error.into()), sqlstate::INTERNAL_ERROR);
    }
}

#[test]
fn a_corrupted_block_of_a_part_is_named() {
    let mut host = parted();
    host.next.as_mut().unwrap().pages[0].bytes[24..28].fill(0);
    let (_, mut stream) = execute(&Arc::new(host), &[1], 8192);
    assert!(matches!(poll(&mut stream), Poll::Ready(Some(Ok(_)))));
    let Poll::Ready(Some(Err(error))) = poll(&mut stream) else { panic!("no error") };
    let Error::Raised { detail, .. } = error.into() else { panic!("parked") };
    assert_eq!(detail.as_deref(), Some("Block 0 of table \"t1\"."));
}

#[test]
fn counting_reads_no_column() {
    let host = Arc::new(numbered(3, 7, 2));
    let (_, stream) = execute(&host, &[], 8192);
    let batches = collect(stream).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [14, 7]);
    assert!(batches.iter().all(|batch| batch.num_columns() == 0));
}

#[test]
fn empty_pages_and_empty_tables() {
    let (_, stream) = execute(&Arc::new(numbered(0, 0, 4)), &[1], 10);
    assert!(collect(stream).unwrap().is_empty());
    let host = Arc::new(numbered(9, 0, 4));
    let (_, stream) = execute(&host, &[1], 10);
    assert!(collect(stream).unwrap().is_empty());
    assert_eq!(host.pages_read.load(Ordering::Relaxed), 9);
}

#[test]
fn an_interrupt_ends_the_poll_and_not_the_scan() {
    let host = Arc::new(numbered(20, 10, 20));
    let (columns, _) = columns(&host.attributes, &[1]);
    let (context, session) = context(host.clone(), 1000);
    let mut stream = HeapScanExec::new(0, "t".into(), Scan::new(columns).unwrap()).execute(0, context).unwrap();
    host.interrupt.store(true, Ordering::Relaxed);
    // The first checkpoint of all goes by with learning the tuple layout; each turn reads some pages.
    for pages in [7, 15] {
        session.turn.begin();
        assert!(poll(&mut stream).is_pending());
        assert_eq!(host.pages_read.load(Ordering::Relaxed), pages);
    }
    host.interrupt.store(false, Ordering::Relaxed);
    assert_eq!(collect(stream).unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 200);
}

#[test]
fn a_dropped_stream_calls_nothing() {
    let host = Arc::new(numbered(4, 10, 4));
    let (_, mut stream) = execute(&host, &[1], 10);
    assert_eq!(host.calls.load(Ordering::Relaxed), 0, "nothing is asked for before the first poll");
    assert!(poll(&mut stream).is_ready());
    let calls = host.calls.load(Ordering::Relaxed);
    drop(stream);
    assert_eq!(host.calls.load(Ordering::Relaxed), calls);
}

#[test]
fn after_an_error_nothing_is_asked() {
    let mut host = numbered(4, 10, 4);
    host.parks_at = Some(2);
    let host = Arc::new(host);
    let (_, mut stream) = execute(&host, &[1], 1000);
    let Poll::Ready(Some(Err(error))) = poll(&mut stream) else { panic!("no error") };
    assert_eq!(state(&error.into()), "parked");
    let calls = host.calls.load(Ordering::Relaxed);
    assert!(matches!(poll(&mut stream), Poll::Ready(None)));
    assert_eq!(host.calls.load(Ordering::Relaxed), calls);
}

#[test]
fn a_corrupted_block_is_named() {
    let mut host = numbered(4, 10, 4);
    host.pages[3].bytes[24..28].fill(0);
    let (_, mut stream) = execute(&Arc::new(host), &[1], 1000);
    let Poll::Ready(Some(Err(error))) = poll(&mut stream) else { panic!("no error") };
    let Error::Raised { sqlstate, detail, .. } = error.into() else { panic!("parked") };
    assert_eq!(sqlstate, sqlstate::DATA_CORRUPTED);
    assert_eq!(detail.as_deref(), Some("Block 3 of table \"t\"."));
}

#[test]
fn few_wide_rows_make_a_batch() {
    let attributes = vec![attribute(BuiltinOid::TEXTOID, -1)];
    let pages: Vec<_> = (0..4).map(|_| HeapPage::of([tuple(&attributes, &[Value::External(0)]).as_slice()])).collect();
    let mut host = FakeHost::new(attributes, pages, 128);
    host.toast.insert(0, vec![b'x'; 9 << 20]);
    let (_, stream) = execute(&Arc::new(host), &[1], 8192);
    assert_eq!(collect(stream).unwrap().iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn types_without_a_place_in_a_plan_are_refused() {
    let varlena = TypeLayout { len: -1, byval: false, utf8: true };
    for (oid, layout) in [(2249, varlena), (2275, TypeLayout { len: -2, ..varlena })] {
        assert!(arrow_type(oid, -1, layout).is_err());
        let column = ScanColumn { attno: 1, typid: oid, typmod: -1, name: "x".into(), layout };
        assert!(Scan::new(vec![column]).is_err());
    }
}

#[test]
fn opaque_types() {
    let oids = [
        BuiltinOid::CHAROID,
        BuiltinOid::TIDOID,
        BuiltinOid::UUIDOID,
        BuiltinOid::INTERVALOID,
        BuiltinOid::NAMEOID,
        BuiltinOid::JSONBOID,
        BuiltinOid::NUMERICOID,
    ];
    let attributes: Vec<_> = oids.iter().map(|&oid| attribute(oid, -1)).collect();
    let fixed = |byte, length| Value::Fixed(vec![byte; length]);
    let numeric = numeric::encode(-150, 2).payload().to_vec();
    let rows = [
        vec![
            fixed(0xFF, 1),
            fixed(1, 6),
            fixed(2, 16),
            fixed(3, 16),
            fixed(4, 64),
            Value::Short(vec![5, 0xFF]),
            Value::Short(numeric.clone()),
        ],
        vec![Value::Null; 7],
        vec![
            fixed(65, 1),
            fixed(6, 6),
            fixed(7, 16),
            Value::Null,
            fixed(8, 64),
            Value::External(0),
            Value::Compressed(vec![0x00, 0xD0]),
        ],
    ];
    let mut host = host_with(attributes, &rows);
    host.toast.insert(0, vec![9; 5000]);
    let batch = decode(&host, &(1..=7).collect::<Vec<_>>()).unwrap();
    let int1s: Vec<_> = batch.column(0).as_primitive::<Int8Type>().iter().collect();
    assert_eq!(int1s, [Some(-1), None, Some(65)]);
    let widths = [6, 16, 16, 64];
    let expected =
        [[Some(1), None, Some(6)], [Some(2), None, Some(7)], [Some(3), None, None], [Some(4), None, Some(8)]];
    for (column, (width, expected)) in widths.into_iter().zip(expected).enumerate() {
        let array = batch.column(column + 1).as_fixed_size_binary();
        let found: Vec<_> = array.iter().map(|value| value.map(<[u8]>::to_vec)).collect();
        assert_eq!(found, expected.map(|byte| byte.map(|byte: u8| vec![byte; width])), "{width}");
    }
    let payloads = |column: usize| -> Vec<_> {
        batch.column(column).as_binary::<i32>().iter().map(|value| value.map(<[u8]>::to_vec)).collect()
    };
    assert_eq!(payloads(5), [Some(vec![5, 0xFF]), None, Some(vec![9; 5000])]);
    assert_eq!(payloads(6), [Some(numeric), None, Some(vec![0x00, 0xD0])]);
}

#[test]
fn missing_values_of_opaque_types() {
    let mut attributes = vec![attribute(BuiltinOid::INT4OID, -1)];
    let uuid = [7u8; 16];
    let json = [&[(4 << 1) | 1][..], b"{}\0"].concat();
    for (oid, datum) in [
        (BuiltinOid::CHAROID, u64::from(b'x')),
        (BuiltinOid::UUIDOID, uuid.as_ptr() as u64),
        (BuiltinOid::JSONBOID, json.as_ptr() as u64),
    ] {
        attributes.push(Attribute { missing_value: datum, missing_isnull: false, ..attribute(oid, -1) });
    }
    let host = host_with(attributes, &[vec![Value::int4(1)]]);
    let batch = decode(&host, &[2, 3, 4]).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int8Type>().value(0), b'x' as i8);
    assert_eq!(batch.column(1).as_fixed_size_binary().value(0), uuid);
    assert_eq!(batch.column(2).as_binary::<i32>().value(0), b"{}\0");
}

#[test]
fn text_of_another_encoding_is_bytes() {
    let attributes = vec![attribute(BuiltinOid::TEXTOID, -1)];
    let host = host_with(attributes, &[vec![Value::Short(vec![0xE4])]]);
    let (mut columns, _) = columns(&host.attributes, &[1]);
    columns[0].layout.utf8 = false;
    let scan = Scan::new(columns).unwrap();
    let mut decoder = PageDecoder::new(&host, &host.scan_open(0, 0).unwrap(), &scan.columns, &scan, 8192).unwrap();
    decoder.push(&host, host.pages[0].page()).unwrap();
    assert_eq!(decoder.finish().unwrap().column(0).as_binary::<i32>().value(0), [0xE4]);
}
