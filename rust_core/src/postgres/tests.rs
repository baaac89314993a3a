//! Calls of whole sessions, answered by a fake C.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array};
use arrow::datatypes::DataType;
use datafusion::physical_plan::ExecutionPlan;

use super::{Answer, EvaluationKind, LeafColumn, PostgresEvalExec, PostgresLeafExec, Request, ResultColumn};
use crate::error::Error;
use crate::exchange::Distribution;
use crate::exchange::session_tests::{Session, join, stream, table};

fn leaf() -> Arc<dyn ExecutionPlan> {
    let column = LeafColumn { position: 3, data_type: DataType::Int64, name: "key".into() };
    Arc::new(PostgresLeafExec::new(0, "leaf".into(), vec![column]))
}

/// Even keys pass; the result is the key times ten.
fn eval(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let result = ResultColumn { expr: 1, data_type: DataType::Int64, name: "key".into() };
    Arc::new(PostgresEvalExec::try_new(EvaluationKind::Rows, 0, input, vec![0], vec![0], vec![result], vec![]).unwrap())
}

fn keys(keys: impl IntoIterator<Item = i64>) -> Arc<Int64Array> {
    Arc::new(Int64Array::from_iter_values(keys))
}

/// A leaf of one batch with keys 0..10; evaluations as [`eval`] says.
fn answer(participant: u32, request: &Request) -> Result<Answer, Error> {
    match request {
        Request::Fetch { fetch } => {
            assert_eq!((participant, fetch.leaf, fetch.columns.as_slice()), (0, 0, [3].as_slice()));
            Ok(Answer { rows: 10, columns: vec![keys(0..10)], passed: None, done: true })
        }
        Request::Evaluate { evaluation, input } => {
            assert_eq!(
                (evaluation.conditions.as_slice(), evaluation.results.as_slice()),
                ([0].as_slice(), [1].as_slice())
            );
            let values = input.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            let passed = values.values().iter().map(|key| Some(key % 2 == 0)).collect::<BooleanArray>();
            let results = keys(values.values().iter().map(|key| key * 10));
            Ok(Answer { rows: values.len(), columns: vec![results], passed: Some(passed), done: false })
        }
    }
}

#[test]
fn every_participant_evaluates_its_own_rows() {
    for (count, copies) in [(1, 1), (3, 3)] {
        let mut session = Session::new(count, true, stream(0, Distribution::Gather, eval(table(2, 5))));
        session.answer = answer;
        let expected: Vec<i64> = (0..10).step_by(2).flat_map(|key| std::iter::repeat_n(key * 10, copies)).collect();
        assert_eq!(session.run().unwrap(), expected);
        session.end();
    }
}

#[test]
fn the_leader_gives_its_leaf_to_all() {
    for leader_participates in [true, false] {
        let leaf = stream(0, Distribution::Broadcast, leaf());
        let plan = stream(1, Distribution::Gather, join(leaf, table(1, 20)));
        let mut session = Session::new(3, leader_participates, plan);
        session.answer = answer;
        let copies = if leader_participates { 3 } else { 2 };
        let expected: Vec<i64> = (0..10).flat_map(|key| std::iter::repeat_n(key, copies)).collect();
        assert_eq!(session.run().unwrap(), expected);
        session.end();
    }
}

#[test]
fn a_leaf_that_probes_gives_its_rows_once() {
    let build = stream(0, Distribution::Broadcast, eval(table(1, 4)));
    let plan = stream(1, Distribution::Gather, join(build, leaf()));
    let mut session = Session::new(3, true, plan);
    session.answer = answer;
    // The build side has 0 and 20, once from each participant.
    assert_eq!(session.run().unwrap(), [0; 3]);
    session.end();
}

#[test]
fn a_failed_call_fails_the_session() {
    let mut session = Session::new(1, true, eval(leaf()));
    session.answer = |_, _| Err(Error::new("22012", "division by zero"));
    assert!(matches!(session.run(), Err(Error::Raised { .. })));
}

#[test]
fn the_end_withdraws_what_is_asked() {
    let mut session = Session::new(3, true, stream(0, Distribution::Gather, eval(table(3, 10))));
    session.answer = |_, _| Err(Error::internal("nobody asks after the end"));
    session.end();
}

/// A group's value is ten times its number; C is asked in the order of the numbers.
fn finalized(_: u32, request: &Request) -> Result<Answer, Error> {
    let Request::Evaluate { evaluation, input } = request else { return Err(Error::internal("a leaf")) };
    assert_eq!(evaluation.kind, EvaluationKind::Finalize);
    assert!((1..=256).contains(&input.num_rows()));
    let numbers = input.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    let results = keys(numbers.values().iter().map(|number| number * 10));
    Ok(Answer { rows: numbers.len(), columns: vec![results], passed: None, done: false })
}

#[test]
fn groups_are_finalized_a_part_of_a_batch_at_a_time() {
    let result = ResultColumn { expr: 1, data_type: DataType::Int64, name: "key".into() };
    let input = table(2, 700);
    let kind = EvaluationKind::Finalize;
    let plan = PostgresEvalExec::try_new(kind, 0, input, vec![super::GROUP_NUMBER], vec![], vec![result], vec![]);
    let mut session = Session::new(1, true, stream(0, Distribution::Gather, Arc::new(plan.unwrap())));
    session.answer = finalized;
    assert_eq!(session.run().unwrap(), (0..1400).map(|number| number * 10).collect::<Vec<i64>>());
    session.end();
}
