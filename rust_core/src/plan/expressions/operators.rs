//! PostgreSQL's functions and operators that have a native translation: everything else is declined.
//!
//! Found by function, which is what is executed. An OpExpr that the planner has just made (from an
//! equivalence class) has no function yet and is found by its operator.

use datafusion::logical_expr::Operator::{self, Eq, Gt, GtEq, Lt, LtEq, NotEq};
use pgrx_pg_sys::*;
use std::result::Result; // pgrx_pg_sys has a Result of its own

use self::Class::*;
use self::Operation::*;
use crate::plan::functions::Function;
use crate::plan::types::Decline;

/// Types that are compared alike; see `compare.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Class {
    /// Both sides of one type, whose Arrow order is PostgreSQL's: bool, oid, dates and timestamps.
    Plain,
    Integer,
    Float,
    Numeric,
    Text,
    Bpchar,
    DateTimestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

/// What a function does.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) enum Operation {
    Compare(Class, Operator),
    Arithmetic(Arithmetic),
    Negate,
    Identity,
    Like { negated: bool },
    Cast { function: Function, raises: bool },
}

/// Operator, its function, what that does. The numbers are from pg_operator, the same in all versions.
#[rustfmt::skip]
static OPERATORS: &[(u32, u32, Operation)] = &[
    (91, F_BOOLEQ, Compare(Plain, Eq)),
    (1695, F_BOOLGE, Compare(Plain, GtEq)),
    (59, F_BOOLGT, Compare(Plain, Gt)),
    (1694, F_BOOLLE, Compare(Plain, LtEq)),
    (58, F_BOOLLT, Compare(Plain, Lt)),
    (85, F_BOOLNE, Compare(Plain, NotEq)),
    (1093, F_DATE_EQ, Compare(Plain, Eq)),
    (1098, F_DATE_GE, Compare(Plain, GtEq)),
    (1097, F_DATE_GT, Compare(Plain, Gt)),
    (1096, F_DATE_LE, Compare(Plain, LtEq)),
    (1095, F_DATE_LT, Compare(Plain, Lt)),
    (1094, F_DATE_NE, Compare(Plain, NotEq)),
    (607, F_OIDEQ, Compare(Plain, Eq)),
    (612, F_OIDGE, Compare(Plain, GtEq)),
    (610, F_OIDGT, Compare(Plain, Gt)),
    (611, F_OIDLE, Compare(Plain, LtEq)),
    (609, F_OIDLT, Compare(Plain, Lt)),
    (608, F_OIDNE, Compare(Plain, NotEq)),
    (2060, F_TIMESTAMP_EQ, Compare(Plain, Eq)),
    (2065, F_TIMESTAMP_GE, Compare(Plain, GtEq)),
    (2064, F_TIMESTAMP_GT, Compare(Plain, Gt)),
    (2063, F_TIMESTAMP_LE, Compare(Plain, LtEq)),
    (2062, F_TIMESTAMP_LT, Compare(Plain, Lt)),
    (2061, F_TIMESTAMP_NE, Compare(Plain, NotEq)),
    (1320, F_TIMESTAMPTZ_EQ, Compare(Plain, Eq)),
    (1325, F_TIMESTAMPTZ_GE, Compare(Plain, GtEq)),
    (1324, F_TIMESTAMPTZ_GT, Compare(Plain, Gt)),
    (1323, F_TIMESTAMPTZ_LE, Compare(Plain, LtEq)),
    (1322, F_TIMESTAMPTZ_LT, Compare(Plain, Lt)),
    (1321, F_TIMESTAMPTZ_NE, Compare(Plain, NotEq)),
    (532, F_INT24EQ, Compare(Integer, Eq)),
    (542, F_INT24GE, Compare(Integer, GtEq)),
    (536, F_INT24GT, Compare(Integer, Gt)),
    (540, F_INT24LE, Compare(Integer, LtEq)),
    (534, F_INT24LT, Compare(Integer, Lt)),
    (538, F_INT24NE, Compare(Integer, NotEq)),
    (1862, F_INT28EQ, Compare(Integer, Eq)),
    (1867, F_INT28GE, Compare(Integer, GtEq)),
    (1865, F_INT28GT, Compare(Integer, Gt)),
    (1866, F_INT28LE, Compare(Integer, LtEq)),
    (1864, F_INT28LT, Compare(Integer, Lt)),
    (1863, F_INT28NE, Compare(Integer, NotEq)),
    (94, F_INT2EQ, Compare(Integer, Eq)),
    (524, F_INT2GE, Compare(Integer, GtEq)),
    (520, F_INT2GT, Compare(Integer, Gt)),
    (522, F_INT2LE, Compare(Integer, LtEq)),
    (95, F_INT2LT, Compare(Integer, Lt)),
    (519, F_INT2NE, Compare(Integer, NotEq)),
    (533, F_INT42EQ, Compare(Integer, Eq)),
    (543, F_INT42GE, Compare(Integer, GtEq)),
    (537, F_INT42GT, Compare(Integer, Gt)),
    (541, F_INT42LE, Compare(Integer, LtEq)),
    (535, F_INT42LT, Compare(Integer, Lt)),
    (539, F_INT42NE, Compare(Integer, NotEq)),
    (15, F_INT48EQ, Compare(Integer, Eq)),
    (82, F_INT48GE, Compare(Integer, GtEq)),
    (76, F_INT48GT, Compare(Integer, Gt)),
    (80, F_INT48LE, Compare(Integer, LtEq)),
    (37, F_INT48LT, Compare(Integer, Lt)),
    (36, F_INT48NE, Compare(Integer, NotEq)),
    (96, F_INT4EQ, Compare(Integer, Eq)),
    (525, F_INT4GE, Compare(Integer, GtEq)),
    (521, F_INT4GT, Compare(Integer, Gt)),
    (523, F_INT4LE, Compare(Integer, LtEq)),
    (97, F_INT4LT, Compare(Integer, Lt)),
    (518, F_INT4NE, Compare(Integer, NotEq)),
    (1868, F_INT82EQ, Compare(Integer, Eq)),
    (1873, F_INT82GE, Compare(Integer, GtEq)),
    (1871, F_INT82GT, Compare(Integer, Gt)),
    (1872, F_INT82LE, Compare(Integer, LtEq)),
    (1870, F_INT82LT, Compare(Integer, Lt)),
    (1869, F_INT82NE, Compare(Integer, NotEq)),
    (416, F_INT84EQ, Compare(Integer, Eq)),
    (430, F_INT84GE, Compare(Integer, GtEq)),
    (419, F_INT84GT, Compare(Integer, Gt)),
    (420, F_INT84LE, Compare(Integer, LtEq)),
    (418, F_INT84LT, Compare(Integer, Lt)),
    (417, F_INT84NE, Compare(Integer, NotEq)),
    (410, F_INT8EQ, Compare(Integer, Eq)),
    (415, F_INT8GE, Compare(Integer, GtEq)),
    (413, F_INT8GT, Compare(Integer, Gt)),
    (414, F_INT8LE, Compare(Integer, LtEq)),
    (412, F_INT8LT, Compare(Integer, Lt)),
    (411, F_INT8NE, Compare(Integer, NotEq)),
    (1120, F_FLOAT48EQ, Compare(Float, Eq)),
    (1125, F_FLOAT48GE, Compare(Float, GtEq)),
    (1123, F_FLOAT48GT, Compare(Float, Gt)),
    (1124, F_FLOAT48LE, Compare(Float, LtEq)),
    (1122, F_FLOAT48LT, Compare(Float, Lt)),
    (1121, F_FLOAT48NE, Compare(Float, NotEq)),
    (620, F_FLOAT4EQ, Compare(Float, Eq)),
    (625, F_FLOAT4GE, Compare(Float, GtEq)),
    (623, F_FLOAT4GT, Compare(Float, Gt)),
    (624, F_FLOAT4LE, Compare(Float, LtEq)),
    (622, F_FLOAT4LT, Compare(Float, Lt)),
    (621, F_FLOAT4NE, Compare(Float, NotEq)),
    (1130, F_FLOAT84EQ, Compare(Float, Eq)),
    (1135, F_FLOAT84GE, Compare(Float, GtEq)),
    (1133, F_FLOAT84GT, Compare(Float, Gt)),
    (1134, F_FLOAT84LE, Compare(Float, LtEq)),
    (1132, F_FLOAT84LT, Compare(Float, Lt)),
    (1131, F_FLOAT84NE, Compare(Float, NotEq)),
    (670, F_FLOAT8EQ, Compare(Float, Eq)),
    (675, F_FLOAT8GE, Compare(Float, GtEq)),
    (674, F_FLOAT8GT, Compare(Float, Gt)),
    (673, F_FLOAT8LE, Compare(Float, LtEq)),
    (672, F_FLOAT8LT, Compare(Float, Lt)),
    (671, F_FLOAT8NE, Compare(Float, NotEq)),
    (1752, F_NUMERIC_EQ, Compare(Numeric, Eq)),
    (1757, F_NUMERIC_GE, Compare(Numeric, GtEq)),
    (1756, F_NUMERIC_GT, Compare(Numeric, Gt)),
    (1755, F_NUMERIC_LE, Compare(Numeric, LtEq)),
    (1754, F_NUMERIC_LT, Compare(Numeric, Lt)),
    (1753, F_NUMERIC_NE, Compare(Numeric, NotEq)),
    (2347, F_DATE_EQ_TIMESTAMP, Compare(DateTimestamp, Eq)),
    (2348, F_DATE_GE_TIMESTAMP, Compare(DateTimestamp, GtEq)),
    (2349, F_DATE_GT_TIMESTAMP, Compare(DateTimestamp, Gt)),
    (2346, F_DATE_LE_TIMESTAMP, Compare(DateTimestamp, LtEq)),
    (2345, F_DATE_LT_TIMESTAMP, Compare(DateTimestamp, Lt)),
    (2350, F_DATE_NE_TIMESTAMP, Compare(DateTimestamp, NotEq)),
    (2373, F_TIMESTAMP_EQ_DATE, Compare(DateTimestamp, Eq)),
    (2374, F_TIMESTAMP_GE_DATE, Compare(DateTimestamp, GtEq)),
    (2375, F_TIMESTAMP_GT_DATE, Compare(DateTimestamp, Gt)),
    (2372, F_TIMESTAMP_LE_DATE, Compare(DateTimestamp, LtEq)),
    (2371, F_TIMESTAMP_LT_DATE, Compare(DateTimestamp, Lt)),
    (2376, F_TIMESTAMP_NE_DATE, Compare(DateTimestamp, NotEq)),
    (667, F_TEXT_GE, Compare(Text, GtEq)),
    (666, F_TEXT_GT, Compare(Text, Gt)),
    (665, F_TEXT_LE, Compare(Text, LtEq)),
    (664, F_TEXT_LT, Compare(Text, Lt)),
    (98, F_TEXTEQ, Compare(Text, Eq)),
    (531, F_TEXTNE, Compare(Text, NotEq)),
    (1054, F_BPCHAREQ, Compare(Bpchar, Eq)),
    (1061, F_BPCHARGE, Compare(Bpchar, GtEq)),
    (1060, F_BPCHARGT, Compare(Bpchar, Gt)),
    (1059, F_BPCHARLE, Compare(Bpchar, LtEq)),
    (1058, F_BPCHARLT, Compare(Bpchar, Lt)),
    (1057, F_BPCHARNE, Compare(Bpchar, NotEq)),
    (1118, F_FLOAT48DIV, Arithmetic(Arithmetic::Div)),
    (1117, F_FLOAT48MI, Arithmetic(Arithmetic::Sub)),
    (1119, F_FLOAT48MUL, Arithmetic(Arithmetic::Mul)),
    (1116, F_FLOAT48PL, Arithmetic(Arithmetic::Add)),
    (588, F_FLOAT4DIV, Arithmetic(Arithmetic::Div)),
    (587, F_FLOAT4MI, Arithmetic(Arithmetic::Sub)),
    (589, F_FLOAT4MUL, Arithmetic(Arithmetic::Mul)),
    (586, F_FLOAT4PL, Arithmetic(Arithmetic::Add)),
    (584, F_FLOAT4UM, Negate),
    (1919, F_FLOAT4UP, Identity),
    (1128, F_FLOAT84DIV, Arithmetic(Arithmetic::Div)),
    (1127, F_FLOAT84MI, Arithmetic(Arithmetic::Sub)),
    (1129, F_FLOAT84MUL, Arithmetic(Arithmetic::Mul)),
    (1126, F_FLOAT84PL, Arithmetic(Arithmetic::Add)),
    (593, F_FLOAT8DIV, Arithmetic(Arithmetic::Div)),
    (592, F_FLOAT8MI, Arithmetic(Arithmetic::Sub)),
    (594, F_FLOAT8MUL, Arithmetic(Arithmetic::Mul)),
    (591, F_FLOAT8PL, Arithmetic(Arithmetic::Add)),
    (585, F_FLOAT8UM, Negate),
    (1920, F_FLOAT8UP, Identity),
    (546, F_INT24DIV, Arithmetic(Arithmetic::Div)),
    (556, F_INT24MI, Arithmetic(Arithmetic::Sub)),
    (544, F_INT24MUL, Arithmetic(Arithmetic::Mul)),
    (552, F_INT24PL, Arithmetic(Arithmetic::Add)),
    (825, F_INT28DIV, Arithmetic(Arithmetic::Div)),
    (823, F_INT28MI, Arithmetic(Arithmetic::Sub)),
    (824, F_INT28MUL, Arithmetic(Arithmetic::Mul)),
    (822, F_INT28PL, Arithmetic(Arithmetic::Add)),
    (527, F_INT2DIV, Arithmetic(Arithmetic::Div)),
    (554, F_INT2MI, Arithmetic(Arithmetic::Sub)),
    (529, F_INT2MOD, Arithmetic(Arithmetic::Mod)),
    (526, F_INT2MUL, Arithmetic(Arithmetic::Mul)),
    (550, F_INT2PL, Arithmetic(Arithmetic::Add)),
    (559, F_INT2UM, Negate),
    (1917, F_INT2UP, Identity),
    (547, F_INT42DIV, Arithmetic(Arithmetic::Div)),
    (557, F_INT42MI, Arithmetic(Arithmetic::Sub)),
    (545, F_INT42MUL, Arithmetic(Arithmetic::Mul)),
    (553, F_INT42PL, Arithmetic(Arithmetic::Add)),
    (695, F_INT48DIV, Arithmetic(Arithmetic::Div)),
    (693, F_INT48MI, Arithmetic(Arithmetic::Sub)),
    (694, F_INT48MUL, Arithmetic(Arithmetic::Mul)),
    (692, F_INT48PL, Arithmetic(Arithmetic::Add)),
    (528, F_INT4DIV, Arithmetic(Arithmetic::Div)),
    (555, F_INT4MI, Arithmetic(Arithmetic::Sub)),
    (530, F_INT4MOD, Arithmetic(Arithmetic::Mod)),
    (514, F_INT4MUL, Arithmetic(Arithmetic::Mul)),
    (551, F_INT4PL, Arithmetic(Arithmetic::Add)),
    (558, F_INT4UM, Negate),
    (1918, F_INT4UP, Identity),
    (821, F_INT82DIV, Arithmetic(Arithmetic::Div)),
    (819, F_INT82MI, Arithmetic(Arithmetic::Sub)),
    (820, F_INT82MUL, Arithmetic(Arithmetic::Mul)),
    (818, F_INT82PL, Arithmetic(Arithmetic::Add)),
    (691, F_INT84DIV, Arithmetic(Arithmetic::Div)),
    (689, F_INT84MI, Arithmetic(Arithmetic::Sub)),
    (690, F_INT84MUL, Arithmetic(Arithmetic::Mul)),
    (688, F_INT84PL, Arithmetic(Arithmetic::Add)),
    (687, F_INT8DIV, Arithmetic(Arithmetic::Div)),
    (685, F_INT8MI, Arithmetic(Arithmetic::Sub)),
    (439, F_INT8MOD, Arithmetic(Arithmetic::Mod)),
    (686, F_INT8MUL, Arithmetic(Arithmetic::Mul)),
    (684, F_INT8PL, Arithmetic(Arithmetic::Add)),
    (484, F_INT8UM, Negate),
    (1916, F_INT8UP, Identity),
    (1758, F_NUMERIC_ADD, Arithmetic(Arithmetic::Add)),
    (1760, F_NUMERIC_MUL, Arithmetic(Arithmetic::Mul)),
    (1759, F_NUMERIC_SUB, Arithmetic(Arithmetic::Sub)),
    (1751, F_NUMERIC_UMINUS, Negate),
    (1921, F_NUMERIC_UPLUS, Identity),
    (1211, F_BPCHARLIKE, Like { negated: false }),
    (1212, F_BPCHARNLIKE, Like { negated: true }),
    (1209, F_TEXTLIKE, Like { negated: false }),
    (1210, F_TEXTNLIKE, Like { negated: true }),
];

