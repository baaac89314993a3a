//! `joinscan-bench`: TPC-H rows for COPY, and the measuring driver behind `make demo` and `make bench`,
//! and the random queries of `make fuzz`.
//!
//! It speaks to the server through `psql` child processes, so it needs no client library: the connection comes from
//! libpq's environment (PGHOST, PGPORT, PGUSER, PGDATABASE).

mod fuzz;
mod measure;
mod queries;
mod report;
mod session;
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
    /// Measure PostgreSQL serial, PostgreSQL parallel and JoinScan, interleaved
    Run(Runs),
    /// Random join queries with JoinScan off and on
    Fuzz(fuzz::Fuzz),
}

#[derive(Args)]
pub struct Runs {
    /// The psql to run
    #[arg(long, default_value = "psql")]
    psql: PathBuf,
    /// Timed runs of each query on each engine, after one that warms up
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Workers per gather, for PostgreSQL's parallel plan and for JoinScan
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Only queries whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Take JoinScan wherever it is possible (joinscan.min_cost = 0)
    #[arg(long)]
    force: bool,
    /// Write the measurements as JSON to this file too
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Tpch { sf, table } => tpch::write(table, sf).map(|()| true),
        Command::Demo(runs) => measure::demo(&runs),
        Command::Run(runs) => measure::run(&runs),
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
