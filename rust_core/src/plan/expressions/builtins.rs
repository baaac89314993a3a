//! PostgreSQL's functions beyond arithmetic, comparisons and casts: which of ours gives each one's
//! result, over which types, and whether it can raise.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use pgrx_pg_sys::*;
use std::result::Result; // pgrx_pg_sys has a Result of its own

use self::Builtin::*;
use super::compute::widened;
use super::nodes::Expression;
use super::{TranslateError, Translator, Typed, decline};
use crate::plan::functions::datetime::{Field, Interval};
use crate::plan::functions::{Function, numeric};

#[derive(Clone, Copy, Debug)]
pub(in crate::plan) enum Builtin {
    /// A function of ours over the same arguments.
    Native(Function),
    /// One of char(n), which counts without trailing blanks.
    Trimmed(Function),
    /// A search within text, bytewise under a deterministic collation.
    Search(Function),
    /// A change of case, which is one of ASCII under C.
    CaseMap(Function),
    /// Two integers of one width, and bits of both.
    Bits(Function),
    /// A numeric to so many digits behind the point.
    Places(Function),
    /// EXTRACT, numeric.
    Extract,
    /// date_part, float8.
    DatePart,
    DateTrunc,
    /// A date or timestamp and an interval constant.
    PlusInterval {
        negative: bool,
    },
    /// The same of a timestamp with time zone, in which days and months are of varying length.
    ZonedPlusInterval {
        negative: bool,
    },
}

