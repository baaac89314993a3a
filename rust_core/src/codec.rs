//! Plan ⇄ bytes. Decoding a `DsmWriterExec` registers its input: a participant that has read the
//! plan knows every procedure that it can be asked for.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf::PhysicalExprNode;
use prost::Message;

use crate::checkpoint::CheckpointExec;
use crate::error::Error;
use crate::exchange::{Distribution, DsmReaderExec, DsmWriterExec, StreamKind, StreamRegistry};
use crate::scan::{HeapScanExec, ScanColumn};

/// The nodes of ours, as protobuf messages.
#[derive(Clone, PartialEq, Message)]
struct NodeMessage {
    #[prost(oneof = "Node", tags = "1, 2, 3, 4")]
    node: Option<Node>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Node {
    #[prost(message, tag = "1")]
    Scan(ScanMessage),
    #[prost(message, tag = "2")]
    Writer(WriterMessage),
    #[prost(message, tag = "3")]
    Reader(ReaderMessage),
    #[prost(message, tag = "4")]
    Checkpoint(CheckpointMessage),
}

#[derive(Clone, PartialEq, Message)]
struct CheckpointMessage {}

#[derive(Clone, PartialEq, Message)]
struct ScanMessage {
    #[prost(uint32, tag = "1")]
    scan: u32,
    #[prost(string, tag = "2")]
    table: String,
    #[prost(message, repeated, tag = "3")]
    columns: Vec<ColumnMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnMessage {
    #[prost(uint32, tag = "1")]
    attno: u32,
    #[prost(uint32, tag = "2")]
    typid: u32,
    #[prost(int32, tag = "3")]
    typmod: i32,
    #[prost(string, tag = "4")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct WriterMessage {
    #[prost(uint32, tag = "1")]
    stream: u32,
    #[prost(enumeration = "StreamKind", tag = "2")]
    kind: i32,
    #[prost(message, repeated, tag = "3")]
    keys: Vec<PhysicalExprNode>,
}

#[derive(Clone, PartialEq, Message)]
struct ReaderMessage {
    #[prost(uint32, tag = "1")]
    stream: u32,
    #[prost(enumeration = "StreamKind", tag = "2")]
    kind: i32,
}

/// Encodes and decodes the nodes of ours; what it decodes goes to `registry`.
#[derive(Debug, Default)]
pub struct JoinScanCodec {
    pub registry: Arc<StreamRegistry>,
}

impl JoinScanCodec {
    pub fn encode(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Vec<u8>> {
        Ok(physical_plan_to_bytes_with_extension_codec(plan, self)?.into())
    }

    pub fn decode(&self, bytes: &[u8], context: &TaskContext) -> Result<Arc<dyn ExecutionPlan>> {
        physical_plan_from_bytes_with_extension_codec(bytes, context, self)
    }
}

fn one_input(inputs: &[Arc<dyn ExecutionPlan>]) -> Result<&Arc<dyn ExecutionPlan>> {
    match inputs {
        [input] => Ok(input),
        _ => Err(Error::internal(format!("plan node with {} inputs", inputs.len())).into()),
    }
}

impl PhysicalExtensionCodec for JoinScanCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        _converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let message = NodeMessage::decode(buf).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let unknown_kind = |_| Error::internal("unknown kind of stream");
        match message.node {
            Some(Node::Scan(scan)) => {
                let columns = scan.columns.into_iter().map(|column| ScanColumn {
                    attno: column.attno,
                    typid: column.typid,
                    typmod: column.typmod,
                    name: column.name,
                });
                Ok(Arc::new(HeapScanExec::try_new(scan.scan, scan.table, columns.collect())?))
            }
            Some(Node::Writer(writer)) => {
                let input = one_input(inputs)?;
                let distribution = match StreamKind::try_from(writer.kind).map_err(unknown_kind)? {
                    StreamKind::Broadcast => Distribution::Broadcast,
                    StreamKind::Gather => Distribution::Gather,
                    StreamKind::Hash => Distribution::Hash(
                        writer
                            .keys
                            .iter()
                            .map(|key| {
                                datafusion_proto::physical_plan::from_proto::parse_physical_expr(
                                    key,
                                    context,
                                    &input.schema(),
                                    self,
                                )
                            })
                            .collect::<Result<_>>()?,
                    ),
                };
                let node = DsmWriterExec::new(writer.stream, distribution, Arc::clone(input));
                self.registry.register_stream_source(writer.stream, node.source())?;
                Ok(Arc::new(node))
            }
            Some(Node::Reader(reader)) => {
                let kind = StreamKind::try_from(reader.kind).map_err(unknown_kind)?;
                Ok(Arc::new(DsmReaderExec::new(reader.stream, kind, Arc::clone(one_input(inputs)?))))
            }
            Some(Node::Checkpoint(CheckpointMessage {})) => {
                Ok(Arc::new(CheckpointExec::new(Arc::clone(one_input(inputs)?))))
            }
            None => Err(Error::internal("unknown plan node").into()),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let node = if let Some(scan) = node.downcast_ref::<HeapScanExec>() {
            Node::Scan(ScanMessage {
                scan: scan.scan(),
                table: scan.table().to_string(),
                columns: scan
                    .columns()
                    .iter()
                    .map(|column| ColumnMessage {
                        attno: column.attno,
                        typid: column.typid,
                        typmod: column.typmod,
                        name: column.name.clone(),
                    })
                    .collect(),
            })
        } else if let Some(writer) = node.downcast_ref::<DsmWriterExec>() {
            let keys = match &writer.distribution {
                Distribution::Hash(keys) => keys
                    .iter()
                    .map(|key| datafusion_proto::physical_plan::to_proto::serialize_physical_expr(key, self))
                    .collect::<Result<_>>()?,
                Distribution::Broadcast | Distribution::Gather => Vec::new(),
            };
            let kind = writer.distribution.kind();
            Node::Writer(WriterMessage { stream: writer.stream, kind: kind.into(), keys })
        } else if let Some(reader) = node.downcast_ref::<DsmReaderExec>() {
            Node::Reader(ReaderMessage { stream: reader.stream, kind: reader.kind.into() })
        } else if node.downcast_ref::<CheckpointExec>().is_some() {
            Node::Checkpoint(CheckpointMessage {})
        } else {
            return Err(Error::internal(format!("the codec does not know {}", node.name())).into());
        };
        NodeMessage { node: Some(node) }.encode(buf).map_err(|error| DataFusionError::External(Box::new(error)))
    }
}
