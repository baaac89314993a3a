//! How a scan with conditions goes through a chunk: as few tuples as possible are walked far, as few columns decoded.
//!
//! ```text
//! at first     walk to all columns      │ conditions, cheapest first           │ decode what is given
//! then         walk to the first one's  │ the one that pays most │ walk on     │ the others │ decode what is given
//! ```
//!
//! "Then" is when some thousand rows have shown what the conditions let pass, and only if the first of them drops most
//! rows and needs no column that lies far behind in its tuple.

use std::ops::Range;

use arrow::datatypes::{DataType, SchemaRef};

use crate::error::{Error, Result};
use crate::host::{Attribute, Host, Page};
use crate::scan::chunk::Chunk;
use crate::scan::columns::ColumnBuilder;
use crate::scan::exec::Scan;
use crate::scan::sieve::{self, Condition, Sieve, TRIAL_ROWS, Tally};
use crate::scan::tuple::TupleWalker;

/// A condition comes first, alone, if at most one row in so many passes it.
const SELECTIVE: usize = 2;

/// A scan's columns as they lie in a relation.
pub(super) struct Layout {
    pub attributes: Vec<Attribute>,
    /// Of each column: which attribute it is, and its type in the plan.
    pub stored: Vec<(usize, DataType)>,
    pub batch_size: usize,
    /// Pages that may be pinned at a time.
    pub pins: usize,
}

impl Layout {
    /// A walker that finds `columns`.
    pub fn walker(&self, columns: &[usize]) -> Result<TupleWalker> {
        let needed: Vec<usize> = columns.iter().map(|&at| self.stored[at].0).collect();
        TupleWalker::new(&self.attributes, &needed)
    }

    /// Which of the walker's slots a column is fed from.
    fn slot(&self, walker: &TupleWalker, column: usize) -> Result<usize> {
        walker.slot_of(self.stored[column].0).ok_or_else(|| Error::internal("a needed attribute has no slot"))
    }

    /// A column's slot, and a builder for it.
    pub fn column(&self, host: &dyn Host, walker: &TupleWalker, column: usize) -> Result<(usize, ColumnBuilder)> {
        let (index, data_type) = &self.stored[column];
        let builder = ColumnBuilder::new(host, &self.attributes[*index], data_type.clone(), self.batch_size)?;
        Ok((self.slot(walker, column)?, builder))
    }

    /// The last attribute that `columns` need.
    fn last(&self, columns: impl IntoIterator<Item = usize>) -> Option<usize> {
        columns.into_iter().map(|at| self.stored[at].0).max()
    }
}

pub(super) struct Sifting {
    layout: Layout,
    input: SchemaRef,
    output: Vec<usize>,
    /// In the order of their stages.
    conditions: Vec<Condition>,
    passes: Vec<Pass>,
    /// The slots of the columns that are given, in the last pass's walker.
    slots: Vec<usize>,
    settled: bool,
    /// Conditions that had something to say when the order was settled, or is being.
    speaking: usize,
    /// Rows that runtime filters have dropped since they were last asked for.
    without_partner: usize,
    chunk: Chunk,
    /// Pages of the chunk that are still to be decoded, once it has been sifted.
    left: Option<Range<usize>>,
}

/// A walk over the tuples that are left, and conditions on what it finds.
struct Pass {
    walker: TupleWalker,
    sieve: Sieve,
}

impl Sifting {
    pub fn new(host: &dyn Host, scan: &Scan, layout: Layout) -> Result<Self> {
        let mut sifting = Self {
            chunk: Chunk::new(layout.pins),
            layout,
            input: scan.input.clone(),
            output: scan.output.clone(),
            conditions: sieve::conditions(scan),
            passes: vec![],
            slots: vec![],
            settled: false,
            speaking: 0,
            without_partner: 0,
            left: None,
        };
        sifting.plan(host, 0)?;
        sifting.speaking = sifting.count_speaking()?;
        Ok(sifting)
    }

    /// Makes the passes: the first `alone` conditions in one of their own.
    fn plan(&mut self, host: &dyn Host, alone: usize) -> Result<()> {
        let (first, others) = self.conditions.split_at(alone);
        let last = self.pass(host, others, &self.output)?;
        self.slots = self.output.iter().map(|&at| self.layout.slot(&last.walker, at)).collect::<Result<_>>()?;
        let before = if alone > 0 { Some(self.pass(host, first, &[])?) } else { None };
        self.passes = before.into_iter().chain([last]).collect();
        Ok(())
    }

