//! SELECT lists: rows, groups with their aggregates, windows; and DISTINCT, the order and the limit, which go by them.

use super::ast::{COLUMNS, Distinct, Expr, Grouping, Order, QUARTERS, Relation, Select, Source, Tree, Ty};
use super::forms::{self, Form};
use super::generate::Generator;
use super::relations::{KEYED, PRIMARY_KEY};

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Rows,
    Groups,
    Windows,
}

/// What may stand behind a key of ORDER BY.
const DIRECTIONS: &[&str] = &["", "", " desc", " asc", " nulls first", " desc nulls last", " desc nulls first"];

fn named(exprs: Vec<Expr>) -> Vec<(String, Expr)> {
    exprs.into_iter().enumerate().map(|(i, expr)| (format!("c{i}"), expr)).collect()
}

/// Of equal values that are written differently any may come out: each of the outputs becomes one that shows no
/// difference.
fn settle(query: &mut Select) {
    for (_, expr) in &mut query.outputs {
        *expr = expr.clone().settled();
    }
}

impl Generator<'_> {
    pub(super) fn outputs(&mut self, query: &mut Select, own: &[Relation], depth: usize) {
        let list = if depth == 0 {
            self.rng.weighted(&[(46, List::Rows), (48, List::Groups), (6, List::Windows)])
        } else {
            self.rng.weighted(&[(63, List::Rows), (35, List::Groups), (2, List::Windows)])
        };
        let count = 1 + self.rng.below(if depth == 0 { 5 } else { 3 });
        let exprs = match list {
            List::Rows => self.rows(own, count, depth),
            List::Groups => self.groups(query, own, count, depth),
            List::Windows => self.windows(own),
        };
        query.outputs = named(if exprs.is_empty() { vec![Expr::literal("1", Ty::Int4)] } else { exprs });
        self.order(query, own, list, depth);
    }

    fn rows(&mut self, own: &[Relation], count: usize, depth: usize) -> Vec<Expr> {
        let mut exprs = Vec::new();
        for _ in 0..count {
            exprs.extend(if self.rng.percent(65) {
                self.any_column(own)
            } else {
                let ty = self.rng.pick(COLUMNS).1;
                Some(self.value(ty, own, 2))
            });
        }
        if !self.plain && depth < 2 && self.rng.percent(9) {
            exprs.push(self.scalar_subquery(own, depth + 1));
        }
        if !self.plain && self.rng.percent(5) {
            exprs.push(self.of_row(own));
        }
        if !self.plain && self.rng.percent(6) {
            exprs.extend(self.window(own));
        }
        exprs
    }

    // ---- groups ----

    fn groups(&mut self, query: &mut Select, own: &[Relation], count: usize, depth: usize) -> Vec<Expr> {
        for _ in 0..self.rng.weighted(&[(22, 0), (42, 1), (24, 2), (12, 3)]) {
            query.group.extend(self.group_key(own));
        }
        let mut exprs: Vec<Expr> = Vec::new();
        match self.keyed_table(query) {
            Some(table) if self.rng.percent(40) => exprs = self.by_primary_key(query, table),
            _ => {
                for key in query.group.clone() {
                    if self.rng.percent(92) {
                        exprs.push(key.settled());
                    }
                }
                if !self.plain && !query.group.is_empty() && self.rng.percent(14) {
                    query.grouping = self.grouping(query.group.len());
                    exprs.extend(self.which_group(&query.group));
                }
            }
        }
        for _ in 0..count {
            exprs.push(if self.rng.percent(25) {
                self.over_aggregates(own, &query.group)
            } else {
                self.aggregate(own)
            });
        }
        if !self.plain && self.rng.percent(7) {
            exprs.push(self.group_window(own));
        }
        if self.rng.percent(28) {
            query.having = Some(self.having(own, &query.group, depth));
        }
        if self.rng.percent(3)
            && let Some(column) = self.column(own, Ty::Int4)
        {
            query.filter.push(Expr::call("$0 < -1000 and $0 > -2000", vec![column], Ty::Bool)); // no rows at all
        }
        exprs
    }

    /// A column or an expression of whatever type, exact or not.
    fn group_key(&mut self, own: &[Relation]) -> Option<Expr> {
        match self.rng.below(100) {
            0..45 => self.any_column(own),
            45..70 => self.exact_column(own),
            _ => {
                let ty = self.rng.pick(COLUMNS).1;
                Some(self.value(ty, own, 2))
            }
        }
    }

    /// The alias of a table whose primary key the others of its columns depend on.
    fn keyed_table(&mut self, query: &Select) -> Option<Relation> {
        let mut tables = Vec::new();
        query.from.iter().for_each(|tree| keyed(tree, &mut tables));
        if tables.is_empty() { None } else { Some(self.rng.pick(&tables).clone()) }
    }

    /// Grouped by it alone, a row's other columns may be selected as they are.
    fn by_primary_key(&mut self, query: &mut Select, table: Relation) -> Vec<Expr> {
        let key = Expr::Column { rel: table.0.clone(), name: PRIMARY_KEY.into(), ty: Ty::Int4 };
        query.group = vec![key.clone()];
        let mut exprs = vec![key];
        for _ in 0..1 + self.rng.below(2) {
            exprs.extend(self.any_column(std::slice::from_ref(&table)));
        }
        exprs
    }

    fn grouping(&mut self, keys: usize) -> Grouping {
        match self.rng.below(3) {
            0 => Grouping::Rollup,
            1 => Grouping::Cube,
            _ => {
                let count = 1 + self.rng.below(4);
                let mut sets: Vec<u8> = (0..count).map(|_| self.rng.below(1 << keys) as u8).collect();
                let missing = ((1 << keys) - 1) & !sets.iter().fold(0, |all, set| all | set);
                if missing != 0 {
                    sets.push(missing); // a key in no set is none
                }
                Grouping::Sets(sets)
            }
        }
    }

    fn which_group(&mut self, group: &[Expr]) -> Option<Expr> {
        match group {
            [one, two, ..] if self.rng.percent(50) => {
                Some(Expr::call("grouping($0, $1)", vec![one.clone(), two.clone()], Ty::Int4))
            }
            [one, ..] if self.rng.percent(70) => Some(Expr::call("grouping($0)", vec![one.clone()], Ty::Int4)),
            _ => None,
        }
    }

    pub(super) fn aggregate(&mut self, own: &[Relation]) -> Expr {
        for _ in 0..10 {
            let forms = if self.rng.percent(20) { forms::QUARTER_AGGREGATES } else { forms::AGGREGATES };
            let form = self.rng.pick(forms);
            if let Some(aggregate) = self.aggregate_by(form, own) {
                return aggregate;
            }
        }
        Expr::call("count(*)", Vec::new(), Ty::Int8)
    }

    /// An aggregate with a result of this type.
    pub(super) fn aggregate_of(&mut self, ty: Ty, own: &[Relation]) -> Option<Expr> {
        let all = forms::AGGREGATES.iter().chain(forms::QUARTER_AGGREGATES);
        let fitting: Vec<&Form> = all.filter(|form| form.gives == ty).collect();
        if fitting.is_empty() {
            return None;
        }
        let form = *self.rng.pick(&fitting);
        self.aggregate_by(form, own).filter(|aggregate| aggregate.ty() == ty)
    }

    fn aggregate_by(&mut self, form: &Form, own: &[Relation]) -> Option<Expr> {
        let quarters = forms::QUARTER_AGGREGATES.iter().any(|other| std::ptr::eq(other, form));
        let mut args = Vec::new();
        for ty in form.args {
            args.push(if quarters {
                self.quarters(own)?
            } else if self.rng.percent(85) {
                self.column(own, *ty)?
            } else {
                self.value(*ty, own, 1)
            });
        }
        let mut aggregate = Expr::call(form.text, args, form.gives);
        let bare = form.text.ends_with(')') && !form.text.starts_with("round(");
        if bare && self.rng.percent(15) {
            let test = self.bool(own, 1);
            aggregate = Expr::call("$0 filter (where $1)", vec![aggregate, test], form.gives);
        }
        let any_of_equals = form.text.starts_with("min(") || form.text.starts_with("max(");
        Some(if any_of_equals { aggregate.settled() } else { aggregate })
    }

    fn quarters(&mut self, own: &[Relation]) -> Option<Expr> {
        let has = |(_, columns): &&Relation| columns.iter().any(|(name, _)| name == QUARTERS);
        let rels: Vec<Relation> = own.iter().filter(has).cloned().collect();
        if rels.is_empty() {
            return None;
        }
        Some(Expr::Column { rel: self.rng.pick(&rels).0.clone(), name: QUARTERS.into(), ty: Ty::Float8 })
    }

    /// Of a column of the subquery and an outer one: evaluated in the subquery.
    pub(super) fn correlated_aggregate(&mut self, own: &[Relation], outer: &[Relation]) -> Option<Expr> {
        let form = self.rng.pick(forms::CORRELATED_AGGREGATES);
        let args = vec![self.column(own, form.args[0])?, self.column(outer, form.args[1])?];
        Some(Expr::call(form.text, args, form.gives))
    }

    fn by_aggregates(&mut self, form: &Form, own: &[Relation], group: &[Expr]) -> Expr {
        let mut args = Vec::new();
        for ty in form.args {
            // A key whose representative is free shows in no expression.
            let keys: Vec<&Expr> = group.iter().filter(|key| key.ty() == *ty && key.is_settled()).collect();
            let key =
                if !keys.is_empty() && self.rng.percent(30) { Some((*self.rng.pick(&keys)).clone()) } else { None };
            let arg = match key {
                Some(key) => Some(key),
                None => self.aggregate_of(*ty, own),
            };
            args.push(arg.unwrap_or_else(|| self.literal(*ty)));
        }
        Expr::call(form.text, args, form.gives)
    }

    fn over_aggregates(&mut self, own: &[Relation], group: &[Expr]) -> Expr {
        let form = self.rng.pick(forms::OVER_AGGREGATES);
        self.by_aggregates(form, own, group)
    }

    fn group_window(&mut self, own: &[Relation]) -> Expr {
        let form = self.rng.pick(forms::GROUP_WINDOWS);
        self.by_aggregates(form, own, &[])
    }

    fn having(&mut self, own: &[Relation], group: &[Expr], depth: usize) -> Expr {
        if !self.plain && depth < 2 && self.rng.percent(8) {
            let subquery = self.scalar_subquery(own, depth + 1);
            let aggregate = self.aggregate_of(subquery.ty(), own);
            if let (Expr::Call { query: Some(query), ty, .. }, Some(aggregate)) = (subquery, aggregate) {
                let mut outer = false; // an outer column would have to be a key
                query.clone().visit(&mut |expr| {
                    outer |= matches!(expr, Expr::Column { rel, .. } if own.iter().any(|(alias, _)| alias == rel));
                });
                if !outer && ty == aggregate.ty() {
                    let form = *self.rng.pick::<&'static str>(forms::VALUE_TESTS);
                    return Expr::Call { form, args: vec![aggregate], query: Some(query), ty: Ty::Bool };
                }
            }
        }
        let form = self.rng.pick(forms::HAVING);
        self.by_aggregates(form, own, group)
    }

    // ---- windows ----

    fn window(&mut self, own: &[Relation]) -> Option<Expr> {
        let window = self.rng.pick(forms::WINDOWS);
        let args: Option<Vec<Expr>> = window.args.iter().map(|ty| self.column(own, *ty)).collect();
        Some(Expr::call(window.text, args?, window.gives))
    }

    /// Three columns, and a window that has them in PARTITION BY and ORDER BY: rows that tie are the same but for its
    /// value. Another window's values could go with the one or the other.
    fn windows(&mut self, own: &[Relation]) -> Vec<Expr> {
        let columns: Option<Vec<Expr>> = (0..3).map(|_| self.exact_column(own)).collect();
        let Some(columns) = columns else { return Vec::new() };
        let mut exprs = columns.clone();
        let (form, gives) = *self.rng.pick(forms::ROW_WINDOWS);
        exprs.push(Expr::call(form, columns.clone(), gives.unwrap_or(columns[0].ty())));
        exprs
    }

    // ---- DISTINCT, order and limit ----

    fn order(&mut self, query: &mut Select, own: &[Relation], list: List, depth: usize) {
        if self.rng.percent(if list == List::Rows { 8 } else { 5 }) {
            query.distinct = Distinct::Rows;
            // Not settled here, but above (settled_above), so that there are such values to be told apart.
            if depth == 0 && self.rng.percent(30) {
                return;
            }
            settle(query);
        } else if self.rng.percent(5) {
            settle(query);
            query.distinct = Distinct::On(1 + self.rng.below(query.outputs.len().min(2)));
        } else if !self.rng.percent(if depth == 0 { 32 } else { 20 }) {
            return;
        }
        let on = matches!(query.distinct, Distinct::On(_));
        if query.distinct == Distinct::Rows && self.rng.percent(50) {
            return;
        }
        let mut order = Order::default();
        let mut places: Vec<usize> = (0..query.outputs.len()).collect();
        for _ in 0..self.rng.below(places.len() + 1) {
            let place = places.remove(self.rng.below(places.len()));
            order.places.push((place, *self.rng.pick(DIRECTIONS)));
        }
        if query.distinct == Distinct::No && list != List::Windows && self.rng.percent(35) {
            for _ in 0..1 + self.rng.below(2) {
                let expr = self.order_key(query, own);
                order.exprs.push((expr, *self.rng.pick(DIRECTIONS)));
            }
        }
        let keys = order.exprs.len() + order.places.len();
        match self.rng.below(100) {
            // Its rows are the same whatever the order of peers, and so no total order is needed.
            0..12 if keys > 0 && !on => {
                order.partial = true;
                query.limit = Some((self.rng.below(30), 0));
                query.ties = true;
            }
            12..30 if keys > 0 && !on => order.partial = true,
            30..80 => {
                settle(query);
                query.limit = Some((self.rng.below(30), if self.rng.percent(20) { self.rng.below(5) } else { 0 }));
            }
            _ => {}
        }
        query.order = Some(order);
    }

    /// Of a key of ORDER BY that is none of the outputs, or not by its place.
    fn order_key(&mut self, query: &Select, own: &[Relation]) -> Expr {
        let key = if query.groups() {
            match self.rng.below(3) {
                0 if !query.group.is_empty() => self.rng.pick(&query.group).clone(),
                1 => self.over_aggregates(own, &query.group),
                _ => self.aggregate(own),
            }
        } else {
            let ty = self.rng.pick(COLUMNS).1;
            self.value(ty, own, 1)
        };
        if key.ty() == Ty::Text && self.rng.percent(5) {
            return Expr::call("$0 collate \"und-x-icu\"", vec![key], Ty::Text);
        }
        key
    }

    /// The rows of a query as a table, each column made such that equal values are the same text.
    pub(super) fn settled_above(&mut self, query: Select) -> Select {
        let alias = self.alias();
        let column = |(name, ty): (String, Ty)| Expr::Column { rel: alias.clone(), name, ty }.settled();
        let outputs = named(query.columns().into_iter().map(column).collect());
        let from = vec![Tree::Leaf { alias, source: Source::Query(Box::new(query)) }];
        Select { outputs, from, ..Select::default() }
    }
}

