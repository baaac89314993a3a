//! Which PostgreSQL types the plan can hold, and as what.
//!
//! Values keep PostgreSQL's own representation (days and microseconds since 2000, padded char(n)),
//! so ±infinity and the order of dates need no translation. What is not listed is declined.

use arrow::datatypes::DataType;
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

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

/// Digits that a Decimal128 always has room for.
pub const MAX_DIGITS: u8 = 38;

/// Precision and scale of a numeric typmod, as PostgreSQL packs them: 16 bits and 11 signed bits
/// above VARHDRSZ. None where no precision was declared.
fn numeric_typmod(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(pg_sys::VARHDRSZ as i32).filter(|packed| *packed >= 0)?;
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    Some(((packed >> 16) & 0xffff, scale))
}

/// The Arrow type of a column of PostgreSQL type `typid`, or why there is none.
pub fn arrow_type(typid: Oid, typmod: i32) -> Result<DataType, Decline> {
    Ok(match typid {
        pg_sys::BOOLOID => DataType::Boolean,
        pg_sys::INT2OID => DataType::Int16,
        pg_sys::INT4OID => DataType::Int32,
        pg_sys::INT8OID => DataType::Int64,
        pg_sys::OIDOID => DataType::UInt32,
        pg_sys::FLOAT4OID => DataType::Float32,
        pg_sys::FLOAT8OID => DataType::Float64,
        pg_sys::DATEOID => DataType::Int32,
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => DataType::Int64,
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID => DataType::Utf8,
        pg_sys::NUMERICOID => match numeric_typmod(typmod) {
            None => return Err(Decline::new("type numeric without a declared precision is not supported")),
            Some((precision, scale)) if (1..=38).contains(&precision) && (0..=precision).contains(&scale) => {
                DataType::Decimal128(precision as u8, scale as i8)
            }
            Some((precision, scale)) => {
                return Err(Decline(format!("type numeric({precision},{scale}) is not supported")));
            }
        },
        other => return Err(unsupported(other)),
    })
}

/// The refusal of a type: by name where the name is certain, else by OID.
pub fn unsupported(typid: Oid) -> Decline {
    let name = match typid {
        pg_sys::JSONOID => "json",
        pg_sys::JSONBOID => "jsonb",
        pg_sys::UUIDOID => "uuid",
        pg_sys::BYTEAOID => "bytea",
        pg_sys::INTERVALOID => "interval",
        pg_sys::TIMEOID => "time",
        pg_sys::TIMETZOID => "time with time zone",
        pg_sys::NAMEOID => "name",
        pg_sys::CHAROID => "\"char\"",
        pg_sys::XMLOID => "xml",
        pg_sys::MONEYOID => "money",
        pg_sys::INETOID => "inet",
        pg_sys::CIDROID => "cidr",
        pg_sys::MACADDROID => "macaddr",
        pg_sys::POINTOID => "point",
        pg_sys::BITOID => "bit",
        pg_sys::VARBITOID => "bit varying",
        pg_sys::TSVECTOROID => "tsvector",
        pg_sys::TSQUERYOID => "tsquery",
        pg_sys::RECORDOID => "record",
        pg_sys::REGCLASSOID => "regclass",
        pg_sys::BOOLARRAYOID => "boolean[]",
        pg_sys::INT2ARRAYOID => "smallint[]",
        pg_sys::INT4ARRAYOID => "integer[]",
        pg_sys::INT8ARRAYOID => "bigint[]",
        pg_sys::FLOAT8ARRAYOID => "double precision[]",
        pg_sys::NUMERICARRAYOID => "numeric[]",
        pg_sys::TEXTARRAYOID => "text[]",
        pg_sys::VARCHARARRAYOID => "character varying[]",
        pg_sys::INT4RANGEOID => "int4range",
        pg_sys::INT8RANGEOID => "int8range",
        pg_sys::TSRANGEOID => "tsrange",
        pg_sys::TSTZRANGEOID => "tstzrange",
        pg_sys::DATERANGEOID => "daterange",
        other => return Decline(format!("type with OID {} is not supported", other.to_u32())),
    };
    Decline(format!("type {name} is not supported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn types_the_plan_holds() {
        assert_eq!(arrow_type(pg_sys::DATEOID, -1), Ok(DataType::Int32));
        assert_eq!(arrow_type(pg_sys::BPCHAROID, 14), Ok(DataType::Utf8));
        assert_eq!(arrow_type(pg_sys::NUMERICOID, numeric(15, 2)), Ok(DataType::Decimal128(15, 2)));
        assert_eq!(arrow_type(pg_sys::NUMERICOID, numeric(38, 38)), Ok(DataType::Decimal128(38, 38)));
    }

    #[test]
    fn types_declined() {
        for (typid, typmod, reason) in [
            (pg_sys::NUMERICOID, -1, "type numeric without a declared precision is not supported"),
            (pg_sys::NUMERICOID, numeric(39, 2), "type numeric(39,2) is not supported"),
            (pg_sys::NUMERICOID, numeric(3, -2), "type numeric(3,-2) is not supported"),
            (pg_sys::NUMERICOID, numeric(2, 5), "type numeric(2,5) is not supported"),
            (pg_sys::JSONBOID, -1, "type jsonb is not supported"),
            (Oid::from(99999), -1, "type with OID 99999 is not supported"),
        ] {
            assert_eq!(arrow_type(typid, typmod), Err(Decline::new(reason)));
        }
    }
}
