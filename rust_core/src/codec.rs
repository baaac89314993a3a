//! Plan ⇄ bytes. Decoding registers the input of each `DsmWriterExec`: a participant that has read the
//! plan knows every procedure that it can be asked for.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::from_proto::parse_physical_expr;
use datafusion_proto::physical_plan::to_proto::serialize_physical_expr;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf::{ArrowType, PhysicalExprNode};
use prost::Message;

use crate::checkpoint::CheckpointExec;
use crate::cut::{Cut, CutExec};
use crate::distinct::{FirstOccurrenceExec, Occurrence};
use crate::error::Error;
use crate::exchange::{
    BuildKeysExec, CommonKeys, Distribution, DsmReaderExec, DsmWriterExec, StreamKind, StreamRegistry, Treatment,
};
use crate::group_number::GroupNumberExec;
use crate::host::TypeLayout;
use crate::key_bound::KeyBoundExec;
use crate::key_list::with_key_lists;
use crate::nested_loop::SkipProbeExec;
use crate::postgres::{
    EvaluationKind, LeafColumn, MatchColumns, MatchKind, PostgresEvalExec, PostgresLeafExec, PostgresMatchExec,
    ResultColumn, RowNumberExec,
};
use crate::scan::{HeapScanExec, Scan, ScanColumn, ScanFilter};
use crate::window::{self, Bound, Frame, Kind, Window, WindowExec, WindowFunction};

/// The nodes of ours, as protobuf messages.
#[derive(Clone, PartialEq, Message)]
struct NodeMessage {
    #[prost(oneof = "Node", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15")]
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
    #[prost(message, tag = "9")]
    FirstOccurrence(FirstOccurrenceMessage),
    #[prost(message, tag = "10")]
    SkipProbe(SkipProbeMessage),
    #[prost(message, tag = "11")]
    Window(WindowMessage),
    #[prost(message, tag = "12")]
    BuildKeys(BuildKeysMessage),
    #[prost(message, tag = "13")]
    Cut(CutMessage),
    #[prost(message, tag = "14")]
    GroupNumber(GroupNumberMessage),
    #[prost(message, tag = "15")]
    KeyBound(KeyBoundMessage),
}

#[derive(Clone, PartialEq, Message)]
struct CheckpointMessage {
    #[prost(bool, tag = "1")]
    compact: bool,
}

#[derive(Clone, PartialEq, Message)]
struct SkipProbeMessage {}

