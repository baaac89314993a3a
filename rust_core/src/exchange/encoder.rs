//! Writes Batch frames (`batch.rs` has their layout), value by value from the batch that has the rows: Arrow's writer
//! would want a batch of the rows that go, and gives pieces that are put together to a frame, two copies of every value.

use std::mem;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;
use arrow::ipc::{self, FieldNode};
use flatbuffers::FlatBufferBuilder;

use super::batch::{ALIGNMENT, METADATA_LENGTH};
use super::frames::{BATCH, HEADER, header};
use crate::error::{Error, Result};

/// A text of up to so many bytes is copied as if it had them all: a copy of known length is some moves.
const SHORT: usize = 16;
const LONG: usize = 64;

/// Writes Batch frames; keeps what it writes metadata with.
#[derive(Default)]
pub struct BatchEncoder {
    metadata: FlatBufferBuilder<'static>,
    nodes: Vec<FieldNode>,
    buffers: Vec<ipc::Buffer>,
}

impl BatchEncoder {
    /// Makes `frame` a whole frame with the rows of `batch` that `rows` names, in that order; all of them when it is
    /// `None`. What `frame` held before is of no account, but its memory is used again.
    /// Errors: XX000 for a type that no frame carries; 54000 for texts of more than 2 GB together.
    pub fn encode(
        &mut self,
        frame: &mut Vec<u8>,
        stream: u32,
        batch: &RecordBatch,
        rows: Option<&[u32]>,
    ) -> Result<()> {
        let rows = rows.map(|rows| Rows::of(batch, rows));
        let count = rows.map_or(batch.num_rows(), |rows| rows.0.len());
        let columns = batch.columns().iter().map(|array| Column::new(array, rows)).collect::<Result<Vec<_>>>()?;
        self.nodes.clear();
        self.buffers.clear();
        let mut length = 0;
        for column in &columns {
            self.nodes.push(FieldNode::new(count as i64, column.null_count as i64));
            for size in column.sizes(count).into_iter().flatten() {
                self.buffers.push(ipc::Buffer::new(length as i64, size as i64));
                length += size.next_multiple_of(ALIGNMENT);
            }
        }
        let metadata = self.write_metadata(count, length);
        let padded = metadata.len().next_multiple_of(8);
        let body = METADATA_LENGTH + padded + length;
        frame.resize(HEADER + body, 0);
        let mut room = Room(frame);
        room.put(&header(BATCH, stream, body));
        room.put(&(metadata.len() as u64).to_le_bytes());
        room.put(metadata);
        room.pad(padded - metadata.len());
        for column in &columns {
            column.write(&mut room, rows);
        }
        Ok(())
    }

    /// The message that IPC has before a batch's buffers, which take `length` bytes.
    fn write_metadata(&mut self, rows: usize, length: usize) -> &[u8] {
        let builder = &mut self.metadata;
        builder.reset();
        let nodes = builder.create_vector(&self.nodes);
        let buffers = builder.create_vector(&self.buffers);
        let mut batch = ipc::RecordBatchBuilder::new(builder);
        batch.add_length(rows as i64);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        let batch = batch.finish();
        let mut message = ipc::MessageBuilder::new(builder);
        message.add_version(ipc::MetadataVersion::V5);
        message.add_header_type(ipc::MessageHeader::RecordBatch);
        message.add_header(batch.as_union_value());
        message.add_bodyLength(length as i64);
        let message = message.finish();
        builder.finish(message, None);
        builder.finished_data()
    }
}

/// Numbers of rows of a batch; none is beyond it.
#[derive(Clone, Copy)]
struct Rows<'a>(&'a [u32]);

impl<'a> Rows<'a> {
    fn of(batch: &RecordBatch, rows: &'a [u32]) -> Self {
        let most = rows.iter().fold(0, |most, &row| most.max(row));
        assert!(rows.is_empty() || (most as usize) < batch.num_rows(), "row {most} of {}", batch.num_rows());
        Self(rows)
    }

    fn iter(self) -> impl ExactSizeIterator<Item = usize> {
        self.0.iter().map(|&row| row as usize)
    }
}

