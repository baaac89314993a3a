//! PostgreSQL's expression trees as DataFusion's physical expressions, with PostgreSQL's answers.
//!
//! Called at planning, to learn whether a clause can go into a plan, and when a plan is made. Nodes
//! are read through their struct layouts alone: no PostgreSQL function runs here. What has no exact
//! counterpart is declined with a reason.
//!
//! Two things make the difference to a plain translation. Comparisons stand over operands of one
//! Arrow type whose order and equality *are* PostgreSQL's (`compare.rs`), so that they serve as join
//! keys too. And what can raise is evaluated only for the rows for which PostgreSQL evaluates it
//! (`boolean.rs`).

mod aggregates;
mod boolean;
mod builtins;
mod case;
mod compare;
mod compute;
mod constants;
mod keys;
mod nodes;
mod operators;

use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal, NotExpr};
use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::Oid;

use super::functions::{self, Function, text};
use super::types::{Decline, arrow_type};
use crate::error::Error;
use crate::host::Host;
pub use aggregates::AggregateCall;
pub use keys::{GroupKey, SortKey};
use nodes::Expression;
use operators::{Class, Operation};

/// How deep an expression may be nested: every level is some stack, here and at each evaluation.
const MAX_DEPTH: usize = 100;

/// Nodes that a translation may grow to.
const MAX_SIZE: usize = 50_000;
/// CASEs around each other that guard operands: each level doubles the work of making the outermost.
const MAX_GUARDS: usize = 8;

/// Why there is no expression.
#[derive(Clone, Debug)]
pub enum TranslateError {
    /// The plan cannot have it.
    Decline(Decline),
    /// The host failed: an ERROR is parked.
    Error(Error),
}

impl From<Decline> for TranslateError {
    fn from(decline: Decline) -> Self {
        Self::Decline(decline)
    }
}

impl From<Error> for TranslateError {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn decline<T>(reason: impl Into<String>) -> Result<T, TranslateError> {
    Err(Decline::new(reason).into())
}

/// Where the Vars of an expression are found in a batch.
pub trait Columns {
    /// A column expression, and its type: that of the plan's schema, where a value may lie otherwise than
    /// `arrow_type` would have it by the Var.
    fn column(&self, var: &pg_sys::Var) -> Result<(Arc<dyn PhysicalExpr>, DataType), TranslateError>;
}

/// For planner checks, when there is no batch yet: every Var that a plan could carry.
pub struct AnyColumns<'a> {
    pub host: &'a dyn Host,
}

impl Columns for AnyColumns<'_> {
    fn column(&self, var: &pg_sys::Var) -> Result<(Arc<dyn PhysicalExpr>, DataType), TranslateError> {
        if var.varlevelsup > 0 {
            return decline("a column of an outer query is not supported");
        }
        match var.varattno {
            0 => return decline("a whole-row reference is not supported"),
            ..0 => return decline("a system column is not supported"),
            _ => (),
        }
        let layout = self.host.type_layout(var.vartype.to_u32())?;
        Ok((Arc::new(Column::new("column", 0)), arrow_type(var.vartype, var.vartypmod, layout)?))
    }
}

/// An expression and what must be known of it.
#[derive(Clone)]
struct Typed {
    expr: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    /// Evaluating it may raise an ERROR.
    can_raise: bool,
    /// Nodes in it.
    size: usize,
    /// CASEs around each other in it.
    guards: usize,
}

impl Typed {
    fn literal(value: ScalarValue) -> Self {
        let data_type = value.data_type();
        Self { expr: Arc::new(Literal::new(value)), data_type, can_raise: false, size: 1, guards: 0 }
    }

    fn boolean(expr: Arc<dyn PhysicalExpr>, operands: &[&Typed]) -> Self {
        Self {
            expr,
            data_type: DataType::Boolean,
            can_raise: operands.iter().any(|operand| operand.can_raise),
            size: 1 + operands.iter().map(|operand| operand.size).sum::<usize>(),
            guards: operands.iter().map(|operand| operand.guards).max().unwrap_or(0),
        }
    }

    fn as_literal(&self) -> Option<&ScalarValue> {
        self.expr.downcast_ref::<Literal>().map(Literal::value)
    }

    /// The call of a function. One that cannot raise is computed at once when all is constant.
    fn call(
        function: Function,
        operands: Vec<Typed>,
        data_type: DataType,
        raises: bool,
    ) -> Result<Self, TranslateError> {
        let can_raise = raises || operands.iter().any(|operand| operand.can_raise);
        let constant = !can_raise && operands.iter().all(|operand| operand.as_literal().is_some());
        let size = 1 + operands.iter().map(|operand| operand.size).sum::<usize>();
        let guards = operands.iter().map(|operand| operand.guards).max().unwrap_or(0);
        let args = operands.into_iter().map(|operand| operand.expr).collect();
        let expr = functions::call(function, args, data_type.clone());
        if constant {
            let value = expr.evaluate(&ONE_ROW).and_then(|value| value.into_array(1)).map_err(Error::from)?;
            return Ok(Self::literal(ScalarValue::try_from_array(&value, 0).map_err(Error::from)?));
        }
        Ok(Self { expr, data_type, can_raise, size, guards })
    }
}

