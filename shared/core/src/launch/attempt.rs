//! The writes of an attempt: begin, record, close, and giving up.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::boot::{self, Home};
use crate::budget::{Charges, Releases, Standing};
use crate::ending::EndCode;
use crate::ids::ClientToken;
use crate::launch::ladder;
use crate::ledger::{Condition, LedgerError, Stored, Versioned, Write, path};
use crate::ports::{CloudInstance, Template};
use crate::ranges::Indices;
use crate::rows::{
    AttemptCosts, AttemptRow, AttemptState, BatchRow, InstanceRow, LaneRow, MemberRow, OpenAttempt,
    ProgramRow, SweepRow, count_move, sweep_key,
};
use crate::state::{MemberState, SweepStatus};

/// The launch template of the lane's shape number `shape`. Its name tells sweep and shape, and its content follows from
/// both, so that one that exists is the right one.
#[must_use]
pub fn template_of(lane: &LaneRow, shape: u32, home: &Home) -> Option<Template> {
    let index = usize::try_from(shape).ok()?;
    Some(Template {
        name: template_name(lane, shape),
        shape: lane.shapes.get(index)?.clone(),
        user_data: boot::user_data(home, lane.lane.account, lane.ttl_s),
    })
}

/// The name of the launch template of a lane's shape. (EC2 allows 3 to 128 characters.)
#[must_use]
pub fn template_name(lane: &LaneRow, shape: u32) -> String {
    format!("spawn-{}-{}-{shape}", lane.sweep_id, lane.lane.market)
}

/// Begins an attempt for the first `count` pending members of `batch`: the attempt, and the writes of its intent.
///
/// The writes fail when the sweep no longer launches, when another launcher took the slots or what was left of a budget, or
/// when this lane has another attempt under way.
///
/// # Errors
/// When a row cannot be written as JSON, or the batch names a shape that the lane does not have.
pub fn begin(
    sweep: &SweepRow,
    lane: &LaneRow,
    batch: &BatchRow,
    count: u32,
    standing: &[Standing],
    now: u64,
) -> Result<(AttemptRow, Vec<Write>), LedgerError> {
    let corrupt = |problem: &str| LedgerError::Corrupt {
        key: batch.key(),
        problem: problem.to_owned(),
    };
    let shape = usize::try_from(batch.shape)
        .ok()
        .and_then(|index| lane.shapes.get(index))
        .ok_or_else(|| corrupt("names a shape that its lane does not have"))?;
    let rungs = ladder(shape, lane.lane.market);
    let rung = usize::try_from(batch.rung)
        .ok()
        .and_then(|index| rungs.get(index))
        .ok_or_else(|| corrupt("stands on a rung that its ladder does not have"))?;
    let (members, rest) = batch.pending.split(count);
    let number = batch.attempts + 1;
    let token = ClientToken::of(&[
        sweep.sweep_id.as_str(),
        &lane.lane.to_string(),
        &batch.batch.to_string(),
        &number.to_string(),
        &rung.instance_type,
        rung.market.as_str(),
        rung.subnet_id.as_deref().unwrap_or_default(),
        rung.availability_zone.as_deref().unwrap_or_default(),
        &members.to_string(),
    ]);
    let attempt = AttemptRow {
        sweep_id: sweep.sweep_id.clone(),
        lane: lane.lane.clone(),
        batch: batch.batch,
        number,
        version: 0,
        token,
        members,
        shape: batch.shape,
        rung: rung.clone(),
        state: AttemptState::Intended,
        error: None,
        launched: 0,
        created_at: now,
        costs: AttemptCosts::of(lane, batch.shape, standing),
    };
    let mut lane = lane.clone();
    lane.open_attempt = Some(OpenAttempt {
        batch: batch.batch,
        number,
    });
    lane.next_batch = batch.batch;
    let mut batch = batch.clone();
    batch.pending = rest;
    batch.attempts = number;
    let slots = take_slots(sweep, &lane, attempt.members.len());
    let writes = vec![attempt.create()?, batch.replace()?, lane.replace()?, slots];
    let mut charges = Charges::default();
    if let Some(amount) = attempt.costs.commitment(attempt.members.len()) {
        charges.reserve(amount, standing);
    }
    let writes = charges.into_writes(sweep, writes);
    Ok((attempt, writes))
}

