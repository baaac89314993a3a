//! DuckDB as one more engine: a Python child process that has it as a package (`scripts/duckdb-engine`).
//!
//! A request is a line with a verb, the query's lines, and a line with one full stop. A reply is the lines asked for,
//! and last a line `ok`, or `error: ` and what was wrong.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PROGRAM: &str = "scripts/duckdb-engine";

pub struct DuckDb {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl DuckDb {
    /// Waits until it has its tables.
    pub fn open(python: &Path, database: &str, storage: &str) -> io::Result<DuckDb> {
        let mut child = Command::new(python)
            .args([PROGRAM, storage, database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", python.display())))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("DuckDB has no standard output"))?;
        let mut duckdb = DuckDb { child, stdin, stdout: BufReader::new(stdout) };
        duckdb.reply()?;
        Ok(duckdb)
    }

    fn reply(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line)? == 0 {
                return Err(io::Error::other("DuckDB ended early; its message is above"));
            }
            let line = line.trim_end_matches('\n');
            if line == "ok" {
                return Ok(lines);
            }
            if let Some(error) = line.strip_prefix("error: ") {
                return Err(io::Error::other(format!("DuckDB: {error}")));
            }
            lines.push(line.to_string());
        }
    }

    fn ask(&mut self, verb: &str, sql: &str) -> io::Result<Vec<String>> {
        let stdin = self.stdin.as_mut().ok_or_else(|| io::Error::other("DuckDB is closed"))?;
        writeln!(stdin, "{verb}\n{sql}\n.")?;
        stdin.flush()?;
        self.reply()
    }

    pub fn time(&mut self, sql: &str) -> io::Result<f64> {
        let lines = self.ask("time", sql)?;
        lines.first().and_then(|line| line.parse().ok()).ok_or_else(|| io::Error::other("DuckDB printed no time"))
    }

    /// Sorted, in the form that psql gives.
    pub fn rows(&mut self, sql: &str) -> io::Result<Vec<String>> {
        let mut rows = self.ask("rows", sql)?;
        rows.iter_mut().for_each(|row| {
            row.remove(0); // a blank, so that no row looks like an end
        });
        rows.sort_unstable();
        Ok(rows)
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        drop(self.stdin.take()); // end of input is its end
        let _ = self.child.wait();
    }
}
