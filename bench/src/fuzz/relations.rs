//! What stands in FROM: leaves, joins, and the conditions between them.

use super::ast::{COLUMNS, CTID, Columns, Expr, JoinKind, Relation, Select, Source, Tree, Ty};
use super::forms;
use super::generate::Generator;
use super::rng::Rng;

/// How often each table is read: small ones more, since joins multiply.
const TABLES: &[(usize, &str)] = &[
    (2, "empty"),
    (3, "one"),
    (10, "few"),
    (9, "mid"),
    (6, "many"),
    (6, "never_null"),
    (5, "skewed"),
    (5, KEYED),
    (6, "parted"),
    (4, "parted_too"),
    (3, "hashed"),
    (3, "parent"),
    (4, "altered"),
    (2, "toasted"),
    (3, "scratch"),
    (2, "seen"),
    (2, "barred"),
];

const PLAIN_TABLES: &[(usize, &str)] = &[
    (1, "empty"),
    (2, "one"),
    (10, "few"),
    (10, "mid"),
    (7, "many"),
    (6, "never_null"),
    (6, "skewed"),
    (6, KEYED),
    (2, "altered"),
    (2, "toasted"),
];

/// A function or a query as it is written, with columns c0, c1, …
fn listed((sql, types): &(&str, &[Ty])) -> Source {
    let columns = types.iter().enumerate().map(|(i, ty)| (format!("c{i}"), *ty)).collect();
    Source::Named { sql: sql.to_string(), columns, rename: true }
}

/// The table that has a primary key, and the column that is it.
pub const KEYED: &str = "keyed";
pub const PRIMARY_KEY: &str = "id";

fn with_key(table: &str, mut columns: Columns) -> Columns {
    if table == KEYED {
        columns.push((PRIMARY_KEY.into(), Ty::Int4));
    }
    columns
}

/// The columns of one name and type; not those whose types have no equality that joins well.
fn common(left: &Columns, right: &Columns) -> Vec<String> {
    let fits = |ty: Ty| matches!(ty, Ty::Int4 | Ty::Int8 | Ty::Text | Ty::Numeric | Ty::Date | Ty::Timestamp);
    left.iter().filter(|column| fits(column.1) && right.contains(column)).map(|(name, _)| name.clone()).collect()
}

