//! `PgjsPlanInput` → `plan::translate::Tree`: the numbers of C checked and given their Rust types.

use std::ffi::{CStr, c_char, c_void};

use datafusion::common::JoinType;

use super::host::slice;
use super::types::*;
use crate::error::{Error, Result};
use crate::exchange::StreamKind;
use crate::host::Host;
use crate::plan::translate::{ColumnSource, Expr, JoinNode, Tree, TreeColumn, TreeKind, TreeNode};
use crate::plan::types::TypeLayout;

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

fn node(node: &PgjsTreeNode) -> Result<TreeNode> {
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
            conditions: range(node.first_condition, node.nconditions),
        }),
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
    let (nodes, columns, clauses, mentions, tables, leaves) = unsafe {
        (
            slice(input.tree, input.ntree as usize),
            slice(input.columns, input.ncolumns as usize),
            slice(input.exprs, input.nexprs as usize),
            slice(input.mentions, input.nexprs as usize + 1),
            slice(input.tables, input.ntables as usize),
            slice(input.leaves, input.nleaves as usize),
        )
    };
    // SAFETY: as above.
    let mentioned = unsafe { slice(input.mentioned, mentions.last().map_or(0, |&end| end as usize)) };
    // SAFETY: the caller's promise: NUL-terminated names.
    let name = |name: &*const c_char| unsafe { CStr::from_ptr(*name) }.to_string_lossy().into_owned();
    Ok(Tree {
        host,
        nodes: nodes.iter().map(node).collect::<Result<_>>()?,
        columns: columns.iter().map(column).collect::<Result<_>>()?,
        exprs: exprs(clauses, mentioned, mentions)?,
        tables: tables.iter().map(name).collect(),
        leaves: leaves.iter().map(name).collect(),
        output: input.noutput as usize,
        participants: input.participants,
    })
}
