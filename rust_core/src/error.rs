//! Errors with the SQLSTATE that PostgreSQL would raise, and their way through DataFusion.

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// SQLSTATEs that the core raises itself.
pub mod sqlstate {
    pub const DIVISION_BY_ZERO: &str = "22012";
    pub const NUMERIC_VALUE_OUT_OF_RANGE: &str = "22003";
    pub const DATETIME_FIELD_OVERFLOW: &str = "22008";
    pub const SUBSTRING_ERROR: &str = "22011";
    pub const INVALID_ARGUMENT_FOR_POWER_FUNCTION: &str = "2201F";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
    pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
    pub const INVALID_ESCAPE_SEQUENCE: &str = "22025";
    pub const QUERY_CANCELED: &str = "57014";
    pub const OUT_OF_MEMORY: &str = "53200";
    pub const INTERNAL_ERROR: &str = "XX000";
    pub const DATA_CORRUPTED: &str = "XX001";
}

/// What can go wrong in the core.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A callback has parked an ERROR in C, which rethrows it: unwind, ask nothing more.
    #[error("an error is parked in the host")]
    Parked,
    /// PostgreSQL wants to end the query: C serves the interrupt, which has its own words.
    #[error("canceling statement")]
    Cancelled,
    /// An ERROR of our own, or of another participant.
    #[error("{message}")]
    Raised {
        /// Five characters.
        sqlstate: String,
        message: String,
        detail: Option<String>,
        hint: Option<String>,
        context: Option<String>,
    },
}

impl Error {
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Self::Raised { sqlstate: sqlstate.into(), message: message.into(), detail: None, hint: None, context: None }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(sqlstate::INTERNAL_ERROR, message)
    }

    pub fn with_detail(mut self, text: impl Into<String>) -> Self {
        if let Self::Raised { detail, .. } = &mut self {
            *detail = Some(text.into());
        }
        self
    }

    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Raised { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

impl From<Error> for ArrowError {
    fn from(error: Error) -> Self {
        ArrowError::ExternalError(Box::new(error))
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        classify(&error)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        classify(&error)
    }
}

/// What is ours inside, wherever DataFusion and Arrow have wrapped it; else the SQLSTATE that PostgreSQL would raise.
fn classify(error: &(dyn std::error::Error + 'static)) -> Error {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.clone();
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        return match error {
            DataFusionError::ArrowError(inner, _) => classify(inner.as_ref()),
            DataFusionError::External(inner) => classify(inner.as_ref()),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classify(inner.as_ref()),
            DataFusionError::Shared(inner) => classify(inner.as_ref()),
            DataFusionError::ResourcesExhausted(message) => out_of_memory(message)
                .with_hint("Increase work_mem or hash_mem_multiplier, or set joinscan.enabled to off for this query."),
            other => Error::internal(other.to_string()),
        };
    }
    match error.downcast_ref::<ArrowError>() {
        Some(ArrowError::DivideByZero) => Error::new(sqlstate::DIVISION_BY_ZERO, "division by zero"),
        Some(ArrowError::ArithmeticOverflow(_)) => {
            Error::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range")
        }
        Some(ArrowError::OffsetOverflowError(_)) => {
            out_of_memory("A batch of rows has more than 2 GB of text in one column.")
                .with_hint("Set joinscan.enabled to off for this query.")
        }
        Some(ArrowError::ExternalError(inner)) => classify(inner.as_ref()),
        _ => Error::internal(error.to_string()),
    }
}

/// 53200.
#[cold]
pub(crate) fn out_of_memory(detail: &str) -> Error {
    Error::new(sqlstate::OUT_OF_MEMORY, "out of memory").with_detail(detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn ours_is_found_in_every_wrapping() {
        let raised = || Error::new("22003", "integer out of range").with_hint("h");
        let boxed = || -> Box<dyn std::error::Error + Send + Sync> { Box::new(raised()) };
        for wrapped in [
            DataFusionError::from(raised()),
            DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(boxed())), None),
            DataFusionError::Shared(Arc::new(DataFusionError::External(boxed()))),
            DataFusionError::Context(
                "c".into(),
                Box::new(DataFusionError::External(Box::new(DataFusionError::from(raised())))),
            ),
        ] {
            assert_eq!(format!("{:?}", Error::from(wrapped)), format!("{:?}", raised()));
        }
    }

    #[test]
    fn memory_and_arithmetic_have_postgresqls_codes() {
        for (error, code) in [
            (DataFusionError::ResourcesExhausted("m".into()), "53200"),
            (DataFusionError::from(ArrowError::OffsetOverflowError(1)), "53200"),
            (DataFusionError::from(ArrowError::DivideByZero), "22012"),
            (DataFusionError::Internal("i".into()), "XX000"),
        ] {
            assert!(matches!(Error::from(error), Error::Raised { sqlstate, .. } if sqlstate == code));
        }
    }
}
