//! For tests: heap pages made as PostgreSQL makes them, and a host that serves them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::execution::TaskContext;
use datafusion::prelude::SessionConfig;
use pgrx_pg_sys::BuiltinOid;

use crate::error::{Error, Result};
use crate::host::{
    Attribute, Claim, CollationFlags, Host, Lookup, PAGE_SIZE, Page, Receive, Relation, Send, TypeLayout,
};
use crate::scan::numeric;
use crate::scan::varlena::long_header;
use crate::session::{SessionContext, Topology};

/// A task context whose session has this host, in its first turn.
pub fn context(host: Arc<dyn Host>, batch_size: usize) -> (Arc<TaskContext>, Arc<SessionContext>) {
    let topology = Topology { participant: 0, participants: 1, planned: 1, leader_participates: true };
    let session = Arc::new(SessionContext::new(topology, host, Duration::from_secs(60), false));
    session.turn.begin();
    let config = SessionConfig::new().with_batch_size(batch_size).with_extension(Arc::clone(&session));
    (Arc::new(TaskContext::default().with_session_config(config)), session)
}

/// An attribute as pg_attribute describes the type.
pub fn attribute(oid: BuiltinOid, typmod: i32) -> Attribute {
    let (attlen, attalign, attbyval) = match oid {
        BuiltinOid::BOOLOID | BuiltinOid::CHAROID => (1, b'c', true),
        BuiltinOid::INT2OID => (2, b's', true),
        BuiltinOid::INT4OID | BuiltinOid::OIDOID | BuiltinOid::FLOAT4OID | BuiltinOid::DATEOID => (4, b'i', true),
        BuiltinOid::INT8OID | BuiltinOid::FLOAT8OID | BuiltinOid::TIMESTAMPOID | BuiltinOid::TIMESTAMPTZOID => {
            (8, b'd', true)
        }
        BuiltinOid::NAMEOID => (64, b'c', false),
        BuiltinOid::UUIDOID => (16, b'c', false),
        BuiltinOid::INTERVALOID => (16, b'd', false),
        BuiltinOid::TIDOID => (6, b's', false),
        BuiltinOid::CSTRINGOID => (-2, b'c', false),
        BuiltinOid::PATHOID => (-1, b'd', false),
        _ => (-1, b'i', false),
    };
    Attribute {
        missing_value: 0,
        typid: oid as u32,
        typmod,
        attlen,
        attalign,
        attbyval,
        attnotnull: false,
        missing_isnull: true,
        attisdropped: false,
    }
}

pub fn numeric_typmod(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | scale) + 4
}

/// A value as it lies in a tuple.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Fixed(Vec<u8>),
    /// A varlena with a one-byte header.
    Short(Vec<u8>),
    /// A varlena with a four-byte header.
    Long(Vec<u8>),
    /// Compressed in line; the fake host gives back the bytes that lie there.
    Compressed(Vec<u8>),
    /// Out of line, under this number in the fake host.
    External(u32),
    CString(Vec<u8>),
}

impl Value {
    pub fn text(text: &str) -> Self {
        if text.len() < 127 { Self::Short(text.into()) } else { Self::Long(text.into()) }
    }

    pub fn numeric(value: i128, scale: u8) -> Self {
        Self::Short(numeric::encode(value, scale).payload().to_vec())
    }

    pub fn int4(value: i32) -> Self {
        Self::Fixed(value.to_le_bytes().to_vec())
    }

    pub fn int8(value: i64) -> Self {
        Self::Fixed(value.to_le_bytes().to_vec())
    }
}

/// A varlena compressed in line: header, raw size, bytes.
pub fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut varlena = (((bytes.len() + 8) as u32) << 2 | 2).to_le_bytes().to_vec();
    varlena.extend((bytes.len() as u32).to_le_bytes());
    varlena.extend(bytes);
    varlena
}

fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// A heap tuple of the first `values.len()` attributes.
pub fn tuple(attributes: &[Attribute], values: &[Value]) -> Vec<u8> {
    assert!(values.len() <= attributes.len());
    let has_nulls = values.contains(&Value::Null);
    let mut bytes = vec![0; 23];
    bytes[18..20].copy_from_slice(&(values.len() as u16).to_le_bytes());
    // HEAP_XMIN_COMMITTED among others: bits that do not concern the walk.
    bytes[20..22].copy_from_slice(&(0x0902 | u16::from(has_nulls)).to_le_bytes());
    if has_nulls {
        bytes.resize(23 + values.len().div_ceil(8), 0);
        for (number, value) in values.iter().enumerate() {
            bytes[23 + number / 8] |= u8::from(*value != Value::Null) << (number % 8);
        }
    }
    align(&mut bytes, 8);
    bytes[22] = bytes.len() as u8;
    for (attribute, value) in attributes.iter().zip(values) {
        let alignment = match attribute.attalign {
            b'c' => 1,
            b's' => 2,
            b'i' => 4,
            _ => 8,
        };
        match value {
            Value::Null => {}
            Value::Fixed(value) => {
                assert_eq!(attribute.attlen as usize, value.len());
                align(&mut bytes, alignment);
                bytes.extend(value);
            }
            Value::Short(payload) => {
                assert!(payload.len() < 127);
                bytes.push(((payload.len() + 1) << 1) as u8 | 1);
                bytes.extend(payload);
            }
            Value::Long(payload) => {
                align(&mut bytes, alignment);
                bytes.extend(long_header(payload.len()));
                bytes.extend(payload);
            }
            Value::Compressed(payload) => {
                align(&mut bytes, alignment);
                bytes.extend(compressed(payload));
            }
            Value::External(number) => {
                bytes.extend([1, 18]);
                bytes.extend(number.to_le_bytes());
                bytes.extend([0xAB; 12]);
            }
            Value::CString(text) => {
                bytes.extend(text);
                bytes.push(0);
            }
        }
    }
    bytes
}

/// A page of the fake table.
#[derive(Clone)]
pub struct HeapPage {
    pub bytes: Box<[u8; PAGE_SIZE]>,
    /// Line pointers of the visible tuples.
    pub offsets: Vec<u16>,
    lower: usize,
    upper: usize,
}

impl HeapPage {
    pub fn new() -> Self {
        Self { bytes: Box::new([0; PAGE_SIZE]), offsets: vec![], lower: 24, upper: PAGE_SIZE }
    }

    /// A page with these tuples.
    pub fn of<'a>(tuples: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut page = Self::new();
        for tuple in tuples {
            assert!(page.push(tuple), "the page is full");
        }
        page
    }

    /// Adds a visible tuple; false when there is no room.
    pub fn push(&mut self, tuple: &[u8]) -> bool {
        let begin = self.upper.saturating_sub(tuple.len().next_multiple_of(8));
        if begin < self.lower + 4 {
            return false;
        }
        self.bytes[begin..begin + tuple.len()].copy_from_slice(tuple);
        let pointer = begin as u32 | 1 << 15 | (tuple.len() as u32) << 17;
        self.bytes[self.lower..self.lower + 4].copy_from_slice(&pointer.to_le_bytes());
        self.offsets.push((self.lower as u16 - 24) / 4 + 1);
        self.lower += 4;
        self.upper = begin;
        true
    }

    pub fn page(&self) -> Page<'_> {
        Page { bytes: &self.bytes[..], offsets: &self.offsets, next: std::ptr::null() }
    }
}

/// Copies of the pages that were asked for. Those that are not pinned any more are filled with rubbish, for whoever
/// reads them still.
#[derive(Default)]
pub struct Pinned {
    pages: Vec<HeapPage>,
    dropped: Vec<HeapPage>,
}

impl Pinned {
    fn unpin(&mut self) {
        for mut page in self.pages.drain(..) {
            page.bytes.fill(0xEE);
            self.dropped.push(page);
        }
    }
}

/// Serves one table as scan 0, or several as its parts.
#[derive(Default)]
pub struct FakeHost {
    pub attributes: Vec<Attribute>,
    pub pages: Vec<HeapPage>,
    pub ranges: Mutex<VecDeque<Range<u32>>>,
    pub toast: HashMap<u32, Vec<u8>>,
    /// An interrupt waits, for as long as this says.
    pub interrupt: AtomicBool,
    /// `scan_page` of this block parks an error.
    pub parks_at: Option<u32>,
    pub pages_read: AtomicU32,
    pub unpinned: AtomicU32,
    /// Pages that may be pinned at a time.
    pub pins: usize,
    pub pinned: Mutex<Pinned>,
    pub calls: AtomicU32,
    /// Where this part has the attributes of the scan's table, if elsewhere.
    pub attnos: Option<Vec<i16>>,
    /// The part that comes after this one.
    pub next: Option<Box<FakeHost>>,
    pub claimed: AtomicU32,
    /// By attribute number: the blocks that have a key.
    pub indexes: HashMap<u32, HashMap<u64, Vec<u32>>>,
    /// More blocks than this do not pay.
    pub most_found: Option<usize>,
    pub steps: AtomicU32,
}

