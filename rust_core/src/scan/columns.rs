//! One Arrow column under construction: the typed loops of the scan.
//!
//! A builder is fed with a page and the offsets that the walker found, and gives an array per batch.
//! The null bitmap exists only once a NULL was seen. Reads are unaligned-safe and bounds-checked: the check is
//! one comparison, and the sentinels of [`Offsets`] fail it too.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, NullBufferBuilder, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt32Type,
};

use crate::error::{Error, Result, out_of_memory, sqlstate};
use crate::host::{Attribute, Host, TypeLayout};
use crate::plan::types::Decline;
use crate::scan::numeric::Decoder;
use crate::scan::tuple::{MISSING, NULL, Offsets, PageBytes, corrupted, read};
use crate::scan::varlena::{self, Varlena};

/// What a PostgreSQL type is in the plan. Errors: XX000 for types that the plan cannot carry.
pub fn arrow_type(typid: u32, typmod: i32, layout: TypeLayout) -> Result<DataType> {
    crate::plan::types::arrow_type(typid.into(), typmod, layout).map_err(|Decline(reason)| Error::internal(reason))
}

/// Bytes of text that a batch makes room for beforehand, at most.
const EXPECTED_BYTES: usize = 1 << 20;

/// A column under construction.
pub struct ColumnBuilder {
    data: Data,
    nulls: NullBufferBuilder,
    /// What tuples older than the attribute have: the value's bytes, without varlena header.
    missing: Option<Vec<u8>>,
    /// Rows to make room for when a batch begins.
    expected_rows: usize,
}

enum Data {
    /// One byte a row, packed when the array is made.
    Boolean(Vec<u8>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt32(Vec<u32>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, Decoder, DataType),
    /// Varlenas: text, or the payload of whatever it is.
    Varying {
        utf8: bool,
        /// End of each value in `bytes`, after a leading 0.
        ends: Vec<i32>,
        bytes: Vec<u8>,
        expected_bytes: usize,
    },
    /// Values of `width` bytes, one after another.
    Fixed {
        width: i32,
        bytes: Vec<u8>,
    },
}

impl ColumnBuilder {
    /// A builder for values of `attribute`, which are `data_type` in the plan; `expected_rows` a batch.
    pub fn new(host: &dyn Host, attribute: &Attribute, data_type: DataType, expected_rows: usize) -> Result<Self> {
        let (data, attlen) = match data_type {
            DataType::Boolean => (Data::Boolean(vec![]), 1),
            DataType::Int8 => (Data::Int8(vec![]), 1),
            DataType::Int16 => (Data::Int16(vec![]), 2),
            DataType::Int32 => (Data::Int32(vec![]), 4),
            DataType::Int64 => (Data::Int64(vec![]), 8),
            DataType::UInt32 => (Data::UInt32(vec![]), 4),
            DataType::Float32 => (Data::Float32(vec![]), 4),
            DataType::Float64 => (Data::Float64(vec![]), 8),
            DataType::Decimal128(precision, scale) => {
                (Data::Decimal(vec![], Decoder::new(precision, scale.unsigned_abs()), data_type), -1)
            }
            DataType::FixedSizeBinary(width) => (Data::Fixed { width, bytes: vec![] }, width),
            DataType::Utf8 | DataType::Binary => {
                let utf8 = data_type == DataType::Utf8;
                (Data::Varying { utf8, ends: vec![], bytes: vec![], expected_bytes: 0 }, -1)
            }
            other => return Err(Error::internal(format!("a scan gives no column of type {other}"))),
        };
        if i32::from(attribute.attlen) != attlen {
            return Err(Error::internal(format!(
                "attribute of type {} has length {}, not {attlen}",
                attribute.typid, attribute.attlen
            )));
        }
        let missing = missing_value(host, attribute)?;
        Ok(Self { data, nulls: NullBufferBuilder::new(0), missing, expected_rows })
    }

