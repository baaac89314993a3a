//! Runtime filters across the exchange: a consumer tells the producers of its probe side which keys its build side has,
//! so that rows without a partner are dropped where they are scanned, before they are decoded, spread and copied.
//!
//! ```text
//!   consumer c                                   producer p
//!   BuildKeysExec: hashes of the build's keys
//!        │ the build side ends
//!   DsmReaderExec ── StartStream with a KeyFilter ──▶ trigger_stream: one of each consumer
//!                                                     all are there: HasKeyExpr goes to the scans below the writer
//! ```
//!
//! Each consumer builds the keys that hash to it; a row is wanted if any of them has its key. So nothing here depends on
//! how rows are spread.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, RecordBatchStream, apply_expression_roots,
};
use fastbloom::BloomFilter;
use futures::{Stream, StreamExt};

use super::frames::corrupted;
use super::state::Exchange;
use crate::error::Result;

/// A Bloom filter with these lets about one in a hundred strangers pass.
const BITS_PER_KEY: usize = 10;
const HASHES: u32 = 4;

/// More keys make a filter that is slow to send and to ask.
const MOST_KEYS: usize = 400_000;

/// Any seed, the same in all participants.
const RANDOM_STATE: RandomState = RandomState::with_seed(0x6b65_7973);

/// Keys of a build side, as far as a Bloom filter knows them.
pub struct KeyFilter {
    bloom: BloomFilter,
}

impl KeyFilter {
    fn of(hashes: &[u64]) -> Self {
        let mut bloom = BloomFilter::with_num_bits((hashes.len() * BITS_PER_KEY).max(64)).hashes(HASHES);
        for &hash in hashes {
            bloom.insert_hash(hash);
        }
        Self { bloom }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.bloom.as_slice().iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// What [`to_bytes`](Self::to_bytes) gave. Errors: XX001.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (words, []) = bytes.as_chunks() else {
            return Err(corrupted("A filter ends within a word."));
        };
        if words.is_empty() {
            return Err(corrupted("A filter is empty."));
        }
        let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Ok(Self { bloom: BloomFilter::from_vec(words).hashes(HASHES) })
    }
}

impl fmt::Debug for KeyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFilter({} bits)", self.bloom.num_bits())
    }
}

/// The keys of a build side, while it is built.
#[derive(Default)]
pub struct BuildKeys {
    hashes: Vec<u64>,
    too_many: bool,
    complete: bool,
}

impl BuildKeys {
    fn add(&mut self, hashes: &[u64]) {
        self.too_many |= self.hashes.len() + hashes.len() > MOST_KEYS;
        match self.too_many {
            true => self.hashes = Vec::new(),
            false => self.hashes.extend_from_slice(hashes),
        }
    }

    /// The filter, once all keys are known and if they are not too many.
    pub fn take_filter(&mut self) -> Option<KeyFilter> {
        (self.complete && !self.too_many).then(|| KeyFilter::of(&std::mem::take(&mut self.hashes)))
    }
}

/// The values of keys, each in the normal form that all equal ones share.
pub(super) fn evaluate(keys: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> DataFusionResult<Vec<ArrayRef>> {
    keys.iter().map(|key| key.evaluate(batch)?.into_array(batch.num_rows())).collect()
}

/// One hash of all keys for each of `rows` rows: the same in all participants, and on both sides of a join.
pub(super) fn hashes_of(keys: &[ArrayRef], rows: usize) -> DataFusionResult<Vec<u64>> {
    let mut hashes = vec![0; rows];
    create_hashes(keys, &RANDOM_STATE, &mut hashes)?;
    Ok(hashes)
}

/// The hashes of the keys of `batch`'s rows, by which an exchange knows them.
pub fn key_hashes(keys: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> DataFusionResult<Vec<u64>> {
    hashes_of(&evaluate(keys, batch)?, batch.num_rows())
}

/// Does the build side of some consumer seem to have these keys? Lives in one participant, and never travels.
#[derive(Debug)]
pub struct HasKeyExpr {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    filters: Arc<[KeyFilter]>,
}

impl HasKeyExpr {
    /// `filters`: of all consumers.
    pub fn new(keys: Vec<Arc<dyn PhysicalExpr>>, filters: Vec<KeyFilter>) -> Self {
        Self { keys, filters: filters.into() }
    }
}

impl PartialEq for HasKeyExpr {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.filters, &other.filters) && self.keys == other.keys
    }
}

