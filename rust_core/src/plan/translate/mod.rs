//! Join tree → physical plan, with a writer/reader pair wherever rows change participants.
//!
//! Columns are pruned on the way up: a node gives exactly the columns that something above needs. The order
//! of joins is PostgreSQL's and stays; `joins.rs` makes them. `rungs.rs` decides, clause by clause, who evaluates it.

mod groups;
mod joins;
mod order;
mod rungs;
mod sets;
mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::JoinType;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use pgrx_pg_sys as pg_sys;

use super::expressions::{Columns, TranslateError};
use super::types::{Decline, TypeLayout, arrow_type};
use crate::checkpoint::CheckpointExec;
use crate::error::{Error, Result};
use crate::exchange::{Distribution, DsmReaderExec, DsmWriterExec, StreamKind};
use crate::host::Host;
use crate::postgres::{LeafColumn, PostgresLeafExec};
use crate::scan::{HeapScanExec, Scan, ScanColumn};
use crate::window::{Frame, Kind};

/// One column that the plan knows; `PgjsColumn` in C.
#[derive(Clone, Copy, Debug)]
pub struct TreeColumn {
    pub source: ColumnSource,
    pub typid: u32,
    pub typmod: i32,
    pub layout: TypeLayout,
}

impl TreeColumn {
    /// What it is in the plan, as it comes from a heap page.
    fn arrow_type(&self) -> Result<DataType> {
        arrow_type(self.typid.into(), self.typmod, self.layout).map_err(refused)
    }

    /// What it is in the plan where PostgreSQL computes it. Nobody holds such a numeric to a declared precision, and
    /// its display scale is part of it.
    fn computed_type(&self) -> Result<DataType> {
        let typmod = if self.is_numeric() { -1 } else { self.typmod };
        arrow_type(self.typid.into(), typmod, self.layout).map_err(refused)
    }

