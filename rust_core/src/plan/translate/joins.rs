//! Joins: by hash or by nested loop, with an exchange on either side, and their conditions on the rungs that they can
//! stand on.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema};
use datafusion::common::{JoinSide, JoinType, ScalarValue};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExecBuilder, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use pgrx_pg_sys as pg_sys;

use super::{
    Builder, Built, Clauses, JoinNode, Layout, Operator, above, checkpoint, checkpointed, column_at, refused,
    translate_error,
};
use crate::error::{Error, Result};
use crate::exchange::{
    BuildKeysExec, CommonKeys, Distribution, DsmWriterExec, StreamKind, Treatment, has_leaf, key_hashes,
};
use crate::nested_loop::SkipProbeExec;
use crate::plan::expressions::{key, operands, stored, variables};
use crate::plan::functions::cancellable;
use crate::postgres::{MatchColumns, MatchKind, PostgresMatchExec, RowNumberExec};

impl Builder<'_, '_> {
    /// Joins, and as far as they are native checks the conditions on pairs; of an inner join the others are conditions
    /// on its rows as well.
    ///
    /// # Safety
    /// As `translate`.
    pub(super) unsafe fn join(&mut self, node: usize, join: &JoinNode, needed: &BTreeSet<usize>) -> Result<Built> {
        let tree = self.tree;
        let JoinNode { join_type, build, probe, .. } = *join;
        if build >= node || probe >= node {
            return Err(Error::internal("a join stands before its inputs"));
        }
        let mut wanted = needed.clone();
        for &expr in join.keys.iter().chain(&join.conditions) {
            wanted.extend(&self.expr(expr)?.columns);
        }
        let of_build = self.columns_below(build);
        let (build_wanted, probe_wanted) = wanted.into_iter().partition(|column| of_build.contains(column));
        // SAFETY: the caller's promise, here and below.
        let mut left = unsafe { self.build(build, &build_wanted) }?;
        let mut right = unsafe { self.build(probe, &probe_wanted) }?;

        let mut on = Vec::with_capacity(join.keys.len());
        for &clause in &join.keys {
            let [build_key, probe_key] = unsafe { self.key(clause, &left, &right) }?;
            on.push((build_key, probe_key));
        }
        if tree.participants > 1 {
            let keys = |side: usize| on.iter().map(|pair| [&pair.0, &pair.1][side].clone()).collect::<Vec<_>>();
            let (build_width, probe_width) = (tree.nodes[build].width, tree.nodes[probe].width);
            let [build_apart, probe_apart] = match &join.common {
                None => [None, None],
                Some(common) => {
                    let (side, columns) = if common.build_stays { (0, &left) } else { (1, &right) };
                    let hashes = unsafe { self.common_hashes(join, &common.values, &keys(side), columns) }?;
                    [0, 1].map(|of| {
                        let treatment = if of == side { Treatment::Stay } else { Treatment::Copy };
                        Some(CommonKeys::new(hashes.clone(), treatment))
                    })
                }
            };
            match join.build_exchange {
                None => {}
                Some(StreamKind::Hash) => {
                    let apart = |writer: DsmWriterExec| writer.with_common_keys(build_apart);
                    left = self.exchange_by(left, Distribution::Hash(keys(0)), node, build_width, 1, apart);
                }
                // What is joined to a leaf joins in the leader alone: nobody else would read its copy.
                Some(StreamKind::Broadcast) if join.probe_exchange.is_none() && has_leaf(&right.plan) => {
                    left = self.exchange(left, Distribution::Gather, node, build_width);
                }
                Some(StreamKind::Broadcast) => left = self.exchange(left, Distribution::Broadcast, node, build_width),
                Some(StreamKind::Gather) => return Err(Error::internal("a gather stands below a join")),
            }
            match join.probe_exchange {
                None => {}
                // The scans of the probe side hear of the build side's keys, where rows without one can be spared.
                Some(StreamKind::Hash) if wants_matches_only(join_type) => {
                    let by_keys = Distribution::Hash(keys(1));
                    let apart = |writer: DsmWriterExec| writer.with_runtime_filter().with_common_keys(probe_apart);
                    right = self.exchange_by(right, by_keys, node, probe_width, 1, apart);
                    let stream = self.streams.len() as u32 - 1;
                    left.plan = Arc::new(BuildKeysExec::new(stream, keys(0), left.plan));
                }
                Some(StreamKind::Hash) => {
                    let apart = |writer: DsmWriterExec| writer.with_common_keys(probe_apart);
                    right = self.exchange_by(right, Distribution::Hash(keys(1)), node, probe_width, 1, apart);
                }
                Some(_) => return Err(Error::internal("a probe side can only stay or be shuffled")),
            }
        }
        let (left, right) = (checkpointed(left), checkpointed(right));

        let both = pair(&left, &right);
        let native = unsafe { self.prefix(&join.conditions, true, &both.columns, &both.schema()) }?;
        let (native, others) = join.conditions.split_at(native);
        if join_type != JoinType::Inner && !others.is_empty() {
            // SAFETY: the caller's promise.
            return unsafe { self.matched(node, join_type, on, [left, right], [native, others], needed) };
        }
        let mut kept = needed.clone();
        for &expr in others {
            kept.extend(&self.expr(expr)?.columns);
        }
        let filter = unsafe { self.join_filter(native, &left, &right) }?;
        let (projection, columns) = output_of(join_type, &left, &right, &kept);
        let (name, plan): (_, Arc<dyn ExecutionPlan>) = if on.is_empty() {
            let nested = NestedLoopJoinExec::try_new(left.plan, right.plan, filter, &join_type, Some(projection))?;
            let plan = match join_type.empty_build_side_produces_empty_result() {
                true => Arc::new(SkipProbeExec::new(Arc::new(nested))) as _,
                false => Arc::new(nested) as _,
            };
            (nested_loop_name(join_type), plan)
        } else {
            let hash = HashJoinExecBuilder::new(left.plan, right.plan, on, join_type)
                .with_partition_mode(PartitionMode::Partitioned)
                .with_filter(filter)
                .with_projection(Some(projection))
                .build_exec()?;
            (hash_join_name(join_type), hash)
        };
        let first = native.first().copied().unwrap_or(0);
        let clauses = Clauses::Join { first, count: native.len() };
        let operator = Operator { clauses, ..Operator::new(name, node) };
        let built = Built { plan, columns, operators: above(operator, [left.operators, right.operators]) };
        let built = without_match(built, node, join_type, &both, &kept)?;
        if others.is_empty() {
            return Ok(built);
        }
        // SAFETY: the caller's promise.
        unsafe { self.filtered(built, node, others, needed) }
    }

