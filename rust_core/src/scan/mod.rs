//! Heap pages → Arrow record batches.
//!
//! ```text
//! HeapScanExec ──claims──▶ range of blocks ──scan_page──▶ pinned page, visible line pointers
//!                                                             │
//!      RecordBatch ◀──finish── ColumnBuilder (typed loop) ◀── TupleWalker (offsets of values)
//! ```
//!
//! A page is gone through twice: the walker finds where each needed value of each tuple begins, then
//! one loop per column reads the values. Nothing here trusts a page: what does not fit its tuple or its
//! page is SQLSTATE XX001, and no read leaves the page. Values of a batch are copies; nothing points
//! into a page after its callback.

mod chunk;
mod columns;
mod decoder;
mod exec;
mod lookup;
pub mod numeric;
mod prefetch;
mod sieve;
#[cfg(test)]
mod sieve_tests;
mod sifting;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tuple;
pub(crate) mod varlena;

pub use columns::arrow_type;
pub(crate) use columns::varying_array;
pub use exec::{HeapScanExec, Scan, ScanColumn, ScanKeys};
pub(crate) use exec::{LOOKED_UP, VISIBLE_ROWS, WITHOUT_PARTNER};
pub use sieve::ScanFilter;
pub(crate) use varlena::{LONG_HEADER, MAX_SIZE as MAX_VARLENA_SIZE, long_header};
