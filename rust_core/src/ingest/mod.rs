//! Datums, column-major, → Arrow arrays: the reverse of `emit`.
//!
//! What PostgreSQL itself has computed (rows of its own plans, results of its own evaluator) enters the plan
//! here. C detoasts beforehand; a value may have a short header all the same. Everything is copied: no
//! Datum is looked at after the call.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt32Type,
};

use crate::error::{Error, Result, out_of_memory};
use crate::scan::numeric::Decoder;
use crate::scan::varlena::{self, Varlena};
use crate::scan::varying_array;

/// One array per type, each of `nrows` values.
///
/// Errors: XX000 for a type that no column has, a toasted or malformed value, and a numeric that is none of its
/// column's type; 22021 for text that is not UTF-8; 53200.
///
/// # Safety
/// `values` and `nulls` have one pointer per type, each to `nrows` entries (and may be NULL when there are
/// none). Where the flag says not NULL, a Datum is of its column's type, and points at a complete value where
/// that is passed by reference.
pub unsafe fn ingest(
    types: &[DataType],
    values: &[*const u64],
    nulls: &[*const bool],
    nrows: usize,
) -> Result<Vec<ArrayRef>> {
    if values.len() != types.len() || nulls.len() != types.len() {
        return Err(Error::internal("rows with another number of columns than the plan has"));
    }
    let columns = types.iter().zip(values.iter().zip(nulls));
    columns
        .map(|(data_type, (&values, &nulls))| {
            if nrows > 0 && (values.is_null() || nulls.is_null()) {
                return Err(Error::internal("rows without values"));
            }
            // SAFETY: the caller's promise.
            unsafe { Datums { values: slice(values, nrows), nulls: slice(nulls, nrows) }.array(data_type) }
        })
        .collect()
}

/// # Safety
/// `data` points at `len` values that live for `'a`, or `len` is 0.
unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    // SAFETY: the caller's promise.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } }
}

/// One column as C lays it out.
struct Datums<'a> {
    values: &'a [u64],
    /// True where the row is NULL.
    nulls: &'a [bool],
}

impl<'a> Datums<'a> {
    /// # Safety
    /// As [`ingest`], for this column.
    unsafe fn array(&self, data_type: &DataType) -> Result<ArrayRef> {
        // SAFETY: the caller's promise.
        Ok(match data_type {
            DataType::Boolean => {
                let values = BooleanBuffer::collect_bool(self.values.len(), |row| self.values[row] as u8 != 0);
                Arc::new(BooleanArray::new(values, self.validity()))
            }
            // A by-value Datum has its value in the low bytes, whatever its type has made of the others.
            DataType::Int8 => self.by_value::<Int8Type>(|datum| datum as i8)?,
            DataType::Int16 => self.by_value::<Int16Type>(|datum| datum as i16)?,
            DataType::Int32 => self.by_value::<Int32Type>(|datum| datum as i32)?,
            DataType::Int64 => self.by_value::<Int64Type>(|datum| datum as i64)?,
            DataType::UInt32 => self.by_value::<UInt32Type>(|datum| datum as u32)?,
            DataType::Float32 => self.by_value::<Float32Type>(|datum| f32::from_bits(datum as u32))?,
            DataType::Float64 => self.by_value::<Float64Type>(f64::from_bits)?,
            DataType::Decimal128(precision, scale) => {
                // SAFETY: as above.
                unsafe { self.numerics(data_type, Decoder::new(*precision, scale.unsigned_abs()))? }
            }
            DataType::Utf8 | DataType::Binary => {
                // SAFETY: as above.
                unsafe { self.varying(*data_type == DataType::Utf8)? }
            }
            DataType::FixedSizeBinary(width) => {
                // SAFETY: as above.
                unsafe { self.fixed(*width)? }
            }
            other => return Err(Error::internal(format!("a column of type {other} does not come from PostgreSQL"))),
        })
    }

    fn validity(&self) -> Option<NullBuffer> {
        self.nulls
            .contains(&true)
            .then(|| NullBuffer::new(BooleanBuffer::collect_bool(self.nulls.len(), |row| !self.nulls[row])))
    }

