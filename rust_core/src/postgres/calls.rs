//! The requests of a session that wait for C, and their way back.
//!
//! Any number of nodes may wait; C is given one request at a time. A node that is dropped while it waits (a
//! LIMIT, the end of the session) takes its request with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::DataType;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// What a node wants of C.
#[derive(Clone, Debug)]
pub enum Request {
    /// The expressions of `evaluation` over the rows of `input`, which has the columns that it looks at.
    Evaluate { evaluation: Arc<Evaluation>, input: RecordBatch },
    /// More rows of a leaf.
    Fetch { fetch: Arc<Fetch> },
}

/// What one node has evaluated, the same for each of its batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    pub kind: EvaluationKind,
    /// Number of the node in the plan: C keeps what it has prepared for it.
    pub call: u32,
    /// Plan column of each input column.
    pub inputs: Vec<u32>,
    /// Conditions, as indexes of the plan's expressions; a row passes where all are true. Evaluated in this order. The
    /// aggregates, where rows are accumulated.
    pub conditions: Vec<u32>,
    /// Expressions whose values are wanted of the rows that pass; the aggregates, where they are finalized.
    pub results: Vec<u32>,
    /// The types of their values.
    pub types: Vec<DataType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum EvaluationKind {
    /// Expressions of each row.
    Rows = 0,
    /// Each row goes to its group, for aggregates that PostgreSQL computes.
    Accumulate = 1,
    /// The aggregates of each group, which come in the order of their numbers; under the same call number.
    Finalize = 2,
}

/// Which columns of which leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub leaf: u32,
    /// Positions in the leaf's row, from 1.
    pub columns: Vec<u32>,
    pub types: Vec<DataType>,
}

/// What C has found.
#[derive(Debug)]
pub struct Answer {
    pub rows: usize,
    pub columns: Vec<ArrayRef>,
    /// Which rows passed; `None`: all.
    pub passed: Option<BooleanArray>,
    /// Of a leaf: there are no more rows.
    pub done: bool,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    answer: oneshot::Sender<Result<Answer>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Who waits for what C is at.
    current: Option<oneshot::Sender<Result<Answer>>>,
}

/// The calls of one session in one participant.
#[derive(Debug, Default)]
pub struct Calls {
    state: Mutex<State>,
}

impl Calls {
    fn state(&self) -> MutexGuard<'_, State> {
        // One thread: poisoned only by a panic that ends the session anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks C; `wake` wakes the turn's root, which ends the turn for it.
    pub async fn call(&self, request: Request, wake: impl FnOnce()) -> Result<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.state().waiting.push_back(Waiting { request, answer });
        wake();
        receiver.await.unwrap_or_else(|_| Err(Error::internal("a call of the session was dropped")))
    }

    /// The request for C to go on with: the first that somebody still waits for.
    pub fn next(&self) -> Option<Request> {
        let mut state = self.state();
        while let Some(waiting) = state.waiting.pop_front() {
            if !waiting.answer.is_closed() {
                state.current = Some(waiting.answer);
                return Some(waiting.request);
            }
        }
        None
    }

    /// Hands the answer to whoever waits for it.
    pub fn answer(&self, answer: Result<Answer>) {
        if let Some(current) = self.state().current.take() {
            // Dropped meanwhile: nobody wants it.
            let _ = current.send(answer);
        }
    }

    /// Forgets all requests: the session ends.
    pub fn clear(&self) {
        let forgotten = std::mem::take(&mut *self.state());
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use futures::FutureExt;

    use super::*;

    fn fetch(leaf: u32) -> Request {
        Request::Fetch { fetch: Arc::new(Fetch { leaf, columns: vec![], types: vec![] }) }
    }

    fn leaf_of(request: Option<Request>) -> Option<u32> {
        match request {
            Some(Request::Fetch { fetch }) => Some(fetch.leaf),
            _ => None,
        }
    }

    fn rows(rows: usize) -> Answer {
        Answer { rows, columns: vec![], passed: None, done: false }
    }

    #[test]
    fn answers_reach_their_askers_in_turn() {
        let calls = Calls::default();
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second) = (calls.call(fetch(1), || ()).boxed(), calls.call(fetch(2), || ()).boxed());
        assert!(first.poll_unpin(&mut cx).is_pending());
        assert!(second.poll_unpin(&mut cx).is_pending());
        assert_eq!(leaf_of(calls.next()), Some(1));
        calls.answer(Ok(rows(10)));
        assert_eq!(leaf_of(calls.next()), Some(2));
        assert!(second.poll_unpin(&mut cx).is_pending());
        calls.answer(Err(Error::internal("no")));
        assert!(matches!(first.poll_unpin(&mut cx), Poll::Ready(Ok(Answer { rows: 10, .. }))));
        assert!(matches!(second.poll_unpin(&mut cx), Poll::Ready(Err(_))));
        assert!(calls.next().is_none());
    }

    #[test]
    fn a_dropped_asker_takes_its_request_along() {
        let calls = Calls::default();
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second) = (calls.call(fetch(1), || ()).boxed(), calls.call(fetch(2), || ()).boxed());
        assert!(first.poll_unpin(&mut cx).is_pending());
        assert!(second.poll_unpin(&mut cx).is_pending());
        drop(first);
        assert_eq!(leaf_of(calls.next()), Some(2));
        drop(second);
        calls.answer(Ok(rows(1)));
        assert!(calls.next().is_none());
    }

    #[test]
    fn the_end_fails_whoever_waits() {
        let calls = Calls::default();
        let mut woken = false;
        let mut asker = calls.call(fetch(1), || woken = true).boxed();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(asker.poll_unpin(&mut cx).is_pending());
        calls.clear();
        assert!(matches!(asker.poll_unpin(&mut cx), Poll::Ready(Err(_))));
        drop(asker);
        assert!(woken);
    }
}
