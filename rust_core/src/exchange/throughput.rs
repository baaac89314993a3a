//! A measurement, run by `make bench SET=floor`: how fast a shuffle's bytes pass a ring, against memcpy.
//!
//! ```text
//!   shuffle   batch ─ partition, encode ─▶ frame ─ copy ─▶ ring ─ decode (copies) ─▶ batch
//!   memcpy                                 frame ─ copy ─▶ ring ─ copy ─▶ memory
//! ```
//! As between two participants, a thread writes while another reads, each on a core of its own; and once more one thread
//! does both in turns, so that no wait is in it, and nothing comes from another core's cache: what a core has to do for
//! the bytes. The ring has the size of `joinscan.queue_size`; as in shm_mq, a frame that wraps is put together by its
//! reader.

use std::hint::{black_box, spin_loop};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::expressions::Column;
use rtrb::{Consumer, CopyToUninit, Producer, RingBuffer};

use super::batch::decode_batch;
use super::encoder::BatchEncoder;
use super::frames::Frame;
use super::partition::Partitioner;

const RING: usize = 256 << 10;
/// Of a batch of narrow rows, and of wide ones: frames of some 110 kB, of which the ring holds two.
const ROWS: [i64; 2] = [8192, 2048];
/// Few: rows that are sent have just been made, and lie in the core's cache.
const BATCHES: usize = 2;
const TIMES: usize = 50;
const CONSUMERS: usize = 3;
const ROUNDS: usize = 9;

/// The side of a ring that writes, and the other.
struct Inlet(Producer<u8>);

struct Outlet {
    ring: Consumer<u8>,
    /// Where a frame is put together that wraps.
    whole: Vec<u8>,
}

fn ring() -> (Inlet, Outlet) {
    let (inlet, outlet) = RingBuffer::new(RING);
    (Inlet(inlet), Outlet { ring: outlet, whole: Vec::with_capacity(RING) })
}

impl Inlet {
    /// Waits for room. An empty frame is the end.
    fn write(&mut self, frame: &[u8]) {
        self.push(&(frame.len() as u64).to_le_bytes());
        self.push(frame);
    }

    fn push(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= RING, "{} bytes do not fit", bytes.len());
        loop {
            if let Ok(mut chunk) = self.0.write_chunk_uninit(bytes.len()) {
                let (first, second) = chunk.as_mut_slices();
                let (one, other) = bytes.split_at(first.len());
                one.copy_to_uninit(first);
                other.copy_to_uninit(second);
                // SAFETY: both slices have been written to their ends.
                unsafe { chunk.commit_all() };
                return;
            }
            spin_loop();
        }
    }
}

impl Outlet {
    /// Waits for a frame. False at the end.
    fn read(&mut self, read: &mut impl FnMut(&[u8])) -> bool {
        let mut length = [0; 8];
        self.pop(length.len(), |bytes| length.copy_from_slice(bytes));
        let length = u64::from_le_bytes(length) as usize;
        self.pop(length, read);
        length > 0
    }

    fn pop(&mut self, length: usize, mut read: impl FnMut(&[u8])) {
        loop {
            if let Ok(chunk) = self.ring.read_chunk(length) {
                match chunk.as_slices() {
                    (whole, []) => read(whole),
                    (first, second) => {
                        self.whole.clear();
                        self.whole.extend_from_slice(first);
                        self.whole.extend_from_slice(second);
                        read(&self.whole);
                    }
                }
                chunk.commit_all();
                return;
            }
            spin_loop();
        }
    }
}

/// Seconds that `write`'s frames take to `read`, both on this thread.
fn alone(write: impl FnOnce(&mut dyn FnMut(&[u8])), mut read: impl FnMut(&[u8])) -> f64 {
    let (mut inlet, mut outlet) = ring();
    let start = Instant::now();
    write(&mut |frame| {
        inlet.write(frame);
        outlet.read(&mut read);
    });
    start.elapsed().as_secs_f64()
}

/// The same from one thread to another.
fn across(write: impl FnOnce(&mut dyn FnMut(&[u8])) + Send, mut read: impl FnMut(&[u8])) -> f64 {
    let (mut inlet, mut outlet) = ring();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            write(&mut |frame| inlet.write(frame));
            inlet.write(&[]);
        });
        start.wait();
        let start = Instant::now();
        while outlet.read(&mut read) {}
        start.elapsed().as_secs_f64()
    })
}

