//! What every node of a running plan may ask of its session: who am I, the host, may I go on.
//!
//! A session is one execution of one plan in one participant. It runs on the backend's one thread;
//! the locks and atomics below only satisfy the bounds of DataFusion's and tokio's types.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use datafusion::execution::TaskContext;

use crate::error::{Error, Result};
use crate::host::{Claim, CollationFlags, Host, Lookup, Page, Receive, Relation, Send, TypeLayout};
use crate::postgres::{Answer, Calls, Request};

/// Participants and their parts, the same in every process but for `participant`.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// This process; 0 is the leader.
    pub participant: u32,
    /// Participants that take part, leader included.
    pub participants: u32,
    /// Participants that the queues are laid out for.
    pub planned: u32,
    /// The leader produces rows, too.
    pub leader_participates: bool,
}

impl Topology {
    /// The participants that scan, join and partition: all, or all but the leader.
    pub fn producers(&self) -> Range<u32> {
        u32::from(!self.leader_participates)..self.participants
    }

    /// Who produces for a stream; `from_leader`: its rows come from a leaf that the leader alone has.
    pub fn producers_of(&self, from_leader: bool) -> Range<u32> {
        if from_leader { 0..1 } else { self.producers() }
    }

    /// The number of the queue of `channel` from one participant to another.
    pub fn queue(&self, channel: u32, from: u32, to: u32) -> u32 {
        (channel * self.planned + from) * self.planned + to
    }
}

/// The extension of the plan's `TaskContext` that leads its nodes back to the session.
pub struct SessionContext {
    pub topology: Topology,
    pub turn: Arc<TurnState>,
    /// Work that waits for C.
    pub calls: Calls,
    host: Arc<dyn Host>,
    trace: bool,
    began: Instant,
}

impl SessionContext {
    pub fn new(topology: Topology, host: Arc<dyn Host>, turn_length: Duration, trace: bool) -> Self {
        let turn = Arc::new(TurnState::new(turn_length));
        let host = Arc::new(Watched { host, turn: Arc::clone(&turn) });
        Self { topology, turn, calls: Calls::default(), host, trace, began: Instant::now() }
    }

    /// The session that `context` belongs to.
    pub fn of(context: &TaskContext) -> Result<Arc<Self>> {
        context
            .session_config()
            .get_extension::<Self>()
            .ok_or_else(|| Error::internal("plan runs outside a JoinScan session"))
    }

    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Has C do what only C may do; the turn ends for it. Dropping the future withdraws the request.
    pub fn call(
        session: &Arc<Self>,
        request: Request,
    ) -> impl Future<Output = Result<Answer>> + std::marker::Send + use<> {
        let session = Arc::clone(session);
        async move { session.calls.call(request, || session.turn.wake_root()).await }
    }

    /// Ready while the turn has time left. Afterwards ends the turn: the caller is woken in the next.
    /// Leaves and producers call it once a batch, so that no turn lasts much longer than its length.
    pub fn poll_checkpoint(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.turn.passes_checkpoint(self.host.interrupt_pending()) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        self.turn.stop();
        Poll::Pending
    }

    /// A peer is gone before its end. Only the leader can learn why, so only it is told; a worker
    /// waits for what the leader does.
    pub fn lose_peer(&self) {
        if self.topology.participant == 0 {
            self.turn.peer_lost.store(true, Relaxed);
        }
    }

    /// Logs a line when joinscan.trace is on: participant, milliseconds since the session began, text.
    pub fn trace(&self, text: impl FnOnce() -> String) {
        if self.trace {
            let line = format!(
                "participant {} at {:.3} ms: {}",
                self.topology.participant,
                self.began.elapsed().as_secs_f64() * 1e3,
                text()
            );
            // A parked ERROR ends the turn by itself: TurnState has noted it.
            let _ = self.host.log(&line);
        }
    }
}

/// Checkpoints that a turn passes although an interrupt is pending: one may be served late, as when the
/// backend holds interrupts off, and the root's reader alone must not use a turn up.
const GRACE: u32 = 8;

/// What the turn in progress is at. See DESIGN "Rust never blocks: turns".
pub struct TurnState {
    length: Duration,
    clock: Mutex<Clock>,
    /// Checkpoints passed in this turn: the first always passes, and some do while an interrupt stays
    /// pending, so that every turn gets somewhere.
    passed: AtomicU32,
    /// The deadline has passed: return BUSY.
    stopped: AtomicBool,
    /// Nothing can run before the latch is set: return PENDING.
    idle: AtomicBool,
    /// A host call since the last complete poll of the queues may have eaten a latch event.
    latch_used: AtomicBool,
    /// An ERROR is parked in C: return ERROR.
    parked: AtomicBool,
    /// A peer is gone without a word.
    peer_lost: AtomicBool,
}

struct Clock {
    deadline: Instant,
    root: Option<Waker>,
    /// Tasks that wait for a queue; all are woken at the start of each turn.
    waiters: Vec<Waker>,
}

