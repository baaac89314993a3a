//! Where the values of a page's tuples begin.
//!
//! [`TupleWalker`] knows a relation's attributes up to the last one that a scan needs, and finds for
//! each tuple of a page the offset of each needed value. Called by the decoder once per page.
//!
//! Most tuples have no NULL before the last needed attribute. These are walked together, attribute by
//! attribute: one tight loop over all their cursors per *step*, so that the chains of dependent loads
//! (a length must be known before the next value is found) of many tuples overlap. The others are walked one by one.
//!
//! Invariants: every offset handed out that is not [`NULL`] or [`MISSING`] lies in its tuple, and the
//! value there ends within it; a tuple lies within the page. Alignment on the page is alignment in the
//! tuple, as a tuple and its data both begin at a multiple of 8 (checked).
//!
//! The rules are those of PostgreSQL's access/common/heaptuple.c and access/tupmacs.h.

use crate::error::{Error, Result, sqlstate};
use crate::host::{Attribute, PAGE_SIZE};
use crate::scan::prefetch::{NextPage, PAGE_LINES, prefetch_lines};
use crate::scan::varlena;

/// The value is NULL.
pub(crate) const NULL: u16 = u16::MAX;
/// The tuple is older than the attribute: it has the attribute's missing value.
pub(crate) const MISSING: u16 = u16::MAX - 1;

pub type PageBytes = [u8; PAGE_SIZE];

const PAGE_HEADER: usize = 24;
const TUPLE_HEADER: usize = 23;
const MAX_ALIGN: usize = 8;
const LP_NORMAL: u32 = 1;
const HEAP_HASNULL: u16 = pgrx_pg_sys::HEAP_HASNULL as u16;
const HEAP_NATTS_MASK: u16 = pgrx_pg_sys::HEAP_NATTS_MASK as u16;
/// More than any tuple has room for; cursors near it still fit a u16.
const TOO_FAR: u16 = PAGE_SIZE as u16 + 1;

/// Tuples between the one that is looked at and the one that is on its way into the cache.
const AHEAD: usize = 8;

/// Cache lines of a tuple that are asked for.
const LINES: usize = 3;

/// Where the values of one attribute begin on a page.
#[derive(Clone, Copy, Debug)]
pub struct Offsets<'a> {
    /// From the start of the page, or [`NULL`] or [`MISSING`].
    pub of: &'a [u16],
    /// Some may be [`NULL`] or [`MISSING`].
    pub special: bool,
}

/// The offsets of one needed attribute on the current page.
#[derive(Debug)]
pub struct Slot {
    attribute: usize,
    /// One per tuple, from the start of the page.
    offsets: Vec<u16>,
    special: bool,
}

impl Slot {
    pub fn offsets(&self) -> Offsets<'_> {
        Offsets { of: &self.offsets, special: self.special }
    }
}

/// An attribute as the walk sees it.
#[derive(Clone, Copy, Debug)]
struct Shape {
    length: Length,
    /// Alignment less one.
    mask: u16,
    slot: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Fixed(u16),
    Varlena,
    CString,
}

/// What is done with all plain tuples at once.
#[derive(Debug)]
enum Step {
    /// Fixed-width attributes whose distances are constant once the first one is aligned.
    Fixed {
        mask: u16,
        needed: Vec<(usize, u16)>,
        length: u16,
    },
    Varlena {
        mask: u16,
        slot: Option<usize>,
    },
    CString {
        slot: Option<usize>,
    },
}

/// A tuple that is walked on its own.
#[derive(Clone, Copy, Debug)]
struct Odd {
    /// Its place among the page's visible tuples.
    index: usize,
    tuple: Tuple,
}

/// Where a tuple lies on its page. Four u16, so that it travels in one register.
#[derive(Clone, Copy, Debug)]
struct Tuple {
    /// Of its null bitmap; 0 when it has none.
    bits: u16,
    /// Of its first attribute.
    data: u16,
    end: u16,
    natts: u16,
}

