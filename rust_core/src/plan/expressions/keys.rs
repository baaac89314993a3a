//! What rows are grouped and sorted by. Each key comes as a comparison of an expression with itself, e = e or e < e: its
//! operator says what equality or order is meant.

use std::sync::Arc;

use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

use super::nodes::Expression;
use super::operators::{Class, Operation};
use super::{TranslateError, Translator, Typed, compare, decline};

/// A grouping expression.
pub struct GroupKey {
    pub value: Arc<dyn PhysicalExpr>,
    /// Equal, byte by byte, where the values are equal to PostgreSQL. The value itself wherever it has one form only.
    pub key: Arc<dyn PhysicalExpr>,
    /// The position (from 1) of the column that the value is, if it is a mere column.
    pub column: Option<usize>,
}

/// A sort expression, in a form that Arrow orders as PostgreSQL does.
pub struct SortKey {
    pub key: Arc<dyn PhysicalExpr>,
    pub descending: bool,
}

impl Translator<'_> {
    /// # Safety
    /// As [`predicate`](Self::predicate), for `clause`.
    pub unsafe fn group_key(&self, clause: *const pg_sys::Node) -> Result<GroupKey, TranslateError> {
        // SAFETY: the caller's promise.
        let (class, operator, collation, expr) = unsafe { read(clause) }?;
        if operator != Operator::Eq {
            return decline("grouping by another operator than equality is not supported");
        }
        self.check_collation(class, operator, collation)?;
        // SAFETY: as above.
        let value = unsafe { self.translate(expr, 1) }?;
        // SAFETY: as above.
        let column = unsafe { bare_column(expr) }?;
        let padded = column.is_some_and(|var| var.vartype == pg_sys::BPCHAROID && var.vartypmod > 0);
        let column = column.map(|var| var.varattno as usize);
        // All values of a char(n) have its length.
        let key = if class == Class::Bpchar && padded { value.clone() } else { normalised(class, value.clone())? };
        Ok(GroupKey { value: value.expr, key: key.expr, column })
    }

    /// # Safety
    /// As [`predicate`](Self::predicate), for `clause`.
    pub unsafe fn sort_key(&self, clause: *const pg_sys::Node) -> Result<SortKey, TranslateError> {
        // SAFETY: the caller's promise.
        let (class, operator, collation, expr) = unsafe { read(clause) }?;
        let descending = match operator {
            Operator::Lt => false,
            Operator::Gt => true,
            _ => return decline("sorting by another operator than < and > is not supported"),
        };
        self.check_collation(class, operator, collation)?;
        // SAFETY: as above.
        let value = unsafe { self.translate(expr, 1) }?;
        Ok(SortKey { key: normalised(class, value)?.expr, descending })
    }
}

fn normalised(class: Class, value: Typed) -> Result<Typed, TranslateError> {
    let [key, _] = compare::unify_two(class, value.clone(), value)?;
    Ok(key)
}

/// Class, operator, collation and first operand of a comparison.
///
/// # Safety
/// As [`Translator::predicate`].
unsafe fn read(clause: *const pg_sys::Node) -> Result<(Class, Operator, Oid, *const pg_sys::Node), TranslateError> {
    // SAFETY: the caller's promise.
    match unsafe { Expression::read(clause)? } {
        Expression::Call { operation: Operation::Compare(class, operator), collation, args } => match args[..] {
            [expr, _] => Ok((class, operator, collation, expr)),
            _ => decline("a comparison without two operands is not supported"),
        },
        _ => decline("grouping or sorting by this type is not supported"),
    }
}

/// The Var that an expression is, below covers that change nothing.
///
/// # Safety
/// As [`Translator::predicate`].
unsafe fn bare_column<'n>(expr: *const pg_sys::Node) -> Result<Option<&'n pg_sys::Var>, TranslateError> {
    // SAFETY: the caller's promise.
    unsafe {
        match Expression::read(expr)? {
            Expression::Var(var) => Ok(Some(var)),
            Expression::Relabel(relabel) => match Expression::read(relabel.arg.cast())? {
                Expression::Var(var) if var.vartype == relabel.resulttype && var.vartypmod == relabel.resulttypmod => {
                    Ok(Some(var))
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }
}