/// Takes `count` slots of the sweep and of the region, if both have them free and the sweep launches.
fn take_slots(sweep: &SweepRow, lane: &LaneRow, count: u32) -> Write {
    let region = lane.lane.region.to_string();
    let count = i64::from(count);
    let mut when = while_launching();
    let limits = [
        (path(&["live"]), sweep.max_concurrent),
        (
            path(&["live_in", &region]),
            sweep.max_in_region(&lane.lane.region),
        ),
    ];
    for (counter, limit) in limits {
        if let Some(limit) = limit {
            when.push(Condition::AtMost(counter, i64::from(limit) - count));
        }
    }
    Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add: slot_change(&region, count),
        when,
    }
}

/// What must hold of a sweep's row for a write that leads to a launch: that nothing keeps it from launching.
pub(crate) fn while_launching() -> Vec<Condition> {
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

/// Pairs the instances of an attempt with its members that have none yet: instances in the order of their ids, members in
/// the order of their indices, so that every repeat pairs them alike.
#[must_use]
pub fn pair<'a>(
    attempt: &AttemptRow,
    members: &[MemberRow],
    instances: &'a [CloudInstance],
) -> Vec<(MemberRow, &'a CloudInstance)> {
    let mut free: Vec<&CloudInstance> = instances
        .iter()
        .filter(|instance| !members.iter().any(|member| member.has_had(&instance.arn)))
        .collect();
    free.sort_by(|a, b| a.arn.instance_id.cmp(&b.arn.instance_id));
    let mut waiting: Vec<&MemberRow> = members
        .iter()
        // One that had an instance of this attempt, and is planned again since, waits for another attempt.
        .filter(|member| {
            member.state == MemberState::Planned && !member.was_launched_by(&attempt.token)
        })
        .collect();
    waiting.sort_by_key(|member| member.index);
    waiting.into_iter().cloned().zip(free).collect()
}

/// Members that [`record`] takes at once: two writes each and one for the sweep must fit a transaction of 100.
const RECORD_MEMBERS_MAX: usize = 49;

/// The transactions that record the pairs of an attempt.
///
/// # Errors
/// When a row cannot be written as JSON, or a member's program is not in `programs`.
pub fn record(
    sweep: &SweepRow,
    attempt: &AttemptRow,
    pairs: Vec<(MemberRow, &CloudInstance)>,
    programs: &BTreeMap<u32, ProgramRow>,
) -> Result<Vec<Vec<Write>>, LedgerError> {
    let mut transactions = Vec::new();
    for chunk in pairs.chunks(RECORD_MEMBERS_MAX) {
        let mut writes = Vec::with_capacity(2 * chunk.len() + 1);
        for (member, instance) in chunk {
            let mut member = member.clone();
            let corrupt = |problem: String| LedgerError::Corrupt {
                key: member.key(),
                problem,
            };
            let program = programs.get(&member.program).ok_or_else(|| {
                corrupt("names a program that the sweep does not have".to_owned())
            })?;
            member.state = MemberState::Launching;
            member.live = true;
            member.reason = None;
            member.instance = Some(instance.arn.clone());
            member.instance_type = Some(instance.instance_type.clone());
            member.market = Some(instance.market);
            member.availability_zone = Some(instance.availability_zone.clone());
            member.addresses = instance.addresses.clone();
            member.attempt = Some(attempt.token.clone());
            member.launched_at = Some(instance.launched_at);
            member
                .spent
                .push(attempt.costs.spent(instance, program.ttl_s));
            member.ttl_deadline = program.ttl_s.map(|ttl| instance.launched_at + ttl * 1000);
            let assignment = boot::assignment(sweep, &member, program).map_err(|error| {
                LedgerError::Corrupt {
                    key: member.key(),
                    problem: error.to_string(),
                }
            })?;
            let row = InstanceRow::assigned(
                instance.arn.clone(),
                sweep.sweep_id.clone(),
                member.index,
                assignment,
                member.ttl_deadline,
            );
            writes.push(member.replace()?);
            writes.push(Write::Put {
                row: row.row()?,
                expect: crate::ledger::Expect::Absent,
            });
        }
        let count = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        writes.push(Write::Update {
            key: sweep_key(&sweep.sweep_id),
            set: Vec::new(),
            remove: Vec::new(),
            add: count_move(
                &attempt.lane.region,
                MemberState::Planned,
                MemberState::Launching,
                count,
            ),
            when: Vec::new(),
        });
        transactions.push(writes);
    }
    Ok(transactions)
}