#[derive(Debug)]
pub struct TupleWalker {
    shapes: Vec<Shape>,
    steps: Vec<Step>,
    slots: Vec<Slot>,
    // Of the current page, kept for their allocations: the plain tuples' cursors and ends, and the others.
    cursors: Vec<u16>,
    ends: Vec<u16>,
    odd: Vec<Odd>,
}

impl TupleWalker {
    /// A walker that finds the attributes `needed` (indexes into `attributes`, in any order).
    pub fn new(attributes: &[Attribute], needed: &[usize]) -> Result<Self> {
        let mut slots: Vec<Slot> = Vec::new();
        let count = needed.iter().max().map_or(0, |last| last + 1);
        if count > attributes.len() {
            return Err(Error::internal(format!("the relation has no attribute number {count}")));
        }
        let mut shapes = Vec::with_capacity(count);
        for (number, attribute) in attributes[..count].iter().enumerate() {
            let slot = needed.contains(&number).then(|| {
                slots.push(Slot { attribute: number, offsets: Vec::new(), special: false });
                slots.len() - 1
            });
            shapes.push(Shape::new(attribute, slot)?);
        }
        let steps = steps(&shapes);
        Ok(Self { shapes, steps, slots, cursors: vec![], ends: vec![], odd: vec![] })
    }

    /// The slot of a needed attribute.
    pub fn slot_of(&self, attribute: usize) -> Option<usize> {
        self.slots.iter().position(|slot| slot.attribute == attribute)
    }

    /// What the last [`walk`](Self::walk) found.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Finds the needed values of the tuples behind `line_pointers` (numbers from 1): each slot then has
    /// one offset per tuple. The page at `next`, if that is not null, is brought into the cache meanwhile.
    pub fn walk(&mut self, page: &PageBytes, line_pointers: &[u16], next: *const u8) -> Result<()> {
        for slot in &mut self.slots {
            slot.offsets.clear();
            slot.special = false;
        }
        if self.slots.is_empty() {
            return Ok(());
        }
        let mut next = NextPage::new(next);
        self.sort_out(page, line_pointers, &mut next)?;
        for step in &self.steps {
            let sound = match *step {
                Step::Fixed { mask, ref needed, length } => {
                    fixed(&mut self.cursors, &self.ends, &mut self.slots, mask, needed, length)
                }
                Step::Varlena { mask, slot } => {
                    let found = slot.map(|slot| &mut self.slots[slot].offsets);
                    varlenas(page, &mut self.cursors, &self.ends, mask, found, &mut next)
                }
                Step::CString { slot } => {
                    let found = slot.map(|slot| &mut self.slots[slot].offsets);
                    cstrings(page, &mut self.cursors, &self.ends, found)
                }
            };
            // Before the next step reads at the cursors.
            if !sound {
                return Err(corrupted("an attribute reaches beyond the end of its tuple"));
            }
        }
        self.walk_odd(page, line_pointers.len())
    }

    /// Reads the line pointers and tuple headers.
    fn sort_out(&mut self, page: &PageBytes, line_pointers: &[u16], next: &mut NextPage) -> Result<()> {
        let (walked, count) = (self.shapes.len(), line_pointers.len());
        // The walk over a varlena asks for a line of the next page too; together they ask for all.
        let varlenas = self.steps.iter().filter(|step| matches!(step, Step::Varlena { .. })).count();
        let lines = PAGE_LINES.div_ceil(count.max(1)).saturating_sub(varlenas).max(1);
        self.odd.clear();
        self.cursors.resize(count, 0);
        self.ends.resize(count, 0);
        let (cursors, ends) = (&mut self.cursors[..count], &mut self.ends[..count]);
        let mut plain = 0;
        let prefetch = |number| prefetch_lines(Tuple::address(page, number), LINES);
        line_pointers.iter().take(AHEAD).for_each(|&number| prefetch(number));
        for (index, &number) in line_pointers.iter().enumerate() {
            if let Some(&ahead) = line_pointers.get(index + AHEAD) {
                prefetch(ahead);
            }
            (0..lines).for_each(|_| next.step());
            let tuple = Tuple::find(page, number).map_err(corrupted)?;
            if usize::from(tuple.natts) >= walked && (tuple.bits == 0 || !tuple.has_null_among(page, walked)) {
                cursors[plain] = tuple.data;
                ends[plain] = tuple.end;
                plain += 1;
            } else {
                self.odd.push(Odd { index, tuple });
            }
        }
        self.cursors.truncate(plain);
        self.ends.truncate(plain);
        Ok(())
    }

