//! Arithmetic and casts: which function of ours gives PostgreSQL's result, over which types.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

use super::operators::Arithmetic;
use super::{TranslateError, Typed, compare, decline};
use crate::host::Host;
use crate::plan::functions::{Function, numeric};
use crate::plan::types::arrow_type;

/// Binary-coercible casts: PostgreSQL's value stays as it is, and so does ours where both types lie alike in a plan.
pub(super) fn relabelled(host: &dyn Host, argument: Typed, to: Oid) -> Result<Typed, TranslateError> {
    let fits = match (to, &argument.data_type) {
        // One value lies in several ways, by its declared precision; what computes with it goes by how it does.
        (pg_sys::NUMERICOID, DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Binary) => true,
        (_, found) => arrow_type(to, -1, host.type_layout(to.to_u32())?).is_ok_and(|expected| expected == *found),
    };
    match fits {
        true => Ok(argument),
        false => decline(format!("a cast to the type with OID {} is not supported", to.to_u32())),
    }
}

pub(super) fn cast(function: Function, argument: Typed, raises: bool) -> Result<Typed, TranslateError> {
    let to = match (function, &argument.data_type) {
        (Function::BpcharTrim, DataType::Utf8 | DataType::Binary) => argument.data_type.clone(),
        // As many digits as the integer can have.
        (Function::Numeric, DataType::Int16) => DataType::Decimal128(5, 0),
        (Function::Numeric, DataType::Int32) => DataType::Decimal128(10, 0),
        (Function::Numeric, DataType::Int64) => DataType::Decimal128(19, 0),
        (Function::Int2, from) if from.is_numeric() => DataType::Int16,
        (Function::Int4, from) if from.is_numeric() => DataType::Int32,
        (Function::Int8, from) if from.is_numeric() => DataType::Int64,
        (Function::Float4, from) if from.is_numeric() => DataType::Float32,
        (Function::Float8, from) if from.is_numeric() => DataType::Float64,
        (_, from) => return decline(format!("a cast of a value held as {from} is not supported")),
    };
    Typed::call(function, vec![argument], to, raises)
}

/// `value` as `to`, a type that holds all values of its own.
pub(super) fn widened(value: Typed, to: &DataType) -> Result<Typed, TranslateError> {
    let function = match to {
        to if *to == value.data_type => return Ok(value),
        DataType::Int16 => Function::Int2,
        DataType::Int32 => Function::Int4,
        DataType::Int64 => Function::Int8,
        DataType::Float32 => Function::Float4,
        DataType::Float64 => Function::Float8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => Function::Numeric,
        other => return decline(format!("a cast to a value held as {other} is not supported")),
    };
    Typed::call(function, vec![value], to.clone(), false)
}

pub(super) fn arithmetic(op: Arithmetic, left: Typed, right: Typed) -> Result<Typed, TranslateError> {
    let types = (&left.data_type, &right.data_type);
    if types.0.is_decimal() && types.1.is_decimal() {
        let (function, result) = match op {
            Arithmetic::Add => (Function::NumericAdd, numeric::sum_type(types.0, types.1)),
            Arithmetic::Sub => (Function::NumericSub, numeric::sum_type(types.0, types.1)),
            Arithmetic::Mul => (Function::NumericMul, numeric::product_type(types.0, types.1)),
            Arithmetic::Div | Arithmetic::Mod => return decline("division of numeric values is not supported"),
        };
        return match result {
            Some(result) => Typed::call(function, vec![left, right], result, false),
            None => decline("numeric arithmetic that may need more than 76 digits is not supported"),
        };
    }
    let Some(common) = compare::wider(&left.data_type, &right.data_type) else {
        return decline("arithmetic of these types is not supported");
    };
    let function = match (op, common.is_integer()) {
        (Arithmetic::Add, true) => Function::IntAdd,
        (Arithmetic::Sub, true) => Function::IntSub,
        (Arithmetic::Mul, true) => Function::IntMul,
        (Arithmetic::Div, true) => Function::IntDiv,
        (Arithmetic::Mod, true) => Function::IntMod,
        (Arithmetic::Add, false) => Function::FloatAdd,
        (Arithmetic::Sub, false) => Function::FloatSub,
        (Arithmetic::Mul, false) => Function::FloatMul,
        (Arithmetic::Div, false) => Function::FloatDiv,
        (Arithmetic::Mod, false) => return decline("the remainder of floating-point values is not supported"),
    };
    let raises = !divides_safely(op, &right);
    Typed::call(function, vec![widened(left, &common)?, widened(right, &common)?], common, raises)
}

/// Is it a division of an integer by a constant that divides every integer?
fn divides_safely(op: Arithmetic, right: &Typed) -> bool {
    let divisor = match right.as_literal() {
        Some(ScalarValue::Int16(Some(divisor))) => i64::from(*divisor),
        Some(ScalarValue::Int32(Some(divisor))) => i64::from(*divisor),
        Some(ScalarValue::Int64(Some(divisor))) => *divisor,
        _ => return false,
    };
    matches!(op, Arithmetic::Div | Arithmetic::Mod) && divisor != 0 && divisor != -1
}

pub(super) fn negate(argument: Typed) -> Result<Typed, TranslateError> {
    let (function, raises) = match argument.data_type {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => (Function::IntNeg, true),
        DataType::Float32 | DataType::Float64 => (Function::FloatNeg, false),
        DataType::Decimal128(..) | DataType::Decimal256(..) => (Function::NumericNeg, false),
        _ => return decline("negation of this type is not supported"),
    };
    let data_type = argument.data_type.clone();
    Typed::call(function, vec![argument], data_type, raises)
}
