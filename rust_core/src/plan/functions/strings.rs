//! Text functions as PostgreSQL has them in a UTF8 database: positions and lengths count characters
//! (utils/adt/varlena.c, oracle_compat.c).

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StringArray, StringBuilder};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{unexpected_type, wrong_arity};
use crate::error::{Error, sqlstate};

/// The longest varlena (MaxAllocSize), of which 4 bytes are its header.
const MAX_SIZE: usize = 0x3fff_ffff;

/// The arguments as arrays of one length: of one row when all are scalars, which the result is then, too.
struct Rows<'a> {
    args: &'a ScalarFunctionArgs,
    arrays: Vec<ArrayRef>,
    scalar: bool,
}

/// A text or an int4 in each row, the same one when it is a scalar.
struct Column<'a, A> {
    array: &'a A,
    scalar: bool,
}

impl Column<'_, StringArray> {
    fn get(&self, row: usize) -> Option<&str> {
        let row = if self.scalar { 0 } else { row };
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

impl Column<'_, Int32Array> {
    fn get(&self, row: usize) -> Option<i64> {
        let row = if self.scalar { 0 } else { row };
        self.array.is_valid(row).then(|| i64::from(self.array.value(row)))
    }
}

impl<'a> Rows<'a> {
    fn new(args: &'a ScalarFunctionArgs, arity: std::ops::RangeInclusive<usize>) -> Result<Self> {
        if !arity.contains(&args.args.len()) {
            return Err(wrong_arity(args.args.len()).into());
        }
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = args.args.iter().map(|arg| match arg {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(value) => value.to_array(),
        });
        Ok(Self { args, arrays: arrays.collect::<Result<_>>()?, scalar })
    }

    fn is_scalar(&self, argument: usize) -> bool {
        matches!(self.args.args[argument], ColumnarValue::Scalar(_))
    }

    fn text(&self, argument: usize) -> Result<Column<'_, StringArray>> {
        let array = &self.arrays[argument];
        let text = array.as_string_opt::<i32>().ok_or_else(|| unexpected_type(array.data_type()))?;
        Ok(Column { array: text, scalar: self.is_scalar(argument) })
    }

    fn int4(&self, argument: usize) -> Result<Column<'_, Int32Array>> {
        let array = &self.arrays[argument];
        let ints = array.as_primitive_opt::<Int32Type>().ok_or_else(|| unexpected_type(array.data_type()))?;
        Ok(Column { array: ints, scalar: self.is_scalar(argument) })
    }

    /// Rows to compute. A batch without rows has nobody for whom an error could be raised.
    fn numbers(&self) -> std::ops::Range<usize> {
        0..if self.scalar { self.args.number_rows.min(1) } else { self.args.number_rows }
    }

    fn finish(&self, result: ArrayRef) -> Result<ColumnarValue> {
        Ok(match self.scalar {
            true if result.is_empty() => {
                ColumnarValue::Scalar(ScalarValue::try_new_null(self.args.return_field.data_type())?)
            }
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }

    fn texts<'t>(&self, of: impl Fn(usize) -> Result<Option<Cow<'t, str>>>) -> Result<ColumnarValue> {
        let mut result = StringBuilder::new();
        let mut size = 0;
        for row in self.numbers() {
            let text = of(row)?;
            size += text.as_ref().map_or(0, |text| text.len());
            if size > i32::MAX as usize {
                return Err(ArrowError::OffsetOverflowError(size).into());
            }
            result.append_option(text);
        }
        self.finish(Arc::new(result.finish()))
    }
}

/// Where the character of this number (from 0) begins; the end for one that is not there.
fn offset(text: &str, characters: i64) -> usize {
    let Ok(characters) = usize::try_from(characters) else { return 0 };
    if text.is_ascii() {
        return characters.min(text.len());
    }
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
}

fn characters(text: &str) -> i64 {
    text.chars().count() as i64
}

pub(super) fn length(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    measured(args, |text| characters(text) as i32)
}

pub(super) fn octet_length(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    measured(args, |text| text.len() as i32)
}

