//! Record batches → Datums, column-major, for C to put into slots.
//!
//! The leader's session owns one [`Emitter`]; C reads what it gave until the next batch. Values that
//! PostgreSQL passes by reference are as palloc would give them (varlenas with a four-byte header; all begun
//! at a multiple of 8), one after another in one arena.
//!
//! Invariant: the arena is as large as a whole batch needs before the first Datum points into it, so it
//! never moves under one.

use std::ffi::c_char;

use arrow::array::{Array, AsArray, BooleanArray, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt32Type,
};

use crate::error::{Error, Result, out_of_memory};
use crate::ffi::types::PgjsBatch;
use crate::scan::numeric::Encoded;
use crate::scan::{LONG_HEADER, MAX_VARLENA_SIZE, long_header, numeric};

/// Bytes of an arena word: where a varlena may begin (MAXALIGN).
const WORD: usize = size_of::<u64>();

/// Turns batches into Datums; keeps its buffers from batch to batch.
pub struct Emitter {
    types: Vec<DataType>,
    columns: Vec<Column>,
    arena: Arena,
    // What C gets: one pointer per column.
    values: Vec<*const u64>,
    nulls: Vec<*const bool>,
}

#[derive(Default)]
struct Column {
    values: Vec<u64>,
    nulls: Vec<bool>,
}

impl Emitter {
    /// An emitter for batches with columns of these types.
    pub fn new(types: Vec<DataType>) -> Self {
        let columns = types.iter().map(|_| Column::default()).collect();
        Self { types, columns, arena: Arena::default(), values: vec![], nulls: vec![] }
    }

    /// The rows of `batch` as Datums. Pointers live until the next call, or the emitter's end; the batch
    /// itself is not needed any longer.
    /// Errors: XX000 when the batch has other columns than the emitter, 53200, 54000 for a value above 1 GB.
    pub fn emit(&mut self, batch: RecordBatch) -> Result<PgjsBatch> {
        let found = batch.columns().iter().map(|array| array.data_type());
        if !found.eq(&self.types) {
            return Err(Error::internal(format!("a result batch has columns {}", batch.schema())));
        }
        let nrows = u32::try_from(batch.num_rows()).map_err(|_| Error::internal("a result batch is too large"))?;
        let mut words = 0;
        for array in batch.columns() {
            words += arena_words(array)?;
        }
        self.arena.clear(words)?;
        self.values.clear();
        self.nulls.clear();
        for (array, column) in batch.columns().iter().zip(&mut self.columns) {
            column.fill(array, &mut self.arena)?;
            self.values.push(column.values.as_ptr());
            self.nulls.push(column.nulls.as_ptr());
        }
        Ok(PgjsBatch {
            values: self.values.as_ptr(),
            nulls: self.nulls.as_ptr(),
            nrows,
            ncolumns: self.columns.len() as u32,
            _reserved: 0,
        })
    }
}

impl Column {
    fn fill(&mut self, array: &dyn Array, arena: &mut Arena) -> Result<()> {
        self.values.clear();
        self.nulls.clear();
        reserve(&mut self.values, array.len())?;
        reserve(&mut self.nulls, array.len())?;
        match array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => self.nulls.extend(nulls.iter().map(|valid| !valid)),
            None => self.nulls.resize(array.len(), false),
        }
        // The Datum macros of postgres.h: integers, and the bits of a float4, are sign-extended.
        match array.data_type() {
            DataType::Boolean => self.booleans(array.as_boolean()),
            // CharGetDatum: a char has a sign or none, as the platform will.
            DataType::Int8 => {
                self.by_value(array.as_primitive::<Int8Type>().values(), |value| value as c_char as i64 as u64)
            }
            DataType::Int16 => self.by_value(array.as_primitive::<Int16Type>().values(), |value| value as i64 as u64),
            DataType::Int32 => self.by_value(array.as_primitive::<Int32Type>().values(), |value| value as i64 as u64),
            DataType::Int64 => self.by_value(array.as_primitive::<Int64Type>().values(), |value| value as u64),
            DataType::UInt32 => self.by_value(array.as_primitive::<UInt32Type>().values(), u64::from),
            DataType::Float32 => self
                .by_value(array.as_primitive::<Float32Type>().values(), |value| value.to_bits() as i32 as i64 as u64),
            DataType::Float64 => self.by_value(array.as_primitive::<Float64Type>().values(), f64::to_bits),
            DataType::Decimal128(_, scale) => {
                let scale = scale.unsigned_abs();
                let encode = |value| numeric::encode(value, scale);
                self.numerics(array.as_primitive::<Decimal128Type>().values(), encode, arena)
            }
            DataType::Decimal256(_, scale) => {
                let scale = scale.unsigned_abs();
                let encode = |value| numeric::encode_wide(value, scale);
                self.numerics(array.as_primitive::<Decimal256Type>().values(), encode, arena)
            }
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                self.varying(array.value_offsets(), array.value_data(), arena)
            }
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                self.varying(array.value_offsets(), array.value_data(), arena)
            }
            DataType::FixedSizeBinary(_) => self.fixed(array.as_fixed_size_binary(), arena),
            other => return Err(Error::internal(format!("a result column has type {other}"))),
        }
        Ok(())
    }

    fn booleans(&mut self, array: &BooleanArray) {
        self.values.extend(array.values().iter().map(u64::from));
    }

    /// What stands behind a NULL is some value: C does not look at it.
    fn by_value<T: Copy>(&mut self, values: &[T], datum: impl Fn(T) -> u64) {
        self.values.extend(values.iter().map(|&value| datum(value)));
    }

    fn numerics<T: Copy>(&mut self, values: &[T], encode: impl Fn(T) -> Encoded, arena: &mut Arena) {
        self.values.extend(values.iter().zip(&self.nulls).map(|(&value, &null)| match null {
            true => 0,
            false => arena.varlena(encode(value).payload()),
        }));
    }

    fn varying(&mut self, offsets: &[i32], bytes: &[u8], arena: &mut Arena) {
        self.values.extend(offsets.windows(2).zip(&self.nulls).map(|(ends, &null)| match null {
            true => 0,
            false => arena.varlena(&bytes[ends[0] as usize..ends[1] as usize]),
        }));
    }

    fn fixed(&mut self, array: &FixedSizeBinaryArray, arena: &mut Arena) {
        self.values.extend(self.nulls.iter().enumerate().map(|(row, &null)| match null {
            true => 0,
            false => arena.plain(array.value(row)),
        }));
    }
}