/// A row without columns, to evaluate constants on.
static ONE_ROW: LazyLock<RecordBatch> = LazyLock::new(|| {
    RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        vec![],
        &RecordBatchOptions::new().with_row_count(Some(1)),
    )
    .expect("no columns agree with no fields")
});

/// Translates expressions over the columns that `columns` knows.
pub struct Translator<'a> {
    pub host: &'a dyn Host,
    pub columns: &'a dyn Columns,
    /// What CaseTestExpr stands for: the argument of the CASE whose condition this translates.
    case_argument: Option<&'a Typed>,
}

impl<'a> Translator<'a> {
    pub fn new(host: &'a dyn Host, columns: &'a dyn Columns) -> Self {
        Self { host, columns, case_argument: None }
    }

    /// A boolean expression, three-valued as in PostgreSQL, and whether evaluating it can raise an ERROR.
    ///
    /// # Safety
    /// `node` is an expression tree that lives for the call, Params bound to Consts.
    pub unsafe fn predicate(&self, node: *const pg_sys::Node) -> Result<(Arc<dyn PhysicalExpr>, bool), TranslateError> {
        // SAFETY: the caller's promise.
        let predicate = unsafe { self.boolean(node, 0)? };
        Ok((predicate.expr, predicate.can_raise))
    }

    /// An expression of any type, and its type.
    ///
    /// # Safety
    /// As [`predicate`](Self::predicate).
    pub unsafe fn value(&self, node: *const pg_sys::Node) -> Result<(Arc<dyn PhysicalExpr>, DataType), TranslateError> {
        // SAFETY: the caller's promise.
        let value = unsafe { self.translate(node, 0)? };
        Ok((value.expr, value.data_type))
    }

    /// A filter: all of `nodes`, evaluated in this order as PostgreSQL's executor does (ExecQual): a
    /// row leaves at the first clause that is not true, so no later clause raises for it. Rows pass
    /// where the result is true. None when there are no clauses.
    ///
    /// # Safety
    /// As [`predicate`](Self::predicate), for each node.
    pub unsafe fn conjunction(
        &self,
        nodes: &[*const pg_sys::Node],
    ) -> Result<Option<Arc<dyn PhysicalExpr>>, TranslateError> {
        // SAFETY: the caller's promise.
        let clauses = nodes.iter().map(|node| unsafe { self.boolean(*node, 0) }).collect::<Result<Vec<_>, _>>()?;
        Ok(boolean::filter(clauses)?.map(|filter| filter.expr))
    }

    /// # Safety
    /// As [`predicate`](Self::predicate).
    unsafe fn boolean(&self, node: *const pg_sys::Node, depth: usize) -> Result<Typed, TranslateError> {
        // SAFETY: the caller's promise.
        let expr = unsafe { self.translate(node, depth)? };
        if expr.data_type != DataType::Boolean {
            return decline("a condition that is not boolean is not supported");
        }
        Ok(expr)
    }

