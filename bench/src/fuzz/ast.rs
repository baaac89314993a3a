//! A query as a structure, so that a failing one can be taken apart: types, expressions, relations, SELECT; and its
//! text. Every relation of a query, at whatever depth, has an alias of its own (`r1`, `r2`, …).

use std::collections::HashMap;

use super::forms::is_aggregate;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ty {
    Int2,
    Int4,
    Int8,
    Numeric,
    Float4,
    Float8,
    Text,
    Char,
    Varchar,
    Date,
    Timestamp,
    Timestamptz,
    Interval,
    Time,
    Bool,
    Uuid,
    Bytea,
    Jsonb,
    Ints,
    Mood,
    Domain,
    Pair,
    /// A whole row, whatever its columns.
    Row,
    Tid,
    Oid,
}

impl Ty {
    pub fn sql(self) -> &'static str {
        match self {
            Ty::Int2 => "int2",
            Ty::Int4 => "int4",
            Ty::Int8 => "int8",
            Ty::Numeric => "numeric",
            Ty::Float4 => "float4",
            Ty::Float8 => "float8",
            Ty::Text => "text",
            Ty::Char => "char(8)",
            Ty::Varchar => "varchar",
            Ty::Date => "date",
            Ty::Timestamp => "timestamp",
            Ty::Timestamptz => "timestamptz",
            Ty::Interval => "interval",
            Ty::Time => "time",
            Ty::Bool => "bool",
            Ty::Uuid => "uuid",
            Ty::Bytea => "bytea",
            Ty::Jsonb => "jsonb",
            Ty::Ints => "int[]",
            Ty::Mood => "mood",
            Ty::Domain => "posint",
            Ty::Pair => "pair",
            Ty::Row => "record",
            Ty::Tid => "tid",
            Ty::Oid => "oid",
        }
    }

    pub fn is_common(self) -> bool {
        !matches!(self, Ty::Interval | Ty::Time | Ty::Uuid | Ty::Bytea | Ty::Jsonb | Ty::Ints)
            && !matches!(self, Ty::Mood | Ty::Domain | Ty::Pair | Ty::Row)
    }

    /// Are equal values the same text? Where not, a group's or a limit's choice among them is free.
    pub fn is_exact(self) -> bool {
        !matches!(self, Ty::Numeric | Ty::Float4 | Ty::Float8 | Ty::Interval | Ty::Jsonb | Ty::Char | Ty::Row)
    }

    /// What is the same for all values that are equal; its type is exact.
    fn settled(self) -> Option<(&'static str, Ty)> {
        match self {
            Ty::Numeric => Some(("trim_scale($0)::text", Ty::Text)),
            Ty::Float4 => Some(("($0 + 0::float4)::text", Ty::Text)),
            Ty::Float8 => Some(("($0 + 0::float8)::text", Ty::Text)),
            Ty::Interval => Some(("interval_hash($0)", Ty::Int4)),
            Ty::Jsonb => Some(("jsonb_hash($0)", Ty::Int4)),
            Ty::Char => Some(("$0::text", Ty::Text)),
            Ty::Row => Some(("$0::text", Ty::Text)),
            _ => None,
        }
    }
}

pub type Columns = Vec<(String, Ty)>;

/// What every table has besides its columns. The name of a whole row is the alias alone.
pub const WHOLE_ROW: &str = "*";
pub const CTID: &str = "ctid";
pub const TABLEOID: &str = "tableoid";

/// The column of few quarters and both zeros: sums of them are the same in any order.
pub const QUARTERS: &str = "q";

/// A relation in sight: its alias and its columns.
pub type Relation = (String, Columns);

/// The columns of every table in schema.sql.
pub const COLUMNS: &[(&str, Ty)] = &[
    ("k", Ty::Int4),
    ("i2", Ty::Int2),
    ("i4", Ty::Int4),
    ("i8", Ty::Int8),
    ("n0", Ty::Numeric),
    ("n2", Ty::Numeric),
    ("n4", Ty::Numeric),
    ("nu", Ty::Numeric),
    ("f4", Ty::Float4),
    ("f8", Ty::Float8),
    (QUARTERS, Ty::Float8),
    ("t", Ty::Text),
    ("c", Ty::Char),
    ("v", Ty::Varchar),
    ("d", Ty::Date),
    ("ts", Ty::Timestamp),
    ("tz", Ty::Timestamptz),
    ("iv", Ty::Interval),
    ("tm", Ty::Time),
    ("b", Ty::Bool),
    ("u", Ty::Uuid),
    ("ba", Ty::Bytea),
    ("j", Ty::Jsonb),
    ("a", Ty::Ints),
    ("e", Ty::Mood),
    ("dm", Ty::Domain),
    ("p", Ty::Pair),
];