    fn pass(&self, host: &dyn Host, conditions: &[Condition], given: &[usize]) -> Result<Pass> {
        let needed: Vec<usize> =
            conditions.iter().flat_map(|condition| &condition.columns).chain(given).copied().collect();
        let walker = self.layout.walker(&needed)?;
        let sieve = Sieve::new(&self.input, conditions, &|at| self.layout.column(host, &walker, at))?;
        Ok(Pass { walker, sieve })
    }

    /// Is there anything to do for the page that comes next? Without, it may be decoded whole.
    pub fn takes_pages(&self) -> Result<bool> {
        if self.needs_pages() {
            return Ok(true);
        }
        for pass in &self.passes {
            if !pass.sieve.is_idle()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Must the pages that were pushed stay pinned?
    pub fn needs_pages(&self) -> bool {
        self.chunk.len() > 0
    }

    /// Adds a page to the chunk; it must stay pinned while the chunk [needs](Self::needs_pages) it. Errors: XX001 for a page that is not what PostgreSQL writes.
    pub fn push(&mut self, page: &Page<'_>) -> Result<()> {
        match self.passes.first_mut() {
            Some(pass) => self.chunk.push(page, &mut pass.walker),
            None => Err(Error::internal("a scan has conditions and no pass")),
        }
    }

    /// Must the chunk be used up before the next page? `range_ends`: the pages that come belong elsewhere.
    pub fn is_due(&self, range_ends: bool) -> bool {
        self.left.is_some() || self.chunk.is_full() || (range_ends && self.chunk.len() > 0)
    }

    /// Decodes the next page's rows that satisfy all conditions into `columns`; how many there are, `None` when the
    /// chunk is used up. Errors: what a condition raises; XX001.
    pub fn next_page(&mut self, host: &dyn Host, columns: &mut [(usize, ColumnBuilder)]) -> Result<Option<usize>> {
        let mut left = match self.left.take() {
            Some(left) => left,
            None => {
                self.sift(host)?;
                0..self.chunk.len()
            }
        };
        let Some(page) = left.next() else {
            self.chunk.clear();
            self.settle(host)?;
            return Ok(None);
        };
        self.left = Some(left);
        for (&slot, (_, builder)) in self.slots.iter().zip(columns) {
            self.chunk.append(host, page, slot, builder)?;
        }
        Ok(Some(self.chunk.rows_of(page)))
    }

    /// Rows that runtime filters have dropped since the last call.
    pub fn take_without_partner(&mut self) -> usize {
        std::mem::take(&mut self.without_partner)
    }

    fn count_speaking(&self) -> Result<usize> {
        self.passes.iter().map(|pass| pass.sieve.speaking()).sum()
    }

    fn sift(&mut self, host: &dyn Host) -> Result<()> {
        for (number, Pass { walker, sieve }) in self.passes.iter_mut().enumerate() {
            if number > 0 {
                self.chunk.walk_again(walker)?;
            }
            self.without_partner += sieve.sift(host, &mut self.chunk)?;
        }
        Ok(())
    }

    /// Once enough rows have been seen: puts the conditions in the order that pays, unless one may raise, and the first
    /// alone if that pays too. The chunk is empty.
    fn settle(&mut self, host: &dyn Host) -> Result<()> {
        let speaking = self.count_speaking()?;
        if speaking > self.speaking {
            // A runtime filter has been told: judge again, it may be the one that pays most.
            self.speaking = speaking;
            self.settled = false;
            return self.plan(host, 0);
        }
        let Some(Pass { sieve, .. }) = self.passes.first() else { return Ok(()) };
        let tallies: Vec<Tally> = sieve.tallies().collect();
        if self.settled || tallies.iter().all(|tally| tally.seen < TRIAL_ROWS) {
            return Ok(());
        }
        self.settled = true;
        let mut judged: Vec<_> = self.conditions.drain(..).zip(tallies).collect();
        if judged.iter().all(|(condition, _)| !condition.raises) {
            judged.retain(|(condition, tally)| !(condition.optional && tally.is_poor()));
            judged.sort_by(|(a, before), (b, after)| before.price(a.cost).total_cmp(&after.price(b.cost)));
        }
        let selective = judged.first().is_some_and(|(_, tally)| tally.kept * SELECTIVE <= tally.seen);
        self.conditions = judged.into_iter().map(|(condition, _)| condition).collect();
        let alone = match self.conditions.split_first() {
            Some((first, others)) if selective => {
                let later = others.iter().flat_map(|condition| &condition.columns).chain(&self.output);
                self.layout.last(first.columns.iter().copied()) < self.layout.last(later.copied())
            }
            _ => false,
        };
        self.plan(host, alone.into())
    }
}
