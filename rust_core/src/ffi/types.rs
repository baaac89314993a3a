//! The structs that C passes in and gets back, exported to `include/pgjs_core.h`.
//!
//! Ownership: what C passes is borrowed for the call; what Rust returns belongs to the object it
//! came from (`PgjsPlan`, `PgjsSession`) and lives until that is freed, or as said.

use std::ffi::{c_char, c_void};

use crate::host::TypeLayout;

/// Where a column of the plan comes from.
/// A heap scan.
pub const PGJS_COLUMN_SCAN: u32 = 0;
/// A leaf that PostgreSQL runs.
pub const PGJS_COLUMN_LEAF: u32 = 1;
/// An expression.
pub const PGJS_COLUMN_COMPUTED: u32 = 2;

/// One column of `custom_scan_tlist`: what the plan emits or computes with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgjsColumn {
    /// PGJS_COLUMN_*.
    pub source: u32,
    /// SCAN: scan number; LEAF: leaf number; COMPUTED: index in `exprs`.
    pub number: u32,
    /// SCAN: attribute number, LEAF: position in the leaf's row; from 1.
    pub attno: i32,
    pub typid: u32,
    pub typmod: i32,
    pub collation: u32,
    /// pg_type.typlen and typbyval.
    pub typlen: i16,
    pub typbyval: bool,
    /// The database's encoding is UTF8.
    pub utf8: bool,
}

impl PgjsColumn {
    pub fn layout(&self) -> TypeLayout {
        TypeLayout { len: self.typlen, byval: self.typbyval, utf8: self.utf8 }
    }
}

/// What a node of the join tree does.
pub const PGJS_TREE_SCAN: u32 = 0;
pub const PGJS_TREE_JOIN: u32 = 1;
pub const PGJS_TREE_LEAF: u32 = 2;
pub const PGJS_TREE_AGGREGATE: u32 = 3;
pub const PGJS_TREE_SORT: u32 = 4;
pub const PGJS_TREE_WINDOW: u32 = 5;
pub const PGJS_TREE_FILTER: u32 = 6;

/// Which rows a join gives, besides or instead of its matches.
pub const PGJS_JOIN_INNER: u32 = 0;
/// Build rows without a match too, with NULLs.
pub const PGJS_JOIN_BUILD_OUTER: u32 = 1;
/// Probe rows without a match too, with NULLs.
pub const PGJS_JOIN_PROBE_OUTER: u32 = 2;
/// Both.
pub const PGJS_JOIN_FULL: u32 = 3;
/// Build rows with a match, once.
pub const PGJS_JOIN_BUILD_SEMI: u32 = 4;
pub const PGJS_JOIN_PROBE_SEMI: u32 = 5;
/// Build rows without a match.
pub const PGJS_JOIN_BUILD_ANTI: u32 = 6;
pub const PGJS_JOIN_PROBE_ANTI: u32 = 7;

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
    /// SCAN: scan number; LEAF: leaf number.
    pub number: u32,
    /// JOIN: PGJS_JOIN_*.
    pub join_type: u32,
    /// JOIN: index of the child that is hashed.
    pub build: u32,
    /// JOIN: index of the child that probes; AGGREGATE, SORT, WINDOW, FILTER: of the input.
    pub probe: u32,
    /// JOIN: PGJS_EXCHANGE_* between the build child and here; ignored with one participant.
    pub build_exchange: u32,
    /// JOIN: PGJS_EXCHANGE_NONE or _HASH between the probe child and here; AGGREGATE: PGJS_EXCHANGE_NONE, _HASH or
    /// _GATHER between its two phases; SORT: _NONE or _GATHER before the last, FILTER before it;
    /// WINDOW: any of them before it.
    pub probe_exchange: u32,
    /// In `exprs`. JOIN: the equality clauses that are hashed; AGGREGATE: e = e for each grouping expression e; SORT:
    /// e < e, or e > e where it is descending; WINDOW: e = e for each expression of PARTITION BY.
    pub first_key: u32,
    pub nkeys: u32,
    /// JOIN: what else must hold for two rows to match, in `exprs`, in PostgreSQL's order of evaluation; WINDOW: of its
    /// ORDER BY, as a SORT's keys; FILTER: what PostgreSQL evaluates in the leader, in this order.
    pub first_condition: u32,
    pub nconditions: u32,
    /// Conditions on the node's rows, likewise.
    pub first_filter: u32,
    pub nfilters: u32,
    /// What is computed of the node's rows, in `exprs`; columns say which of them they are.
    pub first_result: u32,
    pub nresults: u32,
    /// AGGREGATE: the Aggrefs, in `exprs`.
    pub first_aggregate: u32,
    pub naggregates: u32,
    /// AGGREGATE: the GroupingFuncs, in `exprs`: which set a row is of, as a number.
    pub first_grouping: u32,
    pub ngroupings: u32,
    /// AGGREGATE: grouping sets, 0: one, of all keys. In `sets`: of each, which keys it has, from the lowest bit; then the
    /// value of each GroupingFunc.
    pub first_set: u32,
    pub nsets: u32,
    /// WINDOW: its functions, in `functions`.
    pub first_function: u32,
    pub nfunctions: u32,
    /// Estimated output bytes a row.
    pub width: u32,
    /// SORT: without `limit`, of the rows that are equal in so many of the first keys the first alone; with it, rows that
    /// are equal in them to the last one come too. 0: neither.
    pub cut_keys: u32,
    /// JOIN, with exchanges by hash: PGJS_STAYS_*, the side whose rows with a common key stay where they are, while the
    /// other side's go to all participants. Rows of either side with a NULL in a key then stay as well.
    pub stays: u32,
    /// JOIN: the common keys, in `exprs`: for each of them `nkeys` Consts, values of the keys' columns of the side that
    /// stays.
    pub first_common: u32,
    pub ncommon: u32,
    pub _reserved: u32,
    /// Estimated output rows, over all participants.
    pub rows: f64,
    /// SORT, WINDOW: a bit for each key of the order, from the lowest.
    pub nulls_first: u64,
    /// SORT: so many rows suffice; 0: all.
    pub limit: u64,
}

