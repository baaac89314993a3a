//! `producer_task`: runs one procedure in one participant and spreads its rows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::{BaselineMetrics, Time};
use futures::future::{join_all, poll_fn};
use futures::{FutureExt, StreamExt};

use super::channel::{self, Sent};
use super::encoder::BatchEncoder;
use super::frames::Frame;
use super::partition::Partitioner;
use super::registry::{Distribution, StreamSource};
use super::state::{Exchange, LocalSender, data_channel};
use crate::error::{Error, Result};

/// Runs the procedure of `stream` to its end and tells every consumer how it ended: EndOfStream, or
/// an Error frame. A panic is an error like others.
pub async fn producer_task(
    exchange: Arc<Exchange>,
    stream: u32,
    source: StreamSource,
    local: Option<LocalSender>,
    context: Arc<TaskContext>,
) {
    let mut outlets = Outlets::new(Arc::clone(&exchange), stream, &source.distribution, local);
    let outcome = AssertUnwindSafe(produce(&source, &mut outlets, context)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(crate::panic::to_error(panic)));
    if let Err(error) = outlets.finish(outcome).await {
        exchange.fail(error);
    }
}

async fn produce(source: &StreamSource, outlets: &mut Outlets, context: Arc<TaskContext>) -> Result<()> {
    let metrics = BaselineMetrics::new(&source.metrics, 0);
    let mut partitioner = match &source.distribution {
        Distribution::Hash(keys) => {
            let own = if source.from_leader { None } else { outlets.own() };
            Some(Partitioner::new(keys.clone(), source.common.clone(), outlets.targets.len(), own))
        }
        Distribution::Broadcast | Distribution::Gather => None,
    };
    let mut input = source.input.execute(0, context)?;
    let session = Arc::clone(&outlets.exchange.session);
    loop {
        poll_fn(|cx| session.poll_checkpoint(cx)).await;
        // Looked at again on every wake: an input that gives nothing for long is dropped all the same
        // once nobody wants it.
        let next = poll_fn(|cx| match outlets.all_stopped() {
            true => Poll::Ready(None),
            false => input.poll_next_unpin(cx),
        });
        let Some(batch) = next.await.transpose()? else { break };
        if batch.num_rows() == 0 {
            continue;
        }
        metrics.record_output(batch.num_rows());
        match &mut partitioner {
            Some(partitioner) if outlets.targets.len() > 1 => {
                let timer = metrics.elapsed_compute().timer();
                let parts = partitioner.partition(&batch)?;
                timer.done();
                outlets.send_parts(&batch, parts, metrics.elapsed_compute()).await?;
            }
            _ => outlets.send_all(batch, metrics.elapsed_compute()).await?,
        }
    }
    Ok(())
}

/// Where the rows of one stream leave this participant.
struct Outlets {
    exchange: Arc<Exchange>,
    stream: u32,
    targets: Vec<Outlet>,
    encoder: BatchEncoder,
    /// Of each target, its last frame; what all get is the first's.
    frames: Vec<Vec<u8>>,
}

struct Outlet {
    consumer: u32,
    /// Own rows; `None` for another participant's queue.
    local: Option<LocalSender>,
    stopped: bool,
    rows: u64,
    bytes: u64,
}

impl Outlets {
    fn new(exchange: Arc<Exchange>, stream: u32, distribution: &Distribution, mut local: Option<LocalSender>) -> Self {
        let topology = exchange.session.topology;
        let consumers = match distribution {
            Distribution::Gather => 0..1,
            Distribution::Hash(_) | Distribution::Broadcast => topology.producers(),
        };
        let targets: Vec<_> = consumers
            .map(|consumer| {
                let local = if consumer == topology.participant { local.take() } else { None };
                Outlet { consumer, local, stopped: false, rows: 0, bytes: 0 }
            })
            .collect();
        let frames = vec![vec![]; targets.len()];
        Self { exchange, stream, targets, encoder: BatchEncoder::default(), frames }
    }

    /// The target that is this participant.
    fn own(&self) -> Option<usize> {
        let participant = self.exchange.session.topology.participant;
        self.targets.iter().position(|target| target.consumer == participant)
    }

    /// Nobody wants the rest.
    fn all_stopped(&mut self) -> bool {
        for target in &mut self.targets {
            target.stopped |= match &target.local {
                Some(local) => local.is_closed(),
                None => self.exchange.is_stopped(self.stream, target.consumer),
            };
        }
        self.targets.iter().all(|target| target.stopped)
    }

