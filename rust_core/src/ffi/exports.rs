//! Every function that C calls. Each body runs in [`guard`], so no panic leaves it.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::errors::ErrorTexts;
use arrow::array::BooleanArray;

use super::host::{HostTable, PgjsHost, slice};
use super::input;
use super::types::*;
use crate::codec::JoinScanCodec;
use crate::emit::Emitter;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ingest::ingest;
use crate::metrics::{self, OperatorMetrics};
use crate::parallel::{Participant, Settings, Turn};
use crate::plan::expressions::{AnyColumns, TranslateError, Translator, key};
use crate::plan::translate::{Clauses, Translated, translate};
use crate::plan::types::{Decline, TypeLayout, arrow_type};
use crate::postgres::{Answer, EvaluationKind, Request};
use crate::session::Topology;

/// A plan: its bytes, its operators and streams. Made in the leader, freed by `pgjs_plan_free`.
pub struct PgjsPlan {
    bytes: Vec<u8>,
    streams: Vec<PgjsStream>,
    operators: Vec<PgjsNode>,
    calls: u32,
    /// What `operators` point into.
    _texts: Vec<CString>,
}

/// One execution in one participant. Freed by `pgjs_session_free`.
pub struct PgjsSession {
    participant: Participant,
    /// Leader only.
    emitter: Option<Emitter>,
    /// Input rows of calls as Datums, by number of the evaluation.
    call_emitters: HashMap<(EvaluationKind, u32), Emitter>,
    /// The call that C is at, and its input.
    call: Option<(Request, Option<PgjsBatch>)>,
    error: ErrorTexts,
}

/// `pgjs_expr_check` and its kin: the plan can hold it.
pub const PGJS_CHECK_OK: i32 = 1;
/// It can, and evaluating it may raise an ERROR (`pgjs_expr_check` alone says so).
pub const PGJS_CHECK_RAISES: i32 = 2;
/// It cannot; the reason is in the buffer.
pub const PGJS_CHECK_UNSUPPORTED: i32 = 0;
/// An ERROR is parked in C.
pub const PGJS_CHECK_ERROR: i32 = -1;

/// Runs the body of an export: a panic becomes an error.
fn guard<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::panic::keep_place();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(crate::panic::to_error(panic)))
}

/// Gives what was made to C, or the error: only the one of them is written.
///
/// # Safety
/// Both places can be written.
unsafe fn hand_over<T>(made: Result<T>, object: *mut *mut T, error: *mut PgjsError) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        match made {
            Ok(made) => {
                *object = Box::into_raw(Box::new(made));
                true
            }
            Err(failure) => {
                *error = ErrorTexts::keep_for_thread(&failure);
                false
            }
        }
    }
}

/// Writes `text` and a NUL, cut to what fits.
///
/// # Safety
/// `buffer` has `len` bytes.
unsafe fn write_text(text: &str, buffer: *mut c_char, len: usize) {
    let Some(room) = len.checked_sub(1) else { return };
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // SAFETY: end + 1 bytes fit, the caller's promise.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, end);
        *buffer.add(end) = 0;
    }
}

/// The answer of a check: its number, and the reason in the caller's buffer.
///
/// # Safety
/// `reason` has `reason_len` bytes.
unsafe fn answer(outcome: Result<Result<(), Decline>>, reason: *mut c_char, reason_len: usize) -> i32 {
    let text = match outcome {
        Ok(Ok(())) => return PGJS_CHECK_OK,
        Err(Error::Parked) => return PGJS_CHECK_ERROR,
        Ok(Err(Decline(text))) => text,
        Err(error) => error.to_string(),
    };
    // SAFETY: the caller's promise.
    unsafe { write_text(&text, reason, reason_len) };
    PGJS_CHECK_UNSUPPORTED
}

fn decline<T>(outcome: Result<T, TranslateError>) -> Result<Result<(), Decline>> {
    match outcome {
        Ok(_) => Ok(Ok(())),
        Err(TranslateError::Decline(reason)) => Ok(Err(reason)),
        Err(TranslateError::Error(error)) => Err(error),
    }
}

