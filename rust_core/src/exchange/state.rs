//! The exchange of one participant: its registry, running procedures, outboxes and local channels.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arrow::array::RecordBatch;
use datafusion::common::Result as DataFusionResult;
use datafusion::execution::TaskContext;
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::frames::Frame;
use super::key_filter::{BuildKeys, HasKeyExpr, KeyFilter};
use super::registry::{Distribution, StreamRegistry, StreamSource};
use super::{control, producer};
use crate::error::{Error, Result};
use crate::session::SessionContext;

/// The channel number of control frames.
pub const CONTROL_CHANNEL: u32 = 0;

/// Batches of own rows that may wait for their reader.
const LOCAL_CAPACITY: usize = 2;

/// The channel number of a stream's batches.
pub fn data_channel(stream: u32) -> u32 {
    stream + 1
}

pub type LocalSender = mpsc::Sender<DataFusionResult<RecordBatch>>;
pub type LocalReceiver = mpsc::Receiver<DataFusionResult<RecordBatch>>;

/// What passed a stream's queues from this participant.
#[derive(Debug, Default)]
pub struct StreamCounters {
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
}

pub struct Exchange {
    pub session: Arc<SessionContext>,
    pub registry: Arc<StreamRegistry>,
    /// By stream_id; filled once the plan is decoded.
    counters: OnceLock<Vec<StreamCounters>>,
    /// Weak: the context's configuration holds this exchange.
    context: OnceLock<Weak<TaskContext>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: HashMap<u32, StreamState>,
    /// To the task that sends control frames, by peer.
    outboxes: HashMap<u32, mpsc::UnboundedSender<Vec<u8>>>,
    outbox_tasks: JoinSet<()>,
    /// Control service and producers: dropped at the end, whatever they are at.
    tasks: JoinSet<()>,
    /// First failure of a task that has no consumer to tell.
    failure: Option<Error>,
    /// SessionEnd has come (worker).
    ended: bool,
    /// The session is being taken down: nothing is asked or answered any more.
    ending: bool,
}

#[derive(Default)]
struct StreamState {
    started: bool,
    /// What each consumer that has been heard of wants of it.
    wishes: BTreeMap<u32, Wish>,
    /// This participant's build side of the join that reads it.
    build_keys: BuildKeys,
    local: Option<(Option<LocalSender>, Option<LocalReceiver>)>,
}

enum Wish {
    All,
    WithKeys(KeyFilter),
    /// It said StopStream.
    Nothing,
}