fn measured(args: &ScalarFunctionArgs, measure: impl Fn(&str) -> i32) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 1..=1)?;
    let text = rows.text(0)?;
    let result: Int32Array = rows.numbers().map(|row| text.get(row).map(&measure)).collect();
    rows.finish(Arc::new(result))
}

/// The character at which the second text begins in the first, from 1; 0 when it does not.
pub(super) fn position(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 2..=2)?;
    let (text, part) = (rows.text(0)?, rows.text(1)?);
    let of = |row| {
        let (text, part) = (text.get(row)?, part.get(row)?);
        Some(text.find(part).map_or(0, |found| characters(&text[..found]) as i32 + 1))
    };
    let result: Int32Array = rows.numbers().map(of).collect();
    rows.finish(Arc::new(result))
}

pub(super) fn starts_with(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 2..=2)?;
    let (text, start) = (rows.text(0)?, rows.text(1)?);
    let result: BooleanArray = rows.numbers().map(|row| Some(text.get(row)?.starts_with(start.get(row)?))).collect();
    rows.finish(Arc::new(result))
}

/// From a character on (from 1; those before the text count), to the end or so many characters.
pub(super) fn substring(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 2..=3)?;
    let (text, start) = (rows.text(0)?, rows.int4(1)?);
    let count = if args.args.len() == 3 { Some(rows.int4(2)?) } else { None };
    rows.texts(|row| {
        let (Some(text), Some(start)) = (text.get(row), start.get(row)) else { return Ok(None) };
        let rest = &text[offset(text, start.max(1) - 1)..];
        let Some(count) = &count else { return Ok(Some(rest.into())) };
        match count.get(row) {
            None => Ok(None),
            Some(..0) => Err(Error::new(sqlstate::SUBSTRING_ERROR, "negative substring length not allowed").into()),
            Some(count) => Ok(Some(rest[..offset(rest, (start + count - start.max(1)).max(0))].into())),
        }
    })
}

/// The first so many characters, or all but so many at the end.
pub(super) fn left(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 2..=2)?;
    let (text, count) = (rows.text(0)?, rows.int4(1)?);
    rows.texts(|row| {
        let (Some(text), Some(count)) = (text.get(row), count.get(row)) else { return Ok(None) };
        let count = if count < 0 { characters(text) + count } else { count };
        Ok(Some(text[..offset(text, count)].into()))
    })
}

/// The last so many characters, or all but so many at the start.
pub(super) fn right(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 2..=2)?;
    let (text, count) = (rows.text(0)?, rows.int4(1)?);
    rows.texts(|row| {
        let (Some(text), Some(count)) = (text.get(row), count.get(row)) else { return Ok(None) };
        let skipped = if count < 0 { -count } else { characters(text) - count };
        Ok(Some(text[offset(text, skipped)..].into()))
    })
}

/// A text that another is made of, not longer.
pub(super) fn changed(args: &ScalarFunctionArgs, change: fn(&str) -> Cow<'_, str>) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 1..=1)?;
    let text = rows.text(0)?;
    rows.texts(|row| Ok(text.get(row).map(change)))
}

pub(super) fn concat(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 2..=2)?;
    let (left, right) = (rows.text(0)?, rows.text(1)?);
    rows.texts(|row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let size = left.len() + right.len() + 4;
        if size > MAX_SIZE {
            return Err(Error::internal(format!("invalid memory alloc request size {size}")).into());
        }
        Ok(Some([left, right].concat().into()))
    })
}

/// Each occurrence of the second text, from the left, replaced by the third.
pub(super) fn replace(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = Rows::new(args, 3..=3)?;
    let (text, from, to) = (rows.text(0)?, rows.text(1)?, rows.text(2)?);
    rows.texts(|row| {
        let (Some(text), Some(from), Some(to)) = (text.get(row), from.get(row), to.get(row)) else { return Ok(None) };
        if from.is_empty() || !text.contains(from) {
            return Ok(Some(text.into()));
        }
        let added = text.matches(from).count().saturating_mul(to.len().saturating_sub(from.len()));
        if text.len().saturating_add(added) >= MAX_SIZE {
            return Err(Error::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, "out of memory").into());
        }
        Ok(Some(text.replace(from, to).into()))
    })
}
