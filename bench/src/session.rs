//! One psql child process: send statements, read what they print and how long they took.
//!
//! psql's own `\timing` is the clock: from sending the query until libpq holds its last row, without
//! formatting. Every exchange ends with an echoed mark, so that a reply is complete when the mark is read.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const MARK: &str = "joinscan-bench: end of reply";

pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// Starts psql on a database and applies `settings`, one SQL statement each.
    pub fn open(psql: &Path, database: &str, settings: &[String]) -> io::Result<Session> {
        let mut child = Command::new(psql)
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", psql.display())))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("psql has no standard output"))?;
        let mut session = Session { child, stdin, stdout: BufReader::new(stdout) };
        for setting in settings {
            session.ask(setting)?;
        }
        Ok(session)
    }

    /// The one number that `input` gives.
    pub fn ask_number(&mut self, input: &str) -> io::Result<f64> {
        let lines = self.ask(input)?;
        lines.first().and_then(|line| line.parse().ok()).ok_or_else(|| io::Error::other(format!("no number: {input}")))
    }

    /// The lines that psql prints for `input` (statements with their semicolon, or backslash commands).
    pub fn ask(&mut self, input: &str) -> io::Result<Vec<String>> {
        let stdin = self.stdin.as_mut().ok_or_else(|| io::Error::other("psql is closed"))?;
        writeln!(stdin, "{input}\n\\echo '{MARK}'")?;
        stdin.flush()?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line)? == 0 {
                return Err(io::Error::other("psql ended early; its message is above"));
            }
            let line = line.trim_end_matches('\n');
            if line == MARK {
                return Ok(lines);
            }
            lines.push(line.to_string());
        }
    }

    /// Runs a query and throws its rows away; milliseconds until the client had them all.
    pub fn time(&mut self, query: &str) -> io::Result<f64> {
        let lines = self.ask(&format!("\\o /dev/null\n\\timing on\n{query};\n\\timing off\n\\o"))?;
        lines.iter().find_map(|line| milliseconds(line)).ok_or_else(|| io::Error::other("psql printed no time"))
    }

    /// The rows of a query, sorted, so that two engines can be compared.
    pub fn rows(&mut self, query: &str) -> io::Result<Vec<String>> {
        let mut rows = self.ask(&format!("{query};"))?;
        rows.sort_unstable();
        Ok(rows)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.stdin.take()); // end of input is psql's quit
        let _ = self.child.wait();
    }
}

/// `Time: 1234.567 ms (00:01.235)`
fn milliseconds(line: &str) -> Option<f64> {
    let rest = line.strip_prefix("Time: ")?;
    rest.split_once(" ms")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn reads_the_time_line() {
        assert_eq!(milliseconds("Time: 0.123 ms"), Some(0.123));
        assert_eq!(milliseconds("Time: 61234.5 ms (01:01.235)"), Some(61234.5));
        assert_eq!(milliseconds("Timing is on."), None);
        assert_eq!(milliseconds("1|Time: 3 ms"), None);
    }
}