/// Can the plan evaluate the boolean expression `expr` (a `Node *` with base Vars or INDEX_VARs)?
/// `reason` gets a NUL-terminated text of at most `reason_len` bytes when it cannot.
///
/// # Safety
/// `host` and `expr` are valid for the call; `reason` has `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_expr_check(
    host: *const PgjsHost,
    expr: *const c_void,
    reason: *mut c_char,
    reason_len: usize,
) -> i32 {
    // SAFETY: the caller's promises, as all over this file.
    unsafe {
        let outcome = guard(|| {
            let host = HostTable::new(*host);
            let columns = AnyColumns { host: &host };
            let predicate = Translator::new(&host, &columns).predicate(expr.cast());
            Ok((matches!(predicate, Ok((_, true))), decline(predicate)?))
        });
        match outcome {
            Ok((true, Ok(()))) => PGJS_CHECK_RAISES,
            outcome => answer(outcome.map(|(_, outcome)| outcome), reason, reason_len),
        }
    }
}

/// Can `clause`, an OpExpr with an operand from each side, be a hashed join key?
///
/// # Safety
/// As `pgjs_expr_check`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_key_check(
    host: *const PgjsHost,
    clause: *const c_void,
    reason: *mut c_char,
    reason_len: usize,
) -> i32 {
    // SAFETY: the caller's promises.
    unsafe {
        let outcome = guard(|| {
            let host = HostTable::new(*host);
            let columns = AnyColumns { host: &host };
            decline(key(&host, clause.cast(), &columns, &columns))
        });
        answer(outcome, reason, reason_len)
    }
}

/// Can the plan group rows by `clause`, an OpExpr e = e?
///
/// # Safety
/// As `pgjs_expr_check`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_group_key_check(
    host: *const PgjsHost,
    clause: *const c_void,
    reason: *mut c_char,
    reason_len: usize,
) -> i32 {
    // SAFETY: the caller's promises.
    unsafe { check(host, reason, reason_len, |translator| translator.group_key(clause.cast()).map(|_| ())) }
}

/// Can the plan sort rows by `clause`, an OpExpr e < e or e > e?
///
/// # Safety
/// As `pgjs_expr_check`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_sort_key_check(
    host: *const PgjsHost,
    clause: *const c_void,
    reason: *mut c_char,
    reason_len: usize,
) -> i32 {
    // SAFETY: the caller's promises.
    unsafe { check(host, reason, reason_len, |translator| translator.sort_key(clause.cast()).map(|_| ())) }
}

/// Can the plan compute `aggregate`, an Aggref?
///
/// # Safety
/// As `pgjs_expr_check`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_aggregate_check(
    host: *const PgjsHost,
    aggregate: *const c_void,
    reason: *mut c_char,
    reason_len: usize,
) -> i32 {
    // SAFETY: the caller's promises.
    unsafe { check(host, reason, reason_len, |translator| translator.aggregate(aggregate.cast()).map(|_| ())) }
}

/// Asks a translator that knows every column.
///
/// # Safety
/// As `pgjs_expr_check`.
unsafe fn check(
    host: *const PgjsHost,
    reason: *mut c_char,
    reason_len: usize,
    ask: impl FnOnce(&Translator<'_>) -> Result<(), TranslateError>,
) -> i32 {
    // SAFETY: the caller's promises.
    unsafe {
        let outcome = guard(|| {
            let host = HostTable::new(*host);
            let columns = AnyColumns { host: &host };
            decline(ask(&Translator::new(&host, &columns)))
        });
        answer(outcome, reason, reason_len)
    }
}

/// Can the plan carry a column of this type? `typlen` and `typbyval` are pg_type's; `utf8`: the database's
/// encoding is UTF8.
///
/// # Safety
/// `reason` has `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_type_check(
    typid: u32,
    typmod: i32,
    typlen: i16,
    typbyval: bool,
    utf8: bool,
    reason: *mut c_char,
    reason_len: usize,
) -> i32 {
    let layout = TypeLayout { len: typlen, byval: typbyval, utf8 };
    // SAFETY: the caller's promise.
    unsafe { answer(guard(|| Ok(arrow_type(typid.into(), typmod, layout).map(|_| ()))), reason, reason_len) }
}

/// Translates a join tree into a physical plan and encodes it. On success `*plan` is written and
/// true returned; on failure `*error` is written (texts live until the next failing call of this
/// thread) and `*plan` is not touched.
///
/// # Safety
/// `host` and all of `input` are valid for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_plan_new(
    host: *const PgjsHost,
    input: *const PgjsPlanInput,
    plan: *mut *mut PgjsPlan,
    error: *mut PgjsError,
) -> bool {
    let made = guard(|| {
        // SAFETY: the caller's promises.
        let host = unsafe { HostTable::new(*host) };
        let host: &dyn Host = &host;
        // SAFETY: as above.
        let translated = unsafe { translate(&input::tree(host, &*input)?) }?;
        PgjsPlan::new(translated)
    });
    // SAFETY: the caller's promise.
    unsafe { hand_over(made, plan, error) }
}