/// No keys are set apart.
pub const PGJS_STAYS_NONE: u32 = 0;
pub const PGJS_STAYS_BUILD: u32 = 1;
pub const PGJS_STAYS_PROBE: u32 = 2;

/// What a window function gives for a row.
pub const PGJS_WINDOW_ROW_NUMBER: u32 = 0;
pub const PGJS_WINDOW_RANK: u32 = 1;
pub const PGJS_WINDOW_DENSE_RANK: u32 = 2;
pub const PGJS_WINDOW_PERCENT_RANK: u32 = 3;
pub const PGJS_WINDOW_CUME_DIST: u32 = 4;
/// Of `number` buckets.
pub const PGJS_WINDOW_NTILE: u32 = 5;
/// The first expression `number` rows before; the second one where there is no such row.
pub const PGJS_WINDOW_LAG: u32 = 6;
/// The expression at row `number` of the frame, from 1.
pub const PGJS_WINDOW_NTH: u32 = 7;
/// The expression at the last row of the frame.
pub const PGJS_WINDOW_LAST: u32 = 8;
/// The expression is an Aggref.
pub const PGJS_WINDOW_AGGREGATE: u32 = 9;

/// Where a frame begins or ends: at the partition's begin or end; at the current row, or at its peers'; `offset` rows
/// after the current one, before it if less than 0.
pub const PGJS_BOUND_UNBOUNDED: u32 = 0;
pub const PGJS_BOUND_CURRENT: u32 = 1;
pub const PGJS_BOUND_OFFSET: u32 = 2;

/// One window function.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PgjsWindowFunction {
    /// PGJS_WINDOW_*.
    pub kind: u32,
    /// In `exprs`: what it is computed from, one at least (any, where it needs none). The column that it is names the first.
    pub first: u32,
    pub count: u32,
    /// The frame is of ROWS; else peers are in it together.
    pub rows: u32,
    /// PGJS_BOUND_*.
    pub start: u32,
    pub end: u32,
    pub start_offset: i64,
    pub end_offset: i64,
    pub number: i64,
}

/// Everything a physical plan is made from.
#[repr(C)]
pub struct PgjsPlanInput {
    pub tree: *const PgjsTreeNode,
    pub columns: *const PgjsColumn,
    /// `Node *` of each clause; Vars are (INDEX_VAR, position in `columns` from 1), Params are bound to Consts.
    pub exprs: *const *const c_void,
    /// The columns (from 0) that the clauses mention, one clause after another.
    pub mentioned: *const u32,
    /// Where in `mentioned` each clause begins, and where the last ends: nexprs + 1 of them.
    pub mentions: *const u32,
    /// Table name of each scan, for display.
    pub tables: *const *const c_char,
    /// Name of each leaf, for display.
    pub leaves: *const *const c_char,
    /// Numbers about grouping sets, see `PgjsTreeNode`.
    pub sets: *const u64,
    pub functions: *const PgjsWindowFunction,
    pub ntree: u32,
    pub ncolumns: u32,
    pub nexprs: u32,
    pub ntables: u32,
    /// The first `noutput` columns are what the plan emits, in this order.
    pub noutput: u32,
    /// Participants planned; with 1 the plan has no exchange.
    pub participants: u32,
    pub nleaves: u32,
    pub nsets: u32,
    pub nfunctions: u32,
    pub _reserved: u32,
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
    /// Index into the join tree that this operator stems from, or -1.
    pub tree_node: i32,
    /// stream_id of a Reader or Writer, or -1.
    pub stream: i32,
    /// PGJS_CLAUSES_*: what it evaluates.
    pub clauses: u32,
    /// FILTERS, JOIN: `count` clauses of `exprs` from `first` on; GROUPS, AGGREGATES: so many aggregates.
    pub first: u32,
    pub count: u32,
}

