//! Which PostgreSQL types the plan can hold, and as what.
//!
//! Values keep PostgreSQL's own representation (days and microseconds since 2000, padded char(n)),
//! so ±infinity and the order of dates need no translation. What is not listed is carried as its bytes.

use arrow::datatypes::DataType;
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

pub use crate::host::TypeLayout;

/// Why a query, or a part of it, is left to PostgreSQL; in a user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decline(pub String);

impl Decline {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl std::fmt::Display for Decline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How numeric's NaN lies in a Decimal128. It has 39 digits, so no value of a declared precision
/// (at most 38) can be it; it equals itself and is above all others, as PostgreSQL wants.
pub(crate) use crate::scan::numeric::NAN as NUMERIC_NAN;

/// The infinities lie beyond all numbers and below NaN, too.
pub(crate) use crate::scan::numeric::{INFINITY as NUMERIC_INFINITY, NEGATIVE_INFINITY as NUMERIC_NEGATIVE_INFINITY};

/// The same in a Decimal256.
pub(crate) use crate::scan::numeric::{
    INFINITY_256 as NUMERIC_INFINITY_256, NAN_256 as NUMERIC_NAN_256,
    NEGATIVE_INFINITY_256 as NUMERIC_NEGATIVE_INFINITY_256,
};

/// Digits that a Decimal128 always has room for.
pub const MAX_DIGITS: u8 = 38;

/// Digits that a Decimal256 always has room for. No column is one, but results of arithmetic may be.
pub const MAX_WIDE_DIGITS: u8 = 76;

/// Precision and scale of a numeric typmod, as PostgreSQL packs them: 16 bits and 11 signed bits
/// above VARHDRSZ. None where no precision was declared.
fn numeric_typmod(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(pg_sys::VARHDRSZ as i32).filter(|packed| *packed >= 0)?;
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    Some(((packed >> 16) & 0xffff, scale))
}

/// The Arrow type of a column of PostgreSQL type `typid`, or why there is none.
///
/// Types that the plan computes with are known by OID. All others are opaque: known by their layout alone,
/// carried as their bits or bytes, and compared or computed with only where those say enough. Numerics that
/// no Decimal128 holds faithfully, and text in another encoding than UTF8, are opaque too.
pub fn arrow_type(typid: Oid, typmod: i32, layout: TypeLayout) -> Result<DataType, Decline> {
    Ok(match typid {
        pg_sys::BOOLOID => DataType::Boolean,
        pg_sys::INT2OID => DataType::Int16,
        pg_sys::INT4OID => DataType::Int32,
        pg_sys::INT8OID => DataType::Int64,
        pg_sys::FLOAT4OID => DataType::Float32,
        pg_sys::FLOAT8OID => DataType::Float64,
        pg_sys::DATEOID => DataType::Int32,
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => DataType::Int64,
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID if layout.utf8 => DataType::Utf8,
        pg_sys::NUMERICOID => match numeric_typmod(typmod) {
            Some((precision, scale)) if (1..=38).contains(&precision) && (0..=precision).contains(&scale) => {
                DataType::Decimal128(precision as u8, scale as i8)
            }
            _ => DataType::Binary,
        },
        typid if is_oid(typid) => DataType::UInt32,
        typid if is_pseudo(typid) => return Err(unsupported(typid)),
        _ => opaque(layout).ok_or_else(|| unsupported(typid))?,
    })
}

/// What carries values of this layout, none for C strings.
fn opaque(layout: TypeLayout) -> Option<DataType> {
    Some(match (layout.byval, layout.len) {
        (true, 1) => DataType::Int8,
        (true, 2) => DataType::Int16,
        (true, 4) => DataType::Int32,
        (true, 8) => DataType::Int64,
        (false, -1) => DataType::Binary,
        (false, len @ 1..) => DataType::FixedSizeBinary(len.into()),
        _ => return None,
    })
}

/// oid, and the types that are oids with names.
fn is_oid(typid: Oid) -> bool {
    matches!(
        typid,
        pg_sys::OIDOID
            | pg_sys::REGCLASSOID
            | pg_sys::REGCOLLATIONOID
            | pg_sys::REGCONFIGOID
            | pg_sys::REGDICTIONARYOID
            | pg_sys::REGNAMESPACEOID
            | pg_sys::REGOPEROID
            | pg_sys::REGOPERATOROID
            | pg_sys::REGPROCOID
            | pg_sys::REGPROCEDUREOID
            | pg_sys::REGROLEOID
            | pg_sys::REGTYPEOID
    )
}

/// Types whose values say what they are only together with something else, if there are any at all.
fn is_pseudo(typid: Oid) -> bool {
    matches!(
        typid,
        pg_sys::RECORDOID
            | pg_sys::RECORDARRAYOID
            | pg_sys::UNKNOWNOID
            | pg_sys::CSTRINGOID
            | pg_sys::CSTRINGARRAYOID
            | pg_sys::VOIDOID
            | pg_sys::INTERNALOID
            | pg_sys::TRIGGEROID
            | pg_sys::EVENT_TRIGGEROID
            | pg_sys::LANGUAGE_HANDLEROID
            | pg_sys::FDW_HANDLEROID
            | pg_sys::INDEX_AM_HANDLEROID
            | pg_sys::TABLE_AM_HANDLEROID
            | pg_sys::TSM_HANDLEROID
            | pg_sys::PG_DDL_COMMANDOID
            | pg_sys::ANYOID
            | pg_sys::ANYARRAYOID
            | pg_sys::ANYELEMENTOID
            | pg_sys::ANYNONARRAYOID
            | pg_sys::ANYENUMOID
            | pg_sys::ANYRANGEOID
            | pg_sys::ANYMULTIRANGEOID
            | pg_sys::ANYCOMPATIBLEOID
            | pg_sys::ANYCOMPATIBLEARRAYOID
            | pg_sys::ANYCOMPATIBLENONARRAYOID
            | pg_sys::ANYCOMPATIBLERANGEOID
            | pg_sys::ANYCOMPATIBLEMULTIRANGEOID
    )
}

/// The refusal of a type; C puts its name in.
pub fn unsupported(typid: Oid) -> Decline {
    Decline(format!("type with OID {} is not supported", typid.to_u32()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    const VARLENA: TypeLayout = TypeLayout { len: -1, byval: false, utf8: true };

    fn by_value(len: i16) -> TypeLayout {
        TypeLayout { len, byval: true, utf8: true }
    }

    #[test]
    fn types_the_plan_knows() {
        assert_eq!(arrow_type(pg_sys::DATEOID, -1, by_value(4)), Ok(DataType::Int32));
        assert_eq!(arrow_type(pg_sys::BOOLOID, -1, by_value(1)), Ok(DataType::Boolean));
        assert_eq!(arrow_type(pg_sys::REGCLASSOID, -1, by_value(4)), Ok(DataType::UInt32));
        assert_eq!(arrow_type(pg_sys::BPCHAROID, 14, VARLENA), Ok(DataType::Utf8));
        assert_eq!(arrow_type(pg_sys::NUMERICOID, numeric(15, 2), VARLENA), Ok(DataType::Decimal128(15, 2)));
        assert_eq!(arrow_type(pg_sys::NUMERICOID, numeric(38, 38), VARLENA), Ok(DataType::Decimal128(38, 38)));
    }

    #[test]
    fn numerics_that_no_decimal_holds() {
        for typmod in [-1, numeric(39, 2), numeric(3, -2), numeric(2, 5)] {
            assert_eq!(arrow_type(pg_sys::NUMERICOID, typmod, VARLENA), Ok(DataType::Binary));
        }
    }

    #[test]
    fn text_of_another_encoding() {
        let latin = TypeLayout { utf8: false, ..VARLENA };
        for typid in [pg_sys::TEXTOID, pg_sys::VARCHAROID, pg_sys::BPCHAROID] {
            assert_eq!(arrow_type(typid, -1, latin), Ok(DataType::Binary));
        }
    }

    #[test]
    fn other_types_by_their_layout() {
        let fixed = |len| TypeLayout { len, byval: false, utf8: true };
        for (typid, layout, expected) in [
            (pg_sys::CHAROID, by_value(1), DataType::Int8),
            (Oid::from(70_000), by_value(2), DataType::Int16),
            (pg_sys::XIDOID, by_value(4), DataType::Int32),
            (pg_sys::MONEYOID, by_value(8), DataType::Int64),
            (pg_sys::JSONBOID, VARLENA, DataType::Binary),
            (Oid::from(70_000), VARLENA, DataType::Binary),
            (pg_sys::UUIDOID, fixed(16), DataType::FixedSizeBinary(16)),
            (pg_sys::NAMEOID, fixed(64), DataType::FixedSizeBinary(64)),
            (pg_sys::TIDOID, fixed(6), DataType::FixedSizeBinary(6)),
        ] {
            assert_eq!(arrow_type(typid, -1, layout), Ok(expected));
        }
    }

    #[test]
    fn types_declined() {
        for (typid, layout, reason) in [
            (pg_sys::RECORDOID, VARLENA, "type with OID 2249 is not supported"),
            (pg_sys::VOIDOID, by_value(4), "type with OID 2278 is not supported"),
            (Oid::from(99_999), TypeLayout { len: -2, ..VARLENA }, "type with OID 99999 is not supported"),
            (Oid::from(99_999), by_value(3), "type with OID 99999 is not supported"),
        ] {
            assert_eq!(arrow_type(typid, -1, layout), Err(Decline::new(reason)));
        }
    }
}
