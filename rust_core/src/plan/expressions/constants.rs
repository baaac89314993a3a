//! The values of Consts: Datums, varlenas, numerics and arrays, read as PostgreSQL lays them out.
//!
//! They come from the planner, well-formed, but every offset is checked all the same.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

use super::{TranslateError, decline};
use crate::error::Error;
use crate::host::Host;
use crate::plan::types::{Decline, MAX_DIGITS, NUMERIC_NAN, TypeLayout, arrow_type, unsupported};
use crate::scan::numeric::{self, NumericValue};
use crate::scan::varlena::{self, Varlena};

/// A Const as a scalar. A numeric's precision and scale are those of the value.
///
/// # Safety
/// `constant` is well-formed: a by-reference value points at what its type says.
pub(super) unsafe fn scalar(host: &dyn Host, constant: &pg_sys::Const) -> Result<ScalarValue, TranslateError> {
    let values = Values::of(host, constant.consttype)?;
    if constant.constisnull {
        return values.null();
    }
    let datum = constant.constvalue;
    if values.layout.byval {
        return values.by_value(datum.value() as u64);
    }
    match usize::try_from(values.layout.len) {
        Ok(length) => {
            // SAFETY: the caller's promise; values of this type have this length.
            let bytes = unsafe { std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length) };
            values.by_reference(bytes)
        }
        Err(_) => {
            // SAFETY: the caller's promise; C strings have no type in a plan, so this is a varlena.
            let payload = unsafe { varlena::load(host, datum.cast_mut_ptr())? };
            values.by_reference(&payload)
        }
    }
}

/// A Const as a column held as `data_type` has it; None where it would not.
///
/// # Safety
/// As [`scalar`].
pub(super) unsafe fn stored(
    host: &dyn Host,
    constant: &pg_sys::Const,
    data_type: &DataType,
) -> Result<Option<ScalarValue>, TranslateError> {
    // SAFETY: the caller's promise, here and below.
    let value = unsafe { scalar(host, constant)? };
    Ok(match (value, data_type) {
        (_, DataType::Binary) if constant.consttype == pg_sys::NUMERICOID && !constant.constisnull => {
            let payload = unsafe { varlena::load(host, constant.constvalue.cast_mut_ptr())? };
            Some(ScalarValue::Binary(Some(payload)))
        }
        (ScalarValue::Decimal128(Some(value), _, scale), &DataType::Decimal128(precision, wanted)) => {
            rescaled(value, scale, wanted).map(|value| ScalarValue::Decimal128(Some(value), precision, wanted))
        }
        (value, data_type) => (value.data_type() == *data_type).then_some(value),
    })
}

/// A decimal with more digits after the point.
fn rescaled(value: i128, scale: i8, wanted: i8) -> Option<i128> {
    if value == NUMERIC_NAN {
        return Some(value);
    }
    let more = u32::try_from(wanted.checked_sub(scale)?).ok()?;
    value.checked_mul(10_i128.checked_pow(more)?)
}

/// The values of one type.
struct Values {
    typid: Oid,
    layout: TypeLayout,
    /// As a column of the type would be; a numeric that fits is a decimal instead.
    data_type: DataType,
}

impl Values {
    fn of(host: &dyn Host, typid: Oid) -> Result<Self, TranslateError> {
        let layout = host.type_layout(typid.to_u32())?;
        Ok(Self { typid, layout, data_type: arrow_type(typid, -1, layout)? })
    }

    fn null(&self) -> Result<ScalarValue, TranslateError> {
        match self.typid {
            pg_sys::NUMERICOID => Ok(ScalarValue::Decimal128(None, 1, 0)),
            _ => Ok(ScalarValue::try_new_null(&self.data_type).map_err(Error::from)?),
        }
    }

    /// Of a by-value Datum: the value in its low bytes, as on a 64-bit machine.
    fn by_value(&self, datum: u64) -> Result<ScalarValue, TranslateError> {
        Ok(match self.data_type {
            DataType::Boolean => ScalarValue::Boolean(Some(datum as u8 != 0)),
            DataType::Int8 => ScalarValue::Int8(Some(datum as i8)),
            DataType::Int16 => ScalarValue::Int16(Some(datum as i16)),
            DataType::Int32 => ScalarValue::Int32(Some(datum as i32)),
            DataType::Int64 => ScalarValue::Int64(Some(datum as i64)),
            DataType::UInt32 => ScalarValue::UInt32(Some(datum as u32)),
            DataType::Float32 => ScalarValue::Float32(Some(f32::from_bits(datum as u32))),
            DataType::Float64 => ScalarValue::Float64(Some(f64::from_bits(datum))),
            _ => return Err(unsupported(self.typid).into()),
        })
    }

