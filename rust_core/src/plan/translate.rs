//! Join tree → physical plan, with a writer/reader pair wherever rows change participants.
//!
//! Columns are pruned on the way up: a node gives exactly the columns that something above needs, in
//! the order of `PgjsPlanInput.columns`. The order of joins is PostgreSQL's and stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::{JoinSide, JoinType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExecBuilder, PartitionMode};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use pgrx_pg_sys as pg_sys;

use super::expressions::{Columns, TranslateError, Translator, key, operands, variables};
use super::functions::cancellable;
use super::types::Decline;
use crate::checkpoint::CheckpointExec;
use crate::error::{Error, Result};
use crate::exchange::{Distribution, DsmReaderExec, DsmWriterExec, StreamKind};
use crate::host::Host;
use crate::scan::{HeapScanExec, ScanColumn};

/// One base column that the plan knows; `PgjsColumn` in C.
#[derive(Clone, Copy, Debug)]
pub struct TreeColumn {
    pub scan: u32,
    pub attno: u32,
    pub typid: u32,
    pub typmod: i32,
}

/// One node of the join tree; `PgjsTreeNode` in C. Clauses are indexes into `Tree::exprs`.
#[derive(Clone, Debug)]
pub enum TreeNode {
    Scan {
        scan: u32,
        filters: Vec<usize>,
        width: u32,
    },
    Join {
        build: usize,
        probe: usize,
        build_exchange: Option<StreamKind>,
        probe_exchange: Option<StreamKind>,
        keys: Vec<usize>,
        filters: Vec<usize>,
        width: u32,
    },
}

impl TreeNode {
    fn width(&self) -> u32 {
        match self {
            Self::Scan { width, .. } | Self::Join { width, .. } => *width,
        }
    }
}

pub struct Tree<'a> {
    pub host: &'a dyn Host,
    /// Children before parents; the last is the root.
    pub nodes: Vec<TreeNode>,
    pub columns: Vec<TreeColumn>,
    /// Clauses: bound, their Vars (INDEX_VAR, position in `columns` from 1).
    pub exprs: Vec<*const pg_sys::Node>,
    pub tables: Vec<String>,
    /// The plan gives the first `output` columns.
    pub output: usize,
    /// With 1 the plan has no exchange.
    pub participants: u32,
}

/// One operator of a plan, in pre-order.
#[derive(Clone, Debug)]
pub struct Operator {
    pub name: &'static str,
    pub detail: Option<String>,
    pub depth: u32,
    /// Index into `Tree::nodes` whose clauses it evaluates.
    pub tree_node: Option<usize>,
    pub stream: Option<u32>,
    pub clauses: Clauses,
}

/// Which clauses of its tree node are an operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clauses {
    None,
    Filters,
    Join,
    Keys,
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
    let mut builder = Builder { tree, streams: Vec::new() };
    let needed = (0..tree.output).collect();
    // SAFETY: the caller's promise.
    let mut built = unsafe { builder.build(root, &needed) }?;
    if tree.participants > 1 {
        built = builder.exchange(built, Distribution::Gather, root, tree.nodes[root].width());
    }
    Ok(Translated { plan: built.plan, operators: built.operators, streams: builder.streams })
}

/// A Var as a column of some sub-plan.
struct Layout<'a> {
    columns: &'a [usize],
    schema: &'a Schema,
}

impl Columns for Layout<'_> {
    fn column(&self, var: &pg_sys::Var) -> Result<Arc<dyn PhysicalExpr>, Decline> {
        let wanted = usize::try_from(var.varattno - 1).map_err(|_| Decline("system column".into()))?;
        let index = self.columns.iter().position(|&column| column == wanted);
        let index = index.ok_or_else(|| Decline(format!("column {wanted} is not at hand")))?;
        Ok(Arc::new(Column::new(self.schema.field(index).name(), index)))
    }
}

struct Builder<'a, 'b> {
    tree: &'a Tree<'b>,
    streams: Vec<StreamInfo>,
}

impl Builder<'_, '_> {
    /// # Safety
    /// As `translate`.
    unsafe fn build(&mut self, node: usize, needed: &BTreeSet<usize>) -> Result<Built> {
        let tree = self.tree;
        // SAFETY: the caller's promise.
        match tree.nodes.get(node).ok_or_else(|| Error::internal("the join tree is damaged"))? {
            TreeNode::Scan { scan, filters, .. } => unsafe { self.scan(node, *scan, filters, needed) },
            TreeNode::Join { .. } => unsafe { self.join(node, needed) },
        }
    }

