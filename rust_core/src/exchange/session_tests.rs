//! Whole sessions without PostgreSQL: several participants in one process over a fake segment whose
//! queues hold one frame, turned one after another.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::JoinType;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::joins::{HashJoinExecBuilder, PartitionMode};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::frames::Frame;
use super::registry::Distribution;
use super::{CommonKeys, DsmReaderExec, DsmWriterExec, StreamKind, Treatment, key_hashes};
use crate::checkpoint::CheckpointExec;
use crate::codec::JoinScanCodec;
use crate::error::Error;
use crate::parallel::{Participant, Settings, Turn};
use crate::postgres::{Answer, Request};
use crate::scan::{HeapScanExec, Scan};
use crate::session::Topology;
use crate::testing::{FakeHost, Segment};

/// A table that every participant has whole: `batches` batches of `rows` rows, keys 0, 1, 2, …
pub(crate) fn table(batches: i64, rows: i64) -> Arc<dyn ExecutionPlan> {
    let schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, false)]));
    let data = (0..batches)
        .map(|batch| {
            let keys: Int64Array = (batch * rows..(batch + 1) * rows).collect::<Vec<_>>().into();
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys)]).unwrap()
        })
        .collect();
    MemorySourceConfig::try_new_exec(&[data], schema, None).unwrap()
}

fn key() -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new("key", 0))
}

pub(crate) fn stream(number: u32, distribution: Distribution, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let kind = distribution.kind();
    let writer = Arc::new(DsmWriterExec::new(number, distribution, input));
    Arc::new(DsmReaderExec::new(number, kind, writer))
}

fn hash(number: u32, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    stream(number, Distribution::Hash(vec![key()]), input)
}

pub(crate) fn join(build: Arc<dyn ExecutionPlan>, probe: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    HashJoinExecBuilder::new(build, probe, vec![(key(), key())], JoinType::Inner)
        .with_partition_mode(PartitionMode::Partitioned)
        .with_projection(Some(vec![0]))
        .build_exec()
        .unwrap()
}

pub(crate) struct Session {
    segment: Arc<Segment>,
    hosts: Vec<Arc<FakeHost>>,
    participants: Vec<Participant>,
    /// What C makes of a call in a participant.
    pub(crate) answer: fn(u32, &Request) -> Result<Answer, Error>,
    /// Rounds of turns that the last worker misses.
    lag: usize,
}

impl Session {
    pub(crate) fn new(count: u32, leader_participates: bool, plan: Arc<dyn ExecutionPlan>) -> Self {
        Self::with(count, leader_participates, plan, |_| {})
    }

    fn with(count: u32, leader_participates: bool, plan: Arc<dyn ExecutionPlan>, set: impl Fn(&mut FakeHost)) -> Self {
        let bytes = JoinScanCodec::default().encode(plan).unwrap();
        let segment = Arc::new(Segment::default());
        let (hosts, participants) = (0..count)
            .map(|participant| {
                let mut host = FakeHost::new(Arc::clone(&segment));
                set(&mut host);
                let host = Arc::new(host);
                let settings = Settings {
                    topology: Topology { participant, participants: count, planned: count + 2, leader_participates },
                    batch_size: 8192,
                    hash_memory: 1 << 20,
                    turn_length: Duration::from_millis(5),
                    trace: true,
                };
                let made = Participant::new(host.clone(), settings, &bytes).unwrap();
                (host, made)
            })
            .unzip();
        Self { segment, hosts, participants, answer: |_, request| panic!("nobody answers {request:?}"), lag: 0 }
    }

