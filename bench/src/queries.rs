//! The queries that the demo shows and the benchmark measures.

pub struct Query {
    pub name: &'static str,
    /// What it stands for, in a line.
    pub title: &'static str,
    pub sql: &'static str,
    pub demo: bool,
}

pub const ALL: &[Query] = &[
    Query {
        name: "shipping",
        title: "three tables, filters on each, about 5 rows of 1,000 come out",
        sql: include_str!("../queries/shipping.sql"),
        demo: true,
    },
    Query {
        name: "local-supplier",
        title: "six tables, supplier and customer in one nation of Asia",
        sql: include_str!("../queries/local_supplier.sql"),
        demo: true,
    },
    Query {
        name: "returns",
        title: "four tables, two big ones meet, an aggregate above",
        sql: include_str!("../queries/returns.sql"),
        demo: true,
    },
    Query {
        name: "count",
        title: "the two largest tables joined whole, counted",
        sql: include_str!("../queries/count.sql"),
        demo: false,
    },
    Query {
        name: "selective",
        title: "one order in a hundred, with its lines",
        sql: include_str!("../queries/selective.sql"),
        demo: false,
    },
    Query {
        name: "wide",
        title: "many wide rows go to the client",
        sql: include_str!("../queries/wide.sql"),
        demo: false,
    },
    Query {
        name: "tiny",
        title: "two small tables: planning and start are all there is",
        sql: include_str!("../queries/tiny.sql"),
        demo: false,
    },
];