static BUILTINS: &[(u32, Builtin)] = &[
    (F_INT2AND, Bits(Function::IntAnd)),
    (F_INT4AND, Bits(Function::IntAnd)),
    (F_INT8AND, Bits(Function::IntAnd)),
    (F_INT2OR, Bits(Function::IntOr)),
    (F_INT4OR, Bits(Function::IntOr)),
    (F_INT8OR, Bits(Function::IntOr)),
    (F_INT2XOR, Bits(Function::IntXor)),
    (F_INT4XOR, Bits(Function::IntXor)),
    (F_INT8XOR, Bits(Function::IntXor)),
    (F_INT2NOT, Native(Function::IntNot)),
    (F_INT4NOT, Native(Function::IntNot)),
    (F_INT8NOT, Native(Function::IntNot)),
    (F_INT2SHL, Native(Function::IntShiftLeft)),
    (F_INT4SHL, Native(Function::IntShiftLeft)),
    (F_INT8SHL, Native(Function::IntShiftLeft)),
    (F_INT2SHR, Native(Function::IntShiftRight)),
    (F_INT4SHR, Native(Function::IntShiftRight)),
    (F_INT8SHR, Native(Function::IntShiftRight)),
    (F_ABS_INT2, Native(Function::IntAbs)),
    (F_ABS_INT4, Native(Function::IntAbs)),
    (F_ABS_INT8, Native(Function::IntAbs)),
    (F_INT2ABS, Native(Function::IntAbs)),
    (F_INT4ABS, Native(Function::IntAbs)),
    (F_INT8ABS, Native(Function::IntAbs)),
    (F_ABS_FLOAT4, Native(Function::FloatAbs)),
    (F_ABS_FLOAT8, Native(Function::FloatAbs)),
    (F_FLOAT4ABS, Native(Function::FloatAbs)),
    (F_FLOAT8ABS, Native(Function::FloatAbs)),
    (F_ABS_NUMERIC, Native(Function::NumericAbs)),
    (F_NUMERIC_ABS, Native(Function::NumericAbs)),
    (F_FLOOR_FLOAT8, Native(Function::FloatFloor)),
    (F_CEIL_FLOAT8, Native(Function::FloatCeil)),
    (F_CEILING_FLOAT8, Native(Function::FloatCeil)),
    (F_ROUND_FLOAT8, Native(Function::FloatRound)),
    (F_DROUND, Native(Function::FloatRound)),
    (F_TRUNC_FLOAT8, Native(Function::FloatTrunc)),
    (F_DTRUNC, Native(Function::FloatTrunc)),
    (F_SQRT_FLOAT8, Native(Function::FloatSqrt)),
    (F_DSQRT, Native(Function::FloatSqrt)),
    (F_FLOOR_NUMERIC, Native(Function::NumericFloor)),
    (F_CEIL_NUMERIC, Native(Function::NumericCeil)),
    (F_CEILING_NUMERIC, Native(Function::NumericCeil)),
    (F_ROUND_NUMERIC_INT4, Places(Function::NumericRound)),
    (F_TRUNC_NUMERIC_INT4, Places(Function::NumericTrunc)),
    (F_DATE_PLI, Native(Function::DateAdd)),
    (F_DATE_MII, Native(Function::DateSub)),
    (F_DATE_MI, Native(Function::DateDiff)),
    (F_TIMESTAMP_DATE, Native(Function::DateToTimestamp)),
    (F_DATE_TIMESTAMP, Native(Function::TimestampToDate)),
    (F_DATE_PL_INTERVAL, PlusInterval { negative: false }),
    (F_DATE_MI_INTERVAL, PlusInterval { negative: true }),
    (F_TIMESTAMP_PL_INTERVAL, PlusInterval { negative: false }),
    (F_TIMESTAMP_MI_INTERVAL, PlusInterval { negative: true }),
    (F_TIMESTAMPTZ_PL_INTERVAL, ZonedPlusInterval { negative: false }),
    (F_TIMESTAMPTZ_MI_INTERVAL, ZonedPlusInterval { negative: true }),
    (F_EXTRACT_TEXT_DATE, Extract),
    (F_EXTRACT_TEXT_TIMESTAMP, Extract),
    (F_DATE_PART_TEXT_TIMESTAMP, DatePart),
    (F_DATE_TRUNC_TEXT_TIMESTAMP, DateTrunc),
    (F_LENGTH_TEXT, Native(Function::TextLength)),
    (F_CHAR_LENGTH_TEXT, Native(Function::TextLength)),
    (F_CHARACTER_LENGTH_TEXT, Native(Function::TextLength)),
    (F_TEXTLEN, Native(Function::TextLength)),
    (F_LENGTH_BPCHAR, Trimmed(Function::TextLength)),
    (F_CHAR_LENGTH_BPCHAR, Trimmed(Function::TextLength)),
    (F_CHARACTER_LENGTH_BPCHAR, Trimmed(Function::TextLength)),
    (F_OCTET_LENGTH_TEXT, Native(Function::TextBytes)),
    (F_OCTET_LENGTH_BPCHAR, Native(Function::TextBytes)),
    (F_SUBSTRING_TEXT_INT4, Native(Function::TextFrom)),
    (F_SUBSTR_TEXT_INT4, Native(Function::TextFrom)),
    (F_SUBSTRING_TEXT_INT4_INT4, Native(Function::TextFromFor)),
    (F_SUBSTR_TEXT_INT4_INT4, Native(Function::TextFromFor)),
    (F_LEFT, Native(Function::TextLeft)),
    (F_RIGHT, Native(Function::TextRight)),
    (F_BTRIM_TEXT, Native(Function::TextTrim)),
    (F_LTRIM_TEXT, Native(Function::TextTrimLeft)),
    // What char(n) loses is what rtrim takes away.
    (F_RTRIM_TEXT, Native(Function::BpcharTrim)),
    (F_TEXTCAT, Native(Function::TextConcat)),
    (F_POSITION_TEXT_TEXT, Search(Function::TextPosition)),
    (F_STRPOS, Search(Function::TextPosition)),
    (F_STARTS_WITH, Search(Function::TextStartsWith)),
    (F_REPLACE, Search(Function::TextReplace)),
    (F_UPPER_TEXT, CaseMap(Function::TextUpper)),
    (F_LOWER_TEXT, CaseMap(Function::TextLower)),
];

pub(super) fn of_function(function: u32) -> Option<Builtin> {
    BUILTINS.iter().find(|(candidate, _)| *candidate == function).map(|(_, builtin)| *builtin)
}