/// A column of which rows are written.
struct Column {
    /// Of the rows that are written; `None` where none of them is NULL.
    validity: Option<Buffer>,
    null_count: usize,
    values: Values,
}

/// Values of all rows of a batch.
enum Values {
    Bits(BooleanBuffer),
    Fixed { width: usize, bytes: Buffer },
    Varying(Texts),
}

struct Texts {
    /// Of each row of the batch, where its bytes begin; and where the last ones end.
    ends: Buffer,
    bytes: Buffer,
    /// The same of the rows that are written, from 0.
    written: Buffer,
}

impl Column {
    fn new(array: &dyn Array, rows: Option<Rows>) -> Result<Self> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| gather_nulls(nulls, rows));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        Ok(Self {
            null_count: nulls.as_ref().map_or(0, NullBuffer::null_count),
            validity: nulls.map(|nulls| nulls.inner().sliced()),
            values: Values::of(array, rows)?,
        })
    }

    /// Bytes of its buffers: validity, values or offsets, texts.
    fn sizes(&self, count: usize) -> [Option<usize>; 3] {
        let validity = self.validity.as_ref().map_or(0, |_| count.div_ceil(8));
        match &self.values {
            Values::Bits(_) => [Some(validity), Some(count.div_ceil(8)), None],
            Values::Fixed { width, .. } => [Some(validity), Some(count * width), None],
            Values::Varying(texts) => [Some(validity), Some(texts.written.len()), Some(texts.total())],
        }
    }

    /// Writes its buffers.
    fn write(&self, room: &mut Room, rows: Option<Rows>) {
        if let Some(validity) = &self.validity {
            room.append(validity);
        }
        match (&self.values, rows) {
            (Values::Bits(bits), None) => room.append(&bits.sliced()),
            (Values::Bits(bits), Some(rows)) => room.append(gather_bits(bits, rows).inner()),
            (Values::Fixed { bytes, .. }, None) => room.append(bytes),
            (Values::Fixed { width, bytes }, Some(rows)) => match width {
                1 => room.gather::<1>(bytes, rows),
                2 => room.gather::<2>(bytes, rows),
                4 => room.gather::<4>(bytes, rows),
                8 => room.gather::<8>(bytes, rows),
                16 => room.gather::<16>(bytes, rows),
                32 => room.gather::<32>(bytes, rows),
                _ => room.gather_wide(bytes, *width, rows),
            },
            (Values::Varying(texts), rows) => {
                room.append(&texts.written);
                texts.write(room.buffer(texts.total()), rows);
            }
        }
    }
}

impl Values {
    fn of(array: &dyn Array, rows: Option<Rows>) -> Result<Self> {
        let data = array.to_data();
        let fixed = |width: usize| Self::Fixed {
            width,
            bytes: data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width),
        };
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bits(array.as_boolean().values().clone()),
            DataType::Utf8 | DataType::Binary if data.is_empty() => {
                Self::Varying(Texts::new(Buffer::from_slice_ref([0i32]), Buffer::default(), rows)?)
            }
            DataType::Utf8 | DataType::Binary => {
                let ends = data.buffers()[0]
                    .slice_with_length(data.offset() * size_of::<i32>(), (data.len() + 1) * size_of::<i32>());
                Self::Varying(Texts::new(ends, data.buffers()[1].clone(), rows)?)
            }
            DataType::FixedSizeBinary(width) => fixed(*width as usize),
            other => match other.primitive_width() {
                Some(width) => fixed(width),
                None => return Err(Error::internal(format!("no frame carries {other}"))),
            },
        })
    }
}

