//! Joins that keep rows without a match, where PostgreSQL evaluates a condition of the match (rung 2).
//!
//! The join below matches by its keys, and by the conditions that are native, and gives each probe row's matches one
//! after another, or the row alone:
//!
//! ```text
//! RowNumberExec ──▶ probe ┐
//!                         ├─ outer join ──▶ PostgresMatchExec: which matches hold? none: the row by itself
//! build, and a TRUE ──────┘
//! ```
//!
//! Invariant: the matches of one probe row come without those of others in between; rows without a match may.
//!
//! Of a full join the build rows are numbered instead of flagged. One whose first candidate does not hold is kept, once,
//! until all have been asked about: it comes by itself should none hold.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::{and, concat_batches, filter, filter_record_batch, is_not_null, is_null, take_record_batch};
use arrow::datatypes::{DataType, Field, SchemaRef, UInt64Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use super::calls::{Answer, Evaluation, EvaluationKind, Request};
use super::{fields_of, properties};
use crate::error::{Error, Result};
use crate::session::SessionContext;

/// Its input, and a last column that numbers the rows.
#[derive(Debug)]
pub struct RowNumberExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl RowNumberExec {
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let mut fields = fields_of(&input);
        fields.push(Field::new("row", DataType::UInt64, false));
        let properties = properties(&input, fields);
        Self { input, properties }
    }
}

impl DisplayAs for RowNumberExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowNumberExec")
    }
}

impl ExecutionPlan for RowNumberExec {
    fn name(&self) -> &str {
        "RowNumberExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(RowNumberStream { input, schema: self.schema(), next: 0 }))
    }
}

struct RowNumberStream {
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    next: u64,
}

impl Stream for RowNumberStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(batch) = ready!(self.input.poll_next_unpin(cx)).transpose()? else { return Poll::Ready(None) };
        let end = self.next + batch.num_rows() as u64;
        let numbers = UInt64Array::from_iter_values(self.next..end);
        self.next = end;
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(numbers));
        Poll::Ready(Some(Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)))
    }
}

impl RecordBatchStream for RowNumberStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// What becomes of a probe row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum MatchKind {
    /// With each of its matches, or else by itself, with NULLs.
    Outer = 1,
    /// It comes once if it has a match.
    Semi = 2,
    /// It comes if it has none.
    Anti = 3,
    /// As `Outer`; build rows without a match come by themselves, too.
    Full = 4,
}

/// Which columns of a `PostgresMatchExec`'s input are what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchColumns {
    /// The plan column of each input column but for the last two: the number of the probe row, and "match" or of a full
    /// join the number of the build row. NULL where there is no such row.
    pub inputs: Vec<u32>,
    /// Input columns that are given on.
    pub keep: Vec<usize>,
    /// Of `keep`: the first so many are of the probe side, the others of the build side.
    pub of_probe: usize,
}

