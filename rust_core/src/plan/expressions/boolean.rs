//! AND, OR and tests of truth, so that a row raises only where PostgreSQL would evaluate the culprit.
//!
//! PostgreSQL evaluates the operands of AND in order and stops at the first FALSE (of OR: TRUE), but
//! not at NULL. DataFusion evaluates a right operand for whole batches when it likes to, which is the
//! same as long as that operand cannot raise. One that can is put into a CASE, whose branches see
//! only their own rows:
//!
//! ```text
//! a AND b  =  CASE a WHEN TRUE THEN b WHEN FALSE THEN FALSE ELSE NULL AND b END
//! a OR b   =  CASE a WHEN FALSE THEN b WHEN TRUE THEN TRUE ELSE NULL OR b END
//! ```
//!
//! This form evaluates `a` once and `b` once a row. The price is that `b` stands there twice, and that
//! DataFusion builds each CASE of a nest anew for each one around it, so nests are bounded. A filter
//! needs no nest, since NULL is as good as FALSE there: it is one flat CASE.
//!
//! ```text
//! a AND b AND c  =  CASE WHEN a IS NOT TRUE THEN FALSE WHEN b IS NOT TRUE THEN FALSE ELSE c END
//! ```

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, IsNotNullExpr, IsNullExpr, Literal};
use pgrx_pg_sys as pg_sys;

use super::{MAX_GUARDS, MAX_SIZE, TranslateError, Typed, decline};
use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

impl Connective {
    fn operator(self) -> Operator {
        match self {
            Self::And => Operator::And,
            Self::Or => Operator::Or,
        }
    }

    /// The value that decides the result, whatever the other operands are.
    fn decisive(self) -> bool {
        self == Self::Or
    }
}

fn literal(value: Option<bool>) -> Arc<dyn PhysicalExpr> {
    Arc::new(Literal::new(ScalarValue::Boolean(value)))
}

fn binary(left: &Typed, op: Operator, right: &Typed) -> Typed {
    let expr = BinaryExpr::new(Arc::clone(&left.expr), op, Arc::clone(&right.expr));
    Typed::boolean(Arc::new(expr), &[left, right])
}

/// One of a chain that cannot raise: halved, so that thousands of operands nest some levels deep only.
fn balanced(kind: Connective, operands: &[Typed]) -> Option<Typed> {
    // Short chains lean to the left: each operand then sees what the ones before left over.
    if operands.len() <= 8 {
        return operands.iter().cloned().reduce(|left, right| binary(&left, kind.operator(), &right));
    }
    let (left, right) = operands.split_at(operands.len() / 2);
    Some(binary(&balanced(kind, left)?, kind.operator(), &balanced(kind, right)?))
}

/// What is evaluated so far, and operands that follow it freely.
fn joined(kind: Connective, head: Option<Typed>, free: &mut Vec<Typed>) -> Option<Typed> {
    let tail = balanced(kind, free);
    free.clear();
    match (head, tail) {
        (Some(head), Some(tail)) => Some(binary(&head, kind.operator(), &tail)),
        (head, tail) => head.or(tail),
    }
}

/// AND or OR of BoolExpr, three-valued.
pub(super) fn connective(kind: Connective, operands: Vec<Typed>) -> Result<Typed, TranslateError> {
    let mut head: Option<Typed> = None;
    let mut free = vec![];
    for operand in operands {
        if !operand.can_raise {
            free.push(operand);
            continue;
        }
        head = Some(match joined(kind, head, &mut free) {
            Some(before) => guarded(kind, &before, &operand)?,
            None => operand,
        });
    }
    match joined(kind, head, &mut free) {
        Some(expr) => Ok(expr),
        None => decline("AND or OR without operands is not supported"),
    }
}

