//! Expressions against PostgreSQL's answers, each evaluated as translated and after the codec.

mod aggregates;
mod choices;
mod comparisons;
mod computations;
mod datetimes;
mod logic;
mod maths;
mod opaque;
mod shapes;
mod strings;
mod wide;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, i256};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use pgrx_pg_sys as pg_sys;

use super::{Columns, TranslateError, Translator};
use crate::error::Error;
use crate::plan::testing::{FakeHost, NodePtr, numeric_payload, through_codec};
use crate::plan::types::{Decline, NUMERIC_INFINITY_256, NUMERIC_NAN, NUMERIC_NAN_256, NUMERIC_NEGATIVE_INFINITY_256};

/// Column n of the batch is attribute n + 1.
pub(super) struct Table(pub RecordBatch);

impl Table {
    pub fn new(columns: Vec<ArrayRef>) -> Self {
        let fields: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(column, array)| Field::new(format!("c{column}"), array.data_type().clone(), true))
            .collect();
        Self(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns agree"))
    }

    /// What the filter or predicate gives for each row.
    pub fn booleans(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Vec<Option<bool>>, Error> {
        let array = self.evaluate(expr)?;
        Ok(array.as_boolean().iter().collect())
    }

    pub fn evaluate(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<ArrayRef, Error> {
        let run = |expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch| -> Result<ArrayRef, Error> {
            let value = expr.evaluate(batch)?;
            assert_eq!(value.data_type(), expr.data_type(&batch.schema())?, "{expr}");
            Ok(value.into_array(batch.num_rows())?)
        };
        let plain = run(expr, &self.0);
        let decoded = through_codec(expr, &self.0.schema());
        let again = run(&decoded, &self.0);
        match (&plain, &again) {
            (Ok(plain), Ok(again)) => assert_eq!(plain, again, "{expr} after the codec"),
            (Err(plain), Err(again)) => assert_eq!(plain.to_string(), again.to_string()),
            _ => panic!("{expr}: {plain:?} and after the codec {again:?}"),
        }
        // A slice and no rows at all: offsets count, and errors need a row.
        assert_eq!(run(expr, &self.0.slice(0, 0)).expect("no row can raise").len(), 0);
        if let Ok(plain) = &plain
            && self.0.num_rows() > 1
        {
            let rest = run(expr, &self.0.slice(1, self.0.num_rows() - 1))?;
            assert_eq!(&plain.slice(1, rest.len()), &rest, "{expr} on a slice");
        }
        plain
    }

    /// A value of any type, which is the one that the translation promises.
    pub fn value(&self, node: NodePtr) -> Result<ArrayRef, Error> {
        // SAFETY: the tests' nodes live for ever.
        let typed = unsafe { Translator::new(&FakeHost, self).translate(node, 0) }.expect("has a translation");
        let value = self.evaluate(&typed.expr)?;
        assert_eq!(value.data_type(), &typed.data_type, "{}", typed.expr);
        Ok(value)
    }

    /// The SQLSTATE and message of each row by itself; None for one that raises nothing.
    pub fn errors(&self, node: NodePtr) -> Vec<Option<(String, String)>> {
        let of = |row| match Self(self.0.slice(row, 1)).value(node) {
            Ok(_) => None,
            error => Some(raised(error)),
        };
        (0..self.0.num_rows()).map(of).collect()
    }

    pub fn predicate(&self, node: NodePtr) -> Result<Vec<Option<bool>>, Error> {
        self.booleans(&translated(self, node))
    }
}

impl Columns for Table {
    fn column(&self, var: &pg_sys::Var) -> Result<(Arc<dyn PhysicalExpr>, DataType), TranslateError> {
        let column = var.varattno as usize - 1;
        let schema = self.0.schema();
        let field = schema.field(column);
        Ok((Arc::new(Column::new(field.name(), column)), field.data_type().clone()))
    }
}

pub(super) fn translated(columns: &dyn Columns, node: NodePtr) -> Arc<dyn PhysicalExpr> {
    // SAFETY: the tests' nodes live for ever.
    unsafe { Translator::new(&FakeHost, columns).predicate(node) }.expect("has a translation").0
}

/// Why there is no translation as a predicate.
pub(super) fn declined(columns: &dyn Columns, node: NodePtr) -> String {
    // SAFETY: as above.
    match unsafe { Translator::new(&FakeHost, columns).predicate(node) } {
        Err(TranslateError::Decline(Decline(reason))) => reason,
        other => panic!("not declined: {other:?}"),
    }
}

/// Why there is no translation of a value.
pub(super) fn refused(columns: &dyn Columns, node: NodePtr) -> String {
    // SAFETY: as above.
    match unsafe { Translator::new(&FakeHost, columns).translate(node, 0) } {
        Err(TranslateError::Decline(Decline(reason))) => reason,
        Ok(typed) => panic!("not declined: {}", typed.expr),
        Err(error) => panic!("not declined: {error:?}"),
    }
}

/// The SQLSTATE and message of an ERROR.
pub(super) fn raised<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    match result {
        Err(Error::Raised { sqlstate, message, .. }) => (sqlstate, message),
        other => panic!("nothing was raised: {other:?}"),
    }
}

pub(super) const T: Option<bool> = Some(true);
pub(super) const F: Option<bool> = Some(false);
pub(super) const N: Option<bool> = None;

pub(super) fn bools(values: &[Option<bool>]) -> ArrayRef {
    Arc::new(BooleanArray::from(values.to_vec()))
}
pub(super) fn int1s(values: &[Option<i8>]) -> ArrayRef {
    Arc::new(Int8Array::from(values.to_vec()))
}
pub(super) fn int2s(values: &[Option<i16>]) -> ArrayRef {
    Arc::new(Int16Array::from(values.to_vec()))
}
pub(super) fn int4s(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}
pub(super) fn int8s(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}
pub(super) fn oids(values: &[Option<u32>]) -> ArrayRef {
    Arc::new(UInt32Array::from(values.to_vec()))
}
pub(super) fn float4s(values: &[Option<f32>]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}
pub(super) fn float8s(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}
pub(super) fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub(super) fn binaries(values: &[Option<&[u8]>]) -> ArrayRef {
    Arc::new(BinaryArray::from(values.to_vec()))
}
pub(super) fn fixed(width: i32, values: &[Option<Vec<u8>>]) -> ArrayRef {
    let values = values.iter().map(Option::as_deref);
    Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, width).expect("all are as wide"))
}

