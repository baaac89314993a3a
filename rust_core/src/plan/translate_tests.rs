//! Join trees to plans, and through the codec.

use datafusion::physical_plan::displayable;
use pgrx_pg_sys as pg_sys;

use super::testing::{FakeHost, NodePtr, int4, op, task_context, var};
use super::translate::{Clauses, Translated, Tree, TreeColumn, TreeNode, translate};
use crate::codec::JoinScanCodec;
use crate::exchange::StreamKind;

const INT4EQ: u32 = 65;
const INT4LT: u32 = 66;

fn column(scan: u32, attno: u32) -> TreeColumn {
    TreeColumn { scan, attno, typid: pg_sys::INT4OID.to_u32(), typmod: -1 }
}

fn int4_var(position: i16) -> NodePtr {
    var(position, pg_sys::INT4OID, -1)
}

fn scan(scan: u32, filters: Vec<usize>) -> TreeNode {
    TreeNode::Scan { scan, filters, width: 4 }
}

fn tree(nodes: Vec<TreeNode>, columns: Vec<TreeColumn>, exprs: Vec<NodePtr>, participants: u32) -> Tree<'static> {
    let tables = (0..nodes.len()).map(|table| format!("t{table}")).collect();
    Tree { host: &FakeHost, nodes, columns, exprs, tables, output: 2, participants }
}

/// What the plan looks like before and after it went through its bytes: the same.
fn shape(translated: &Translated) -> Vec<String> {
    let codec = JoinScanCodec::default();
    let bytes = codec.encode(translated.plan.clone()).unwrap();
    let decoded = codec.decode(&bytes, &task_context()).unwrap();
    let lines = |plan| displayable(plan).indent(false).to_string();
    assert_eq!(lines(decoded.as_ref()), lines(translated.plan.as_ref()));
    assert_eq!(codec.registry.len(), translated.streams.len());
    lines(decoded.as_ref()).lines().map(str::to_string).collect()
}

/// t0(1) = t1(1), a filter on t0(2), a condition over both sides; t0 builds and is broadcast, or both are shuffled.
fn two_tables(build: StreamKind, probe: Option<StreamKind>, participants: u32) -> Translated {
    let columns = vec![column(1, 2), column(0, 3), column(0, 1), column(0, 2), column(1, 1)];
    let exprs = vec![
        op(INT4EQ, 0, &[int4_var(5), int4_var(3)]), // the probe side's operand first
        op(INT4LT, 0, &[int4_var(4), int4(7)]),
        op(INT4LT, 0, &[int4_var(1), int4_var(2)]),
    ];
    let join = TreeNode::Join {
        build: 0,
        probe: 1,
        build_exchange: Some(build),
        probe_exchange: probe,
        keys: vec![0],
        filters: vec![2],
        width: 8,
    };
    let tree = tree(vec![scan(0, vec![1]), scan(1, vec![]), join], columns, exprs, participants);
    // SAFETY: the expressions are well-formed and live for the whole test.
    unsafe { translate(&tree) }.unwrap()
}

#[test]
fn a_broadcast_build_side() {
    let translated = two_tables(StreamKind::Broadcast, None, 3);
    let lines = shape(&translated);
    assert_eq!(lines[0], "DsmReaderExec: stream=1, gather");
    assert!(lines[2].contains("HashJoinExec: mode=Partitioned, join_type=Inner"), "{}", lines[2]);
    assert!(lines[3].contains("DsmReaderExec: stream=0, broadcast"));
    // The filter's column is read, and goes no further.
    assert!(lines[5].contains("FilterExec") && lines[5].contains("projection=[t0.3@0, t0.1@1]"), "{}", lines[5]);
    assert!(lines[6].contains("columns=[t0.3, t0.1, t0.2]"), "{}", lines[6]);
    assert!(lines[7].contains("HeapScanExec: scan=1"));
    let operators: Vec<_> = translated.operators.iter().map(|operator| (operator.name, operator.depth)).collect();
    let expected = [
        ("Reader", 0),
        ("Writer", 1),
        ("Hash Join", 2),
        ("Reader", 3),
        ("Writer", 4),
        ("Filter", 5),
        ("Heap Scan", 6),
        ("Heap Scan", 3),
    ];
    assert_eq!(operators, expected);
    let schema = translated.plan.schema();
    assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["t1.2", "t0.3"]);
}

#[test]
fn both_sides_shuffled_by_their_own_keys() {
    let translated = two_tables(StreamKind::Hash, Some(StreamKind::Hash), 3);
    assert_eq!(
        translated.streams.iter().map(|stream| stream.kind).collect::<Vec<_>>(),
        [StreamKind::Hash, StreamKind::Hash, StreamKind::Gather]
    );
    let hashed = translated.operators.iter().filter(|operator| operator.clauses == Clauses::Keys).count();
    assert_eq!(hashed, 2);
    shape(&translated);
}

#[test]
fn one_participant_exchanges_nothing() {
    let translated = two_tables(StreamKind::Hash, Some(StreamKind::Hash), 1);
    assert!(translated.streams.is_empty());
    assert!(shape(&translated).iter().all(|line| !line.contains("Dsm")));
}

#[test]
fn forty_tables_go_through_the_codec() {
    let tables = 40;
    let columns = (0..tables).map(|table| column(table, 1)).collect();
    let exprs = (1..tables as i16).map(|table| op(INT4EQ, 0, &[int4_var(table), int4_var(table + 1)])).collect();
    let mut nodes = vec![scan(0, vec![])];
    for table in 1..tables {
        nodes.push(scan(table, vec![]));
        let scan = nodes.len() - 1;
        nodes.push(TreeNode::Join {
            build: scan,
            probe: scan - 1,
            build_exchange: Some(StreamKind::Hash),
            probe_exchange: Some(StreamKind::Hash),
            keys: vec![table as usize - 1],
            filters: vec![],
            width: 4,
        });
    }
    let tree = tree(nodes, columns, exprs, 3);
    // SAFETY: the expressions are well-formed and live for the whole test.
    let translated = unsafe { translate(&tree) }.unwrap();
    assert_eq!(translated.streams.len(), 2 * 39 + 1);
    assert_eq!(shape(&translated).len(), translated.operators.len());
}

#[test]
fn a_damaged_tree_is_an_error() {
    let cycle = TreeNode::Join {
        build: 1,
        probe: 0,
        build_exchange: None,
        probe_exchange: None,
        keys: vec![0],
        filters: vec![],
        width: 4,
    };
    let key = || vec![op(INT4EQ, 0, &[int4_var(1), int4_var(2)])];
    for nodes in [vec![], vec![scan(0, vec![9])], vec![scan(0, vec![]), cycle]] {
        let tree = tree(nodes, vec![column(0, 1), column(1, 1)], key(), 3);
        // SAFETY: as above.
        assert!(unsafe { translate(&tree) }.is_err());
    }
}
