//! Smaller forms of a query: each with one thing taken out. The caller keeps one that still fails, and asks again.

use super::ast::{Distinct, Expr, Grouping, JoinKind, Order, Select, Source, Tree};

/// Larger cuts first. Some of the forms are no valid query: those fail on neither side, and nobody keeps them.
pub fn smaller(query: &Select) -> Vec<Select> {
    let mut forms = selects(query);
    forms.iter_mut().for_each(Select::repair);
    let text = query.sql();
    forms.retain(|form| form.sql() != text);
    forms.sort_by_key(|form| form.sql().len());
    forms
}

fn without<T: Clone>(items: &[T], place: usize) -> Vec<T> {
    items.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, item)| item.clone()).collect()
}

/// A list of conditions with one dropped, or one made smaller.
fn conditions(items: &[Expr]) -> Vec<Vec<Expr>> {
    let mut forms: Vec<_> = (0..items.len()).map(|i| without(items, i)).collect();
    forms.extend(each(items));
    forms
}

fn each(items: &[Expr]) -> Vec<Vec<Expr>> {
    let mut forms = Vec::new();
    for (i, item) in items.iter().enumerate() {
        for smaller in exprs(item) {
            let mut form = items.to_vec();
            form[i] = smaller;
            forms.push(form);
        }
    }
    forms
}

fn selects(query: &Select) -> Vec<Select> {
    let mut forms = Vec::new();
    let with = |change: &dyn Fn(&mut Select)| {
        let mut form = query.clone();
        change(&mut form);
        form
    };
    for (i, cte) in query.ctes.iter().enumerate() {
        for smaller in selects(&cte.query) {
            forms.push(with(&|form| form.ctes[i].query = smaller.clone()));
        }
        if cte.materialized.is_some() {
            forms.push(with(&|form| form.ctes[i].materialized = None));
        }
    }
    for (i, tree) in query.from.iter().enumerate() {
        if query.from.len() > 1 {
            forms.push(with(&|form| form.from = without(&query.from, i)));
        }
        for smaller in trees(tree) {
            forms.push(with(&|form| form.from[i] = smaller.clone()));
        }
    }
    for filter in conditions(&query.filter) {
        forms.push(with(&|form| form.filter = filter.clone()));
    }
    // Without the rest of the order a limit would be free to choose.
    if query.limit.is_some() {
        forms.push(with(&|form| (form.limit, form.ties) = (None, false)));
    } else if query.order.is_some() && !matches!(query.distinct, Distinct::On(_)) {
        forms.push(with(&|form| form.order = None));
    }
    if let Some(order) = &query.order {
        let changed = |exprs, places| Some(Order { exprs, places, partial: order.partial });
        for i in 0..order.exprs.len() {
            forms.push(with(&|form| form.order = changed(without(&order.exprs, i), order.places.clone())));
            for smaller in exprs(&order.exprs[i].0) {
                let mut keys = order.exprs.clone();
                keys[i].0 = smaller;
                forms.push(with(&|form| form.order = changed(keys.clone(), order.places.clone())));
            }
        }
        for i in 0..order.places.len() {
            forms.push(with(&|form| form.order = changed(order.exprs.clone(), without(&order.places, i))));
        }
    }
    if query.distinct != Distinct::No {
        forms.push(with(&|form| form.distinct = Distinct::No));
    }
    if query.grouping != Grouping::Plain {
        forms.push(with(&|form| form.grouping = Grouping::Plain));
    }
    if let Grouping::Sets(sets) = &query.grouping {
        for i in 0..sets.len() {
            forms.push(with(&|form| form.grouping = Grouping::Sets(without(sets, i))));
        }
    }
    if let Some((word, other)) = &query.combined {
        forms.push(with(&|form| form.combined = None));
        forms.push((**other).clone());
        for smaller in selects(other) {
            forms.push(with(&|form| form.combined = Some((word, Box::new(smaller.clone())))));
        }
    }
    if let Some(having) = &query.having {
        forms.push(with(&|form| form.having = None));
        for smaller in exprs(having) {
            forms.push(with(&|form| form.having = Some(smaller.clone())));
        }
    }
    if !query.group.is_empty() {
        for i in 0..query.group.len() {
            forms.push(with(&|form| form.group = without(&query.group, i)));
        }
    }
    for (i, (_, expr)) in query.outputs.iter().enumerate() {
        if query.outputs.len() > 1 {
            forms.push(with(&|form| form.outputs = without(&query.outputs, i)));
        }
        for smaller in exprs(expr) {
            forms.push(with(&|form| form.outputs[i].1 = smaller.clone()));
        }
    }
    forms
}