/// A key, a date, a numeric and a text of ten bytes: 42 bytes a row. And such with three texts that say more, 155.
fn batch(number: i64, wide: bool) -> RecordBatch {
    let count = ROWS[usize::from(wide)];
    let rows = number * count..(number + 1) * count;
    let numerics = Decimal128Array::from_iter_values(rows.clone().map(|i| i128::from(i) * 101));
    let texts = |text: fn(i64) -> String| Arc::new(StringArray::from_iter_values(rows.clone().map(text))) as ArrayRef;
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new(Int64Array::from_iter_values(rows.clone()))),
        ("day", Arc::new(Int32Array::from_iter_values(rows.clone().map(|i| (i % 2557) as i32)))),
        ("price", Arc::new(numerics.with_precision_and_scale(15, 2).unwrap())),
        ("mode", texts(|i| format!("{:<10}", i % 7))),
    ];
    if wide {
        columns.push(("name", texts(|i| format!("Customer#{i:09}"))));
        columns.push((
            "address",
            texts(|i| "9 Bronze Lane, Upper Harbour, 12th floor".chars().take(10 + i as usize % 31).collect()),
        ));
        columns.push(("comment", texts(|i| "x".repeat(29 + (i * 31) as usize % 59))));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The frames of a shuffle.
fn shuffle(batches: &[RecordBatch], send: &mut dyn FnMut(&[u8])) {
    let keys = vec![Arc::new(Column::new("key", 0)) as _];
    let mut partitioner = Partitioner::new(keys, None, CONSUMERS, None);
    let mut encoder = BatchEncoder::default();
    let mut frames = [const { Vec::new() }; CONSUMERS];
    for batch in batches.iter().cycle().take(BATCHES * TIMES) {
        for (part, frame) in partitioner.partition(batch).unwrap().iter().zip(&mut frames) {
            encoder.encode(frame, 0, batch, Some(part)).unwrap();
            send(frame);
        }
    }
}

/// Rows of the frame.
fn decode(frame: &[u8], schema: &SchemaRef) -> usize {
    let Frame::Batch { body, .. } = Frame::parse(frame).unwrap() else { unreachable!() };
    black_box(decode_batch(body, schema).unwrap()).num_rows()
}

#[test]
#[ignore = "a measurement: make bench SET=floor"]
fn throughput() {
    for (what, wide) in [("narrow", false), ("wide", true)] {
        let rates: Vec<_> = rates(wide).iter().map(|rate| format!("{rate:.0}")).collect();
        println!("exchange throughput, {what} rows, bytes per second: {}", rates.join(","));
    }
}

/// Bytes per second of a shuffle and of memcpy, from thread to thread; and of both on one thread.
fn rates(wide: bool) -> [f64; 4] {
    let batches: Vec<_> = (0..BATCHES as i64).map(|number| batch(number, wide)).collect();
    let schema = batches[0].schema();
    let (mut lengths, mut rows) = (vec![], 0);
    shuffle(&batches, &mut |frame| {
        lengths.push(frame.len());
        rows += decode(frame, &schema);
    });
    assert_eq!(rows as i64, ROWS[usize::from(wide)] * (BATCHES * TIMES) as i64);
    let (bytes, memory) = (lengths.iter().sum::<usize>() as f64, vec![1; RING]);
    let copies = |send: &mut dyn FnMut(&[u8])| lengths.iter().for_each(|&length| send(&memory[..length]));
    let mut out = vec![0; RING];
    let mut copy = |frame: &[u8]| {
        out[..frame.len()].copy_from_slice(frame);
        black_box(&out);
    };
    let mut read = |frame: &[u8]| {
        if !frame.is_empty() {
            decode(frame, &schema);
        }
    };
    let mut least = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let seconds = [
            across(|send| shuffle(&batches, send), &mut read),
            across(copies, &mut copy),
            alone(|send| shuffle(&batches, send), &mut read),
            alone(copies, &mut copy),
        ];
        least.iter_mut().zip(seconds).for_each(|(least, seconds)| *least = least.min(seconds));
    }
    least.map(|seconds| bytes / seconds)
}
