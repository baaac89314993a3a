//! Plan ⇄ bytes. Decoding a `DsmWriterExec` registers its input: a participant that has read the
//! plan knows every procedure that it can be asked for.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf::{ArrowType, PhysicalExprNode};
use prost::Message;

use crate::checkpoint::CheckpointExec;
use crate::error::Error;
use crate::exchange::{Distribution, DsmReaderExec, DsmWriterExec, StreamKind, StreamRegistry};
use crate::host::TypeLayout;
use crate::postgres::{
    LeafColumn, MatchColumns, MatchKind, PostgresEvalExec, PostgresLeafExec, PostgresMatchExec, ResultColumn,
    RowNumberExec,
};
use crate::scan::{HeapScanExec, ScanColumn};

/// The nodes of ours, as protobuf messages.
#[derive(Clone, PartialEq, Message)]
struct NodeMessage {
    #[prost(oneof = "Node", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
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
    #[prost(message, tag = "5")]
    Eval(EvalMessage),
    #[prost(message, tag = "6")]
    Leaf(LeafMessage),
    #[prost(message, tag = "7")]
    Match(MatchMessage),
    #[prost(message, tag = "8")]
    RowNumber(RowNumberMessage),
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
    #[prost(int32, tag = "5")]
    typlen: i32,
    #[prost(bool, tag = "6")]
    typbyval: bool,
    #[prost(bool, tag = "7")]
    utf8: bool,
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
struct EvalMessage {
    #[prost(uint32, tag = "1")]
    call: u32,
    #[prost(uint32, repeated, tag = "2")]
    inputs: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    conditions: Vec<u32>,
    #[prost(message, repeated, tag = "4")]
    results: Vec<ValueMessage>,
    #[prost(uint32, repeated, tag = "5")]
    keep: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct RowNumberMessage {}

#[derive(Clone, PartialEq, Message)]
struct MatchMessage {
    #[prost(uint32, tag = "1")]
    call: u32,
    #[prost(enumeration = "MatchKind", tag = "2")]
    kind: i32,
    #[prost(uint32, repeated, tag = "3")]
    conditions: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    inputs: Vec<u32>,
    #[prost(uint32, repeated, tag = "5")]
    keep: Vec<u32>,
    #[prost(uint32, tag = "6")]
    of_probe: u32,
}

#[derive(Clone, PartialEq, Message)]
struct LeafMessage {
    #[prost(uint32, tag = "1")]
    leaf: u32,
    #[prost(string, tag = "2")]
    title: String,
    #[prost(message, repeated, tag = "3")]
    columns: Vec<ValueMessage>,
}

/// A column that PostgreSQL gives: the expression that it is, or its position in a leaf's row.
#[derive(Clone, PartialEq, Message)]
struct ValueMessage {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(message, optional, tag = "2")]
    data_type: Option<ArrowType>,
    #[prost(string, tag = "3")]
    name: String,
}

impl ValueMessage {
    fn new(number: u32, data_type: &DataType, name: &str) -> Result<Self> {
        let data_type = ArrowType::try_from(data_type).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Self { number, data_type: Some(data_type), name: name.to_string() })
    }

    fn data_type(&self) -> Result<DataType> {
        let data_type = self.data_type.as_ref().ok_or_else(|| Error::internal("a column without a type"))?;
        DataType::try_from(data_type).map_err(|error| DataFusionError::External(Box::new(error)))
    }
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
                let columns = scan.columns.into_iter().map(|column| {
                    let len = i16::try_from(column.typlen).map_err(|_| Error::internal("unknown length of a type"))?;
                    Ok(ScanColumn {
                        attno: column.attno,
                        typid: column.typid,
                        typmod: column.typmod,
                        name: column.name,
                        layout: TypeLayout { len, byval: column.typbyval, utf8: column.utf8 },
                    })
                });
                Ok(Arc::new(HeapScanExec::try_new(scan.scan, scan.table, columns.collect::<Result<_>>()?)?))
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
            Some(Node::Eval(eval)) => {
                let result = |value: ValueMessage| {
                    Ok(ResultColumn { expr: value.number, data_type: value.data_type()?, name: value.name })
                };
                Ok(Arc::new(PostgresEvalExec::try_new(
                    eval.call,
                    Arc::clone(one_input(inputs)?),
                    eval.inputs,
                    eval.conditions,
                    eval.results.into_iter().map(result).collect::<Result<_>>()?,
                    eval.keep.into_iter().map(|at| at as usize).collect(),
                )?))
            }
            Some(Node::Leaf(leaf)) => {
                let column = |value: ValueMessage| {
                    Ok(LeafColumn { position: value.number, data_type: value.data_type()?, name: value.name })
                };
                let columns = leaf.columns.into_iter().map(column).collect::<Result<_>>()?;
                Ok(Arc::new(PostgresLeafExec::new(leaf.leaf, leaf.title, columns)))
            }
            Some(Node::Match(matching)) => {
                let kind = MatchKind::try_from(matching.kind).map_err(|_| Error::internal("unknown kind of match"))?;
                let columns = MatchColumns {
                    inputs: matching.inputs,
                    keep: matching.keep.into_iter().map(|at| at as usize).collect(),
                    of_probe: matching.of_probe as usize,
                };
                let input = Arc::clone(one_input(inputs)?);
                Ok(Arc::new(PostgresMatchExec::try_new(matching.call, input, kind, matching.conditions, columns)?))
            }
            Some(Node::RowNumber(RowNumberMessage {})) => {
                Ok(Arc::new(RowNumberExec::new(Arc::clone(one_input(inputs)?))))
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
                        typlen: column.layout.len.into(),
                        typbyval: column.layout.byval,
                        utf8: column.layout.utf8,
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
        } else if let Some(eval) = node.downcast_ref::<PostgresEvalExec>() {
            let evaluation = eval.evaluation();
            let result = |result: &ResultColumn| ValueMessage::new(result.expr, &result.data_type, &result.name);
            Node::Eval(EvalMessage {
                call: evaluation.call,
                inputs: evaluation.inputs.clone(),
                conditions: evaluation.conditions.clone(),
                results: eval.results().iter().map(result).collect::<Result<_>>()?,
                keep: eval.keep().iter().map(|&at| at as u32).collect(),
            })
        } else if let Some(leaf) = node.downcast_ref::<PostgresLeafExec>() {
            let column = |column: &LeafColumn| ValueMessage::new(column.position, &column.data_type, &column.name);
            Node::Leaf(LeafMessage {
                leaf: leaf.leaf(),
                title: leaf.title().to_string(),
                columns: leaf.columns().iter().map(column).collect::<Result<_>>()?,
            })
        } else if let Some(matching) = node.downcast_ref::<PostgresMatchExec>() {
            let (columns, evaluation) = (matching.columns(), matching.evaluation());
            Node::Match(MatchMessage {
                call: evaluation.call,
                kind: matching.kind().into(),
                conditions: evaluation.conditions.clone(),
                inputs: columns.inputs.clone(),
                keep: columns.keep.iter().map(|&at| at as u32).collect(),
                of_probe: columns.of_probe as u32,
            })
        } else if node.downcast_ref::<RowNumberExec>().is_some() {
            Node::RowNumber(RowNumberMessage {})
        } else {
            return Err(Error::internal(format!("the codec does not know {}", node.name())).into());
        };
        NodeMessage { node: Some(node) }.encode(buf).map_err(|error| DataFusionError::External(Box::new(error)))
    }
}
