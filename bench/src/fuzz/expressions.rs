//! Random expressions of a given type.

use super::ast::{CTID, Expr, Relation, TABLEOID, Ty, WHOLE_ROW};
use super::forms::{self, Form};
use super::generate::Generator;

impl Generator<'_> {
    pub(super) fn any_column(&mut self, rels: &[Relation]) -> Option<Expr> {
        let (rel, columns) = self.rng.pick(rels).clone();
        if columns.is_empty() {
            return None;
        }
        let mut column = self.rng.pick(&columns).clone();
        // More of the types that most tables are made of.
        if !column.1.is_common() && self.rng.percent(65) {
            column = self.rng.pick(&columns).clone();
        }
        let (name, ty) = column;
        Some(Expr::Column { rel, name, ty })
    }

    pub(super) fn columns_where(&mut self, rels: &[Relation], wanted: impl Fn(Ty) -> bool) -> Option<Expr> {
        let mut all = Vec::new();
        for (rel, columns) in rels {
            for (name, ty) in columns.iter().filter(|(_, ty)| wanted(*ty)) {
                all.push(Expr::Column { rel: rel.clone(), name: name.clone(), ty: *ty });
            }
        }
        if all.is_empty() { None } else { Some(self.rng.pick(&all).clone()) }
    }

    pub(super) fn column(&mut self, rels: &[Relation], ty: Ty) -> Option<Expr> {
        self.columns_where(rels, |have| have == ty)
    }

    /// A table's system column.
    pub(super) fn system(&mut self, rels: &[Relation], name: &str, ty: Ty) -> Option<Expr> {
        let rels: Vec<String> =
            rels.iter().map(|(rel, _)| rel.clone()).filter(|rel| self.tables.contains(rel)).collect();
        if rels.is_empty() {
            return None;
        }
        Some(Expr::Column { rel: self.rng.pick(&rels).clone(), name: name.into(), ty })
    }

    fn whole_row(&mut self, rels: &[Relation]) -> Expr {
        Expr::Column { rel: self.rng.pick(rels).0.clone(), name: WHOLE_ROW.into(), ty: Ty::Row }
    }

    /// Of a whole row or a system column: a text, which can stand anywhere.
    pub(super) fn of_row(&mut self, rels: &[Relation]) -> Expr {
        let column = match self.rng.below(3) {
            0 => self.system(rels, CTID, Ty::Tid),
            1 => match self.system(rels, TABLEOID, Ty::Oid) {
                Some(column) => return Expr::call("$0::regclass::text", vec![column], Ty::Text),
                None => None,
            },
            _ => None,
        };
        let column = column.unwrap_or_else(|| self.whole_row(rels));
        Expr::call("$0::text", vec![column], Ty::Text)
    }

    pub(super) fn exact_column(&mut self, rels: &[Relation]) -> Option<Expr> {
        self.columns_where(rels, Ty::is_exact)
    }

    pub(super) fn literal(&mut self, ty: Ty) -> Expr {
        let mut value = *self.rng.pick(forms::literals(ty));
        if value == "null" && self.rng.percent(80) {
            value = *self.rng.pick(forms::literals(ty)); // else few rows pass the conditions
        }
        if value == "null" {
            return Expr::literal(format!("null::{}", ty.sql()), ty);
        }
        Expr::literal(format!("{value}::{}", ty.sql()), ty)
    }

    pub(super) fn value(&mut self, ty: Ty, rels: &[Relation], depth: usize) -> Expr {
        let choice = self.rng.below(100);
        if depth > 0 && choice < 45 {
            let mut fitting: Vec<&Form> = forms::VALUES.iter().filter(|form| form.gives == ty).collect();
            if self.rng.percent(10) {
                fitting.extend(forms::RISKY.iter().filter(|form| form.gives == ty));
            }
            if self.rng.percent(30) || fitting.is_empty() {
                return self.choice(ty, rels, depth);
            }
            let form = *self.rng.pick(&fitting);
            let args = form.args.iter().map(|ty| self.value(*ty, rels, depth - 1)).collect();
            return Expr::call(form.text, args, ty);
        }
        if choice < 90
            && let Some(column) = self.column(rels, ty)
        {
            return column;
        }
        self.literal(ty)
    }

    /// What any type has: CASE, COALESCE and their kin.
    pub(super) fn choice(&mut self, ty: Ty, rels: &[Relation], depth: usize) -> Expr {
        let a = self.value(ty, rels, depth - 1);
        let b = self.value(ty, rels, depth - 1);
        match self.rng.below(5) {
            0 => Expr::call("coalesce($0, $1)", vec![a, b], ty),
            1 => Expr::call("nullif($0, $1)", vec![a, b], ty),
            2 if ty != Ty::Pair => Expr::call("greatest($0, $1)", vec![a, b], ty),
            3 if ty != Ty::Pair => Expr::call("least($0, $1)", vec![a, b], ty),
            _ => {
                let test = self.bool(rels, depth - 1);
                Expr::call("case when $0 then $1 else $2 end", vec![test, a, b], ty)
            }
        }
    }

    pub(super) fn bool(&mut self, rels: &[Relation], depth: usize) -> Expr {
        let choice = self.rng.below(100);
        if depth > 0 && choice < 25 {
            let form = *self.rng.pick(&["($0 and $1)", "($0 or $1)", "($0 or $1)", "(not $0)", "(($0) is not true)"]);
            let args = (0..if form.contains("$1") { 2 } else { 1 }).map(|_| self.bool(rels, depth - 1)).collect();
            return Expr::call(form, args, Ty::Bool);
        }
        if choice < 40 {
            let form = self.rng.pick(forms::TESTS);
            let args: Vec<Expr> = form.args.iter().map(|ty| self.value(*ty, rels, depth.min(1))).collect();
            if !args.iter().all(|arg| matches!(arg, Expr::Literal { .. })) || self.rng.percent(5) {
                return Expr::call(form.text, args, Ty::Bool);
            }
        }
        if !self.plain && choice < 42 {
            let row = self.whole_row(rels);
            let form = *self.rng.pick(&["$0 is null", "$0 is not null", "not ($0 is null)", "$0::text < 'm'"]);
            return Expr::call(form, vec![row], Ty::Bool);
        }
        let Some(left) = self.any_column(rels) else { return self.literal(Ty::Bool) };
        let ty = left.ty();
        let literal = self.literal(ty);
        match choice {
            40..50 => {
                let form = *self.rng.pick(&["$0 is null", "$0 is not null"]);
                Expr::call(form, vec![left], Ty::Bool)
            }
            50..58 => {
                let (b, c) = (self.literal(ty), self.literal(ty));
                let form = *self.rng.pick(&["$0 in ($1, $2, $3)", "$0 not in ($1, $2, $3)"]);
                Expr::call(form, vec![left, literal, b, c], Ty::Bool)
            }
            58..64 => {
                let high = self.literal(ty);
                Expr::call("$0 between $1 and $2", vec![left, literal, high], Ty::Bool)
            }
            64..68 => Expr::call("$0 is distinct from $1", vec![left, literal], Ty::Bool),
            _ => {
                let right = if self.rng.percent(65) { literal } else { self.value(ty, rels, depth) };
                let form = *self.rng.pick(&["$0 = $1", "$0 <> $1", "$0 < $1", "$0 <= $1", "$0 > $1", "$0 >= $1"]);
                Expr::call(form, vec![left, right], Ty::Bool)
            }
        }
    }
}
