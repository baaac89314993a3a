//! The Rust core of pg_joinscan: a join tree becomes a DataFusion plan, and the plan runs in every
//! participant of a session, in bounded turns that C drives.
//!
//! | module | room for |
//! | --- | --- |
//! | [`ffi`] | what C calls, what C offers, errors across the boundary |
//! | [`host`] | what the core asks of PostgreSQL, as a trait |
//! | [`plan`] | types, expressions, functions; join tree → physical plan |
//! | [`codec`] | plan ⇄ bytes, registration on decode |
//! | [`parallel`] | a participant: leader or worker, its turns |
//! | [`session`] | what a running node may ask: who am I, the host, may I go on |
//! | [`checkpoint`] | a node above each join, so that no poll lasts |
//! | [`nested_loop`] | a node above nested loops, which leaves a probe side alone |
//! | [`exchange`] | streams between participants |
//! | [`postgres`] | what PostgreSQL computes for the plan, by CALL |
//! | [`window`] | window functions |
//! | [`scan`] / [`emit`], [`ingest`] | heap page → Arrow / Arrow → Datums, Datums → Arrow |
//! | [`memory`], [`metrics`], [`panic`], [`error`] | budgets, figures, failures |

pub mod checkpoint;
pub mod codec;
pub mod cut;
pub mod distinct;
pub mod emit;
pub mod error;
pub mod exchange;
pub mod ffi;
pub mod group_number;
pub mod host;
pub mod ingest;
pub mod key_bound;
pub mod key_list;
pub mod memory;
pub mod metrics;
pub mod nested_loop;
pub mod panic;
pub mod parallel;
pub mod plan;
pub mod postgres;
pub mod scan;
pub mod session;
pub mod window;

#[cfg(test)]
mod testing;