/// The result's type, and whether some arguments raise; None for types that the function does not take.
fn signature(function: Function, types: &[&DataType]) -> Option<(DataType, bool)> {
    use DataType::{Boolean, Decimal128, Decimal256, Float32, Float64, Int16, Int32, Int64, Utf8};
    let same = |raises| Some((types.first().copied()?.clone(), raises));
    match (function, types) {
        (Function::IntAnd | Function::IntOr | Function::IntXor, [left, right])
            if left == right && left.is_integer() =>
        {
            same(false)
        }
        (Function::IntNot, [Int16 | Int32 | Int64]) => same(false),
        (Function::IntShiftLeft | Function::IntShiftRight, [Int16 | Int32 | Int64, Int32]) => same(false),
        (Function::IntAbs, [Int16 | Int32 | Int64]) => same(true),
        (Function::FloatAbs, [Float32 | Float64]) => same(false),
        (Function::FloatFloor | Function::FloatCeil | Function::FloatRound | Function::FloatTrunc, [Float64]) => {
            same(false)
        }
        (Function::FloatSqrt, [Float64]) => same(true),
        (Function::NumericAbs, [Decimal128(..) | Decimal256(..)]) => same(false),
        (Function::NumericFloor | Function::NumericCeil, [value]) => {
            let (integral, scale) = numeric::digits(value)?;
            Some((numeric::decimal(integral + i32::from(scale > 0), 0)?, false))
        }
        (Function::DateAdd | Function::DateSub | Function::DateDiff, [Int32, Int32]) => same(true),
        (Function::DateToTimestamp, [Int32]) => Some((Int64, true)),
        (Function::TimestampToDate, [Int64]) => Some((Int32, false)),
        (Function::TextLength | Function::TextBytes, [Utf8]) => Some((Int32, false)),
        (Function::TextPosition, [Utf8, Utf8]) => Some((Int32, false)),
        (Function::TextStartsWith, [Utf8, Utf8]) => Some((Boolean, false)),
        (Function::TextFrom | Function::TextLeft | Function::TextRight, [Utf8, Int32]) => same(false),
        (Function::TextFromFor, [Utf8, Int32, Int32]) => same(true),
        (Function::TextTrim | Function::TextTrimLeft | Function::BpcharTrim, [Utf8]) => same(false),
        (Function::TextUpper | Function::TextLower, [Utf8]) => same(false),
        (Function::TextConcat, [Utf8, Utf8]) => same(true),
        (Function::TextReplace, [Utf8, Utf8, Utf8]) => same(true),
        _ => None,
    }
}

fn native(function: Function, args: Vec<Typed>) -> Result<Typed, TranslateError> {
    let types: Vec<_> = args.iter().map(|arg| &arg.data_type).collect();
    match signature(function, &types) {
        Some((data_type, raises)) => Typed::call(function, args, data_type, raises),
        None => decline("a function of arguments of such types is not supported"),
    }
}

/// The field that a constant names, as a plan says it.
fn field(name: &Typed) -> Result<(Field, Typed), TranslateError> {
    match name.as_literal() {
        Some(ScalarValue::Utf8(Some(name))) => match Field::named(name) {
            Some(field) => Ok((field, Typed::literal(ScalarValue::Int32(Some(field.number()))))),
            None => decline(format!("field {name} of a date or timestamp is not supported")),
        },
        // A NULL may stand for a parameter, whose value may name any field.
        _ => decline("a field of a date or timestamp that is not constant is not supported"),
    }
}

impl Translator<'_> {
    /// # Safety
    /// As [`Translator::predicate`], for each node.
    pub(super) unsafe fn builtin(
        &self,
        builtin: Builtin,
        collation: Oid,
        args: &[*const Node],
        depth: usize,
    ) -> Result<Typed, TranslateError> {
        if let (PlusInterval { negative } | ZonedPlusInterval { negative }, [value, interval]) = (builtin, args) {
            // SAFETY: the caller's promise.
            let (value, interval) = unsafe { (self.translate(*value, depth + 1)?, interval_constant(*interval)?) };
            let zoned = matches!(builtin, ZonedPlusInterval { .. });
            return plus_interval(value, interval, negative, zoned);
        }
        // SAFETY: the caller's promise.
        let args = unsafe { self.each(args, depth)? };
        match builtin {
            Native(function) => native(function, args),
            Trimmed(function) => {
                let trim = |text| native(Function::BpcharTrim, vec![text]);
                native(function, args.into_iter().map(trim).collect::<Result<_, _>>()?)
            }
            Search(function) => {
                if collation == Oid::INVALID || !self.host.collation(collation.to_u32())?.deterministic {
                    return decline("a search in text without a deterministic collation is not supported");
                }
                native(function, args)
            }
            CaseMap(function) => match collation {
                // Others may have the order of C and another case.
                C_COLLATION_OID | POSIX_COLLATION_OID => native(function, args),
                _ => decline("a change of case under a collation other than C is not supported"),
            },
            Bits(function) => match <[Typed; 2]>::try_from(args) {
                Ok([left, right]) if left.data_type == right.data_type => native(function, vec![left, right]),
                _ => decline("bits of values of different types are not supported"),
            },
            Places(function) => places(function, args),
            Extract | DatePart | DateTrunc => match <[Typed; 2]>::try_from(args) {
                Ok([name, value]) => part(builtin, &name, value),
                Err(_) => decline("a field of other than one date or timestamp is not supported"),
            },
            PlusInterval { .. } | ZonedPlusInterval { .. } => {
                decline("an interval with other than a date is not supported")
            }
        }
    }
}

