//! `pg_not_cancelled()`: true, or the end of the query.
//!
//! A hash join works off all pairs of one probe batch in one poll. Where its filter lets few of them
//! through that can take minutes without a checkpoint, so the filter itself looks whether PostgreSQL
//! wants to cancel or terminate. Each session registers an instance that asks its own host.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};
use datafusion::logical_expr::{Signature, Volatility};
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::error::Error;
use crate::host::Host;

const NAME: &str = "pg_not_cancelled";

struct NotCancelled {
    signature: Signature,
    /// None while the plan is only made.
    host: Option<Arc<dyn Host>>,
}

/// The function of one session.
pub fn not_cancelled(host: Option<Arc<dyn Host>>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(NotCancelled { signature: Signature::nullary(Volatility::Volatile), host }))
}

/// `filter`, looking for a cancel before each evaluation.
pub fn cancellable(filter: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let field = Arc::new(Field::new(NAME, DataType::Boolean, false));
    let check = ScalarFunctionExpr::new(NAME, not_cancelled(None), vec![], field, Arc::new(ConfigOptions::default()));
    Arc::new(BinaryExpr::new(Arc::new(check), Operator::And, filter))
}

impl fmt::Debug for NotCancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

// Every session's instance is the same function.
impl PartialEq for NotCancelled {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for NotCancelled {}

impl Hash for NotCancelled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl ScalarUDFImpl for NotCancelled {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &self.host {
            Some(host) if host.cancelled() => Err(Error::Cancelled.into()),
            _ => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))),
        }
    }
}