    fn is_numeric(&self) -> bool {
        self.typid == pg_sys::NUMERICOID.to_u32()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnSource {
    /// Attribute `attno` (from 1) of heap scan `scan`.
    Scan { scan: u32, attno: u32 },
    /// Position (from 1) in the rows of PostgreSQL leaf `leaf`.
    Leaf { leaf: u32, position: u32 },
    /// The value of `Tree::exprs[expr]`, computed at the node that has it among its results.
    Computed { expr: usize },
}

/// One node of the join tree; `PgjsTreeNode` in C. Clauses are indexes into `Tree::exprs`.
#[derive(Clone, Debug)]
pub struct TreeNode {
    pub kind: TreeKind,
    /// Conditions on its rows, in order of evaluation.
    pub filters: Vec<usize>,
    /// What is computed of each of its rows.
    pub results: Vec<usize>,
    /// Estimated bytes a row.
    pub width: u32,
}

#[derive(Clone, Debug)]
pub enum TreeKind {
    /// A heap table.
    Scan(u32),
    /// A plan that PostgreSQL runs in the leader.
    Leaf(u32),
    Join(JoinNode),
    Aggregate(AggregateNode),
    Sort(SortNode),
    Window(WindowNode),
    Filter(FilterNode),
}

#[derive(Clone, Debug)]
pub struct AggregateNode {
    pub input: usize,
    /// Between the partial groups of each participant and the final ones; `None`: the rows are in one place.
    pub exchange: Option<StreamKind>,
    /// e = e for each grouping expression e; none: one group of all rows.
    pub keys: Vec<usize>,
    /// Aggrefs.
    pub aggregates: Vec<usize>,
    /// None: one, of all keys.
    pub sets: Vec<GroupingSet>,
    /// What tells the sets apart: numbers that each set has.
    pub groupings: Vec<usize>,
}

impl AggregateNode {
    /// What it computes; some keys may be columns themselves.
    fn outputs(&self) -> impl Iterator<Item = usize> + '_ {
        self.keys.iter().chain(&self.aggregates).chain(&self.groupings).copied()
    }
}

/// Rows are grouped by some of the keys; the others are NULL in such groups.
#[derive(Clone, Debug)]
pub struct GroupingSet {
    /// A bit for each key that the set has, from the lowest.
    pub keys: u64,
    /// The value of each of [`AggregateNode::groupings`].
    pub values: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct SortNode {
    pub input: usize,
    /// Gather, or `None` where the rows are in one place.
    pub exchange: Option<StreamKind>,
    /// e < e, or e > e where it is descending, for each sort expression e.
    pub keys: Vec<usize>,
    /// A bit for each key, from the lowest.
    pub nulls_first: u64,
    /// So many rows suffice.
    pub limit: Option<usize>,
    /// Without a limit: of the rows that are equal in so many of the first keys, the first alone. With one: the rows that
    /// are equal in them to the last one come too. 0: neither.
    pub cut_keys: usize,
}

/// Conditions that PostgreSQL evaluates, in the leader alone: those with subqueries.
#[derive(Clone, Debug)]
pub struct FilterNode {
    pub input: usize,
    /// Gather, or `None` where the rows are in the leader.
    pub exchange: Option<StreamKind>,
    /// In order of evaluation; one run of `Tree::exprs`.
    pub conditions: Vec<usize>,
}

/// Window functions over one PARTITION BY and ORDER BY.
#[derive(Clone, Debug)]
pub struct WindowNode {
    pub input: usize,
    /// By the hash of the keys, or a gather; `None` where all rows of a partition are in one place.
    pub exchange: Option<StreamKind>,
    /// e = e for each expression of PARTITION BY.
    pub keys: Vec<usize>,
    /// As the keys of a [`SortNode`].
    pub order: Vec<usize>,
    pub nulls_first: u64,
    pub functions: Vec<WindowCall>,
}

#[derive(Clone, Debug)]
pub struct WindowCall {
    /// None: an aggregate.
    pub kind: Option<Kind>,
    /// What it is computed from; the Aggref. The first is the function's column.
    pub exprs: Vec<usize>,
    pub frame: Frame,
}

#[derive(Clone, Debug)]
pub struct JoinNode {
    /// Left is the build side.
    pub join_type: JoinType,
    pub build: usize,
    pub probe: usize,
    pub build_exchange: Option<StreamKind>,
    pub probe_exchange: Option<StreamKind>,
    /// Equalities that are hashed; none: a nested loop.
    pub keys: Vec<usize>,
    /// Keys that both exchanges, by hash, set apart.
    pub common: Option<CommonKeyValues>,
    /// What else must hold for two rows to match, in order of evaluation.
    pub conditions: Vec<usize>,
}

/// Common keys of a join, by the columns of the side whose rows with such a key stay where they are.
#[derive(Clone, Debug)]
pub struct CommonKeyValues {
    pub build_stays: bool,
    /// Consts: a value for each of the join's keys, which are mere columns on that side, of one common key after another.
    pub values: Vec<usize>,
}

/// A clause or an expression, and the columns that it mentions.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Bound; its Vars are (INDEX_VAR, position in `Tree::columns` from 1).
    pub node: *const pg_sys::Node,
    pub columns: Vec<usize>,
}

pub struct Tree<'a> {
    pub host: &'a dyn Host,
    /// Children before parents; the last is the root.
    pub nodes: Vec<TreeNode>,
    pub columns: Vec<TreeColumn>,
    pub exprs: Vec<Expr>,
    /// Names for display.
    pub tables: Vec<String>,
    pub leaves: Vec<String>,
    /// The plan gives the first `output` columns.
    pub output: usize,
    /// With 1 the plan has no exchange.
    pub participants: u32,
}

impl Tree<'_> {
    /// Are the rows of a node in the leader alone, by a gather of its own or below it, or from a leaf?
    fn is_gathered(&self, node: usize) -> bool {
        let (exchange, input) = match self.nodes.get(node).map(|node| &node.kind) {
            Some(TreeKind::Aggregate(aggregate)) => (aggregate.exchange, aggregate.input),
            Some(TreeKind::Sort(sort)) => (sort.exchange, sort.input),
            Some(TreeKind::Window(window)) => (window.exchange, window.input),
            Some(TreeKind::Filter(filter)) => (filter.exchange, filter.input),
            Some(TreeKind::Leaf(_)) => return true,
            _ => return false,
        };
        exchange == Some(StreamKind::Gather) || (exchange.is_none() && input < node && self.is_gathered(input))
    }
}

