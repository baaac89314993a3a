//! Record batches in frames: their layout is that of Arrow's IPC format, without the schema, which stands in the plan.
//!
//! ```text
//!   body   │ metadata length (u64) │ metadata (flatbuffer), padded to 8 │ buffers, each padded to 64 │
//! ```
//! Arrow's writer would want a batch of the rows that go, and gives pieces that are put together to a frame: two copies
//! of every value. So frames are written here, value by value from the batch that has the rows; they are read by Arrow.

use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::{self, FieldNode};
use flatbuffers::FlatBufferBuilder;

use super::frames::{batch_header, corrupted, u64_at};
use crate::error::{Error, Result};

/// Of the metadata's length, which comes first.
const METADATA_LENGTH: usize = 8;

/// Bytes that each buffer is aligned to, and that a `MutableBuffer` is aligned to.
const ALIGNMENT: usize = 64;

/// Bytes up to which a text is copied at once.
const SHORT: usize = 16;

/// Writes Batch frames; keeps what it writes metadata with.
#[derive(Default)]
pub struct BatchEncoder {
    metadata: FlatBufferBuilder<'static>,
    nodes: Vec<FieldNode>,
    buffers: Vec<ipc::Buffer>,
}

impl BatchEncoder {
    /// A whole frame with the rows of `batch` that `rows` names, in that order; all of them when it is `None`.
    /// Errors: XX000 for a type that no frame carries; 54000 for texts of more than 2 GB together.
    pub fn encode(&mut self, stream: u32, batch: &RecordBatch, rows: Option<&[u32]>) -> Result<Vec<u8>> {
        let count = rows.map_or(batch.num_rows(), <[u32]>::len);
        let columns = batch.columns().iter().map(|array| Column::new(array, rows)).collect::<Result<Vec<_>>>()?;
        self.nodes.clear();
        self.buffers.clear();
        let mut length = 0;
        for column in &columns {
            self.nodes.push(FieldNode::new(count as i64, column.null_count as i64));
            for size in column.sizes(count)?.into_iter().flatten() {
                self.buffers.push(ipc::Buffer::new(length as i64, size as i64));
                length += size.next_multiple_of(ALIGNMENT);
            }
        }
        let metadata = self.write_metadata(count, length);
        let padded = metadata.len().next_multiple_of(8);
        let mut frame = batch_header(stream, METADATA_LENGTH + padded + length);
        frame.extend_from_slice(&(metadata.len() as u64).to_le_bytes());
        frame.extend_from_slice(metadata);
        let mut data = Data { start: frame.len() + padded - metadata.len(), frame };
        data.pad_to(0);
        for column in &columns {
            column.write(&mut data, rows);
        }
        Ok(data.frame)
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

/// A column of which rows are written.
struct Column {
    /// Of the rows that are written; `None` where none of them is NULL.
    validity: Option<Buffer>,
    null_count: usize,
    values: Values,
    /// Of the written rows' texts together.
    text_bytes: usize,
}

/// Values of all rows of a batch.
enum Values {
    Bits(BooleanBuffer),
    Fixed {
        width: usize,
        bytes: Buffer,
    },
    /// Of each row, where its bytes begin; and where the last ones end.
    Varying {
        ends: Buffer,
        bytes: Buffer,
    },
}

impl Column {
    fn new(array: &dyn Array, rows: Option<&[u32]>) -> Result<Self> {
        let values = Values::of(array)?;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| gather_nulls(nulls, rows));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        Ok(Self {
            null_count: nulls.as_ref().map_or(0, NullBuffer::null_count),
            validity: nulls.map(|nulls| nulls.inner().sliced()),
            text_bytes: values.text_bytes(array.len(), rows),
            values,
        })
    }

    /// Bytes of its buffers: validity, values or offsets, texts.
    fn sizes(&self, count: usize) -> Result<[Option<usize>; 3]> {
        let validity = self.validity.as_ref().map_or(0, |_| count.div_ceil(8));
        let too_long = || Error::new("54000", "the texts of a batch take more than 2 GB");
        Ok(match &self.values {
            Values::Bits(_) => [Some(validity), Some(count.div_ceil(8)), None],
            Values::Fixed { width, .. } => [Some(validity), Some(count * width), None],
            Values::Varying { .. } => {
                i32::try_from(self.text_bytes).map_err(|_| too_long())?;
                [Some(validity), Some((count + 1) * size_of::<i32>()), Some(self.text_bytes)]
            }
        })
    }

    /// Writes its buffers.
    fn write(&self, data: &mut Data, rows: Option<&[u32]>) {
        if let Some(validity) = &self.validity {
            data.append(validity);
        }
        match (&self.values, rows) {
            (Values::Bits(bits), None) => data.append(&bits.sliced()),
            (Values::Bits(bits), Some(rows)) => data.append(gather_bits(bits, rows).inner()),
            (Values::Fixed { bytes, .. }, None) => data.append(bytes),
            (Values::Fixed { width, bytes }, Some(rows)) => match width {
                1 => data.gather::<1>(bytes, rows),
                2 => data.gather::<2>(bytes, rows),
                4 => data.gather::<4>(bytes, rows),
                8 => data.gather::<8>(bytes, rows),
                16 => data.gather::<16>(bytes, rows),
                32 => data.gather::<32>(bytes, rows),
                _ => data.gather_wide(bytes, *width, rows),
            },
            (Values::Varying { ends, bytes }, rows) => data.texts(ends.typed_data(), bytes, self.text_bytes, rows),
        }
    }
}

impl Values {
    fn of(array: &dyn Array) -> Result<Self> {
        let data = array.to_data();
        let fixed = |width: usize| Self::Fixed {
            width,
            bytes: data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width),
        };
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bits(array.as_boolean().values().clone()),
            DataType::Utf8 | DataType::Binary if data.is_empty() => {
                Self::Varying { ends: Buffer::from_slice_ref([0i32]), bytes: Buffer::default() }
            }
            DataType::Utf8 | DataType::Binary => Self::Varying {
                ends: data.buffers()[0]
                    .slice_with_length(data.offset() * size_of::<i32>(), (data.len() + 1) * size_of::<i32>()),
                bytes: data.buffers()[1].clone(),
            },
            DataType::FixedSizeBinary(width) => fixed(*width as usize),
            other => match other.primitive_width() {
                Some(width) => fixed(width),
                None => return Err(Error::internal(format!("no frame carries {other}"))),
            },
        })
    }

    fn text_bytes(&self, count: usize, rows: Option<&[u32]>) -> usize {
        let Self::Varying { ends, .. } = self else { return 0 };
        let ends: &[i32] = ends.typed_data();
        match rows {
            None => (ends[count] - ends[0]) as usize,
            Some(rows) => rows.iter().map(|&row| (ends[row as usize + 1] - ends[row as usize]) as usize).sum(),
        }
    }
}