impl Eq for HasKeyExpr {}

impl Hash for HasKeyExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.keys.hash(state);
        Arc::as_ptr(&self.filters).hash(state);
    }
}

impl fmt::Display for HasKeyExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("has_key(")?;
        for (at, key) in self.keys.iter().enumerate() {
            write!(f, "{}{key}", if at > 0 { ", " } else { "" })?;
        }
        f.write_str(")")
    }
}

impl PhysicalExpr for HasKeyExpr {
    fn data_type(&self, _: &Schema) -> DataFusionResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> DataFusionResult<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        let hashes = key_hashes(&self.keys, batch)?;
        let wanted = |row: usize| self.filters.iter().any(|filter| filter.bloom.contains_hash(hashes[row]));
        let wanted = BooleanArray::new(BooleanBuffer::collect_bool(hashes.len(), wanted), None);
        Ok(ColumnarValue::Array(Arc::new(wanted)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.keys.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, keys: Vec<Arc<dyn PhysicalExpr>>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { keys, filters: Arc::clone(&self.filters) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The build side of a join, as it is; its keys are noted for the stream of the probe side.
#[derive(Debug)]
pub struct BuildKeysExec {
    stream: u32,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    input: Arc<dyn ExecutionPlan>,
}

impl BuildKeysExec {
    pub fn new(stream: u32, keys: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { stream, keys, input }
    }

    pub fn stream(&self) -> u32 {
        self.stream
    }

    pub fn keys(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.keys
    }
}

impl DisplayAs for BuildKeysExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "BuildKeysExec: stream={}", self.stream)
    }
}

impl ExecutionPlan for BuildKeysExec {
    fn name(&self) -> &str {
        "BuildKeysExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        apply_expression_roots(&self.keys, f)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(self.stream, self.keys.clone(), children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        Ok(Box::pin(BuildKeysStream {
            exchange: Exchange::of(&context)?,
            stream: self.stream,
            keys: self.keys.clone(),
            input: self.input.execute(partition, context)?,
        }))
    }
}

struct BuildKeysStream {
    exchange: Arc<Exchange>,
    stream: u32,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    input: SendableRecordBatchStream,
}

impl Stream for BuildKeysStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.input.poll_next_unpin(cx));
        match &batch {
            // More of them would change nothing.
            Some(Ok(_)) if self.exchange.with_build_keys(self.stream, |keys| keys.too_many) => {}
            Some(Ok(batch)) => {
                let hashes = key_hashes(&self.keys, batch)?;
                self.exchange.with_build_keys(self.stream, |keys| keys.add(&hashes));
            }
            Some(Err(_)) => {}
            None => self.exchange.with_build_keys(self.stream, |keys| keys.complete = true),
        }
        Poll::Ready(batch)
    }
}

impl RecordBatchStream for BuildKeysStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_knows_its_keys_after_a_journey() {
        let hashes: Vec<u64> = (0..1000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let sent = KeyFilter::of(&hashes);
        let got = KeyFilter::from_bytes(&sent.to_bytes()).unwrap();
        assert!(hashes.iter().all(|&hash| got.bloom.contains_hash(hash)));
        let strangers = (1..20_000_u64).map(|n| n.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let passed = strangers.filter(|&hash| got.bloom.contains_hash(hash)).count();
        assert!(passed < 800, "{passed}");
        assert!(KeyFilter::from_bytes(&[]).is_err());
        assert!(KeyFilter::from_bytes(&[0; 12]).is_err());
    }

    #[test]
    fn too_many_keys_make_no_filter() {
        let mut keys = BuildKeys::default();
        keys.add(&[1; MOST_KEYS]);
        assert!(keys.take_filter().is_none(), "not all keys are known yet");
        keys.complete = true;
        keys.add(&[2]);
        keys.add(&[3]);
        assert!(keys.take_filter().is_none());
    }
}
