//! The callback table that C hands over: the mirror of `include/pgjs_host.h`.
//!
//! [`HostTable`] makes the table a [`Host`]: every raw pointer that comes back is turned into a
//! borrowed slice here, and nowhere else.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::error::{Error, Result};
use crate::host::{Attribute, Claim, CollationFlags, Host, Lookup, Page, Receive, Relation, Send as Sent, TypeLayout};

/// What a callback came to; `PGJS_IO_*` in C.
pub type PgjsIo = i32;
pub const PGJS_IO_OK: PgjsIo = 0;
pub const PGJS_IO_WOULD_BLOCK: PgjsIo = 1;
pub const PGJS_IO_DETACHED: PgjsIo = 2;
pub const PGJS_IO_ERROR: PgjsIo = 3;

pub use crate::host::{Attribute as PgjsAttribute, TypeLayout as PgjsTypeLayout};

#[repr(C)]
pub struct PgjsRelation {
    pub attributes: *const Attribute,
    pub attnos: *const i16,
    pub name: *const c_char,
    pub natts: u32,
    pub nattnos: u32,
    pub pins: u32,
}

/// What has become of a lookup; `PGJS_LOOKUP_*` in C.
pub type PgjsLookupState = u32;
pub const PGJS_LOOKUP_NONE: PgjsLookupState = 0;
pub const PGJS_LOOKUP_MORE: PgjsLookupState = 1;
pub const PGJS_LOOKUP_DONE: PgjsLookupState = 2;

#[repr(C)]
pub struct PgjsLookup {
    pub blocks: *const u32,
    pub nblocks: u32,
    pub state: PgjsLookupState,
}

#[repr(C)]
pub struct PgjsClaim {
    pub part: u32,
    pub start: u32,
    pub nblocks: u32,
}

#[repr(C)]
pub struct PgjsPage {
    pub page: *const u8,
    pub offsets: *const u16,
    pub ntuples: u32,
    pub next: *const u8,
}

/// See `include/pgjs_host.h`. Owned by C; must outlive the session that it is given to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PgjsHost {
    pub ctx: *mut c_void,
    pub interrupt_pending: *const c_int,
    pub scan_claim: unsafe extern "C" fn(*mut c_void, u32, *mut PgjsClaim) -> PgjsIo,
    pub scan_open: unsafe extern "C" fn(*mut c_void, u32, u32, *mut PgjsRelation) -> PgjsIo,
    pub scan_look_up: unsafe extern "C" fn(*mut c_void, u32, u32, u32, *const u64, u32, *mut PgjsLookup) -> PgjsIo,
    pub scan_page: unsafe extern "C" fn(*mut c_void, u32, u32, bool, *mut PgjsPage) -> PgjsIo,
    pub scan_unpin: unsafe extern "C" fn(*mut c_void, u32) -> PgjsIo,
    pub detoast: unsafe extern "C" fn(*mut c_void, *const u8, *mut *const u8, *mut usize) -> PgjsIo,
    pub send: unsafe extern "C" fn(*mut c_void, u32, *const u8, usize, bool) -> PgjsIo,
    pub receive: unsafe extern "C" fn(*mut c_void, u32, *mut *const u8, *mut usize) -> PgjsIo,
    pub log: unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> PgjsIo,
    pub cancelled: unsafe extern "C" fn(*mut c_void) -> bool,
    pub collation: unsafe extern "C" fn(*mut c_void, u32, *mut u32) -> PgjsIo,
    pub type_layout: unsafe extern "C" fn(*mut c_void, u32, *mut TypeLayout) -> PgjsIo,
}

/// The table as a [`Host`].
pub struct HostTable(PgjsHost);

// SAFETY: a session runs on the backend's one thread from its creation to its end; the bounds are
// only what DataFusion's and tokio's types ask for.
unsafe impl Send for HostTable {}
// SAFETY: as above.
unsafe impl Sync for HostTable {}

impl HostTable {
    /// # Safety
    /// Every function of `table` must be callable with its `ctx` until the session is freed.
    pub unsafe fn new(table: PgjsHost) -> Self {
        Self(table)
    }
}

fn done(io: PgjsIo) -> Result<()> {
    match io {
        PGJS_IO_OK => Ok(()),
        PGJS_IO_ERROR => Err(Error::Parked),
        other => Err(Error::internal(format!("unexpected callback status {other}"))),
    }
}

impl Host for HostTable {
    fn interrupt_pending(&self) -> bool {
        // SAFETY: C points it at a sig_atomic_t that lives as long as the process.
        unsafe { self.0.interrupt_pending.read_volatile() != 0 }
    }

    fn cancelled(&self) -> bool {
        // SAFETY: the table's contract.
        unsafe { (self.0.cancelled)(self.0.ctx) }
    }

    fn scan_claim(&self, scan: u32) -> Result<Claim> {
        let mut out = PgjsClaim { part: 0, start: 0, nblocks: 0 };
        // SAFETY: the table's contract.
        done(unsafe { (self.0.scan_claim)(self.0.ctx, scan, &mut out) })?;
        Ok(Claim { part: out.part, blocks: out.start..out.start + out.nblocks })
    }