    /// Makes room in the slots for the odd tuples, then walks them.
    fn walk_odd(&mut self, page: &PageBytes, count: usize) -> Result<()> {
        if self.odd.is_empty() {
            return Ok(());
        }
        for slot in &mut self.slots {
            slot.special = true;
            slot.offsets.resize(count, NULL);
            // From the back, each run of plain tuples moves up by the number of odd ones before it.
            let mut end = count;
            for (before, odd) in self.odd.iter().enumerate().rev() {
                slot.offsets.copy_within(odd.index - before..end - before - 1, odd.index + 1);
                end = odd.index;
            }
        }
        for &Odd { index, tuple } in &self.odd {
            let mut offset = tuple.data.into();
            for (number, shape) in self.shapes.iter().enumerate() {
                let found = if number >= tuple.natts.into() {
                    MISSING
                } else if tuple.bits != 0 && tuple.is_null(page, number) {
                    NULL
                } else {
                    let (begin, end) = shape.place(&page[..tuple.end.into()], offset)?;
                    offset = end;
                    begin as u16
                };
                if let Some(slot) = shape.slot {
                    self.slots[slot].offsets[index] = found;
                }
            }
        }
        Ok(())
    }
}

impl Shape {
    fn new(attribute: &Attribute, slot: Option<usize>) -> Result<Self> {
        let mask = match attribute.attalign {
            b'c' => 0,
            b's' => 1,
            b'i' => 3,
            b'd' => 7,
            other => return Err(Error::internal(format!("unknown attribute alignment {other}"))),
        };
        let length = match attribute.attlen {
            -1 => Length::Varlena,
            -2 => Length::CString,
            length @ 1.. => Length::Fixed(length.unsigned_abs().min(TOO_FAR)),
            other => return Err(Error::internal(format!("unknown attribute length {other}"))),
        };
        Ok(Self { length, mask, slot })
    }

    /// Begin and end of this attribute when the one before ended at `offset`; `tuple` is the page up to
    /// the tuple's end.
    fn place(&self, tuple: &[u8], offset: usize) -> Result<(usize, usize)> {
        let aligned = (offset + usize::from(self.mask)) & !usize::from(self.mask);
        let (begin, length) = match self.length {
            Length::Fixed(length) => (aligned, Some(usize::from(length))),
            Length::Varlena => {
                // A short header is never zero and needs no alignment; padding is always zero.
                let begin = if tuple.get(offset).is_some_and(|&byte| byte != 0) { offset } else { aligned };
                (begin, tuple.get(begin..).and_then(varlena::size))
            }
            Length::CString => (offset, tuple.get(offset..).and_then(cstring_size)),
        };
        match length {
            Some(length) if begin + length <= tuple.len() => Ok((begin, begin + length)),
            Some(_) => Err(corrupted("an attribute reaches beyond the end of its tuple")),
            None => Err(corrupted("the header of an attribute is malformed")),
        }
    }
}

impl Tuple {
    /// Where line pointer `number` says that a tuple is.
    #[inline(always)]
    fn address(page: &PageBytes, number: u16) -> *const u8 {
        let pointer = read::<4>(page, (PAGE_HEADER + usize::from(number) * 4).wrapping_sub(4)).unwrap_or_default();
        page.as_ptr().wrapping_add(u32::from_le_bytes(pointer) as usize & 0x7FFF)
    }

