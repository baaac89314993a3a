//! Brings into the cache what a scan reads next.
//!
//! A page of a table larger than the cache is met cold, and whoever reads it waits for each of its lines. A core has
//! only some twenty lines on their way at a time, so asking for a whole page at once only moves the wait: the next
//! page is asked for line by line, between the work on the one before.

use crate::host::PAGE_SIZE;

/// Bytes of a cache line.
const LINE: usize = 64;
/// Cache lines of a page.
pub(super) const PAGE_LINES: usize = PAGE_SIZE / LINE;

/// Asks for the cache line at an address, which need not be anybody's.
#[inline(always)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; no address can make it fail.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for the first `lines` cache lines from an address on.
#[inline(always)]
pub(super) fn prefetch_lines(address: *const u8, lines: usize) {
    for line in 0..lines {
        prefetch(address.wrapping_add(line * LINE));
    }
}

/// The cache lines of a page that are still to be asked for.
pub(super) struct NextPage {
    at: *const u8,
    end: *const u8,
}

impl NextPage {
    /// All of the page at `page`; none when that is null.
    pub fn new(page: *const u8) -> Self {
        Self { at: page, end: if page.is_null() { page } else { page.wrapping_add(PAGE_SIZE) } }
    }

    /// Asks for the next line, if there is one.
    #[inline(always)]
    pub fn step(&mut self) {
        if self.at < self.end {
            prefetch(self.at);
            self.at = self.at.wrapping_add(LINE);
        }
    }
}
