//! The queries that the demo shows and the benchmark measures: small ones of one idea each, and TPC-H's 22 with the
//! parameters that its specification validates with; and some over a star schema.

use std::borrow::Cow;

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Set {
    Micro,
    Tpch,
    /// TPC-H's queries over float8 where it has numeric.
    TpchFloat8,
    Star,
}

impl Set {
    pub const ALL: [Set; 4] = [Set::Micro, Set::Tpch, Set::TpchFloat8, Set::Star];

    /// Where its tables are, unless another database is named.
    pub fn database(self) -> &'static str {
        match self {
            Set::Micro | Set::Tpch => "tpch",
            Set::TpchFloat8 => "tpch_float8",
            Set::Star => "star",
        }
    }

    pub fn queries(self) -> impl Iterator<Item = &'static Query> {
        let texts = if self == Set::TpchFloat8 { Set::Tpch } else { self };
        ALL.iter().filter(move |query| query.set == texts)
    }

    /// Sums of floats depend on the order of their rows.
    pub fn is_exact(self) -> bool {
        self != Set::TpchFloat8
    }
}

pub struct Query {
    pub set: Set,
    pub name: &'static str,
    /// What it stands for, in a line.
    pub title: &'static str,
    text: &'static str,
    pub demo: bool,
}

/// Q11 looks for parts that are worth this share of the stock at scale 1; at scale n it is an n-th of that.
const SHARE_OF_STOCK: &str = "0.0001000000";

impl Query {
    pub fn sql(&self, sf: f64) -> Cow<'static, str> {
        if sf == 1.0 || !self.text.contains(SHARE_OF_STOCK) {
            return Cow::Borrowed(self.text.trim_end());
        }
        Cow::Owned(self.text.trim_end().replace(SHARE_OF_STOCK, &format!("{:.10}", 0.0001 / sf)))
    }
}

const fn micro(name: &'static str, title: &'static str, text: &'static str, demo: bool) -> Query {
    Query { set: Set::Micro, name, title, text, demo }
}

const fn tpch(name: &'static str, title: &'static str, text: &'static str) -> Query {
    Query { set: Set::Tpch, name, title, text, demo: false }
}

const fn star(name: &'static str, title: &'static str, text: &'static str) -> Query {
    Query { set: Set::Star, name, title, text, demo: false }
}

pub const ALL: &[Query] = &[
    micro(
        "shipping",
        "three tables, filters on each, about 5 rows of 1,000 come out",
        include_str!("../queries/shipping.sql"),
        true,
    ),
    micro(
        "local-supplier",
        "six tables, supplier and customer in one nation of Asia",
        include_str!("../queries/local_supplier.sql"),
        true,
    ),
    micro(
        "returns",
        "four tables, two big ones meet, an aggregate above",
        include_str!("../queries/returns.sql"),
        true,
    ),
    micro("count", "the two largest tables joined whole, counted", include_str!("../queries/count.sql"), false),
    micro(
        "priorities",
        "the two largest tables joined whole, a sum for each of five groups",
        include_str!("../queries/priorities.sql"),
        false,
    ),
    micro("semi", "orders by priority with a line that came late", include_str!("../queries/semi.sql"), false),
    micro("anti", "customers without an order", include_str!("../queries/anti.sql"), false),
    micro(
        "left-groups",
        "all customers with their orders, a group for each",
        include_str!("../queries/left_groups.sql"),
        false,
    ),
    micro("selective", "one order in a hundred, with its lines", include_str!("../queries/selective.sql"), false),
    micro("wide", "many wide rows go to the client", include_str!("../queries/wide.sql"), false),
    micro("tiny", "two small tables: planning and start are all there is", include_str!("../queries/tiny.sql"), false),
    tpch("q01", "pricing summary report", include_str!("../queries/tpch/q01.sql")),
    tpch("q02", "minimum cost supplier", include_str!("../queries/tpch/q02.sql")),
    tpch("q03", "shipping priority", include_str!("../queries/tpch/q03.sql")),
    tpch("q04", "order priority checking", include_str!("../queries/tpch/q04.sql")),
    tpch("q05", "local supplier volume", include_str!("../queries/tpch/q05.sql")),
    tpch("q06", "forecasting revenue change", include_str!("../queries/tpch/q06.sql")),
    tpch("q07", "volume shipping", include_str!("../queries/tpch/q07.sql")),
    tpch("q08", "national market share", include_str!("../queries/tpch/q08.sql")),
    tpch("q09", "product type profit measure", include_str!("../queries/tpch/q09.sql")),
    tpch("q10", "returned item reporting", include_str!("../queries/tpch/q10.sql")),
    tpch("q11", "important stock identification", include_str!("../queries/tpch/q11.sql")),
    tpch("q12", "shipping modes and order priority", include_str!("../queries/tpch/q12.sql")),
    tpch("q13", "customer distribution", include_str!("../queries/tpch/q13.sql")),
    tpch("q14", "promotion effect", include_str!("../queries/tpch/q14.sql")),
    tpch("q15", "top supplier", include_str!("../queries/tpch/q15.sql")),
    tpch("q16", "parts/supplier relationship", include_str!("../queries/tpch/q16.sql")),
    tpch("q17", "small-quantity-order revenue", include_str!("../queries/tpch/q17.sql")),
    tpch("q18", "large volume customer", include_str!("../queries/tpch/q18.sql")),
    tpch("q19", "discounted revenue", include_str!("../queries/tpch/q19.sql")),
    tpch("q20", "potential part promotion", include_str!("../queries/tpch/q20.sql")),
    tpch("q21", "suppliers who kept orders waiting", include_str!("../queries/tpch/q21.sql")),
    tpch("q22", "global sales opportunity", include_str!("../queries/tpch/q22.sql")),
    star("s1", "one small dimension, every sale, few groups", include_str!("../queries/star/s1.sql")),
    star("s2", "a skewed dimension with NULL keys, one category in twenty", include_str!("../queries/star/s2.sql")),
    star("s3", "two small dimensions, both with conditions", include_str!("../queries/star/s3.sql")),
    star("s4", "two large dimensions, NULL keys, few groups", include_str!("../queries/star/s4.sql")),
    star("s5", "four dimensions, a condition between two of them", include_str!("../queries/star/s5.sql")),
    star("s6", "four dimensions, few rows come out", include_str!("../queries/star/s6.sql")),
    star("s7", "semi-join: customers who bought on a holiday", include_str!("../queries/star/s7.sql")),
    star(
        "s8",
        "anti-join: products that nobody bought ten of at the highest discount",
        include_str!("../queries/star/s8.sql"),
    ),
    star(
        "s9",
        "outer join with the large dimension, whose keys are NULL or skewed",
        include_str!("../queries/star/s9.sql"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_has_a_name_of_its_own_and_one_statement() {
        let mut names: Vec<_> = ALL.iter().map(|query| query.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!([Set::Tpch, Set::TpchFloat8].iter().all(|set| set.queries().count() == 22));
        assert!(ALL.iter().all(|query| !query.sql(1.0).contains(';')));
    }

    #[test]
    fn the_share_of_stock_goes_by_the_scale() {
        let q11 = ALL.iter().find(|query| query.name == "q11").expect("it is one of the 22");
        assert!(q11.sql(1.0).contains("* 0.0001000000"));
        assert!(q11.sql(0.1).contains("* 0.0010000000"));
        assert!(q11.sql(10.0).contains("* 0.0000100000"));
    }
}
