//! Join trees to plans, and through the codec.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Decimal128Array, RecordBatch};
use datafusion::common::JoinType;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use pgrx_pg_sys as pg_sys;

use super::{
    AggregateNode, Clauses, ColumnSource, CommonKeyValues, Expr, FilterNode, JoinNode, Translated, Tree, TreeColumn,
    TreeKind, TreeNode, translate,
};
use crate::codec::{JoinScanCodec, with_runtime_filters};
use crate::exchange::{CommonKeys, Distribution, DsmWriterExec, StreamKind, Treatment, key_hashes};
use crate::key_list::with_key_lists;
use crate::plan::expressions::variables;
use crate::plan::testing::{
    FakeHost, NodePtr, aggref, int4, numeric_const, numeric_payload, numeric_typmod, op, task_context, var,
};
use crate::plan::types::TypeLayout;

const INT4EQ: u32 = 65;
const INT4LT: u32 = 66;
const NUMERIC_EQ: u32 = 1718;

fn column(scan: u32, attno: u32) -> TreeColumn {
    from(ColumnSource::Scan { scan, attno })
}

fn from(source: ColumnSource) -> TreeColumn {
    let layout = TypeLayout { len: 4, byval: true, utf8: true };
    TreeColumn { source, typid: pg_sys::INT4OID.to_u32(), typmod: -1, layout }
}

fn int4_var(position: i16) -> NodePtr {
    var(position, pg_sys::INT4OID, -1)
}

fn scan(scan: u32, filters: Vec<usize>) -> TreeNode {
    TreeNode { kind: TreeKind::Scan(scan), filters, results: vec![], width: 4 }
}

fn join_node(join: JoinNode) -> TreeNode {
    TreeNode { kind: TreeKind::Join(join), filters: vec![], results: vec![], width: 8 }
}

/// An inner join of nodes 0 and 1 by clause 0.
fn inner() -> JoinNode {
    JoinNode {
        join_type: JoinType::Inner,
        build: 0,
        probe: 1,
        build_exchange: None,
        probe_exchange: None,
        keys: vec![0],
        common: None,
        conditions: vec![],
    }
}

fn mentioning(node: NodePtr, columns: Vec<usize>) -> Expr {
    Expr { node, columns }
}

fn tree(nodes: Vec<TreeNode>, columns: Vec<TreeColumn>, exprs: Vec<NodePtr>, participants: u32) -> Tree<'static> {
    let tables = (0..nodes.len()).map(|table| format!("t{table}")).collect();
    let leaves = vec!["1".to_string(), "2".to_string()];
    let exprs = exprs
        .into_iter()
        .map(|node| {
            // SAFETY: the tests' expressions are well-formed.
            let vars = unsafe { variables(node) }.unwrap_or_default();
            mentioning(node, vars.into_iter().map(|var| var.varattno as usize - 1).collect())
        })
        .collect();
    Tree { host: &FakeHost, nodes, columns, exprs, tables, leaves, output: 2, participants }
}

/// What the plan looks like; and after it went through its bytes the same, with what each participant adds to it.
fn shape(translated: &Translated) -> Vec<String> {
    let codec = JoinScanCodec::default();
    let bytes = codec.encode(translated.plan.clone()).unwrap();
    let decoded = codec.decode(&bytes, &task_context()).unwrap();
    let lines = |plan| displayable(plan).indent(false).to_string();
    let filtered = with_runtime_filters(translated.plan.clone(), &task_context()).unwrap();
    let complete = with_key_lists(filtered).unwrap();
    assert_eq!(lines(decoded.as_ref()), lines(complete.as_ref()));
    assert_eq!(codec.registry.len(), translated.streams.len());
    lines(translated.plan.as_ref()).lines().map(str::to_string).collect()
}

/// t0(1) = t1(1), a filter on t0(2), a condition over both sides; t0 builds and is broadcast, or both are shuffled.
fn two_tables(build: StreamKind, probe: Option<StreamKind>, participants: u32) -> Translated {
    let columns = vec![column(1, 2), column(0, 3), column(0, 1), column(0, 2), column(1, 1)];
    let exprs = vec![
        op(INT4EQ, 0, &[int4_var(5), int4_var(3)]), // the probe side's operand first
        op(INT4LT, 0, &[int4_var(4), int4(7)]),
        op(INT4LT, 0, &[int4_var(1), int4_var(2)]),
    ];
    let join = JoinNode { build_exchange: Some(build), probe_exchange: probe, conditions: vec![2], ..inner() };
    let tree = tree(vec![scan(0, vec![1]), scan(1, vec![]), join_node(join)], columns, exprs, participants);
    // SAFETY: the expressions are well-formed and live for the whole test.
    unsafe { translate(&tree) }.unwrap()
}