/// Numerics of no declared precision: "1.50".
pub(super) fn free_numerics(values: &[Option<&str>]) -> ArrayRef {
    let payloads: Vec<_> = values.iter().map(|value| value.map(numeric_payload)).collect();
    binaries(&payloads.iter().map(Option::as_deref).collect::<Vec<_>>())
}

/// numeric(precision, scale), from the digits without the point.
pub(super) fn numerics(precision: u8, scale: i8, values: &[Option<i128>]) -> ArrayRef {
    let array = Decimal128Array::from(values.to_vec()).with_data_type(DataType::Decimal128(precision, scale));
    Arc::new(array)
}
/// As [`numerics`], of more than 38 digits, which are given as text.
pub(super) fn wide_numerics(precision: u8, scale: i8, values: &[Option<&str>]) -> ArrayRef {
    let value = |value: &str| match value {
        "NaN" => NUMERIC_NAN_256,
        "Infinity" => NUMERIC_INFINITY_256,
        "-Infinity" => NUMERIC_NEGATIVE_INFINITY_256,
        digits => i256::from_string(digits).expect("digits"),
    };
    let array: Decimal256Array = values.iter().map(|digits| digits.map(value)).collect();
    Arc::new(array.with_data_type(DataType::Decimal256(precision, scale)))
}
pub(super) const NAN: Option<i128> = Some(NUMERIC_NAN);
