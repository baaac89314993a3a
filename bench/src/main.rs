//! `joinscan-bench`: TPC-H rows for COPY, and the measuring driver behind `make demo` and `make bench`,
//! and the random queries of `make fuzz`.
//!
//! It speaks to the server through `psql` child processes, so it needs no client library: the connection comes from
//! libpq's environment (PGHOST, PGPORT, PGUSER, PGDATABASE).

mod compare;
mod constants;
mod costs;
mod duckdb;
mod engine;
mod floor;
mod fuzz;
mod least_squares;
mod measure;
mod plan;
mod profile;
mod queries;
mod report;
mod samples;
mod session;
mod svg;
mod tpch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(about = "TPC-H data and measurements for pg_joinscan")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write one TPC-H table to standard output, as COPY reads it with DELIMITER '|'
    Tpch {
        /// Scale factor: 1 is six million rows of lineitem
        #[arg(long, default_value_t = 0.1)]
        sf: f64,
        #[arg(long, value_enum)]
        table: tpch::Table,
    },
    /// Show each demo query's plan, its times without and with JoinScan, and whether the rows are the same
    Demo(Runs),
    /// Measure JoinScan and PostgreSQL's own plans with no worker, with one, with two, and DuckDB, interleaved
    Run(Runs),
    /// Show what each operator of JoinScan's plans did: rows, time of its own, bytes
    Profile(Runs),
    /// Measure single costs against their targets: launch, emit, exchange, skew, scan, planning, scaling
    Floor(floor::Floor),
    /// Compare costs with measured times: what is chosen, what that loses, what each constant of cost.c should be
    Costs(costs::Costs),
    /// Random join queries with JoinScan off and on
    Fuzz(fuzz::Fuzz),
}

#[derive(Args)]
pub struct Runs {
    /// The psql to run
    #[arg(long, default_value = "psql")]
    psql: PathBuf,
    /// Timed runs of each query on each engine: at least so many, after one that warms up
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Short queries get more runs, as many as fit into so many seconds; at most five times as many
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Workers per gather of JoinScan; PostgreSQL plans with none, with one, and so on up to as many
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// The scale factor of the tables, which one query's condition goes by
    #[arg(long, default_value_t = 1.0)]
    sf: f64,
    /// Only the queries of these sets, separated by commas; micro and tpch unless given
    #[arg(long, value_enum, value_delimiter = ',')]
    set: Vec<queries::Set>,
    /// The database that has the tables; each set has its own unless given: tpch, tpch_float8, star
    #[arg(long)]
    database: Option<String>,
    /// Only queries whose name contains one of these, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Take JoinScan wherever it is possible (joinscan.min_cost = 0)
    #[arg(long)]
    force: bool,
    /// Write the measurements as JSON to this file too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw the ratios into this file too
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Measure DuckDB, too: on its own storage, and attached to the live tables
    #[arg(long)]
    duckdb: bool,
    /// The python that has DuckDB
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

impl Runs {
    fn sets(&self) -> Vec<queries::Set> {
        if self.set.is_empty() { vec![queries::Set::Micro, queries::Set::Tpch] } else { self.set.clone() }
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Tpch { sf, table } => tpch::write(table, sf).map(|()| true),
        Command::Demo(runs) => measure::demo(&runs),
        Command::Run(runs) => measure::run(&runs),
        Command::Profile(runs) => measure::profile(&runs),
        Command::Floor(args) => floor::run(&args),
        Command::Costs(args) => costs::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1), // something differs; the report says what
        Err(error) => {
            eprintln!("joinscan-bench: {error}");
            ExitCode::from(2)
        }
    }
}