/// DataFusion finds the columns of a runtime filter by their names.
#[test]
fn columns_of_a_table_that_is_read_twice_have_names_of_their_own() {
    let exprs = vec![op(INT4EQ, 0, &[int4_var(1), int4_var(2)])];
    let nodes = vec![scan(0, vec![]), scan(1, vec![]), join_node(inner())];
    let mut tree = tree(nodes, vec![column(0, 1), column(1, 1)], exprs, 1);
    tree.tables = vec!["t".into(); 2];
    // SAFETY: the expressions are well-formed and live for the whole test.
    let translated = unsafe { translate(&tree) }.unwrap();
    let schema = translated.plan.schema();
    assert_eq!(schema.fields().len(), 2);
    assert_ne!(schema.field(0).name(), schema.field(1).name());
}

#[test]
fn a_broadcast_build_side() {
    let translated = two_tables(StreamKind::Broadcast, None, 3);
    let lines = shape(&translated);
    assert_eq!(lines[0], "DsmReaderExec: stream=1, gather");
    assert!(lines[2].contains("HashJoinExec: mode=Partitioned, join_type=Inner"), "{}", lines[2]);
    assert!(lines[3].contains("DsmReaderExec: stream=0, broadcast"));
    // The filter's column is read, and goes no further.
    assert!(lines[5].contains("columns=[t0.0.3, t0.0.1, t0.0.2], t0.0.2@2 < 7"), "{}", lines[5]);
    assert!(lines[6].contains("HeapScanExec: scan=1"));
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
    assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["t1.1.2", "t0.0.3"]);
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

/// The writers of a plan, by stream.
fn writers(plan: &Arc<dyn ExecutionPlan>) -> Vec<&DsmWriterExec> {
    let mut found: Vec<_> = plan.downcast_ref::<DsmWriterExec>().into_iter().collect();
    found.extend(plan.children().into_iter().flat_map(writers));
    found.sort_by_key(|writer| writer.stream);
    found
}

#[test]
fn common_keys_hash_as_the_rows_of_both_sides() {
    let numeric = |scan, typmod| {
        let layout = TypeLayout { len: -1, byval: false, utf8: true };
        TreeColumn { typid: pg_sys::NUMERICOID.to_u32(), typmod, layout, ..column(scan, 1) }
    };
    let typmod = numeric_typmod(10, 2);
    let operands = [var(1, pg_sys::NUMERICOID, -1), var(2, pg_sys::NUMERICOID, typmod)];
    // Of the second column, which holds no value like the last.
    let exprs = vec![op(NUMERIC_EQ, 0, &operands), numeric_const("1.50"), numeric_const("1.505")];
    let shuffled = Some(StreamKind::Hash);
    let common = Some(CommonKeyValues { build_stays: false, values: vec![1, 2] });
    let join = JoinNode { build_exchange: shuffled, probe_exchange: shuffled, common, ..inner() };
    let nodes = vec![scan(0, vec![]), scan(1, vec![]), join_node(join)];
    let tree = tree(nodes, vec![numeric(0, -1), numeric(1, typmod)], exprs, 3);
    // SAFETY: the expressions are well-formed and live for the whole test.
    let translated = unsafe { translate(&tree) }.unwrap();
    assert!(shape(&translated).iter().any(|line| line.ends_with("hash, 1 common keys Stay")));

    let build: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&numeric_payload("1.5")]));
    let probe: ArrayRef = Arc::new(Decimal128Array::from(vec![150]).with_precision_and_scale(10, 2).unwrap());
    let sides = [(build, Treatment::Copy), (probe, Treatment::Stay)];
    for (writer, (value, treatment)) in writers(&translated.plan).into_iter().zip(sides) {
        let Distribution::Hash(keys) = &writer.distribution else { panic!("{:?}", writer.distribution) };
        let row = RecordBatch::try_from_iter([("key", value)]).unwrap();
        let common = CommonKeys::new(key_hashes(keys, &row).unwrap(), treatment);
        assert_eq!(writer.common_keys(), Some(&common));
    }
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
        nodes.push(join_node(JoinNode {
            build: scan,
            probe: scan - 1,
            build_exchange: Some(StreamKind::Hash),
            probe_exchange: Some(StreamKind::Hash),
            keys: vec![table as usize - 1],
            ..inner()
        }));
    }
    let tree = tree(nodes, columns, exprs, 3);
    // SAFETY: the expressions are well-formed and live for the whole test.
    let translated = unsafe { translate(&tree) }.unwrap();
    assert_eq!(translated.streams.len(), 2 * 39 + 1);
    // Who notes a build side's keys is no operator.
    let operators = shape(&translated).into_iter().filter(|line| !line.contains("BuildKeysExec"));
    assert_eq!(operators.count(), translated.operators.len());
}

