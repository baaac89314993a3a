//! Random join queries over the tables of schema.sql. What can raise (overflow, division by zero) is rare, so that
//! most queries have rows to compare.

use super::ast::{Cte, Distinct, Expr, Grouping, JoinKind, Relation, Select, Source, Tree, Ty};
use super::forms;
use super::rng::Rng;

pub struct Generator<'a> {
    pub(super) rng: &'a mut Rng,
    /// Nothing but inner joins of tables, by the types that most tables are made of: else few queries have no word at
    /// all that keeps JoinScan out.
    pub(super) plain: bool,
    aliases: usize,
    /// The aliases of tables, which have system columns.
    pub(super) tables: Vec<String>,
    pub(super) ctes: Vec<Relation>,
}

pub fn query(rng: &mut Rng) -> Select {
    let plain = rng.percent(30);
    let mut generator = Generator { rng, plain, aliases: 0, tables: Vec::new(), ctes: Vec::new() };
    let mut ctes = Vec::new();
    if !plain && generator.rng.percent(12) {
        for i in 0..1 + generator.rng.below(2) {
            let query = generator.select(&[], 1);
            let name = format!("w{i}");
            let materialized = *generator.rng.pick(&[None, Some(true), Some(true), Some(false)]);
            generator.ctes.push((name.clone(), query.columns()));
            ctes.push(Cte { name, materialized, query });
        }
    }
    let mut query = generator.select(&[], 0);
    if query.distinct == Distinct::Rows && !query.outputs.iter().all(|(_, expr)| expr.is_settled()) {
        query = generator.settled_above(query);
    } else if !plain && generator.rng.percent(8) {
        generator.combine(&mut query);
    }
    query.ctes = ctes;
    query.repair();
    query
}