    /// A join that gives its probe rows also, once or only without a match, or those of both sides also, and has
    /// conditions that PostgreSQL evaluates: see `postgres/matching.rs`.
    ///
    /// # Safety
    /// As `translate`.
    unsafe fn matched(
        &mut self,
        node: usize,
        join_type: JoinType,
        on: Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>,
        [build, probe]: [Built; 2],
        [native, others]: [&[usize]; 2],
        needed: &BTreeSet<usize>,
    ) -> Result<Built> {
        let kind = match join_type {
            JoinType::Right => MatchKind::Outer,
            JoinType::RightSemi => MatchKind::Semi,
            JoinType::RightAnti => MatchKind::Anti,
            JoinType::Full => MatchKind::Full,
            _ => return Err(Error::internal("a condition of this outer join cannot be PostgreSQL's")),
        };
        // SAFETY: the caller's promise.
        let filter = unsafe { self.join_filter(native, &build, &probe) }?;
        let of_build = build.columns.len();
        let of_probe = probe.columns.len();
        let (mark, marked): (_, Arc<dyn ExecutionPlan>) = if kind == MatchKind::Full {
            ("Row Number", Arc::new(RowNumberExec::new(build.plan)))
        } else {
            let schema = build.plan.schema();
            let mut flagged: Vec<_> = (0..of_build).map(|at| column_at(&schema, at)).collect();
            flagged.push((Arc::new(Literal::new(ScalarValue::Boolean(Some(true)))), "match".into()));
            ("Projection", Arc::new(ProjectionExec::try_new(flagged, build.plan)?))
        };
        let numbered = Arc::new(RowNumberExec::new(probe.plan));
        // Without keys every pair is a candidate: by a key that all rows share, a hash join keeps those of a probe row
        // together, as a nested loop does not, and gives them a batch at a time.
        let candidate_type = if kind == MatchKind::Full { JoinType::Full } else { JoinType::Right };
        let name = if on.is_empty() { nested_loop_name(candidate_type) } else { hash_join_name(candidate_type) };
        let shared = || -> Arc<dyn PhysicalExpr> { Arc::new(Literal::new(ScalarValue::Boolean(Some(true)))) };
        let on = if on.is_empty() { vec![(shared(), shared())] } else { on };
        // Of the joined row: the probe side's columns, the build side's, the number, the flag or the other number.
        let number = of_build + 1 + of_probe;
        let projection = (of_build + 1..number).chain(0..of_build).chain([number, of_build]).collect();
        let join = HashJoinExecBuilder::new(marked, numbered, on, candidate_type)
            .with_partition_mode(PartitionMode::Partitioned)
            .with_filter(filter)
            .with_projection(Some(projection))
            .build_exec()?;
        let inputs: Vec<usize> = probe.columns.iter().chain(&build.columns).copied().collect();
        let keep: Vec<usize> = (0..inputs.len()).filter(|&at| needed.contains(&inputs[at])).collect();
        let kept_of_probe = keep.iter().filter(|&&at| at < of_probe).count();
        if kind == MatchKind::Semi && kept_of_probe < keep.len() {
            return Err(Error::internal("a column of a semi-join's inner side is wanted"));
        }
        let columns = keep.iter().map(|&at| inputs[at]).collect();
        let given = MatchColumns {
            inputs: inputs.iter().map(|&column| column as u32).collect(),
            keep,
            of_probe: kept_of_probe,
        };
        let conditions = others.iter().map(|&expr| expr as u32).collect();
        let plan = PostgresMatchExec::try_new(self.next_call(), checkpoint(join), kind, conditions, given)?;

        let build = above(Operator::new(mark, node), [build.operators]);
        let probe = above(Operator::new("Row Number", node), [probe.operators]);
        let clauses = Clauses::Join { first: native.first().copied().unwrap_or(0), count: native.len() };
        let candidates = above(Operator { clauses, ..Operator::new(name, node) }, [build, probe]);
        let clauses = Clauses::Filters { first: others[0], count: others.len() };
        let operators = above(Operator { clauses, ..Operator::new(match_name(kind), node) }, [candidates]);
        Ok(Built { plan: Arc::new(plan), columns, operators })
    }