    /// # Safety
    /// As `translate`.
    unsafe fn scan(&mut self, node: usize, scan: u32, filters: &[usize], needed: &BTreeSet<usize>) -> Result<Built> {
        let tree = self.tree;
        let clauses = self.clauses(filters)?;
        let mut read = needed.clone();
        // SAFETY: the caller's promise.
        read.extend(unsafe { self.columns_of(&clauses) }?);
        let columns: Vec<usize> = read.into_iter().collect();
        let table = tree.tables.get(scan as usize).cloned().unwrap_or_default();
        let scan_columns = columns
            .iter()
            .map(|&column| {
                let info = self.column(column)?;
                Ok(ScanColumn {
                    attno: info.attno,
                    typid: info.typid,
                    typmod: info.typmod,
                    name: format!("{table}.{}", info.attno),
                })
            })
            .collect::<Result<_>>()?;
        let heap = Arc::new(HeapScanExec::try_new(scan, table.clone(), scan_columns)?);
        let operator = Operator {
            name: "Heap Scan",
            detail: Some(table),
            depth: 0,
            tree_node: Some(node),
            stream: None,
            clauses: Clauses::None,
        };
        let built = Built { plan: heap, columns, operators: vec![operator] };
        // SAFETY: the caller's promise.
        let Some(predicate) = (unsafe { self.conjunction(&clauses, &built.columns, &built.plan.schema()) })? else {
            return Ok(built);
        };
        let projection: Vec<usize> =
            built.columns.iter().enumerate().filter(|(_, column)| needed.contains(column)).map(|(at, _)| at).collect();
        let columns = projection.iter().map(|&at| built.columns[at]).collect();
        let filter = FilterExecBuilder::new(predicate, built.plan).apply_projection(Some(projection))?.build()?;
        let operator = Operator {
            name: "Filter",
            detail: None,
            depth: 0,
            tree_node: Some(node),
            stream: None,
            clauses: Clauses::Filters,
        };
        Ok(Built { plan: Arc::new(filter), columns, operators: above(operator, [built.operators]) })
    }

    /// # Safety
    /// As `translate`.
    unsafe fn join(&mut self, node: usize, needed: &BTreeSet<usize>) -> Result<Built> {
        let tree = self.tree;
        let TreeNode::Join { build, probe, build_exchange, probe_exchange, keys, filters, .. } = &tree.nodes[node]
        else {
            return Err(Error::internal("not a join"));
        };
        if *build >= node || *probe >= node {
            return Err(Error::internal("a join stands before its inputs"));
        }
        let (key_clauses, filter_clauses) = (self.clauses(keys)?, self.clauses(filters)?);
        let mut wanted = needed.clone();
        // SAFETY: the caller's promise, here and below.
        wanted.extend(unsafe { self.columns_of(&key_clauses) }?);
        wanted.extend(unsafe { self.columns_of(&filter_clauses) }?);
        let build_scans = self.scans_below(*build);
        let (build_wanted, probe_wanted) = wanted.into_iter().partition::<BTreeSet<usize>, _>(|&column| {
            tree.columns.get(column).is_some_and(|info| build_scans.contains(&info.scan))
        });
        let mut left = unsafe { self.build(*build, &build_wanted) }?;
        let mut right = unsafe { self.build(*probe, &probe_wanted) }?;

        let mut on = Vec::with_capacity(key_clauses.len());
        for &clause in &key_clauses {
            let [build_key, probe_key] = unsafe { self.key(clause, &left, &right) }?;
            on.push((build_key, probe_key));
        }
        if tree.participants > 1 {
            let keys = |side: usize| on.iter().map(|pair| [&pair.0, &pair.1][side].clone()).collect();
            let (build_width, probe_width) = (tree.nodes[*build].width(), tree.nodes[*probe].width());
            match build_exchange {
                None => {}
                Some(StreamKind::Hash) => left = self.exchange(left, Distribution::Hash(keys(0)), node, build_width),
                Some(StreamKind::Broadcast) => left = self.exchange(left, Distribution::Broadcast, node, build_width),
                Some(StreamKind::Gather) => return Err(Error::internal("a gather stands below a join")),
            }
            match probe_exchange {
                None => {}
                Some(StreamKind::Hash) => right = self.exchange(right, Distribution::Hash(keys(1)), node, probe_width),
                Some(_) => return Err(Error::internal("a probe side can only stay or be shuffled")),
            }
        }

        let (left, right) = (checkpointed(left), checkpointed(right));

        let filter = unsafe { self.join_filter(&filter_clauses, &left, &right) }?;
        // Output in the order of the columns, whichever side they come from.
        let mut output: Vec<(usize, usize)> =
            left.columns.iter().chain(&right.columns).enumerate().map(|(at, &column)| (column, at)).collect();
        output.retain(|(column, _)| needed.contains(column));
        output.sort_unstable();
        let join = HashJoinExecBuilder::new(left.plan, right.plan, on, JoinType::Inner)
            .with_partition_mode(PartitionMode::Partitioned)
            .with_filter(filter)
            .with_projection(Some(output.iter().map(|&(_, at)| at).collect()))
            .build_exec()?;
        let operator = Operator {
            name: "Hash Join",
            detail: None,
            depth: 0,
            tree_node: Some(node),
            stream: None,
            clauses: Clauses::Join,
        };
        Ok(Built {
            plan: join,
            columns: output.into_iter().map(|(column, _)| column).collect(),
            operators: above(operator, [left.operators, right.operators]),
        })
    }

