//! How a sweep, a member or an instance stands.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use super::record::ControlRow;
use super::view;
use crate::clock;
use crate::money::MicroDollars;
use crate::reap::deadline;
use crate::rows::{InstanceRow, LaneRow, MemberRow, SweepRow};
use crate::settle;
use crate::state::MemberState;

/// Members that are listed as the slowest.
const SLOWEST: usize = 5;
/// Members that are listed as failed; the counts of their reasons tell of all.
const FAILED: usize = 10;
/// Reasons that are listed.
const REASONS: usize = 10;
/// Controls that are listed, the newest first.
const CONTROLS: usize = 20;
/// The rate is that of the last ten minutes: what is hours old says little of what is to come.
const RATE_WINDOW_MS: u64 = 10 * 60 * 1000;

/// How a sweep stands at `now` (ms since 1970).
#[must_use]
pub fn status_of_sweep(
    sweep: &SweepRow,
    members: &[MemberRow],
    lanes: &[LaneRow],
    controls: &[ControlRow],
    now: u64,
) -> Value {
    let mut status = view::header(sweep);
    let mut put = |name: &str, value: Value| status.insert(name.to_owned(), value);
    let until = sweep.ended_at.unwrap_or(now);
    put(
        "since_start_s",
        json!(until.saturating_sub(sweep.started_at) / 1000),
    );
    put(
        "drained_because",
        json!(sweep.drain.as_ref().map(|d| &d.reason)),
    );
    put("held_because", json!(sweep.held));
    put("stopped_because", json!(sweep.stopped));
    put("execution_arn", json!(sweep.execution_arn));
    put("cost", cost(sweep, members, now));
    put("by_region", view::by_region(members));
    for (name, value) in pace(sweep, members, now) {
        put(&name, value);
    }
    put("slowest", json!(slowest(members, now)));
    put("failed", json!(failed(members, now)));
    put("reasons", json!(reasons(members)));
    let lanes: Vec<Value> = lanes
        .iter()
        .filter_map(|lane| view::lane(lane, now))
        .collect();
    put("lanes", json!(lanes));
    let newest: Vec<Value> = controls
        .iter()
        .rev()
        .take(CONTROLS)
        .map(view::control)
        .collect();
    put("controls", json!(newest));
    if sweep.status.is_ended() {
        let uri = |key: String| format!("s3://{}/{key}", sweep.results_bucket);
        put("results", json!(uri(settle::results_key(sweep))));
        put("manifest", json!(uri(settle::manifest_key(sweep))));
    }
    Value::Object(status)
}

/// How a member stands, with what its instance has said of itself.
#[must_use]
pub fn status_of_member(
    sweep: &SweepRow,
    member: &MemberRow,
    instance: Option<&InstanceRow>,
    now: u64,
) -> Value {
    let mut status = view::member(sweep, member);
    status["sweep_id"] = json!(sweep.sweep_id);
    status["sweep_status"] = json!(sweep.status);
    status["ttl_deadline"] = json!(member.ttl_deadline.map(clock::format_iso));
    if !member.state.is_ended() {
        let left = deadline::left(member, now).map(|ms| ms / 1000);
        status["time_left_s"] = json!(left);
    }
    status["report"] = json!(instance.and_then(report));
    status
}

/// How an instance stands: itself, its member, its sweep.
#[must_use]
pub fn status_of_instance(
    sweep: &SweepRow,
    member: &MemberRow,
    instance: &InstanceRow,
    now: u64,
) -> Value {
    let is_current = member.instance.as_ref() == Some(&instance.instance);
    json!({
        "instance_id": instance.instance.instance_id,
        "instance_arn": instance.instance.to_string(),
        "region": instance.instance.region.as_str(),
        "is_the_members_instance": is_current,
        "report": report(instance),
        "member": status_of_member(sweep, member, is_current.then_some(instance), now),
        "sweep": view::header(sweep),
    })
}

/// What an instance reported of its program.
fn report(instance: &InstanceRow) -> Option<Value> {
    let at = instance.report_at?;
    Some(json!({
        "at": clock::format_iso(at),
        "exit_code": instance.report_exit_code,
        "result_key": instance.report_result_key,
        "reason": instance.report_reason,
    }))
}