    /// Takes in the values at `offsets` of a page.
    pub fn append(&mut self, host: &dyn Host, page: &PageBytes, offsets: Offsets<'_>) -> Result<()> {
        let mut input = Input { host, page, offsets, nulls: &mut self.nulls, missing: self.missing.as_deref() };
        let expected = self.expected_rows;
        match &mut self.data {
            Data::Boolean(values) => input.fixed(values, expected, u8::from_le_bytes),
            Data::Int8(values) => input.fixed(values, expected, i8::from_le_bytes),
            Data::Int16(values) => input.fixed(values, expected, i16::from_le_bytes),
            Data::Int32(values) => input.fixed(values, expected, i32::from_le_bytes),
            Data::Int64(values) => input.fixed(values, expected, i64::from_le_bytes),
            Data::UInt32(values) => input.fixed(values, expected, u32::from_le_bytes),
            Data::Float32(values) => input.fixed(values, expected, f32::from_le_bytes),
            Data::Float64(values) => input.fixed(values, expected, f64::from_le_bytes),
            Data::Decimal(values, decoder, _) => match decoder.surplus() {
                0 => input.numeric::<0>(values, expected, decoder),
                1 => input.numeric::<1>(values, expected, decoder),
                2 => input.numeric::<2>(values, expected, decoder),
                _ => input.numeric::<3>(values, expected, decoder),
            },
            Data::Varying { ends, bytes, expected_bytes, .. } => {
                if ends.is_empty() {
                    reserve(ends, expected.max(offsets.of.len()) + 1)?;
                    ends.push(0);
                    reserve(bytes, *expected_bytes)?;
                }
                input.varying(ends, bytes)
            }
            Data::Fixed { width, bytes } => input.wide(bytes, expected, *width as usize),
        }
    }

    /// Bytes of by-reference values so far; 0 for other types.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::Varying { bytes, .. } | Data::Fixed { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// The array of all values since the last call. Errors: 22021 for text that is not UTF-8.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.data {
            Data::Boolean(values) => {
                let values = std::mem::take(values);
                Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0), nulls))
            }
            Data::Int8(values) => primitive::<Int8Type>(values, nulls),
            Data::Int16(values) => primitive::<Int16Type>(values, nulls),
            Data::Int32(values) => primitive::<Int32Type>(values, nulls),
            Data::Int64(values) => primitive::<Int64Type>(values, nulls),
            Data::UInt32(values) => primitive::<UInt32Type>(values, nulls),
            Data::Float32(values) => primitive::<Float32Type>(values, nulls),
            Data::Float64(values) => primitive::<Float64Type>(values, nulls),
            Data::Decimal(values, _, data_type) => {
                Arc::new(Decimal128Array::new(taken::<Decimal128Type>(values), nulls).with_data_type(data_type.clone()))
            }
            Data::Fixed { width, bytes } => {
                let bytes = Buffer::from_vec(fitted(std::mem::take(bytes)));
                Arc::new(FixedSizeBinaryArray::try_new(*width, bytes, nulls)?)
            }
            Data::Varying { utf8, ends, bytes, expected_bytes } => {
                let (mut ends, bytes) = (std::mem::take(ends), fitted(std::mem::take(bytes)));
                if ends.is_empty() {
                    ends.push(0);
                }
                // One page of giants must not make every batch after it one.
                *expected_bytes = (*expected_bytes).max(bytes.len()).min(EXPECTED_BYTES);
                varying_array(*utf8, fitted(ends), bytes, nulls)?
            }
        })
    }
}

/// The bytes that stand for the missing value of `attribute`, `None` for NULL.
fn missing_value(host: &dyn Host, attribute: &Attribute) -> Result<Option<Vec<u8>>> {
    if attribute.missing_isnull {
        return Ok(None);
    }
    if attribute.attbyval {
        // PostgreSQL keeps the value in the Datum's low bytes.
        let bytes = attribute.missing_value.to_le_bytes();
        let length = usize::try_from(attribute.attlen).ok().filter(|length| *length <= bytes.len());
        return match length {
            Some(length) => Ok(Some(bytes[..length].to_vec())),
            None => Err(Error::internal("a missing value has an impossible length")),
        };
    }
    let datum = attribute.missing_value as *const u8;
    if datum.is_null() {
        return Err(Error::internal("a missing value is a null pointer"));
    }
    if let Ok(length) = usize::try_from(attribute.attlen) {
        // SAFETY: C hands over a value of the attribute's length that lives as long as the session.
        return Ok(Some(unsafe { std::slice::from_raw_parts(datum, length) }.to_vec()));
    }
    // SAFETY: C hands over a complete varlena that lives as long as the session.
    unsafe { varlena::load(host, datum) }.map(Some)
}

/// One page's share of a column.
struct Input<'a> {
    host: &'a dyn Host,
    page: &'a PageBytes,
    offsets: Offsets<'a>,
    nulls: &'a mut NullBufferBuilder,
    missing: Option<&'a [u8]>,
}