const fn cast(function: Function) -> Operation {
    Cast { function, raises: false }
}

const fn checked_cast(function: Function) -> Operation {
    Cast { function, raises: true }
}

/// Casts, which are functions without an operator.
static CASTS: &[(u32, Operation)] = &[
    (F_INT2_INT4, checked_cast(Function::Int2)),
    (F_INT2_INT8, checked_cast(Function::Int2)),
    (F_INT2_FLOAT4, checked_cast(Function::Int2)),
    (F_INT2_FLOAT8, checked_cast(Function::Int2)),
    (F_INT4_INT2, cast(Function::Int4)),
    (F_INT4_INT8, checked_cast(Function::Int4)),
    (F_INT4_FLOAT4, checked_cast(Function::Int4)),
    (F_INT4_FLOAT8, checked_cast(Function::Int4)),
    (F_INT8_INT2, cast(Function::Int8)),
    (F_INT8_INT4, cast(Function::Int8)),
    (F_INT8_FLOAT4, checked_cast(Function::Int8)),
    (F_INT8_FLOAT8, checked_cast(Function::Int8)),
    (F_FLOAT4_INT2, cast(Function::Float4)),
    (F_FLOAT4_INT4, cast(Function::Float4)),
    (F_FLOAT4_INT8, cast(Function::Float4)),
    (F_FLOAT4_FLOAT8, checked_cast(Function::Float4)),
    (F_FLOAT8_INT2, cast(Function::Float8)),
    (F_FLOAT8_INT4, cast(Function::Float8)),
    (F_FLOAT8_INT8, cast(Function::Float8)),
    (F_FLOAT8_FLOAT4, cast(Function::Float8)),
    (F_NUMERIC_INT2, cast(Function::Numeric)),
    (F_NUMERIC_INT4, cast(Function::Numeric)),
    (F_NUMERIC_INT8, cast(Function::Numeric)),
    (F_TEXT_BPCHAR, cast(Function::BpcharTrim)),
];

/// What a function does, or why that is unknown.
pub(super) fn of_function(function: Oid) -> Result<Operation, Decline> {
    let function = function.to_u32();
    let operator = OPERATORS.iter().find(|(_, candidate, _)| *candidate == function).map(|(.., operation)| *operation);
    let cast = || CASTS.iter().find(|(candidate, _)| *candidate == function).map(|(_, operation)| *operation);
    operator.or_else(cast).ok_or_else(|| Decline(format!("the function with OID {function} is not supported")))
}

/// What an operator does.
pub(super) fn of_operator(operator: Oid, function: Oid) -> Result<Operation, Decline> {
    let number = operator.to_u32();
    let unsupported = || Decline(format!("the operator with OID {number} is not supported"));
    if function != Oid::INVALID {
        return of_function(function).map_err(|_| unsupported());
    }
    let found = OPERATORS.iter().find(|(candidate, ..)| *candidate == number);
    found.map(|(.., operation)| *operation).ok_or_else(unsupported)
}