    /// Of the bytes of a value without varlena header.
    fn by_reference(&self, bytes: &[u8]) -> Result<ScalarValue, TranslateError> {
        match self.data_type {
            DataType::Binary if self.typid == pg_sys::NUMERICOID => Ok(match numeric_constant(bytes)? {
                Some((value, precision, scale)) => ScalarValue::Decimal128(Some(value), precision, scale),
                None => ScalarValue::Binary(Some(bytes.into())),
            }),
            DataType::Binary => Ok(ScalarValue::Binary(Some(bytes.into()))),
            DataType::FixedSizeBinary(width) => Ok(ScalarValue::FixedSizeBinary(width, Some(bytes.into()))),
            DataType::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(ScalarValue::Utf8(Some(text.into()))),
                Err(_) => decline("a text constant that is not UTF-8 is not supported"),
            },
            _ => Err(unsupported(self.typid).into()),
        }
    }
}

/// A numeric as (digits without the point, precision, scale); None for one that no Decimal128 holds.
fn numeric_constant(payload: &[u8]) -> Result<Option<(i128, u8, i8)>, Decline> {
    Ok(match numeric::decode_any(payload) {
        None => return Err(Decline::new("a malformed numeric constant is not supported")),
        Some(NumericValue::NaN) => Some((NUMERIC_NAN, 1, 0)),
        Some(NumericValue::Infinity { .. } | NumericValue::Finite { unscaled: None, .. }) => None,
        Some(NumericValue::Finite { unscaled: Some(value), scale }) => {
            let digits = value.unsigned_abs().checked_ilog10().map_or(1, |digits| digits + 1);
            let precision = digits.max(scale);
            (precision <= u32::from(MAX_DIGITS)).then_some((value, precision as u8, scale as i8))
        }
    })
}

/// The elements of an array Const, flattened; None for a NULL array.
///
/// # Safety
/// `constant` is well-formed, and of an array type.
pub(super) unsafe fn elements(
    host: &dyn Host,
    constant: &pg_sys::Const,
) -> Result<Option<Vec<ScalarValue>>, TranslateError> {
    if constant.constisnull {
        return Ok(None);
    }
    if constant.constbyval || constant.constlen != -1 {
        return decline("ANY or ALL of something other than an array is not supported");
    }
    // SAFETY: the caller's promise; an array is a varlena.
    let payload = unsafe { varlena::load(host, constant.constvalue.cast_mut_ptr())? };
    array(host, &payload).map(Some)
}

/// Bytes of varlena header that array offsets count, but the payload lacks.
const ARRAY_HEADER: usize = 4;

