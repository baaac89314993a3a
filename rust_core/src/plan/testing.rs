//! For tests: PostgreSQL's nodes built by hand, a host that knows collations, and a plan's way through the codec.
//!
//! Nodes are leaked: a test's trees are few and small.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::DefaultPhysicalExtensionCodec;
use datafusion_proto::physical_plan::from_proto::parse_physical_expr;
use datafusion_proto::physical_plan::to_proto::serialize_physical_expr;
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::{Datum, Node, NodeTag, Oid};
use prost::Message;

use super::{aggregates, functions};
use crate::error::{Error, Result};
use crate::host::{Claim, CollationFlags, Host, Lookup, Page, Receive, Relation, Send, TypeLayout};

/// pg_collation's default, which the fake host takes for a linguistic one.
pub const DEFAULT_COLLATION: u32 = 100;
pub const C_COLLATION: u32 = 950;
pub const NONDETERMINISTIC_COLLATION: u32 = 70_000;
/// The host parks an ERROR when asked for this one.
pub const BROKEN_COLLATION: u32 = 70_001;

pub type NodePtr = *const Node;

/// An enum type of the user's.
pub const ENUM: Oid = Oid::from_u32(70_010);

/// pg_type's length and by-value of a type; what is not listed is a varlena.
pub fn layout(typid: Oid, utf8: bool) -> TypeLayout {
    let (len, byval) = match typid {
        pg_sys::BOOLOID | pg_sys::CHAROID => (1, true),
        pg_sys::INT2OID => (2, true),
        pg_sys::INT4OID | pg_sys::DATEOID | pg_sys::FLOAT4OID | pg_sys::OIDOID | pg_sys::REGCLASSOID | ENUM => {
            (4, true)
        }
        pg_sys::INT8OID | pg_sys::FLOAT8OID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => (8, true),
        pg_sys::TIMEOID | pg_sys::MONEYOID => (8, true),
        pg_sys::UUIDOID | pg_sys::INTERVALOID => (16, false),
        pg_sys::NAMEOID => (64, false),
        pg_sys::CSTRINGOID => (-2, false),
        _ => (-1, false),
    };
    TypeLayout { len, byval, utf8 }
}

/// Answers about types and collations, and detoasts to "detoasted".
pub struct FakeHost;

impl Host for FakeHost {
    fn interrupt_pending(&self) -> bool {
        false
    }
    fn cancelled(&self) -> bool {
        false
    }