#[test]
fn a_damaged_tree_is_an_error() {
    let cycle = join_node(JoinNode { build: 1, probe: 0, ..inner() });
    let key = || vec![op(INT4EQ, 0, &[int4_var(1), int4_var(2)])];
    for nodes in [vec![], vec![scan(0, vec![9])], vec![scan(0, vec![]), cycle]] {
        let tree = tree(nodes, vec![column(0, 1), column(1, 1)], key(), 3);
        // SAFETY: as above.
        assert!(unsafe { translate(&tree) }.is_err());
    }
}

/// Something that has no native form: a function that nobody knows.
const UNKNOWN_FUNCTION: u32 = 99_999;

fn unknown(position: i16) -> NodePtr {
    crate::plan::testing::op(UNKNOWN_FUNCTION, 0, &[int4_var(position), int4_var(position)])
}

fn operators(translated: &Translated) -> Vec<(&'static str, u32)> {
    translated.operators.iter().map(|operator| (operator.name, operator.depth)).collect()
}

#[test]
fn conditions_of_the_leader_come_after_a_gather() {
    let native = op(INT4LT, 0, &[int4_var(2), int4(7)]);
    let filter = FilterNode { input: 0, exchange: Some(StreamKind::Gather), conditions: vec![0, 1] };
    let filter = TreeNode { kind: TreeKind::Filter(filter), filters: vec![], results: vec![], width: 4 };
    for (participants, expected) in [
        (1, vec![("PostgreSQL Filter", 0), ("Heap Scan", 1)]),
        (3, vec![("PostgreSQL Filter", 0), ("Reader", 1), ("Writer", 2), ("Heap Scan", 3)]),
    ] {
        let columns = vec![column(0, 1), column(0, 2)];
        let mut tree = tree(vec![scan(0, vec![]), filter.clone()], columns, vec![unknown(1), native], participants);
        tree.exprs[0].columns = vec![0];
        tree.output = 1;
        // SAFETY: as above.
        let translated = unsafe { translate(&tree) }.unwrap();
        // Both are PostgreSQL's: a native one after a subquery waits for it, too.
        assert_eq!(operators(&translated), expected);
        assert!(shape(&translated)[0].contains("conditions=[0, 1]"));
    }
}

#[test]
fn filters_climb_in_their_order() {
    // Native, foreign, foreign, native: two filters around one evaluation.
    let native = || op(INT4LT, 0, &[int4_var(1), int4(7)]);
    let nodes = vec![scan(0, vec![0, 1, 2, 3])];
    let mut tree = tree(nodes, vec![column(0, 1), column(0, 2)], vec![native(), unknown(2), unknown(2), native()], 1);
    tree.exprs[1].columns = vec![1];
    tree.exprs[2].columns = vec![1];
    // SAFETY: as above.
    let translated = unsafe { translate(&tree) }.unwrap();
    assert_eq!(operators(&translated), [("Filter", 0), ("PostgreSQL Filter", 1), ("Filter", 2), ("Heap Scan", 3)]);
    assert_eq!(translated.calls, 1);
    let lines = shape(&translated);
    assert!(lines[1].contains("PostgresEvalExec: call=0, conditions=[1, 2], results=[]"), "{}", lines[1]);
}

#[test]
fn a_leaf_of_the_leader_is_sent_by_the_leader() {
    let leaf = TreeNode { kind: TreeKind::Leaf(0), filters: vec![], results: vec![], width: 4 };
    let join = JoinNode { build_exchange: Some(StreamKind::Broadcast), ..inner() };
    let columns = vec![from(ColumnSource::Leaf { leaf: 0, position: 2 }), column(0, 1)];
    let key = op(INT4EQ, 0, &[int4_var(1), int4_var(2)]);
    let tree = tree(vec![leaf, scan(0, vec![]), join_node(join)], columns, vec![key], 3);
    // SAFETY: as above.
    let translated = unsafe { translate(&tree) }.unwrap();
    let lines = shape(&translated);
    assert!(lines.iter().any(|line| line.contains("PostgresLeafExec: leaf=0, 1, columns=[2]")), "{lines:?}");
}

