//! Some pages at once, so that conditions are evaluated on many rows though a page holds few.
//!
//! Pages are read where they lie, and stay pinned for as long as they are in the chunk. What the walker found on them
//! is kept beside; tuples that a condition rejects are struck off before anything more of them is decoded.

use std::ptr::NonNull;

use arrow::buffer::BooleanBuffer;

use crate::error::Result;
use crate::host::{Host, Page};
use crate::scan::columns::ColumnBuilder;
use crate::scan::tuple::{Offsets, PageBytes, TupleWalker, corrupted};

/// Pages that fit a core's own cache, with the columns that are made of them.
const PAGES: usize = 32;

pub(super) struct Chunk {
    capacity: usize,
    pages: Vec<PinnedPage>,
    /// Of each slot of the walker: one per tuple, page after page.
    offsets: Vec<Vec<u16>>,
    /// Of each page and slot: some offset may be NULL or MISSING.
    special: Vec<bool>,
    /// The line pointers of all tuples, page after page.
    pointers: Vec<u16>,
    /// The numbers of the tuples that are still wanted, page after page.
    rows: Vec<u32>,
    /// Of each page, where its part of `rows` ends.
    ends: Vec<usize>,
    /// The offsets or line pointers of the wanted tuples of a page, kept for its allocation.
    wanted: Vec<u16>,
}

/// A page in PostgreSQL's buffers.
struct PinnedPage(NonNull<PageBytes>);

// SAFETY: it is shared memory, where any thread may read.
unsafe impl Send for PinnedPage {}

impl Chunk {
    /// An empty one, of at most `pins` pages.
    pub fn new(pins: usize) -> Self {
        Self {
            capacity: pins.clamp(1, PAGES),
            pages: vec![],
            offsets: vec![],
            special: vec![],
            pointers: vec![],
            rows: vec![],
            ends: vec![],
            wanted: vec![],
        }
    }

    /// Pages in it.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// The pages may be unpinned now.
    pub fn clear(&mut self) {
        self.pages.clear();
        self.pointers.clear();
        self.rows.clear();
        self.ends.clear();
    }

    /// Adds a page, which stays pinned until [`clear`](Self::clear); all its visible tuples are wanted. Errors: XX001
    /// for a page that is not what PostgreSQL writes.
    pub fn push(&mut self, page: &Page<'_>, walker: &mut TupleWalker) -> Result<()> {
        let bytes: &PageBytes = page.bytes.try_into().map_err(|_| corrupted("it has a wrong size"))?;
        walker.walk(bytes, page.offsets, page.next)?;
        if self.pages.is_empty() {
            self.begin_walk(walker);
        }
        self.pages.push(PinnedPage(NonNull::from(bytes)));
        self.note(walker);
        let before = self.pointers.len() as u32;
        self.pointers.extend_from_slice(page.offsets);
        self.rows.extend(before..self.pointers.len() as u32);
        self.ends.push(self.rows.len());
        Ok(())
    }

    /// Tuples that are still wanted.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Tuples of a page that are still wanted.
    pub fn rows_of(&self, page: usize) -> usize {
        self.ends[page] - self.begin(page)
    }

    fn page(&self, page: usize) -> &PageBytes {
        // SAFETY: pinned since `push` showed it: whoever fills the chunk keeps the pins until it is empty. Nobody moves
        // or changes a visible tuple's data under a pin; of its header what others may change is not what is read.
        unsafe { self.pages[page].0.as_ref() }
    }

    fn begin(&self, page: usize) -> usize {
        page.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Strikes off all wanted tuples but those that are set in `keep`, which has a bit for each.
    pub fn retain(&mut self, keep: &BooleanBuffer) {
        let mut kept = 0;
        let mut set = keep.set_indices().peekable();
        for end in &mut self.ends {
            while let Some(row) = set.next_if(|row| row < end) {
                self.rows[kept] = self.rows[row];
                kept += 1;
            }
            *end = kept;
        }
        self.rows.truncate(kept);
    }

    /// Has `walker` find what it needs of the wanted tuples; the others are forgotten.
    pub fn walk_again(&mut self, walker: &mut TupleWalker) -> Result<()> {
        let mut pointers = Vec::with_capacity(self.rows.len());
        self.begin_walk(walker);
        for page in 0..self.len() {
            let begin = pointers.len();
            let rows = &self.rows[self.begin(page)..self.ends[page]];
            pointers.extend(rows.iter().map(|&row| self.pointers[row as usize]));
            walker.walk(self.page(page), &pointers[begin..], std::ptr::null())?;
            self.note(walker);
        }
        self.rows.clear();
        self.rows.extend(0..pointers.len() as u32);
        self.pointers = pointers;
        Ok(())
    }

    fn begin_walk(&mut self, walker: &TupleWalker) {
        self.offsets.resize_with(walker.slots().len(), Vec::new);
        self.offsets.iter_mut().for_each(Vec::clear);
        self.special.clear();
    }

    /// Keeps what the walker found on a page.
    fn note(&mut self, walker: &TupleWalker) {
        for (slot, offsets) in walker.slots().iter().zip(&mut self.offsets) {
            offsets.extend_from_slice(slot.offsets().of);
            self.special.push(slot.offsets().special);
        }
    }

    /// Has `builder` take in the values of a slot, of the wanted tuples of a page.
    pub fn append(&mut self, host: &dyn Host, page: usize, slot: usize, builder: &mut ColumnBuilder) -> Result<()> {
        let rows = &self.rows[self.begin(page)..self.ends[page]];
        let offsets = &self.offsets[slot];
        self.wanted.clear();
        self.wanted.extend(rows.iter().map(|&row| offsets[row as usize]));
        let special = self.special[page * self.offsets.len() + slot];
        builder.append(host, self.page(page), Offsets { of: &self.wanted, special })
    }
}
