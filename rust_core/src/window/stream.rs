//! Cuts sorted rows at the ends of partitions.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{concat, concat_batches, partition};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::{PhysicalExpr, RecordBatchStream};
use futures::{Stream, StreamExt};

use super::Window;
use super::frames::Rows;

/// Bytes a row that the numbers of partitions, peers and frames take while functions are evaluated.
const PER_ROW: usize = 160;

pub(super) struct WindowStream {
    window: Window,
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    batch_size: usize,
    /// Rows of a partition that may go on, and of complete ones before it.
    kept: Vec<RecordBatch>,
    /// The partition keys of the last row; one row each.
    last: Option<Vec<ArrayRef>>,
    /// Rows of complete partitions, with their functions.
    out: VecDeque<RecordBatch>,
    ended: bool,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl WindowStream {
    pub fn new(
        window: Window,
        input: SendableRecordBatchStream,
        schema: SchemaRef,
        batch_size: usize,
        reservation: MemoryReservation,
        metrics: BaselineMetrics,
    ) -> Self {
        let (kept, last, out, ended) = (vec![], None, VecDeque::new(), false);
        Self { window, input, schema, batch_size, kept, last, out, ended, reservation, metrics }
    }

    fn keep(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let _timer = self.metrics.elapsed_compute().clone();
        let _timer = _timer.timer();
        let keys = arrays(&self.window.partition, &batch)?;
        let mut cut = None;
        if !keys.is_empty() {
            let begin = partition(&keys)?.ranges().last().map_or(0, |run| run.start);
            // The last partition of the batch is the first one too: does it go on from what is kept?
            cut = (begin > 0 || !self.goes_on(&keys)?).then_some(begin);
            self.last = Some(keys.iter().map(|key| key.slice(batch.num_rows() - 1, 1)).collect());
        }
        match cut {
            None => self.kept.push(batch),
            Some(begin) => {
                if begin > 0 {
                    self.kept.push(batch.slice(0, begin));
                }
                self.evaluate()?;
                self.kept.push(batch.slice(begin, batch.num_rows() - begin));
            }
        }
        self.reserve(1, 0)
    }

    fn goes_on(&self, keys: &[ArrayRef]) -> Result<bool> {
        let Some(last) = &self.last else { return Ok(true) };
        let pair = |(last, key): (&ArrayRef, &ArrayRef)| concat(&[last.as_ref(), key.slice(0, 1).as_ref()]);
        let pairs = last.iter().zip(keys).map(pair).collect::<Result<Vec<_>, _>>()?;
        Ok(partition(&pairs)?.len() == 1)
    }

    /// What is kept `times` over, and `rows` rows under evaluation.
    fn reserve(&mut self, times: usize, rows: usize) -> Result<()> {
        let kept: usize = self.kept.iter().map(RecordBatch::get_array_memory_size).sum();
        self.reservation.try_resize(kept * times + rows * PER_ROW)
    }

    /// What is kept is complete.
    fn evaluate(&mut self) -> Result<()> {
        let rows = self.kept.iter().map(RecordBatch::num_rows).sum();
        if rows == 0 {
            return Ok(());
        }
        self.reserve(2, rows)?;
        let batch = match &self.kept[..] {
            [only] => only.clone(),
            several => concat_batches(&self.input.schema(), several)?,
        };
        self.kept.clear();
        let order = arrays(&self.window.order, &batch)?;
        let rows = Rows::new(batch.num_rows(), &arrays(&self.window.partition, &batch)?, &order)?;
        let mut columns = batch.columns().to_vec();
        for function in &self.window.functions {
            columns.push(function.evaluate(&batch, &rows)?);
        }
        let whole = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let mut at = 0;
        while at < whole.num_rows() {
            let count = self.batch_size.min(whole.num_rows() - at);
            self.out.push_back(whole.slice(at, count));
            at += count;
        }
        Ok(())
    }
}

fn arrays(exprs: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
}

impl Stream for WindowStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = self.out.pop_front() {
                let poll = Poll::Ready(Some(Ok(batch)));
                return self.metrics.record_poll(poll);
            }
            if self.ended {
                self.reservation.free();
                return Poll::Ready(None);
            }
            let done = match ready!(self.input.poll_next_unpin(cx)) {
                Some(batch) => batch.and_then(|batch| self.keep(batch)),
                None => {
                    self.ended = true;
                    let _timer = self.metrics.elapsed_compute().clone();
                    let _timer = _timer.timer();
                    self.evaluate()
                }
            };
            if let Err(error) = done {
                self.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl RecordBatchStream for WindowStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