fn guarded(kind: Connective, before: &Typed, operand: &Typed) -> Result<Typed, TranslateError> {
    let decisive = kind.decisive();
    let undecided = BinaryExpr::new(literal(None), kind.operator(), Arc::clone(&operand.expr));
    let case = CaseExpr::try_new(
        Some(Arc::clone(&before.expr)),
        vec![(literal(Some(!decisive)), Arc::clone(&operand.expr)), (literal(Some(decisive)), literal(Some(decisive)))],
        Some(Arc::new(undecided)),
    )
    .map_err(Error::from)?;
    let mut case = Typed::boolean(Arc::new(case), &[before, operand, operand]);
    case.guards += 1;
    if case.size > MAX_SIZE || case.guards > MAX_GUARDS {
        return decline("a condition with so many operands that can raise is not supported");
    }
    Ok(case)
}

/// Clauses of a filter, where NULL is as good as false: a row leaves at the first that is not true.
pub(super) fn filter(clauses: Vec<Typed>) -> Result<Option<Typed>, TranslateError> {
    // What may be evaluated together: runs of clauses that cannot raise, and each of the others alone.
    let mut steps: Vec<Typed> = vec![];
    let mut free = vec![];
    for clause in clauses {
        if clause.can_raise {
            steps.extend(joined(Connective::And, None, &mut free));
            steps.push(clause);
        } else {
            free.push(clause);
        }
    }
    steps.extend(joined(Connective::And, None, &mut free));
    let Some(last) = steps.pop() else { return Ok(None) };
    if steps.is_empty() {
        return Ok(Some(last));
    }
    let leaves = |step: &Typed| -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(Arc::clone(&step.expr), Operator::IsDistinctFrom, literal(Some(true))))
    };
    let branches = steps.iter().map(|step| (leaves(step), literal(Some(false)))).collect();
    let case = CaseExpr::try_new(None, branches, Some(Arc::clone(&last.expr))).map_err(Error::from)?;
    let operands: Vec<&Typed> = steps.iter().chain([&last]).collect();
    let case = Typed::boolean(Arc::new(case), &operands);
    if case.size > MAX_SIZE {
        return decline("a filter is too complex");
    }
    Ok(Some(case))
}

pub(super) fn null_test(argument: Typed, kind: pg_sys::NullTestType::Type) -> Result<Typed, TranslateError> {
    let value = Arc::clone(&argument.expr);
    let expr: Arc<dyn PhysicalExpr> = match kind {
        pg_sys::NullTestType::IS_NULL => Arc::new(IsNullExpr::new(value)),
        pg_sys::NullTestType::IS_NOT_NULL => Arc::new(IsNotNullExpr::new(value)),
        _ => return decline("an unknown test for NULL is not supported"),
    };
    Ok(Typed::boolean(expr, &[&argument]))
}

pub(super) fn boolean_test(argument: Typed, kind: pg_sys::BoolTestType::Type) -> Result<Typed, TranslateError> {
    let is = |op: Operator, value: bool| -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(Arc::clone(&argument.expr), op, literal(Some(value))))
    };
    let expr: Arc<dyn PhysicalExpr> = match kind {
        pg_sys::BoolTestType::IS_TRUE => is(Operator::IsNotDistinctFrom, true),
        pg_sys::BoolTestType::IS_NOT_TRUE => is(Operator::IsDistinctFrom, true),
        pg_sys::BoolTestType::IS_FALSE => is(Operator::IsNotDistinctFrom, false),
        pg_sys::BoolTestType::IS_NOT_FALSE => is(Operator::IsDistinctFrom, false),
        pg_sys::BoolTestType::IS_UNKNOWN => Arc::new(IsNullExpr::new(Arc::clone(&argument.expr))),
        pg_sys::BoolTestType::IS_NOT_UNKNOWN => Arc::new(IsNotNullExpr::new(Arc::clone(&argument.expr))),
        _ => return decline("an unknown test of a boolean is not supported"),
    };
    Ok(Typed::boolean(expr, &[&argument]))
}