impl PgjsPlan {
    fn new(translated: Translated) -> Result<Self> {
        let bytes = JoinScanCodec::default().encode(translated.plan)?;
        let mut texts = Vec::new();
        let mut text = |text: &str| {
            let owned = CString::new(text.replace('\0', " ")).unwrap_or_default();
            let pointer = owned.as_ptr();
            texts.push(owned); // moves the CString, not its bytes
            pointer
        };
        let operators = translated
            .operators
            .iter()
            .map(|operator| PgjsNode {
                name: text(operator.name),
                detail: operator.detail.as_deref().map_or(std::ptr::null(), &mut text),
                depth: operator.depth,
                tree_node: operator.tree_node.map_or(-1, |node| node as i32),
                stream: operator.stream.map_or(-1, |stream| stream as i32),
                clauses: match operator.clauses {
                    Clauses::None => PGJS_CLAUSES_NONE,
                    Clauses::Filters { .. } => PGJS_CLAUSES_FILTERS,
                    Clauses::Join { .. } => PGJS_CLAUSES_JOIN,
                    Clauses::Keys => PGJS_CLAUSES_KEYS,
                    Clauses::Results => PGJS_CLAUSES_RESULTS,
                    Clauses::Groups { .. } => PGJS_CLAUSES_GROUPS,
                    Clauses::Aggregates { .. } => PGJS_CLAUSES_AGGREGATES,
                    Clauses::Order => PGJS_CLAUSES_ORDER,
                    Clauses::Window => PGJS_CLAUSES_WINDOW,
                },
                first: operator.clauses.range().start as u32,
                count: operator.clauses.range().len() as u32,
            })
            .collect();
        let streams = translated
            .streams
            .iter()
            .map(|stream| PgjsStream { kind: input::exchange_number(stream.kind), width: stream.width })
            .collect();
        Ok(Self { bytes, streams, operators, calls: translated.calls, _texts: texts })
    }
}

/// The encoded plan; owned by `plan`.
///
/// # Safety
/// `plan` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_plan_bytes(plan: *const PgjsPlan, len: *mut usize) -> *const u8 {
    // SAFETY: the caller's promise.
    let plan = unsafe { &*plan };
    // SAFETY: as above.
    unsafe { *len = plan.bytes.len() };
    plan.bytes.as_ptr()
}

/// The streams of the plan, stream_id 0 first; owned by `plan`.
///
/// # Safety
/// `plan` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_plan_streams(plan: *const PgjsPlan, count: *mut u32) -> *const PgjsStream {
    // SAFETY: the caller's promise.
    let plan = unsafe { &*plan };
    // SAFETY: as above.
    unsafe { *count = plan.streams.len() as u32 };
    plan.streams.as_ptr()
}

/// The operators of the plan in pre-order; owned by `plan`.
///
/// # Safety
/// `plan` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_plan_nodes(plan: *const PgjsPlan, count: *mut u32) -> *const PgjsNode {
    // SAFETY: the caller's promise.
    let plan = unsafe { &*plan };
    // SAFETY: as above.
    unsafe { *count = plan.operators.len() as u32 };
    plan.operators.as_ptr()
}

/// How many evaluations of the plan PostgreSQL does; with some, every participant needs the expressions.
///
/// # Safety
/// `plan` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_plan_calls(plan: *const PgjsPlan) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { &*plan }.calls
}

/// Frees a plan; NULL is fine. Calls nothing in C.
///
/// # Safety
/// `plan` came from `pgjs_plan_new` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_plan_free(plan: *mut PgjsPlan) {
    if !plan.is_null() {
        // SAFETY: the caller's promise. What a panic in a destructor would say concerns nobody any more.
        let _ = guard(|| {
            drop(unsafe { Box::from_raw(plan) });
            Ok(())
        });
    }
}

