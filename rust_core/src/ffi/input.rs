//! `PgjsPlanInput` → `plan::translate::Tree`: the numbers of C checked and given their Rust types.

use std::ffi::{CStr, c_char, c_void};

use datafusion::common::JoinType;

use super::host::slice;
use super::types::*;
use crate::error::{Error, Result};
use crate::exchange::StreamKind;
use crate::host::Host;
use crate::plan::translate::{
    AggregateNode, ColumnSource, CommonKeyValues, Expr, FilterNode, GroupingSet, JoinNode, SortNode, Tree, TreeColumn,
    TreeKind, TreeNode, WindowCall, WindowNode,
};
use crate::plan::types::TypeLayout;
use crate::window::{Bound, Frame, Kind};

pub fn exchange_number(kind: StreamKind) -> u32 {
    match kind {
        StreamKind::Hash => PGJS_EXCHANGE_HASH,
        StreamKind::Broadcast => PGJS_EXCHANGE_BROADCAST,
        StreamKind::Gather => PGJS_EXCHANGE_GATHER,
    }
}

fn exchange(number: u32) -> Result<Option<StreamKind>> {
    match number {
        PGJS_EXCHANGE_NONE => Ok(None),
        PGJS_EXCHANGE_HASH => Ok(Some(StreamKind::Hash)),
        PGJS_EXCHANGE_BROADCAST => Ok(Some(StreamKind::Broadcast)),
        PGJS_EXCHANGE_GATHER => Ok(Some(StreamKind::Gather)),
        other => Err(Error::internal(format!("unknown exchange {other}"))),
    }
}

fn join_type(number: u32) -> Result<JoinType> {
    Ok(match number {
        PGJS_JOIN_INNER => JoinType::Inner,
        PGJS_JOIN_BUILD_OUTER => JoinType::Left,
        PGJS_JOIN_PROBE_OUTER => JoinType::Right,
        PGJS_JOIN_FULL => JoinType::Full,
        PGJS_JOIN_BUILD_SEMI => JoinType::LeftSemi,
        PGJS_JOIN_PROBE_SEMI => JoinType::RightSemi,
        PGJS_JOIN_BUILD_ANTI => JoinType::LeftAnti,
        PGJS_JOIN_PROBE_ANTI => JoinType::RightAnti,
        other => return Err(Error::internal(format!("unknown join type {other}"))),
    })
}

fn range(first: u32, count: u32) -> Vec<usize> {
    (first as usize..first as usize + count as usize).collect()
}

fn bound(kind: u32, offset: i64) -> Result<Bound> {
    match kind {
        PGJS_BOUND_UNBOUNDED => Ok(Bound::Unbounded),
        PGJS_BOUND_CURRENT => Ok(Bound::Current),
        PGJS_BOUND_OFFSET => Ok(Bound::Rows(offset)),
        other => Err(Error::internal(format!("unknown bound {other} of a frame"))),
    }
}

fn function(function: &PgjsWindowFunction) -> Result<WindowCall> {
    let kind = match function.kind {
        PGJS_WINDOW_ROW_NUMBER => Some(Kind::RowNumber),
        PGJS_WINDOW_RANK => Some(Kind::Rank),
        PGJS_WINDOW_DENSE_RANK => Some(Kind::DenseRank),
        PGJS_WINDOW_PERCENT_RANK => Some(Kind::PercentRank),
        PGJS_WINDOW_CUME_DIST => Some(Kind::CumeDist),
        PGJS_WINDOW_NTILE => Some(Kind::Ntile(function.number)),
        PGJS_WINDOW_LAG => Some(Kind::Lag(function.number)),
        PGJS_WINDOW_NTH => Some(Kind::Nth(function.number)),
        PGJS_WINDOW_LAST => Some(Kind::Last),
        PGJS_WINDOW_AGGREGATE => None,
        other => return Err(Error::internal(format!("unknown window function {other}"))),
    };
    let frame = Frame {
        rows: function.rows != 0,
        start: bound(function.start, function.start_offset)?,
        end: bound(function.end, function.end_offset)?,
    };
    Ok(WindowCall { kind, exprs: range(function.first, function.count), frame })
}

fn sets(node: &PgjsTreeNode, numbers: &[u64]) -> Result<Vec<GroupingSet>> {
    let width = node.ngroupings as usize + 1;
    let range = node.first_set as usize..node.first_set as usize + node.nsets as usize * width;
    let numbers = numbers.get(range).ok_or_else(|| Error::internal("grouping sets are missing"))?;
    Ok(numbers.chunks_exact(width).map(|set| GroupingSet { keys: set[0], values: set[1..].to_vec() }).collect())
}

