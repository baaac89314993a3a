//! The structs that C passes in and gets back, exported to `include/pgjs_core.h`.
//!
//! Ownership: what C passes is borrowed for the call; what Rust returns belongs to the object it
//! came from (`PgjsPlan`, `PgjsSession`) and lives until that is freed, or as said.

use std::ffi::{c_char, c_void};

/// One column of `custom_scan_tlist`: a base column that the plan emits or computes with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgjsColumn {
    /// Scan number: the ordinal of its table within `custom_relids`.
    pub scan: u32,
    /// Attribute number, from 1.
    pub attno: i32,
    pub typid: u32,
    pub typmod: i32,
    pub collation: u32,
}

/// What a node of the join tree does.
pub const PGJS_TREE_SCAN: u32 = 0;
pub const PGJS_TREE_JOIN: u32 = 1;

/// How rows get from a child to its parent.
/// They stay in the participant that has them.
pub const PGJS_EXCHANGE_NONE: u32 = 0;
/// By the hash of the join keys.
pub const PGJS_EXCHANGE_HASH: u32 = 1;
/// To every participant.
pub const PGJS_EXCHANGE_BROADCAST: u32 = 2;
/// To the leader (only at the root).
pub const PGJS_EXCHANGE_GATHER: u32 = 3;

/// One node of the join tree that the planner chose. Children stand before their parent, the root is last.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PgjsTreeNode {
    /// PGJS_TREE_*.
    pub kind: u32,
    /// SCAN: scan number.
    pub scan: u32,
    /// JOIN: index of the child that is hashed.
    pub build: u32,
    /// JOIN: index of the child that probes.
    pub probe: u32,
    /// JOIN: PGJS_EXCHANGE_* between the build child and here; ignored with one participant.
    pub build_exchange: u32,
    /// JOIN: PGJS_EXCHANGE_NONE or _HASH between the probe child and here.
    pub probe_exchange: u32,
    /// JOIN: the equality clauses that are hashed, in `exprs`.
    pub first_key: u32,
    pub nkeys: u32,
    /// The remaining clauses, in `exprs`, in the order in which PostgreSQL would evaluate them.
    pub first_filter: u32,
    pub nfilters: u32,
    /// Estimated output rows, over all participants.
    pub rows: f64,
    /// Estimated output bytes a row.
    pub width: u32,
    pub _reserved: u32,
}

/// Everything a physical plan is made from.
#[repr(C)]
pub struct PgjsPlanInput {
    pub tree: *const PgjsTreeNode,
    pub columns: *const PgjsColumn,
    /// `Node *` of each clause; Vars are (INDEX_VAR, position in `columns` from 1), Params are bound to Consts.
    pub exprs: *const *const c_void,
    /// Table name of each scan, for display.
    pub tables: *const *const c_char,
    pub ntree: u32,
    pub ncolumns: u32,
    pub nexprs: u32,
    pub ntables: u32,
    /// The first `noutput` columns are what the plan emits, in this order.
    pub noutput: u32,
    /// Participants planned; with 1 the plan has no exchange.
    pub participants: u32,
    pub _reserved: [u32; 2],
}

/// One stream of a plan: stream_id is its index.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PgjsStream {
    /// PGJS_EXCHANGE_*.
    pub kind: u32,
    /// Estimated bytes a row.
    pub width: u32,
}

/// One operator of a plan, in pre-order, for EXPLAIN and its metrics.
#[repr(C)]
pub struct PgjsNode {
    /// NUL-terminated operator name, e.g. "Hash Join", "Heap Scan", "Reader".
    pub name: *const c_char,
    /// NUL-terminated extra text (the table name of a scan), or NULL.
    pub detail: *const c_char,
    /// 0 for the root.
    pub depth: u32,
    /// Index into the join tree whose clauses this operator evaluates, or -1.
    pub tree_node: i32,
    /// stream_id of a Reader or Writer, or -1.
    pub stream: i32,
    /// PGJS_CLAUSES_*: which of the tree node's clauses are this operator's.
    pub clauses: u32,
    pub _reserved: [u32; 2],
}

/// The operator evaluates none of its tree node's clauses.
pub const PGJS_CLAUSES_NONE: u32 = 0;
/// The operator evaluates the filters (of a scan).
pub const PGJS_CLAUSES_FILTERS: u32 = 1;
/// The operator evaluates the keys and filters (of a join).
pub const PGJS_CLAUSES_JOIN: u32 = 2;
/// The operator distributes rows by the keys (of a join).
pub const PGJS_CLAUSES_KEYS: u32 = 3;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PgjsSessionConfig {
    /// This process: 0 is the leader.
    pub participant: u32,
    /// Participants that take part, leader included.
    pub participants: u32,
    /// Participants that the queues are laid out for (>= participants): queue number =
    /// (channel * planned + from) * planned + to; channel 0 is control, stream s is channel s + 1.
    pub planned: u32,
    /// Rows a batch, at most.
    pub batch_size: u32,
    /// Memory budget of one hash table, bytes.
    pub hash_memory: u64,
    /// A turn ends about so many microseconds after it began.
    pub turn_us: u32,
    /// The leader produces rows too; always true with one participant.
    pub leader_participates: bool,
    /// Log frames and state changes.
    pub trace: bool,
    /// Keep metrics per operator.
    pub instrument: bool,
    pub _reserved1: u8,
    /// Leader only: what the emitted columns are in SQL; NULL in a worker.
    pub output: *const PgjsColumn,
    pub noutput: u32,
    pub _reserved2: u32,
    pub _reserved3: u64,
}

/// One batch of result rows, column-major. Lives until the next turn, end or free of its session
/// that produces another batch; by-reference Datums point into it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PgjsBatch {
    /// ncolumns pointers to nrows Datums each.
    pub values: *const *const u64,
    /// ncolumns pointers to nrows null flags each.
    pub nulls: *const *const bool,
    pub nrows: u32,
    pub ncolumns: u32,
    pub _reserved: u64,
}

/// What one operator did in one participant.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PgjsMetric {
    pub rows: u64,
    /// Nanoseconds of its own work.
    pub elapsed_ns: u64,
    /// Bytes at its peak, of an operator that keeps rows.
    pub memory: u64,
}

/// What one participant sent on one stream.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PgjsStreamMetric {
    pub rows: u64,
    /// Frame bytes that passed a queue (own rows pass none).
    pub bytes: u64,
}

/// What a turn came to.
pub type PgjsTurn = i32;
/// A batch is ready.
pub const PGJS_TURN_READY: PgjsTurn = 0;
/// Idle: wait on the latch, then turn again.
pub const PGJS_TURN_PENDING: PgjsTurn = 1;
/// The deadline has passed: serve interrupts, then turn again without waiting.
pub const PGJS_TURN_BUSY: PgjsTurn = 2;
/// Work that only C may do waits in the session. Reserved: no plan has such work yet, and C refuses it.
pub const PGJS_TURN_CALL: PgjsTurn = 3;
/// All rows are out (leader), or the session has ended (worker, or leader after pgjs_session_end).
pub const PGJS_TURN_DONE: PgjsTurn = 4;
/// An error: parked in C, or in pgjs_session_error.
pub const PGJS_TURN_ERROR: PgjsTurn = 5;

/// An error for ereport. The texts are NUL-terminated, NULL where there is none, and belong to the object it came from.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PgjsError {
    /// Five characters and a NUL; "\0" when the ERROR is parked in C.
    pub sqlstate: [c_char; 8],
    pub message: *const c_char,
    pub detail: *const c_char,
    pub hint: *const c_char,
    pub context: *const c_char,
    pub _reserved: u64,
}