    fn by_value<T: ArrowPrimitiveType>(&self, value: impl Fn(u64) -> T::Native) -> Result<ArrayRef> {
        let mut values = room(self.values.len())?;
        values.extend(self.values.iter().map(|&datum| value(datum)));
        Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), self.validity())))
    }

    /// The rows, `None` for NULL.
    fn rows(&self) -> impl Iterator<Item = Option<*const u8>> {
        self.values.iter().zip(self.nulls).map(|(&datum, &null)| (!null).then_some(datum as *const u8))
    }

    /// # Safety
    /// As [`ingest`], for this column of numerics.
    unsafe fn numerics(&self, data_type: &DataType, decoder: Decoder) -> Result<ArrayRef> {
        let mut values = room(self.values.len())?;
        for datum in self.rows() {
            values.push(match datum {
                // SAFETY: the caller's promise.
                Some(datum) => decoder.decode(unsafe { payload(datum)? }).ok_or_else(|| {
                    Error::internal("a numeric value does not match its declared type")
                        .with_hint("Set joinscan.enabled to off for this query.")
                })?,
                None => 0,
            });
        }
        Ok(Arc::new(Decimal128Array::new(values.into(), self.validity()).with_data_type(data_type.clone())))
    }

    /// # Safety
    /// As [`ingest`], for this column of varlenas.
    unsafe fn varying(&self, utf8: bool) -> Result<ArrayRef> {
        let mut ends = room(self.values.len() + 1)?;
        let mut total = 0;
        ends.push(0);
        for datum in self.rows() {
            if let Some(datum) = datum {
                // SAFETY: the caller's promise.
                total += unsafe { payload(datum)? }.len();
            }
            ends.push(i32::try_from(total).map_err(|_| out_of_memory("Values of one batch exceed 2 GB."))?);
        }
        let mut bytes: Vec<u8> = room(total)?;
        for datum in self.rows().flatten() {
            // SAFETY: the caller's promise.
            bytes.extend_from_slice(unsafe { payload(datum)? });
        }
        varying_array(utf8, ends, bytes, self.validity())
    }

    /// # Safety
    /// As [`ingest`], for this column of values of `width` bytes.
    unsafe fn fixed(&self, width: i32) -> Result<ArrayRef> {
        let length = usize::try_from(width).map_err(|_| Error::internal("values of a negative width"))?;
        let bytes = self.values.len().checked_mul(length).ok_or_else(|| out_of_memory("A batch is too large."))?;
        let mut bytes: Vec<u8> = room(bytes)?;
        for datum in self.rows() {
            match datum {
                Some(datum) if datum.is_null() => return Err(null_pointer()),
                // SAFETY: the caller's promise.
                Some(datum) => bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(datum, length) }),
                None => bytes.resize(bytes.len() + length, 0),
            }
        }
        Ok(Arc::new(FixedSizeBinaryArray::try_new_with_len(
            width,
            Buffer::from_vec(bytes),
            self.validity(),
            self.values.len(),
        )?))
    }
}

/// The payload of the varlena at `datum`.
///
/// # Safety
/// `datum` is a null pointer, or points at a complete varlena that lives for `'a`.
unsafe fn payload<'a>(datum: *const u8) -> Result<&'a [u8]> {
    if datum.is_null() {
        return Err(null_pointer());
    }
    // SAFETY: the caller's promise.
    match unsafe { varlena::at(datum)? } {
        Varlena::Plain(payload) => Ok(payload),
        Varlena::Toasted(_) => Err(Error::internal("a value from PostgreSQL is toasted")),
    }
}

#[cold]
fn null_pointer() -> Error {
    Error::internal("a value from PostgreSQL is a null pointer")
}

/// A vector with this capacity, or an error where that would abort the process.
fn room<T>(capacity: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(capacity).map_err(|_| out_of_memory("Failed while taking in rows."))?;
    Ok(values)
}

#[cfg(test)]
mod tests;