    /// Turns everyone until the leader is done or has failed; the keys that came out.
    pub(crate) fn run(&mut self) -> Result<Vec<i64>, Error> {
        let mut keys = self.run_in_order()?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// As [`run`](Self::run), with the keys as they came.
    fn run_in_order(&mut self) -> Result<Vec<i64>, Error> {
        let mut keys = Vec::new();
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(60), "the session hangs");
            let here = self.participants.len() - usize::from(self.lag > 0);
            self.lag = self.lag.saturating_sub(1);
            for (number, worker) in (1..).zip(&mut self.participants[1..here]) {
                match worker.turn() {
                    Turn::Pending | Turn::Busy => {}
                    Turn::Call(request) => worker.answer((self.answer)(number, &request)),
                    Turn::Failed(error) => return Err(error),
                    other => panic!("a worker's turn came to {other:?}"),
                }
            }
            match self.participants[0].turn() {
                Turn::Ready(batch) => {
                    let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().clone();
                    keys.extend(column.values());
                }
                Turn::Pending | Turn::Busy => {}
                Turn::Call(request) => {
                    let answer = (self.answer)(0, &request);
                    self.participants[0].answer(answer);
                }
                Turn::Done => break,
                Turn::Failed(error) => return Err(error),
            }
        }
        Ok(keys)
    }

    /// The normal end: every worker is done within a few turns of the leader's.
    pub(crate) fn end(&mut self) {
        self.participants[0].end();
        for _ in 0..20 {
            let done: Vec<bool> =
                self.participants.iter_mut().map(|participant| matches!(participant.turn(), Turn::Done)).collect();
            if done.iter().all(|done| *done) {
                return;
            }
        }
        panic!("the session does not end");
    }

    fn sent(&self, is: impl Fn(&Frame<'_>) -> bool) -> usize {
        self.segment.log.lock().unwrap().iter().filter(|(_, bytes)| is(&Frame::parse(bytes).unwrap())).count()
    }
}

fn copies(keys: std::ops::Range<i64>, count: usize) -> Vec<i64> {
    keys.flat_map(|key| std::iter::repeat_n(key, count)).collect()
}

#[test]
fn gather_brings_every_participants_rows() {
    let mut session = Session::new(3, true, stream(0, Distribution::Gather, table(5, 10)));
    assert_eq!(session.run().unwrap(), copies(0..50, 3));
    session.end();
    assert_eq!(session.sent(|frame| matches!(frame, Frame::SessionEnd)), 2);
}

#[test]
fn a_leader_that_does_not_participate_only_collects() {
    let mut session = Session::new(3, false, stream(0, Distribution::Gather, table(5, 10)));
    assert_eq!(session.run().unwrap(), copies(0..50, 2));
    session.end();
}

#[test]
fn the_same_plan_runs_in_the_leader_alone() {
    let plan = stream(2, Distribution::Gather, join(hash(0, table(3, 10)), hash(1, table(3, 10))));
    let mut session = Session::new(1, true, plan);
    assert_eq!(session.run().unwrap(), copies(0..30, 1));
    session.end();
    assert!(session.segment.log.lock().unwrap().is_empty());
}

#[test]
fn shuffled_join() {
    for (count, leader) in [(2, true), (4, true), (3, false)] {
        let plan = stream(2, Distribution::Gather, join(hash(0, table(2, 100)), hash(1, table(7, 50))));
        let mut session = Session::new(count, leader, plan);
        let producers = if leader { count } else { count - 1 } as usize;
        assert_eq!(session.run().unwrap(), copies(0..200, producers * producers));
        session.end();
    }
}

/// As [`hash`], with keys set apart.
fn apart(number: u32, keys: &[i64], treatment: Treatment, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let column: Arc<dyn Array> = Arc::new(Int64Array::from(keys.to_vec()));
    let common = CommonKeys::new(
        key_hashes(&[key()], &RecordBatch::try_from_iter([("key", column)]).unwrap()).unwrap(),
        treatment,
    );
    let writer = DsmWriterExec::new(number, Distribution::Hash(vec![key()]), input).with_common_keys(Some(common));
    Arc::new(DsmReaderExec::new(number, StreamKind::Hash, Arc::new(writer)))
}

#[test]
fn a_shuffled_join_with_keys_set_apart() {
    for [build, probe] in [[Treatment::Copy, Treatment::Stay], [Treatment::Stay, Treatment::Copy]] {
        for (count, leader) in [(1, true), (2, true), (4, true), (3, false)] {
            let keys = [3, 50, 199, 1000];
            let join = join(apart(0, &keys, build, table(2, 100)), apart(1, &keys, probe, table(7, 50)));
            let mut session = Session::new(count, leader, stream(2, Distribution::Gather, join));
            let producers = if leader { count } else { count - 1 } as usize;
            assert_eq!(session.run().unwrap(), copies(0..200, producers * producers));
            session.end();
        }
    }
}

