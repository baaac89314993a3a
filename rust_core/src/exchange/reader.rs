//! `DsmReaderExec`: the client of a stream.
//!
//! Its first poll asks every producer (`StartStream`), then it merges what they send, own rows
//! included, in the order of arrival: 1 partition, rows in no order. Dropped before its end it says
//! `StopStream`, so that no producer waits for it.
//!
//! A gather of sorted shares has a partition for each producer instead, for a merge that keeps their order:
//!
//! ```text
//!   producer 0   Sort ── local channel ──▶ partition 0 ─┐
//!   producer 1   Sort ── queue 1→0 ──────▶ partition 1 ─┼▶ SortPreservingMergeExec
//!   not launched                (empty)  ▶ partition 2 ─┘
//! ```
//!
//! The merge waits for one producer while the queues of others are full. That closes no circle: a sort has read all of its
//! input, and dropped it, before it gives its first row, so a producer that a full queue suspends reads no stream any
//! more, and holds up none that the awaited one reads. Hence only a sort stands below such a gather.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
};
use futures::Stream;
use tokio::sync::mpsc;

use super::channel::{self, Received};
use super::frames::Frame;
use super::key_filter::{BuildKeys, KeyFilter};
use super::registry::StreamKind;
use super::state::{Exchange, data_channel};
use super::writer::{DsmWriterExec, boundary_properties};
use crate::error::Error;
use crate::session::Topology;

#[derive(Debug)]
pub struct DsmReaderExec {
    pub stream: u32,
    pub kind: StreamKind,
    /// 1: the rows of all producers; else one for each participant that was planned, with the rows that it sends.
    partitions: u32,
    writer: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl DsmReaderExec {
    /// The client of the stream below `writer`, a `DsmWriterExec`.
    pub fn new(stream: u32, kind: StreamKind, writer: Arc<dyn ExecutionPlan>) -> Self {
        Self::with_partitions(stream, kind, 1, writer)
    }

    /// The client of a gather, the rows of each producer for themselves where `partitions` is more than 1.
    pub fn with_partitions(stream: u32, kind: StreamKind, partitions: u32, writer: Arc<dyn ExecutionPlan>) -> Self {
        let partitions = partitions.max(1);
        let properties = boundary_properties(&writer, partitions as usize);
        Self { stream, kind, partitions, writer, metrics: ExecutionPlanMetricsSet::new(), properties }
    }

    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Whose rows a partition has.
    fn producers(&self, partition: usize, topology: Topology, from_leader: bool) -> Result<Range<u32>> {
        let all = topology.producers_of(from_leader);
        if self.partitions == 1 {
            return Ok(all);
        }
        if self.partitions < topology.participants {
            return Err(Error::internal("a reader has fewer partitions than there are participants").into());
        }
        let one = u32::try_from(partition).map_err(|_| Error::internal("a reader has no such partition"))?;
        Ok(if all.contains(&one) { one..one + 1 } else { 0..0 })
    }
}

impl DisplayAs for DsmReaderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "DsmReaderExec: stream={}, {}", self.stream, self.kind.name())?;
        if self.partitions > 1 { write!(f, ", partitions={}", self.partitions) } else { Ok(()) }
    }
}