impl FakeHost {
    /// Pages claimed in ranges of `range` blocks.
    pub fn new(attributes: Vec<Attribute>, pages: Vec<HeapPage>, range: u32) -> Self {
        let host = Self { attributes, pages, pins: 32, ..Self::default() };
        host.rewind(range);
        host
    }

    /// All pages can be claimed again.
    pub fn rewind(&self, range: u32) {
        let blocks = self.pages.len() as u32;
        let ranges = (0..blocks.div_ceil(range)).map(|n| n * range..((n + 1) * range).min(blocks)).collect();
        *self.ranges.lock().unwrap() = ranges;
    }

    fn part(&self, part: u32) -> &Self {
        (0..part).fold(self, |host, _| host.next.as_deref().unwrap())
    }

    fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Host for FakeHost {
    fn interrupt_pending(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn scan_claim(&self, _: u32) -> Result<Claim> {
        self.called();
        let (mut part, mut host) = (0, self);
        loop {
            if let Some(blocks) = host.ranges.lock().unwrap().pop_front() {
                self.claimed.store(part, Ordering::Relaxed);
                return Ok(Claim { part, blocks });
            }
            match &host.next {
                Some(next) => (part, host) = (part + 1, next),
                None => return Ok(Claim::default()),
            }
        }
    }

    fn scan_open(&self, scan: u32, part: u32) -> Result<Relation<'_>> {
        self.called();
        assert_eq!(scan, 0);
        let host = self.part(part);
        let name = if part == 0 { "t".into() } else { format!("t{part}").into() };
        Ok(Relation { attributes: &host.attributes, attnos: host.attnos.as_deref(), name, pins: self.pins })
    }

    /// One step for each key.
    fn scan_look_up(&self, _: u32, part: u32, attno: u32, keys: &[u64]) -> Result<Lookup> {
        self.called();
        let host = self.part(part);
        let Some(index) = host.indexes.get(&attno) else { return Ok(Lookup::None) };
        let found = |key: &u64| index.get(key).cloned().unwrap_or_default();
        let blocks: BTreeSet<u32> = keys.iter().flat_map(found).collect();
        if host.most_found.is_some_and(|most| blocks.len() > most) {
            return Ok(Lookup::None);
        }
        match host.steps.fetch_add(1, Ordering::Relaxed) < keys.len() as u32 {
            true => Ok(Lookup::More),
            false => Ok(Lookup::Done(blocks.into_iter().collect())),
        }
    }

    fn scan_page(&self, _: u32, block: u32, keep: bool, read: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
        self.called();
        self.pages_read.fetch_add(1, Ordering::Relaxed);
        if self.parks_at == Some(block) {
            return Err(Error::Parked);
        }
        let page = self.part(self.claimed.load(Ordering::Relaxed)).pages[block as usize].clone();
        let mut pinned = self.pinned.lock().unwrap();
        if !keep {
            pinned.unpin();
        }
        pinned.pages.push(page);
        assert!(pinned.pages.len() <= self.pins, "more pages are pinned than may be");
        read(pinned.pages.last().unwrap().page())
    }

    fn scan_unpin(&self, _: u32) -> Result<()> {
        self.called();
        self.unpinned.fetch_add(1, Ordering::Relaxed);
        self.pinned.lock().unwrap().unpin();
        Ok(())
    }

    fn detoast(&self, datum: &[u8], read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.called();
        if datum[0] == 1 {
            let number = u32::from_le_bytes(datum[2..6].try_into().unwrap());
            return match self.toast.get(&number) {
                Some(payload) => read(payload),
                None => Err(Error::Parked),
            };
        }
        read(&datum[8..])
    }

    fn send(&self, _: u32, _: &[u8], _: bool) -> Result<Send> {
        Ok(Send::Detached)
    }

    fn receive(&self, _: u32, _: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Receive> {
        Ok(Receive::Detached)
    }

    fn log(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn type_layout(&self, _: u32) -> Result<TypeLayout> {
        Ok(TypeLayout { len: -1, byval: false, utf8: true })
    }

    fn collation(&self, _: u32) -> Result<CollationFlags> {
        Ok(CollationFlags { deterministic: true, c: true })
    }
}
