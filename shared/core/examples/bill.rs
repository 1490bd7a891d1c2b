//! `cargo bill FILE`: what instances have cost, from a file of their histories.
//!
//! The file holds one history or a list of them, in JSON; docs/guides/costs.md says how they are written. `--json` shows the
//! bills as JSON, `--at MOMENT` as they were at that moment.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use spawn_core::clock;
use spawn_core::cost::{self, Bill, History, Rule};
use spawn_core::money::MicroDollars;

const USAGE: &str = "usage: cargo bill FILE [--json] [--at 2026-01-22T12:00:00Z]";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(text) => {
            // Whoever reads may have gone.
            let _written = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _written = writeln!(std::io::stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<String, String> {
    let (mut file, mut as_json, mut at) = (None, false, u64::MAX / 2);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => as_json = true,
            "--at" => {
                let text = arguments.next().ok_or(USAGE)?;
                at = clock::parse_iso(&text).ok_or_else(|| format!("`{text}` is no moment"))?;
            }
            "--help" | "-h" => return Ok(format!("{USAGE}\n")),
            _ if file.is_none() && !argument.starts_with('-') => file = Some(argument),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let file = file.ok_or(USAGE)?;
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let histories = histories(&text).map_err(|problem| format!("{file}: {problem}"))?;
    let mut bills = Vec::new();
    for (number, history) in histories.iter().enumerate() {
        let named = if history.name.is_empty() {
            format!("instance {}", number + 1)
        } else {
            history.name.clone()
        };
        if at == u64::MAX / 2 && history.running.iter().any(|run| run.to.is_none()) {
            return Err(format!("{file}: {named} still runs: say --at MOMENT"));
        }
        let bill = cost::bill(history, at).map_err(|error| format!("{file}: {named}: {error}"))?;
        bills.push((named, bill));
    }
    let total = bills
        .iter()
        .try_fold(MicroDollars::ZERO, |sum, (_, bill)| {
            sum.checked_add(bill.total)
        })
        .ok_or("the sum is beyond what can be counted")?;
    if as_json {
        let bills: Vec<Value> = bills
            .iter()
            .map(|(name, bill)| json!({"name": name, "bill": bill}))
            .collect();
        return Ok(format!("{:#}\n", json!({"bills": bills, "total": total})));
    }
    Ok(table(&bills, total))
}

fn histories(text: &str) -> Result<Vec<History>, serde_json::Error> {
    match serde_json::from_str(text)? {
        list @ Value::Array(_) => serde_json::from_value(list),
        one => Ok(vec![serde_json::from_value(one)?]),
    }
}

fn table(bills: &[(String, Bill)], total: MicroDollars) -> String {
    let mut text = String::new();
    for (name, bill) in bills {
        text += &format!("{name}: {}\n", bill.total);
        for line in &bill.lines {
            let rule = match line.rule {
                Rule::Used => "",
                Rule::Minimum => "  (makes up the minute that is billed at least)",
                Rule::TakenBackInFirstHour => "  (free: EC2 took it back in the first hour)",
            };
            text += &format!(
                "    {}  {:>10} s at {} an hour{rule}\n",
                clock::format_iso(line.from),
                seconds(line.ms),
                line.hour
            );
        }
        text += &format!(
            "    instance {} ({} s), volume {}, public IPv4 {}\n",
            bill.instance, bill.billed_s, bill.volume, bill.public_ipv4
        );
    }
    text += &format!("total: {total}\n");
    text
}

/// Seconds of ms, with decimals where there are some.
fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => (ms / 1000).to_string(),
        rest => format!("{}.{rest:03}", ms / 1000),
    }
}
