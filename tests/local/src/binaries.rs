//! The programs of the workspace, built.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{ChildStderr, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::narrator::Narrator;
use crate::workspace::{Workspace, cargo};

/// How often a long build says how far it is.
const NEWS_EVERY: Duration = Duration::from_millis(200);

/// Lines of a failed build that are shown.
const LINES_SHOWN: usize = 60;

/// Program names with the paths of their executables.
pub type Binaries = BTreeMap<String, PathBuf>;

/// Builds every program of the workspace in the dev profile.
///
/// One package selection for all: with another, cargo would resolve other features and build the SDK crates again.
pub fn build(workspace: &Workspace, narrator: &dyn Narrator) -> Result<Binaries> {
    let step = "build";
    let started = Instant::now();
    narrator.begins(step);
    let mut child = cargo()
        .args([
            "build",
            "--workspace",
            "--bins",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(&workspace.root)
        // Cargo's own progress, although its output goes through a pipe.
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100")
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Io {
            doing: "run cargo build".into(),
            source,
        })?;

    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (binaries, output) = std::thread::scope(|scope| {
        let words = scope.spawn(|| {
            stderr
                .map(|stderr| relay(stderr, step, narrator))
                .unwrap_or_default()
        });
        let binaries = stdout
            .map(|stdout| artifacts(BufReader::new(stdout)))
            .unwrap_or_default();
        (binaries, words.join().unwrap_or_default())
    });
    let status = child.wait().map_err(|source| Error::Io {
        doing: "wait for cargo build".into(),
        source,
    })?;
    crate::signals::go_on()?;
    if !status.success() {
        return Err(Error::Program {
            program: "cargo build --workspace --bins".into(),
            what: "failed".into(),
            output,
        });
    }
    narrator.ends(step, started.elapsed());
    Ok(binaries)
}

/// The executables that cargo's messages name.
fn artifacts(messages: impl BufRead) -> Binaries {
    messages
        .lines()
        .map_while(std::io::Result::ok)
        .filter_map(|line| serde_json::from_str::<Message>(&line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| Some((message.target?.name, message.executable?)))
        .collect()
}

#[derive(serde::Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(serde::Deserialize)]
struct Target {
    name: String,
}

/// Passes cargo's progress on, and keeps its other words for the case that it fails.
fn relay(stderr: ChildStderr, step: &str, narrator: &dyn Narrator) -> String {
    let mut kept = Vec::new();
    let mut told = Instant::now();
    for piece in Pieces(BufReader::new(stderr)) {
        if let Some(progress) = progress_of(&piece) {
            if told.elapsed() >= NEWS_EVERY {
                narrator.tells(step, &progress);
                told = Instant::now();
            }
        } else if piece.trim_start().starts_with("Blocking") {
            narrator.tells(step, "waiting for another cargo");
        } else if !is_chatter(&piece) {
            kept.push(piece);
        }
    }
    let from = kept.len().saturating_sub(LINES_SHOWN);
    kept.split_off(from).join("\n")
}

/// `121/390: aws-sdk-ec2` of `Building [==>  ] 121/390: aws-sdk-ec2`.
fn progress_of(piece: &str) -> Option<String> {
    let rest = piece.trim_start().strip_prefix("Building [")?;
    Some(rest.split_once(']')?.1.trim().to_owned())
}

/// What cargo says of each crate on its way.
fn is_chatter(piece: &str) -> bool {
    const WORDS: [&str; 7] = [
        "Compiling",
        "Checking",
        "Finished",
        "Downloading",
        "Downloaded",
        "Updating",
        "Locking",
    ];
    let line = piece.trim_start();
    line.is_empty() || WORDS.iter().any(|word| line.starts_with(word))
}

/// What lies between carriage returns and line feeds, without terminal sequences.
struct Pieces<R>(BufReader<R>);

impl<R: Read> Iterator for Pieces<R> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        for byte in (&mut self.0).bytes().map_while(std::io::Result::ok) {
            if byte == b'\r' || byte == b'\n' {
                return Some(plain(&bytes));
            }
            bytes.push(byte);
        }
        (!bytes.is_empty()).then(|| plain(&bytes))
    }
}

/// Without `ESC [ … letter`.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        done + part
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .get(1..)
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"plan-sweep"},"executable":"/t/debug/plan-sweep","fresh":true}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\nnot a message\n",
        );
        let binaries = artifacts(messages.as_bytes());
        assert_eq!(
            binaries,
            Binaries::from([("plan-sweep".into(), "/t/debug/plan-sweep".into())])
        );
    }

    #[test]
    fn progress_is_told_and_errors_are_kept() {
        assert_eq!(
            progress_of("    Building [====>   ] 12/30: ureq, csv").as_deref(),
            Some("12/30: ureq, csv")
        );
        assert_eq!(progress_of("error[E0425]: cannot find value"), None);
        assert!(is_chatter("   Compiling csv v1.4.0"));
        assert!(!is_chatter("error[E0425]: cannot find value"));
        assert_eq!(plain(b"\x1b[K\x1b[1;32mred\x1b[0m x"), "red x");
    }
}
