//! `local list`: every sweep in the ledger.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::DONE;
use crate::TABLE;
use crate::aws::{Client, Row};
use crate::cli::Which;
use crate::error::Result;
use crate::show::{Progress, Style, Table, say};

/// Lists the sweeps, the newest first.
pub fn run(which: &Which, style: Style) -> Result<u8> {
    let client = Client::new(&which.find()?.endpoint);
    let mut sweeps = client.index(TABLE, "by-status")?;
    if sweeps.is_empty() {
        say!("no sweep was submitted yet: cargo local sweep FILE");
        return Ok(DONE);
    }
    sweeps.sort_by_key(|row| std::cmp::Reverse(row.get("started_at").and_then(Value::as_u64)));
    for line in table(&sweeps).lines(style) {
        say!("{line}");
    }
    Ok(DONE)
}

/// One row for each sweep.
pub(super) fn table(sweeps: &[Row]) -> Table {
    let mut table = Table::new([
        "sweep",
        "status",
        "members",
        "completed",
        "failed",
        "live",
        "owner",
        "started",
    ]);
    for row in sweeps {
        let progress = Progress::of_row(row);
        let text = |key: &str| {
            row.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        table.row([
            row.get("pk")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .trim_start_matches("SWEEP#")
                .to_owned(),
            progress.status.clone(),
            progress.members.to_string(),
            progress.of("completed").to_string(),
            (progress.ended() - progress.of("completed")).to_string(),
            row.get("live")
                .and_then(Value::as_i64)
                .unwrap_or_default()
                .to_string(),
            text("owner"),
            row.get("started_at")
                .and_then(Value::as_i64)
                .map(moment)
                .unwrap_or_default(),
        ]);
    }
    table
}

/// `2026-01-31 12:34:56Z` of milliseconds since 1970.
pub(super) fn moment(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(ms / 1000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .map(|text| text.replace('T', " "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sweep_is_told_in_one_row() {
        let row = json!({"pk": "SWEEP#s-1", "sk": "META", "status": "running", "members": 4, "live": 2, "owner": "me",
            "started_at": 1_700_000_000_000_i64, "counts": {"completed": 1, "failed": 1, "running": 2}});
        let lines = table(&[row.as_object().unwrap().clone()]).lines(Style::plain());
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            [
                "s-1",
                "running",
                "4",
                "1",
                "1",
                "2",
                "me",
                "2023-11-14",
                "22:13:20Z"
            ]
        );
    }
}
