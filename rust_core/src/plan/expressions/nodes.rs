//! PostgreSQL's expression nodes taken apart: the one place that reads them.
//!
//! Nodes come from the planner, so they are well-formed; what they are is their first word, the tag.

use pgrx_pg_sys as pg_sys;
use pgrx_pg_sys::{NodeTag, Oid};

use super::boolean::Connective;
use super::operators::{self, Operation};
use crate::plan::types::Decline;

/// A node that has a translation, taken apart.
pub(super) enum Expression<'n> {
    Var(&'n pg_sys::Var),
    Const(&'n pg_sys::Const),
    /// OpExpr, FuncExpr.
    Call {
        operation: Operation,
        collation: Oid,
        args: Vec<*const pg_sys::Node>,
    },
    Relabel(&'n pg_sys::RelabelType),
    /// CASE; with an argument, its conditions refer to that by CaseTest.
    Case {
        argument: Option<*const pg_sys::Node>,
        /// Condition and result.
        branches: Vec<(*const pg_sys::Node, *const pg_sys::Node)>,
        default: *const pg_sys::Node,
    },
    CaseTest,
    Coalesce(Vec<*const pg_sys::Node>),
    NullIf {
        equality: Operation,
        collation: Oid,
        args: [*const pg_sys::Node; 2],
    },
    /// IS DISTINCT FROM.
    Distinct {
        equality: Operation,
        collation: Oid,
        args: [*const pg_sys::Node; 2],
    },
    /// GREATEST or LEAST.
    MinMax(&'n pg_sys::MinMaxExpr, Vec<*const pg_sys::Node>),
    Connective(Connective, Vec<*const pg_sys::Node>),
    Not(*const pg_sys::Node),
    NullTest(&'n pg_sys::NullTest),
    BooleanTest(&'n pg_sys::BooleanTest),
    /// `scalar op ANY (array)`, or ALL.
    ArrayComparison {
        operation: Operation,
        collation: Oid,
        any: bool,
        scalar: *const pg_sys::Node,
        array: &'n pg_sys::Const,
    },
}

impl<'n> Expression<'n> {
    /// # Safety
    /// `node` is NULL or a node of the type that its tag says, and lives for `'n`.
    pub(super) unsafe fn read(node: *const pg_sys::Node) -> Result<Self, Decline> {
        // SAFETY: the caller's promise. The tag is read as a number: as an enum, one of a newer minor
        // release would be undefined behaviour.
        unsafe {
            if node.is_null() {
                return Err(Decline::new("an empty expression is not supported"));
            }
            let tag = node.cast::<u32>().read();
            let is = |expected: NodeTag| tag == expected as u32;
            if is(NodeTag::T_Var) {
                Ok(Self::Var(&*node.cast()))
            } else if is(NodeTag::T_Const) {
                Ok(Self::Const(&*node.cast()))
            } else if is(NodeTag::T_OpExpr) {
                let expr: &pg_sys::OpExpr = &*node.cast();
                let operation = operators::of_operator(expr.opno, expr.opfuncid)?;
                Ok(Self::Call { operation, collation: expr.inputcollid, args: list(expr.args) })
            } else if is(NodeTag::T_FuncExpr) {
                let expr: &pg_sys::FuncExpr = &*node.cast();
                let operation = operators::of_function(expr.funcid)?;
                Ok(Self::Call { operation, collation: expr.inputcollid, args: list(expr.args) })
            } else if is(NodeTag::T_RelabelType) {
                Ok(Self::Relabel(&*node.cast()))
            } else if is(NodeTag::T_CaseExpr) {
                let expr: &pg_sys::CaseExpr = &*node.cast();
                let argument = Some(expr.arg.cast_const().cast()).filter(|arg: &*const pg_sys::Node| !arg.is_null());
                let branch = |node: *const pg_sys::Node| {
                    if node.is_null() || node.cast::<u32>().read() != NodeTag::T_CaseWhen as u32 {
                        return Err(Decline::new("a CASE of an unknown form is not supported"));
                    }
                    let when: &pg_sys::CaseWhen = &*node.cast();
                    Ok((when.expr.cast_const().cast(), when.result.cast_const().cast()))
                };
                let branches = list(expr.args).into_iter().map(branch).collect::<Result<_, _>>()?;
                Ok(Self::Case { argument, branches, default: expr.defresult.cast_const().cast() })
            } else if is(NodeTag::T_CaseTestExpr) {
                Ok(Self::CaseTest)
            } else if is(NodeTag::T_CoalesceExpr) {
                Ok(Self::Coalesce(list((*node.cast::<pg_sys::CoalesceExpr>()).args)))
            } else if is(NodeTag::T_NullIfExpr) || is(NodeTag::T_DistinctExpr) {
                // Both are OpExprs but for the tag.
                let expr: &pg_sys::OpExpr = &*node.cast();
                let (equality, collation) = (operators::of_operator(expr.opno, expr.opfuncid)?, expr.inputcollid);
                let args = <[_; 2]>::try_from(list(expr.args))
                    .map_err(|_| Decline::new("NULLIF or DISTINCT of other than two values is not supported"))?;
                match is(NodeTag::T_NullIfExpr) {
                    true => Ok(Self::NullIf { equality, collation, args }),
                    false => Ok(Self::Distinct { equality, collation, args }),
                }
            } else if is(NodeTag::T_MinMaxExpr) {
                let expr: &pg_sys::MinMaxExpr = &*node.cast();
                Ok(Self::MinMax(expr, list(expr.args)))
            } else if is(NodeTag::T_BoolExpr) {
                let expr: &pg_sys::BoolExpr = &*node.cast();
                let args = list(expr.args);
                match (expr.boolop, args.as_slice()) {
                    (pg_sys::BoolExprType::AND_EXPR, [_, ..]) => Ok(Self::Connective(Connective::And, args)),
                    (pg_sys::BoolExprType::OR_EXPR, [_, ..]) => Ok(Self::Connective(Connective::Or, args)),
                    (pg_sys::BoolExprType::NOT_EXPR, [arg]) => Ok(Self::Not(*arg)),
                    _ => Err(Decline::new("an unknown boolean operation is not supported")),
                }
            } else if is(NodeTag::T_NullTest) {
                let test: &pg_sys::NullTest = &*node.cast();
                match test.argisrow {
                    true => Err(Decline::new("IS NULL of a row is not supported")),
                    false => Ok(Self::NullTest(test)),
                }
            } else if is(NodeTag::T_BooleanTest) {
                Ok(Self::BooleanTest(&*node.cast()))
            } else if is(NodeTag::T_ScalarArrayOpExpr) {
                let expr: &pg_sys::ScalarArrayOpExpr = &*node.cast();
                let operation = operators::of_operator(expr.opno, expr.opfuncid)?;
                match list(expr.args)[..] {
                    [scalar, array] => match Self::read(array)? {
                        Self::Const(array) => Ok(Self::ArrayComparison {
                            operation,
                            collation: expr.inputcollid,
                            any: expr.useOr,
                            scalar,
                            array,
                        }),
                        _ => Err(Decline::new("ANY or ALL of an array that is not constant is not supported")),
                    },
                    _ => Err(Decline::new("ANY or ALL with an unexpected number of arguments is not supported")),
                }
            } else {
                Err(unsupported_node(tag))
            }
        }
    }
}

/// # Safety
/// `list` is NIL or a List of pointers that lives for the call.
pub(super) unsafe fn list(list: *const pg_sys::List) -> Vec<*const pg_sys::Node> {
    // SAFETY: the caller's promise; a List has `length` cells at `elements`.
    unsafe {
        if list.is_null() {
            return vec![];
        }
        let length = usize::try_from((*list).length).unwrap_or(0);
        (0..length).map(|cell| (*(*list).elements.add(cell)).ptr_value.cast_const().cast()).collect()
    }
}

fn unsupported_node(tag: u32) -> Decline {
    let names = [
        (NodeTag::T_Param, "a parameter"),
        (NodeTag::T_SubPlan, "a subquery in an expression"),
        (NodeTag::T_AlternativeSubPlan, "a subquery in an expression"),
        (NodeTag::T_PlaceHolderVar, "a placeholder of a subquery's output"),
        (NodeTag::T_RowCompareExpr, "a row comparison"),
        (NodeTag::T_RowExpr, "a row constructor"),
        (NodeTag::T_ArrayExpr, "an array constructor"),
        (NodeTag::T_SubscriptingRef, "an array subscript"),
        (NodeTag::T_FieldSelect, "a field of a composite value"),
        (NodeTag::T_CoerceViaIO, "a cast through text"),
        (NodeTag::T_ArrayCoerceExpr, "a cast of an array"),
        (NodeTag::T_CoerceToDomain, "a cast to a domain"),
        (NodeTag::T_SQLValueFunction, "a function such as CURRENT_DATE"),
        (NodeTag::T_Aggref, "an aggregate"),
        (NodeTag::T_WindowFunc, "a window function"),
    ];
    match names.iter().find(|(node, _)| *node as u32 == tag) {
        Some((_, name)) => Decline(format!("{name} is not supported")),
        None => Decline(format!("an expression of node type {tag} is not supported")),
    }
}