impl Generator<'_> {
    pub(super) fn from(&mut self, count: usize, depth: usize) -> Vec<Tree> {
        let mut trees: Vec<Tree> = (0..count).map(|_| self.leaf(depth)).collect();
        let comma = self.rng.weighted(&[(65, 1), (15, 2), (20, count)]).min(count);
        while trees.len() > comma {
            let i = if self.rng.percent(70) { 0 } else { self.rng.below(trees.len() - 1) };
            let right = trees.remove(i + 1);
            let left = trees.remove(i);
            trees.insert(i, self.join(left, right));
        }
        trees
    }

    pub(super) fn leaf(&mut self, depth: usize) -> Tree {
        let alias = self.alias();
        if !self.ctes.is_empty() && self.rng.percent(25) {
            let (sql, columns) = self.rng.pick(&self.ctes).clone();
            return Tree::Leaf { alias, source: Source::Named { sql, columns, rename: false } };
        }
        if self.plain {
            let sql = self.rng.weighted(PLAIN_TABLES).to_string();
            let columns = COLUMNS.iter().filter(|(name, ty)| ty.is_common() && *name != "nu");
            let columns = with_key(&sql, columns.map(|(name, ty)| (name.to_string(), *ty)).collect());
            return Tree::Leaf { alias, source: Source::Named { sql, columns, rename: false } };
        }
        let source = match self.rng.below(100) {
            0..10 if depth < 2 => Source::Query(Box::new(self.select(&[], depth + 1))),
            10..13 => self.values(),
            13..16 => listed(self.rng.pick(forms::FUNCTIONS)),
            16..20 => listed(self.rng.pick(forms::WRITTEN)),
            20..28 if depth < 2 => self.computed(),
            _ => {
                let sql = self.rng.weighted(TABLES).to_string();
                if !["seen", "barred"].contains(&sql.as_str()) {
                    self.tables.push(alias.clone()); // views have no system columns
                }
                let columns = with_key(&sql, COLUMNS.iter().map(|(name, ty)| (name.to_string(), *ty)).collect());
                Source::Named { sql, columns, rename: false }
            }
        };
        Tree::Leaf { alias, source }
    }

    /// A query that is pulled up, with expressions that an outer join above must make NULL.
    fn computed(&mut self) -> Source {
        let alias = self.alias();
        let sql = self.rng.weighted(PLAIN_TABLES).to_string();
        let columns: Columns = COLUMNS.iter().map(|(name, ty)| (name.to_string(), *ty)).collect();
        let own = vec![(alias.clone(), columns.clone())];
        let mut outputs = Vec::new();
        outputs.extend(self.column(&own, Ty::Int4));
        for _ in 0..1 + self.rng.below(3) {
            let ty = *self.rng.pick(&[Ty::Int4, Ty::Text, Ty::Numeric, Ty::Date, Ty::Float8, Ty::Bool]);
            let value = match self.rng.below(3) {
                0 => self.literal(ty),
                1 => {
                    let (column, otherwise) = (self.value(ty, &own, 0), self.literal(ty));
                    Expr::call("coalesce($0, $1)", vec![column, otherwise], ty)
                }
                _ => self.value(ty, &own, 2),
            };
            outputs.push(value);
        }
        let mut query = Select {
            from: vec![Tree::Leaf { alias, source: Source::Named { sql, columns, rename: false } }],
            outputs: outputs.into_iter().enumerate().map(|(i, expr)| (format!("c{i}"), expr)).collect(),
            ..Select::default()
        };
        if self.rng.percent(25) {
            query.filter.push(self.bool(&own, 1));
        }
        Source::Query(Box::new(query))
    }

    pub(super) fn values(&mut self) -> Source {
        let types = [Ty::Int4, *self.rng.pick(&[Ty::Text, Ty::Numeric, Ty::Date, Ty::Bool])];
        let rows: Vec<String> = (0..1 + self.rng.below(6))
            .map(|_| {
                let row = types.map(|ty| self.literal(ty).sql());
                format!("({})", row.join(", "))
            })
            .collect();
        let columns = types.iter().enumerate().map(|(i, ty)| (format!("c{i}"), *ty)).collect();
        Source::Named { sql: format!("(values {})", rows.join(", ")), columns, rename: true }
    }

    pub(super) fn join(&mut self, left: Tree, right: Tree) -> Tree {
        let kind = self.rng.weighted(&[
            (50, JoinKind::Inner),
            (24, JoinKind::Left),
            (10, JoinKind::Right),
            (10, JoinKind::Full),
            (2, JoinKind::Cross),
        ]);
        let kind = if self.plain { JoinKind::Inner } else { kind };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        left.relations(&mut a);
        right.relations(&mut b);
        let mut using = Vec::new();
        if !self.plain && kind != JoinKind::Cross && a.len() == 1 && b.len() == 1 && self.rng.percent(12) {
            using = common(&a[0].1, &b[0].1);
            while using.len() > 2 || (using.len() == 2 && self.rng.percent(60)) {
                using.remove(self.rng.below(using.len()));
            }
        }
        let on = if kind == JoinKind::Cross || !using.is_empty() {
            Vec::new()
        } else {
            self.conditions(&a, &b, kind == JoinKind::Full)
        };
        Tree::Join { kind, left: Box::new(left), right: Box::new(right), on, using }
    }

    /// WHERE conditions between the comma's parts.
    pub(super) fn connect(&mut self, query: &mut Select, outer: &[Relation]) {
        let mut before: Vec<Relation> = Vec::new();
        for i in 0..query.from.len() {
            let mut own = Vec::new();
            query.from[i].relations(&mut own);
            if i > 0 && self.rng.percent(96) {
                let conditions = self.conditions(&before, &own, false);
                query.filter.extend(conditions);
            }
            before.extend(own);
        }
        if !outer.is_empty()
            && self.rng.percent(30)
            && let Some(key) = self.equality(outer, &before)
        {
            query.filter.push(key);
        }
    }

    /// A join's ON; FULL JOIN takes nothing but equalities.
    pub(super) fn conditions(&mut self, left: &[Relation], right: &[Relation], full: bool) -> Vec<Expr> {
        let mut on: Vec<Expr> = Vec::new();
        if full || self.rng.percent(94) {
            for _ in 0..self.rng.weighted(&[(75, 1), (25, 2)]) {
                on.extend(self.equality(left, right));
            }
        }
        if full && self.rng.percent(90) {
            on.retain(|expr| !matches!(expr, Expr::Call { form: "$0 is not distinct from $1", .. }));
        }
        if !full {
            let both: Vec<Relation> = left.iter().chain(right).cloned().collect();
            if self.rng.percent(22) {
                on.push(self.bool(&both, 1));
            }
            if on.is_empty() || self.rng.percent(8) {
                on.extend(self.inequality(left, right));
            }
        }
        on
    }

    pub(super) fn equality(&mut self, left: &[Relation], right: &[Relation]) -> Option<Expr> {
        let k = |rels: &[Relation], rng: &mut Rng| {
            let (rel, columns) = rng.pick(rels).clone();
            columns.iter().any(|(name, _)| name == "k").then(|| Expr::Column { rel, name: "k".into(), ty: Ty::Int4 })
        };
        let choice = self.rng.below(100);
        if choice < 35
            && let (Some(a), Some(b)) = (k(left, self.rng), k(right, self.rng))
        {
            return Some(Expr::call("$0 = $1", vec![a, b], Ty::Bool));
        }
        if choice < 37
            && let (Some(a), Some(b)) = (self.system(left, CTID, Ty::Tid), self.system(right, CTID, Ty::Tid))
        {
            return Some(Expr::call("$0 = $1", vec![a, b], Ty::Bool));
        }
        if choice < 45 {
            let (ty, form) = *self.rng.pick(forms::EXPRESSION_KEYS);
            if let (Some(a), Some(b)) = (self.column(left, ty), self.column(right, ty)) {
                return Some(Expr::call(form, vec![a, b], Ty::Bool));
            }
        }
        for _ in 0..8 {
            let a = self.any_column(left)?;
            if self.rng.percent(25) {
                let partners = forms::partners(a.ty());
                if partners.is_empty() {
                    continue;
                }
                let ty = *self.rng.pick(&partners);
                if let Some(b) = self.column(right, ty) {
                    return Some(Expr::call("$0 = $1", vec![a, b], Ty::Bool));
                }
                continue;
            }
            // Three values make poor keys: joins by them are huge.
            if matches!(a.ty(), Ty::Bool | Ty::Mood | Ty::Time | Ty::Bytea) && self.rng.percent(80) {
                continue;
            }
            if let Some(b) = self.column(right, a.ty()) {
                let form = self.rng.weighted(&[(86, "$0 = $1"), (14, "$0 is not distinct from $1")]);
                return Some(Expr::call(form, vec![a, b], Ty::Bool));
            }
        }
        None
    }

    pub(super) fn inequality(&mut self, left: &[Relation], right: &[Relation]) -> Option<Expr> {
        if self.rng.percent(10)
            && let (Some(a), Some(b)) = (self.column(left, Ty::Int4), self.column(right, Ty::Int4))
            && let (Some(c), Some(d)) = (self.column(left, Ty::Text), self.column(right, Ty::Text))
        {
            let form = *self.rng.pick(&["($0, $2) < ($1, $3)", "row($0, $2) is distinct from row($1, $3)"]);
            return Some(Expr::call(form, vec![a, b, c, d], Ty::Bool));
        }
        let a = self.any_column(left)?;
        let b = self.column(right, a.ty())?;
        let form = *self.rng.pick(&["$0 < $1", "$0 >= $1", "$0 <> $1", "$0 > $1", "$0 is distinct from $1"]);
        Some(Expr::call(form, vec![a, b], Ty::Bool))
    }
}