fn gather_bits(bits: &BooleanBuffer, rows: &[u32]) -> BooleanBuffer {
    BooleanBuffer::collect_bool(rows.len(), |at| bits.value(rows[at] as usize))
}

fn gather_nulls(nulls: &NullBuffer, rows: Option<&[u32]>) -> NullBuffer {
    match rows {
        None => nulls.clone(),
        Some(rows) => NullBuffer::new(gather_bits(nulls.inner(), rows)),
    }
}

/// The part of a frame where the buffers lie.
struct Data {
    frame: Vec<u8>,
    start: usize,
}

impl Data {
    /// Zeros, until the frame has `length` bytes of data.
    fn pad_to(&mut self, length: usize) {
        self.frame.resize(self.start + length, 0);
    }

    /// A buffer's end.
    fn pad(&mut self) {
        self.pad_to((self.frame.len() - self.start).next_multiple_of(ALIGNMENT));
    }

    fn append(&mut self, bytes: &[u8]) {
        self.frame.extend_from_slice(bytes);
        self.pad();
    }

    /// Values of `W` bytes.
    fn gather<const W: usize>(&mut self, bytes: &[u8], rows: &[u32]) {
        let begin = self.frame.len();
        self.frame.resize(begin + W * rows.len(), 0);
        let (from, to) = (bytes.as_chunks::<W>().0, self.frame[begin..].as_chunks_mut::<W>().0);
        for (to, &row) in to.iter_mut().zip(rows) {
            *to = from[row as usize];
        }
        self.pad();
    }

    fn gather_wide(&mut self, bytes: &[u8], width: usize, rows: &[u32]) {
        for &row in rows {
            self.frame.extend_from_slice(&bytes[row as usize * width..][..width]);
        }
        self.pad();
    }

    /// The offsets of texts, from 0, and the texts, which take `total` bytes.
    fn texts(&mut self, ends: &[i32], bytes: &[u8], total: usize, rows: Option<&[u32]>) {
        let Some(rows) = rows else {
            let first = ends[0];
            self.frame.extend(ends.iter().flat_map(|end| (end - first).to_le_bytes()));
            self.pad();
            return self.append(&bytes[first as usize..][..total]);
        };
        let ends_of = |row: u32| ends[row as usize]..ends[row as usize + 1];
        let begin = self.frame.len();
        self.frame.resize(begin + (rows.len() + 1) * size_of::<i32>(), 0);
        let mut end = 0;
        for (to, &row) in self.frame[begin..].as_chunks_mut().0[1..].iter_mut().zip(rows) {
            end += ends_of(row).len() as i32;
            *to = end.to_le_bytes();
        }
        self.pad();
        let begin = self.frame.len();
        self.frame.resize(begin + total, 0);
        let mut room = &mut self.frame[begin..];
        for &row in rows {
            let Range { start, end } = ends_of(row);
            let (start, length) = (start as usize, (end - start) as usize);
            // A copy of known length is one move: what is too much is written over by the next text.
            match (room.first_chunk_mut(), bytes[start..].first_chunk::<SHORT>()) {
                (Some(to), Some(from)) if length <= SHORT => *to = *from,
                _ => room[..length].copy_from_slice(&bytes[start..][..length]),
            }
            room = &mut room[length..];
        }
        self.pad();
    }
}

