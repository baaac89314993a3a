//! A psql whose statements may fail, and what joinscan.verify says about a query.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const MARK: &str = "joinscan-bench: end of reply";
pub const SEPARATOR: char = '\x1f';

/// Every session has the temporary table too; it is made like the others.
const PREPARE: &str = "load 'pg_joinscan';
set client_min_messages = warning;
set search_path = fuzz, public;
create temp table if not exists scratch (like empty);
call fill('scratch', 40, 20, 10);
analyze scratch;";

pub struct Server {
    psql: PathBuf,
    timeout_ms: u64,
    connection: Option<Connection>,
}

struct Connection {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// The lines that a statement printed, its errors among them; or the connection went.
pub enum Reply {
    Lines(Vec<String>),
    Lost(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On both sides the same rows, or the same SQLSTATE.
    Equal {
        error: Option<String>,
    },
    Different {
        off_error: Option<String>,
        on_error: Option<String>,
        lines: Vec<String>,
    },
    Timeout,
    /// The query itself is none that PostgreSQL takes.
    Invalid(String),
    /// joinscan.verify raised what no query can be blamed for.
    Broken(Vec<String>),
    Lost(Vec<String>),
}

#[derive(Default)]
pub struct Verified {
    /// What the row JoinScan says up to the colon: "whole join tree", …
    pub part: String,
    pub workers: bool,
    /// PostgreSQL gave some.
    pub rows: bool,
    pub declined: Vec<String>,
}

impl Server {
    pub fn new(psql: &Path, timeout_ms: u64) -> Server {
        Server { psql: psql.to_path_buf(), timeout_ms, connection: None }
    }

    /// Sends statements; connects first where there is no connection.
    pub fn ask(&mut self, input: &str) -> io::Result<Reply> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let (lines, alive) = connection.ask(input);
        if alive {
            self.connection = Some(connection);
            return Ok(Reply::Lines(lines));
        }
        let _ = connection.child.wait();
        Ok(Reply::Lost(lines))
    }

    /// After a crash the server needs a while: it is asked again for a minute.
    fn connect(&mut self) -> io::Result<Connection> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let mut connection = self.spawn()?;
            let (lines, alive) = connection.ask(PREPARE);
            if alive && !lines.iter().any(|line| line.starts_with("ERROR:")) {
                return Ok(connection);
            }
            drop(connection.stdin);
            let _ = connection.child.wait();
            if Instant::now() > until || alive {
                return Err(io::Error::other(format!("no session: {}", lines.join(" "))));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn spawn(&self) -> io::Result<Connection> {
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"]) // errors among the rows, in their order
            .arg(&self.psql)
            .args(["-X", "-A", "-t", "-q", "-F", "\x1f", "-v", "VERBOSITY=sqlstate", "-P", "null=<null>"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.psql.display())))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Connection { child, stdin, stdout: BufReader::new(stdout) }),
            _ => Err(io::Error::other("psql has no pipes")),
        }
    }

    fn settings(&self, settings: &[String]) -> String {
        let mut text = format!(
            "reset all; set client_min_messages = error; set search_path = fuzz, public; set statement_timeout = {};",
            self.timeout_ms
        );
        for setting in settings {
            text += &format!(" set {setting};");
        }
        text
    }

    /// PostgreSQL's estimate of what the query costs, no plan being forbidden; None for a query that it does not take.
    pub fn cost(&mut self, query: &str) -> io::Result<Option<f64>> {
        let input = format!("{}\nset joinscan.enabled = off;\nexplain {query};", self.settings(&[]));
        let Reply::Lines(lines) = self.ask(&input)? else { return Ok(None) };
        Ok(lines.iter().find_map(|line| line.split_once("..")?.1.split_once(' ')?.0.parse().ok()))
    }

    /// EXPLAIN's lines, where JoinScan is taken wherever it is possible; none for a query that PostgreSQL does not take.
    pub fn plan(&mut self, query: &str, settings: &[String]) -> io::Result<Vec<String>> {
        let explain = format!("set joinscan.min_cost = 0;\nexplain (verbose, costs off) {query};");
        Ok(self.outcome(settings, &explain)?.unwrap_or_default())
    }

    pub fn verify(&mut self, query: &str, settings: &[String]) -> io::Result<(Verdict, Verified)> {
        let input = format!(
            "{}\nselect what, replace(\"off\", E'\\n', '\\n'), replace(\"on\", E'\\n', '\\n') \
             from joinscan.verify($fuzz${query}$fuzz$);",
            self.settings(settings)
        );
        let lines = match self.ask(&input)? {
            Reply::Lines(lines) => lines,
            Reply::Lost(lines) => return Ok((Verdict::Lost(lines), Verified::default())),
        };
        Ok(read_verdict(lines))
    }

    /// What JoinScan says about why PostgreSQL's plan could not take over when memory ran out; `None` where it did not
    /// run out.
    pub fn no_fallback(&mut self, settings: &[String], statements: &str) -> io::Result<Option<String>> {
        let input =
            format!("\\set VERBOSITY default\n{}\n{statements}\n\\set VERBOSITY sqlstate", self.settings(settings));
        let Reply::Lines(lines) = self.ask(&input)? else { return Ok(None) };
        Ok(lines.iter().find_map(|line| Some(line.split_once("PostgreSQL's plan cannot take over: ")?.1.to_string())))
    }

    /// The rows of some statements, or the first error's SQLSTATE.
    pub fn outcome(&mut self, settings: &[String], statements: &str) -> io::Result<Result<Vec<String>, String>> {
        let input = format!("{}\n{statements}", self.settings(settings));
        match self.ask(&input)? {
            Reply::Lost(_) => Ok(Err("lost".into())),
            Reply::Lines(lines) => match lines.iter().find_map(|line| line.strip_prefix("ERROR:")) {
                Some(state) => Ok(Err(state.trim().into())),
                None => Ok(Ok(lines)),
            },
        }
    }
}