    /// Puts a stream between `built` and what reads it; `node` is the join whose keys spread it.
    fn exchange(&mut self, built: Built, distribution: Distribution, node: usize, width: u32) -> Built {
        let stream = self.streams.len() as u32;
        let kind = distribution.kind();
        self.streams.push(StreamInfo { kind, width });
        let clauses = if kind == StreamKind::Hash { Clauses::Keys } else { Clauses::None };
        let operator = |name, clauses| Operator {
            name,
            detail: None,
            depth: 0,
            tree_node: Some(node),
            stream: Some(stream),
            clauses,
        };
        let writer = Arc::new(DsmWriterExec::new(stream, distribution, built.plan));
        let reader = Arc::new(DsmReaderExec::new(stream, kind, writer));
        let below = above(operator("Writer", clauses), [built.operators]);
        Built { plan: reader, columns: built.columns, operators: above(operator("Reader", Clauses::None), [below]) }
    }

    /// # Safety
    /// As `translate`.
    unsafe fn key(
        &self,
        clause: *const pg_sys::Node,
        left: &Built,
        right: &Built,
    ) -> Result<[Arc<dyn PhysicalExpr>; 2]> {
        let (left_schema, right_schema) = (left.plan.schema(), right.plan.schema());
        let build = Layout { columns: &left.columns, schema: &left_schema };
        let probe = Layout { columns: &right.columns, schema: &right_schema };
        // SAFETY: the caller's promise.
        unsafe {
            let [first, _] = operands(clause).map_err(refused)?;
            let first_is_build = self.columns_of(&[first])?.into_iter().all(|column| left.columns.contains(&column));
            if first_is_build {
                key(self.tree.host, clause, &build, &probe).map_err(translate_error)
            } else {
                let [probe_key, build_key] = key(self.tree.host, clause, &probe, &build).map_err(translate_error)?;
                Ok([build_key, probe_key])
            }
        }
    }

    /// # Safety
    /// As `translate`.
    unsafe fn join_filter(
        &self,
        clauses: &[*const pg_sys::Node],
        left: &Built,
        right: &Built,
    ) -> Result<Option<JoinFilter>> {
        // SAFETY: the caller's promise, here and below.
        let used = unsafe { self.columns_of(clauses) }?;
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
        let predicate = unsafe { self.conjunction(clauses, &columns, &schema) }?;
        Ok(predicate.map(|predicate| JoinFilter::new(cancellable(predicate), indices, schema)))
    }

    /// # Safety
    /// As `translate`.
    unsafe fn conjunction(
        &self,
        clauses: &[*const pg_sys::Node],
        columns: &[usize],
        schema: &Schema,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let layout = Layout { columns, schema };
        let translator = Translator::new(self.tree.host, &layout);
        // SAFETY: the caller's promise.
        unsafe { translator.conjunction(clauses) }.map_err(translate_error)
    }

    /// The columns that clauses mention.
    ///
    /// # Safety
    /// As `translate`.
    unsafe fn columns_of(&self, clauses: &[*const pg_sys::Node]) -> Result<BTreeSet<usize>> {
        let mut columns = BTreeSet::new();
        for &clause in clauses {
            // SAFETY: the caller's promise.
            for var in unsafe { variables(clause) }.map_err(refused)? {
                let column = usize::try_from(var.varattno - 1).ok().filter(|&at| at < self.tree.columns.len());
                columns.insert(column.ok_or_else(|| Error::internal("a clause mentions an unknown column"))?);
            }
        }
        Ok(columns)
    }

    fn clauses(&self, indexes: &[usize]) -> Result<Vec<*const pg_sys::Node>> {
        let clause =
            |&at: &usize| self.tree.exprs.get(at).copied().ok_or_else(|| Error::internal("a clause is missing"));
        indexes.iter().map(clause).collect()
    }

    fn column(&self, column: usize) -> Result<TreeColumn> {
        self.tree.columns.get(column).copied().ok_or_else(|| Error::internal("a column is missing"))
    }

    fn scans_below(&self, node: usize) -> BTreeSet<u32> {
        match &self.tree.nodes[node] {
            TreeNode::Scan { scan, .. } => BTreeSet::from([*scan]),
            TreeNode::Join { build, probe, .. } => {
                let mut scans = self.scans_below(*build);
                scans.extend(self.scans_below(*probe));
                scans
            }
        }
    }
}

/// A join right below a join gets a checkpoint between them; readers and scans have their own.
fn checkpointed(built: Built) -> Built {
    match built.operators.first() {
        Some(Operator { clauses: Clauses::Join, .. }) => {
            Built { plan: Arc::new(CheckpointExec::new(built.plan)), ..built }
        }
        _ => built,
    }
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
