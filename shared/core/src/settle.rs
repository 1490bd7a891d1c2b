//! The end of a sweep: its status, its output, and its results as one table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::boot::parameter_text;
use crate::clock;
use crate::cost::Settlement;
use crate::ending::EndCode;
use crate::instance_metrics;
use crate::money::MicroDollars;
use crate::rows::{MemberRow, SweepRow, Try};
use crate::state::{Counts, MemberState, SweepStatus};

/// The status of a sweep at its end.
#[must_use]
pub fn final_status(sweep: &SweepRow, counts: &Counts) -> SweepStatus {
    if sweep.status.is_ended() {
        return sweep.status;
    }
    if let Some(drain) = &sweep.drain {
        return drain.status;
    }
    let completed = counts.of(MemberState::Completed);
    if completed == counts.total() {
        SweepStatus::Completed
    } else if completed == 0 {
        SweepStatus::Failed
    } else {
        SweepStatus::CompletedWithFailures
    }
}

/// Reasons that an output lists; the others are in the manifest. (A state's output holds 256 KiB.)
const REASONS_MAX: usize = 10;

/// Characters of one reason in an output.
const REASON_CHARS_MAX: usize = 500;

/// Why members did not complete: each reason with the number of its members, the most frequent first.
#[must_use]
pub fn reasons(members: &[MemberRow]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for member in members {
        if member.state != MemberState::Completed {
            let reason = match &member.reason {
                Some(reason) => reason.chars().take(REASON_CHARS_MAX).collect(),
                None if member.state == MemberState::Planned => "never launched".to_owned(),
                None => format!("still {}", member.state),
            };
            *counts.entry(reason).or_insert(0) += 1;
        }
    }
    let mut reasons: Vec<_> = counts.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// Where a sweep's files lie, in its bucket of results.
#[must_use]
pub fn manifest_key(sweep: &SweepRow) -> String {
    format!("sweeps/{}/manifest.json", sweep.sweep_id)
}

/// The key of the table of results.
#[must_use]
pub fn results_key(sweep: &SweepRow) -> String {
    format!("sweeps/{}/results.csv", sweep.sweep_id)
}

/// The output of a sweep that ended at `ended_at` (ms since 1970).
#[must_use]
pub fn output(
    sweep: &SweepRow,
    status: SweepStatus,
    counts: &Counts,
    members: &[MemberRow],
    cost: &Settlement,
    ended_at: u64,
) -> Value {
    let bucket = &sweep.results_bucket;
    let reasons: Vec<Value> = reasons(members)
        .into_iter()
        .take(REASONS_MAX)
        .map(|(reason, members)| json!({"reason": reason, "members": members}))
        .collect();
    json!({
        "sweep_id": sweep.sweep_id,
        "status": status,
        "counts": counts,
        "duration_s": ended_at.saturating_sub(sweep.started_at) / 1000,
        "cost_usd": cost_usd(cost),
        "cost_note": cost.gaps(),
        "cost": cost.to_output(),
        "instance_metrics_cost_at_most": instance_metrics::of_runs(&sweep.instance_metrics, members, ended_at)
            .map(|cost| cost.to_string()),
        "drained_because": sweep.drain.as_ref().map(|drain| drain.reason.clone()),
        "held_because": sweep.held,
        "manifest": format!("s3://{bucket}/{}", manifest_key(sweep)),
        "results": format!("s3://{bucket}/{}", results_key(sweep)),
        "results_note": sweep.results_note,
        "reasons": reasons,
    })
}

/// What is said of results that have no columns: how many, and of the first why.
#[must_use]
pub fn results_note(unread: &BTreeMap<u32, String>) -> Option<String> {
    let (index, why) = unread.first_key_value()?;
    let why: String = why.chars().take(REASON_CHARS_MAX).collect();
    Some(format!(
        "results without columns: {}, the first of them that of member {index}: {why}; the manifest has every one under result_note",
        unread.len()
    ))
}

/// The sum in US dollars, exact to the micro-dollar; `null` when no instance has a price and there were some: that is not 0.
fn cost_usd(cost: &Settlement) -> Value {
    if cost.instances == 0 && !cost.is_complete() {
        return Value::Null;
    }
    serde_json::from_str(&dollars(cost.total)).unwrap_or(Value::Null)
}

/// The bare number of an amount in US dollars.
fn dollars(amount: MicroDollars) -> String {
    amount.to_string().replacen('$', "", 1)
}

/// The manifest: the output, and every member with what became of it. `unread` says why results have no columns, by index.
#[must_use]
pub fn manifest(
    sweep: &SweepRow,
    output: &Value,
    members: &[MemberRow],
    unread: &BTreeMap<u32, String>,
    cost: &Settlement,
    ended_at: u64,
) -> Value {
    let members: Vec<Value> = members
        .iter()
        .map(|member| {
            let mut entry = member_entry(sweep, member);
            let amount = cost.by_member.get(&member.index);
            entry["cost"] = Value::from(amount.map(ToString::to_string));
            entry["result_note"] = Value::from(unread.get(&member.index).map(String::as_str));
            entry
        })
        .collect();
    json!({
        "sweep_id": sweep.sweep_id,
        "name": sweep.name,
        "owner": sweep.owner,
        "project": sweep.project,
        "execution_arn": sweep.execution_arn,
        "started_at": clock::format_iso(sweep.started_at),
        "ended_at": clock::format_iso(ended_at),
        "output": output,
        "members": members,
    })
}

/// A member with what became of it, as the manifest and the status show it.
pub(crate) fn member_entry(sweep: &SweepRow, member: &MemberRow) -> Value {
    let iso = |ms: Option<u64>| ms.map(clock::format_iso);
    let uri = |key: &String| format!("s3://{}/{key}", sweep.results_bucket);
    json!({
        "index": member.index,
        "name": member.name,
        "params": member.params().unwrap_or_default(),
        "state": member.state,
        "reason_code": code_of(member),
        "reason": member.reason,
        "tries": member.try_number(),
        "earlier_tries": member.tries.iter().map(try_entry).collect::<Vec<_>>(),
        "exit_code": member.exit_code,
        "result": member.result_key.as_ref().map(uri),
        "lane": member.lane,
        "instance": member.instance,
        "instance_type": member.instance_type,
        "market": member.market,
        "availability_zone": member.availability_zone,
        "launched_at": iso(member.launched_at),
        "running_at": iso(member.running_at),
        "ended_at": iso(member.ended_at),
    })
}

/// Why a member of a sweep that is over ended, or was never launched.
fn code_of(member: &MemberRow) -> Option<EndCode> {
    let is_planned = member.state == MemberState::Planned;
    member.code.or(is_planned.then_some(EndCode::NeverLaunched))
}

fn try_entry(one: &Try) -> Value {
    let iso = |ms: Option<u64>| ms.map(clock::format_iso);
    json!({
        "state": one.state,
        "reason_code": one.code,
        "reason": one.reason,
        "exit_code": one.exit_code,
        "instance": one.instance,
        "instance_type": one.instance_type,
        "market": one.market,
        "availability_zone": one.availability_zone,
        "launched_at": iso(one.launched_at),
        "running_at": iso(one.running_at),
        "ended_at": iso(one.ended_at),
    })
}

/// The names of the columns that every table of results has.
const FIRST_COLUMNS: [&str; 2] = ["index", "name"];
const MIDDLE_COLUMNS: [&str; 4] = ["state", "exit_code", "reason_code", "cost_usd"];

/// The table of results: a header, then a row for each member. `results` holds the fields of the members' results by index.
///
/// Parameters come before the state, results after the cost, each in the order of first appearance. A parameter named like a
/// fixed column is called `param.NAME`, a result named like any column before it `result.NAME`. The cost is that of all tries in
/// US dollars; none where nothing was launched or a price is missing. The costs add up to the sweep's.
#[must_use]
pub fn results_table(
    members: &[MemberRow],
    results: &BTreeMap<u32, Map<String, Value>>,
    cost: &Settlement,
) -> Vec<Vec<String>> {
    let params: BTreeMap<u32, Map<String, Value>> = members
        .iter()
        .map(|member| (member.index, member.params().unwrap_or_default()))
        .collect();
    let param_names = first_appearance(params.values());
    let result_names = first_appearance(results.values());
    let mut header: Vec<String> = FIRST_COLUMNS.map(str::to_owned).to_vec();
    let mut taken: BTreeSet<String> = FIRST_COLUMNS
        .iter()
        .chain(&MIDDLE_COLUMNS)
        .map(|&name| name.to_owned())
        .collect();
    for name in &param_names {
        header.push(free_name("param", name, &mut taken));
    }
    header.extend(MIDDLE_COLUMNS.map(str::to_owned));
    for name in &result_names {
        header.push(free_name("result", name, &mut taken));
    }
    let mut table = vec![header];
    let nothing = Map::new();
    for member in members {
        let cell = |map: &Map<String, Value>, name: &String| {
            map.get(name).map(parameter_text).unwrap_or_default()
        };
        let params = params.get(&member.index).unwrap_or(&nothing);
        let result = results.get(&member.index).unwrap_or(&nothing);
        let mut row = vec![
            member.index.to_string(),
            member.name.clone().unwrap_or_default(),
        ];
        row.extend(param_names.iter().map(|name| cell(params, name)));
        row.push(member.state.to_string());
        row.push(
            member
                .exit_code
                .map(|code| code.to_string())
                .unwrap_or_default(),
        );
        row.push(
            code_of(member)
                .map(|code| code.to_string())
                .unwrap_or_default(),
        );
        let amount = cost.by_member.get(&member.index);
        row.push(amount.map(|amount| dollars(*amount)).unwrap_or_default());
        row.extend(result_names.iter().map(|name| cell(result, name)));
        table.push(row);
    }
    table
}

/// The keys of all maps, in the order in which they first appear.
fn first_appearance<'a>(maps: impl Iterator<Item = &'a Map<String, Value>>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for name in maps.flat_map(Map::keys) {
        if seen.insert(name.clone()) {
            names.push(name.clone());
        }
    }
    names
}

fn free_name(prefix: &str, name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.to_owned();
    while !taken.insert(free.clone()) {
        free = format!("{prefix}.{free}");
    }
    free
}
