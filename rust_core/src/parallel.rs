//! One participant of a session: decode, serve, and run in bounded turns.
//!
//! Leader and workers are the same thing but for their root: the leader's is the plan's top, whose
//! rows it hands out; a worker's is [`JoinWorker::run`], which waits for SessionEnd while the control
//! service answers requests. C calls [`Participant::turn`] again and again and waits in between, so no
//! runtime is ever on the stack when PostgreSQL serves an interrupt.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::config::ConfigOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::runtime::Runtime;

use crate::codec::JoinScanCodec;
use crate::error::{Error, Result};
use crate::exchange::{Exchange, StreamRegistry};
use crate::host::Host;
use crate::memory::OperatorBudget;
use crate::plan::{aggregates, functions};
use crate::postgres::{Answer, Request};
use crate::session::{SessionContext, Topology};

/// What every participant of a session is told besides the plan.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub topology: Topology,
    /// Rows a batch.
    pub batch_size: usize,
    /// Bytes that one hash table may take.
    pub hash_memory: usize,
    pub turn_length: Duration,
    pub trace: bool,
}

/// What a turn came to; PGJS_TURN_* in C.
#[derive(Debug)]
pub enum Turn {
    Ready(RecordBatch),
    /// Idle: wait on the latch.
    Pending,
    /// The deadline has passed: serve interrupts and go on.
    Busy,
    /// Work that only C may do; [`Participant::answer`] takes what came of it.
    Call(Request),
    Done,
    Failed(Error),
}

