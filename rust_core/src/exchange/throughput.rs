//! A measurement, run by `make bench SET=floor`: how fast a shuffle's bytes pass a ring, against memcpy.
//!
//! ```text
//!   shuffle   batch ─ partition, encode ─▶ frame ─ copy ─▶ ring ─ decode (copies) ─▶ batch
//!   memcpy                                 frame ─ copy ─▶ ring ─ copy ─▶ memory
//! ```
//! One thread does both sides in turns, so that no wait is in it: bytes per second of one core. The ring has the size of
//! `joinscan.queue_size`; as in shm_mq, a frame that wraps is put together by its reader.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::physical_expr::expressions::Column;

use super::batch::{BatchEncoder, decode_batch};
use super::frames::Frame;
use super::partition::Partitioner;

const RING: usize = 256 << 10;
const ROWS: i64 = 8192;
/// Few: rows that are sent have just been made, and lie in the core's cache.
const BATCHES: usize = 2;
const TIMES: usize = 50;
const CONSUMERS: usize = 3;
const ROUNDS: usize = 9;

/// Bytes that go round; one frame at a time is in it.
struct Ring {
    bytes: Box<[u8]>,
    at: usize,
    /// Where a frame is put together that wraps.
    whole: Vec<u8>,
}

impl Ring {
    fn new() -> Self {
        Self { bytes: vec![0; RING].into_boxed_slice(), at: 0, whole: Vec::with_capacity(RING) }
    }

    fn write(&mut self, frame: &[u8]) {
        assert!(frame.len() <= RING, "{} bytes do not fit", frame.len());
        let first = frame.len().min(RING - self.at);
        self.bytes[self.at..self.at + first].copy_from_slice(&frame[..first]);
        self.bytes[..frame.len() - first].copy_from_slice(&frame[first..]);
    }

    fn read(&mut self, length: usize) -> &[u8] {
        let at = self.at;
        self.at = (at + length).next_multiple_of(8) % RING;
        if at + length <= RING {
            return &self.bytes[at..at + length];
        }
        self.whole.clear();
        self.whole.extend_from_slice(&self.bytes[at..]);
        self.whole.extend_from_slice(&self.bytes[..at + length - RING]);
        &self.whole
    }
}

/// A key, a date, a numeric and a text of ten bytes.
fn batch(number: i64) -> RecordBatch {
    let rows = number * ROWS..(number + 1) * ROWS;
    let numerics = Decimal128Array::from_iter_values(rows.clone().map(|i| i128::from(i) * 101));
    let columns: [(&str, ArrayRef); 4] = [
        ("key", Arc::new(Int64Array::from_iter_values(rows.clone()))),
        ("day", Arc::new(Int32Array::from_iter_values(rows.clone().map(|i| (i % 2557) as i32)))),
        ("price", Arc::new(numerics.with_precision_and_scale(15, 2).unwrap())),
        ("mode", Arc::new(StringArray::from_iter_values(rows.map(|i| format!("{:<10}", i % 7))))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Bytes that passed the ring, and their lengths.
fn shuffle(batches: &[RecordBatch], ring: &mut Ring) -> Vec<usize> {
    let keys = vec![Arc::new(Column::new("key", 0)) as _];
    let mut partitioner = Partitioner::new(keys, None, CONSUMERS, None);
    let mut encoder = BatchEncoder::default();
    let mut lengths = Vec::new();
    let mut rows = 0;
    for batch in batches.iter().cycle().take(BATCHES * TIMES) {
        let schema = batch.schema();
        for part in partitioner.partition(batch).unwrap() {
            let frame = encoder.encode(0, batch, Some(part)).unwrap();
            ring.write(&frame);
            let Frame::Batch { body, .. } = Frame::parse(ring.read(frame.len())).unwrap() else { unreachable!() };
            rows += black_box(decode_batch(body, &schema).unwrap()).num_rows();
            lengths.push(frame.len());
        }
    }
    assert_eq!(rows as i64, ROWS * (BATCHES * TIMES) as i64);
    lengths
}

fn copy(lengths: &[usize], ring: &mut Ring) {
    let frame = vec![1; RING];
    let mut out = vec![0; RING];
    for length in lengths {
        ring.write(&frame[..*length]);
        out[..*length].copy_from_slice(ring.read(*length));
        black_box(&out);
    }
}

#[test]
#[ignore = "a measurement: make bench SET=floor"]
fn throughput() {
    let batches: Vec<_> = (0..BATCHES as i64).map(batch).collect();
    let mut ring = Ring::new();
    let lengths = shuffle(&batches, &mut ring);
    let bytes = lengths.iter().sum::<usize>() as f64;
    let (mut shuffled, mut copied) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        shuffle(&batches, &mut ring);
        shuffled = shuffled.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        copy(&lengths, &mut ring);
        copied = copied.min(start.elapsed().as_secs_f64());
    }
    println!("exchange throughput, bytes per second: {:.0},{:.0}", bytes / shuffled, bytes / copied);
}