#[derive(Clone, PartialEq, Message)]
struct ScanMessage {
    #[prost(uint32, tag = "1")]
    scan: u32,
    #[prost(string, tag = "2")]
    table: String,
    #[prost(message, repeated, tag = "3")]
    columns: Vec<ColumnMessage>,
    #[prost(message, repeated, tag = "4")]
    filters: Vec<ScanFilterMessage>,
    #[prost(uint32, repeated, tag = "5")]
    output: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct ScanFilterMessage {
    #[prost(message, optional, tag = "1")]
    predicate: Option<PhysicalExprNode>,
    #[prost(bool, tag = "2")]
    raises: bool,
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
    #[prost(bool, tag = "4")]
    runtime_filter: bool,
    #[prost(message, optional, tag = "5")]
    common: Option<CommonKeysMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct CommonKeysMessage {
    #[prost(fixed64, repeated, tag = "1")]
    hashes: Vec<u64>,
    #[prost(enumeration = "Treatment", tag = "2")]
    treatment: i32,
}

#[derive(Clone, PartialEq, Message)]
struct BuildKeysMessage {
    #[prost(uint32, tag = "1")]
    stream: u32,
    #[prost(message, repeated, tag = "2")]
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
    #[prost(enumeration = "EvaluationKind", tag = "6")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct RowNumberMessage {}

#[derive(Clone, PartialEq, Message)]
struct GroupNumberMessage {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<PhysicalExprNode>,
}

#[derive(Clone, PartialEq, Message)]
struct FirstOccurrenceMessage {
    #[prost(message, repeated, tag = "1")]
    occurrences: Vec<OccurrenceMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct OccurrenceMessage {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<PhysicalExprNode>,
    #[prost(message, optional, tag = "2")]
    filter: Option<PhysicalExprNode>,
}

#[derive(Clone, PartialEq, Message)]
struct CutMessage {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<PhysicalExprNode>,
    /// 0: the first of each.
    #[prost(uint64, tag = "2")]
    with_ties: u64,
}

#[derive(Clone, PartialEq, Message)]
struct KeyBoundMessage {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<SortKeyMessage>,
    #[prost(uint64, tag = "2")]
    limit: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SortKeyMessage {
    #[prost(message, optional, tag = "1")]
    key: Option<PhysicalExprNode>,
    #[prost(bool, tag = "2")]
    descending: bool,
    #[prost(bool, tag = "3")]
    nulls_first: bool,
}

#[derive(Clone, PartialEq, Message)]
struct WindowMessage {
    #[prost(message, repeated, tag = "1")]
    partition: Vec<PhysicalExprNode>,
    #[prost(message, repeated, tag = "2")]
    order: Vec<PhysicalExprNode>,
    #[prost(message, repeated, tag = "3")]
    functions: Vec<WindowFunctionMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct WindowFunctionMessage {
    /// The name of an aggregate, or a number of the other functions.
    #[prost(string, tag = "1")]
    aggregate: String,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(sint64, tag = "3")]
    number: i64,
    #[prost(message, repeated, tag = "4")]
    args: Vec<PhysicalExprNode>,
    #[prost(message, optional, tag = "5")]
    filter: Option<PhysicalExprNode>,
    #[prost(bool, tag = "6")]
    rows: bool,
    #[prost(message, optional, tag = "7")]
    start: Option<BoundMessage>,
    #[prost(message, optional, tag = "8")]
    end: Option<BoundMessage>,
}

/// Without an offset, the current row; no bound at all is unbounded.
#[derive(Clone, PartialEq, Message)]
struct BoundMessage {
    #[prost(sint64, optional, tag = "1")]
    offset: Option<i64>,
}

impl From<&BoundMessage> for Bound {
    fn from(message: &BoundMessage) -> Self {
        message.offset.map_or(Self::Current, Self::Rows)
    }
}

fn bound_message(bound: Bound) -> Option<BoundMessage> {
    match bound {
        Bound::Unbounded => None,
        Bound::Current => Some(BoundMessage { offset: None }),
        Bound::Rows(offset) => Some(BoundMessage { offset: Some(offset) }),
    }
}

impl WindowFunctionMessage {
    fn new(function: &WindowFunction, codec: &JoinScanCodec) -> Result<Self> {
        let expr = |expr: &Arc<dyn PhysicalExpr>| serialize_physical_expr(expr, codec);
        let aggregate = match &function.kind {
            Kind::Aggregate(aggregate) => aggregate.fun().name().to_string(),
            _ => String::new(),
        };
        let (kind, number) = match function.kind {
            Kind::Aggregate(_) => (0, 0),
            Kind::RowNumber => (1, 0),
            Kind::Rank => (2, 0),
            Kind::DenseRank => (3, 0),
            Kind::PercentRank => (4, 0),
            Kind::CumeDist => (5, 0),
            Kind::Ntile(number) => (6, number),
            Kind::Lag(number) => (7, number),
            Kind::Nth(number) => (8, number),
            Kind::Last => (9, 0),
        };
        Ok(Self {
            aggregate,
            kind,
            number,
            args: function.args.iter().map(expr).collect::<Result<_>>()?,
            filter: function.filter.as_ref().map(expr).transpose()?,
            rows: function.frame.rows,
            start: bound_message(function.frame.start),
            end: bound_message(function.frame.end),
        })
    }

    fn function(&self, input: &SchemaRef, context: &TaskContext, codec: &JoinScanCodec) -> Result<WindowFunction> {
        let expr = |expr: &PhysicalExprNode| parse_physical_expr(expr, context, input, codec);
        let args = self.args.iter().map(expr).collect::<Result<Vec<_>>>()?;
        let kind = match self.kind {
            0 => Kind::Aggregate(window::aggregate(context.udaf(&self.aggregate)?, args.clone(), input)?),
            1 => Kind::RowNumber,
            2 => Kind::Rank,
            3 => Kind::DenseRank,
            4 => Kind::PercentRank,
            5 => Kind::CumeDist,
            6 => Kind::Ntile(self.number),
            7 => Kind::Lag(self.number),
            8 => Kind::Nth(self.number),
            9 => Kind::Last,
            other => return Err(Error::internal(format!("unknown window function {other}")).into()),
        };
        let bound = |message: &Option<BoundMessage>| message.as_ref().map_or(Bound::Unbounded, Bound::from);
        let frame = Frame { rows: self.rows, start: bound(&self.start), end: bound(&self.end) };
        Ok(WindowFunction { kind, args, filter: self.filter.as_ref().map(expr).transpose()?, frame })
    }
}

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
    #[prost(uint32, tag = "3")]
    partitions: u32,
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
        let plan = physical_plan_from_bytes_with_extension_codec(bytes, context, self)?;
        let plan = with_key_lists(with_runtime_filters(plan, context)?)?;
        self.register_streams(&plan)?;
        Ok(plan)
    }

    fn register_streams(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
        if let Some(writer) = plan.downcast_ref::<DsmWriterExec>() {
            self.registry.register_stream_source(writer.stream, writer.source())?;
        }
        plan.children().into_iter().try_for_each(|child| self.register_streams(child))
    }
}

/// The plan in which each hash join that can tells the scans of its probe side, on this side of all streams, which keys
/// it has. Not part of the plan's bytes: the filter is the participant's own. DataFusion finds the columns of a filter by
/// their names, so these must be unique wherever it may come by.
pub(crate) fn with_runtime_filters(
    plan: Arc<dyn ExecutionPlan>,
    context: &TaskContext,
) -> Result<Arc<dyn ExecutionPlan>> {
    if !has_unique_names(&plan) {
        return Ok(plan);
    }
    let mut options = ConfigOptions::clone(context.session_config().options());
    // Only joins: a top-k's filter would follow DataFusion's order of values, not PostgreSQL's.
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    FilterPushdown::new_post_optimization().optimize(plan, &options)
}

fn has_unique_names(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    schema.fields().iter().all(|field| names.insert(field.name())) && plan.children().into_iter().all(has_unique_names)
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
                let read = Scan::new(columns.collect::<Result<_>>()?)?;
                let filter = |filter: ScanFilterMessage| {
                    let predicate = filter.predicate.ok_or_else(|| Error::internal("an empty filter of a scan"))?;
                    let predicate = parse_physical_expr(&predicate, context, &read.input, self)?;
                    Ok(ScanFilter { predicate, raises: filter.raises })
                };
                let filters = scan.filters.into_iter().map(filter).collect::<Result<_>>()?;
                let output = scan.output.into_iter().map(|at| at as usize).collect();
                let read = Scan::with_filters(read.columns, filters, output)?;
                Ok(Arc::new(HeapScanExec::new(scan.scan, scan.table, read)))
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
                            .map(|key| parse_physical_expr(key, context, &input.schema(), self))
                            .collect::<Result<_>>()?,
                    ),
                };
                let common = |common: CommonKeysMessage| {
                    let treatment = Treatment::try_from(common.treatment);
                    let treatment = treatment.map_err(|_| Error::internal("unknown treatment of common keys"))?;
                    Ok::<_, Error>(CommonKeys::new(common.hashes, treatment))
                };
                let node = DsmWriterExec::new(writer.stream, distribution, Arc::clone(input));
                let node = node.with_common_keys(writer.common.map(common).transpose()?);
                Ok(Arc::new(if writer.runtime_filter { node.with_runtime_filter() } else { node }))
            }
            Some(Node::Reader(reader)) => {
                let kind = StreamKind::try_from(reader.kind).map_err(unknown_kind)?;
                let writer = Arc::clone(one_input(inputs)?);
                Ok(Arc::new(DsmReaderExec::with_partitions(reader.stream, kind, reader.partitions, writer)))
            }
            Some(Node::Checkpoint(CheckpointMessage { compact })) => {
                Ok(Arc::new(CheckpointExec::new(Arc::clone(one_input(inputs)?), compact)))
            }
            Some(Node::Eval(eval)) => {
                let result = |value: ValueMessage| {
                    Ok(ResultColumn { expr: value.number, data_type: value.data_type()?, name: value.name })
                };
                let kind = EvaluationKind::try_from(eval.kind);
                Ok(Arc::new(PostgresEvalExec::try_new(
                    kind.map_err(|_| Error::internal("unknown kind of evaluation"))?,
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
            Some(Node::FirstOccurrence(message)) => {
                let input = one_input(inputs)?;
                let expr = |expr: &PhysicalExprNode| parse_physical_expr(expr, context, &input.schema(), self);
                let occurrence = |occurrence: &OccurrenceMessage| {
                    Ok(Occurrence {
                        keys: occurrence.keys.iter().map(expr).collect::<Result<_>>()?,
                        filter: occurrence.filter.as_ref().map(expr).transpose()?,
                    })
                };
                let occurrences = message.occurrences.iter().map(occurrence).collect::<Result<_>>()?;
                Ok(Arc::new(FirstOccurrenceExec::new(Arc::clone(input), occurrences)))
            }
            Some(Node::BuildKeys(message)) => {
                let input = one_input(inputs)?;
                let expr = |expr: &PhysicalExprNode| parse_physical_expr(expr, context, &input.schema(), self);
                let keys = message.keys.iter().map(expr).collect::<Result<_>>()?;
                Ok(Arc::new(BuildKeysExec::new(message.stream, keys, Arc::clone(input))))
            }
            Some(Node::Cut(message)) => {
                let input = one_input(inputs)?;
                let expr = |expr: &PhysicalExprNode| parse_physical_expr(expr, context, &input.schema(), self);
                let keys: Vec<_> = message.keys.iter().map(expr).collect::<Result<_>>()?;
                if keys.is_empty() {
                    return Err(Error::internal("rows are cut by no key").into());
                }
                let cut = match usize::try_from(message.with_ties).unwrap_or(usize::MAX) {
                    0 => Cut::FirstOfEach,
                    limit => Cut::WithTies(limit),
                };
                Ok(Arc::new(CutExec::new(Arc::clone(input), keys, cut)))
            }
            Some(Node::KeyBound(message)) => {
                let input = one_input(inputs)?;
                let key = |key: &SortKeyMessage| {
                    let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
                    let key = key.key.as_ref().ok_or_else(|| Error::internal("an empty sort key"))?;
                    Ok(PhysicalSortExpr::new(parse_physical_expr(key, context, &input.schema(), self)?, options))
                };
                let keys = message.keys.iter().map(key).collect::<Result<Vec<_>>>()?;
                let order = LexOrdering::new(keys).ok_or_else(|| Error::internal("rows are bound by no key"))?;
                let limit = usize::try_from(message.limit).unwrap_or(usize::MAX);
                Ok(Arc::new(KeyBoundExec::new(Arc::clone(input), order, limit)))
            }
            Some(Node::GroupNumber(message)) => {
                let input = one_input(inputs)?;
                let expr = |expr: &PhysicalExprNode| parse_physical_expr(expr, context, &input.schema(), self);
                let keys = message.keys.iter().map(expr).collect::<Result<_>>()?;
                Ok(Arc::new(GroupNumberExec::new(Arc::clone(input), keys)))
            }
            Some(Node::SkipProbe(SkipProbeMessage {})) => {
                Ok(Arc::new(SkipProbeExec::new(Arc::clone(one_input(inputs)?))))
            }
            Some(Node::Window(message)) => {
                let input = one_input(inputs)?;
                let schema = input.schema();
                let expr = |expr: &PhysicalExprNode| parse_physical_expr(expr, context, &schema, self);
                let function = |function: &WindowFunctionMessage| function.function(&schema, context, self);
                let window = Window {
                    partition: message.partition.iter().map(expr).collect::<Result<_>>()?,
                    order: message.order.iter().map(expr).collect::<Result<_>>()?,
                    functions: message.functions.iter().map(function).collect::<Result<_>>()?,
                };
                Ok(Arc::new(WindowExec::try_new(Arc::clone(input), window)?))
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
            let filter = |filter: &ScanFilter| {
                let predicate = Some(serialize_physical_expr(&filter.predicate, self)?);
                Ok(ScanFilterMessage { predicate, raises: filter.raises })
            };
            Node::Scan(ScanMessage {
                scan: scan.number(),
                table: scan.table().to_string(),
                filters: scan.scan().filters.iter().map(filter).collect::<Result<_>>()?,
                output: scan.scan().output.iter().map(|&at| at as u32).collect(),
                columns: scan
                    .scan()
                    .columns
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
                Distribution::Hash(keys) => {
                    keys.iter().map(|key| serialize_physical_expr(key, self)).collect::<Result<_>>()?
                }
                Distribution::Broadcast | Distribution::Gather => Vec::new(),
            };
            let kind = writer.distribution.kind();
            let runtime_filter = writer.has_runtime_filter();
            let common = writer.common_keys().map(|common| CommonKeysMessage {
                hashes: common.hashes().to_vec(),
                treatment: common.treatment.into(),
            });
            Node::Writer(WriterMessage { stream: writer.stream, kind: kind.into(), keys, runtime_filter, common })
        } else if let Some(reader) = node.downcast_ref::<DsmReaderExec>() {
            let (stream, kind) = (reader.stream, reader.kind.into());
            Node::Reader(ReaderMessage { stream, kind, partitions: reader.partitions() })
        } else if let Some(checkpoint) = node.downcast_ref::<CheckpointExec>() {
            Node::Checkpoint(CheckpointMessage { compact: checkpoint.compact() })
        } else if let Some(eval) = node.downcast_ref::<PostgresEvalExec>() {
            let evaluation = eval.evaluation();
            let result = |result: &ResultColumn| ValueMessage::new(result.expr, &result.data_type, &result.name);
            Node::Eval(EvalMessage {
                kind: evaluation.kind.into(),
                call: evaluation.call,
                inputs: eval.inputs().to_vec(),
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
        } else if let Some(first) = node.downcast_ref::<FirstOccurrenceExec>() {
            let expr = |expr: &Arc<dyn PhysicalExpr>| serialize_physical_expr(expr, self);
            let occurrence = |occurrence: &Occurrence| {
                Ok(OccurrenceMessage {
                    keys: occurrence.keys.iter().map(expr).collect::<Result<_>>()?,
                    filter: occurrence.filter.as_ref().map(expr).transpose()?,
                })
            };
            let occurrences = first.occurrences().iter().map(occurrence).collect::<Result<_>>()?;
            Node::FirstOccurrence(FirstOccurrenceMessage { occurrences })
        } else if let Some(cut) = node.downcast_ref::<CutExec>() {
            let expr = |expr: &Arc<dyn PhysicalExpr>| serialize_physical_expr(expr, self);
            let with_ties = match cut.cut() {
                Cut::FirstOfEach => 0,
                Cut::WithTies(limit) => limit as u64,
            };
            Node::Cut(CutMessage { keys: cut.keys().iter().map(expr).collect::<Result<_>>()?, with_ties })
        } else if let Some(bound) = node.downcast_ref::<KeyBoundExec>() {
            let key = |key: &PhysicalSortExpr| {
                let SortOptions { descending, nulls_first } = key.options;
                Ok(SortKeyMessage { key: Some(serialize_physical_expr(&key.expr, self)?), descending, nulls_first })
            };
            let keys = bound.order().iter().map(key).collect::<Result<_>>()?;
            Node::KeyBound(KeyBoundMessage { keys, limit: bound.limit() as u64 })
        } else if let Some(number) = node.downcast_ref::<GroupNumberExec>() {
            let keys = number.keys().iter().map(|key| serialize_physical_expr(key, self)).collect::<Result<_>>()?;
            Node::GroupNumber(GroupNumberMessage { keys })
        } else if let Some(window) = node.downcast_ref::<WindowExec>() {
            let Window { partition, order, functions } = window.window();
            let expr = |expr: &Arc<dyn PhysicalExpr>| serialize_physical_expr(expr, self);
            let function = |function: &WindowFunction| WindowFunctionMessage::new(function, self);
            Node::Window(WindowMessage {
                partition: partition.iter().map(expr).collect::<Result<_>>()?,
                order: order.iter().map(expr).collect::<Result<_>>()?,
                functions: functions.iter().map(function).collect::<Result<_>>()?,
            })
        } else if let Some(build) = node.downcast_ref::<BuildKeysExec>() {
            let keys = build.keys().iter().map(|key| serialize_physical_expr(key, self)).collect::<Result<_>>()?;
            Node::BuildKeys(BuildKeysMessage { stream: build.stream(), keys })
        } else if node.downcast_ref::<SkipProbeExec>().is_some() {
            Node::SkipProbe(SkipProbeMessage {})
        } else {
            return Err(Error::internal(format!("the codec does not know {}", node.name())).into());
        };
        NodeMessage { node: Some(node) }.encode(buf).map_err(|error| DataFusionError::External(Box::new(error)))
    }
}