#[derive(Clone, Debug)]
pub enum Expr {
    Column {
        rel: String,
        name: String,
        ty: Ty,
    },
    Literal {
        sql: String,
        ty: Ty,
    },
    /// `$0`, `$1` in the form are the arguments, `$q` is the query.
    Call {
        form: &'static str,
        args: Vec<Expr>,
        query: Option<Box<Select>>,
        ty: Ty,
    },
}

impl Expr {
    pub fn ty(&self) -> Ty {
        match self {
            Expr::Column { ty, .. } | Expr::Literal { ty, .. } | Expr::Call { ty, .. } => *ty,
        }
    }

    pub fn literal(sql: impl Into<String>, ty: Ty) -> Expr {
        Expr::Literal { sql: sql.into(), ty }
    }

    pub fn call(form: &'static str, args: Vec<Expr>, ty: Ty) -> Expr {
        Expr::Call { form, args, query: None, ty }
    }

    /// A table's column whose declared scale or length makes equal values the same text.
    fn is_declared(&self) -> bool {
        matches!(self, Expr::Column { name, .. } if ["n0", "n2", "n4", "c"].contains(&name.as_str()))
    }

    /// Of equal values that are written differently, something that is the same for all.
    pub fn settled(self) -> Expr {
        match self.ty().settled() {
            Some((form, ty)) if !self.is_declared() => Expr::call(form, vec![self], ty),
            _ => self,
        }
    }

    pub fn is_settled(&self) -> bool {
        self.ty().is_exact() || self.is_declared()
    }

    /// The aggregates' forms in it, those in subqueries left out.
    pub fn has_aggregate(&self) -> bool {
        match self {
            Expr::Call { form, args, .. } => is_aggregate(form) || args.iter().any(Expr::has_aggregate),
            _ => false,
        }
    }

    pub fn sql(&self) -> String {
        match self {
            Expr::Column { rel, name, .. } if name == WHOLE_ROW => rel.clone(),
            Expr::Column { rel, name, .. } => format!("{rel}.{name}"),
            Expr::Literal { sql, .. } => sql.clone(),
            Expr::Call { form, args, query, .. } => {
                let mut text = String::new();
                let mut chars = form.chars();
                while let Some(c) = chars.next() {
                    match (c, if c == '$' { chars.next() } else { None }) {
                        ('$', Some('q')) => text += &query.as_ref().map(|query| query.sql()).unwrap_or_default(),
                        ('$', Some(digit)) => {
                            let place = digit.to_digit(10).unwrap_or(0) as usize;
                            text += &args[place].sql();
                        }
                        _ => text.push(c),
                    }
                }
                text
            }
        }
    }

    /// Every expression in it, inner ones first.
    pub fn visit(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        if let Expr::Call { args, query, .. } = self {
            args.iter_mut().for_each(|arg| arg.visit(visit));
            if let Some(query) = query {
                query.visit(visit);
            }
        }
        visit(self);
    }
}