/// Decodes a plan and registers its procedures: one session in this participant. On failure as `pgjs_plan_new`.
///
/// # Safety
/// `host` (copied) is callable until the session is freed; `bytes` and `config` are read during the call alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_new(
    host: *const PgjsHost,
    config: *const PgjsSessionConfig,
    bytes: *const u8,
    len: usize,
    session: *mut *mut PgjsSession,
    error: *mut PgjsError,
) -> bool {
    let made = guard(|| {
        // SAFETY: the caller's promises.
        let (host, config, bytes) =
            unsafe { (HostTable::new(*host), &*config, std::slice::from_raw_parts(bytes, len)) };
        let settings = Settings {
            topology: Topology {
                participant: config.participant,
                participants: config.participants,
                planned: config.planned,
                leader_participates: config.leader_participates || config.participants == 1,
            },
            batch_size: config.batch_size as usize,
            hash_memory: usize::try_from(config.hash_memory).unwrap_or(usize::MAX),
            turn_length: Duration::from_micros(config.turn_us.into()),
            trace: config.trace,
        };
        let participant = Participant::new(Arc::new(host), settings, bytes)?;
        let emitter = (config.participant == 0).then(|| {
            let fields = participant.plan().schema();
            Emitter::new(fields.fields().iter().map(|field| field.data_type().clone()).collect())
        });
        Ok(PgjsSession {
            participant,
            emitter,
            call_emitters: HashMap::new(),
            call: None,
            error: ErrorTexts::default(),
        })
    });
    // SAFETY: the caller's promise.
    unsafe { hand_over(made, session, error) }
}

/// Runs the session for a bounded time. READY writes `*batch`. Not re-entrant.
///
/// # Safety
/// `session` is live, and no turn of it is on the stack.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_turn(session: *mut PgjsSession, batch: *mut PgjsBatch) -> PgjsTurn {
    // SAFETY: the caller's promise.
    let session = unsafe { &mut *session };
    let outcome = guard(|| match session.participant.turn() {
        Turn::Ready(rows) => {
            let emitter = session.emitter.as_mut().ok_or_else(|| Error::internal("a worker has no result"))?;
            let emitted = emitter.emit(rows)?;
            // SAFETY: the caller's promise.
            unsafe { *batch = emitted };
            Ok(PGJS_TURN_READY)
        }
        Turn::Pending => Ok(PGJS_TURN_PENDING),
        Turn::Busy => Ok(PGJS_TURN_BUSY),
        Turn::Call(request) => session.begin_call(request),
        Turn::Done => Ok(PGJS_TURN_DONE),
        Turn::Failed(error) => Err(error),
    });
    outcome.unwrap_or_else(|error| {
        session.error = ErrorTexts::new(&error);
        PGJS_TURN_ERROR
    })
}

impl PgjsSession {
    /// Makes a request ready for C.
    fn begin_call(&mut self, request: Request) -> Result<PgjsTurn> {
        let input = match &request {
            Request::Fetch { .. } => None,
            Request::Evaluate { evaluation, input } => {
                let types = || input.columns().iter().map(|column| column.data_type().clone()).collect();
                let emitter = self
                    .call_emitters
                    .entry((evaluation.kind, evaluation.call))
                    .or_insert_with(|| Emitter::new(types()));
                Some(emitter.emit(input.clone())?)
            }
        };
        self.call = Some((request, input));
        Ok(PGJS_TURN_CALL)
    }

    /// # Safety
    /// `answer` is valid.
    unsafe fn take_answer(&mut self, answer: &PgjsAnswer) -> Result<()> {
        let (request, _) = self.call.take().ok_or_else(|| Error::internal("an answer without a call"))?;
        let (types, rows) = match &request {
            Request::Evaluate { evaluation, input } => (&evaluation.types, input.num_rows()),
            Request::Fetch { fetch } => (&fetch.types, answer.nrows as usize),
        };
        if answer.ncolumns as usize != types.len() || answer.nrows as usize != rows {
            return Err(Error::internal("an answer has another shape than its call"));
        }
        // SAFETY: the caller's promise.
        let (columns, passed) = unsafe {
            let (values, nulls) = (slice(answer.values, types.len()), slice(answer.nulls, types.len()));
            let passed = if answer.passed.is_null() { None } else { Some(slice(answer.passed, rows)) };
            (ingest(types, values, nulls, rows)?, passed.map(|passed| BooleanArray::from(passed.to_vec())))
        };
        self.participant.answer(Ok(Answer { rows, columns, passed, done: answer.done }));
        Ok(())
    }
}