/// How fast members are launched and end, and how long the rest will take at that rate.
fn pace(sweep: &SweepRow, members: &[MemberRow], now: u64) -> Map<String, Value> {
    let mut pace = Map::new();
    let launched: Vec<u64> = members.iter().filter_map(|m| m.launched_at).collect();
    let launching_ms = launched
        .iter()
        .max()
        .map(|last| last.saturating_sub(sweep.started_at).max(1_000));
    let per_hour = |count: usize, ms: u64| {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        count.saturating_mul(3_600_000) / ms.max(1)
    };
    pace.insert("launched".to_owned(), json!(launched.len()));
    let launch_rate = launching_ms.map(|ms| per_hour(launched.len(), ms));
    pace.insert("launched_per_hour".to_owned(), json!(launch_rate));
    let ended: Vec<u64> = members.iter().filter_map(|m| m.ended_at).collect();
    let since_first = launched
        .iter()
        .min()
        .map_or(0, |first| now.saturating_sub(*first));
    let window = since_first.min(RATE_WINDOW_MS);
    let lately = ended.iter().filter(|at| **at + window >= now).count();
    let (count, ms) = match (lately, ended.len()) {
        (0, all) => (all, since_first),
        (lately, _) => (lately, window),
    };
    let is_over = sweep.status.is_ended();
    let rate = (count > 0 && !is_over).then(|| per_hour(count, ms));
    pace.insert("ended_per_hour".to_owned(), json!(rate));
    let to_end = members.iter().filter(|m| !m.state.is_ended()).count();
    let left = match (is_over, to_end, count) {
        (true, ..) | (_, 0, _) => Some(0),
        (_, _, 0) => None,
        (_, to_end, count) => {
            let to_end = u64::try_from(to_end).unwrap_or(u64::MAX);
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            Some(to_end.saturating_mul(ms) / count / 1000)
        }
    };
    pace.insert("time_left_s".to_owned(), json!(left));
    let waits = members.iter().any(|m| m.state == MemberState::Planned);
    let deadlines: Option<Vec<u64>> = members
        .iter()
        .filter(|member| !member.state.is_ended())
        // The time of one that is stopped stands still: nobody knows when it goes on.
        .map(|member| member.ttl_deadline.filter(|_| member.paused_at.is_none()))
        .collect();
    let latest = deadlines
        .filter(|_| !waits)
        .and_then(|all| all.into_iter().max());
    pace.insert(
        "over_at_the_latest".to_owned(),
        json!(latest.map(clock::format_iso)),
    );
    pace
}

/// What the sweep has cost until now, by the prices of its launches, and what it may still cost; `unpriced` instances are in
/// none of the amounts. cost-guard adds what spot prices and its forecast say, as it last saw them.
fn cost(sweep: &SweepRow, members: &[MemberRow], now: u64) -> Value {
    let until = sweep.ended_at.unwrap_or(now);
    let mut so_far = MicroDollars::ZERO;
    let mut unpriced = 0_u32;
    let mut instances = 0_u32;
    for spent in members.iter().flat_map(|member| &member.spent) {
        instances += 1;
        match spent.bill(&[], until) {
            Ok(Some(bill)) => so_far = so_far.checked_add(bill.total).unwrap_or(so_far),
            Ok(None) | Err(_) => unpriced += 1,
        }
    }
    let is_unknown = instances > 0 && instances == unpriced;
    let committed = MicroDollars(sweep.charged.saturating_sub(sweep.billed).max(0));
    json!({
        "so_far": (!is_unknown).then(|| so_far.to_string()),
        "committed": committed.to_string(),
        "budget": sweep.budget.map(|budget| budget.to_string()),
        "instances": instances,
        "unpriced": unpriced,
        "last_assessed": sweep.cost.as_ref().map(|cost| json!({
            "at": clock::format_iso(cost.at),
            "accrued": cost.accrued.to_string(),
            "forecast": cost.forecast.to_string(),
            "burn_per_hour": cost.burn_per_hour.to_string(),
        })),
    })
}

/// Members that run for the longest time.
fn slowest(members: &[MemberRow], now: u64) -> Vec<Value> {
    let mut running: Vec<&MemberRow> = members
        .iter()
        .filter(|m| !m.state.is_ended() && m.launched_at.is_some())
        .collect();
    running.sort_by_key(|member| (member.launched_at, member.index));
    running
        .into_iter()
        .take(SLOWEST)
        .map(|member| view::member_in_list(member, now))
        .collect()
}

/// Members that ended without completing, the latest first.
fn failed(members: &[MemberRow], now: u64) -> Vec<Value> {
    let mut failed: Vec<&MemberRow> = members
        .iter()
        .filter(|m| m.state.is_ended() && m.state != MemberState::Completed)
        .collect();
    failed.sort_by_key(|member| (Reverse(member.ended_at), member.index));
    failed
        .into_iter()
        .take(FAILED)
        .map(|member| view::member_in_list(member, now))
        .collect()
}

/// Why members ended without completing, the most frequent first.
fn reasons(members: &[MemberRow]) -> Vec<Value> {
    let ended: Vec<MemberRow> = members
        .iter()
        .filter(|member| member.state.is_ended())
        .cloned()
        .collect();
    settle::reasons(&ended)
        .into_iter()
        .take(REASONS)
        .map(|(reason, members)| json!({"reason": reason, "members": members}))
        .collect()
}