#[test]
fn broadcast_join() {
    let plan = stream(1, Distribution::Gather, join(stream(0, Distribution::Broadcast, table(2, 5)), table(3, 10)));
    let mut session = Session::new(3, true, plan);
    // Every participant has all three copies of the build side, and its own copy of the probe side.
    assert_eq!(session.run().unwrap(), copies(0..10, 9));
    session.end();
}

#[test]
fn a_procedure_that_nobody_asks_for_never_runs() {
    let plan = stream(2, Distribution::Gather, join(hash(0, table(0, 10)), hash(1, table(50, 100))));
    let mut session = Session::new(3, true, plan);
    assert_eq!(session.run().unwrap(), Vec::<i64>::new());
    session.end();
    assert!(session.sent(|frame| matches!(frame, Frame::StartStream { stream: 0, .. })) > 0);
    assert_eq!(session.sent(|frame| matches!(frame, Frame::StartStream { stream: 1, .. })), 0);
    let lines: Vec<String> = session.hosts.iter().flat_map(|host| host.lines.lock().unwrap().clone()).collect();
    assert!(lines.iter().any(|line| line.contains("stream 0: producer starts")));
    assert!(!lines.iter().any(|line| line.contains("stream 1: producer starts")));
}

#[test]
fn an_early_end_stops_everyone() {
    let mut session = Session::new(3, true, stream(0, Distribution::Gather, table(1000, 100)));
    let mut batches = 0;
    while batches < 3 {
        for worker in &mut session.participants[1..] {
            worker.turn();
        }
        batches += usize::from(matches!(session.participants[0].turn(), Turn::Ready(_)));
    }
    session.end();
    // A full queue suspended the producers: nobody ran ahead.
    assert!(session.sent(|frame| matches!(frame, Frame::Batch { .. })) < 12);
}

#[test]
fn a_session_that_is_out_of_memory_ends_as_others() {
    for count in [1, 3] {
        let plan = stream(2, Distribution::Gather, join(hash(0, table(40, 8192)), hash(1, table(40, 8192))));
        let mut session = Session::new(count, true, plan);
        let error = session.run().unwrap_err();
        assert!(matches!(error, Error::Raised { sqlstate, .. } if sqlstate == "53200"));
        assert!(matches!(session.participants[0].turn(), Turn::Failed(_)), "it must not go on");
        session.end();
    }
}

#[test]
fn an_unasked_worker_is_idle() {
    let mut session = Session::new(2, true, stream(0, Distribution::Gather, table(1, 1)));
    for _ in 0..3 {
        assert!(matches!(session.participants[1].turn(), Turn::Pending));
    }
}

#[test]
fn a_parked_error_ends_the_turn() {
    let mut session = Session::new(2, true, stream(0, Distribution::Gather, table(1, 1)));
    session.hosts[1].park.store(true, Relaxed);
    assert!(matches!(session.participants[1].turn(), Turn::Failed(Error::Parked)));
}

#[test]
fn a_lost_worker_is_the_leaders_to_explain() {
    let mut session = Session::new(2, true, stream(0, Distribution::Gather, table(1, 1)));
    let control = session.hosts[0].segment.clone();
    // The worker's queues to the leader: control and stream 0 (planned is 4).
    control.detach(4);
    control.detach((4 + 1) * 4);
    assert!(matches!(session.participants[0].turn(), Turn::Ready(_)));
    assert!(matches!(session.participants[0].turn(), Turn::Pending));
    assert!(session.participants[0].take_peer_lost());
}

#[test]
fn a_worker_without_leader_stops() {
    let mut session = Session::new(2, true, stream(0, Distribution::Gather, table(1, 1)));
    session.segment.detach(1); // control, leader to worker
    assert!(matches!(session.participants[1].turn(), Turn::Done));
}