impl<'a> Input<'a> {
    fn fixed<T: Copy + Default, const N: usize>(
        &mut self,
        values: &mut Vec<T>,
        expected_rows: usize,
        decode: impl Fn([u8; N]) -> T,
    ) -> Result<()> {
        let offsets = self.offsets.of;
        reserve_rows(values, expected_rows, offsets.len())?;
        let mut sound = true;
        if !self.offsets.special {
            values.extend(offsets.iter().map(|&offset| match read(self.page, offset.into()) {
                Some(bytes) => decode(bytes),
                None => {
                    sound = false;
                    T::default()
                }
            }));
            self.nulls.append_n_non_nulls(offsets.len());
        } else {
            let missing = self.missing.and_then(|bytes| bytes.try_into().ok()).map(&decode);
            for &offset in offsets {
                let value = match offset {
                    NULL => None,
                    MISSING => missing,
                    _ => match read(self.page, offset.into()) {
                        Some(bytes) => Some(decode(bytes)),
                        None => {
                            sound = false;
                            None
                        }
                    },
                };
                values.push(value.unwrap_or_default());
                self.nulls.append(value.is_some());
            }
        }
        if sound { Ok(()) } else { Err(beyond()) }
    }

    fn numeric<const SURPLUS: u8>(
        &mut self,
        values: &mut Vec<i128>,
        expected_rows: usize,
        decoder: &Decoder,
    ) -> Result<()> {
        let (decoder, offsets) = (&{ *decoder }, self.offsets.of);
        reserve_rows(values, expected_rows, offsets.len())?;
        if self.offsets.special {
            for &offset in offsets {
                let value = match near_numeric::<SURPLUS>(self.page, offset, decoder) {
                    Some(value) => Some(value.into()),
                    None => self.other_numeric(offset, decoder)?,
                };
                values.push(value.unwrap_or_default());
                self.nulls.append(value.is_some());
            }
            return Ok(());
        }
        let mut outcome = Ok(());
        values.extend(offsets.iter().map(|&offset| match near_numeric::<SURPLUS>(self.page, offset, decoder) {
            Some(value) => value.into(),
            None if outcome.is_err() => 0,
            None => self.other_numeric(offset, decoder).map(Option::unwrap_or_default).unwrap_or_else(|error| {
                outcome = Err(error);
                0
            }),
        }));
        self.nulls.append_n_non_nulls(offsets.len());
        outcome
    }

    /// A numeric that is NULL, missing, toasted, long, or not a common one.
    #[inline(never)]
    fn other_numeric(&self, offset: u16, decoder: &Decoder) -> Result<Option<i128>> {
        let mut decoded = None;
        self.payload(offset, &mut |payload| {
            decoded = Some(decoder.decode(payload).ok_or_else(undeclared)?);
            Ok(())
        })?;
        Ok(decoded)
    }

    /// Values of `width` bytes that no number holds.
    fn wide(&mut self, bytes: &mut Vec<u8>, expected_rows: usize, width: usize) -> Result<()> {
        let rows = self.offsets.of.len();
        // Room for a batch only while that is little: `expected_rows` of the widest would be many megabytes.
        let expected = (expected_rows * width).min(EXPECTED_BYTES);
        reserve(bytes, if bytes.is_empty() { expected.max(rows * width) } else { rows * width })?;
        for &offset in self.offsets.of {
            let value = match offset {
                NULL => None,
                MISSING => self.missing,
                _ => Some(self.page.get(usize::from(offset)..usize::from(offset) + width).ok_or_else(beyond)?),
            };
            match value {
                Some(value) if value.len() == width => bytes.extend_from_slice(value),
                Some(_) => return Err(Error::internal("a missing value has an impossible length")),
                None => bytes.resize(bytes.len() + width, 0),
            }
            self.nulls.append(value.is_some());
        }
        Ok(())
    }

    fn varying(&mut self, ends: &mut Vec<i32>, bytes: &mut Vec<u8>) -> Result<()> {
        reserve(ends, self.offsets.of.len())?;
        // All that can come out of the page itself: later growth is only for toasted values.
        reserve(bytes, self.page.len())?;
        for &offset in self.offsets.of {
            match self.page.get(usize::from(offset)..) {
                Some([header, rest @ ..]) if header & 1 != 0 && *header != 1 => {
                    let Some(value) = rest.get(..usize::from(header >> 1) - 1) else { return Err(beyond()) };
                    bytes.extend_from_slice(value);
                    self.nulls.append_non_null();
                }
                _ => {
                    let some = self.payload(offset, &mut |payload| append_bytes(bytes, payload))?;
                    self.nulls.append(some);
                }
            }
            match i32::try_from(bytes.len()) {
                Ok(end) => ends.push(end),
                Err(_) => return Err(out_of_memory("Values of one heap page exceed 2 GB.")),
            }
        }
        Ok(())
    }