/// The call behind the last PGJS_TURN_CALL.
///
/// # Safety
/// `session` is live; `call` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_call(session: *const PgjsSession, call: *mut PgjsCall) {
    // SAFETY: the caller's promise.
    let session = unsafe { &*session };
    let (mut made, none) = (PgjsCall::default(), std::ptr::null());
    match &session.call {
        Some((Request::Evaluate { evaluation, .. }, input)) => {
            made.kind = match evaluation.kind {
                EvaluationKind::Rows => PGJS_CALL_EVALUATE,
                EvaluationKind::Accumulate => PGJS_CALL_ACCUMULATE,
                EvaluationKind::Finalize => PGJS_CALL_FINALIZE,
            };
            made.number = evaluation.call;
            (made.values, made.nulls) = input.map_or((none, std::ptr::null()), |input| (input.values, input.nulls));
            made.nrows = input.map_or(0, |input| input.nrows);
            (made.columns, made.ncolumns) = (evaluation.inputs.as_ptr(), evaluation.inputs.len() as u32);
            (made.conditions, made.nconditions) = (evaluation.conditions.as_ptr(), evaluation.conditions.len() as u32);
            (made.results, made.nresults) = (evaluation.results.as_ptr(), evaluation.results.len() as u32);
        }
        Some((Request::Fetch { fetch }, _)) => {
            made.kind = PGJS_CALL_FETCH;
            made.number = fetch.leaf;
            (made.columns, made.ncolumns) = (fetch.columns.as_ptr(), fetch.columns.len() as u32);
        }
        None => {}
    }
    // SAFETY: the caller's promise.
    unsafe { *call = made };
}

/// Gives the session what came of its call. False for an answer that cannot be taken in: the error is
/// `pgjs_session_error`'s then.
///
/// # Safety
/// `session` is live and has a call; all of `answer` is valid for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_answer(session: *mut PgjsSession, answer: *const PgjsAnswer) -> bool {
    // SAFETY: the caller's promise.
    let session = unsafe { &mut *session };
    // SAFETY: the caller's promise.
    let outcome = guard(|| unsafe { session.take_answer(&*answer) });
    match outcome {
        Ok(()) => true,
        Err(error) => {
            session.error = ErrorTexts::new(&error);
            false
        }
    }
}

/// A peer is gone without a word (a receive or send said DETACHED before its end): set by the
/// leader's session, for C to look for the cause. Reading clears it.
///
/// # Safety
/// `session` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_peer_lost(session: *mut PgjsSession) -> bool {
    // SAFETY: the caller's promise.
    unsafe { &*session }.participant.take_peer_lost()
}

/// The error behind the last PGJS_TURN_ERROR; texts live until the session is freed.
///
/// # Safety
/// `session` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_error(session: *const PgjsSession) -> PgjsError {
    // SAFETY: the caller's promise.
    unsafe { &*session }.error.as_c()
}

/// Begins the leader's end: drops the running tasks, sends SessionEnd. Turns then go on until
/// DONE (or ERROR), which says that all control frames are out. The last batch stays valid.
///
/// # Safety
/// `session` is live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_end(session: *mut PgjsSession) {
    // SAFETY: the caller's promise.
    let session = unsafe { &mut *session };
    // A panic in a destructor: the turns that follow say that the session has failed.
    let _ = guard(|| {
        session.participant.end();
        Ok(())
    });
}

/// Copies what this participant's operators and streams did, in the order of `pgjs_plan_nodes` and `pgjs_plan_streams`.
///
/// # Safety
/// The arrays have room for `noperators` and `nstreams` entries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_metrics(
    session: *const PgjsSession,
    operators: *mut PgjsMetric,
    noperators: u32,
    streams: *mut PgjsStreamMetric,
    nstreams: u32,
) {
    // SAFETY: the caller's promise.
    let participant = &unsafe { &*session }.participant;
    let collected = guard(|| Ok((metrics::collect(participant.plan().as_ref()), participant.stream_counters())));
    let (operator_metrics, stream_metrics) = collected.unwrap_or_default();
    for (at, metric) in operator_metrics.into_iter().take(noperators as usize).enumerate() {
        let OperatorMetrics { rows, elapsed_ns, memory, without_partner, looked_up } = metric;
        let metric = PgjsMetric { rows, elapsed_ns, memory, without_partner, looked_up };
        // SAFETY: at < noperators.
        unsafe { operators.add(at).write(metric) };
    }
    for (at, (rows, bytes)) in stream_metrics.into_iter().take(nstreams as usize).enumerate() {
        // SAFETY: at < nstreams.
        unsafe { streams.add(at).write(PgjsStreamMetric { rows, bytes }) };
    }
}

/// Frees a session; NULL is fine. Calls nothing in C, so the segment may be gone already.
///
/// # Safety
/// `session` came from `pgjs_session_new`, no turn of it is on the stack, and it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pgjs_session_free(session: *mut PgjsSession) {
    if !session.is_null() {
        // SAFETY: the caller's promise. What a panic in a destructor would say concerns nobody any more.
        let _ = guard(|| {
            drop(unsafe { Box::from_raw(session) });
            Ok(())
        });
    }
}