#[derive(Clone, Debug)]
pub enum Source {
    /// A table, a view, a CTE; or a function or VALUES, which need the column's name after the alias.
    Named {
        sql: String,
        columns: Columns,
        rename: bool,
    },
    Query(Box<Select>),
    Lateral(Box<Select>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

#[derive(Clone, Debug)]
pub enum Tree {
    Leaf {
        alias: String,
        source: Source,
    },
    /// `using` holds columns of both sides, in place of `on`.
    Join {
        kind: JoinKind,
        left: Box<Tree>,
        right: Box<Tree>,
        on: Vec<Expr>,
        using: Vec<String>,
    },
}

#[derive(Clone, Debug, Default)]
pub struct Cte {
    pub name: String,
    pub materialized: Option<bool>,
    pub query: Select,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distinct {
    #[default]
    No,
    Rows,
    /// ON so many outputs: the first ones of the order.
    On(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    #[default]
    Plain,
    Rollup,
    Cube,
    /// GROUPING SETS: a bit for each of the expressions that a set has.
    Sets(Vec<u8>),
}

/// ORDER BY: expressions, then outputs by their places, each with what stands behind it (`desc nulls last`).
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub exprs: Vec<(Expr, &'static str)>,
    pub places: Vec<(usize, &'static str)>,
    /// By nothing else. Otherwise the outputs that are not among the places follow, which leaves no choice.
    pub partial: bool,
}

impl Order {
    /// The outputs that it is by, of so many.
    pub fn places(&self, outputs: usize) -> Vec<(usize, &'static str)> {
        let mut places: Vec<_> = self.places.iter().copied().filter(|(place, _)| *place < outputs).collect();
        if !self.partial {
            let rest = (0..outputs).filter(|place| !self.places.iter().any(|(named, _)| named == place));
            places.extend(rest.map(|place| (place, "")));
        }
        places
    }
}

#[derive(Clone, Debug, Default)]
pub struct Select {
    pub ctes: Vec<Cte>,
    pub distinct: Distinct,
    pub outputs: Vec<(String, Expr)>,
    pub from: Vec<Tree>,
    pub filter: Vec<Expr>,
    pub group: Vec<Expr>,
    pub grouping: Grouping,
    pub having: Option<Expr>,
    /// UNION and its kin, with the columns of this one.
    pub combined: Option<(&'static str, Box<Select>)>,
    pub order: Option<Order>,
    pub limit: Option<(usize, usize)>,
    /// The limit's last row has its peers with it.
    pub ties: bool,
}

fn list(exprs: &[Expr], between: &str) -> String {
    exprs.iter().map(Expr::sql).collect::<Vec<_>>().join(between)
}

impl Tree {
    pub fn sql(&self) -> String {
        match self {
            Tree::Leaf { alias, source } => match source {
                Source::Named { sql, rename: false, .. } => format!("{sql} {alias}"),
                Source::Named { sql, columns, .. } => {
                    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
                    format!("{sql} {alias} ({})", names.join(", "))
                }
                Source::Query(query) => format!("({}) {alias}", query.sql()),
                Source::Lateral(query) => format!("lateral ({}) {alias}", query.sql()),
            },
            Tree::Join { kind, left, right, on, using } => {
                let word = match kind {
                    JoinKind::Inner => "join",
                    JoinKind::Left => "left join",
                    JoinKind::Right => "right join",
                    JoinKind::Full => "full join",
                    JoinKind::Cross => "cross join",
                };
                let right = match right.as_ref() {
                    leaf @ Tree::Leaf { .. } => leaf.sql(),
                    tree => format!("({})", tree.sql()),
                };
                let on = match (kind, on.is_empty()) {
                    (JoinKind::Cross, _) => String::new(),
                    _ if !using.is_empty() => format!(" using ({})", using.join(", ")),
                    (_, true) => " on true".into(),
                    _ => format!(" on {}", list(on, " and ")),
                };
                format!("{} {word} {right}{on}", left.sql())
            }
        }
    }

    /// The aliases in here, with their columns.
    pub fn relations(&self, into: &mut Vec<Relation>) {
        match self {
            Tree::Leaf { alias, source } => {
                let columns = match source {
                    Source::Named { columns, .. } => columns.clone(),
                    Source::Query(query) | Source::Lateral(query) => query.columns(),
                };
                into.push((alias.clone(), columns));
            }
            Tree::Join { left, right, .. } => {
                left.relations(into);
                right.relations(into);
            }
        }
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        match self {
            Tree::Leaf { source: Source::Query(query) | Source::Lateral(query), .. } => query.visit(visit),
            Tree::Leaf { .. } => {}
            Tree::Join { left, right, on, .. } => {
                left.visit(visit);
                right.visit(visit);
                on.iter_mut().for_each(|expr| expr.visit(visit));
            }
        }
    }
}

impl Select {
    /// Does it group, at its top?
    pub fn groups(&self) -> bool {
        !self.group.is_empty() || self.having.is_some() || self.outputs.iter().any(|(_, expr)| expr.has_aggregate())
    }

    pub fn columns(&self) -> Columns {
        self.outputs.iter().map(|(name, expr)| (name.clone(), expr.ty())).collect()
    }

    /// The WITH clause, with a blank after it; empty where there are no CTEs.
    pub fn with(&self) -> String {
        let mut text = String::new();
        for (i, cte) in self.ctes.iter().enumerate() {
            let how = match cte.materialized {
                None => "",
                Some(true) => "materialized ",
                Some(false) => "not materialized ",
            };
            text += if i == 0 { "with " } else { ", " };
            text += &format!("{} as {how}({})", cte.name, cte.query.sql());
        }
        if !self.ctes.is_empty() {
            text.push(' ');
        }
        text
    }

    pub fn sql(&self) -> String {
        let mut text = self.with();
        let places = self.order.as_ref().map(|order| order.places(self.outputs.len())).unwrap_or_default();
        text += &match self.distinct {
            Distinct::No => "select ".into(),
            Distinct::Rows => "select distinct ".into(),
            Distinct::On(count) => {
                // Without an order it is by the first outputs.
                let first = places.iter().map(|(place, _)| *place).chain(0..self.outputs.len());
                let on: Vec<_> = first.take(count).map(|place| (place + 1).to_string()).collect();
                format!("select distinct on ({}) ", on.join(", "))
            }
        };
        let outputs: Vec<_> = self.outputs.iter().map(|(name, expr)| format!("{} as {name}", expr.sql())).collect();
        text += &outputs.join(", ");
        if !self.from.is_empty() {
            text += " from ";
            text += &self.from.iter().map(Tree::sql).collect::<Vec<_>>().join(", ");
        }
        if !self.filter.is_empty() {
            text += &format!(" where {}", list(&self.filter, " and "));
        }
        if !self.group.is_empty() {
            let group = list(&self.group, ", ");
            text += &match &self.grouping {
                Grouping::Plain => format!(" group by {group}"),
                Grouping::Rollup => format!(" group by rollup ({group})"),
                Grouping::Cube => format!(" group by cube ({group})"),
                Grouping::Sets(sets) => {
                    let set = |mask: &u8| {
                        let kept = self.group.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
                        format!("({})", kept.map(|(_, expr)| expr.sql()).collect::<Vec<_>>().join(", "))
                    };
                    format!(" group by grouping sets ({})", sets.iter().map(set).collect::<Vec<_>>().join(", "))
                }
            };
        }
        if let Some(having) = &self.having {
            text += &format!(" having {}", having.sql());
        }
        if let Some((word, other)) = &self.combined {
            text += &format!(" {word} ({})", other.sql());
        }
        if let Some(order) = &self.order {
            let exprs = order.exprs.iter().map(|(expr, how)| format!("{}{how}", expr.sql()));
            let keys: Vec<_> = exprs.chain(places.iter().map(|(place, how)| format!("{}{how}", place + 1))).collect();
            if !keys.is_empty() {
                text += &format!(" order by {}", keys.join(", "));
            }
        }
        if let Some((limit, offset)) = self.limit {
            if offset > 0 {
                text += &format!(" offset {offset}");
            }
            text += &if self.ties { format!(" fetch first {limit} rows with ties") } else { format!(" limit {limit}") };
        }
        text
    }

    /// Every expression, inner ones first.
    pub fn visit(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        self.ctes.iter_mut().for_each(|cte| cte.query.visit(visit));
        self.from.iter_mut().for_each(|tree| tree.visit(visit));
        if let Some((_, other)) = &mut self.combined {
            other.visit(visit);
        }
        let own = self.outputs.iter_mut().map(|(_, expr)| expr);
        let order = self.order.iter_mut().flat_map(|order| order.exprs.iter_mut().map(|(expr, _)| expr));
        for expr in own.chain(&mut self.filter).chain(&mut self.group).chain(&mut self.having).chain(order) {
            expr.visit(visit);
        }
    }

    /// After parts were taken out: columns of relations that are gone become NULL, CTEs that nobody reads go.
    pub fn repair(&mut self) {
        let mut all = Vec::new();
        self.collect(&mut all);
        let known: HashMap<String, Columns> = all.into_iter().collect();
        self.visit(&mut |expr| {
            if let Expr::Column { rel, name, ty } = expr
                && !known.get(rel).is_some_and(|columns| {
                    columns.iter().any(|(have, _)| have == name) || [WHOLE_ROW, CTID, TABLEOID].contains(&name.as_str())
                })
            {
                *expr = Expr::literal(format!("null::{}", ty.sql()), *ty);
            }
        });
        // A CTE may be read by later ones.
        let ctes = std::mem::take(&mut self.ctes);
        let mut readers = self.sql();
        for cte in ctes.into_iter().rev() {
            if readers.contains(&cte.name) {
                readers += &cte.query.sql();
                self.ctes.insert(0, cte);
            }
        }
    }

    /// The relations at every depth.
    fn collect(&self, into: &mut Vec<Relation>) {
        self.from.iter().for_each(|tree| tree.relations(into));
        self.queries().iter().for_each(|query| query.collect(into));
    }

    /// The queries right below.
    pub fn queries(&self) -> Vec<Select> {
        let mut inner: Vec<Select> = self.ctes.iter().map(|cte| cte.query.clone()).collect();
        self.from.iter().for_each(|tree| tree.queries(&mut inner));
        inner.extend(self.combined.iter().map(|(_, other)| (**other).clone()));
        let own = self.outputs.iter().map(|(_, expr)| expr);
        let order = self.order.iter().flat_map(|order| order.exprs.iter().map(|(expr, _)| expr));
        for expr in own.chain(&self.filter).chain(&self.group).chain(&self.having).chain(order) {
            expr.queries(&mut inner);
        }
        inner
    }
}

impl Tree {
    /// The queries right below.
    fn queries(&self, into: &mut Vec<Select>) {
        match self {
            Tree::Leaf { source: Source::Query(query) | Source::Lateral(query), .. } => into.push((**query).clone()),
            Tree::Leaf { .. } => {}
            Tree::Join { left, right, on, .. } => {
                left.queries(into);
                right.queries(into);
                on.iter().for_each(|expr| expr.queries(into));
            }
        }
    }
}

impl Expr {
    /// The queries right below.
    pub fn inner(&self) -> Vec<Select> {
        let mut inner = Vec::new();
        self.queries(&mut inner);
        inner
    }

    fn queries(&self, into: &mut Vec<Select>) {
        if let Expr::Call { args, query, .. } = self {
            args.iter().for_each(|arg| arg.queries(into));
            if let Some(query) = query {
                into.push((**query).clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(alias: &str, sql: &str) -> Tree {
        let columns = vec![("k".to_string(), Ty::Int4)];
        Tree::Leaf { alias: alias.into(), source: Source::Named { sql: sql.into(), columns, rename: false } }
    }

    fn k(rel: &str) -> Expr {
        Expr::Column { rel: rel.into(), name: "k".into(), ty: Ty::Int4 }
    }

    fn read(cte: &str) -> Select {
        Select { outputs: vec![("k".into(), k("r9"))], from: vec![leaf("r9", cte)], ..Select::default() }
    }

    #[test]
    fn repair_fills_and_drops() {
        let mut query = Select {
            outputs: vec![("c0".into(), Expr::call("$1 + $0", vec![k("r1"), k("r2")], Ty::Int4))],
            from: vec![leaf("r1", "w1")],
            ctes: ["few", "w0", "w0"]
                .iter()
                .enumerate()
                .map(|(i, from)| Cte { name: format!("w{i}"), materialized: None, query: read(from) })
                .collect(),
            ..Select::default()
        };
        query.repair();
        assert_eq!(
            query.sql(),
            "with w0 as (select r9.k as k from few r9), w1 as (select r9.k as k from w0 r9) \
             select null::int4 + r1.k as c0 from w1 r1"
        );
    }

    #[test]
    fn an_order_is_total_unless_it_is_partial() {
        let mut query = Select {
            outputs: (0..3).map(|i| (format!("c{i}"), k("r1"))).collect(),
            from: vec![leaf("r1", "few")],
            order: Some(Order {
                exprs: vec![(k("r1"), " desc")],
                places: vec![(2, " nulls first"), (7, "")],
                partial: false,
            }),
            ..Select::default()
        };
        assert!(query.sql().ends_with(" order by r1.k desc, 3 nulls first, 1, 2"), "{}", query.sql());
        query.distinct = Distinct::On(2);
        assert!(query.sql().starts_with("select distinct on (3, 1) "), "{}", query.sql());
        if let Some(order) = &mut query.order {
            order.partial = true;
        }
        assert!(query.sql().ends_with(" order by r1.k desc, 3 nulls first"), "{}", query.sql());
    }

    #[test]
    fn grouping_sets_name_what_is_left() {
        let mut query = read("few");
        query.group = vec![k("r9"), Expr::call("$0 % 7", vec![k("r9")], Ty::Int4)];
        query.grouping = Grouping::Sets(vec![3, 2, 0]);
        assert!(query.sql().ends_with(" group by grouping sets ((r9.k, r9.k % 7), (r9.k % 7), ())"), "{}", query.sql());
        query.group.pop();
        assert!(query.sql().ends_with(" group by grouping sets ((r9.k), (), ())"), "{}", query.sql());
        assert!(query.groups());
    }

    #[test]
    fn a_join_on_the_right_stands_in_parentheses() {
        let join = |kind, left, right, on| Tree::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            on,
            using: Vec::new(),
        };
        let right = join(JoinKind::Inner, leaf("r2", "b"), leaf("r3", "c"), Vec::new());
        let on = vec![Expr::call("$0 = $1", vec![k("r1"), k("r2")], Ty::Bool)];
        let tree = join(JoinKind::Left, leaf("r1", "a"), right, on);
        assert_eq!(tree.sql(), "a r1 left join (b r2 join c r3 on true) on r1.k = r2.k");
    }
}
