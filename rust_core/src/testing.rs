//! A fake host for tests: queues in memory that hold one message each, tables as lists of pages.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use proptest::strategy::Strategy;

use crate::error::{Error, Result};
use crate::host::{Claim, CollationFlags, Host, Lookup, Page, Receive, Relation, Send, TypeLayout};

/// Texts of up to `longest` characters of an alphabet. (proptest's own string strategies need its "std".)
pub fn text_of(alphabet: &str, longest: usize) -> impl Strategy<Value = String> + Clone {
    let letters: Vec<char> = alphabet.chars().collect();
    proptest::collection::vec(proptest::sample::select(letters), 0..=longest).prop_map(String::from_iter)
}

/// The segment: what all participants of a test share.
#[derive(Default)]
pub struct Segment {
    queues: Mutex<HashMap<u32, VecDeque<Vec<u8>>>>,
    detached: Mutex<Vec<u32>>,
    next_block: AtomicU32,
    /// Every frame sent, by queue, for what a test wants to know of the protocol.
    pub log: Mutex<Vec<(u32, Vec<u8>)>>,
}

impl Segment {
    pub fn detach(&self, queue: u32) {
        self.detached.lock().unwrap().push(queue);
    }

    fn queue(&self, queue: u32) -> impl std::ops::DerefMut<Target = VecDeque<Vec<u8>>> + '_ {
        struct Entry<'a>(MutexGuard<'a, HashMap<u32, VecDeque<Vec<u8>>>>, u32);
        impl std::ops::Deref for Entry<'_> {
            type Target = VecDeque<Vec<u8>>;
            fn deref(&self) -> &Self::Target {
                &self.0[&self.1]
            }
        }
        impl std::ops::DerefMut for Entry<'_> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                self.0.entry(self.1).or_default()
            }
        }
        let mut queues = self.queues.lock().unwrap();
        queues.entry(queue).or_default();
        Entry(queues, queue)
    }
}

/// One participant's view of a [`Segment`].
pub struct FakeHost {
    pub segment: Arc<Segment>,
    /// Messages that a queue holds before it is full.
    pub capacity: usize,
    pub interrupt: AtomicBool,
    /// From now on every call says that an ERROR is parked.
    pub park: AtomicBool,
    /// Blocks of every table; each `scan_page` shows an empty page.
    pub blocks: u32,
    /// `scan_page` panics, or fails with SQLSTATE 22012, at this block.
    pub panic_at_block: Option<u32>,
    pub fail_at_block: Option<u32>,
    pub pages_read: AtomicU32,
    pub lines: Mutex<Vec<String>>,
}

impl FakeHost {
    pub fn new(segment: Arc<Segment>) -> Self {
        Self {
            segment,
            capacity: 1,
            interrupt: AtomicBool::new(false),
            park: AtomicBool::new(false),
            blocks: 0,
            panic_at_block: None,
            fail_at_block: None,
            pages_read: AtomicU32::new(0),
            lines: Mutex::new(Vec::new()),
        }
    }

    fn check(&self) -> Result<()> {
        if self.park.load(Relaxed) { Err(Error::Parked) } else { Ok(()) }
    }
}

impl Host for FakeHost {
    fn interrupt_pending(&self) -> bool {
        self.interrupt.load(Relaxed)
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn scan_claim(&self, _scan: u32) -> Result<Claim> {
        self.check()?;
        let start = self.segment.next_block.fetch_add(1, Relaxed);
        Ok(Claim { part: 0, blocks: if start < self.blocks { start..start + 1 } else { 0..0 } })
    }

    fn scan_open(&self, _scan: u32, _part: u32) -> Result<Relation<'_>> {
        self.check()?;
        Ok(Relation { attributes: &[], attnos: None, name: "t".into(), pins: 1 })
    }

    fn scan_look_up(&self, _: u32, _: u32, _: u32, _: &[u64]) -> Result<Lookup> {
        Ok(Lookup::None)
    }

    fn scan_page(
        &self,
        _scan: u32,
        block: u32,
        _keep: bool,
        read: &mut dyn FnMut(Page<'_>) -> Result<()>,
    ) -> Result<()> {
        self.check()?;
        self.pages_read.fetch_add(1, Relaxed);
        assert!(self.panic_at_block != Some(block), "block {block} is cursed");
        if self.fail_at_block == Some(block) {
            return Err(Error::new("22012", "division by zero").with_hint("a hint"));
        }
        read(Page { bytes: &[0; crate::host::PAGE_SIZE], offsets: &[], next: std::ptr::null() })
    }

    fn scan_unpin(&self, _scan: u32) -> Result<()> {
        self.check()
    }

    fn detoast(&self, _datum: &[u8], _read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        Err(Error::internal("the fake host has no toast"))
    }

    fn send(&self, queue: u32, message: &[u8], _flush: bool) -> Result<Send> {
        self.check()?;
        if self.segment.detached.lock().unwrap().contains(&queue) {
            return Ok(Send::Detached);
        }
        let mut messages = self.segment.queue(queue);
        if messages.len() >= self.capacity {
            return Ok(Send::Full);
        }
        messages.push_back(message.to_vec());
        self.segment.log.lock().unwrap().push((queue, message.to_vec()));
        Ok(Send::Sent)
    }

    fn receive(&self, queue: u32, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Receive> {
        self.check()?;
        let message = self.segment.queue(queue).pop_front();
        match message {
            Some(message) => read(&message).map(|()| Receive::Message),
            None if self.segment.detached.lock().unwrap().contains(&queue) => Ok(Receive::Detached),
            None => Ok(Receive::Empty),
        }
    }

    fn log(&self, message: &str) -> Result<()> {
        self.lines.lock().unwrap().push(message.to_string());
        Ok(())
    }

    fn type_layout(&self, _: u32) -> Result<TypeLayout> {
        Ok(TypeLayout { len: -1, byval: false, utf8: true })
    }

    fn collation(&self, _collation: u32) -> Result<CollationFlags> {
        self.check()?;
        Ok(CollationFlags { deterministic: true, c: false })
    }
}