/// Of the candidates for a match that its input gives, those for which all conditions are true.
#[derive(Debug)]
pub struct PostgresMatchExec {
    input: Arc<dyn ExecutionPlan>,
    kind: MatchKind,
    columns: MatchColumns,
    evaluation: Arc<Evaluation>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PostgresMatchExec {
    /// Call number `call` of the plan. Errors: XX000 when `columns` do not fit the input.
    pub fn try_new(
        call: u32,
        input: Arc<dyn ExecutionPlan>,
        kind: MatchKind,
        conditions: Vec<u32>,
        columns: MatchColumns,
    ) -> Result<Self> {
        let fields = fields_of(&input);
        let own = columns.inputs.len();
        let fits = fields.len() == own + 2
            && *fields[own].data_type() == DataType::UInt64
            && (kind != MatchKind::Full || *fields[own + 1].data_type() == DataType::UInt64);
        if !fits || columns.keep.iter().any(|&at| at >= own) || columns.of_probe > columns.keep.len() {
            return Err(Error::internal("a match does not fit its input"));
        }
        let kept = columns.keep.iter().map(|&at| fields[at].clone().with_nullable(true)).collect();
        let properties = properties(&input, kept);
        let evaluation = Evaluation {
            kind: EvaluationKind::Rows,
            call,
            inputs: columns.inputs.clone(),
            conditions,
            results: vec![],
            types: vec![],
        };
        Ok(Self {
            input,
            kind,
            columns,
            evaluation: Arc::new(evaluation),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    pub fn kind(&self) -> MatchKind {
        self.kind
    }

    pub fn columns(&self) -> &MatchColumns {
        &self.columns
    }

    pub fn evaluation(&self) -> &Evaluation {
        &self.evaluation
    }
}

impl DisplayAs for PostgresMatchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { call, conditions, .. } = self.evaluation.as_ref();
        write!(f, "PostgresMatchExec: call={call}, {:?}, conditions={conditions:?}", self.kind)
    }
}

impl ExecutionPlan for PostgresMatchExec {
    fn name(&self) -> &str {
        "PostgresMatchExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let Evaluation { call, conditions, .. } = self.evaluation.as_ref();
        let input = children.swap_remove(0);
        Ok(Arc::new(Self::try_new(*call, input, self.kind, conditions.clone(), self.columns.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        Ok(Box::pin(MatchStream {
            session: SessionContext::of(&context)?,
            input: self.input.execute(partition, Arc::clone(&context))?,
            evaluation: Arc::clone(&self.evaluation),
            matcher: Matcher {
                kind: self.kind,
                columns: self.columns.clone(),
                schema: self.schema(),
                run: None,
                build: BuildRows::new(MemoryConsumer::new("rows without a match").register(context.memory_pool())),
            },
            state: State::Idle,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Build rows, by number, about which PostgreSQL has been asked; of a full join.
struct BuildRows {
    matched: Vec<bool>,
    kept: Vec<bool>,
    /// Of those that were kept, the number and the columns of the output.
    rows: Vec<(UInt64Array, Vec<ArrayRef>)>,
    reservation: MemoryReservation,
}

impl BuildRows {
    fn new(reservation: MemoryReservation) -> Self {
        Self { matched: vec![], kept: vec![], rows: vec![], reservation }
    }

    /// Notes what became of a candidate; returns whether its build row is to be kept. Errors: 53200.
    fn note(&mut self, number: u64, passed: bool) -> Result<bool> {
        let at = number as usize;
        if at >= self.matched.len() {
            let length = (at + 1).next_power_of_two().max(1024);
            self.reservation.try_grow(2 * (length - self.matched.len()))?;
            self.matched.resize(length, false);
            self.kept.resize(length, false);
        }
        self.matched[at] |= passed;
        let keep = !self.matched[at] && !self.kept[at];
        self.kept[at] |= keep;
        Ok(keep)
    }

    fn keep(&mut self, numbers: UInt64Array, columns: Vec<ArrayRef>) -> Result<()> {
        let bytes: usize = columns.iter().map(|column| column.get_array_memory_size()).sum();
        self.reservation.try_grow(bytes + numbers.get_array_memory_size())?;
        self.rows.push((numbers, columns));
        Ok(())
    }

    /// How many of some rows matched nothing, and their columns; `None` when all such have been given.
    fn next_alone(&mut self) -> Result<Option<(usize, Vec<ArrayRef>)>> {
        let Some((numbers, columns)) = self.rows.pop() else { return Ok(None) };
        let alone: BooleanArray = numbers.values().iter().map(|&at| Some(!self.matched[at as usize])).collect();
        let columns = columns.iter().map(|column| filter(column, &alone)).collect::<Result<_, _>>()?;
        Ok(Some((alone.true_count(), columns)))
    }
}

/// Sorts candidates into matches and rows without one.
struct Matcher {
    kind: MatchKind,
    columns: MatchColumns,
    schema: SchemaRef,
    /// The probe row whose candidates came last: more of them may come.
    run: Option<Run>,
    build: BuildRows,
}

struct Run {
    row: u64,
    matched: bool,
    /// What comes out should nothing match; for the kinds that give that.
    alone: Option<RecordBatch>,
}

impl Matcher {
    /// The kept columns; those of the build side NULL when `alone`.
    fn kept(&self, batch: &RecordBatch, alone: bool) -> Result<RecordBatch> {
        let columns = self.columns.keep.iter().enumerate().map(|(at, &column)| -> ArrayRef {
            match alone && at >= self.columns.of_probe {
                true => new_null_array(batch.column(column).data_type(), batch.num_rows()),
                false => Arc::clone(batch.column(column)),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.collect(), &options)?)
    }

    fn gives_unmatched(&self) -> bool {
        self.kind != MatchKind::Semi
    }

    /// The row that the last run leaves, now that no more candidates of it come.
    fn end_run(&mut self) -> Option<RecordBatch> {
        self.run.take().filter(|run| !run.matched)?.alone
    }

    /// Build rows by themselves, after the last candidate; `None` when all have been given.
    fn next_alone(&mut self) -> Result<Option<RecordBatch>> {
        let Some((rows, of_build)) = self.build.next_alone()? else { return Ok(None) };
        let of_probe = self.schema.fields().iter().take(self.columns.of_probe);
        let columns = of_probe.map(|field| new_null_array(field.data_type(), rows)).chain(of_build).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?))
    }

    /// Notes of a full join what became of the build rows of candidates.
    fn note_build(&mut self, candidates: &RecordBatch, passed: &BooleanArray) -> Result<()> {
        let numbers = candidates.column(self.columns.inputs.len() + 1).as_primitive::<UInt64Type>();
        let mut keep = Vec::new();
        for (at, &number) in numbers.values().iter().enumerate() {
            if self.build.note(number, passed.value(at))? {
                keep.push(at as u32);
            }
        }
        if keep.is_empty() {
            return Ok(());
        }
        let kept = take_record_batch(candidates, &UInt32Array::from(keep))?;
        let of_build = &self.columns.keep[self.columns.of_probe..];
        let columns = of_build.iter().map(|&at| Arc::clone(kept.column(at))).collect();
        self.build.keep(kept.column(self.columns.inputs.len() + 1).as_primitive::<UInt64Type>().clone(), columns)
    }

    /// What `candidates` come to, of which `passed` match.
    fn push(&mut self, candidates: &RecordBatch, passed: &BooleanArray, output: &mut Vec<RecordBatch>) -> Result<()> {
        if self.kind == MatchKind::Full {
            self.note_build(candidates, passed)?;
        }
        let numbers = candidates.column(self.columns.inputs.len()).as_primitive::<UInt64Type>();
        let (mut matches, mut alone) = (Vec::new(), Vec::new());
        // The first candidate of the run that is under way, when it began in this batch.
        let mut first = None;
        for (at, &row) in numbers.values().iter().enumerate() {
            if self.run.as_ref().is_none_or(|run| run.row != row) {
                match first.take() {
                    Some(first) if self.run.as_ref().is_some_and(|run| !run.matched) => alone.push(first),
                    Some(_) => {}
                    None => output.extend(self.end_run()),
                }
                self.run = Some(Run { row, matched: false, alone: None });
                first = Some(at as u32);
            }
            let Some(run) = &mut self.run else { continue };
            if passed.value(at) {
                if matches!(self.kind, MatchKind::Outer | MatchKind::Full)
                    || (self.kind == MatchKind::Semi && !run.matched)
                {
                    matches.push(at as u32);
                }
                run.matched = true;
            }
        }
        let pick = |indices: Vec<u32>| take_record_batch(candidates, &UInt32Array::from(indices));
        if self.gives_unmatched() {
            if let Some(first) = first
                && self.run.as_ref().is_some_and(|run| !run.matched)
            {
                let alone = self.kept(&pick(vec![first])?, true)?;
                if let Some(run) = &mut self.run {
                    run.alone = Some(alone);
                }
            }
            output.push(self.kept(&pick(alone)?, true)?);
        }
        output.push(self.kept(&pick(matches)?, false)?);
        Ok(())
    }

    fn concat(&self, parts: &[RecordBatch]) -> Result<RecordBatch> {
        Ok(concat_batches(&self.schema, parts)?)
    }
}

enum State {
    /// The next batch is due.
    Idle,
    /// C is asked about candidates; beside them, what comes out whatever it says.
    Asked(RecordBatch, Vec<RecordBatch>, BoxFuture<'static, Result<Answer>>),
    /// No more input: build rows without a match are due.
    Alone,
    Done,
}

struct MatchStream {
    session: Arc<SessionContext>,
    input: SendableRecordBatchStream,
    evaluation: Arc<Evaluation>,
    matcher: Matcher,
    state: State,
    metrics: BaselineMetrics,
}

impl MatchStream {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        loop {
            match &mut self.state {
                State::Done => return Poll::Ready(Ok(None)),
                State::Idle => match ready!(self.input.poll_next_unpin(cx)) {
                    Some(batch) => {
                        let batch = batch.map_err(Error::from)?;
                        if let Some(output) = self.begin(&batch)? {
                            return Poll::Ready(Ok(Some(output)));
                        }
                    }
                    None => {
                        self.state = State::Alone;
                        if let Some(last) = self.matcher.end_run() {
                            return Poll::Ready(Ok(Some(last)));
                        }
                    }
                },
                State::Alone => match self.matcher.next_alone()? {
                    Some(batch) if batch.num_rows() == 0 => {}
                    Some(batch) => return Poll::Ready(Ok(Some(batch))),
                    None => self.state = State::Done,
                },
                State::Asked(candidates, output, asked) => {
                    let answer = ready!(asked.poll_unpin(cx))?;
                    let (candidates, mut output) = (candidates.clone(), std::mem::take(output));
                    self.state = State::Idle;
                    let passed = answer.passed.ok_or_else(|| Error::internal("an answer without conditions"))?;
                    self.matcher.push(&candidates, &passed, &mut output)?;
                    let output = self.matcher.concat(&output)?;
                    if output.num_rows() > 0 {
                        return Poll::Ready(Ok(Some(output)));
                    }
                }
            }
        }
    }

    /// Asks about the candidates of a batch; without one, gives what comes out.
    fn begin(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        let own = self.matcher.columns.inputs.len();
        let flags = batch.column(own + 1);
        let mut output = Vec::new();
        if self.matcher.gives_unmatched() && flags.null_count() > 0 {
            output.push(self.matcher.kept(&filter_record_batch(batch, &is_null(flags)?)?, true)?);
        }
        let mut both = is_not_null(flags)?;
        if self.matcher.kind == MatchKind::Full && batch.column(own).null_count() > 0 {
            let probe = batch.column(own);
            output.push(self.matcher.kept(&filter_record_batch(batch, &is_null(probe)?)?, false)?);
            both = and(&both, &is_not_null(probe)?)?;
        }
        let candidates = filter_record_batch(batch, &both)?;
        if candidates.num_rows() == 0 {
            let output = self.matcher.concat(&output)?;
            return Ok((output.num_rows() > 0).then_some(output));
        }
        let input = candidates.project(&(0..own).collect::<Vec<_>>())?;
        let request = Request::Evaluate { evaluation: Arc::clone(&self.evaluation), input };
        let asked = SessionContext::call(&self.session, request).boxed();
        self.state = State::Asked(candidates, output, asked);
        Ok(None)
    }
}

impl Stream for MatchStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = ready!(self.poll_batch(cx));
        if let Ok(Some(batch)) = &polled {
            self.metrics.record_output(batch.num_rows());
        } else {
            self.state = State::Done;
            self.metrics.done();
        }
        Poll::Ready(polled.map_err(DataFusionError::from).transpose())
    }
}

impl RecordBatchStream for MatchStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.matcher.schema)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Schema;
    use datafusion::execution::memory_pool::MemoryPool;

    use super::*;
    use crate::memory::OperatorBudget;

    /// Candidates (probe value = row number, build value, row number, flag), in batches, with what passes.
    /// Build rows are numbered by their values.
    fn run(kind: MatchKind, batches: &[&[(u64, i64, bool)]]) -> Vec<(Option<i64>, Option<i64>)> {
        let fields = ["probe", "build"].map(|name| Field::new(name, DataType::Int64, true));
        let both = matches!(kind, MatchKind::Outer | MatchKind::Full);
        let keep = if both { vec![0, 1] } else { vec![0] };
        let schema = Arc::new(Schema::new(keep.iter().map(|&at| fields[at].clone()).collect::<Vec<_>>()));
        let columns = MatchColumns { inputs: vec![0, 1], keep, of_probe: 1 };
        let pool: Arc<dyn MemoryPool> = Arc::new(OperatorBudget::new(1 << 20));
        let build = BuildRows::new(MemoryConsumer::new("test").register(&pool));
        let mut matcher = Matcher { kind, columns, schema, run: None, build };
        let mut output = Vec::new();
        for rows in batches {
            let ints = |value: &dyn Fn(&(u64, i64, bool)) -> i64| -> ArrayRef {
                Arc::new(rows.iter().map(|row| Some(value(row))).collect::<Int64Array>())
            };
            let numbers: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<UInt64Array>());
            let flags: ArrayRef = match kind {
                MatchKind::Full => Arc::new(rows.iter().map(|row| Some(row.1 as u64)).collect::<UInt64Array>()),
                _ => Arc::new(BooleanArray::from(vec![true; rows.len()])),
            };
            let named = [ints(&|row| row.0 as i64), ints(&|row| row.1), numbers, flags];
            let batch = RecordBatch::try_from_iter(["probe", "build", "row", "flag"].into_iter().zip(named)).unwrap();
            let passed = rows.iter().map(|row| Some(row.2)).collect();
            matcher.push(&batch, &passed, &mut output).unwrap();
        }
        output.extend(matcher.end_run());
        while let Some(alone) = matcher.next_alone().unwrap() {
            output.push(alone);
        }
        let mut found = Vec::new();
        for batch in output {
            let column = |at: usize| batch.column(at).as_primitive::<arrow::datatypes::Int64Type>().clone();
            for row in 0..batch.num_rows() {
                let value = |at: usize| column(at).is_valid(row).then(|| column(at).value(row));
                found.push((value(0), if batch.num_columns() > 1 { value(1) } else { None }));
            }
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn runs_across_batches() {
        let batches: [&[(u64, i64, bool)]; 4] = [
            &[(0, 1, true), (0, 2, true), (1, 3, false), (2, 4, false)],
            &[(2, 5, false), (3, 6, false)],
            &[(3, 7, true), (4, 8, false)],
            &[(4, 9, false)],
        ];
        let outer = [(0, Some(1)), (0, Some(2)), (1, None), (2, None), (3, Some(7)), (4, None)];
        assert_eq!(run(MatchKind::Outer, &batches), outer.map(|(probe, build)| (Some(probe), build)));
        assert_eq!(run(MatchKind::Semi, &batches), [0, 3].map(|probe| (Some(probe), None)));
        assert_eq!(run(MatchKind::Anti, &batches), [1, 2, 4].map(|probe| (Some(probe), None)));
        let alone = [3, 4, 5, 6, 8, 9].map(|build| (None, Some(build)));
        assert_eq!(run(MatchKind::Full, &batches), [&alone[..], &run(MatchKind::Outer, &batches)].concat());
    }

    #[test]
    fn one_candidate_each() {
        let batches: [&[(u64, i64, bool)]; 2] = [&[(7, 1, false)], &[(8, 2, true)]];
        assert_eq!(run(MatchKind::Outer, &batches), [(Some(7), None), (Some(8), Some(2))]);
        assert_eq!(run(MatchKind::Anti, &batches), [(Some(7), None)]);
        assert_eq!(run(MatchKind::Semi, &[]), []);
    }

    #[test]
    fn build_rows_come_once() {
        // 5 matches at last, 6 at first, 7 never, though it is asked about three times.
        let batches: [&[(u64, i64, bool)]; 3] = [
            &[(0, 5, false), (0, 6, true), (0, 7, false)],
            &[(1, 5, false), (1, 7, false)],
            &[(2, 5, true), (2, 6, false), (2, 7, false)],
        ];
        let full = [(None, Some(7)), (Some(0), Some(6)), (Some(1), None), (Some(2), Some(5))];
        assert_eq!(run(MatchKind::Full, &batches), full);
    }
}