/// The batch in a Batch frame's body. Its buffers are copied once, to an aligned buffer of their own,
/// and sliced from there. XX001 if the body does not hold a batch of `schema`.
pub fn decode_batch(body: &[u8], schema: &SchemaRef) -> Result<RecordBatch> {
    let length = usize::try_from(u64_at(body, 0)?).map_err(|_| corrupted("The metadata is too long."))?;
    let metadata = length
        .checked_add(METADATA_LENGTH)
        .and_then(|end| body.get(METADATA_LENGTH..end))
        .ok_or_else(|| corrupted("The metadata is cut short."))?;
    let data_at = METADATA_LENGTH + length.next_multiple_of(8);
    let data = body.get(data_at..).ok_or_else(|| corrupted("The buffers are cut short."))?;
    // The flatbuffers verifier wants its input aligned; a message in a queue is, but not by contract.
    let mut aligned = MutableBuffer::new(length);
    aligned.extend_from_slice(metadata);
    let message = arrow::ipc::root_as_message(&aligned).map_err(|error| corrupted(error.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(|| corrupted("The message is not a batch."))?;
    check_batch(&batch, schema, data.len())?;
    let mut buffer = MutableBuffer::new(data.len());
    buffer.extend_from_slice(data);
    let decoded = read_record_batch(
        &Buffer::from(buffer),
        batch,
        SchemaRef::clone(schema),
        &Default::default(),
        None,
        &message.version(),
    );
    decoded.map_err(|error| corrupted(error.to_string()))
}

/// Everything that Arrow's reader takes on trust.
fn check_batch(batch: &arrow::ipc::RecordBatch<'_>, schema: &SchemaRef, data: usize) -> Result<()> {
    if batch.compression().is_some() {
        return Err(corrupted("The batch is compressed."));
    }
    let rows = usize::try_from(batch.length()).map_err(|_| corrupted("The row count is negative."))?;
    let nodes = batch.nodes().ok_or_else(|| corrupted("The batch has no columns."))?;
    let buffers = batch.buffers().ok_or_else(|| corrupted("The batch has no buffers."))?;
    if nodes.len() != schema.fields().len() {
        return Err(corrupted(format!("The batch has {} columns instead of {}.", nodes.len(), schema.fields().len())));
    }
    for node in nodes {
        if node.length() != batch.length() || node.null_count() < 0 || node.null_count() > node.length() {
            return Err(corrupted("A column's length does not fit."));
        }
    }
    let mut lengths = Vec::with_capacity(buffers.len());
    for buffer in buffers {
        let offset = usize::try_from(buffer.offset()).map_err(|_| corrupted("A buffer's offset is negative."))?;
        let length = usize::try_from(buffer.length()).map_err(|_| corrupted("A buffer's length is negative."))?;
        // The writer aligns buffers; Arrow's typed views insist on it.
        if offset % ALIGNMENT != 0 {
            return Err(corrupted("A buffer is not aligned."));
        }
        if offset.checked_add(length).is_none_or(|end| end > data) {
            return Err(corrupted("A buffer reaches past the end."));
        }
        lengths.push(length);
    }
    let mut lengths = lengths.into_iter();
    let mut next = || lengths.next().ok_or_else(|| corrupted("A buffer is missing."));
    let too_short = || corrupted("A buffer is too short.");
    for (field, node) in schema.fields().iter().zip(nodes) {
        let validity = next()?;
        if node.null_count() > 0 && validity < rows.div_ceil(8) {
            return Err(too_short());
        }
        let values = next()?;
        let needed = match field.data_type() {
            DataType::Boolean => rows.div_ceil(8),
            DataType::Utf8 | DataType::Binary => {
                next()?;
                // Arrow reads the whole buffer as offsets.
                if values % size_of::<i32>() != 0 {
                    return Err(corrupted("A buffer ends within an offset."));
                }
                if rows == 0 { 0 } else { rows.checked_add(1).and_then(|n| n.checked_mul(4)).ok_or_else(too_short)? }
            }
            DataType::FixedSizeBinary(width) => {
                usize::try_from(*width).ok().and_then(|width| rows.checked_mul(width)).ok_or_else(too_short)?
            }
            other => {
                let width = other.primitive_width().ok_or_else(|| corrupted(format!("No frame carries {other}.")))?;
                rows.checked_mul(width).ok_or_else(too_short)?
            }
        };
        if values < needed {
            return Err(too_short());
        }
    }
    match lengths.next() {
        None => Ok(()),
        Some(_) => Err(corrupted("There are too many buffers.")),
    }
}