    fn scan_claim(&self, _: u32) -> Result<Claim> {
        Err(Error::Parked)
    }
    fn scan_open(&self, _: u32, _: u32) -> Result<Relation<'_>> {
        Err(Error::Parked)
    }
    fn scan_look_up(&self, _: u32, _: u32, _: u32, _: &[u64]) -> Result<Lookup> {
        Ok(Lookup::None)
    }

    fn scan_page(&self, _: u32, _: u32, _: bool, _: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
        Err(Error::Parked)
    }
    fn scan_unpin(&self, _: u32) -> Result<()> {
        Err(Error::Parked)
    }
    fn detoast(&self, _: &[u8], read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        read(b"detoasted")
    }
    fn send(&self, _: u32, _: &[u8], _: bool) -> Result<Send> {
        Err(Error::Parked)
    }
    fn receive(&self, _: u32, _: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Receive> {
        Err(Error::Parked)
    }
    fn log(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn type_layout(&self, typid: u32) -> Result<TypeLayout> {
        Ok(layout(Oid::from(typid), true))
    }
    fn collation(&self, collation: u32) -> Result<CollationFlags> {
        match collation {
            C_COLLATION => Ok(CollationFlags { deterministic: true, c: true }),
            NONDETERMINISTIC_COLLATION => Ok(CollationFlags { deterministic: false, c: false }),
            BROKEN_COLLATION => Err(Error::Parked),
            _ => Ok(CollationFlags { deterministic: true, c: false }),
        }
    }
}

/// The context that a participant decodes its plan in.
pub fn task_context() -> TaskContext {
    let functions: HashMap<_, _> = functions::all()
        .into_iter()
        .chain([functions::not_cancelled(None)])
        .map(|udf| (udf.name().to_owned(), udf))
        .collect();
    let aggregates = aggregates::all().into_iter().map(|udaf| (udaf.name().to_owned(), udaf)).collect();
    let config = SessionConfig::new();
    TaskContext::new(
        None,
        "test".into(),
        config,
        functions,
        HashMap::new(),
        aggregates,
        HashMap::new(),
        Arc::new(RuntimeEnv::default()),
    )
}

/// The expression that another participant decodes.
pub fn through_codec(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Arc<dyn PhysicalExpr> {
    let codec = DefaultPhysicalExtensionCodec {};
    let bytes = serialize_physical_expr(expr, &codec).expect("encodes").encode_to_vec();
    let node = Message::decode(bytes.as_slice()).expect("is a message");
    parse_physical_expr(&node, &task_context(), schema, &codec).expect("decodes")
}

fn leak<T>(value: T) -> NodePtr {
    std::ptr::from_ref(Box::leak(Box::new(value))).cast()
}

fn expr(tag: NodeTag) -> pg_sys::Expr {
    pg_sys::Expr { type_: tag }
}

pub fn list(nodes: &[NodePtr]) -> *mut pg_sys::List {
    let cells: Vec<_> = nodes.iter().map(|node| pg_sys::ListCell { ptr_value: node.cast_mut().cast() }).collect();
    let length = cells.len() as i32;
    let mut list = pg_sys::List { type_: NodeTag::T_List, length, max_length: length, ..Default::default() };
    list.elements = Box::leak(cells.into_boxed_slice()).as_mut_ptr();
    Box::leak(Box::new(list))
}

pub fn numeric_typmod(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

pub fn var(attno: i16, typid: Oid, typmod: i32) -> NodePtr {
    leak(pg_sys::Var {
        xpr: expr(NodeTag::T_Var),
        varno: 1,
        varattno: attno,
        vartype: typid,
        vartypmod: typmod,
        ..Default::default()
    })
}

fn constant(typid: Oid, value: Datum, is_null: bool, by_value: bool) -> NodePtr {
    leak(pg_sys::Const {
        xpr: expr(NodeTag::T_Const),
        consttype: typid,
        consttypmod: -1,
        constlen: if by_value { 8 } else { -1 },
        constvalue: value,
        constisnull: is_null,
        constbyval: by_value,
        ..Default::default()
    })
}

pub fn null(typid: Oid) -> NodePtr {
    constant(typid, Datum::null(), true, true)
}

/// A by-value constant, of the bits that its Datum has.
pub fn by_value(typid: Oid, bits: u64) -> NodePtr {
    constant(typid, Datum::from(bits as usize), false, true)
}

pub fn boolean(value: bool) -> NodePtr {
    by_value(pg_sys::BOOLOID, u64::from(value))
}

pub fn int2(value: i16) -> NodePtr {
    by_value(pg_sys::INT2OID, value as u64)
}

pub fn int4(value: i32) -> NodePtr {
    by_value(pg_sys::INT4OID, value as u64)
}

pub fn int8(value: i64) -> NodePtr {
    by_value(pg_sys::INT8OID, value as u64)
}

pub fn float4(value: f32) -> NodePtr {
    by_value(pg_sys::FLOAT4OID, u64::from(value.to_bits()))
}

pub fn float8(value: f64) -> NodePtr {
    by_value(pg_sys::FLOAT8OID, value.to_bits())
}

/// A varlena with the long header, which arrays have and most Consts.
pub fn varlena(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (((payload.len() + 4) as u32) << 2).to_le_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

pub fn short_varlena(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![((payload.len() as u8 + 1) << 1) | 1];
    bytes.extend_from_slice(payload);
    bytes
}

/// A constant of these bytes, header included where the type has one.
pub fn by_reference(typid: Oid, varlena: Vec<u8>) -> NodePtr {
    let pointer = Box::leak(varlena.into_boxed_slice()).as_ptr();
    constant(typid, Datum::from(pointer as usize), false, false)
}

/// An interval as it lies in memory.
pub fn interval(months: i32, days: i32, microseconds: i64) -> Vec<u8> {
    [&microseconds.to_le_bytes()[..], &days.to_le_bytes(), &months.to_le_bytes()].concat()
}

pub fn text(value: &str) -> NodePtr {
    by_reference(pg_sys::TEXTOID, varlena(value.as_bytes()))
}

pub fn bpchar_const(value: &str) -> NodePtr {
    by_reference(pg_sys::BPCHAROID, short_varlena(value.as_bytes()))
}

/// The payload of a numeric, in the long format: "-12.340", "NaN".
pub fn numeric_payload(value: &str) -> Vec<u8> {
    let special = match value {
        "NaN" => Some(0xc000u16),
        "Infinity" => Some(0xd000),
        "-Infinity" => Some(0xf000),
        _ => None,
    };
    if let Some(header) = special {
        return header.to_le_bytes().to_vec();
    }
    let unsigned = value.trim_start_matches('-');
    let (integral, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let integral = format!("{integral:0>width$}", width = integral.len().next_multiple_of(4));
    let padded = format!("{fraction:0<width$}", width = fraction.len().next_multiple_of(4));
    let weight = (integral.len() / 4) as i16 - 1;
    let sign = if value.starts_with('-') { 0x4000 } else { 0 };
    let mut payload = (sign | fraction.len() as u16).to_le_bytes().to_vec();
    payload.extend(weight.to_le_bytes());
    for digits in (integral + &padded).as_bytes().chunks(4) {
        let digit: u16 = std::str::from_utf8(digits).expect("ASCII").parse().expect("digits");
        payload.extend(digit.to_le_bytes());
    }
    payload
}

pub fn numeric_const(value: &str) -> NodePtr {
    by_reference(pg_sys::NUMERICOID, varlena(&numeric_payload(value)))
}

/// An array of these elements: bytes of by-value elements, whole varlenas of others; None is NULL.
pub fn array(elemtype: Oid, array_type: Oid, alignment: usize, elements: &[Option<Vec<u8>>]) -> NodePtr {
    let nulls = elements.iter().any(Option::is_none);
    let mut bytes = vec![0; 4]; // the varlena header's place
    let ndim = i32::from(!elements.is_empty());
    bytes.extend(ndim.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(elemtype.to_u32().to_le_bytes());
    if ndim == 1 {
        bytes.extend((elements.len() as i32).to_le_bytes());
        bytes.extend(1i32.to_le_bytes());
    }
    if nulls {
        let mut bitmap = vec![0u8; elements.len().div_ceil(8)];
        for (position, _) in elements.iter().enumerate().filter(|(_, element)| element.is_some()) {
            bitmap[position / 8] |= 1 << (position % 8);
        }
        bytes.extend(bitmap);
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    if nulls {
        let offset = bytes.len() as i32;
        bytes[8..12].copy_from_slice(&offset.to_le_bytes());
    }
    for element in elements.iter().flatten() {
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        bytes.extend(element);
    }
    by_reference(array_type, varlena(&bytes[4..]))
}

pub fn int4_array(elements: &[Option<i32>]) -> NodePtr {
    let elements: Vec<_> = elements.iter().map(|element| element.map(|value| value.to_le_bytes().to_vec())).collect();
    array(pg_sys::INT4OID, pg_sys::INT4ARRAYOID, 4, &elements)
}

/// An operator's call, with its function as the planner finishes it.
pub fn op(function: u32, collation: u32, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::OpExpr {
        xpr: expr(NodeTag::T_OpExpr),
        opfuncid: Oid::from(function),
        inputcollid: Oid::from(collation),
        args: list(args),
        ..Default::default()
    })
}

/// A function's call under a collation.
pub fn collated(function: u32, collation: u32, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::FuncExpr {
        xpr: expr(NodeTag::T_FuncExpr),
        funcid: Oid::from(function),
        inputcollid: Oid::from(collation),
        args: list(args),
        ..Default::default()
    })
}

/// CASE; with an argument, `case_test` stands for it in the conditions.
pub fn case(argument: Option<NodePtr>, branches: &[(NodePtr, NodePtr)], default: NodePtr) -> NodePtr {
    let when = |(condition, result): &(NodePtr, NodePtr)| {
        leak(pg_sys::CaseWhen {
            xpr: expr(NodeTag::T_CaseWhen),
            expr: condition.cast_mut().cast(),
            result: result.cast_mut().cast(),
            ..Default::default()
        })
    };
    leak(pg_sys::CaseExpr {
        xpr: expr(NodeTag::T_CaseExpr),
        arg: argument.map_or(std::ptr::null_mut(), |argument| argument.cast_mut().cast()),
        args: list(&branches.iter().map(when).collect::<Vec<_>>()),
        defresult: default.cast_mut().cast(),
        ..Default::default()
    })
}

pub fn case_test(typid: Oid) -> NodePtr {
    leak(pg_sys::CaseTestExpr { xpr: expr(NodeTag::T_CaseTestExpr), typeId: typid, ..Default::default() })
}

pub fn coalesce(args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::CoalesceExpr { xpr: expr(NodeTag::T_CoalesceExpr), args: list(args), ..Default::default() })
}

/// NULLIF or IS DISTINCT FROM, by an equality function.
fn by_equality(tag: NodeTag, function: u32, collation: u32, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::OpExpr {
        xpr: expr(tag),
        opfuncid: Oid::from(function),
        inputcollid: Oid::from(collation),
        args: list(args),
        ..Default::default()
    })
}

pub fn null_if(function: u32, collation: u32, args: &[NodePtr]) -> NodePtr {
    by_equality(NodeTag::T_NullIfExpr, function, collation, args)
}

pub fn distinct(function: u32, collation: u32, args: &[NodePtr]) -> NodePtr {
    by_equality(NodeTag::T_DistinctExpr, function, collation, args)
}

pub fn min_max(op: pg_sys::MinMaxOp::Type, typid: Oid, collation: u32, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::MinMaxExpr {
        xpr: expr(NodeTag::T_MinMaxExpr),
        minmaxtype: typid,
        inputcollid: Oid::from(collation),
        op,
        args: list(args),
        ..Default::default()
    })
}

pub fn interval_const(month: i32, day: i32, time: i64) -> NodePtr {
    let interval = Box::leak(Box::new(pg_sys::Interval { time, day, month }));
    constant(pg_sys::INTERVALOID, Datum::from(std::ptr::from_ref(interval) as usize), false, false)
}

/// As the planner makes one from an equivalence class: without its function.
pub fn unfinished_op(operator: u32, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::OpExpr {
        xpr: expr(NodeTag::T_OpExpr),
        opno: Oid::from(operator),
        args: list(args),
        ..Default::default()
    })
}

pub fn function(function: u32, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::FuncExpr {
        xpr: expr(NodeTag::T_FuncExpr),
        funcid: Oid::from(function),
        args: list(args),
        ..Default::default()
    })
}

