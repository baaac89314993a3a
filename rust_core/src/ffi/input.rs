//! `PgjsPlanInput` → `plan::translate::Tree`: the numbers of C checked and given their Rust types.

use std::ffi::CStr;

use super::host::slice;
use super::types::*;
use crate::error::{Error, Result};
use crate::exchange::StreamKind;
use crate::host::Host;
use crate::plan::translate::{Tree, TreeColumn, TreeNode};

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

fn range(first: u32, count: u32) -> Vec<usize> {
    (first as usize..first as usize + count as usize).collect()
}

fn node(node: &PgjsTreeNode) -> Result<TreeNode> {
    match node.kind {
        PGJS_TREE_SCAN => {
            Ok(TreeNode::Scan { scan: node.scan, filters: range(node.first_filter, node.nfilters), width: node.width })
        }
        PGJS_TREE_JOIN => Ok(TreeNode::Join {
            build: node.build as usize,
            probe: node.probe as usize,
            build_exchange: exchange(node.build_exchange)?,
            probe_exchange: exchange(node.probe_exchange)?,
            keys: range(node.first_key, node.nkeys),
            filters: range(node.first_filter, node.nfilters),
            width: node.width,
        }),
        other => Err(Error::internal(format!("unknown tree node {other}"))),
    }
}

/// # Safety
/// Every pointer of `input` is valid, for as many entries as it says.
pub unsafe fn tree<'a>(host: &'a dyn Host, input: &PgjsPlanInput) -> Result<Tree<'a>> {
    // SAFETY: the caller's promise, for each.
    let (nodes, columns, exprs, tables) = unsafe {
        (
            slice(input.tree, input.ntree as usize),
            slice(input.columns, input.ncolumns as usize),
            slice(input.exprs, input.nexprs as usize),
            slice(input.tables, input.ntables as usize),
        )
    };
    Ok(Tree {
        host,
        nodes: nodes.iter().map(node).collect::<Result<_>>()?,
        columns: columns
            .iter()
            .map(|column| {
                let attno = u32::try_from(column.attno).map_err(|_| Error::internal("system column in a plan"))?;
                Ok(TreeColumn { scan: column.scan, attno, typid: column.typid, typmod: column.typmod })
            })
            .collect::<Result<_>>()?,
        exprs: exprs.iter().map(|expr| expr.cast()).collect(),
        // SAFETY: the caller's promise: NUL-terminated names.
        tables: tables.iter().map(|name| unsafe { CStr::from_ptr(*name) }.to_string_lossy().into_owned()).collect(),
        output: input.noutput as usize,
        participants: input.participants,
    })
}
