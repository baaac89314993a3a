//! Record batches in frames: their layout is that of Arrow's IPC format, without the schema, which stands in the plan.
//!
//! ```text
//!   body   │ metadata length (u64) │ metadata (flatbuffer), padded to 8 │ buffers, each padded to 64 │
//! ```
//! `encoder.rs` writes them; here they are read. A frame lies in memory that other processes write to, so everything in
//! it is checked before Arrow sees it.

use arrow::array::{ArrayData, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc;

use super::frames::{corrupted, u64_at};
use crate::error::Result;

/// Of the metadata's length, which comes first.
pub(super) const METADATA_LENGTH: usize = 8;

/// Bytes that each buffer is aligned to, and that a `MutableBuffer` is aligned to.
pub(super) const ALIGNMENT: usize = 64;

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
    let metadata = copied(metadata);
    let message = ipc::root_as_message(&metadata).map_err(|error| corrupted(error.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(|| corrupted("The message is not a batch."))?;
    read_batch(batch, schema, &copied(data))
}

/// In memory of its own, aligned.
fn copied(bytes: &[u8]) -> Buffer {
    let mut copy = MutableBuffer::new(bytes.len());
    copy.extend_from_slice(bytes);
    copy.into()
}

/// As Arrow's reader, which takes on trust that there are as many buffers as columns want, and as many values as rows;
/// and whose look at texts costs more than their way through a queue. Checked is `data`, a copy: what lies in the
/// queue other processes could change meanwhile.
fn read_batch(batch: ipc::RecordBatch<'_>, schema: &SchemaRef, data: &Buffer) -> Result<RecordBatch> {
    if batch.compression().is_some() {
        return Err(corrupted("The batch is compressed."));
    }
    let rows = usize::try_from(batch.length()).map_err(|_| corrupted("The row count is negative."))?;
    let nodes = batch.nodes().ok_or_else(|| corrupted("The batch has no columns."))?;
    let buffers = batch.buffers().ok_or_else(|| corrupted("The batch has no buffers."))?;
    if nodes.len() != schema.fields().len() {
        return Err(corrupted(format!("The batch has {} columns instead of {}.", nodes.len(), schema.fields().len())));
    }
    let mut buffers = buffers.iter();
    let mut next = || slice(data, buffers.next().ok_or_else(|| corrupted("A buffer is missing."))?);
    let mut columns = Vec::with_capacity(nodes.len());
    for (field, node) in schema.fields().iter().zip(nodes) {
        if node.length() != batch.length() {
            return Err(corrupted("A column's length does not fit."));
        }
        let validity = next()?;
        let nulls = match node.null_count() {
            0 => None,
            _ => Some(NullBuffer::new(BooleanBuffer::new(checked_length(validity, Some(rows.div_ceil(8)))?, 0, rows))),
        };
        if node.null_count() != nulls.as_ref().map_or(0, |nulls| nulls.null_count() as i64) {
            return Err(corrupted("A column has not as many NULLs as it says."));
        }
        columns.push(read_column(field.data_type(), rows, nulls, &mut next)?);
    }
    if buffers.next().is_some() {
        return Err(corrupted("There are too many buffers."));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options);
    batch.map_err(|error| corrupted(error.to_string()))
}

/// An array of the buffers that `next` gives, those after the validity.
fn read_column(
    data_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    mut next: impl FnMut() -> Result<Buffer>,
) -> Result<ArrayRef> {
    let builder = ArrayData::builder(data_type.clone()).len(rows).nulls(nulls);
    let values = next()?;
    let width = |width: Option<usize>| width.ok_or_else(|| corrupted(format!("No frame carries {data_type}.")));
    let builder = match data_type {
        DataType::Boolean => builder.add_buffer(checked_length(values, Some(rows.div_ceil(8)))?),
        DataType::Utf8 | DataType::Binary => {
            let texts = next()?;
            check_texts(&values, &texts, rows, data_type == &DataType::Utf8)?;
            builder.add_buffer(values).add_buffer(texts)
        }
        DataType::FixedSizeBinary(bytes) => {
            builder.add_buffer(checked_length(values, rows.checked_mul(width(usize::try_from(*bytes).ok())?))?)
        }
        other => builder.add_buffer(checked_length(values, rows.checked_mul(width(other.primitive_width())?))?),
    };
    // SAFETY: the buffers are those of the type, aligned (`slice`), each of `rows` values at least; offsets ascend
    // within the texts, which are UTF-8 where the type says so; the NULLs have been counted.
    Ok(make_array(unsafe { builder.build_unchecked() }))
}

/// The part of `data` that is `buffer`.
fn slice(data: &Buffer, buffer: &ipc::Buffer) -> Result<Buffer> {
    let offset = usize::try_from(buffer.offset()).map_err(|_| corrupted("A buffer's offset is negative."))?;
    let length = usize::try_from(buffer.length()).map_err(|_| corrupted("A buffer's length is negative."))?;
    // The writer aligns buffers; Arrow's typed views insist on it.
    if offset % ALIGNMENT != 0 {
        return Err(corrupted("A buffer is not aligned."));
    }
    if offset.checked_add(length).is_none_or(|end| end > data.len()) {
        return Err(corrupted("A buffer reaches past the end."));
    }
    Ok(data.slice_with_length(offset, length))
}

fn checked_length(buffer: Buffer, needed: Option<usize>) -> Result<Buffer> {
    match needed {
        Some(needed) if needed <= buffer.len() => Ok(buffer),
        _ => Err(corrupted("A buffer is too short.")),
    }
}

/// Texts begin where the ones before them end, and are whole characters, if characters they are.
fn check_texts(ends: &Buffer, texts: &Buffer, rows: usize, is_utf8: bool) -> Result<()> {
    // Arrow reads the whole buffer as offsets.
    if !ends.len().is_multiple_of(size_of::<i32>()) {
        return Err(corrupted("A buffer ends within an offset."));
    }
    let ends: &[i32] = ends.typed_data();
    if rows == 0 && ends.is_empty() {
        return Ok(());
    }
    let Some(ends @ [first, .., last] | ends @ [first @ last]) = ends.get(..=rows) else {
        return Err(corrupted("A buffer is too short."));
    };
    // All are looked at, whatever is found: so many are compared at once.
    let ascending = ends.windows(2).fold(true, |ascending, pair| ascending & (pair[0] <= pair[1]));
    let texts = match (usize::try_from(*first), usize::try_from(*last)) {
        (Ok(first), Ok(last)) if ascending => texts.get(first..last),
        _ => None,
    };
    let texts = texts.ok_or_else(|| corrupted("A text's offset does not fit."))?;
    if !is_utf8 || texts.is_ascii() {
        return Ok(());
    }
    let texts = str::from_utf8(texts).map_err(|error| corrupted(error.to_string()))?;
    match ends.iter().all(|end| texts.is_char_boundary((end - first) as usize)) {
        true => Ok(()),
        false => Err(corrupted("A text ends within a character.")),
    }
}
