//! stream_id → procedure: what this participant can run when it is asked.
//! Filled by decoding a plan (`codec.rs`), the leader's own included, so all participants know the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::partition::CommonKeys;
use crate::error::{Error, Result};

/// How a stream's rows are spread, without the keys; its number in plan bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum StreamKind {
    Hash = 1,
    Broadcast = 2,
    Gather = 3,
}

impl StreamKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Broadcast => "broadcast",
            Self::Gather => "gather",
        }
    }
}

/// How a stream's rows are spread over its consumers.
#[derive(Clone, Debug)]
pub enum Distribution {
    /// N producers → N consumers, each row to the one that the hash of its keys says.
    Hash(Vec<Arc<dyn PhysicalExpr>>),
    /// N → N, each row to all of them.
    Broadcast,
    /// N → 1, the leader.
    Gather,
}

impl Distribution {
    pub fn kind(&self) -> StreamKind {
        match self {
            Self::Hash(_) => StreamKind::Hash,
            Self::Broadcast => StreamKind::Broadcast,
            Self::Gather => StreamKind::Gather,
        }
    }
}

/// A procedure and how its output is spread.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// The sub-plan below the `DsmWriterExec`; one partition.
    pub input: Arc<dyn ExecutionPlan>,
    pub distribution: Distribution,
    /// Which rows its consumers want; the scans of the sub-plan know it.
    pub runtime_filter: Option<Arc<DynamicFilterPhysicalExpr>>,
    /// Keys whose rows go other ways than by hash.
    pub common: Option<CommonKeys>,
    /// Its rows come from a leaf that the leader alone has: nobody else is asked for them.
    pub from_leader: bool,
    /// The writer's metrics, kept by whoever runs the procedure.
    pub metrics: ExecutionPlanMetricsSet,
}

#[derive(Debug, Default)]
pub struct StreamRegistry {
    sources: Mutex<BTreeMap<u32, StreamSource>>,
}

impl StreamRegistry {
    /// XX000 if the stream is known already: stream ids are unique in a plan.
    pub fn register_stream_source(&self, stream: u32, source: StreamSource) -> Result<()> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.insert(stream, source) {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!("stream {stream} is registered twice"))),
        }
    }

    pub fn get(&self, stream: u32) -> Result<StreamSource> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get(&stream).cloned().ok_or_else(|| Error::internal(format!("stream {stream} is not registered")))
    }

    pub fn len(&self) -> usize {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