fn node(node: &PgjsTreeNode, numbers: &[u64], functions: &[PgjsWindowFunction]) -> Result<TreeNode> {
    let kind = match node.kind {
        PGJS_TREE_SCAN => TreeKind::Scan(node.number),
        PGJS_TREE_LEAF => TreeKind::Leaf(node.number),
        PGJS_TREE_JOIN => TreeKind::Join(JoinNode {
            join_type: join_type(node.join_type)?,
            build: node.build as usize,
            probe: node.probe as usize,
            build_exchange: exchange(node.build_exchange)?,
            probe_exchange: exchange(node.probe_exchange)?,
            keys: range(node.first_key, node.nkeys),
            common: match node.stays {
                PGJS_STAYS_NONE => None,
                side @ (PGJS_STAYS_BUILD | PGJS_STAYS_PROBE) => Some(CommonKeyValues {
                    build_stays: side == PGJS_STAYS_BUILD,
                    values: range(node.first_common, node.ncommon * node.nkeys),
                }),
                other => return Err(Error::internal(format!("unknown side that stays: {other}"))),
            },
            conditions: range(node.first_condition, node.nconditions),
        }),
        PGJS_TREE_AGGREGATE => TreeKind::Aggregate(AggregateNode {
            input: node.probe as usize,
            exchange: exchange(node.probe_exchange)?,
            keys: range(node.first_key, node.nkeys),
            aggregates: range(node.first_aggregate, node.naggregates),
            sets: sets(node, numbers)?,
            groupings: range(node.first_grouping, node.ngroupings),
        }),
        PGJS_TREE_SORT => TreeKind::Sort(SortNode {
            input: node.probe as usize,
            exchange: exchange(node.probe_exchange)?,
            keys: range(node.first_key, node.nkeys),
            nulls_first: node.nulls_first,
            cut_keys: node.cut_keys as usize,
            limit: (node.limit > 0).then_some(usize::try_from(node.limit).unwrap_or(usize::MAX)),
        }),
        PGJS_TREE_FILTER => TreeKind::Filter(FilterNode {
            input: node.probe as usize,
            exchange: exchange(node.probe_exchange)?,
            conditions: range(node.first_condition, node.nconditions),
        }),
        PGJS_TREE_WINDOW => {
            let functions = functions.get(node.first_function as usize..).unwrap_or_default();
            TreeKind::Window(WindowNode {
                input: node.probe as usize,
                exchange: exchange(node.probe_exchange)?,
                keys: range(node.first_key, node.nkeys),
                order: range(node.first_condition, node.nconditions),
                nulls_first: node.nulls_first,
                functions: functions.iter().take(node.nfunctions as usize).map(function).collect::<Result<_>>()?,
            })
        }
        other => return Err(Error::internal(format!("unknown tree node {other}"))),
    };
    Ok(TreeNode {
        kind,
        filters: range(node.first_filter, node.nfilters),
        results: range(node.first_result, node.nresults),
        width: node.width,
    })
}

fn column(column: &PgjsColumn) -> Result<TreeColumn> {
    let attno = || u32::try_from(column.attno).map_err(|_| Error::internal("system column in a plan"));
    let source = match column.source {
        PGJS_COLUMN_SCAN => ColumnSource::Scan { scan: column.number, attno: attno()? },
        PGJS_COLUMN_LEAF => ColumnSource::Leaf { leaf: column.number, position: attno()? },
        PGJS_COLUMN_COMPUTED => ColumnSource::Computed { expr: column.number as usize },
        other => return Err(Error::internal(format!("unknown source of a column: {other}"))),
    };
    let layout = TypeLayout { len: column.typlen, byval: column.typbyval, utf8: column.utf8 };
    Ok(TreeColumn { source, typid: column.typid, typmod: column.typmod, layout })
}

/// Each clause with the columns that it mentions.
fn exprs(nodes: &[*const c_void], mentioned: &[u32], mentions: &[u32]) -> Result<Vec<Expr>> {
    let bounds = mentions.array_windows();
    let exprs = nodes.iter().zip(bounds).map(|(node, &[from, to])| {
        let columns = mentioned.get(from as usize..to as usize);
        let columns = columns.ok_or_else(|| Error::internal("a clause mentions too much"))?;
        Ok(Expr { node: node.cast(), columns: columns.iter().map(|&column| column as usize).collect() })
    });
    exprs.collect()
}

/// # Safety
/// Every pointer of `input` is valid, for as many entries as it says.
pub unsafe fn tree<'a>(host: &'a dyn Host, input: &PgjsPlanInput) -> Result<Tree<'a>> {
    // SAFETY: the caller's promise, for each.
    let (nodes, columns, clauses, mentions, tables, leaves, numbers, functions) = unsafe {
        (
            slice(input.tree, input.ntree as usize),
            slice(input.columns, input.ncolumns as usize),
            slice(input.exprs, input.nexprs as usize),
            slice(input.mentions, input.nexprs as usize + 1),
            slice(input.tables, input.ntables as usize),
            slice(input.leaves, input.nleaves as usize),
            slice(input.sets, input.nsets as usize),
            slice(input.functions, input.nfunctions as usize),
        )
    };
    // SAFETY: as above.
    let mentioned = unsafe { slice(input.mentioned, mentions.last().map_or(0, |&end| end as usize)) };
    // SAFETY: the caller's promise: NUL-terminated names.
    let name = |name: &*const c_char| unsafe { CStr::from_ptr(*name) }.to_string_lossy().into_owned();
    Ok(Tree {
        host,
        nodes: nodes.iter().map(|tree_node| node(tree_node, numbers, functions)).collect::<Result<_>>()?,
        columns: columns.iter().map(column).collect::<Result<_>>()?,
        exprs: exprs(clauses, mentioned, mentions)?,
        tables: tables.iter().map(name).collect(),
        leaves: leaves.iter().map(name).collect(),
        output: input.noutput as usize,
        participants: input.participants,
    })
}