impl Texts {
    fn new(ends: Buffer, bytes: Buffer, rows: Option<Rows>) -> Result<Self> {
        let all: &[i32] = ends.typed_data();
        // Of rows that are named twice, texts may be longer than in the batch.
        let mut end = 0u64;
        let mut written = Vec::with_capacity(all.len());
        match rows {
            None => written.extend(all.iter().map(|end| end - all[0])),
            Some(rows) => {
                written.push(0);
                written.extend(rows.iter().map(|row| {
                    // SAFETY: no row is beyond the batch, which has one end more.
                    let (start, next) = unsafe { (all.get_unchecked(row), all.get_unchecked(row + 1)) };
                    end += (next - start) as u64;
                    end as i32
                }));
            }
        }
        i32::try_from(end).map_err(|_| Error::new("54000", "the texts of a batch take more than 2 GB"))?;
        Ok(Self { written: Buffer::from_vec(written), ends, bytes })
    }

    fn total(&self) -> usize {
        self.written.typed_data::<i32>().last().map_or(0, |&end| end as usize)
    }

    /// `to`: of the size of all texts together.
    fn write(&self, to: &mut [u8], rows: Option<Rows>) {
        let (ends, bytes): (&[i32], &[u8]) = (self.ends.typed_data(), &self.bytes);
        let Some(rows) = rows else {
            return to.copy_from_slice(&bytes[ends[0] as usize..][..self.total()]);
        };
        let mut at = 0;
        for row in rows.iter() {
            // SAFETY: no row is beyond the batch, which has one end more.
            let (start, end) = unsafe { (*ends.get_unchecked(row) as usize, *ends.get_unchecked(row + 1) as usize) };
            let length = end - start;
            // What is too much is written over by the next text.
            if length <= LONG && start + LONG <= bytes.len() && at + LONG <= to.len() {
                // SAFETY: both sides have LONG bytes, and are not the same memory.
                unsafe {
                    let (from, to) = (bytes.as_ptr().add(start), to.as_mut_ptr().add(at));
                    match length <= SHORT {
                        true => to.copy_from_nonoverlapping(from, SHORT),
                        false => to.copy_from_nonoverlapping(from, LONG),
                    }
                }
            } else {
                to[at..at + length].copy_from_slice(&bytes[start..end]);
            }
            at += length;
        }
    }
}

fn gather_bits(bits: &BooleanBuffer, rows: Rows) -> BooleanBuffer {
    BooleanBuffer::collect_bool(rows.0.len(), |at| bits.value(rows.0[at] as usize))
}

fn gather_nulls(nulls: &NullBuffer, rows: Option<Rows>) -> NullBuffer {
    match rows {
        None => nulls.clone(),
        Some(rows) => NullBuffer::new(gather_bits(nulls.inner(), rows)),
    }
}

/// What of a frame is still to be written.
struct Room<'a>(&'a mut [u8]);

impl<'a> Room<'a> {
    fn take(&mut self, length: usize) -> &'a mut [u8] {
        let (taken, rest) = mem::take(&mut self.0).split_at_mut(length);
        self.0 = rest;
        taken
    }

    fn put(&mut self, bytes: &[u8]) {
        self.take(bytes.len()).copy_from_slice(bytes);
    }

    fn pad(&mut self, length: usize) {
        self.take(length).fill(0);
    }

    /// Room for a buffer, whose end is padded.
    fn buffer(&mut self, length: usize) -> &'a mut [u8] {
        let buffer = self.take(length);
        self.pad(length.next_multiple_of(ALIGNMENT) - length);
        buffer
    }

    fn append(&mut self, bytes: &[u8]) {
        self.buffer(bytes.len()).copy_from_slice(bytes);
    }

    /// Values of `W` bytes.
    fn gather<const W: usize>(&mut self, bytes: &[u8], rows: Rows) {
        let (from, to) = (bytes.as_chunks::<W>().0, self.buffer(W * rows.0.len()).as_chunks_mut::<W>().0);
        for (to, row) in to.iter_mut().zip(rows.iter()) {
            // SAFETY: no row is beyond the batch, which has a value for each.
            *to = unsafe { *from.get_unchecked(row) };
        }
    }

    fn gather_wide(&mut self, bytes: &[u8], width: usize, rows: Rows) {
        let to = self.buffer(width * rows.0.len());
        for (to, row) in to.chunks_exact_mut(width).zip(rows.iter()) {
            to.copy_from_slice(&bytes[row * width..][..width]);
        }
    }
}