/// An ArrayType: ndim, dataoffset, elemtype; then ndim lengths and as many lower bounds; then, when
/// dataoffset is not 0, a bitmap of the elements that are not NULL; then the others, aligned
/// (utils/array.h).
fn array(host: &dyn Host, payload: &[u8]) -> Result<Vec<ScalarValue>, TranslateError> {
    let malformed = || Decline::new("a malformed array constant is not supported");
    let word = |at: usize| -> Result<u32, Decline> {
        match payload.get(at..at + 4) {
            Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
            _ => Err(malformed()),
        }
    };
    let dimensions = word(0)? as usize;
    let data_offset = word(4)? as usize;
    let elemtype = Oid::from(word(8)?);
    let lengths = ARRAY_HEADER + 8;
    if dimensions == 0 {
        return Ok(vec![]);
    }
    if dimensions > pg_sys::MAXDIM as usize {
        return Err(malformed().into());
    }
    let mut count: usize = 1;
    for dimension in 0..dimensions {
        count = count.checked_mul(word(lengths + 4 * dimension)? as usize).ok_or_else(malformed)?;
    }
    let bitmap_start = lengths + 8 * dimensions;
    let bitmap = match data_offset {
        0 => None,
        _ => Some(payload.get(bitmap_start..).ok_or_else(malformed)?),
    };
    let mut position = match data_offset {
        0 => (ARRAY_HEADER + bitmap_start).next_multiple_of(8),
        offset => offset,
    };
    let elements = Values::of(host, elemtype)?;
    let (length, alignment) = match (elements.layout.byval, usize::try_from(elements.layout.len).ok()) {
        // PostgreSQL knows no other alignment of by-value types.
        (true, Some(length)) => (Some(length), length),
        (_, length) => match elemtype {
            pg_sys::UUIDOID | pg_sys::NAMEOID => (length, 1),
            pg_sys::INTERVALOID => (length, 8),
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::NUMERICOID | pg_sys::BYTEAOID => {
                (None, 4)
            }
            other => return Err(unsupported(other).into()),
        },
    };
    // Positions count the varlena header, as PostgreSQL's offsets do.
    let from = |position: usize| position.checked_sub(ARRAY_HEADER).and_then(|at| payload.get(at..));
    let mut values = vec![];
    for element in 0..count {
        if let Some(bitmap) = bitmap {
            let byte = bitmap.get(element / 8).ok_or_else(malformed)?;
            if byte & (1 << (element % 8)) == 0 {
                values.push(elements.null()?);
                continue;
            }
        }
        match length {
            Some(length) => {
                position = position.next_multiple_of(alignment);
                let bytes = from(position).and_then(|rest| rest.get(..length)).ok_or_else(malformed)?;
                values.push(match elements.layout.byval {
                    true => {
                        let mut datum = [0; 8];
                        datum[..length].copy_from_slice(bytes);
                        elements.by_value(u64::from_le_bytes(datum))?
                    }
                    false => elements.by_reference(bytes)?,
                });
                position += length;
            }
            None => {
                // A short header is not aligned; a pad byte is 0, which no short header is.
                if from(position).and_then(|rest| rest.first()).ok_or_else(malformed)? == &0 {
                    position = position.next_multiple_of(alignment);
                }
                let rest = from(position).ok_or_else(malformed)?;
                match varlena::parse(rest).ok_or_else(malformed)? {
                    Varlena::Plain(payload) => values.push(elements.by_reference(payload)?),
                    Varlena::Toasted(_) => return decline("an array constant with toasted elements is not supported"),
                }
                position += varlena::size(rest).ok_or_else(malformed)?;
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(header: &[u16], digits: &[u16]) -> Vec<u8> {
        header.iter().chain(digits).flat_map(|half| half.to_le_bytes()).collect()
    }

    #[test]
    fn decimals_of_another_scale() {
        assert_eq!(rescaled(15, 1, 3), Some(1500));
        assert_eq!(rescaled(-15, 1, 1), Some(-15));
        assert_eq!(rescaled(NUMERIC_NAN, 0, 2), Some(NUMERIC_NAN));
        assert_eq!(rescaled(15, 3, 1), None, "a column of that scale has no such value");
        assert_eq!(rescaled(i128::MAX / 2, 0, 3), None);
    }

    #[test]
    fn numerics() {
        // Short: sign 0x2000, scale << 7, weight in seven signed bits.
        type Case = (&'static [u16], &'static [u16], (i128, u8, i8));
        let cases: [Case; 9] = [
            (&[0x8000], &[], (0, 1, 0)),
            (&[0x8000 | 2 << 7], &[], (0, 2, 2)),
            (&[0x8000 | 2 << 7], &[12, 3400], (1234, 4, 2)),
            (&[0xa000 | 2 << 7], &[12, 3400], (-1234, 4, 2)),
            (&[0x8000 | 3 << 7 | 0x7f], &[500], (50, 3, 3)),
            (&[0x8000 | 1], &[1], (10000, 5, 0)),
            (&[0x8000 | 2 << 7 | 1], &[1, 0, 100], (1_000_001, 7, 2)),
            (&[1, 0], &[7, 5000], (75, 2, 1)),
            (&[0x4000, 2], &[1], (-100_000_000, 9, 0)),
        ];
        for (header, digits, expected) in cases {
            assert_eq!(numeric_constant(&payload(header, digits)), Ok(Some(expected)), "{header:x?} {digits:?}");
        }
        assert_eq!(numeric_constant(&payload(&[0xc000], &[])), Ok(Some((NUMERIC_NAN, 1, 0))));
        for infinite in [0xd000, 0xf000] {
            assert_eq!(numeric_constant(&payload(&[infinite], &[])), Ok(None));
        }
        let nines = [9999; 9];
        assert_eq!(numeric_constant(&payload(&[0x8000 | 8], &nines)), Ok(Some((10i128.pow(36) - 1, 36, 0))));
        assert_eq!(numeric_constant(&payload(&[0x8000 | 9], &[9999; 10])), Ok(None), "40 digits");
        assert_eq!(numeric_constant(&payload(&[0x8000 | 0x3f], &[1])), Ok(None), "10^252");
        assert!(numeric_constant(&[0x00]).is_err());
        assert!(numeric_constant(&[]).is_err());
    }
}
