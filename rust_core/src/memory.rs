//! The memory of one participant: each operator gets what PostgreSQL would give it.
//!
//! DataFusion's own pools share one budget; PostgreSQL's `work_mem` is per operator, so the limit
//! here is per consumer (a hash join's build side registers one).

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

/// glibc gives the pages of freed batches back to the kernel, which then zeroes them for the next
/// batch: a tenth of a scan's time. Up to 64 MiB stay with the process instead. Idempotent.
pub fn keep_freed_pages() {
    #[cfg(target_env = "gnu")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: sets two numbers of the allocator; one thread, and refusal changes nothing.
        ONCE.call_once(|| unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
        });
    }
}

#[derive(Debug)]
pub struct OperatorBudget {
    /// Bytes that one consumer may reserve.
    limit: usize,
    reserved: AtomicUsize,
}

impl OperatorBudget {
    pub fn new(limit: usize) -> Self {
        Self { limit, reserved: AtomicUsize::new(0) }
    }
}

impl fmt::Display for OperatorBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes per operator", self.limit)
    }
}

impl MemoryPool for OperatorBudget {
    fn name(&self) -> &str {
        "operator budget"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.reserved.fetch_add(additional, Relaxed);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.reserved.fetch_sub(shrink, Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let wanted = reservation.size().saturating_add(additional);
        if wanted > self.limit {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "A hash table of JoinScan needs {} kB, work_mem and hash_mem_multiplier allow {} kB.",
                wanted.div_ceil(1024),
                self.limit / 1024
            )));
        }
        self.grow(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.reserved.load(Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Unknown
    }
}