/// What a participant's turns drive.
enum Root {
    /// Leader: the result.
    Rows(SendableRecordBatchStream),
    /// Worker: until SessionEnd. Leader, after the end: until all control frames are out.
    Until(BoxFuture<'static, Result<()>>),
    /// Nothing left.
    Nothing,
}

/// A worker between its launch and SessionEnd.
pub struct JoinWorker {
    exchange: Arc<Exchange>,
}

impl JoinWorker {
    /// Parks until SessionEnd; all work is done by the procedures that the control service starts.
    pub async fn run(self) -> Result<()> {
        poll_fn(|_| if self.exchange.ended() { Poll::Ready(Ok(())) } else { Poll::Pending }).await
    }
}

/// The task context of a plan: our functions, our budget, no spilling, no dynamic filters (their
/// identity does not survive the plan's bytes).
pub fn task_context(
    batch_size: usize,
    hash_memory: usize,
    host: Arc<dyn Host>,
    extend: impl FnOnce(SessionConfig) -> SessionConfig,
) -> Result<Arc<TaskContext>> {
    let mut options = ConfigOptions::new();
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.execution.target_partitions = 1;
    // It is for merging spilled runs, and there are none.
    options.execution.sort_spill_reservation_bytes = 0;
    let config = extend(SessionConfig::from(options).with_batch_size(batch_size));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(OperatorBudget::new(hash_memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()?;
    let own = [functions::not_cancelled(Some(host))];
    let functions = functions::all().into_iter().chain(own).map(|udf| (udf.name().to_string(), udf)).collect();
    let aggregates = aggregates::all().into_iter().map(|udaf| (udaf.name().to_string(), udaf)).collect();
    Ok(Arc::new(TaskContext::new(
        None,
        "joinscan".to_string(),
        config,
        functions,
        HashMap::new(),
        aggregates,
        HashMap::new(),
        runtime,
    )))
}

pub struct Participant {
    root: Root,
    session: Arc<SessionContext>,
    exchange: Arc<Exchange>,
    plan: Arc<dyn ExecutionPlan>,
    /// A turn failed: nothing runs any more but the end.
    failed: bool,
    /// By a panic, or an ERROR that is parked in C: not even that.
    broken: bool,
    // Last: tasks are dropped with it, and look at the fields above while they go.
    runtime: Runtime,
    /// Nodes and exchange reach it by weak references alone.
    _context: Arc<TaskContext>,
}

impl Participant {
    /// Decodes `plan` and starts serving. Calls nothing in the host.
    pub fn new(host: Arc<dyn Host>, settings: Settings, plan: &[u8]) -> Result<Self> {
        crate::panic::keep_place();
        crate::memory::keep_freed_pages();
        let topology = settings.topology;
        let session = Arc::new(SessionContext::new(topology, host, settings.turn_length, settings.trace));
        let registry = Arc::new(StreamRegistry::default());
        let exchange = Arc::new(Exchange::new(Arc::clone(&session), Arc::clone(&registry)));
        let context = task_context(settings.batch_size, settings.hash_memory, Arc::clone(session.host()), |config| {
            config.with_extension(Arc::clone(&session)).with_extension(Arc::clone(&exchange))
        })?;
        let plan = JoinScanCodec { registry }.decode(plan, &context)?;
        let turn = Arc::clone(&session.turn);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .event_interval(1)
            .on_thread_park(move || turn.on_park())
            .build()
            .map_err(|error| Error::internal(format!("could not build a runtime: {error}")))?;
        let root = {
            let _inside = runtime.enter();
            exchange.serve(&context);
            if topology.participant == 0 {
                Root::Rows(plan.execute(0, Arc::clone(&context))?)
            } else {
                Root::Until(JoinWorker { exchange: Arc::clone(&exchange) }.run().boxed())
            }
        };
        Ok(Self { root, session, exchange, plan, failed: false, broken: false, runtime, _context: context })
    }

    /// The decoded plan, whose metrics tell what this participant did.
    pub fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }

    /// A peer is gone without a word since the last call (leader only).
    pub fn take_peer_lost(&self) -> bool {
        self.session.turn.take_peer_lost()
    }

    /// Rows and frame bytes that each stream put into queues here.
    pub fn stream_counters(&self) -> Vec<(u64, u64)> {
        let counters = self.exchange.counters();
        counters.iter().map(|stream| (stream.rows.load(Relaxed), stream.bytes.load(Relaxed))).collect()
    }

    /// Runs for a bounded time. Not re-entrant; the caller has reset its latch before.
    pub fn turn(&mut self) -> Turn {
        if self.failed {
            return Turn::Failed(Error::internal("the session has failed before"));
        }
        let (root, session, exchange) = (&mut self.root, &self.session, &self.exchange);
        // First: a root that always has a batch would keep the tasks that wait for an answer waiting.
        if let Some(request) = session.calls.next() {
            return Turn::Call(request);
        }
        let state = &session.turn;
        state.begin();
        // A root that always has a batch would starve the tasks beside it: each may take a step first.
        let mut steps_first = exchange.task_count() + 1;
        let mut woken = false;
        let turn = catch_unwind(AssertUnwindSafe(|| {
            self.runtime.block_on(poll_fn(|cx| {
                state.save_root(cx.waker());
                if !std::mem::replace(&mut woken, true) {
                    state.wake_waiters();
                }
                if steps_first > 0 && !state.idle() && !state.stopped() && !state.parked() {
                    steps_first -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                poll_root(root, session, exchange, cx)
            }))
        }))
        .unwrap_or_else(|panic| {
            self.broken = true;
            Turn::Failed(crate::panic::to_error(panic))
        });
        self.failed = matches!(turn, Turn::Failed(_));
        self.broken |= matches!(turn, Turn::Failed(Error::Parked));
        turn
    }

    /// What came of the last [`Turn::Call`], for the node that asked.
    pub fn answer(&self, answer: Result<Answer>) {
        self.session.calls.answer(answer);
    }

    /// The leader's end: drops the running tasks and says SessionEnd. Turns then go on until [`Turn::Done`].
    /// A worker is done with its SessionEnd: what it still wanted to ask or stop concerns nobody, and
    /// waiting for room in the queue of a peer that is as far would never end.
    ///
    /// A session that has failed with an error can be ended, too: what else has failed since concerns nobody.
    pub fn end(&mut self) {
        self.exchange.begin_end();
        self.root = Root::Nothing;
        self.session.calls.clear();
        if !self.broken {
            self.failed = false;
            let _ = self.exchange.take_failure();
            let exchange = Arc::clone(&self.exchange);
            self.root = Root::Until(async move { exchange.flush().await }.map(Ok).boxed());
        }
    }
}

fn poll_root(root: &mut Root, session: &SessionContext, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Turn> {
    let state = &session.turn;
    if state.parked() {
        return Poll::Ready(Turn::Failed(Error::Parked));
    }
    if let Some(error) = exchange.take_failure() {
        return Poll::Ready(Turn::Failed(error));
    }
    // The root itself counts as work: it is polled before idle or stopped is looked at, so that a
    // frame that has just come is not left lying until the next latch.
    let polled = match root {
        Root::Rows(rows) => rows.poll_next_unpin(cx).map(|row| match row {
            Some(Ok(batch)) => Turn::Ready(batch),
            Some(Err(error)) => Turn::Failed(error.into()),
            None => Turn::Done,
        }),
        Root::Until(end) => end.poll_unpin(cx).map(|end| end.map_or_else(Turn::Failed, |()| Turn::Done)),
        Root::Nothing => Poll::Ready(Turn::Done),
    };
    match polled {
        Poll::Ready(Turn::Failed(_)) if state.parked() => Poll::Ready(Turn::Failed(Error::Parked)),
        Poll::Ready(Turn::Done) => {
            *root = Root::Nothing;
            Poll::Ready(Turn::Done)
        }
        Poll::Ready(turn) => Poll::Ready(turn),
        Poll::Pending if state.parked() => Poll::Ready(Turn::Failed(Error::Parked)),
        Poll::Pending if let Some(request) = session.calls.next() => Poll::Ready(Turn::Call(request)),
        Poll::Pending if state.stopped() || state.deadline_passed() => Poll::Ready(Turn::Busy),
        Poll::Pending if state.idle() => Poll::Ready(Turn::Pending),
        Poll::Pending => Poll::Pending,
    }
}

impl Drop for Participant {
    /// Calls nothing in the host: the segment may be gone.
    fn drop(&mut self) {
        self.exchange.abandon();
        self.root = Root::Nothing;
        self.session.calls.clear();
        self.session.turn.forget_tasks();
    }
}