/// One operator of a plan, in pre-order.
#[derive(Clone, Debug)]
pub struct Operator {
    pub name: &'static str,
    pub detail: Option<String>,
    pub depth: u32,
    /// Index into `Tree::nodes` that it stems from.
    pub tree_node: Option<usize>,
    pub stream: Option<u32>,
    pub clauses: Clauses,
}

impl Operator {
    fn new(name: &'static str, node: usize) -> Self {
        Self { name, detail: None, depth: 0, tree_node: Some(node), stream: None, clauses: Clauses::None }
    }
}

/// What an operator evaluates: of its tree node, or the exprs `first..first + count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clauses {
    None,
    /// Conditions on rows.
    Filters {
        first: usize,
        count: usize,
    },
    /// The tree node's keys, and conditions on pairs of rows.
    Join {
        first: usize,
        count: usize,
    },
    /// The tree node's keys.
    Keys,
    /// Values.
    Results,
    /// The tree node's keys, which rows are grouped by, and those of its aggregates that have a native form.
    Groups {
        first: usize,
        count: usize,
    },
    /// Aggregates that PostgreSQL computes.
    Aggregates {
        first: usize,
        count: usize,
    },
    /// The tree node's keys, which rows are sorted by.
    Order,
    /// The tree node's keys and order, which make windows.
    Window,
}

impl Clauses {
    /// Its exprs, where they are its own.
    pub fn range(&self) -> std::ops::Range<usize> {
        match *self {
            Self::Filters { first, count }
            | Self::Join { first, count }
            | Self::Groups { first, count }
            | Self::Aggregates { first, count } => first..first + count,
            Self::None | Self::Keys | Self::Results | Self::Order | Self::Window => 0..0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct StreamInfo {
    pub kind: StreamKind,
    /// Estimated bytes a row.
    pub width: u32,
}

pub struct Translated {
    pub plan: Arc<dyn ExecutionPlan>,
    pub operators: Vec<Operator>,
    pub streams: Vec<StreamInfo>,
    /// Evaluations that PostgreSQL does.
    pub calls: u32,
}

/// A sub-plan, the columns that it gives, and its operators.
struct Built {
    plan: Arc<dyn ExecutionPlan>,
    columns: Vec<usize>,
    operators: Vec<Operator>,
}

/// Translates the whole tree. XX000 where the planner let through what cannot be translated.
///
/// # Safety
/// `tree.exprs` are valid expression trees.
pub unsafe fn translate(tree: &Tree<'_>) -> Result<Translated> {
    let root = tree.nodes.len().checked_sub(1).ok_or_else(|| Error::internal("the join tree is empty"))?;
    let mut builder = Builder { tree, streams: Vec::new(), calls: 0 };
    let needed = (0..tree.output).collect();
    // SAFETY: the caller's promise.
    let built = unsafe { builder.build(root, &needed) }?;
    let mut built = builder.output(built)?;
    if tree.participants > 1 && !tree.is_gathered(root) {
        built = builder.exchange(built, Distribution::Gather, root, tree.nodes[root].width);
    }
    Ok(Translated { plan: built.plan, operators: built.operators, streams: builder.streams, calls: builder.calls })
}

/// A Var as a column of some sub-plan.
struct Layout<'a> {
    columns: &'a [usize],
    schema: &'a Schema,
}

impl Columns for Layout<'_> {
    fn column(&self, var: &pg_sys::Var) -> Result<(Arc<dyn PhysicalExpr>, DataType), TranslateError> {
        let wanted = usize::try_from(var.varattno - 1).map_err(|_| Decline::new("system column"))?;
        let index = self.columns.iter().position(|&column| column == wanted);
        let index = index.ok_or_else(|| Decline(format!("column {wanted} is not at hand")))?;
        let field = self.schema.field(index);
        Ok((Arc::new(Column::new(field.name(), index)), field.data_type().clone()))
    }
}

struct Builder<'a, 'b> {
    tree: &'a Tree<'b>,
    streams: Vec<StreamInfo>,
    calls: u32,
}

impl Builder<'_, '_> {
    /// # Safety
    /// As `translate`.
    unsafe fn build(&mut self, node: usize, needed: &BTreeSet<usize>) -> Result<Built> {
        let tree = self.tree;
        let TreeNode { kind, filters, results, .. } =
            tree.nodes.get(node).ok_or_else(|| Error::internal("the join tree is damaged"))?;
        let (results, below) = self.split_results(results, needed);
        let mut wanted: BTreeSet<usize> = below.clone();
        for &expr in filters.iter().chain(results.iter().map(|(expr, _)| expr)) {
            wanted.extend(&self.expr(expr)?.columns);
        }
        // SAFETY: the caller's promise.
        unsafe {
            let mut kept = below.clone();
            for &(expr, _) in &results {
                kept.extend(&self.expr(expr)?.columns);
            }
            let (built, rest) = match kind {
                TreeKind::Scan(scan) => self.scan(node, *scan, &wanted, filters, &kept)?,
                TreeKind::Leaf(leaf) => (self.leaf(node, *leaf, &wanted)?, filters.as_slice()),
                TreeKind::Join(join) => (self.join(node, join, &wanted)?, filters.as_slice()),
                TreeKind::Aggregate(aggregate) => (self.aggregate(node, aggregate, &wanted)?, filters.as_slice()),
                TreeKind::Sort(sort) => (self.sort(node, sort, &wanted)?, filters.as_slice()),
                TreeKind::Window(window) => (self.window(node, window, &wanted)?, filters.as_slice()),
                TreeKind::Filter(filter) => (self.in_leader(node, filter, &wanted)?, filters.as_slice()),
            };
            let built = self.filtered(built, node, rest, &kept)?;
            self.computed(built, node, &results, &below)
        }
    }

