//! From PostgreSQL's trees to DataFusion's physical plan: types, expressions and the functions they call.

pub mod expressions;
pub mod functions;
#[cfg(test)]
pub mod testing;
pub mod translate;
pub mod types;
