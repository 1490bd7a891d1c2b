//! `local logs`: what functions and servers said.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::DONE;
use crate::aws::{Client, LogLine};
use crate::cli::Logs;
use crate::error::{Error, Result};
use crate::show::{Style, say};
use crate::signals;

/// How often `--follow` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Lambda's own lines around each invocation.
const FRAME: [&str; 3] = ["START RequestId", "END RequestId", "REPORT RequestId"];

/// Prints log lines by time.
pub fn run(logs: &Logs, style: Style) -> Result<u8> {
    let state = logs.which.find()?;
    let name = logs.function.as_deref().unwrap_or_default();
    if matches!(name, "gateway" | "ec2-sim") {
        let path = state.folder.join(format!("{name}.log"));
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        say!("{}", text.trim_end());
        return Ok(DONE);
    }
    let client = Client::new(&state.endpoint);
    let wanted = name.trim_start_matches("spawn-");
    let mut printed: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let groups: Vec<String> = client
            .log_groups()?
            .into_iter()
            .filter(|group| group.contains(wanted))
            .collect();
        if groups.is_empty() {
            return Err(Error::Usage(format!(
                "no function called `{name}` has logged anything"
            )));
        }
        let mut fresh: Vec<(String, LogLine)> = Vec::new();
        for group in groups {
            let lines = client.log_lines(&group, 0)?;
            let seen = printed
                .insert(group.clone(), lines.len())
                .unwrap_or_default();
            fresh.extend(
                lines
                    .into_iter()
                    .skip(seen)
                    .map(|line| (group.clone(), line)),
            );
        }
        fresh.sort_by_key(|(_, line)| line.at_ms);
        for (group, line) in fresh.iter().filter(|(_, line)| !is_frame(&line.text)) {
            say!(
                "{} {}",
                style.dim(group.rsplit('/').next().unwrap_or(group)),
                line.text
            );
        }
        if !logs.follow || signals::asked_to_stop() {
            return Ok(DONE);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn is_frame(line: &str) -> bool {
    FRAME.iter().any(|word| line.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambdas_frame_is_left_out() {
        assert!(is_frame("REPORT RequestId: 1\tDuration: 3 ms"));
        assert!(!is_frame(r#"{"level":"INFO"}"#));
    }
}
