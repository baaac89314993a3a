//! The frames of the protocol, to bytes and back. One frame is one message of a queue. What is in a Batch frame:
//! `batch.rs`.
//!
//! ```text
//!   0      1       4          8            16
//!   │ kind │ zeros │ stream   │ body length │ body …
//! ```
//! Little-endian. The segment is shared with other processes, so what comes out of it is input:
//! every length and offset is checked before it is used, and an error says what was wrong (XX001).

use prost::Message;

use crate::error::{Error, Result, sqlstate};

pub(super) const HEADER: usize = 16;

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
pub(super) const BATCH: u8 = 3;
const END_OF_STREAM: u8 = 4;
const ERROR: u8 = 5;
const SESSION_END: u8 = 6;

pub(super) fn corrupted(what: impl Into<String>) -> Error {
    Error::new(sqlstate::DATA_CORRUPTED, "invalid JoinScan frame").with_detail(what)
}

/// Header of a frame with so many bytes after it.
pub(super) fn header(kind: u8, stream: u32, body: usize) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0] = kind;
    bytes[4..8].copy_from_slice(&stream.to_le_bytes());
    bytes[8..].copy_from_slice(&(body as u64).to_le_bytes());
    bytes
}

fn frame(kind: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    [&header(kind, stream, body.len()), body].concat()
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    let end = at.checked_add(8).ok_or_else(|| corrupted("An offset overflows."))?;
    let slice = bytes.get(at..end).ok_or_else(|| corrupted("The frame is cut short."))?;
    Ok(u64::from_le_bytes(slice.try_into().map_err(|_| corrupted("The frame is cut short."))?))
}

impl<'a> Frame<'a> {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::StartStream { stream, filter } => frame(START_STREAM, *stream, filter),
            Self::StopStream { stream } => frame(STOP_STREAM, *stream, &[]),
            Self::SessionEnd => frame(SESSION_END, 0, &[]),
            Self::Batch { stream, body } => frame(BATCH, *stream, body),
            Self::EndOfStream { stream, rows, bytes } => {
                frame(END_OF_STREAM, *stream, &[rows.to_le_bytes(), bytes.to_le_bytes()].concat())
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
                frame(ERROR, *stream, &body.encode_to_vec())
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
