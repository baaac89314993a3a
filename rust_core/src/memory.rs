//! The memory of one participant: each operator gets what PostgreSQL would give it.
//!
//! DataFusion's own pools share one budget; PostgreSQL's `work_mem` is per operator, so the limit
//! here is per consumer (a hash join's build side registers one). A merge of sorted shares has none: it holds two batches
//! of each producer at most, which belong to what is in flight, and could run out of memory when rows are out already.

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

/// What SortPreservingMergeExec calls itself.
const MERGE: &str = "SortPreservingMergeExec";

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
        if wanted > self.limit && !reservation.consumer().name().starts_with(MERGE) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn each_consumer_has_the_limit_but_for_merges() {
        let pool: Arc<dyn MemoryPool> = Arc::new(OperatorBudget::new(1000));
        let consumer = |name: &str| MemoryConsumer::new(name).register(&pool);
        let (one, other, merge) = (consumer("a join"), consumer("a sort"), consumer("SortPreservingMergeExec[0]"));
        one.try_grow(900).expect("fits");
        other.try_grow(900).expect("fits");
        assert!(one.try_grow(200).is_err());
        merge.try_grow(5000).expect("has no limit");
        assert_eq!(pool.reserved(), 6800);
    }
}