    /// The tuple behind line pointer `number`: all of it lies in the page, header and null bitmap lie in the tuple.
    #[inline]
    fn find(page: &PageBytes, number: u16) -> Result<Self, &'static str> {
        let Some(pointer) = usize::from(number).checked_sub(1).and_then(|at| read::<4>(page, PAGE_HEADER + at * 4))
        else {
            return Err("a line pointer lies outside the page");
        };
        let pointer = u32::from_le_bytes(pointer);
        let (begin, flags, length) = (pointer as usize & 0x7FFF, pointer >> 15 & 3, (pointer >> 17) as usize);
        let end = begin + length;
        if flags != LP_NORMAL || begin < PAGE_HEADER || begin % MAX_ALIGN != 0 || end > PAGE_SIZE {
            return Err("a line pointer does not point at a tuple");
        }
        // t_infomask2, t_infomask, t_hoff: bytes 18 to 22.
        let Some(header) = read::<8>(page, begin + 16).map(u64::from_le_bytes) else {
            return Err("a tuple header reaches beyond the page");
        };
        let natts = (header >> 16) as u16 & HEAP_NATTS_MASK;
        let has_nulls = (header >> 32) as u16 & HEAP_HASNULL != 0;
        let header_length = usize::from((header >> 48) as u8);
        let bitmap_length = if has_nulls { usize::from(natts).div_ceil(8) } else { 0 };
        if header_length % MAX_ALIGN != 0 || header_length < TUPLE_HEADER + bitmap_length || header_length > length {
            return Err("a tuple header has a wrong length");
        }
        let bits = if has_nulls { begin + TUPLE_HEADER } else { 0 };
        Ok(Self { bits: bits as u16, data: (begin + header_length) as u16, end: end as u16, natts })
    }

    /// Is attribute `number` NULL? A bit is set where there is a value. The tuple has that attribute, and a bitmap.
    fn is_null(&self, page: &PageBytes, number: usize) -> bool {
        page[usize::from(self.bits) + number / 8] & (1 << (number % 8)) == 0
    }

    /// Is one of the first `count` attributes NULL? The tuple has as many, and a bitmap.
    fn has_null_among(&self, page: &PageBytes, count: usize) -> bool {
        let (whole, rest) = page[usize::from(self.bits)..].split_at(count / 8);
        let mask = (1u8 << (count % 8)) - 1;
        whole.iter().any(|&byte| byte != 0xFF) || (mask != 0 && rest[0] & mask != mask)
    }
}

/// Groups attributes into steps. The data of a tuple begins at a multiple of 8, so the first run is the
/// fixed-width prefix.
fn steps(shapes: &[Shape]) -> Vec<Step> {
    let mut steps = Vec::new();
    // The alignment (less one) of the place that the open run counts from.
    let mut known = MAX_ALIGN as u16 - 1;
    // Alignment mask, needed attributes with their distance, length so far.
    type Run = (u16, Vec<(usize, u16)>, u16);
    let mut open: Option<Run> = None;
    for shape in shapes {
        match shape.length {
            Length::Fixed(length) => {
                if let Some((mask, needed, length)) = open.take_if(|_| shape.mask > known) {
                    steps.push(Step::Fixed { mask, needed, length });
                }
                if open.is_none() && !steps.is_empty() {
                    known = shape.mask;
                }
                let (_, needed, so_far) = open.get_or_insert_with(|| (known, Vec::new(), 0));
                let begin = (*so_far + shape.mask) & !shape.mask;
                needed.extend(shape.slot.map(|slot| (slot, begin)));
                *so_far = begin.saturating_add(length).min(TOO_FAR);
            }
            Length::Varlena | Length::CString => {
                if let Some((mask, needed, length)) = open.take() {
                    steps.push(Step::Fixed { mask, needed, length });
                }
                steps.push(match shape.length {
                    Length::CString => Step::CString { slot: shape.slot },
                    _ => Step::Varlena { mask: shape.mask, slot: shape.slot },
                });
                known = 0;
            }
        }
    }
    if let Some((mask, needed, length)) = open {
        steps.push(Step::Fixed { mask, needed, length });
    }
    steps
}