impl Generator<'_> {
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("r{}", self.aliases)
    }

    /// A SELECT that may refer to `outer`; depth 0 is the top.
    pub(super) fn select(&mut self, outer: &[Relation], depth: usize) -> Select {
        let count = match depth {
            0 => self.rng.weighted(&[(9, 1), (38, 2), (27, 3), (15, 4), (8, 5), (4, 6)]),
            1 => self.rng.weighted(&[(60, 1), (30, 2), (10, 3)]),
            _ => 1,
        };
        let mut query = Select { from: self.from(count, depth), ..Select::default() };
        let mut own: Vec<Relation> = Vec::new();
        query.from.iter().for_each(|tree| tree.relations(&mut own));

        if !self.plain && depth < 2 && self.rng.percent(if depth == 0 { 6 } else { 2 }) {
            let inner = self.correlated(&own, depth + 1);
            let alias = self.alias();
            let columns = inner.columns();
            let leaf = Tree::Leaf { alias: alias.clone(), source: Source::Lateral(Box::new(inner)) };
            // LATERAL sees what stands to its left in the same tree.
            let left = query.from.remove(0);
            if query.from.is_empty() {
                let kind = *self.rng.pick(&[JoinKind::Cross, JoinKind::Left, JoinKind::Inner]);
                query.from.push(Tree::Join {
                    kind,
                    left: Box::new(left),
                    right: Box::new(leaf),
                    on: Vec::new(),
                    using: Vec::new(),
                });
                own.push((alias, columns));
            } else {
                query.from.insert(0, left);
            }
        }

        self.connect(&mut query, outer);
        let mut scope = own.clone();
        scope.extend_from_slice(outer);
        for _ in 0..self.rng.weighted(&[(35, 0), (40, 1), (20, 2), (5, 3)]) {
            let on_own = if self.rng.percent(85) { &own } else { &scope };
            query.filter.push(self.bool(on_own, 2));
        }
        if !self.plain && depth < 2 && self.rng.percent(if depth == 0 { 26 } else { 8 }) {
            let test = self.subquery_test(&own, depth + 1);
            query.filter.push(test);
        }
        self.outputs(&mut query, &own, depth);
        query
    }

    /// UNION or its kin with a second query. Not of columns with a declared precision or length: where one side is known
    /// to be empty, it depends on PostgreSQL's plan whether the result keeps the other side's.
    fn combine(&mut self, query: &mut Select) {
        let declared = |expr: &Expr| matches!(expr.ty(), Ty::Numeric | Ty::Char | Ty::Varchar) && !expr.has_aggregate();
        if query.outputs.iter().any(|(_, expr)| declared(expr)) {
            return;
        }
        let mut other = self.select(&[], 0);
        let grouped = other.groups() && self.rng.percent(60);
        let mut own = Vec::new();
        other.from.iter().for_each(|tree| tree.relations(&mut own));
        other.distinct = Distinct::No;
        (other.order, other.limit, other.ties) = (None, None, false);
        if !grouped {
            (other.group, other.grouping, other.having) = (Vec::new(), Grouping::Plain, None);
        }
        let mut column = |ty| match if grouped { self.aggregate_of(ty, &own) } else { Some(self.value(ty, &own, 1)) } {
            Some(value) => value,
            None => self.literal(ty),
        };
        other.outputs = query.columns().into_iter().map(|(name, ty)| (name, column(ty))).collect();
        // Of equal values that are written differently, a UNION may keep any.
        let words: &[&str] = if query.outputs.iter().all(|(_, expr)| expr.ty().is_exact()) {
            &["union", "union all", "union all", "except", "except all", "intersect"]
        } else {
            &["union all"]
        };
        if matches!(query.distinct, Distinct::On(_)) {
            query.distinct = Distinct::No; // its order would come after the union
        }
        if let Some(order) = &mut query.order {
            order.exprs.clear(); // a union is ordered by its columns alone
            order.partial &= !order.places.is_empty();
        }
        query.combined = Some((*self.rng.pick(words), Box::new(other)));
    }

    /// A SELECT with one equality to `outer`.
    fn correlated(&mut self, outer: &[Relation], depth: usize) -> Select {
        let mut query = self.select(outer, depth);
        let mut own = Vec::new();
        query.from.iter().for_each(|tree| tree.relations(&mut own));
        if let Some(key) = self.equality(outer, &own) {
            query.filter.push(key);
        }
        query
    }

    // ---- subqueries in expressions ----

    fn subquery_test(&mut self, own: &[Relation], depth: usize) -> Expr {
        let with = |form, args, query| Expr::Call { form, args, query: Some(Box::new(query)), ty: Ty::Bool };
        match self.rng.below(7) {
            4 => {
                let mut query = self.correlated(own, depth);
                query.outputs.truncate(1);
                (query.order, query.limit, query.ties) = (None, None, false);
                let ty = query.outputs[0].1.ty();
                let arg = self.column(own, ty).unwrap_or_else(|| self.literal(ty));
                with(*self.rng.pick::<&'static str>(forms::QUERY_TESTS), vec![arg], query)
            }
            5 => {
                let Expr::Call { query: Some(query), ty, .. } = self.scalar_subquery(own, depth) else {
                    return self.bool(own, 1);
                };
                let arg = self.column(own, ty).unwrap_or_else(|| self.literal(ty));
                with(*self.rng.pick::<&'static str>(forms::VALUE_TESTS), vec![arg], *query)
            }
            6 => {
                // Below an OR it is no semi-join.
                let (query, other) = (self.correlated(own, depth), self.bool(own, 0));
                with("(exists ($q) or $0)", vec![other], query)
            }
            0 => {
                let query = self.correlated(own, depth);
                with("exists ($q)", Vec::new(), query)
            }
            1 => {
                let query = self.correlated(own, depth);
                with("not exists ($q)", Vec::new(), query)
            }
            choice => {
                let mut query =
                    if self.rng.percent(80) { self.select(&[], depth) } else { self.correlated(own, depth) };
                // Of two columns, maybe of different tables: the inner side may be joined with each of them by itself.
                query.outputs.truncate(if choice == 2 && self.rng.percent(40) { 2 } else { 1 });
                if query.ties {
                    (query.order, query.limit, query.ties) = (None, None, false); // it may be by what is gone
                }
                let types: Vec<Ty> = query.outputs.iter().map(|(_, expr)| expr.ty()).collect();
                let args: Vec<Expr> =
                    types.iter().map(|&ty| self.column(own, ty).unwrap_or_else(|| self.literal(ty))).collect();
                let form = match (choice, args.len()) {
                    (2, 2) => "($0, $1) in ($q)",
                    (2, _) => "$0 in ($q)",
                    _ => "$0 not in ($q)",
                };
                with(form, args, query)
            }
        }
    }

    pub(super) fn scalar_subquery(&mut self, own: &[Relation], depth: usize) -> Expr {
        let mut query = if self.rng.percent(60) { self.correlated(own, depth) } else { self.select(&[], depth) };
        (query.group, query.grouping, query.having) = (Vec::new(), Grouping::Plain, None);
        query.distinct = Distinct::No;
        (query.order, query.limit, query.ties) = (None, None, false);
        let mut inner = Vec::new();
        query.from.iter().for_each(|tree| tree.relations(&mut inner));
        let correlated = if self.rng.percent(15) { self.correlated_aggregate(&inner, own) } else { None };
        let aggregate = correlated.unwrap_or_else(|| self.aggregate(&inner));
        let ty = aggregate.ty();
        query.outputs = vec![("c0".into(), aggregate)];
        Expr::Call { form: "($q)", args: Vec::new(), query: Some(Box::new(query)), ty }
    }
}