impl Wish {
    /// The keys, which the scans are told once.
    fn take_filter(&mut self) -> Option<KeyFilter> {
        match std::mem::replace(self, Self::All) {
            Self::WithKeys(filter) => Some(filter),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl Exchange {
    pub fn new(session: Arc<SessionContext>, registry: Arc<StreamRegistry>) -> Self {
        Self {
            session,
            registry,
            counters: OnceLock::new(),
            context: OnceLock::new(),
            state: Mutex::new(State::default()),
        }
    }

    /// The exchange of the session that `context` belongs to.
    pub fn of(context: &TaskContext) -> Result<Arc<Self>> {
        context
            .session_config()
            .get_extension::<Self>()
            .ok_or_else(|| Error::internal("stream runs outside a JoinScan session"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // One thread: poisoned only by a panic that ends the session anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts serving: the control service and one outbox for each peer. Inside the runtime.
    pub fn serve(self: &Arc<Self>, context: &Arc<TaskContext>) {
        // Set once: a session serves once.
        let _ = self.context.set(Arc::downgrade(context));
        let _ = self.counters.set((0..self.registry.len()).map(|_| StreamCounters::default()).collect());
        let topology = self.session.topology;
        let mut state = self.state();
        for peer in (0..topology.participants).filter(|&peer| peer != topology.participant) {
            let (sender, receiver) = mpsc::unbounded_channel();
            state.outboxes.insert(peer, sender);
            state.outbox_tasks.spawn(control::outbox(Arc::clone(self), peer, receiver));
        }
        if topology.participants > 1 {
            let service = control::control_service(Arc::clone(self));
            state.tasks.spawn(self.supervise(service));
        }
    }

    /// Runs a task that has nobody to tell of its failure: the session itself fails with it. A panic
    /// is such a failure, too: tokio would swallow it, and consumers would wait for ever.
    fn supervise(
        self: &Arc<Self>,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let exchange = Arc::clone(self);
        async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            if let Err(error) = outcome.unwrap_or_else(|panic| Err(crate::panic::to_error(panic))) {
                exchange.fail(error);
            }
        }
    }

    /// Tasks that run here besides the root.
    pub fn task_count(&self) -> usize {
        self.state().tasks.len()
    }

    /// The session fails with `error`, unless it has failed before.
    pub fn fail(&self, error: Error) {
        self.state().failure.get_or_insert(error);
        self.session.turn.wake_root();
    }

    pub fn take_failure(&self) -> Option<Error> {
        self.state().failure.take()
    }

    pub fn context(&self) -> Result<Arc<TaskContext>> {
        self.context.get().and_then(Weak::upgrade).ok_or_else(|| Error::internal("the session is over"))
    }

    /// Counts what a producer put into a queue.
    pub fn count(&self, stream: u32, rows: u64, bytes: u64) {
        if let Some(counters) = self.counters().get(stream as usize) {
            counters.rows.fetch_add(rows, Relaxed);
            counters.bytes.fetch_add(bytes, Relaxed);
        }
    }

    pub fn counters(&self) -> &[StreamCounters] {
        self.counters.get().map_or(&[], Vec::as_slice)
    }

    /// Sends a control frame to `peer`, in order, without waiting.
    pub fn send_control(&self, peer: u32, frame: &Frame<'_>) {
        let state = self.state();
        if state.ending {
            return;
        }
        self.session.trace(|| format!("{} to {peer}", frame.describe()));
        if let Some(outbox) = state.outboxes.get(&peer) {
            // Its task only ends with the session.
            let _ = outbox.send(frame.encode());
        }
    }

    /// Looks at, or notes, the keys of the build side of the join that reads `stream`.
    pub fn with_build_keys<T>(&self, stream: u32, f: impl FnOnce(&mut BuildKeys) -> T) -> T {
        f(&mut self.state().streams.entry(stream).or_default().build_keys)
    }

    /// Consumer `consumer` asks for `stream`, or for its rows with the keys of `filter`.
    pub fn trigger_stream(self: &Arc<Self>, stream: u32, consumer: u32, filter: Option<KeyFilter>) -> Result<()> {
        let mut state = self.state();
        let wish = filter.map_or(Wish::All, Wish::WithKeys);
        state.streams.entry(stream).or_default().wishes.insert(consumer, wish);
        self.start_stream(&mut state, stream)
    }

    /// Starts the procedure of `stream` here, once, if somebody has asked. One with a runtime filter waits until all
    /// consumers have been heard: each asks as soon as its own build side is complete, or stops, and waits for nothing
    /// that this procedure gives.
    fn start_stream(self: &Arc<Self>, state: &mut State, stream: u32) -> Result<()> {
        let source = self.registry.get(stream)?;
        let consumers = self.session.topology.producers().len();
        let StreamState { started, wishes, .. } = state.streams.entry(stream).or_default();
        let asked = wishes.values().any(|wish| !matches!(wish, Wish::Nothing));
        if *started || !asked || state.ending || (source.runtime_filter.is_some() && wishes.len() < consumers) {
            return Ok(());
        }
        *started = true;
        if let (Some(filter), Distribution::Hash(keys)) = (&source.runtime_filter, &source.distribution)
            && !wishes.values().any(|wish| matches!(wish, Wish::All))
        {
            let wanted = wishes.values_mut().filter_map(Wish::take_filter).collect();
            filter.update(Arc::new(HasKeyExpr::new(keys.clone(), wanted)))?;
        }
        let local = self.local_of(state, stream, &source);
        let sender = local.and_then(|local| local.0.take());
        let context = self.context()?;
        self.session.trace(|| format!("stream {stream}: producer starts"));
        let task = producer::producer_task(Arc::clone(self), stream, source, sender, context);
        state.tasks.spawn(task);
        Ok(())
    }

    /// The reading end for own rows of `stream`; `None` where this participant produces none.
    pub fn take_local_receiver(&self, stream: u32) -> Option<LocalReceiver> {
        let source = self.registry.get(stream).ok()?;
        self.local_of(&mut self.state(), stream, &source)?.1.take()
    }

    fn local_of<'a>(
        &self,
        state: &'a mut State,
        stream: u32,
        source: &StreamSource,
    ) -> Option<&'a mut (Option<LocalSender>, Option<LocalReceiver>)> {
        let topology = self.session.topology;
        let consumes = match source.distribution {
            Distribution::Gather => topology.participant == 0,
            Distribution::Hash(_) | Distribution::Broadcast => topology.producers().contains(&topology.participant),
        };
        if !consumes || !topology.producers_of(source.from_leader).contains(&topology.participant) {
            return None;
        }
        let local = &mut state.streams.entry(stream).or_default().local;
        Some(local.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(LOCAL_CAPACITY);
            (Some(sender), Some(receiver))
        }))
    }

    /// Consumer `consumer` has enough of `stream`: its share is dropped from now on.
    pub fn note_stop(self: &Arc<Self>, stream: u32, consumer: u32) -> Result<()> {
        let mut state = self.state();
        state.streams.entry(stream).or_default().wishes.insert(consumer, Wish::Nothing);
        // Others may have waited for what it says.
        self.start_stream(&mut state, stream)?;
        drop(state);
        // A producer that waits for this consumer's queue looks again.
        self.session.turn.wake_waiters();
        Ok(())
    }

    pub fn is_stopped(&self, stream: u32, consumer: u32) -> bool {
        let state = self.state();
        state.streams.get(&stream).is_some_and(|stream| matches!(stream.wishes.get(&consumer), Some(Wish::Nothing)))
    }

    /// This participant has enough of `stream`: tells its producers.
    pub fn stop_stream(self: &Arc<Self>, stream: u32, producers: Range<u32>) {
        let own = self.session.topology.participant;
        for producer in producers {
            if producer != own {
                self.send_control(producer, &Frame::StopStream { stream });
            } else if let Err(error) = self.note_stop(stream, own) {
                self.fail(error);
            }
        }
    }

    /// SessionEnd has come.
    pub fn note_end(&self) {
        self.state().ended = true;
        self.session.turn.wake_root();
    }

    pub fn ended(&self) -> bool {
        self.state().ended
    }

    /// The leader's end: takes the tasks down and says SessionEnd. What is in the outboxes still goes out.
    /// Tasks are dropped outside the lock: readers in them say StopStream while they go.
    pub fn begin_end(&self) {
        let mut tasks = {
            let mut state = self.state();
            if !state.ending {
                for (peer, outbox) in &state.outboxes {
                    self.session.trace(|| format!("SessionEnd to {peer}"));
                    // Its task only ends with the session.
                    let _ = outbox.send(Frame::SessionEnd.encode());
                }
            }
            state.ending = true;
            state.outboxes.clear();
            std::mem::take(&mut state.tasks)
        };
        tasks.abort_all();
    }

    /// Waits until every outbox is empty.
    pub async fn flush(&self) {
        let mut outboxes = std::mem::take(&mut self.state().outbox_tasks);
        while outboxes.join_next().await.is_some() {}
    }

    /// Lets go of all tasks without a word. Calls nothing in the host.
    pub fn abandon(&self) {
        let (tasks, outboxes) = {
            let mut state = self.state();
            state.ending = true;
            state.outboxes.clear();
            (std::mem::take(&mut state.tasks), std::mem::take(&mut state.outbox_tasks))
        };
        drop((tasks, outboxes));
    }
}