/// The operator evaluates nothing.
pub const PGJS_CLAUSES_NONE: u32 = 0;
/// Conditions on rows.
pub const PGJS_CLAUSES_FILTERS: u32 = 1;
/// The tree node's keys, and conditions on pairs of rows.
pub const PGJS_CLAUSES_JOIN: u32 = 2;
/// The operator distributes rows by the tree node's keys.
pub const PGJS_CLAUSES_KEYS: u32 = 3;
/// The tree node's results.
pub const PGJS_CLAUSES_RESULTS: u32 = 4;
/// The tree node's keys, which it groups by, and those aggregates that have a native form.
pub const PGJS_CLAUSES_GROUPS: u32 = 5;
/// The tree node's keys, which it sorts by.
pub const PGJS_CLAUSES_ORDER: u32 = 6;
/// The tree node's keys and order, which make its windows.
pub const PGJS_CLAUSES_WINDOW: u32 = 7;
/// Aggregates that PostgreSQL computes.
pub const PGJS_CLAUSES_AGGREGATES: u32 = 8;

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
    /// Rows that runtime filters have dropped, of a scan.
    pub without_partner: u64,
    /// Pages that an index has found for a runtime filter's keys, of a scan.
    pub looked_up: u64,
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
/// Work that only C may do: `pgjs_session_call` says what, `pgjs_session_answer` takes what came of it, then turn again.
pub const PGJS_TURN_CALL: PgjsTurn = 3;
/// All rows are out (leader), or the session has ended (worker, or leader after pgjs_session_end).
pub const PGJS_TURN_DONE: PgjsTurn = 4;
/// An error: parked in C, or in pgjs_session_error.
pub const PGJS_TURN_ERROR: PgjsTurn = 5;

/// Evaluate expressions over rows.
pub const PGJS_CALL_EVALUATE: u32 = 0;
/// Give rows of a leaf (leader only).
pub const PGJS_CALL_FETCH: u32 = 1;

/// Take rows into their groups, for aggregates that PostgreSQL computes.
pub const PGJS_CALL_ACCUMULATE: u32 = 2;
/// Give the aggregates of groups.
pub const PGJS_CALL_FINALIZE: u32 = 3;

/// In place of a plan column: the number of the row's group, an int8 from 0. Without it all rows are one group.
pub const PGJS_COLUMN_GROUP_NUMBER: u32 = 0xFFFF_FFFE;

/// What a participant wants of C. Lives until it is answered, or the session ends.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PgjsCall {
    /// All but FETCH: ncolumns pointers to nrows Datums each; by-reference ones lie in the session.
    pub values: *const *const u64,
    /// All but FETCH: ncolumns pointers to nrows null flags each.
    pub nulls: *const *const bool,
    /// EVALUATE, ACCUMULATE: the plan column (from 0) of each of ncolumns input columns, or PGJS_COLUMN_GROUP_NUMBER;
    /// FINALIZE: the latter, if anything; FETCH: the positions (from 1) in the
    /// leaf's row of the ncolumns columns that are wanted.
    pub columns: *const u32,
    /// EVALUATE: expressions of the plan that all must be true of a row for it to pass, in order; ACCUMULATE: the
    /// aggregates.
    pub conditions: *const u32,
    /// EVALUATE: expressions whose values are wanted of the rows that pass; FINALIZE: the aggregates, whose values are
    /// wanted of the groups, which come in the order of their numbers.
    pub results: *const u32,
    /// PGJS_CALL_*.
    pub kind: u32,
    /// EVALUATE: the number of the evaluation in the plan, below `pgjs_plan_calls`; ACCUMULATE and FINALIZE of the same
    /// groups share one; FETCH: the leaf.
    pub number: u32,
    pub nrows: u32,
    pub ncolumns: u32,
    pub nconditions: u32,
    pub nresults: u32,
}

impl Default for PgjsCall {
    fn default() -> Self {
        let none = std::ptr::null();
        Self {
            values: std::ptr::null(),
            nulls: std::ptr::null(),
            columns: none,
            conditions: none,
            results: none,
            kind: PGJS_CALL_EVALUATE,
            number: 0,
            nrows: 0,
            ncolumns: 0,
            nconditions: 0,
            nresults: 0,
        }
    }
}

/// What C has found; read during `pgjs_session_answer` alone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PgjsAnswer {
    /// ncolumns pointers to nrows Datums each; varlenas are neither compressed nor out of line.
    pub values: *const *const u64,
    pub nulls: *const *const bool,
    /// EVALUATE: which rows pass; NULL: all. The values of others are not looked at.
    pub passed: *const bool,
    pub nrows: u32,
    pub ncolumns: u32,
    /// FETCH: the leaf has no more rows.
    pub done: bool,
    pub _reserved: [u8; 7],
}

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
