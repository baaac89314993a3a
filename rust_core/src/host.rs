//! What the core asks of PostgreSQL, as a trait: the seam that tests put a fake host into.
//!
//! All methods are called from one thread, inside a turn, and are short: none runs SQL. After one
//! has returned [`Error::Parked`](crate::error::Error::Parked) an ERROR waits in C to be rethrown, and nothing may be asked again.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::Result;

/// Bytes in a heap page (PostgreSQL's BLCKSZ).
pub const PAGE_SIZE: usize = pgrx_pg_sys::BLCKSZ as usize;

/// How one attribute lies in a heap tuple: `PgjsAttribute` in `include/pgjs_host.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Datum for tuples that end before this attribute (pg_attribute.attmissingval).
    pub missing_value: u64,
    pub typid: u32,
    pub typmod: i32,
    /// Bytes; -1 varlena, -2 C string.
    pub attlen: i16,
    /// b'c', b's', b'i' or b'd'.
    pub attalign: u8,
    pub attbyval: bool,
    pub attnotnull: bool,
    pub missing_isnull: bool,
    pub attisdropped: bool,
}

/// How the tuples of one part of a scan lie, borrowed for as long as the session lives.
#[derive(Clone, Debug)]
pub struct Relation<'a> {
    /// Attribute number 1 first.
    pub attributes: &'a [Attribute],
    /// Of each attribute of the scan's table, from 1, its number in this part; 0 for a dropped one. None: the same.
    pub attnos: Option<&'a [i16]>,
    /// Of the part's table, for messages.
    pub name: Cow<'a, str>,
    /// How many of its pages the scan may have pinned at a time, at least 1.
    pub pins: usize,
}

impl Relation<'_> {
    /// The number in this part of the scan's attribute `attno`; None when it has none.
    pub fn attno(&self, attno: u32) -> Option<u32> {
        let Some(attnos) = self.attnos else { return Some(attno) };
        let here = *attnos.get((attno as usize).checked_sub(1)?)?;
        u32::try_from(here).ok().filter(|&here| here > 0)
    }
}

/// What has become of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The part is read whole: there is no index, or it does not pay.
    None,
    /// Ask again, with the same keys.
    More,
    /// No pages but these are to be read, ascending; they show no other tuples.
    Done(Vec<u32>),
}

/// A range of blocks of one part of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub part: u32,
    /// Empty when all parts are used up.
    pub blocks: Range<u32>,
}

/// A pinned heap page and its visible tuples, borrowed for one callback.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// [`PAGE_SIZE`] bytes, aligned to 8. They stay where they are for as long as the page is pinned.
    pub bytes: &'a [u8],
    /// Line pointer numbers of the visible tuples, 1-based.
    pub offsets: &'a [u16],
    /// Where the page that is read next probably lies; null when that is not known. Only to be prefetched: it is not
    /// pinned.
    pub next: *const u8,
}

/// What a send came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    Sent,
    /// Send the same bytes again later, and nothing else to this queue before.
    Full,
    Detached,
}

/// What a receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    Message,
    Empty,
    Detached,
}

/// What matters about a collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollationFlags {
    /// Equality is bytewise.
    pub deterministic: bool,
    /// Order is bytewise (C, POSIX).
    pub c: bool,
}

/// How values of a type lie in memory: `PgjsTypeLayout` in `include/pgjs_host.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeLayout {
    /// pg_type.typlen: bytes; -1 varlena, -2 C string.
    pub len: i16,
    /// pg_type.typbyval.
    pub byval: bool,
    /// The database's encoding is UTF8.
    pub utf8: bool,
}

pub trait Host: std::marker::Send + Sync {
    /// PostgreSQL wants to serve an interrupt: end the turn soon.
    fn interrupt_pending(&self) -> bool;
    /// PostgreSQL wants to end the query (cancel, terminate).
    fn cancelled(&self) -> bool;
    /// The next range of blocks of this participant. A scan of a partitioned or inherited table has a part for each
    /// table that it reads, one after the other; any other scan has one.
    fn scan_claim(&self, scan: u32) -> Result<Claim>;
    /// Tuple layout of a part that was claimed of.
    fn scan_open(&self, scan: u32, part: u32) -> Result<Relation<'_>>;
    /// Looks up in an index of a part that was opened, before a page of it is read, the tuples whose attribute `attno` (of
    /// the part) is one of `keys`: distinct Datums, none of them NULL. One step; there may be many.
    fn scan_look_up(&self, scan: u32, part: u32, attno: u32, keys: &[u64]) -> Result<Lookup>;
    /// Pins `block` of the last claim and shows its visible tuples to `read`, once. The pages that are pinned stay so
    /// with `keep`; without, their pins are dropped first.
    fn scan_page(&self, scan: u32, block: u32, keep: bool, read: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()>;
    /// Drops the pins that `scan_page` left.
    fn scan_unpin(&self, scan: u32) -> Result<()>;
    /// Detoasts `datum`, a whole varlena (toasted or compressed), and shows the plain payload, without
    /// header, to `read`, once.
    fn detoast(&self, datum: &[u8], read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;
    /// One message into a queue, without waiting.
    fn send(&self, queue: u32, message: &[u8], flush: bool) -> Result<Send>;
    /// One message out of a queue, without waiting; shown to `read` once.
    fn receive(&self, queue: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Receive>;
    /// One line of trace.
    fn log(&self, message: &str) -> Result<()>;
    /// Flags of a collation.
    fn collation(&self, collation: u32) -> Result<CollationFlags>;
    /// Layout of a type.
    fn type_layout(&self, typid: u32) -> Result<TypeLayout>;
}
