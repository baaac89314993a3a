//! The errors that a query can raise in one order of evaluation and not in another.
//!
//! PostgreSQL promises no order between the conditions of different relations and joins: whether `1 / r1.i4 = r2.k` is
//! evaluated for a row of r1 that `r1.i4 = r3.k` would have dropped depends on the plan, and with it whether the query
//! raises. So an error that one engine alone raises is nobody's fault if one of the query's own conditions, or an
//! expression of a select list, raises it over all rows of just the relations that it mentions: no plan gives it more
//! rows than that. Where even so nothing raises that SQLSTATE, an engine made the error up. And JoinScan has to raise it
//! there as PostgreSQL does, or else it was JoinScan that missed it: a table of one row makes a join of each.
//!
//! The measure errs to the lenient side: among the conditions of one relation both engines keep an order, and this does
//! not look at that.

use std::collections::HashMap;

use super::ast::{Expr, Select, Source, Tree};

/// For each of these classes (data, cardinality, integrity, type mismatch, NaN as an integer) it is the values that raise.
pub fn depends_on_values(state: &str) -> bool {
    ["21", "22", "23"].contains(&state.get(..2).unwrap_or_default()) || ["42804", "0A000"].contains(&state)
}

/// One query for each condition and each expression of a select list, at whatever depth; those of fewer relations first.
pub fn alone(query: &Select) -> Vec<String> {
    let mut selects = vec![query.clone()];
    let mut next = 0;
    while next < selects.len() {
        let inner = selects[next].queries();
        selects.extend(inner);
        next += 1;
    }
    let mut leaves = HashMap::new();
    let mut exprs = Vec::new();
    for select in &selects {
        for tree in &select.from {
            split(tree, &mut leaves, &mut exprs);
        }
        let outputs = select.outputs.iter().map(|(_, expr)| expr);
        let order = select.order.iter().flat_map(|order| order.exprs.iter().map(|(expr, _)| expr));
        for expr in outputs.chain(&select.filter).chain(&select.group).chain(&select.having).chain(order) {
            conjuncts(expr, &mut exprs);
        }
    }
    let with = query.with();
    let mut texts: Vec<(usize, String)> = exprs.iter().filter_map(|expr| over_all_rows(expr, &leaves, &with)).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.into_iter().map(|(_, text)| text).collect()
}

/// The tree's leaves by their aliases, and its joins' conditions.
fn split<'a>(tree: &'a Tree, leaves: &mut HashMap<&'a str, &'a Tree>, exprs: &mut Vec<Expr>) {
    match tree {
        Tree::Leaf { alias, .. } => {
            leaves.insert(alias, tree);
        }
        Tree::Join { left, right, on, .. } => {
            split(left, leaves, exprs);
            split(right, leaves, exprs);
            on.iter().for_each(|expr| conjuncts(expr, exprs));
        }
    }
}

/// PostgreSQL takes the parts of an AND, and of a NOT over OR, as conditions of their own. Of aggregates it is what
/// they are computed from.
fn conjuncts(expr: &Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::Call { args, .. } if expr.has_aggregate() => args.iter().for_each(|arg| conjuncts(arg, into)),
        Expr::Call { form: "($0 and $1)", args, .. } => args.iter().for_each(|arg| conjuncts(arg, into)),
        Expr::Call { form: "(not $0)", args, .. } => match &args[0] {
            Expr::Call { form: "($0 or $1)", args, .. } => args.iter().for_each(|arg| conjuncts(arg, into)),
            _ => into.push(expr.clone()),
        },
        _ => into.push(expr.clone()),
    }
}

/// With the number of relations. None for what mentions none: it is the same in any order.
fn over_all_rows(expr: &Expr, leaves: &HashMap<&str, &Tree>, with: &str) -> Option<(usize, String)> {
    let mut from = Vec::new();
    mention(expr, leaves, &mut from);
    if from.is_empty() {
        return None;
    }
    let from: Vec<String> = from.iter().filter_map(|alias| leaves.get(alias.as_str())).map(|leaf| leaf.sql()).collect();
    Some((from.len(), format!("{with}select count({}) from {}, one", expr.sql(), from.join(", "))))
}

/// The aliases in an expression, each after those that its own LATERAL needs.
fn mention(expr: &Expr, leaves: &HashMap<&str, &Tree>, into: &mut Vec<String>) {
    let mut own = expr.clone();
    let mut aliases = Vec::new();
    own.visit(&mut |expr| {
        if let Expr::Column { rel, .. } = expr {
            aliases.push(rel.clone());
        }
    });
    let inside = inner_aliases(expr.inner());
    for alias in aliases {
        if inside.contains(&alias) || into.contains(&alias) {
            continue;
        }
        if let Some(Tree::Leaf { source: Source::Lateral(query), .. }) = leaves.get(alias.as_str()) {
            let query = Expr::Call { form: "$q", args: Vec::new(), query: Some(query.clone()), ty: expr.ty() };
            mention(&query, leaves, into);
        }
        into.push(alias);
    }
}

/// The aliases that queries have of themselves, at every depth.
fn inner_aliases(mut queries: Vec<Select>) -> Vec<String> {
    let mut aliases = Vec::new();
    while let Some(query) = queries.pop() {
        let mut relations = Vec::new();
        query.from.iter().for_each(|tree| tree.relations(&mut relations));
        aliases.extend(relations.into_iter().map(|(alias, _)| alias));
        queries.extend(query.queries());
    }
    aliases
}

#[cfg(test)]
mod tests {
    use super::super::ast::{JoinKind, Ty};
    use super::*;

    fn k(rel: &str) -> Expr {
        Expr::Column { rel: rel.into(), name: "k".into(), ty: Ty::Int4 }
    }

    fn leaf(alias: &str, source: Source) -> Tree {
        Tree::Leaf { alias: alias.into(), source }
    }

    fn table() -> Source {
        Source::Named { sql: "few".into(), columns: vec![("k".into(), Ty::Int4)], rename: false }
    }

    #[test]
    fn each_condition_has_its_relations_alone() {
        let inner = Select {
            outputs: vec![("k".into(), Expr::call("1 / $0", vec![k("r1")], Ty::Int4))],
            from: vec![leaf("r3", table())],
            ..Select::default()
        };
        let on = Expr::call(
            "($0 and $1)",
            vec![
                Expr::call("$0 = 1", vec![k("r2")], Ty::Bool),
                Expr::call("$0 = $1", vec![k("r1"), k("r4")], Ty::Bool),
            ],
            Ty::Bool,
        );
        let join = |right, on| Tree::Join {
            kind: JoinKind::Left,
            left: Box::new(leaf("r1", table())),
            right,
            on,
            using: Vec::new(),
        };
        let query = Select {
            outputs: vec![("c0".into(), Expr::literal("1", Ty::Int4))],
            from: vec![
                join(Box::new(leaf("r4", Source::Lateral(Box::new(inner)))), Vec::new()),
                join(Box::new(leaf("r2", table())), vec![on]),
            ],
            ..Select::default()
        };
        assert_eq!(
            alone(&query),
            [
                "select count(1 / r1.k) from few r1, one",
                "select count(r2.k = 1) from few r2, one",
                "select count(r1.k = r4.k) from few r1, lateral (select 1 / r1.k as k from few r3) r4, one",
            ]
        );
    }

    #[test]
    fn which_errors() {
        assert!(depends_on_values("22012") && depends_on_values("42804"));
        assert!(!depends_on_values("53200") && !depends_on_values("XX000") && !depends_on_values(""));
    }
}