    /// # Safety
    /// As [`predicate`](Self::predicate).
    unsafe fn translate(&self, node: *const pg_sys::Node, depth: usize) -> Result<Typed, TranslateError> {
        if depth > MAX_DEPTH {
            return decline("an expression is nested too deeply");
        }
        // SAFETY: the caller's promise, for this node and for all that it points at.
        let expr = unsafe {
            match Expression::read(node)? {
                Expression::Var(var) => {
                    let (expr, data_type) = self.columns.column(var)?;
                    Typed { expr, data_type, can_raise: false, size: 1, guards: 0 }
                }
                Expression::Const(constant) => Typed::literal(constants::scalar(self.host, constant)?),
                Expression::Call { operation: Operation::Builtin(builtin), collation, args } => {
                    self.builtin(builtin, collation, &args, depth)?
                }
                Expression::Call { operation, collation, args } => {
                    let args = self.each(&args, depth)?;
                    self.call(operation, collation, args)?
                }
                Expression::Case { argument, branches, default } => self.case(argument, &branches, default, depth)?,
                Expression::CaseTest => match self.case_argument {
                    Some(argument) => argument.clone(),
                    None => return decline("a value of an unknown CASE is not supported"),
                },
                Expression::Coalesce(args) => case::coalesce(self.each(&args, depth)?)?,
                Expression::NullIf { equality, collation, args } => {
                    self.null_if(equality, collation, self.each(&args, depth)?)?
                }
                Expression::Distinct { equality, collation, args } => {
                    self.distinct(equality, collation, self.each(&args, depth)?)?
                }
                Expression::MinMax(expr, args) => self.min_max(expr, self.each(&args, depth)?)?,
                Expression::Relabel(relabel) => {
                    let argument = self.translate(relabel.arg.cast(), depth + 1)?;
                    compute::relabelled(self.host, argument, relabel.resulttype)?
                }
                Expression::Connective(kind, args) => {
                    let mut operands = vec![];
                    for arg in args {
                        operands.push(self.boolean(arg, depth + 1)?);
                    }
                    boolean::connective(kind, operands)?
                }
                Expression::Not(arg) => {
                    let argument = self.boolean(arg, depth + 1)?;
                    Typed::boolean(Arc::new(NotExpr::new(Arc::clone(&argument.expr))), &[&argument])
                }
                Expression::NullTest(test) => {
                    let argument = self.translate(test.arg.cast(), depth + 1)?;
                    boolean::null_test(argument, test.nulltesttype)?
                }
                Expression::BooleanTest(test) => {
                    let argument = self.boolean(test.arg.cast(), depth + 1)?;
                    boolean::boolean_test(argument, test.booltesttype)?
                }
                Expression::ArrayComparison { operation, collation, any, scalar, array } => {
                    let (class, op) = compare::membership(operation, any)?;
                    self.check_collation(class, op, collation)?;
                    let scalar = self.translate(scalar, depth + 1)?;
                    compare::in_list(class, scalar, constants::elements(self.host, array)?, !any)?
                }
            }
        };
        if expr.size > MAX_SIZE {
            return decline("an expression is too complex");
        }
        Ok(expr)
    }

    /// # Safety
    /// As [`predicate`](Self::predicate), for each node.
    unsafe fn each(&self, nodes: &[*const pg_sys::Node], depth: usize) -> Result<Vec<Typed>, TranslateError> {
        // SAFETY: the caller's promise.
        nodes.iter().map(|node| unsafe { self.translate(*node, depth + 1) }).collect()
    }

    fn call(&self, operation: Operation, collation: Oid, args: Vec<Typed>) -> Result<Typed, TranslateError> {
        match (operation, <[Typed; 2]>::try_from(args)) {
            (Operation::Compare(class, op), Ok([left, right])) => {
                self.check_collation(class, op, collation)?;
                compare::compare(class, op, left, right)
            }
            (Operation::Arithmetic(op), Ok([left, right])) => compute::arithmetic(op, left, right),
            (Operation::Like { negated }, Ok([text, pattern])) => self.like(collation, text, pattern, negated),
            (operation, Err(args)) => match (operation, <[Typed; 1]>::try_from(args)) {
                (Operation::Negate, Ok([argument])) => compute::negate(argument),
                (Operation::Identity, Ok([argument])) => Ok(argument),
                (Operation::Cast { function, raises }, Ok([argument])) => compute::cast(function, argument, raises),
                _ => decline("a function was called with an unexpected number of arguments"),
            },
            _ => decline("a function was called with an unexpected number of arguments"),
        }
    }

    /// Text equals bytewise under deterministic collations, and is ordered bytewise under C ones.
    fn check_collation(
        &self,
        class: Class,
        op: datafusion::logical_expr::Operator,
        collation: Oid,
    ) -> Result<(), TranslateError> {
        if !matches!(class, Class::Text | Class::Bpchar | Class::Name) {
            return Ok(());
        }
        if collation == Oid::INVALID {
            return decline("a text comparison without a collation is not supported");
        }
        let flags = self.host.collation(collation.to_u32())?;
        match op {
            Operator::Eq | Operator::NotEq if flags.deterministic || flags.c => Ok(()),
            Operator::Eq | Operator::NotEq => {
                decline("text equality under a nondeterministic collation is not supported")
            }
            _ if flags.c => Ok(()),
            _ => decline("text order under a collation other than C is not supported"),
        }
    }

    fn like(&self, collation: Oid, text: Typed, pattern: Typed, negated: bool) -> Result<Typed, TranslateError> {
        if collation != Oid::INVALID {
            let flags = self.host.collation(collation.to_u32())?;
            if !(flags.deterministic || flags.c) {
                return decline("LIKE under a nondeterministic collation is not supported");
            }
        }
        match pattern.as_literal() {
            Some(ScalarValue::Utf8(Some(pattern))) if text::pattern_is_valid(pattern) => (),
            Some(ScalarValue::Utf8(Some(_))) => {
                return decline("a LIKE pattern that ends with a backslash is not supported");
            }
            // A NULL is what the planner asks with in place of a parameter, whose value may be no pattern.
            _ => return decline("LIKE with a pattern that is not constant is not supported"),
        }
        if text.data_type != DataType::Utf8 {
            return decline("LIKE over another type than text is not supported");
        }
        let like = Typed::call(Function::Like, vec![text, pattern], DataType::Boolean, false)?;
        Ok(if negated { Typed::boolean(Arc::new(NotExpr::new(Arc::clone(&like.expr))), &[&like]) } else { like })
    }
}

