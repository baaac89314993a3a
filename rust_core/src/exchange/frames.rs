//! The frames of the protocol, to bytes and back. One frame is one message of a queue.
//!
//! ```text
//!   0      1       4          8            16
//!   │ kind │ zeros │ stream   │ body length │ body …
//! ```
//! Little-endian. The segment is shared with other processes, so what comes out of it is input:
//! every length and offset is checked before it is used, and an error says what was wrong (XX001).

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use prost::Message;

use crate::error::{Error, Result, sqlstate};

const HEADER: usize = 16;

/// A batch's body: metadata length (u64), metadata padded to 8, buffers.
const METADATA_LENGTH: usize = 8;

/// Bytes that the writer aligns each buffer to, and that a `MutableBuffer` is aligned to.
const ALIGNMENT: usize = 64;

/// What participants say to each other.
#[derive(Debug)]
pub enum Frame<'a> {
    /// `filter`: the keys that this consumer can use (`key_filter.rs`), or empty.
    StartStream {
        stream: u32,
        filter: &'a [u8],
    },
    StopStream {
        stream: u32,
    },
    Batch {
        stream: u32,
        body: &'a [u8],
    },
    EndOfStream {
        stream: u32,
        rows: u64,
        bytes: u64,
    },
    Error {
        stream: u32,
        error: Error,
    },
    SessionEnd,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ErrorBody {
    #[prost(string, tag = "1")]
    sqlstate: String,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(string, optional, tag = "3")]
    detail: Option<String>,
    #[prost(string, optional, tag = "4")]
    hint: Option<String>,
    #[prost(string, optional, tag = "5")]
    context: Option<String>,
}

const START_STREAM: u8 = 1;
const STOP_STREAM: u8 = 2;
const BATCH: u8 = 3;
const END_OF_STREAM: u8 = 4;
const ERROR: u8 = 5;
const SESSION_END: u8 = 6;

pub(super) fn corrupted(what: impl Into<String>) -> Error {
    Error::new(sqlstate::DATA_CORRUPTED, "invalid JoinScan frame").with_detail(what)
}

fn header(kind: u8, stream: u32, body: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + body);
    bytes.extend_from_slice(&[kind, 0, 0, 0]);
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(&(body as u64).to_le_bytes());
    bytes
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    let end = at.checked_add(8).ok_or_else(|| corrupted("An offset overflows."))?;
    let slice = bytes.get(at..end).ok_or_else(|| corrupted("The frame is cut short."))?;
    Ok(u64::from_le_bytes(slice.try_into().map_err(|_| corrupted("The frame is cut short."))?))
}

impl<'a> Frame<'a> {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::StartStream { stream, filter } => {
                let mut bytes = header(START_STREAM, *stream, filter.len());
                bytes.extend_from_slice(filter);
                bytes
            }
            Self::StopStream { stream } => header(STOP_STREAM, *stream, 0),
            Self::SessionEnd => header(SESSION_END, 0, 0),
            Self::Batch { stream, body } => {
                let mut bytes = header(BATCH, *stream, body.len());
                bytes.extend_from_slice(body);
                bytes
            }
            Self::EndOfStream { stream, rows, bytes: sent } => {
                let mut bytes = header(END_OF_STREAM, *stream, 16);
                bytes.extend_from_slice(&rows.to_le_bytes());
                bytes.extend_from_slice(&sent.to_le_bytes());
                bytes
            }
            Self::Error { stream, error } => {
                let body = match error {
                    Error::Parked | Error::Cancelled => ErrorBody {
                        sqlstate: sqlstate::INTERNAL_ERROR.into(),
                        message: error.to_string(),
                        ..Default::default()
                    },
                    Error::Raised { sqlstate, message, detail, hint, context } => ErrorBody {
                        sqlstate: sqlstate.clone(),
                        message: message.clone(),
                        detail: detail.clone(),
                        hint: hint.clone(),
                        context: context.clone(),
                    },
                };
                let body = body.encode_to_vec();
                let mut bytes = header(ERROR, *stream, body.len());
                bytes.extend_from_slice(&body);
                bytes
            }
        }
    }

    /// XX001 for anything that `encode` does not make.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let length = u64_at(bytes, 8)?;
        let [kind, 0, 0, 0, s0, s1, s2, s3, ..] = *bytes else {
            return Err(corrupted("The header is damaged."));
        };
        let stream = u32::from_le_bytes([s0, s1, s2, s3]);
        let body = bytes.get(HEADER..).unwrap_or_default();
        if body.len() as u64 != length {
            return Err(corrupted(format!("The body has {} bytes instead of {length}.", body.len())));
        }
        match (kind, body.len()) {
            (START_STREAM, _) => Ok(Self::StartStream { stream, filter: body }),
            (STOP_STREAM, 0) => Ok(Self::StopStream { stream }),
            (SESSION_END, 0) if stream == 0 => Ok(Self::SessionEnd),
            (END_OF_STREAM, 16) => Ok(Self::EndOfStream { stream, rows: u64_at(body, 0)?, bytes: u64_at(body, 8)? }),
            (BATCH, _) => Ok(Self::Batch { stream, body }),
            (ERROR, _) => {
                let body = ErrorBody::decode(body).map_err(|error| corrupted(error.to_string()))?;
                let error = Error::Raised {
                    sqlstate: body.sqlstate,
                    message: body.message,
                    detail: body.detail,
                    hint: body.hint,
                    context: body.context,
                };
                Ok(Self::Error { stream, error })
            }
            (kind, length) => Err(corrupted(format!("There is no frame of kind {kind} with {length} bytes."))),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::StartStream { .. } => "StartStream",
            Self::StopStream { .. } => "StopStream",
            Self::Batch { .. } => "Batch",
            Self::EndOfStream { .. } => "EndOfStream",
            Self::Error { .. } => "Error",
            Self::SessionEnd => "SessionEnd",
        }
    }

    /// For the trace: name and stream.
    pub fn describe(&self) -> String {
        match self {
            Self::StartStream { stream, .. }
            | Self::StopStream { stream }
            | Self::Batch { stream, .. }
            | Self::EndOfStream { stream, .. }
            | Self::Error { stream, .. } => format!("stream {stream}: {}", self.name()),
            Self::SessionEnd => self.name().to_string(),
        }
    }
}

/// Batches to frames, with Arrow's IPC writer: the body only, since the schema stands in the plan.
#[derive(Default)]
pub struct BatchEncoder {
    generator: IpcDataGenerator,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl BatchEncoder {
    /// A whole frame.
    pub fn encode(&mut self, stream: u32, batch: &RecordBatch) -> Result<Vec<u8>> {
        let mut dictionaries = DictionaryTracker::new(false);
        let (_, encoded) = self.generator.encode(batch, &mut dictionaries, &self.options, &mut self.context)?;
        let padded = encoded.ipc_message.len().next_multiple_of(8);
        let mut bytes = header(BATCH, stream, METADATA_LENGTH + padded + encoded.arrow_data.len());
        bytes.extend_from_slice(&(encoded.ipc_message.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&encoded.ipc_message);
        bytes.resize(HEADER + METADATA_LENGTH + padded, 0);
        bytes.extend_from_slice(&encoded.arrow_data);
        Ok(bytes)
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
