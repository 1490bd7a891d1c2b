//! The launch template of a shape, and the intent of attempts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::boot::{self, Home};
use crate::budget::Charges;
use crate::ids::{ClientToken, LaneId, SweepId};
use crate::launch::Chosen;
use crate::ledger::{Condition, LedgerError, Versioned, Write, path};
use crate::ports::Template;
use crate::region::Region;
use crate::rows::{AttemptRow, AttemptState, LaneRow, OpenAttempt, SweepRow, sweep_key};
use crate::state::SweepStatus;

/// How long a call may take effect after it was begun: the time limit of the function that makes it, which its caller waits
/// for, and what EC2 takes until it shows what it launched.
pub const CALL_MS_MAX: u64 = 150_000;

/// The launch template of the lane's shape number `shape`. Its name tells sweep and shape, and its content follows from
/// both, so that one that exists is the right one.
#[must_use]
pub fn template_of(sweep: &SweepRow, lane: &LaneRow, shape: u32, home: &Home) -> Option<Template> {
    let index = usize::try_from(shape).ok()?;
    Some(Template {
        name: template_name(lane, shape),
        shape: lane.shapes.get(index)?.clone(),
        user_data: boot::user_data(home, lane.lane.account, lane.ttl_s),
        tags: tags(sweep),
    })
}

/// The name of the launch template of a lane's shape. (EC2 allows 3 to 128 characters.)
#[must_use]
pub fn template_name(lane: &LaneRow, shape: u32) -> String {
    template_name_at(&lane.sweep_id, &lane.lane, shape)
}

/// The same, of the lane `lane` of `sweep`.
#[must_use]
pub fn template_name_at(sweep: &SweepId, lane: &LaneId, shape: u32) -> String {
    format!("spawn-{sweep}-{}-{shape}", lane.market)
}

/// The tags of everything that is launched for a sweep.
#[must_use]
pub fn tags(sweep: &SweepRow) -> Vec<(String, String)> {
    [
        ("Name", sweep.sweep_id.as_str()),
        ("spawn:managed", "true"),
        ("spawn:sweep-id", sweep.sweep_id.as_str()),
        ("spawn:sweep-name", &sweep.name),
        ("spawn:owner", &sweep.owner),
        ("spawn:project", &sweep.project),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Begins an attempt for the first pending members of each chosen batch: the attempts, and the writes of their intents, to
/// be made together with those of the buckets that the tokens were taken from.
///
/// The writes fail when the sweep no longer launches, when another launcher took the slots or what was left of a budget,
/// or when another one began attempts of this lane.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn begin(
    sweep: &SweepRow,
    lane: &LaneRow,
    chosen: &[Chosen],
    now: u64,
) -> Result<(Vec<AttemptRow>, Vec<Write>), LedgerError> {
    let mut after = lane.clone();
    let mut attempts = Vec::with_capacity(chosen.len());
    let mut writes = Vec::with_capacity(2 * chosen.len() + 2);
    let mut slots: BTreeMap<Region, i64> = BTreeMap::new();
    let mut charges = Charges::default();
    for one in chosen {
        let (attempt, mut batch) = attempt(sweep, one, now);
        batch.attempts = attempt.number;
        if let Some(amount) = attempt.costs.commitment(attempt.members.len()) {
            charges.reserve(amount, &one.standing);
        }
        *slots.entry(one.at.region).or_insert(0) += i64::from(attempt.members.len());
        after.open_attempts.push(OpenAttempt {
            batch: attempt.batch,
            number: attempt.number,
        });
        if lane.launch_delay_s > 0 {
            after.next_launch_at = one.send_at + lane.launch_delay_s * 1000;
        }
        writes.push(attempt.create()?);
        writes.push(batch.replace()?);
        attempts.push(attempt);
    }
    writes.push(after.replace()?);
    writes.push(take_slots(sweep, &slots, while_launching()));
    Ok((attempts, charges.into_writes(sweep, writes)))
}

fn attempt(sweep: &SweepRow, chosen: &Chosen, now: u64) -> (AttemptRow, crate::rows::BatchRow) {
    let mut batch = chosen.batch.clone();
    let (members, rest) = batch.pending.split(chosen.count);
    let number = batch.attempts + 1;
    let pools: Vec<String> = chosen.rung.pools.iter().map(ToString::to_string).collect();
    let token = ClientToken::of(&[
        sweep.sweep_id.as_str(),
        &batch.lane.to_string(),
        &batch.batch.to_string(),
        &number.to_string(),
        &chosen.at.to_string(),
        chosen.rung.api.as_str(),
        chosen.rung.market.as_str(),
        &pools.join(","),
        &members.to_string(),
    ]);
    let attempt = AttemptRow {
        sweep_id: sweep.sweep_id.clone(),
        lane: batch.lane.clone(),
        batch: batch.batch,
        number,
        version: 0,
        token,
        members,
        at: chosen.at.clone(),
        shape: batch.shape,
        step: chosen.step,
        rung: chosen.rung.clone(),
        send_at: chosen.send_at,
        calls: 1,
        calling_until: Some(chosen.send_at + CALL_MS_MAX),
        unsettled_until: 0,
        recorded: crate::ranges::Indices::default(),
        state: AttemptState::Intended,
        error: None,
        launched: 0,
        created_at: now,
        costs: chosen.costs.clone(),
    };
    batch.pending = rest;
    (attempt, batch)
}

/// Notes that the call of an attempt is made once more. From now on an error does not mean that nothing was launched: the
/// caller before, of whom nothing is known, may have launched, or may yet.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn call_again(attempt: &AttemptRow, send_at: u64) -> Result<(AttemptRow, Write), LedgerError> {
    let mut attempt = attempt.clone();
    attempt.unsettled_until = attempt
        .unsettled_until
        .max(attempt.calling_until.unwrap_or(0));
    attempt.calling_until = Some(send_at + CALL_MS_MAX);
    attempt.calls += 1;
    let write = attempt.clone().replace()?;
    attempt.version += 1;
    Ok((attempt, write))
}