/// round and trunc of a numeric.
fn places(function: Function, args: Vec<Typed>) -> Result<Typed, TranslateError> {
    let Ok([value, places]) = <[Typed; 2]>::try_from(args) else {
        return decline("rounding of other than a value and its places is not supported");
    };
    let Some(ScalarValue::Int32(Some(count))) = places.as_literal() else {
        return decline("rounding to a number of places that is not constant is not supported");
    };
    let Some((integral, scale)) = numeric::digits(&value.data_type) else {
        return decline("rounding of this type is not supported");
    };
    let carries = function == Function::NumericRound && *count < scale;
    match numeric::decimal(integral.saturating_add(i32::from(carries)), (*count).clamp(0, 1000)) {
        Some(result) => Typed::call(function, vec![value, places], result, false),
        None => decline("rounding that may need more than 76 digits is not supported"),
    }
}

fn part(builtin: Builtin, name: &Typed, value: Typed) -> Result<Typed, TranslateError> {
    let (field, number) = field(name)?;
    let of_date = match value.data_type {
        DataType::Int32 => true,
        DataType::Int64 => false,
        _ => return decline("a field of this type is not supported"),
    };
    if of_date && field.is_of_time() {
        return decline("a time of day of a date is not supported");
    }
    match (builtin, field.digits()) {
        (DateTrunc, _) if !of_date && field.truncates() => {
            Typed::call(Function::TimestampTrunc, vec![number, value], DataType::Int64, true)
        }
        (Extract, Some(digits)) => {
            Typed::call(Function::Extract, vec![number, value], DataType::Decimal128(digits, 0), false)
        }
        (DatePart, Some(_)) => Typed::call(Function::Extract, vec![number, value], DataType::Float64, false),
        _ => decline("this field of a date or timestamp is not supported"),
    }
}

/// None for NULL.
///
/// # Safety
/// As [`Translator::predicate`].
unsafe fn interval_constant(node: *const Node) -> Result<Option<Interval>, TranslateError> {
    // SAFETY: the caller's promise.
    match unsafe { Expression::read(node)? } {
        Expression::Const(constant) if constant.consttype == INTERVALOID && constant.constisnull => Ok(None),
        Expression::Const(constant) if constant.consttype == INTERVALOID && !constant.constbyval => {
            // SAFETY: an interval's Datum points at one.
            let interval = unsafe { constant.constvalue.cast_mut_ptr::<pgrx_pg_sys::Interval>().read_unaligned() };
            Ok(Some(Interval { months: interval.month, days: interval.day, microseconds: interval.time }))
        }
        _ => decline("an interval that is not constant is not supported"),
    }
}

fn plus_interval(
    value: Typed,
    interval: Option<Interval>,
    negative: bool,
    zoned: bool,
) -> Result<Typed, TranslateError> {
    let Some(interval) = interval else {
        // PostgreSQL knows that nothing comes of a strict function of NULL, and evaluates no argument.
        return Ok(Typed::literal(ScalarValue::Int64(None)));
    };
    let sane = if negative { interval.negated() } else { interval.sane() };
    let Some(interval) = sane else {
        return decline("an interval of many thousand years is not supported");
    };
    if zoned && (interval.months != 0 || interval.days != 0) {
        return decline("days or months after a timestamp with time zone are not supported");
    }
    let timestamp = match value.data_type {
        DataType::Int32 => native(Function::DateToTimestamp, vec![value])?,
        DataType::Int64 => widened(value, &DataType::Int64)?,
        _ => return decline("an interval after a value of this type is not supported"),
    };
    let args = vec![
        timestamp,
        Typed::literal(ScalarValue::Int32(Some(interval.months))),
        Typed::literal(ScalarValue::Int32(Some(interval.days))),
        Typed::literal(ScalarValue::Int64(Some(interval.microseconds))),
    ];
    Typed::call(Function::TimestampAdd, args, DataType::Int64, true)
}