/// Arena words that a column needs at most.
fn arena_words(array: &dyn Array) -> Result<usize> {
    match array.data_type() {
        DataType::Decimal128(..) => Ok(array.len() * varlena_words(Encoded::MAX_SIZE)),
        DataType::Decimal256(..) => Ok(array.len() * varlena_words(Encoded::MAX_WIDE_SIZE)),
        DataType::Utf8 => varying_words(array.as_string::<i32>().value_offsets()),
        DataType::Binary => varying_words(array.as_binary::<i32>().value_offsets()),
        DataType::FixedSizeBinary(width) => Ok(array.len() * (*width as usize).div_ceil(WORD)),
        _ => Ok(0),
    }
}

fn varying_words(offsets: &[i32]) -> Result<usize> {
    let mut words = 0;
    for ends in offsets.windows(2) {
        let length = (ends[1] - ends[0]) as usize;
        if length + LONG_HEADER > MAX_VARLENA_SIZE {
            return Err(Error::new("54000", format!("a value of {length} bytes is too long")));
        }
        words += varlena_words(length);
    }
    Ok(words)
}

/// Arena words of a varlena with `payload` bytes.
fn varlena_words(payload: usize) -> usize {
    (LONG_HEADER + payload).div_ceil(WORD)
}

/// Where the by-reference values of a batch lie.
#[derive(Default)]
struct Arena {
    words: Vec<u64>,
}

impl Arena {
    /// Forgets the last batch, and makes room for the next.
    fn clear(&mut self, words: usize) -> Result<()> {
        self.words.clear();
        reserve(&mut self.words, words)
    }

    /// Writes a varlena; its Datum. The room was reserved with `clear`.
    fn varlena(&mut self, payload: &[u8]) -> u64 {
        self.write(&long_header(payload.len()), payload)
    }

    /// Writes a value without header, likewise.
    fn plain(&mut self, value: &[u8]) -> u64 {
        self.write(&[], value)
    }

    /// Zeros follow up to the next word.
    #[inline]
    fn write(&mut self, header: &[u8], payload: &[u8]) -> u64 {
        let begin = self.words.len();
        let words = (header.len() + payload.len()).div_ceil(WORD);
        assert!(words <= self.words.capacity() - begin, "the arena would move under the Datums in it");
        let room = &mut self.words.spare_capacity_mut()[..words];
        if let Some(last) = room.last_mut() {
            last.write(0);
        }
        let to = room.as_mut_ptr().cast::<u8>();
        // SAFETY: the room has as many bytes, and nobody else's; together with the zeros all of it is written.
        unsafe {
            to.copy_from_nonoverlapping(header.as_ptr(), header.len());
            to.add(header.len()).copy_from_nonoverlapping(payload.as_ptr(), payload.len());
            self.words.set_len(begin + words);
        }
        to as u64
    }
}

/// As `Vec::reserve`, but an error where that would abort the process.
fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    values.try_reserve(more).map_err(|_| out_of_memory("Failed while handing up result rows."))
}

#[cfg(test)]
mod tests;