    fn scan_open(&self, scan: u32, part: u32) -> Result<Relation<'_>> {
        let mut out = PgjsRelation {
            attributes: std::ptr::null(),
            attnos: std::ptr::null(),
            name: std::ptr::null(),
            natts: 0,
            nattnos: 0,
            pins: 0,
        };
        // SAFETY: the table's contract; C keeps what it points at until the session is freed.
        unsafe {
            done((self.0.scan_open)(self.0.ctx, scan, part, &mut out))?;
            Ok(Relation {
                attributes: slice(out.attributes, out.natts as usize),
                attnos: (!out.attnos.is_null()).then(|| slice(out.attnos, out.nattnos as usize)),
                name: CStr::from_ptr(out.name).to_string_lossy(),
                pins: out.pins as usize,
            })
        }
    }

    fn scan_look_up(&self, scan: u32, part: u32, attno: u32, keys: &[u64]) -> Result<Lookup> {
        let mut out = PgjsLookup { blocks: std::ptr::null(), nblocks: 0, state: PGJS_LOOKUP_NONE };
        let count = u32::try_from(keys.len()).map_err(|_| Error::internal("too many keys to look up"))?;
        // SAFETY: the table's contract; the keys are borrowed for the call, the blocks live as long as the scan.
        unsafe {
            done((self.0.scan_look_up)(self.0.ctx, scan, part, attno, keys.as_ptr(), count, &mut out))?;
            match out.state {
                PGJS_LOOKUP_NONE => Ok(Lookup::None),
                PGJS_LOOKUP_MORE => Ok(Lookup::More),
                PGJS_LOOKUP_DONE => Ok(Lookup::Done(slice(out.blocks, out.nblocks as usize).to_vec())),
                other => Err(Error::internal(format!("unexpected state {other} of a lookup"))),
            }
        }
    }

    fn scan_page(&self, scan: u32, block: u32, keep: bool, read: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
        let mut out =
            PgjsPage { page: std::ptr::null(), offsets: std::ptr::null(), ntuples: 0, next: std::ptr::null() };
        // SAFETY: the table's contract; the page stays pinned until a later scan callback for
        // this scan, and `read` cannot keep what it borrows.
        let page = unsafe {
            done((self.0.scan_page)(self.0.ctx, scan, block, keep, &mut out))?;
            Page {
                bytes: slice(out.page, crate::host::PAGE_SIZE),
                offsets: slice(out.offsets, out.ntuples as usize),
                next: out.next,
            }
        };
        read(page)
    }

    fn scan_unpin(&self, scan: u32) -> Result<()> {
        // SAFETY: the table's contract.
        done(unsafe { (self.0.scan_unpin)(self.0.ctx, scan) })
    }

    fn detoast(&self, datum: &[u8], read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (mut data, mut len) = (std::ptr::null(), 0);
        // SAFETY: the table's contract; the payload lives until the next detoast call.
        let payload = unsafe {
            done((self.0.detoast)(self.0.ctx, datum.as_ptr(), &mut data, &mut len))?;
            slice(data, len)
        };
        read(payload)
    }

    fn send(&self, queue: u32, message: &[u8], flush: bool) -> Result<Sent> {
        // SAFETY: the table's contract; `message` is borrowed for the call alone.
        match unsafe { (self.0.send)(self.0.ctx, queue, message.as_ptr(), message.len(), flush) } {
            PGJS_IO_OK => Ok(Sent::Sent),
            PGJS_IO_WOULD_BLOCK => Ok(Sent::Full),
            PGJS_IO_DETACHED => Ok(Sent::Detached),
            other => done(other).map(|()| Sent::Sent),
        }
    }

    fn receive(&self, queue: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Receive> {
        let (mut data, mut len) = (std::ptr::null(), 0);
        // SAFETY: the table's contract; the message lives until the next receive on this queue.
        match unsafe { (self.0.receive)(self.0.ctx, queue, &mut data, &mut len) } {
            PGJS_IO_OK => read(unsafe { slice(data, len) }).map(|()| Receive::Message),
            PGJS_IO_WOULD_BLOCK => Ok(Receive::Empty),
            PGJS_IO_DETACHED => Ok(Receive::Detached),
            other => done(other).map(|()| Receive::Empty),
        }
    }

    fn log(&self, message: &str) -> Result<()> {
        // SAFETY: the table's contract; C copies the text.
        done(unsafe { (self.0.log)(self.0.ctx, message.as_ptr().cast(), message.len()) })
    }

    fn collation(&self, collation: u32) -> Result<CollationFlags> {
        let mut flags = 0;
        // SAFETY: the table's contract.
        done(unsafe { (self.0.collation)(self.0.ctx, collation, &mut flags) })?;
        Ok(CollationFlags { deterministic: flags & 1 != 0, c: flags & 2 != 0 })
    }

    fn type_layout(&self, typid: u32) -> Result<TypeLayout> {
        let mut out = TypeLayout { len: 0, byval: false, utf8: false };
        // SAFETY: the table's contract.
        done(unsafe { (self.0.type_layout)(self.0.ctx, typid, &mut out) })?;
        Ok(out)
    }
}

/// A slice from C, which writes NULL for an empty one.
///
/// # Safety
/// `data` points at `len` initialised values that live for `'a`, or is NULL with `len` 0.
pub(super) unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, len) }
}
