//! What PostgreSQL computes for a plan, by CALL: expressions that have no native form, a batch at a time, in
//! whichever participant has the rows; and the rows of leaves that PostgreSQL plans and runs itself, in the leader.
//!
//! ```text
//! node ── Request ──▶ Calls ── the turn returns CALL ──▶ C evaluates, no Rust frame below it
//! node ◀── Answer ─── Calls ◀── pgjs_session_answer ──── C
//! ```

mod calls;
mod eval;
mod leaf;
mod matching;

pub use calls::{Answer, Calls, Request};
pub use eval::{PostgresEvalExec, ResultColumn};
pub use leaf::{LeafColumn, PostgresLeafExec};
pub use matching::{MatchColumns, MatchKind, PostgresMatchExec, RowNumberExec};

#[cfg(test)]
mod tests;