/// The members that an attempt has launched, as their rows say: some of them may have ended and be planned again.
#[must_use]
pub fn launched(members: &[MemberRow], attempt: &AttemptRow) -> Indices {
    members
        .iter()
        .filter(|member| member.was_launched_by(&attempt.token))
        .map(|member| member.index)
        .collect()
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The members that got an instance.
    pub launched: Indices,
    /// EC2's error, if there was one.
    pub error: Option<String>,
    /// Not to launch in this lane before this time, in ms since 1970.
    pub not_before: u64,
    /// Why the lane launches no more, if so.
    pub stop: Option<String>,
}

/// The writes that close an attempt. `batch` is the batch as it goes on (its rung may have moved).
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn close(
    lane: &LaneRow,
    batch: &BatchRow,
    attempt: &AttemptRow,
    closing: Closing,
) -> Result<Vec<Write>, LedgerError> {
    let unfilled = attempt.members.without(&closing.launched);
    let launched = attempt.members.len() - unfilled.len();
    let mut batch = batch.clone();
    batch.pending = batch.pending.union(&unfilled);
    let mut lane = lane.clone();
    lane.open_attempt = None;
    lane.setbacks = 0;
    lane.not_before = closing.not_before;
    lane.pending = lane.pending.saturating_sub(launched);
    lane.stopped = closing.stop.or(lane.stopped);
    let mut attempt = attempt.clone();
    attempt.state = if launched > 0 {
        AttemptState::Done
    } else {
        AttemptState::Failed
    };
    attempt.launched = launched;
    attempt.error = closing.error;
    let mut writes = Vec::with_capacity(4);
    let mut releases = Releases::default();
    attempt.costs.give_back(unfilled.len(), &mut releases);
    if !unfilled.is_empty() {
        writes.push(Write::Update {
            key: sweep_key(&lane.sweep_id),
            set: Vec::new(),
            remove: Vec::new(),
            add: slot_change(&lane.lane.region.to_string(), -i64::from(unfilled.len())),
            when: Vec::new(),
        });
    }
    writes.push(attempt.replace()?);
    writes.push(batch.replace()?);
    let sweep_id = lane.sweep_id.clone();
    writes.push(lane.replace()?);
    Ok(releases.into_writes(&sweep_id, writes))
}

/// Members that [`give_up`] takes at once: one write each, and three for batch, lane and sweep.
pub(crate) const GIVE_UP_MEMBERS_MAX: u32 = 97;

/// The writes that fail the first pending members of `batch`, which the caller has read as `members`, because their lane
/// launches no more.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn give_up(
    sweep: &SweepRow,
    lane: &LaneRow,
    batch: &BatchRow,
    members: Vec<MemberRow>,
    now: u64,
) -> Result<Vec<Write>, LedgerError> {
    let reason = lane
        .stopped
        .clone()
        .unwrap_or_else(|| "its lane launches no more".to_owned());
    let given_up: Indices = members.iter().map(|member| member.index).collect();
    let mut writes = Vec::new();
    let mut failed = 0;
    for mut member in members {
        if member.state != MemberState::Planned {
            continue;
        }
        failed += 1;
        member.state = MemberState::Failed;
        member.code = Some(EndCode::LaunchFailed);
        member.reason = Some(reason.clone());
        member.ended_at = Some(now);
        writes.push(member.replace()?);
    }
    let mut batch = batch.clone();
    batch.pending = batch.pending.without(&given_up);
    let region = lane.lane.region;
    let mut lane = lane.clone();
    lane.pending = lane.pending.saturating_sub(given_up.len());
    lane.next_batch = batch.batch;
    writes.push(batch.replace()?);
    writes.push(lane.replace()?);
    writes.push(Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add: count_move(&region, MemberState::Planned, MemberState::Failed, failed),
        when: Vec::new(),
    });
    Ok(writes)
}

/// The first members of `batch` that [`give_up`] takes.
#[must_use]
pub fn to_give_up(batch: &BatchRow) -> Indices {
    batch.pending.split(GIVE_UP_MEMBERS_MAX).0
}