#[test]
fn turns_are_bounded_and_get_somewhere() {
    let scan = Arc::new(HeapScanExec::new(0, "t".into(), Scan::new(vec![]).unwrap()));
    let mut session = Session::with(1, true, stream(0, Distribution::Gather, scan), |host| host.blocks = u32::MAX - 8);
    let mut read = 0;
    for _ in 0..5 {
        let began = Instant::now();
        assert!(matches!(session.participants[0].turn(), Turn::Busy));
        assert!(began.elapsed() < Duration::from_secs(1));
        let now = session.hosts[0].pages_read.load(Relaxed);
        assert!(now > read);
        read = now;
    }
    // A pending interrupt ends turns early, but never keeps one from getting anywhere.
    session.hosts[0].interrupt.store(true, Relaxed);
    for _ in 0..5 {
        assert!(matches!(session.participants[0].turn(), Turn::Busy));
        let now = session.hosts[0].pages_read.load(Relaxed);
        assert!(now > read && now < read + 5000);
        read = now;
    }
}

#[test]
fn a_host_call_that_may_eat_the_latch_makes_the_queues_be_polled_again() {
    use futures::task::{ArcWake, waker};
    struct Count(std::sync::atomic::AtomicU32);
    impl ArcWake for Count {
        fn wake_by_ref(count: &Arc<Self>) {
            count.0.fetch_add(1, Relaxed);
        }
    }
    let host = Arc::new(FakeHost::new(Arc::default()));
    let topology = Topology { participant: 0, participants: 1, planned: 1, leader_participates: true };
    let session = crate::session::SessionContext::new(topology, host, Duration::from_secs(1), false);
    let waiter = Arc::new(Count(0.into()));
    session.turn.begin();
    session.turn.wait_for_queue(&waker(Arc::clone(&waiter)));
    session.host().scan_page(0, 0, false, &mut |_| Ok(())).unwrap();
    session.turn.on_park();
    assert_eq!(waiter.0.load(Relaxed), 1);
    assert!(!session.turn.idle());
    // It has polled its queue again, nothing was called since: now the turn is idle.
    session.turn.wait_for_queue(&waker(Arc::clone(&waiter)));
    session.turn.on_park();
    assert!(session.turn.idle());
}