/// The two sides of a join key, from an equality clause: expressions of one Arrow type for which
/// Arrow's equality and hash are PostgreSQL's equality. `left` resolves the Vars of the clause's first
/// operand, `right` those of its second.
///
/// An operand that can raise is declined: where PostgreSQL evaluates it depends on its join method (with
/// an empty inner side, say, a hash join never looks at the outer one), so ours could raise alone.
///
/// # Safety
/// As [`Translator::predicate`].
pub unsafe fn key(
    host: &dyn Host,
    clause: *const pg_sys::Node,
    left: &dyn Columns,
    right: &dyn Columns,
) -> Result<[Arc<dyn PhysicalExpr>; 2], TranslateError> {
    // SAFETY: the caller's promise.
    unsafe {
        let (class, collation, args) = match Expression::read(clause)? {
            Expression::Call { operation: Operation::Compare(class, Operator::Eq), collation, args } => {
                (class, collation, args)
            }
            _ => return decline("a join key that is not a plain equality is not supported"),
        };
        let [first, second] = args[..] else {
            return decline("a join key that is not an equality of two values is not supported");
        };
        let translator = Translator::new(host, left);
        translator.check_collation(class, Operator::Eq, collation)?;
        let first = translator.translate(first, 1)?;
        let second = Translator::new(host, right).translate(second, 1)?;
        if first.can_raise || second.can_raise {
            return decline("a join key that can raise an error is not supported");
        }
        let [first, second] = compare::unify_two(class, first, second)?;
        Ok([first.expr, second.expr])
    }
}

/// The value of a Const as a column of the plan, of the Const's type and held as `data_type`, has it; None where it would
/// not hold it.
///
/// # Safety
/// As [`Translator::predicate`].
pub unsafe fn stored(
    host: &dyn Host,
    node: *const pg_sys::Node,
    data_type: &DataType,
) -> Result<Option<ScalarValue>, TranslateError> {
    // SAFETY: the caller's promise.
    match unsafe { Expression::read(node)? } {
        Expression::Const(constant) => unsafe { constants::stored(host, constant, data_type) },
        _ => decline("a value that is not constant is not supported"),
    }
}

/// The two operands of an equality clause.
///
/// # Safety
/// As [`Translator::predicate`].
pub unsafe fn operands(clause: *const pg_sys::Node) -> Result<[*const pg_sys::Node; 2], Decline> {
    // SAFETY: the caller's promise.
    match unsafe { Expression::read(clause)? } {
        Expression::Call { args, .. } => {
            <[_; 2]>::try_from(args).map_err(|_| Decline("a join key needs two operands".into()))
        }
        _ => Err(Decline("a join key that is not a plain equality is not supported".into())),
    }
}

/// The Vars of an expression, each as often as it occurs.
///
/// # Safety
/// As [`Translator::predicate`]; the Vars live as long as the tree.
pub unsafe fn variables<'n>(node: *const pg_sys::Node) -> Result<Vec<&'n pg_sys::Var>, Decline> {
    let mut found = vec![];
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        // SAFETY: the caller's promise; what the tree points at is part of it.
        match unsafe { Expression::read(node)? } {
            Expression::Var(var) => found.push(var),
            Expression::Const(_) => (),
            Expression::Call { args, .. } | Expression::Connective(_, args) => waiting.extend(args.into_iter().rev()),
            Expression::Relabel(relabel) => waiting.push(relabel.arg.cast()),
            Expression::Not(arg) => waiting.push(arg),
            Expression::NullTest(test) => waiting.push(test.arg.cast()),
            Expression::BooleanTest(test) => waiting.push(test.arg.cast()),
            Expression::ArrayComparison { scalar, .. } => waiting.push(scalar),
            Expression::Case { argument, branches, default } => {
                waiting.push(default);
                waiting.extend(branches.into_iter().rev().flat_map(|(condition, result)| [result, condition]));
                waiting.extend(argument);
            }
            Expression::CaseTest => (),
            Expression::Coalesce(args) | Expression::MinMax(_, args) => waiting.extend(args.into_iter().rev()),
            Expression::NullIf { args, .. } | Expression::Distinct { args, .. } => {
                waiting.extend(args.into_iter().rev());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