    /// Shows the payload of the varlena at `offset` to `take`; false, and nothing shown, when it is NULL.
    fn payload(&self, offset: u16, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        match offset {
            NULL => return Ok(false),
            MISSING => match self.missing {
                Some(payload) => take(payload)?,
                None => return Ok(false),
            },
            _ => match self.page.get(usize::from(offset)..).and_then(varlena::parse) {
                Some(Varlena::Plain(payload)) => take(payload)?,
                Some(Varlena::Toasted(whole)) => self.host.detoast(whole, take)?,
                None => return Err(beyond()),
            },
        }
        Ok(true)
    }
}

/// The numeric at `offset` when it is a common one with a one-byte header, and not at the very end of the page.
#[inline(always)]
fn near_numeric<const SURPLUS: u8>(page: &PageBytes, offset: u16, decoder: &Decoder) -> Option<i64> {
    // Header, numeric header, digits: 1, 2 and 8 bytes.
    let bytes = page.get(usize::from(offset)..usize::from(offset) + 11)?;
    let header = u16::from_le_bytes([bytes[1], bytes[2]]);
    let word = u64::from_le_bytes(*bytes[3..].first_chunk()?);
    if bytes[0] & 1 == 0 {
        return None;
    }
    decoder.decode_near::<SURPLUS>(header, word, usize::from(bytes[0] >> 1).wrapping_sub(1))
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(taken::<T>(values), nulls))
}

fn taken<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>) -> ScalarBuffer<T::Native> {
    fitted(std::mem::take(values)).into()
}

/// Gives back what a small batch does not use: memory is accounted for by capacity.
fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.len() < values.capacity() / 2 {
        values.shrink_to_fit();
    }
    values
}

/// An array of values that end at `ends` in `bytes`; `ends` ascends from 0 to the length of `bytes`.
/// Errors: 22021 for text that is not UTF-8.
pub(crate) fn varying_array(utf8: bool, ends: Vec<i32>, bytes: Vec<u8>, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    if utf8 {
        return Ok(Arc::new(text_array(ends, bytes, nulls)?));
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(Arc::new(BinaryArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?))
}

fn text_array(ends: Vec<i32>, bytes: Vec<u8>, nulls: Option<NullBuffer>) -> Result<StringArray> {
    if !bytes.is_ascii() {
        // Valid as a whole, and none begins within a character: the usual case, checked quickly.
        let whole = std::str::from_utf8(&bytes).ok();
        if !whole.is_some_and(|text| ends.iter().all(|&end| text.is_char_boundary(end as usize))) {
            return Err(invalid_text(&ends, &bytes));
        }
    }
    // SAFETY: offsets ascend from 0 to the length of `bytes` by construction; each value is valid UTF-8
    // as just checked.
    unsafe {
        let offsets = OffsetBuffer::new_unchecked(ScalarBuffer::from(ends));
        Ok(StringArray::new_unchecked(offsets, Buffer::from_vec(bytes), nulls))
    }
}

/// The error for the first value that is not UTF-8, as PostgreSQL words it.
#[cold]
fn invalid_text(ends: &[i32], bytes: &[u8]) -> Error {
    let mut sequence = String::new();
    for pair in ends.windows(2) {
        let value = bytes.get(pair[0] as usize..pair[1] as usize).unwrap_or_default();
        if let Err(error) = std::str::from_utf8(value) {
            let bad = &value[error.valid_up_to()..];
            let claimed = match bad.first() {
                Some(0xC0..0xE0) => 2,
                Some(0xE0..0xF0) => 3,
                Some(0xF0..0xF8) => 4,
                _ => 1,
            };
            sequence = bad.iter().take(claimed).map(|byte| format!(" {byte:#04x}")).collect();
            break;
        }
    }
    let colon = if sequence.is_empty() { "" } else { ":" };
    Error::new(
        sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\"{colon}{sequence}"),
    )
}

pub(super) fn append_bytes(bytes: &mut Vec<u8>, more: &[u8]) -> Result<()> {
    reserve(bytes, more.len())?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// Room for a page's rows; for a batch's when it begins.
fn reserve_rows<T>(values: &mut Vec<T>, expected: usize, rows: usize) -> Result<()> {
    reserve(values, if values.is_empty() { expected.max(rows) } else { rows })
}

/// As `Vec::reserve`, but an error where that would abort the process.
#[inline]
fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    values.try_reserve(more).map_err(|_| out_of_memory("Failed while reading heap pages."))
}

#[cold]
fn beyond() -> Error {
    corrupted("a value reaches beyond its page")
}

#[cold]
fn undeclared() -> Error {
    Error::internal("stored numeric value does not match the column's declared type")
        .with_hint("Set joinscan.enabled to off for this query.")
}