/// Moves all cursors over a run. False when one leaves its tuple.
fn fixed(
    cursors: &mut [u16],
    ends: &[u16],
    slots: &mut [Slot],
    mask: u16,
    needed: &[(usize, u16)],
    length: u16,
) -> bool {
    for &(slot, begin) in needed {
        slots[slot].offsets.extend(cursors.iter().map(|&cursor| ((cursor + mask) & !mask) + begin));
    }
    let mut beyond = false;
    for (cursor, &end) in cursors.iter_mut().zip(ends) {
        // No overflow: a cursor is at most PAGE_SIZE, a run at most TOO_FAR.
        *cursor = ((*cursor + mask) & !mask) + length;
        beyond |= *cursor > end;
    }
    !beyond
}

/// Moves all cursors over a varlena. False when one is malformed or leaves its tuple.
fn varlenas(
    page: &PageBytes,
    cursors: &mut [u16],
    ends: &[u16],
    mask: u16,
    found: Option<&mut Vec<u16>>,
    next: &mut NextPage,
) -> bool {
    let mut step = |cursor: u16| -> (u16, u16) {
        next.step();
        // A cursor at the page's very end wraps to its first byte: whatever is read there, the value ends
        // beyond its tuple.
        let first = page[usize::from(cursor) & (PAGE_SIZE - 1)];
        if first & 1 != 0 && first != 1 {
            (cursor, cursor + u16::from(first >> 1))
        } else {
            other_varlena(page, cursor, mask)
        }
    };
    let mut beyond = false;
    match found {
        Some(offsets) => {
            offsets.resize(cursors.len(), NULL);
            for ((cursor, &end), offset) in cursors.iter_mut().zip(ends).zip(offsets) {
                (*offset, *cursor) = step(*cursor);
                beyond |= *cursor > end;
            }
        }
        None => {
            for (cursor, &end) in cursors.iter_mut().zip(ends) {
                *cursor = step(*cursor).1;
                beyond |= *cursor > end;
            }
        }
    }
    !beyond
}

/// Begin and end of a varlena that is not a plain short one; an end of [`TOO_FAR`] when it cannot be.
#[inline(never)]
fn other_varlena(page: &PageBytes, cursor: u16, mask: u16) -> (u16, u16) {
    let padding = page.get(usize::from(cursor)).is_none_or(|&byte| byte == 0);
    let begin = if padding { (cursor + mask) & !mask } else { cursor };
    let end = page
        .get(usize::from(begin)..)
        .and_then(varlena::size)
        .and_then(|size| u16::try_from(usize::from(begin) + size).ok())
        .unwrap_or(TOO_FAR);
    (begin, end.min(TOO_FAR))
}

/// Moves all cursors over a C string. False when one leaves its tuple.
fn cstrings(page: &PageBytes, cursors: &mut [u16], ends: &[u16], mut found: Option<&mut Vec<u16>>) -> bool {
    for (cursor, &end) in cursors.iter_mut().zip(ends) {
        let Some(size) = page.get(usize::from(*cursor)..usize::from(end)).and_then(cstring_size) else {
            return false;
        };
        if let Some(offsets) = &mut found {
            offsets.push(*cursor);
        }
        *cursor += size as u16;
    }
    true
}

/// Bytes of the C string at the start of `bytes`, with its NUL.
fn cstring_size(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == 0).map(|length| length + 1)
}

/// `N` bytes at `offset`, any alignment.
#[inline]
pub fn read<const N: usize>(page: &PageBytes, offset: usize) -> Option<[u8; N]> {
    page.get(offset..offset + N).and_then(|bytes| bytes.try_into().ok())
}

/// The error for a page that is not what PostgreSQL writes.
#[cold]
pub fn corrupted(what: &str) -> Error {
    Error::new(sqlstate::DATA_CORRUPTED, format!("corrupted heap page: {what}"))
}