#[test]
fn what_a_leaf_probes_goes_to_the_leader_alone() {
    let leaf = TreeNode { kind: TreeKind::Leaf(0), filters: vec![], results: vec![], width: 4 };
    let join = JoinNode { build_exchange: Some(StreamKind::Broadcast), ..inner() };
    let columns = vec![column(0, 1), from(ColumnSource::Leaf { leaf: 0, position: 1 })];
    let key = op(INT4EQ, 0, &[int4_var(1), int4_var(2)]);
    let tree = tree(vec![scan(0, vec![]), leaf, join_node(join)], columns, vec![key], 3);
    // SAFETY: as above.
    let translated = unsafe { translate(&tree) }.unwrap();
    let kinds: Vec<StreamKind> = translated.streams.iter().map(|stream| stream.kind).collect();
    assert_eq!(kinds, [StreamKind::Gather, StreamKind::Gather]);
}

#[test]
fn outer_joins_keep_their_conditions_and_filters_apart() {
    let conditions = [op(INT4EQ, 0, &[int4_var(1), int4_var(2)]), op(INT4LT, 0, &[int4_var(1), int4_var(2)])];
    let foreign = unknown(2);
    for (join_type, name) in [(JoinType::Right, "Hash Left Join"), (JoinType::Full, "Hash Full Join")] {
        let join = JoinNode { join_type, conditions: vec![1], ..inner() };
        let mut root = join_node(join);
        root.filters = vec![2];
        let exprs = vec![conditions[0], conditions[1], foreign];
        let mut tree = tree(vec![scan(0, vec![]), scan(1, vec![]), root], vec![column(0, 1), column(1, 1)], exprs, 1);
        tree.exprs[2].columns = vec![1];
        // SAFETY: as above.
        let translated = unsafe { translate(&tree) }.unwrap();
        assert_eq!(operators(&translated)[..2], [("PostgreSQL Filter", 0), (name, 1)]);
        shape(&translated);
    }
}

#[test]
fn conditions_of_outer_joins_may_be_postgresqls() {
    let key = op(INT4EQ, 0, &[int4_var(1), int4_var(2)]);
    let translated = |join_type, keys: &[usize]| {
        let join = JoinNode { join_type, keys: keys.to_vec(), conditions: vec![1], ..inner() };
        let nodes = vec![scan(0, vec![]), scan(1, vec![]), join_node(join)];
        let mut tree = tree(nodes, vec![column(1, 1), column(0, 1)], vec![key, unknown(2)], 1);
        tree.exprs[1].columns = vec![1];
        tree.output = 1;
        // SAFETY: as above.
        unsafe { translate(&tree) }
    };
    let kinds = [
        (JoinType::Right, "Outer"),
        (JoinType::RightSemi, "Semi"),
        (JoinType::RightAnti, "Anti"),
        (JoinType::Full, "Full"),
    ];
    // By keys, or by one that all rows share.
    for (keys, way) in [(&[0][..], "Hash"), (&[], "Nested Loop")] {
        for (join_type, kind) in kinds {
            let translated = translated(join_type, keys).unwrap();
            let kept = if join_type == JoinType::Full { "Full" } else { "Left" };
            assert_eq!(operators(&translated)[1], (format!("{way} {kept} Join").as_str(), 1));
            let lines = shape(&translated);
            assert!(lines.iter().any(|line| line.contains(&format!("PostgresMatchExec: call=0, {kind}"))), "{lines:?}");
            let nodes = lines.iter().filter(|line| !line.contains("CheckpointExec")).count();
            assert_eq!(nodes, translated.operators.len());
        }
    }
    // With the other side alone kept, there is no way.
    assert!(translated(JoinType::Left, &[0]).is_err());
}

#[test]
fn without_keys_a_nested_loop() {
    let join = JoinNode { keys: vec![], conditions: vec![0], join_type: JoinType::RightSemi, ..inner() };
    let mut tree = tree(
        vec![scan(0, vec![]), scan(1, vec![]), join_node(join)],
        vec![column(1, 1), column(1, 2), column(0, 1)],
        vec![op(INT4LT, 0, &[int4_var(1), int4_var(3)])],
        1,
    );
    tree.output = 2;
    // SAFETY: as above.
    let translated = unsafe { translate(&tree) }.unwrap();
    assert_eq!(operators(&translated)[0], ("Nested Loop Semi Join", 0));
    // The node that skips the probe side is the same operator.
    assert_eq!(shape(&translated).len(), translated.operators.len() + 1);
}