    /// # Safety
    /// As `translate`.
    unsafe fn key(&self, clause: usize, left: &Built, right: &Built) -> Result<[Arc<dyn PhysicalExpr>; 2]> {
        let clause = self.expr(clause)?.node;
        let (left_schema, right_schema) = (left.plan.schema(), right.plan.schema());
        let build = Layout { columns: &left.columns, schema: &left_schema };
        let probe = Layout { columns: &right.columns, schema: &right_schema };
        // SAFETY: the caller's promise.
        unsafe {
            let [first, _] = operands(clause).map_err(refused)?;
            let of_build = |var: &pg_sys::Var| left.columns.iter().any(|&at| at + 1 == var.varattno as usize);
            if variables(first).map_err(refused)?.into_iter().all(of_build) {
                key(self.tree.host, clause, &build, &probe).map_err(translate_error)
            } else {
                let [probe_key, build_key] = key(self.tree.host, clause, &probe, &build).map_err(translate_error)?;
                Ok([build_key, probe_key])
            }
        }
    }

    /// The hashes of the keys that `values` are: of rows of one side that have them in the columns of its `keys`. A value
    /// that the column would not hold is left out.
    ///
    /// # Safety
    /// As `translate`.
    unsafe fn common_hashes(
        &self,
        join: &JoinNode,
        values: &[usize],
        keys: &[Arc<dyn PhysicalExpr>],
        side: &Built,
    ) -> Result<Vec<u64>> {
        let schema = side.plan.schema();
        let place = |&key: &usize| {
            let columns = &self.expr(key)?.columns;
            let place = side.columns.iter().position(|column| columns.contains(column));
            place.ok_or_else(|| Error::internal("a common key is of no column"))
        };
        let places = join.keys.iter().map(place).collect::<Result<Vec<_>>>()?;
        let mut columns = vec![vec![]; places.len()];
        for row in values.chunks_exact(places.len().max(1)) {
            let value = |(&expr, &at): (&usize, &usize)| {
                // SAFETY: the caller's promise.
                let value = unsafe { stored(self.tree.host, self.expr(expr)?.node, schema.field(at).data_type()) };
                value.map_err(translate_error)
            };
            if let Some(row) = row.iter().zip(&places).map(value).collect::<Result<Option<Vec<_>>>>()? {
                columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
            }
        }
        let count = columns.first().map_or(0, Vec::len);
        if count == 0 {
            return Ok(vec![]);
        }
        let array = |(at, field): (usize, &Arc<Field>)| match places.iter().position(|&place| place == at) {
            Some(key) => ScalarValue::iter_to_array(columns[key].iter().cloned()),
            None => Ok(new_null_array(field.data_type(), count)),
        };
        let arrays = schema.fields().iter().enumerate().map(array).collect::<Result<_, _>>()?;
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), arrays)?;
        Ok(key_hashes(keys, &rows)?)
    }

    /// # Safety
    /// As `translate`.
    unsafe fn join_filter(&self, clauses: &[usize], left: &Built, right: &Built) -> Result<Option<JoinFilter>> {
        let mut used: BTreeSet<usize> = BTreeSet::new();
        for &clause in clauses {
            used.extend(&self.expr(clause)?.columns);
        }
        let mut indices = Vec::new();
        let mut fields: Vec<Arc<Field>> = Vec::new();
        let mut columns = Vec::new();
        for (side, built) in [(JoinSide::Left, left), (JoinSide::Right, right)] {
            let schema = built.plan.schema();
            for (index, &column) in built.columns.iter().enumerate() {
                if used.contains(&column) {
                    indices.push(ColumnIndex { index, side });
                    fields.push(Arc::clone(&schema.fields()[index]));
                    columns.push(column);
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        // SAFETY: the caller's promise.
        let predicate = unsafe { self.conjunction(clauses, &columns, &schema) }?;
        Ok(predicate.map(|predicate| JoinFilter::new(cancellable(predicate), indices, schema)))
    }
}

/// Do probe rows without a match make no difference? (`JoinType::on_lr_is_preserved` of DataFusion.)
fn wants_matches_only(join_type: JoinType) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftSemi, RightSemi};
    matches!(join_type, Inner | Left | LeftSemi | LeftAnti | RightSemi)
}