pub fn relabel(arg: NodePtr, to: Oid) -> NodePtr {
    leak(pg_sys::RelabelType {
        xpr: expr(NodeTag::T_RelabelType),
        arg: arg.cast_mut().cast(),
        resulttype: to,
        ..Default::default()
    })
}

fn bool_expr(boolop: pg_sys::BoolExprType::Type, args: &[NodePtr]) -> NodePtr {
    leak(pg_sys::BoolExpr { xpr: expr(NodeTag::T_BoolExpr), boolop, args: list(args), ..Default::default() })
}

pub fn and(args: &[NodePtr]) -> NodePtr {
    bool_expr(pg_sys::BoolExprType::AND_EXPR, args)
}

pub fn or(args: &[NodePtr]) -> NodePtr {
    bool_expr(pg_sys::BoolExprType::OR_EXPR, args)
}

pub fn not(arg: NodePtr) -> NodePtr {
    bool_expr(pg_sys::BoolExprType::NOT_EXPR, &[arg])
}

pub fn null_test(arg: NodePtr, kind: pg_sys::NullTestType::Type) -> NodePtr {
    leak(pg_sys::NullTest {
        xpr: expr(NodeTag::T_NullTest),
        arg: arg.cast_mut().cast(),
        nulltesttype: kind,
        ..Default::default()
    })
}