impl ExecutionPlan for DsmReaderExec {
    fn name(&self) -> &str {
        "DsmReaderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.writer]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::with_partitions(self.stream, self.kind, self.partitions, children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exchange = Exchange::of(&context)?;
        let writer = self.writer.downcast_ref::<DsmWriterExec>();
        let writer = writer.ok_or_else(|| Error::internal("a reader stands over something other than a writer"))?;
        let topology = exchange.session.topology;
        let producers = self.producers(partition, topology, writer.from_leader)?;
        let own = producers.contains(&topology.participant);
        let local = if own { exchange.take_local_receiver(self.stream) } else { None };
        Ok(Box::pin(ReaderStream {
            stream: self.stream,
            schema: self.schema(),
            state: State::NotAsked,
            producers,
            exchange,
            open: Vec::new(),
            next: 0,
            local,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

enum State {
    NotAsked,
    Reading,
    Done,
}

struct ReaderStream {
    exchange: Arc<Exchange>,
    stream: u32,
    schema: SchemaRef,
    state: State,
    /// Whose rows it reads.
    producers: Range<u32>,
    /// Remote producers that have not ended.
    open: Vec<u32>,
    /// Which of `open` is polled first: one after the last that gave a batch.
    next: usize,
    /// Own rows; `None` once they have ended, or where this participant produces none.
    local: Option<mpsc::Receiver<Result<RecordBatch>>>,
    metrics: BaselineMetrics,
}

impl ReaderStream {
    fn ask(&mut self) -> Result<(), Error> {
        let topology = self.exchange.session.topology;
        let mut filter = self.exchange.with_build_keys(self.stream, BuildKeys::take_filter);
        let sent = filter.as_ref().map(KeyFilter::to_bytes).unwrap_or_default();
        for producer in self.producers.clone() {
            if producer == topology.participant {
                self.exchange.trigger_stream(self.stream, producer, filter.take())?;
            } else {
                self.open.push(producer);
                self.exchange.send_control(producer, &Frame::StartStream { stream: self.stream, filter: &sent });
            }
        }
        self.state = State::Reading;
        Ok(())
    }

    fn poll_local(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let Some(local) = &mut self.local else { return Poll::Pending };
        match ready!(local.poll_recv(cx)) {
            Some(batch) => Poll::Ready(Some(batch)),
            None => {
                self.local = None;
                Poll::Pending
            }
        }
    }

    /// One frame of one of the remote producers.
    fn poll_remote(&mut self, cx: &mut Context<'_>) -> Poll<Result<RecordBatch, Error>> {
        let session = Arc::clone(&self.exchange.session);
        let topology = session.topology;
        let mut tries = self.open.len();
        while tries > 0 {
            tries -= 1;
            let at = self.next % self.open.len();
            let producer = self.open[at];
            let queue = topology.queue(data_channel(self.stream), producer, topology.participant);
            let mut batch = None;
            let mut ended = false;
            let (stream, schema) = (self.stream, &self.schema);
            let received = channel::try_receive(&session, queue, &mut |frame| match frame {
                Frame::Batch { stream: from, body } if from == stream => {
                    batch = Some(super::batch::decode_batch(body, schema)?);
                    Ok(())
                }
                Frame::EndOfStream { stream: from, rows, bytes } if from == stream => {
                    session
                        .trace(|| format!("stream {stream}: EndOfStream from {producer}, {rows} rows, {bytes} bytes"));
                    ended = true;
                    Ok(())
                }
                Frame::Error { error, .. } => Err(error),
                other => Err(Error::internal(format!("unexpected {} on stream {stream}", other.name()))),
            })?;
            if ended {
                self.open.remove(at);
                tries = self.open.len();
                continue;
            }
            if let Some(batch) = batch {
                self.next = at + 1;
                return Poll::Ready(Ok(batch));
            }
            if received == Received::Detached {
                // Its rows are missing: never an end. The leader finds out why; a worker parks until it does.
                session.lose_peer();
                self.open.remove(at);
                self.open.push(producer);
            }
            self.next = at + 1;
        }
        if !self.open.is_empty() {
            session.turn.wait_for_queue(cx.waker());
        }
        Poll::Pending
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        ready!(self.exchange.session.poll_checkpoint(cx));
        if matches!(self.state, State::NotAsked)
            && let Err(error) = self.ask()
        {
            return Poll::Ready(Some(Err(error.into())));
        }
        if matches!(self.state, State::Done) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(batch) = self.poll_local(cx) {
            return Poll::Ready(batch);
        }
        match self.poll_remote(cx) {
            Poll::Ready(Ok(batch)) => return Poll::Ready(Some(Ok(batch))),
            Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(DataFusionError::from(error)))),
            Poll::Pending => {}
        }
        if self.open.is_empty() && self.local.is_none() {
            self.state = State::Done;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

impl Stream for ReaderStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let poll = self.poll_batch(cx);
        self.metrics.record_poll(poll)
    }
}

impl RecordBatchStream for ReaderStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Drop for ReaderStream {
    fn drop(&mut self) {
        if matches!(self.state, State::Done) {
            return;
        }
        // The local producer reads it from the closed channel, the others from their control queue.
        self.local = None;
        self.exchange.stop_stream(self.stream, self.producers.clone());
    }
}
