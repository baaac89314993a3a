//! The boundary with C: the only `extern "C"`, the only raw pointers from C.
//!
//! `include/pgjs_core.h` is generated from `types.rs` and `exports.rs`; `include/pgjs_host.h` is the
//! other direction, mirrored in `host.rs`. `include/pgjs_layout.def` holds both sides to one layout.

mod errors;
mod exports;
pub mod host;
mod input;
pub mod types;

// The numbers of include/pgjs_layout.def, asserted on the Rust side (written by build.rs).
mod layout {
    use super::host::*;
    use super::types::*;
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}