/// The write that takes `count` slots in a region for instances that are started again, if sweep and region have them free. It
/// does not matter whether the sweep launches: they are its instances already.
#[must_use]
pub fn take_slots_again(sweep: &SweepRow, region: Region, count: usize) -> Write {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    take_slots(sweep, &[(region, count)].into(), Vec::new())
}

/// The write that gives back one of these.
#[must_use]
pub fn give_slot_back(sweep: &SweepId, region: Region) -> Write {
    Write::Update {
        key: sweep_key(sweep),
        set: Vec::new(),
        remove: Vec::new(),
        add: slot_change(region.as_str(), -1),
        when: Vec::new(),
    }
}

/// Takes slots of the sweep and of regions, if all have them free.
fn take_slots(sweep: &SweepRow, slots: &BTreeMap<Region, i64>, mut when: Vec<Condition>) -> Write {
    let mut limit = |counter, limit: Option<u32>, count: i64| {
        if let Some(limit) = limit {
            when.push(Condition::AtMost(counter, i64::from(limit) - count));
        }
    };
    let total = slots.values().sum();
    limit(path(&["live"]), sweep.max_concurrent, total);
    let mut add = vec![(path(&["live"]), total)];
    for (region, count) in slots {
        let counter = path(&["live_in", region.as_str()]);
        limit(counter.clone(), sweep.max_in_region(region), *count);
        add.push((counter, *count));
    }
    Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add,
        when,
    }
}

/// What must hold of a sweep's row for a launch: that nothing keeps it from launching.
fn while_launching() -> Vec<Condition> {
    let mut when = while_going_on();
    when.push(Condition::Missing(path(&["stopped"])));
    when
}

/// What must hold of a sweep's row for a write that leads to a launch, now or once the sweep is started again.
pub(crate) fn while_going_on() -> Vec<Condition> {
    let statuses = [SweepStatus::Launching, SweepStatus::Running];
    vec![
        Condition::In(
            path(&["status"]),
            statuses.iter().map(|s| Value::from(s.as_str())).collect(),
        ),
        Condition::Missing(path(&["held"])),
    ]
}

/// The additions to a sweep's row when the number of its instances in a region changes.
pub(crate) fn slot_change(region: &str, by: i64) -> Vec<(crate::ledger::Path, i64)> {
    if by == 0 {
        return Vec::new();
    }
    vec![(path(&["live"]), by), (path(&["live_in", region]), by)]
}