    /// Of the columns that are needed of a node: those that it computes, with their exprs, and those from below it.
    fn split_results(&self, results: &[usize], needed: &BTreeSet<usize>) -> (Vec<(usize, usize)>, BTreeSet<usize>) {
        let (mut computed, mut below) = (Vec::new(), BTreeSet::new());
        for &column in needed {
            match self.tree.columns.get(column).map(|column| column.source) {
                Some(ColumnSource::Computed { expr }) if results.contains(&expr) => computed.push((expr, column)),
                _ => {
                    below.insert(column);
                }
            }
        }
        (computed, below)
    }

    /// A scan that evaluates the first of `filters`, as far as they are native, and what is left of them. It reads the
    /// columns `wanted` and gives those that are `kept`, or mentioned by the filters that are left.
    ///
    /// # Safety
    /// As `translate`.
    unsafe fn scan<'f>(
        &mut self,
        node: usize,
        scan: u32,
        wanted: &BTreeSet<usize>,
        filters: &'f [usize],
        kept: &BTreeSet<usize>,
    ) -> Result<(Built, &'f [usize])> {
        let table = self.tree.tables.get(scan as usize).cloned().unwrap_or_default();
        let columns: Vec<usize> = wanted.iter().copied().collect();
        let scan_columns = columns
            .iter()
            .map(|&column| {
                let info = self.column(column)?;
                match info.source {
                    ColumnSource::Scan { scan: from, attno } if from == scan => Ok(ScanColumn {
                        attno,
                        typid: info.typid,
                        typmod: info.typmod,
                        layout: info.layout,
                        name: format!("{table}.{scan}.{attno}"),
                    }),
                    _ => Err(Error::internal("a scan is asked for a column of something else")),
                }
            })
            .collect::<Result<_>>()?;
        let all = Scan::new(scan_columns)?;
        // SAFETY: the caller's promise, here and below.
        let native = unsafe { self.prefix(filters, true, &columns, &all.input) }?;
        let (native, rest) = filters.split_at(native);
        let conditions = unsafe { self.scan_filters(native, &columns, &all.input) }?;
        let mut given = kept.clone();
        for &expr in rest {
            given.extend(&self.expr(expr)?.columns);
        }
        let output: Vec<usize> = (0..columns.len()).filter(|&at| given.contains(&columns[at])).collect();
        let columns = output.iter().map(|&at| columns[at]).collect();
        let read = Scan::with_filters(all.columns, conditions, output)?;
        let heap = Arc::new(HeapScanExec::new(scan, table.clone(), read));
        let mut operators = vec![Operator { detail: Some(table), ..Operator::new("Heap Scan", node) }];
        if let [first, ..] = native {
            let clauses = Clauses::Filters { first: *first, count: native.len() };
            operators = above(Operator { clauses, ..Operator::new("Filter", node) }, [operators]);
        }
        Ok((Built { plan: heap, columns, operators }, rest))
    }