    /// Some of the rows for each target; all are offered at once, so a full queue holds up only its own.
    async fn send_parts(&mut self, batch: &RecordBatch, parts: &[Vec<u32>], time: &Time) -> Result<()> {
        let mut loads = Vec::with_capacity(parts.len());
        let timer = time.timer();
        for ((target, rows), frame) in self.targets.iter().zip(parts).zip(&mut self.frames) {
            loads.push(match (&target.local, rows.is_empty() || target.stopped) {
                (_, true) => None,
                (Some(_), _) => Some(Load::Own(take_record_batch(batch, &UInt32Array::from(rows.clone()))?)),
                (None, _) => {
                    self.encoder.encode(frame, self.stream, batch, Some(rows))?;
                    Some(Load::Frame { bytes: frame, rows: rows.len() })
                }
            });
        }
        timer.done();
        send(&self.exchange, self.stream, &mut self.targets, loads).await
    }

    /// The whole batch to every target; encoded once.
    async fn send_all(&mut self, batch: RecordBatch, time: &Time) -> Result<()> {
        let is_remote = |target: &Outlet| target.local.is_none() && !target.stopped;
        if self.targets.iter().any(is_remote) {
            let _timer = time.timer();
            self.encoder.encode(&mut self.frames[0], self.stream, &batch, None)?;
        }
        let bytes = &self.frames[0][..];
        let loads = self.targets.iter().map(|target| match (&target.local, target.stopped) {
            (_, true) => None,
            (Some(_), _) => Some(Load::Own(batch.clone())),
            (None, _) => Some(Load::Frame { bytes, rows: batch.num_rows() }),
        });
        let loads = loads.collect();
        send(&self.exchange, self.stream, &mut self.targets, loads).await
    }

    /// Tells every consumer that still listens how the procedure ended.
    async fn finish(mut self, outcome: Result<()>) -> Result<()> {
        // What ends this whole participant C raises, and the leader hears it from PostgreSQL.
        if let Err(error @ (Error::Parked | Error::Cancelled)) = outcome {
            return Err(error);
        }
        let stream = self.stream;
        let exchange = Arc::clone(&self.exchange);
        exchange.session.trace(|| match &outcome {
            Ok(()) => format!("stream {stream}: producer ends"),
            Err(error) => format!("stream {stream}: producer fails: {error}"),
        });
        let farewells = self.targets.iter_mut().filter(|target| !target.stopped).map(|target| {
            let outcome = outcome.clone();
            let exchange = &exchange;
            async move {
                match (target.local.take(), outcome) {
                    (Some(local), Err(error)) => {
                        // A closed channel: the reader is gone and needs no error.
                        let _ = local.send(Err(error.into())).await;
                        Ok(())
                    }
                    (Some(local), Ok(())) => {
                        drop(local);
                        Ok(())
                    }
                    (None, outcome) => {
                        let frame = match outcome {
                            Ok(()) => Frame::EndOfStream { stream, rows: target.rows, bytes: target.bytes },
                            Err(error) => Frame::Error { stream, error },
                        };
                        target.send(exchange, stream, Load::Frame { bytes: &frame.encode(), rows: 0 }).await
                    }
                }
            }
        });
        join_all(farewells).await.into_iter().collect()
    }
}

/// What goes out to one target.
enum Load<'a> {
    Own(RecordBatch),
    Frame { bytes: &'a [u8], rows: usize },
}

/// Sends each target its load.
async fn send(exchange: &Exchange, stream: u32, targets: &mut [Outlet], loads: Vec<Option<Load<'_>>>) -> Result<()> {
    let sends = targets.iter_mut().zip(loads).filter_map(|(target, load)| Some(target.send(exchange, stream, load?)));
    join_all(sends).await.into_iter().collect()
}

impl Outlet {
    async fn send(&mut self, exchange: &Exchange, stream: u32, load: Load<'_>) -> Result<()> {
        match load {
            Load::Own(batch) => {
                if let Some(local) = &self.local
                    && local.send(Ok(batch)).await.is_err()
                {
                    self.stopped = true; // the reader is gone
                }
            }
            Load::Frame { bytes, rows } => {
                let session = &exchange.session;
                let topology = session.topology;
                let queue = topology.queue(data_channel(stream), topology.participant, self.consumer);
                let stopped = || exchange.is_stopped(stream, self.consumer);
                let sent =
                    poll_fn(|cx| -> Poll<Result<Sent>> { channel::poll_send(session, queue, bytes, stopped, cx) })
                        .await?;
                match sent {
                    Sent::Stopped => self.stopped = true,
                    Sent::Sent => {
                        self.rows += rows as u64;
                        self.bytes += bytes.len() as u64;
                        exchange.count(stream, rows as u64, bytes.len() as u64);
                    }
                }
            }
        }
        Ok(())
    }
}