#[test]
fn a_panic_in_a_procedure_reaches_the_leader_as_an_error() {
    let scan = Arc::new(HeapScanExec::new(0, "t".into(), Scan::new(vec![]).unwrap()));
    let mut session = Session::with(2, false, stream(0, Distribution::Gather, scan), |host| {
        host.blocks = 10;
        host.panic_at_block = Some(3);
    });
    match session.run().unwrap_err() {
        Error::Raised { sqlstate, message, detail, .. } => {
            assert_eq!(sqlstate, "XX000");
            assert!(message.contains("block 3"), "{message}");
            assert!(detail.unwrap().contains("testing.rs"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_in_a_procedure_reaches_the_leader_with_its_sqlstate() {
    let scan = Arc::new(HeapScanExec::new(0, "t".into(), Scan::new(vec![]).unwrap()));
    let inner = stream(0, Distribution::Broadcast, scan);
    let mut session = Session::with(3, true, stream(1, Distribution::Gather, inner), |host| {
        host.blocks = 10;
        host.fail_at_block = Some(3);
    });
    match session.run().unwrap_err() {
        Error::Raised { sqlstate, hint, .. } => {
            assert_eq!(sqlstate, "22012");
            assert_eq!(hint.as_deref(), Some("a hint"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_that_is_dropped_says_stop() {
    // An empty outer build side: the join asks for that one alone, and drops the reader of the other.
    let plan = stream(2, Distribution::Gather, join(hash(0, table(0, 1)), hash(1, table(9, 9))));
    let mut session = Session::new(2, true, plan);
    assert!(session.run().unwrap().is_empty());
    for participant in &mut session.participants {
        participant.turn(); // the worker's outbox; the leader is done and sends no more
    }
    // Before its end or not, depending on whose frames came first, the leader says it, too.
    assert!(session.sent(|frame| matches!(frame, Frame::StopStream { stream: 1 })) >= 1);
    session.end();
}

/// `plan` sorted from the last key to the first, in each participant and by a merge in the leader.
fn sorted_gather(
    number: u32,
    planned: u32,
    plan: Arc<dyn ExecutionPlan>,
    fetch: Option<usize>,
) -> Arc<dyn ExecutionPlan> {
    let descending = SortOptions { descending: true, nulls_first: false };
    let order = LexOrdering::new([PhysicalSortExpr::new(key(), descending)]).unwrap();
    let sort = Arc::new(SortExec::new(order.clone(), plan).with_fetch(fetch));
    let writer = Arc::new(DsmWriterExec::new(number, Distribution::Gather, sort));
    let reader = Arc::new(DsmReaderExec::with_partitions(number, StreamKind::Gather, planned, writer));
    Arc::new(SortPreservingMergeExec::new(order, reader).with_fetch(fetch))
}

/// As [`copies`], the last key first.
fn descending(keys: std::ops::Range<i64>, count: usize) -> Vec<i64> {
    copies(keys, count).into_iter().rev().collect()
}

#[test]
fn sorted_shares_are_merged_in_their_order() {
    // With fewer participants than partitions, and with a leader that has no share.
    for (count, leader, shares) in [(1, true, 1), (3, true, 3), (3, false, 2), (5, true, 5)] {
        let mut session = Session::new(count, leader, sorted_gather(0, 5, table(9, 1000), None));
        assert_eq!(session.run_in_order().unwrap(), descending(0..9000, shares));
        session.end();
    }
}

#[test]
fn a_merge_waits_for_one_producer_while_the_queues_of_others_are_full() {
    // Each share reads streams that the others feed, and gives far more than a queue holds.
    let joined = join(hash(0, table(2, 8000)), hash(1, table(16, 1000)));
    let mut session = Session::new(4, true, sorted_gather(2, 4, joined, None));
    session.lag = 50; // the last worker: the others have filled their queues before it has sorted
    assert_eq!(session.run_in_order().unwrap(), descending(0..16000, 16));
    session.end();
}

#[test]
fn a_share_whose_join_ends_early_holds_nobody_up() {
    // Key 0 alone builds: in all participants but one the inner join wants no probe row, and would not say so before the
    // outer one, which has far more to give than a queue holds, is dropped.
    let few = join(hash(0, table(1, 1)), hash(1, table(40, 1000)));
    let outer = HashJoinExecBuilder::new(table(16, 1000), few, vec![(key(), key())], JoinType::Left)
        .with_partition_mode(PartitionMode::Partitioned)
        .with_projection(Some(vec![0]))
        .build_exec()
        .unwrap();
    let mut session = Session::new(3, true, sorted_gather(3, 3, outer, None));
    session.lag = 50;
    let mut expected = descending(1..16000, 3);
    expected.extend([0; 9 + 2]);
    assert_eq!(session.run_in_order().unwrap(), expected);
    session.end();
}

#[test]
fn a_merge_that_has_its_rows_stops_the_producers() {
    let mut session = Session::new(3, true, sorted_gather(0, 3, table(100, 1000), Some(7)));
    assert_eq!(session.run_in_order().unwrap(), [99999, 99999, 99999, 99998, 99998, 99998, 99997]);
    session.end();
    // One batch of each worker at most.
    assert!(session.sent(|frame| matches!(frame, Frame::Batch { .. })) <= 2);
    // And one that is dropped before its end: of five batches each worker has sent two.
    let mut session = Session::new(3, true, sorted_gather(0, 3, table(40, 1000), None));
    loop {
        for worker in &mut session.participants[1..] {
            worker.turn();
        }
        match session.participants[0].turn() {
            Turn::Ready(_) => break,
            Turn::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    session.end();
    assert!(session.sent(|frame| matches!(frame, Frame::Batch { .. })) <= 4);
}

#[test]
fn an_error_in_a_share_reaches_the_leader() {
    let scan = Arc::new(HeapScanExec::new(0, "t".into(), Scan::new(vec![]).unwrap()));
    let scan = Arc::new(CheckpointExec::new(scan, true));
    let order = LexOrdering::new([PhysicalSortExpr::new(lit(1), SortOptions::default())]).unwrap();
    let sort = Arc::new(SortExec::new(order.clone(), scan));
    let writer = Arc::new(DsmWriterExec::new(0, Distribution::Gather, sort));
    let reader = Arc::new(DsmReaderExec::with_partitions(0, StreamKind::Gather, 3, writer));
    let plan = Arc::new(SortPreservingMergeExec::new(order, reader));
    let mut session = Session::with(3, true, plan, |host| {
        host.blocks = 10;
        host.fail_at_block = Some(3);
    });
    assert!(matches!(session.run().unwrap_err(), Error::Raised { sqlstate, .. } if sqlstate == "22012"));
}