    /// # Safety
    /// As `translate`.
    unsafe fn leaf(&mut self, node: usize, leaf: u32, wanted: &BTreeSet<usize>) -> Result<Built> {
        let title = self.tree.leaves.get(leaf as usize).cloned().unwrap_or_default();
        let columns: Vec<usize> = wanted.iter().copied().collect();
        let leaf_columns = columns
            .iter()
            .map(|&column| {
                let info = self.column(column)?;
                match info.source {
                    ColumnSource::Leaf { leaf: from, position } if from == leaf => {
                        let name = format!("{title}.{leaf}.{position}");
                        Ok(LeafColumn { position, data_type: info.computed_type()?, name })
                    }
                    _ => Err(Error::internal("a leaf is asked for a column of something else")),
                }
            })
            .collect::<Result<_>>()?;
        let plan = Arc::new(PostgresLeafExec::new(leaf, title.clone(), leaf_columns));
        let operator = Operator { detail: Some(title), ..Operator::new("PostgreSQL Plan", node) };
        Ok(Built { plan, columns, operators: vec![operator] })
    }

    /// Puts a stream between `built` and what reads it; `node` is the join whose keys spread it.
    fn exchange(&mut self, built: Built, distribution: Distribution, node: usize, width: u32) -> Built {
        self.exchange_by(built, distribution, node, width, 1, |writer| writer)
    }

    /// A gather of rows that each participant has sorted, in the same order.
    fn gather_sorted(
        &mut self,
        built: Built,
        order: LexOrdering,
        fetch: Option<usize>,
        node: usize,
        width: u32,
    ) -> Built {
        if built.plan.schema().fields().is_empty() {
            return self.exchange(built, Distribution::Gather, node, width); // rows that are all alike
        }
        let participants = self.tree.participants;
        let built = self.exchange_by(built, Distribution::Gather, node, width, participants, |writer| writer);
        let plan = Arc::new(SortPreservingMergeExec::new(order, built.plan).with_fetch(fetch));
        Built { plan, operators: above(Operator::new("Merge", node), [built.operators]), ..built }
    }

    /// As [`exchange`](Self::exchange); the reader has so many partitions, and `adapt` has the last word on the writer.
    fn exchange_by(
        &mut self,
        built: Built,
        distribution: Distribution,
        node: usize,
        width: u32,
        partitions: u32,
        adapt: impl FnOnce(DsmWriterExec) -> DsmWriterExec,
    ) -> Built {
        let stream = self.streams.len() as u32;
        let kind = distribution.kind();
        self.streams.push(StreamInfo { kind, width });
        let clauses = if kind == StreamKind::Hash { Clauses::Keys } else { Clauses::None };
        let operator = |name, clauses| Operator { stream: Some(stream), clauses, ..Operator::new(name, node) };
        let writer = Arc::new(adapt(DsmWriterExec::new(stream, distribution, built.plan)));
        let reader = Arc::new(DsmReaderExec::with_partitions(stream, kind, partitions, writer));
        let below = above(operator("Writer", clauses), [built.operators]);
        Built { plan: reader, columns: built.columns, operators: above(operator("Reader", Clauses::None), [below]) }
    }

