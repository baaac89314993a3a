//! The ways to run a query: PostgreSQL's own plans, JoinScan, and DuckDB where it is asked for.

use std::io;

use crate::Runs;
use crate::duckdb::DuckDb;
use crate::session::Session;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// PostgreSQL with JoinScan off.
    Plain,
    JoinScan,
    DuckDb,
}

enum Client {
    Server(Session),
    DuckDb(DuckDb),
}

/// One way to run a query, in a session or a process of its own.
pub struct Engine {
    pub name: String,
    pub kind: Kind,
    client: Client,
}

impl Engine {
    /// The same server, memory and queries for all; they differ in these settings alone.
    pub fn postgres(runs: &Runs, database: &str, kind: Kind, name: String, workers: u32) -> io::Result<Engine> {
        let mut settings = vec![
            format!("set joinscan.enabled = {};", if kind == Kind::JoinScan { "on" } else { "off" }),
            format!("set max_parallel_workers_per_gather = {workers};"),
        ];
        if kind == Kind::JoinScan && runs.force {
            settings.push("set joinscan.min_cost = 0;".into());
        }
        let client = Client::Server(Session::open(&runs.psql, database, &settings)?);
        Ok(Engine { name, kind, client })
    }

    /// `storage`: "own", or "attached" to the server's live tables.
    pub fn duckdb(runs: &Runs, database: &str, storage: &str) -> io::Result<Engine> {
        let client = Client::DuckDb(DuckDb::open(&runs.python, database, storage)?);
        Ok(Engine { name: format!("DuckDB, {storage}"), kind: Kind::DuckDb, client })
    }

    /// Milliseconds.
    pub fn time(&mut self, sql: &str) -> io::Result<f64> {
        match &mut self.client {
            Client::Server(session) => session.time(sql),
            Client::DuckDb(duckdb) => duckdb.time(sql),
        }
    }

    pub fn rows(&mut self, sql: &str) -> io::Result<Vec<String>> {
        match &mut self.client {
            Client::Server(session) => session.rows(sql),
            Client::DuckDb(duckdb) => duckdb.rows(sql),
        }
    }

    /// What psql prints; nothing for an engine that has none.
    pub fn ask(&mut self, input: &str) -> io::Result<Vec<String>> {
        match &mut self.client {
            Client::Server(session) => session.ask(input),
            Client::DuckDb(_) => Ok(Vec::new()),
        }
    }
}
