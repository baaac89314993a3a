//! From PostgreSQL's trees to DataFusion's physical plan: types, expressions, the functions they call, and aggregates.

pub mod aggregates;
pub mod expressions;
pub mod functions;
#[cfg(test)]
pub mod testing;
pub mod translate;
pub mod types;