/// Above an anti-join the columns of the other side are NULL.
fn without_match(built: Built, node: usize, join_type: JoinType, both: &Pair, kept: &BTreeSet<usize>) -> Result<Built> {
    let is_missing = |at: &usize| kept.contains(&both.columns[*at]) && !built.columns.contains(&both.columns[*at]);
    let missing: Vec<usize> = (0..both.columns.len()).filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(built);
    }
    if !matches!(join_type, JoinType::LeftAnti | JoinType::RightAnti) {
        return Err(Error::internal("a column of a semi-join's inner side is wanted"));
    }
    let schema = built.plan.schema();
    let mut exprs: Vec<_> = (0..schema.fields().len()).map(|at| column_at(&schema, at)).collect();
    let mut columns = built.columns;
    for at in missing {
        let null = ScalarValue::try_new_null(both.fields[at].data_type())?;
        exprs.push((Arc::new(Literal::new(null)), both.fields[at].name().clone()));
        columns.push(both.columns[at]);
    }
    let plan = Arc::new(ProjectionExec::try_new(exprs, checkpoint(built.plan))?);
    let operators = above(Operator::new("Projection", node), [built.operators]);
    Ok(Built { plan, columns, operators })
}

/// The columns of both sides of a join, as one sub-plan that nobody runs.
struct Pair {
    columns: Vec<usize>,
    fields: Vec<Arc<Field>>,
}

impl Pair {
    fn schema(&self) -> Schema {
        Schema::new(self.fields.clone())
    }
}

fn pair(left: &Built, right: &Built) -> Pair {
    let fields = |built: &Built| built.plan.schema().fields().iter().cloned().collect::<Vec<_>>();
    Pair { columns: [left.columns.as_slice(), &right.columns].concat(), fields: [fields(left), fields(right)].concat() }
}

/// What a join gives of `needed`: places in its own row, and the columns there; in the order of the columns.
fn output_of(join_type: JoinType, left: &Built, right: &Built, needed: &BTreeSet<usize>) -> (Vec<usize>, Vec<usize>) {
    let row: Vec<usize> = match join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => left.columns.clone(),
        JoinType::RightSemi | JoinType::RightAnti => right.columns.clone(),
        _ => [left.columns.as_slice(), &right.columns].concat(),
    };
    let mut output: Vec<(usize, usize)> = row.into_iter().enumerate().map(|(at, column)| (column, at)).collect();
    output.retain(|(column, _)| needed.contains(column));
    output.sort_unstable();
    output.into_iter().map(|(column, at)| (at, column)).unzip()
}

/// As PostgreSQL names them where the probe side is the outer one; "Right" is of the build side.
fn hash_join_name(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Left => "Hash Right Join",
        JoinType::Right => "Hash Left Join",
        JoinType::Full => "Hash Full Join",
        JoinType::LeftSemi => "Hash Right Semi Join",
        JoinType::RightSemi => "Hash Semi Join",
        JoinType::LeftAnti => "Hash Right Anti Join",
        JoinType::RightAnti => "Hash Anti Join",
        _ => "Hash Join",
    }
}

fn match_name(kind: MatchKind) -> &'static str {
    match kind {
        MatchKind::Outer => "PostgreSQL Left Match",
        MatchKind::Semi => "PostgreSQL Semi Match",
        MatchKind::Anti => "PostgreSQL Anti Match",
        MatchKind::Full => "PostgreSQL Full Match",
    }
}

fn nested_loop_name(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Left => "Nested Loop Right Join",
        JoinType::Right => "Nested Loop Left Join",
        JoinType::Full => "Nested Loop Full Join",
        JoinType::LeftSemi => "Nested Loop Right Semi Join",
        JoinType::RightSemi => "Nested Loop Semi Join",
        JoinType::LeftAnti => "Nested Loop Right Anti Join",
        JoinType::RightAnti => "Nested Loop Anti Join",
        _ => "Nested Loop",
    }
}
