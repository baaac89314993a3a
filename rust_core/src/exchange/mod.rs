//! Rows between participants: streams, their procedures, and the protocol that carries them.
//!
//! ```text
//!   producer p                                   consumer c
//!   DsmWriterExec (marker) ── StreamRegistry     DsmReaderExec::execute
//!                                 │                   │ first poll: StartStream ──▶ control queue p
//!   control_service ── trigger_stream                 │
//!        └─ producer_task: input.execute, Partitioner │
//!             ├─▶ data queue p→c  ── Batch … EndOfStream ─▶ merged
//!             └─▶ local channel p→p ─────────────────────▶ merged
//! ```
//!
//! Invariants:
//! * a procedure runs at most once in each participant, and only when a consumer has asked for it;
//! * every reader either asks (`StartStream`) and reads to the end, or says `StopStream`, so a
//!   producer never waits for a consumer that will not come;
//! * streams form a tree and each has queues of its own, so a full queue suspends one task and never
//!   closes a circle.

pub mod batch;
pub mod channel;
pub mod control;
pub mod encoder;
pub mod frames;
pub mod key_filter;
pub mod partition;
pub mod producer;
pub mod reader;
pub mod registry;
pub mod state;
pub mod writer;

pub use key_filter::{BuildKeysExec, key_hashes};
pub use partition::{CommonKeys, Treatment};
pub use reader::DsmReaderExec;
pub use registry::{Distribution, StreamKind, StreamRegistry, StreamSource};
pub use state::Exchange;
pub use writer::{DsmWriterExec, has_leaf};

#[cfg(test)]
mod frame_tests;
#[cfg(test)]
pub(crate) mod session_tests;
#[cfg(test)]
mod throughput;