impl Connection {
    fn ask(&mut self, input: &str) -> (Vec<String>, bool) {
        let mut lines = Vec::new();
        if writeln!(self.stdin, "{input}\n\\echo '{MARK}'").and_then(|()| self.stdin.flush()).is_err() {
            return (lines, false);
        }
        loop {
            let mut line = Vec::new();
            match self.stdout.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return (lines, false),
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_string();
            if line == MARK {
                return (lines, true);
            }
            lines.push(line);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(Connection { mut child, stdin, .. }) = self.connection.take() {
            drop(stdin); // end of input is psql's quit
            let _ = child.wait();
        }
    }
}

/// "22012: division by zero" is an error, "3 rows" is none.
fn error_state(text: &str) -> Option<String> {
    let (state, _) = text.split_once(": ")?;
    (state.len() == 5).then(|| state.to_string())
}

fn read_verdict(lines: Vec<String>) -> (Verdict, Verified) {
    let mut verified = Verified::default();
    if let Some(state) = lines.iter().find_map(|line| line.strip_prefix("ERROR:")) {
        let state = state.trim();
        let verdict = match &state[..state.len().min(2)] {
            _ if state == "57014" => Verdict::Timeout,
            "42" | "22" | "0A" => Verdict::Invalid(state.into()),
            _ => Verdict::Broken(lines),
        };
        return (verdict, verified);
    }
    let mut verdict = None;
    for line in &lines {
        let fields: Vec<&str> = line.split(SEPARATOR).collect();
        let [what, off, on] = fields[..] else { continue };
        if matches!(what, "equal" | "different") {
            verified.rows = off.ends_with(" rows") && off != "0 rows";
        }
        match what {
            "equal" => verdict = Some(Verdict::Equal { error: error_state(on) }),
            "different" => {
                let lines = lines.iter().map(|line| line.replace(SEPARATOR, " | ")).collect();
                verdict = Some(Verdict::Different { off_error: error_state(off), on_error: error_state(on), lines });
            }
            "JoinScan" => {
                verified.part = on.split(':').next().unwrap_or_default().into();
                verified.workers = on.contains("workers") && !on.contains("workers 0");
            }
            "declined" => verified.declined.push(on.into()),
            _ => {}
        }
    }
    (verdict.unwrap_or(Verdict::Broken(lines)), verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Verdict, Verified) {
        read_verdict(lines.iter().map(|line| line.replace('|', "\x1f")).collect())
    }

    #[test]
    fn verdicts() {
        let (verdict, verified) =
            read(&["equal|3 rows|3 rows", "JoinScan|<null>|whole join tree: nodes 1, runs 1, workers 2"]);
        assert_eq!(verdict, Verdict::Equal { error: None });
        assert_eq!((verified.part.as_str(), verified.workers, verified.rows), ("whole join tree", true, true));

        let (verdict, verified) = read(&["different|3 rows|22012: no", "declined|<null>|too big"]);
        assert!(
            matches!(verdict, Verdict::Different { off_error: None, on_error: Some(state), .. } if state == "22012")
        );
        assert_eq!(verified.declined, ["too big"]);

        assert_eq!(read(&["ERROR:  57014"]).0, Verdict::Timeout);
        assert_eq!(read(&["ERROR:  42601"]).0, Verdict::Invalid("42601".into()));
        assert!(matches!(read(&["ERROR:  XX000"]).0, Verdict::Broken(_)));
        assert!(matches!(read(&[]).0, Verdict::Broken(_)));
    }
}