fn trees(tree: &Tree) -> Vec<Tree> {
    match tree {
        Tree::Leaf { alias, source } => match source {
            Source::Named { .. } => Vec::new(),
            Source::Query(query) => selects(query)
                .into_iter()
                .map(|query| Tree::Leaf { alias: alias.clone(), source: Source::Query(Box::new(query)) })
                .collect(),
            Source::Lateral(query) => selects(query)
                .into_iter()
                .map(|query| Tree::Leaf { alias: alias.clone(), source: Source::Lateral(Box::new(query)) })
                .chain([Tree::Leaf { alias: alias.clone(), source: Source::Query(query.clone()) }])
                .collect(),
        },
        Tree::Join { kind, left, right, on, using } => {
            let join = |kind: JoinKind, left: &Tree, right: &Tree, on: &[Expr]| Tree::Join {
                kind,
                left: Box::new(left.clone()),
                right: Box::new(right.clone()),
                on: on.to_vec(),
                using: using.clone(),
            };
            let mut forms = vec![(**left).clone(), (**right).clone()];
            forms.extend(trees(left).iter().map(|left| join(*kind, left, right, on)));
            forms.extend(trees(right).iter().map(|right| join(*kind, left, right, on)));
            forms.extend(conditions(on).iter().map(|on| join(*kind, left, right, on)));
            if *kind != JoinKind::Inner && *kind != JoinKind::Cross {
                forms.push(join(JoinKind::Inner, left, right, on));
            }
            forms
        }
    }
}

/// Smaller expressions of the same type.
fn exprs(expr: &Expr) -> Vec<Expr> {
    let Expr::Call { form, args, query, ty } = expr else { return Vec::new() };
    let mut forms: Vec<_> = args.iter().filter(|arg| arg.ty() == *ty).cloned().collect();
    for args in each(args) {
        forms.push(Expr::Call { form, args, query: query.clone(), ty: *ty });
    }
    for smaller in query.iter().flat_map(|query| selects(query)) {
        forms.push(Expr::Call { form, args: args.clone(), query: Some(Box::new(smaller)), ty: *ty });
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::super::ast::Ty;
    use super::*;

    #[test]
    fn each_form_lacks_something() {
        let table = |alias: &str| Tree::Leaf {
            alias: alias.into(),
            source: Source::Named { sql: "few".into(), columns: vec![("k".into(), Ty::Int4)], rename: false },
        };
        let k = |rel: &str| Expr::Column { rel: rel.into(), name: "k".into(), ty: Ty::Int4 };
        let query = Select {
            outputs: vec![("c0".into(), k("r1"))],
            from: vec![Tree::Join {
                kind: JoinKind::Left,
                left: Box::new(table("r1")),
                right: Box::new(table("r2")),
                on: vec![Expr::call("$0 = $1", vec![k("r1"), k("r2")], Ty::Bool)],
                using: Vec::new(),
            }],
            ..Select::default()
        };
        let forms: Vec<String> = smaller(&query).iter().map(Select::sql).collect();
        assert_eq!(
            forms,
            [
                "select r1.k as c0 from few r1",
                "select null::int4 as c0 from few r2",
                "select r1.k as c0 from few r1 left join few r2 on true",
                "select r1.k as c0 from few r1 join few r2 on r1.k = r2.k",
            ]
        );
    }
}