impl TurnState {
    fn new(length: Duration) -> Self {
        Self {
            length,
            clock: Mutex::new(Clock { deadline: Instant::now(), root: None, waiters: Vec::new() }),
            passed: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            latch_used: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            peer_lost: AtomicBool::new(false),
        }
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        // One thread: a poisoned lock only means that a panic passed here, which has ended the session.
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the clock. The caller resets the latch before, so a queue that fills from now on sets it again.
    pub fn begin(&self) {
        self.clock().deadline = Instant::now() + self.length;
        self.passed.store(0, Relaxed);
        self.stopped.store(false, Relaxed);
        self.idle.store(false, Relaxed);
        self.latch_used.store(false, Relaxed);
    }

    /// Keeps the waker of the root future, which the checks below wake.
    pub fn save_root(&self, waker: &Waker) {
        let mut clock = self.clock();
        if !clock.root.as_ref().is_some_and(|root| root.will_wake(waker)) {
            clock.root = Some(waker.clone());
        }
    }

    pub fn wake_root(&self) {
        let root = self.clock().root.clone();
        if let Some(root) = root {
            root.wake();
        }
    }

    /// Wakes every task that waits for a queue, to poll it again.
    pub fn wake_waiters(&self) -> bool {
        let waiters = std::mem::take(&mut self.clock().waiters);
        let any = !waiters.is_empty();
        waiters.into_iter().for_each(Waker::wake);
        any
    }

    /// The caller's task goes on when a queue may have changed.
    pub fn wait_for_queue(&self, waker: &Waker) {
        let mut clock = self.clock();
        if !clock.waiters.iter().any(|waiter| waiter.will_wake(waker)) {
            clock.waiters.push(waker.clone());
        }
    }

    fn passes_checkpoint(&self, interrupt_pending: bool) -> bool {
        let passed = self.passed.fetch_add(1, Relaxed);
        let interrupted = interrupt_pending && passed >= GRACE;
        passed == 0 || !(interrupted || self.deadline_passed())
    }

    pub fn deadline_passed(&self) -> bool {
        Instant::now() >= self.clock().deadline
    }

    fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.wake_root();
    }

    pub fn stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    pub fn idle(&self) -> bool {
        self.idle.load(Relaxed)
    }

    /// The runtime has nothing left to run. Idle only when all queues were polled since the last
    /// host call that may have waited on (and reset) the latch; otherwise they are polled once more.
    pub fn on_park(&self) {
        if self.latch_used.swap(false, Relaxed) && self.wake_waiters() {
            return;
        }
        self.idle.store(true, Relaxed);
        self.wake_root();
    }

    pub fn parked(&self) -> bool {
        self.parked.load(Relaxed)
    }

    pub fn take_peer_lost(&self) -> bool {
        self.peer_lost.swap(false, Relaxed)
    }

    /// Lets go of every waker, and with them of the tasks.
    pub fn forget_tasks(&self) {
        let mut clock = self.clock();
        clock.waiters.clear();
        clock.root = None;
    }
}

/// The host, watched: a call that may wait uses the latch up, and a parked ERROR ends the turn.
struct Watched {
    host: Arc<dyn Host>,
    turn: Arc<TurnState>,
}

impl Watched {
    fn watch<T>(&self, result: Result<T>) -> Result<T> {
        if matches!(result, Err(Error::Parked)) {
            self.turn.parked.store(true, Relaxed);
            self.turn.wake_root();
        }
        result
    }

    fn watch_waiting<T>(&self, result: Result<T>) -> Result<T> {
        self.turn.latch_used.store(true, Relaxed);
        self.watch(result)
    }
}

impl Host for Watched {
    fn interrupt_pending(&self) -> bool {
        self.host.interrupt_pending()
    }

    fn cancelled(&self) -> bool {
        self.host.cancelled()
    }

    fn scan_claim(&self, scan: u32) -> Result<Claim> {
        self.watch(self.host.scan_claim(scan))
    }

    fn scan_open(&self, scan: u32, part: u32) -> Result<Relation<'_>> {
        self.watch_waiting(self.host.scan_open(scan, part))
    }

    fn scan_look_up(&self, scan: u32, part: u32, attno: u32, keys: &[u64]) -> Result<Lookup> {
        self.watch_waiting(self.host.scan_look_up(scan, part, attno, keys))
    }

    fn scan_page(&self, scan: u32, block: u32, keep: bool, read: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
        self.watch_waiting(self.host.scan_page(scan, block, keep, read))
    }

    fn scan_unpin(&self, scan: u32) -> Result<()> {
        self.watch(self.host.scan_unpin(scan))
    }

    fn detoast(&self, datum: &[u8], read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.watch_waiting(self.host.detoast(datum, read))
    }

    fn send(&self, queue: u32, message: &[u8], flush: bool) -> Result<Send> {
        self.watch(self.host.send(queue, message, flush))
    }

    fn receive(&self, queue: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Receive> {
        self.watch(self.host.receive(queue, read))
    }

    fn log(&self, message: &str) -> Result<()> {
        self.watch_waiting(self.host.log(message))
    }

    fn collation(&self, collation: u32) -> Result<CollationFlags> {
        self.watch_waiting(self.host.collation(collation))
    }

    fn type_layout(&self, typid: u32) -> Result<TypeLayout> {
        self.watch_waiting(self.host.type_layout(typid))
    }
}