#[test]
fn an_anti_join_gives_nulls_for_the_side_that_has_no_match() {
    let join = JoinNode { join_type: JoinType::RightAnti, ..inner() };
    let key = op(INT4EQ, 0, &[int4_var(1), int4_var(2)]);
    // Output: a column of the build side, which is NULL, and one of the probe side.
    let tree =
        tree(vec![scan(0, vec![]), scan(1, vec![]), join_node(join)], vec![column(0, 1), column(1, 1)], vec![key], 1);
    // SAFETY: as above.
    let translated = unsafe { translate(&tree) }.unwrap();
    assert!(shape(&translated).iter().any(|line| line.contains("NULL")));
}

#[test]
fn computed_columns_are_part_of_their_nodes_rows() {
    let columns = vec![column(0, 1), from(ColumnSource::Computed { expr: 0 })];
    let sum = op(177, 0, &[int4_var(1), int4(1)]); // int4pl
    for (expr, name) in [(sum, "Projection"), (unknown(1), "PostgreSQL Projection")] {
        let mut root = scan(0, vec![]);
        root.results = vec![0];
        let mut tree = tree(vec![root], columns.clone(), vec![expr], 1);
        tree.exprs[0].columns = vec![0];
        // SAFETY: as above.
        let translated = unsafe { translate(&tree) }.unwrap();
        assert_eq!(operators(&translated), [(name, 0), ("Heap Scan", 1)]);
        shape(&translated);
    }
}

/// count(*) and string_agg of the rows of t0, the first maybe by t0(1): columns 0 and 1.
fn aggregated(keys: Vec<usize>, exchange: StreamKind, participants: u32) -> Translated {
    let call = |function, args: &[NodePtr]| Box::leak(Box::new(aggref(function, 0, args))) as *const pg_sys::Aggref;
    let exprs = vec![
        op(INT4EQ, 0, &[int4_var(3), int4_var(3)]),
        call(pg_sys::F_COUNT_, &[]).cast(),
        call(pg_sys::F_ARRAY_AGG_ANYNONARRAY, &[int4_var(4)]).cast(),
    ];
    let of = |typid: pg_sys::Oid, expr| TreeColumn {
        typid: typid.to_u32(),
        layout: crate::plan::testing::layout(typid, true),
        ..from(ColumnSource::Computed { expr })
    };
    let columns = vec![of(pg_sys::INT8OID, 1), of(pg_sys::INT4ARRAYOID, 2), column(0, 1), column(0, 2)];
    let node = AggregateNode {
        input: 0,
        exchange: Some(exchange),
        keys,
        aggregates: vec![1, 2],
        sets: vec![],
        groupings: vec![],
    };
    let root = TreeNode { kind: TreeKind::Aggregate(node), filters: vec![], results: vec![], width: 8 };
    let mut tree = tree(vec![scan(0, vec![]), root], columns, exprs, participants);
    tree.exprs[1].columns = vec![];
    tree.exprs[2].columns = vec![3];
    // SAFETY: as above.
    unsafe { translate(&tree) }.unwrap()
}

#[test]
fn an_aggregate_of_postgresql_has_one_phase_over_whole_groups() {
    let translated = aggregated(vec![0], StreamKind::Hash, 3);
    let expected =
        ["PostgreSQL Aggregate", "Projection", "Aggregate", "PostgreSQL Accumulate", "Group Number", "Reader"];
    let names: Vec<_> = translated.operators.iter().map(|operator| operator.name).collect();
    assert_eq!(names.iter().filter(|name| **name == "Reader").count(), 2); // and the gather above
    let at = names.iter().position(|name| *name == expected[0]).unwrap();
    assert_eq!(names[at..at + expected.len()], expected);
    assert_eq!(translated.operators[at].clauses, Clauses::Aggregates { first: 2, count: 1 });
    assert_eq!(translated.operators[at + 2].clauses, Clauses::Groups { first: 1, count: 1 });
    let lines = shape(&translated);
    assert!(lines.iter().any(|line| line.contains("call=0, conditions=[], results=[2], Finalize")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("call=0, conditions=[2], results=[], Accumulate")), "{lines:?}");
}

#[test]
fn one_group_of_all_rows_has_no_number() {
    for participants in [1, 3] {
        let translated = aggregated(vec![], StreamKind::Gather, participants);
        let names: Vec<_> = translated.operators.iter().map(|operator| operator.name).collect();
        assert!(!names.contains(&"Group Number"));
        assert_eq!(names.contains(&"Reader"), participants > 1);
        shape(&translated);
    }
}