/// The leaves that are tables with a primary key.
fn keyed(tree: &Tree, into: &mut Vec<Relation>) {
    match tree {
        Tree::Leaf { alias, source: Source::Named { sql, columns, .. } } if sql == KEYED => {
            into.push((alias.clone(), columns.clone()));
        }
        Tree::Leaf { .. } => {}
        Tree::Join { left, right, .. } => {
            keyed(left, into);
            keyed(right, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::super::rng::Rng;
    use super::*;

    /// Every SELECT of some random queries, at whatever depth.
    fn selects() -> Vec<Select> {
        let mut all: Vec<Select> = (0..2_000).map(|index| generate::query(&mut Rng::new(7, index))).collect();
        let mut next = 0;
        while next < all.len() {
            let inner = all[next].queries();
            all.extend(inner);
            next += 1;
        }
        all
    }

    #[test]
    fn what_is_chosen_is_no_matter_of_luck() {
        for query in selects() {
            let settled = query.outputs.iter().all(|(_, expr)| expr.is_settled());
            if query.limit.is_some() && !query.ties {
                assert!(settled && query.order.as_ref().is_some_and(|order| !order.partial), "{}", query.sql());
            }
            if matches!(query.distinct, Distinct::On(_)) {
                assert!(settled, "{}", query.sql());
            }
            if let (Some((_, offset)), true) = (query.limit, query.ties) {
                assert_eq!(offset, 0, "{}", query.sql());
            }
        }
    }

    #[test]
    fn there_is_some_of_everything() {
        let all = selects();
        let count = |test: &dyn Fn(&Select) -> bool| all.iter().filter(|query| test(query)).count();
        for (what, found) in [
            ("groups", count(&Select::groups)),
            ("keys", count(&|query| query.group.len() > 1)),
            ("having", count(&|query| query.having.is_some())),
            ("sets", count(&|query| matches!(query.grouping, Grouping::Sets(_)))),
            ("filter", count(&|query| query.sql().contains(" filter (where"))),
            ("distinct", count(&|query| query.distinct == Distinct::Rows)),
            ("distinct on", count(&|query| matches!(query.distinct, Distinct::On(_)))),
            ("ties", count(&|query| query.ties)),
            ("offset", count(&|query| query.limit.is_some_and(|(_, offset)| offset > 0))),
            ("order by expressions", count(&|query| query.order.iter().any(|order| !order.exprs.is_empty()))),
            ("windows", count(&|query| query.sql().contains("lead("))),
            ("one table, grouped", count(&|query| query.groups() && matches!(query.from[..], [Tree::Leaf { .. }]))),
        ] {
            assert!(found >= 10, "{what}: {found} of {}", all.len());
        }
    }
}