pub fn boolean_test(arg: NodePtr, kind: pg_sys::BoolTestType::Type) -> NodePtr {
    leak(pg_sys::BooleanTest {
        xpr: expr(NodeTag::T_BooleanTest),
        arg: arg.cast_mut().cast(),
        booltesttype: kind,
        ..Default::default()
    })
}

/// `scalar op ANY (array)` or ALL.
pub fn array_op(function: u32, any: bool, collation: u32, scalar: NodePtr, array: NodePtr) -> NodePtr {
    leak(pg_sys::ScalarArrayOpExpr {
        xpr: expr(NodeTag::T_ScalarArrayOpExpr),
        opfuncid: Oid::from(function),
        useOr: any,
        inputcollid: Oid::from(collation),
        args: list(&[scalar, array]),
        ..Default::default()
    })
}

/// An aggregate's argument, or what it is ordered by alone; `reference` is what DISTINCT and ORDER BY call it.
pub fn target(expr: NodePtr, reference: u32, junk: bool) -> NodePtr {
    leak(pg_sys::TargetEntry {
        xpr: self::expr(NodeTag::T_TargetEntry),
        expr: expr.cast_mut().cast(),
        ressortgroupref: reference,
        resjunk: junk,
        ..Default::default()
    })
}

pub fn sort_clause(reference: u32, equality: u32) -> NodePtr {
    leak(pg_sys::SortGroupClause {
        type_: NodeTag::T_SortGroupClause,
        tleSortGroupRef: reference,
        eqop: Oid::from(equality),
        ..Default::default()
    })
}

pub fn aggref(function: u32, collation: u32, args: &[NodePtr]) -> pg_sys::Aggref {
    pg_sys::Aggref {
        xpr: expr(NodeTag::T_Aggref),
        aggfnoid: Oid::from(function),
        inputcollid: Oid::from(collation),
        args: list(&args.iter().map(|arg| target(*arg, 0, false)).collect::<Vec<_>>()),
        aggkind: b'n' as _,
        ..Default::default()
    }
}