    /// The root's rows as C wants them: the first columns in their order, each of a type that emits as its own.
    fn output(&self, built: Built) -> Result<Built> {
        let schema = built.plan.schema();
        let mut exprs = Vec::with_capacity(self.tree.output);
        for column in 0..self.tree.output {
            let at = built.columns.iter().position(|&have| have == column);
            let at = at.ok_or_else(|| Error::internal("an output column is missing"))?;
            let (info, found) = (self.column(column)?, schema.field(at).data_type());
            let own = *found == info.arrow_type()? || *found == info.computed_type()?;
            let fits = own || (info.is_numeric() && found.is_decimal());
            if !fits {
                return Err(Error::internal(format!("output column {column} has become {found}")));
            }
            exprs.push(column_at(&schema, at));
        }
        if built.columns.iter().copied().eq(0..self.tree.output) {
            return Ok(built);
        }
        let plan = Arc::new(ProjectionExec::try_new(exprs, built.plan)?);
        let operators = above(Operator { tree_node: None, ..Operator::new("Projection", 0) }, [built.operators]);
        Ok(Built { plan, columns: (0..self.tree.output).collect(), operators })
    }

    fn expr(&self, expr: usize) -> Result<&Expr> {
        self.tree.exprs.get(expr).ok_or_else(|| Error::internal("a clause is missing"))
    }

    /// The column whose values are those of an expression.
    fn column_of(&self, expr: usize) -> Option<usize> {
        self.tree.columns.iter().position(|column| column.source == ColumnSource::Computed { expr })
    }

    fn column(&self, column: usize) -> Result<TreeColumn> {
        self.tree.columns.get(column).copied().ok_or_else(|| Error::internal("a column is missing"))
    }

    /// The columns that a node can give.
    fn columns_below(&self, node: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![node];
        while let Some(TreeNode { kind, results, .. }) = waiting.pop().map(|node| &self.tree.nodes[node]) {
            match kind {
                TreeKind::Join(join) => waiting.extend([join.build, join.probe]),
                TreeKind::Aggregate(aggregate) => waiting.push(aggregate.input),
                _ => {}
            }
            found.extend(self.tree.columns.iter().enumerate().filter_map(|(at, column)| {
                let here = match (column.source, kind) {
                    (ColumnSource::Scan { scan, .. }, TreeKind::Scan(here)) => scan == *here,
                    (ColumnSource::Leaf { leaf, .. }, TreeKind::Leaf(here)) => leaf == *here,
                    (ColumnSource::Computed { expr }, _) => results.contains(&expr),
                    _ => false,
                };
                here.then_some(at)
            }));
        }
        found
    }
}

/// A column passed on by a projection, under its name.
fn column_at(schema: &Schema, at: usize) -> (Arc<dyn PhysicalExpr>, String) {
    let name = schema.field(at).name();
    (Arc::new(Column::new(name, at)), name.clone())
}

fn checkpoint(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    Arc::new(CheckpointExec::new(plan, false))
}

/// A join right below something that asks for more while it finds nothing gets a checkpoint between them; readers and
/// scans have their own.
fn checkpointed(built: Built) -> Built {
    match built.operators.first() {
        Some(Operator { clauses: Clauses::Join { .. }, .. }) => Built { plan: checkpoint(built.plan), ..built },
        _ => built,
    }
}

/// For a sort, which keeps batches: none holds on to the memory of others.
fn compacted(built: Built) -> Built {
    Built { plan: Arc::new(CheckpointExec::new(built.plan, true)), ..built }
}

/// An operator over its inputs' operators, one level deeper.
fn above<const N: usize>(operator: Operator, inputs: [Vec<Operator>; N]) -> Vec<Operator> {
    let below = inputs.into_iter().flatten().map(|mut operator| {
        operator.depth += 1;
        operator
    });
    std::iter::once(operator).chain(below).collect()
}

fn translate_error(error: TranslateError) -> Error {
    match error {
        TranslateError::Error(error) => error,
        TranslateError::Decline(reason) => refused(reason),
    }
}

/// The planner has asked for every clause whether it can be translated.
fn refused(Decline(reason): Decline) -> Error {
    Error::internal(format!("a planned expression cannot be translated: {reason}"))
}

#[cfg(test)]
mod tests;
