//! Frames: what goes in comes out; any other bytes are an error, never a crash.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryArray, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Schema, i256};
use proptest::prelude::*;

use super::batch::decode_batch;
use super::encoder::BatchEncoder;
use super::frames::Frame;
use crate::error::Error;

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("int2", Arc::new(Int16Array::from(vec![1, -2, 3]))),
        ("int4", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("int8", Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX]))),
        ("float8", Arc::new(Float64Array::from(vec![f64::NAN, -0.0, f64::NEG_INFINITY]))),
        (
            // i128::MAX is numeric's NaN: it has more digits than the type says.
            "numeric",
            Arc::new(
                Decimal128Array::from(vec![Some(12345), Some(i128::MAX), None])
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
        ),
        (
            "wide numeric",
            Arc::new(
                Decimal256Array::from(vec![Some(i256::from_parts(5, -7)), None, Some(i256::MAX)])
                    .with_precision_and_scale(47, 6)
                    .unwrap(),
            ),
        ),
        ("text", Arc::new(StringArray::from(vec![Some("straße"), Some(""), None]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// What the frame was before is not seen in it.
fn encode(batch: &RecordBatch, rows: Option<&[u32]>) -> Vec<u8> {
    let mut encoder = BatchEncoder::default();
    let (mut frame, mut used) = (vec![], vec![0xff; 4000]);
    encoder.encode(&mut used, 7, batch, rows).unwrap();
    encoder.encode(&mut frame, 7, batch, rows).unwrap();
    assert_eq!(used, frame);
    frame
}

fn round_trip(batch: &RecordBatch, rows: Option<&[u32]>) -> RecordBatch {
    let bytes = encode(batch, rows);
    let Frame::Batch { stream: 7, body } = Frame::parse(&bytes).unwrap() else { panic!("not a batch") };
    decode_batch(body, &batch.schema()).unwrap()
}

#[test]
fn batches_survive() {
    let batch = batch();
    for batch in [batch.clone(), batch.slice(1, 2), batch.slice(0, 0), batch.slice(3, 0)] {
        assert_eq!(round_trip(&batch, None), batch);
    }
}

#[test]
fn chosen_rows_are_those_that_come() {
    let batch = batch();
    for batch in [batch.clone(), batch.slice(1, 2)] {
        for rows in [vec![], vec![0], vec![1], vec![0, 1], vec![1, 0, 1, 1]] {
            let expected = take_record_batch(&batch, &UInt32Array::from(rows.clone())).unwrap();
            assert_eq!(round_trip(&batch, Some(&rows)), expected, "{rows:?}");
        }
    }
}

#[test]
fn many_rows_with_null_bits_across_bytes() {
    let numbers: Int64Array = (0..1000).map(|i| (i % 7 != 0).then_some(i)).collect();
    let texts: StringArray = (0..1000).map(|i| (i % 5 != 0).then(|| "x".repeat(i % 11))).collect();
    let odd = (0..1000).map(|i| if i % 2 == 0 { None } else { Some([i as u8; 5]) });
    let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size(odd, 5).unwrap();
    let columns: [(&str, ArrayRef); 3] = [("n", Arc::new(numbers)), ("t", Arc::new(texts)), ("b", Arc::new(bytes))];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let rows: Vec<u32> = (0..1000).filter(|row| row % 3 != 1).collect();
    for batch in [batch.clone(), batch.slice(13, 987)] {
        let rows: Vec<u32> = rows.iter().copied().filter(|&row| (row as usize) < batch.num_rows()).collect();
        assert_eq!(round_trip(&batch, None), batch);
        assert_eq!(round_trip(&batch, Some(&rows)), take_record_batch(&batch, &UInt32Array::from(rows)).unwrap());
    }
}

#[test]
fn arrow_writes_the_same_layout() {
    use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
    let batch = batch();
    let (_, theirs) = IpcDataGenerator::default()
        .encode(&batch, &mut DictionaryTracker::new(false), &IpcWriteOptions::default(), &mut Default::default())
        .unwrap();
    let mut body = (theirs.ipc_message.len() as u64).to_le_bytes().to_vec();
    body.extend_from_slice(&theirs.ipc_message);
    body.resize(8 + theirs.ipc_message.len().next_multiple_of(8), 0);
    body.extend_from_slice(&theirs.arrow_data);
    assert_eq!(decode_batch(&body, &batch.schema()).unwrap(), batch);
}

#[test]
fn a_wrong_number_of_nulls_is_refused() {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let batch = RecordBatch::try_from_iter_with_nullable([("a", column, true)]).unwrap();
    let bytes = encode(&batch, None);
    let node = [3i64.to_le_bytes(), 1i64.to_le_bytes()].concat();
    let at = bytes.windows(node.len()).position(|part| part == node).unwrap() + 8;
    for count in [-1i64, 2, 4] {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
        let Frame::Batch { body, .. } = Frame::parse(&bytes).unwrap() else { panic!("not a batch") };
        assert!(decode_batch(body, &batch.schema()).is_err(), "{count}");
    }
}

#[test]
fn a_batch_without_columns_keeps_its_rows() {
    let options = RecordBatchOptions::new().with_row_count(Some(42));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert_eq!(round_trip(&batch, None).num_rows(), 42);
}

#[test]
fn errors_survive() {
    let error = Error::new("22012", "division by zero").with_detail("d").with_hint("h");
    let bytes = Frame::Error { stream: 3, error: error.clone() }.encode();
    match Frame::parse(&bytes).unwrap() {
        Frame::Error { stream: 3, error: decoded } => assert_eq!(format!("{decoded:?}"), format!("{error:?}")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn control_frames_survive() {
    for frame in [
        Frame::StartStream { stream: 0, filter: &[] },
        Frame::StartStream { stream: 3, filter: &[1; 24] },
        Frame::StopStream { stream: u32::MAX },
        Frame::SessionEnd,
        Frame::EndOfStream { stream: 1, rows: u64::MAX, bytes: 5 },
    ] {
        assert_eq!(format!("{:?}", Frame::parse(&frame.encode()).unwrap()), format!("{frame:?}"));
    }
}

/// Whatever the bytes are: an answer, and if it is a batch, one that can be read to the end.
fn read_all(bytes: &[u8]) {
    if let Ok(Frame::Batch { body, .. }) = Frame::parse(bytes)
        && let Ok(batch) = decode_batch(body, &batch().schema())
    {
        for column in batch.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_read() {
    let bytes = encode(&batch(), None);
    for at in 0..8 * bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        read_all(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_batches_are_refused_or_read(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        let mut bytes = encode(&batch(), None);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if shorten {
            let keep = cut.index(bytes.len());
            bytes.truncate(keep);
            // A consistent header, so that the cut reaches the batch itself.
            if bytes.len() >= 16 {
                let length = (bytes.len() - 16) as u64;
                bytes[8..16].copy_from_slice(&length.to_le_bytes());
            }
        }
        read_all(&bytes);
    }
}
