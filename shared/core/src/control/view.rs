//! Sweeps and members as answers show them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::record::ControlRow;
use crate::clock;
use crate::rows::{LaneRow, MemberRow, SweepRow, Trouble};
use crate::settle;
use crate::state::{Counts, MemberState};

/// The states that some member is in, with their numbers.
pub(super) fn counts(counts: &Counts) -> Value {
    MemberState::ALL
        .iter()
        .map(|state| (state, counts.of(*state)))
        .filter(|(_, count)| *count != 0)
        .map(|(state, count)| (state.to_string(), Value::from(count)))
        .collect::<Map<_, _>>()
        .into()
}

/// What is always said of a sweep.
pub(super) fn header(sweep: &SweepRow) -> Map<String, Value> {
    let iso = |ms: Option<u64>| ms.map(clock::format_iso);
    let mut header = Map::new();
    let mut put = |name: &str, value: Value| header.insert(name.to_owned(), value);
    put("sweep_id", json!(sweep.sweep_id));
    put("name", json!(sweep.name));
    put("owner", json!(sweep.owner));
    put("project", json!(sweep.project));
    put("status", json!(sweep.status));
    put("started_at", json!(clock::format_iso(sweep.started_at)));
    put("ended_at", json!(iso(sweep.ended_at)));
    put("members", json!(sweep.members));
    put("counts", counts(&sweep.counts));
    put("live", json!(sweep.live));
    header
}

/// A sweep in a list.
pub(super) fn sweep_in_list(sweep: &SweepRow) -> Value {
    Value::Object(header(sweep))
}

/// A member in a list of members: where it is and why, without its parameters.
pub(super) fn member_in_list(member: &MemberRow, now: u64) -> Value {
    let ran = member.launched_at.map(|launched_at| {
        let until = member.ended_at.unwrap_or(now);
        until.saturating_sub(launched_at) / 1000
    });
    json!({
        "member": member.index,
        "name": member.name,
        "state": member.state,
        "reason_code": member.code,
        "reason": member.reason,
        "exit_code": member.exit_code,
        "tries": member.try_number(),
        "instance_id": member.instance.as_ref().map(|arn| &arn.instance_id),
        "instance_type": member.instance_type,
        "lane": member.lane,
        "since_launch_s": ran,
    })
}

/// All that is known of a member.
pub(super) fn member(sweep: &SweepRow, member: &MemberRow) -> Value {
    settle::member_entry(sweep, member)
}

/// Members by region and state.
pub(super) fn by_region(members: &[MemberRow]) -> Value {
    let mut regions: BTreeMap<String, Vec<MemberState>> = BTreeMap::new();
    for member in members {
        let place = member.lane.place().to_string();
        regions.entry(place).or_default().push(member.state);
    }
    regions
        .into_iter()
        .map(|(place, states)| (place, counts(&Counts::tally(states))))
        .collect::<Map<_, _>>()
        .into()
}

/// A lane, when there is something to say of it.
pub(super) fn lane(lane: &LaneRow, now: u64) -> Option<Value> {
    let (waits_s, because) = wait(lane, now);
    let stopped = lane.stopped_because();
    if lane.pending == 0 && stopped.is_none() {
        return None;
    }
    Some(json!({
        "lane": lane.lane,
        "to_launch": lane.pending,
        "waits_s": waits_s,
        "waits_because": because,
        "setbacks": lane.setbacks,
        "stopped_because": stopped,
    }))
}

/// How many seconds a lane waits until it launches again, and what for: EC2 throttles it, or has no capacity or no quota left
/// for some of its members; or a budget has no room, and nobody knows until when.
fn wait(lane: &LaneRow, now: u64) -> (u64, Option<String>) {
    let rest = |one: &Trouble| {
        let quotas = one.quotas.values().map(|quota| quota.rest_until);
        quotas.fold(one.rest_until, u64::max)
    };
    let longest = lane.troubles.values().max_by_key(|one| rest(one));
    let rest_until = longest.map_or(0, rest);
    let because = if rest_until > now {
        longest.and_then(|one| one.last_error.clone())
    } else if lane.not_before > now && lane.setbacks > 0 {
        let setbacks = lane.setbacks;
        Some(format!(
            "EC2 has throttled or not answered {setbacks} calls in a row"
        ))
    } else {
        lane.waits_for.clone()
    };
    let until = lane.not_before.max(rest_until);
    (until.saturating_sub(now).div_ceil(1000), because)
}

/// A control that was asked for.
pub(super) fn control(row: &ControlRow) -> Value {
    json!({
        "at": clock::format_iso(row.at),
        "control": row.control,
        "of": row.target,
        "with": row.with,
        "reason": row.reason,
        "execution_arn": row.execution_arn,
        "done_at": row.done_at.map(clock::format_iso),
        "outcome": row.outcome,
    })
}
