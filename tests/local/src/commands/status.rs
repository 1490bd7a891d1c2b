//! `local status`: how a stack, a sweep or an instance stands.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{DONE, list};
use crate::TABLE;
use crate::aws::{Client, Row};
use crate::cli::Status;
use crate::error::{Error, Result};
use crate::show::{Progress, Style, Table, say, seconds};
use crate::state_file::StackState;

/// Members that are listed.
const MEMBERS_SHOWN: usize = 20;

/// Shows what was asked for.
pub fn run(status: &Status, style: Style) -> Result<u8> {
    let state = status.which.find()?;
    let client = Client::new(&state.endpoint);
    match status.id.as_deref() {
        None => stack(&state, &client, style)?,
        Some(id) if id.starts_with("i-") => instance(id, &client, style)?,
        Some(id) => sweep(id, &client, style)?,
    }
    Ok(DONE)
}

fn stack(state: &StackState, client: &Client, style: Style) -> Result<()> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let age = now.saturating_sub(Duration::from_secs(state.started_at));
    say!(
        "{}  {} mode, up for {}",
        style.strong(&state.endpoint),
        state.mode,
        seconds(age)
    );
    say!("  EC2 simulator  {}", state.sim_endpoint);
    say!("  logs           {}", state.folder.display());
    let mut by_region: BTreeMap<String, usize> = BTreeMap::new();
    for instance in client
        .all_instances()?
        .into_iter()
        .filter(crate::aws::Instance::is_alive)
    {
        *by_region.entry(instance.region).or_default() += 1;
    }
    let regions: Vec<String> = by_region
        .iter()
        .map(|(region, count)| format!("{count} in {region}"))
        .collect();
    say!(
        "  instances      {}",
        if regions.is_empty() {
            "none alive".into()
        } else {
            regions.join(", ")
        }
    );
    let mut sweeps = client.index(TABLE, "by-status")?;
    sweeps.retain(|row| row.get("ended_at").is_none_or(Value::is_null));
    if sweeps.is_empty() {
        say!("  sweeps         none under way");
    } else {
        say!();
        print(&list::table(&sweeps), style)?;
    }
    Ok(())
}

fn sweep(id: &str, client: &Client, style: Style) -> Result<()> {
    let row = client
        .row(TABLE, &format!("SWEEP#{id}"), "META")?
        .ok_or_else(|| Error::Usage(format!("there is no sweep `{id}`: see `cargo local list`")))?;
    let progress = Progress::of_row(&row);
    let started = row
        .get("started_at")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let now = u64::try_from(
        SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_millis(),
    )
    .unwrap_or(u64::MAX);
    let until = row.get("ended_at").and_then(Value::as_u64).unwrap_or(now);
    say!("{} {}", style.strong(id), progress.status);
    say!(
        "{}",
        progress.line(Duration::from_millis(until.saturating_sub(started)), style)
    );
    for (label, key) in [
        ("owner", "owner"),
        ("project", "project"),
        ("execution", "execution_arn"),
    ] {
        say!(
            "  {label:<10} {}",
            row.get(key).and_then(Value::as_str).unwrap_or_default()
        );
    }
    let members = members(client, id, &row)?;
    let mut table = Table::new(["#", "name", "state", "exit", "lane", "instance", "reason"]);
    // What runs or went wrong is what one looks for.
    let is_news =
        |member: &&Row| !matches!(text(member, "state").as_str(), "completed" | "planned");
    let (news, rest): (Vec<&Row>, Vec<&Row>) = members.iter().partition(is_news);
    for member in news.iter().chain(&rest).take(MEMBERS_SHOWN) {
        let instance = text(member, "instance");
        table.row([
            number(member, "index"),
            text(member, "name"),
            text(member, "state"),
            number(member, "exit_code"),
            text(member, "lane"),
            instance.rsplit('/').next().unwrap_or_default().to_owned(),
            text(member, "reason"),
        ]);
    }
    say!();
    print(&table, style)?;
    if members.len() > MEMBERS_SHOWN {
        say!(
            "{}",
            style.dim(&format!("and {} more", members.len() - MEMBERS_SHOWN))
        );
    }
    Ok(())
}

/// Members are spread over partitions.
fn members(client: &Client, id: &str, sweep: &Row) -> Result<Vec<Row>> {
    let shards = sweep.get("shards").and_then(Value::as_u64).unwrap_or(1);
    let mut members = Vec::new();
    for shard in 0..shards {
        members.extend(client.rows(TABLE, &format!("SWEEP#{id}#{shard:02}"), "MEMBER#")?);
    }
    members.sort_by_key(|row| row.get("index").and_then(Value::as_u64));
    Ok(members)
}

fn instance(id: &str, client: &Client, style: Style) -> Result<()> {
    let seen = client
        .all_instances()?
        .into_iter()
        .find(|instance| instance.id == id);
    let rows = client.search(TABLE, "INSTANCE#", id)?;
    if seen.is_none() && rows.is_empty() {
        return Err(Error::Usage(format!(
            "neither EC2 nor the ledger knows `{id}`"
        )));
    }
    say!("{}", style.strong(id));
    match seen {
        Some(instance) => say!(
            "  EC2       {} {} in {}",
            instance.state,
            instance.kind,
            instance.region
        ),
        None => say!("  EC2       not known (any more)"),
    }
    for row in rows {
        say!(
            "  member    {} of {}",
            number(&row, "member_index"),
            text(&row, "sweep_id")
        );
        match row.get("report_at").and_then(Value::as_i64) {
            Some(at) => say!(
                "  report    exit code {} at {} ({})",
                number(&row, "report_exit_code"),
                list::moment(at),
                text(&row, "report_reason")
            ),
            None => say!("  report    none"),
        }
    }
    Ok(())
}

fn text(row: &Row, key: &str) -> String {
    row.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn number(row: &Row, key: &str) -> String {
    row.get(key)
        .filter(|value| value.is_number())
        .map(Value::to_string)
        .unwrap_or_default()
}

fn print(table: &Table, style: Style) -> Result<()> {
    for line in table.lines(style) {
        say!("{line}");
    }
    Ok(())
}
