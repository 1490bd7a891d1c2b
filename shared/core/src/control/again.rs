//! Members that are launched again because somebody asks for it: one that is replaced, and those of an ended sweep that did not
//! complete.
//!
//! A member whose instance lives is replaced by the transaction that ends it (`retry::is_replaced`), so that its sweep cannot
//! be over in between. One that has ended before is planned again here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::act::Step;
use super::input::Request;
use super::outcome::Outcome;
use crate::budget::{Purse, Standing};
use crate::cost::{EndedBy, Run, Spent};
use crate::errors::FunctionError;
use crate::ids::LaneId;
use crate::launch::while_going_on;
use crate::ledger::{Condition, LedgerError, Path, Versioned as _, Write, path};
use crate::money::MicroDollars;
use crate::ports::ShownInstance;
use crate::retry::{planned_again, row_of};
use crate::rows::{ExecutionRow, LaneRow, MemberRow, SweepRow, count_move, sweep_key};
use crate::state::{MemberState, SweepStatus};

/// Members in one transaction: two writes each, and room for that of the sweep's row.
pub const AGAIN_MEMBERS_MAX: usize = 49;

/// What is to be done so that a member gets another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// Its instance is to be ended, or its end to be waited for, or nothing is left to do.
    Instance(Step, Outcome),
    /// It has ended: it is to be planned again.
    PlanAgain,
}

/// Decides about a member whose instance EC2 shows as `shown`. `asked_try` is the number of its try when the request was
/// accepted: whoever asks twice gets one new instance.
#[must_use]
pub fn replacement(
    request: &Request,
    member: &MemberRow,
    asked_try: u32,
    shown: Option<&ShownInstance>,
) -> Replacement {
    let done = |outcome| Replacement::Instance(Step::Done, outcome);
    if member.try_number() > asked_try {
        return done(Outcome::Replaced);
    }
    if member.state == MemberState::Completed {
        return done(Outcome::HadCompleted);
    }
    if member.state == MemberState::Planned {
        return done(Outcome::NotLaunched);
    }
    if member.state.is_ended() && !member.live {
        return Replacement::PlanAgain;
    }
    match shown {
        Some(shown) if shown.instance.state.is_ending() => {
            Replacement::Instance(Step::Wait, Outcome::Terminating)
        }
        Some(shown) if shown.protected && !request.force => done(Outcome::Protected),
        // EC2's answers may be behind by some seconds; the ledger knows of the launch.
        Some(_) | None => Replacement::Instance(Step::Call, Outcome::Terminating),
    }
}

/// An instance that is being ended is billed for some time more until that is seen, in ms.
const ENDING_MS: u64 = 60_000;

/// Why budgets have no room for another instance of a member, each of which is committed with `each` when it is launched, even
/// when its present instance has given back what it does not use. `None`: there is room. `standing` are the budgets that its
/// launch would count against at `now` (ms since 1970).
#[must_use]
pub fn no_room_for_another(
    sweep: &SweepRow,
    standing: &[Standing],
    member: &MemberRow,
    each: Option<MicroDollars>,
    now: u64,
) -> Option<String> {
    let mut purse = Purse::of(sweep, standing);
    let periods = purse.periods();
    let Some(each) = each else {
        let budget = purse.limited_by(&periods)?;
        return Some(format!(
            "{budget} cannot be kept: what another instance may cost is not known, for want of its price or its ttl"
        ));
    };
    let id = member.instance.as_ref().map(|arn| &arn.instance_id);
    let open = member.spent.iter().rev();
    let open = open
        .into_iter()
        .find(|spent| Some(&spent.instance_id) == id && spent.billed.is_none());
    if let Some(spent) = open {
        purse.expect_back(unused(spent, now + ENDING_MS), &spent.charged_to);
    }
    let refused = purse.take(each, &periods).err()?;
    Some(format!(
        "{}, once the present instance is gone",
        refused.words
    ))
}

/// What an instance that ends at `at` gives back of its commitment; nothing when that cannot be told.
fn unused(spent: &Spent, at: u64) -> MicroDollars {
    let mut spent = spent.clone();
    // Nobody has seen it running yet: it may have since its launch.
    if spent.runs.is_empty() {
        spent.runs.push(Run {
            from: spent.launched_at,
            to: None,
            ended_by: EndedBy::User,
        });
    }
    let bill = spent.bill(&[], at).ok().flatten();
    let back = spent.committed.zip(bill);
    back.map_or(MicroDollars::ZERO, |(committed, bill)| {
        MicroDollars(committed.0.saturating_sub(bill.total.0).max(0))
    })
}

/// The writes that take ended members of a sweep that is being resumed back to `planned`, and hand them to their lanes. At most
/// [`AGAIN_MEMBERS_MAX`] at a time. They fail when the sweep was drained meanwhile.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn plan_again(sweep: &SweepRow, members: &[MemberRow]) -> Result<Vec<Write>, LedgerError> {
    let planning = Value::from(SweepStatus::Planning.as_str());
    let when = vec![Condition::Equals(path(&["status"]), planning)];
    planned(sweep, members, when)
}

fn planned(
    sweep: &SweepRow,
    members: &[MemberRow],
    when: Vec<Condition>,
) -> Result<Vec<Write>, LedgerError> {
    let mut writes = Vec::with_capacity(2 * members.len() + 1);
    // DynamoDB refuses a path that comes twice.
    let mut add: BTreeMap<Path, i64> = BTreeMap::new();
    for member in members {
        let again = planned_again(member);
        writes.push(row_of(&again).create()?);
        let region = &member.lane.region;
        let moved = count_move(region, member.state, MemberState::Planned, 1);
        for (counter, by) in moved.into_iter().chain([(path(&["retrying"]), 1)]) {
            *add.entry(counter).or_insert(0) += by;
        }
        writes.push(again.replace()?);
    }
    writes.push(Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add: add.into_iter().filter(|(_, by)| *by != 0).collect(),
        when,
    });
    Ok(writes)
}

/// The writes that plan one ended member of a live sweep again. They fail when the sweep launches nothing more, or when
/// another member has ended meanwhile: with the last one the sweep is over, and this must not come after.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn replace_ended(sweep: &SweepRow, member: &MemberRow) -> Result<Vec<Write>, LedgerError> {
    let mut when = while_going_on();
    for state in MemberState::ALL.into_iter().filter(|s| s.is_ended()) {
        let count = Value::from(sweep.counts.of(state));
        when.push(Condition::Equals(path(&["counts", state.as_str()]), count));
    }
    planned(sweep, std::slice::from_ref(member), when)
}

/// Whether a resumed sweep runs a member again: it has ended without completing. One that was never launched is still in its
/// lane's batches.
#[must_use]
pub fn is_resumed(member: &MemberRow) -> bool {
    member.state.is_ended() && member.state != MemberState::Completed
}

/// How many members a resumed sweep runs: those again, and those for the first time.
///
/// # Errors
/// [`FunctionError::NotAllowed`] when there are none, or when the instance of one of them still lives.
pub fn resumable(sweep: &SweepRow, members: &[MemberRow]) -> Result<usize, FunctionError> {
    let refuse = |words: String| {
        let id = &sweep.sweep_id;
        Err(FunctionError::NotAllowed(format!(
            "spawn-resume cannot be done: {words} (sweep {id} is {})",
            sweep.status
        )))
    };
    let living: Vec<String> = members
        .iter()
        .filter(|member| is_resumed(member) && member.live)
        .map(|member| member.index.to_string())
        .collect();
    if !living.is_empty() {
        let first = living.get(..NAMED_MAX).unwrap_or(&living).join(", ");
        return refuse(format!(
            "the instances of {} members are still there, first those of {first}; end them by spawn-terminate",
            living.len()
        ));
    }
    let is_left = |m: &&MemberRow| is_resumed(m) || m.state == MemberState::Planned;
    match members.iter().filter(is_left).count() {
        0 => refuse("every member has completed".to_owned()),
        count => Ok(count),
    }
}

/// Members that a refusal names.
const NAMED_MAX: usize = 20;

/// The first writes of a resumption by the execution `execution_arn`: the sweep is planned again, under this execution, and
/// what its old execution still brings about concerns it no more. `trace` is what this one began, where it is sampled.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn reopen(
    sweep: &SweepRow,
    old: Option<ExecutionRow>,
    execution_arn: &str,
    trace: Option<&str>,
) -> Result<Vec<Write>, LedgerError> {
    let status = path(&["status"]);
    let new = ExecutionRow {
        execution_arn: execution_arn.to_owned(),
        sweep_id: Some(sweep.sweep_id.clone()),
        version: 0,
    };
    let remove = ["ended_at", "drain", "held", "stopped", "completion_token"];
    let mut writes = vec![
        new.create()?,
        Write::Update {
            key: sweep_key(&sweep.sweep_id),
            set: vec![
                (status.clone(), Value::from(SweepStatus::Planning.as_str())),
                (path(&["execution_arn"]), Value::from(execution_arn)),
                (path(&["trace"]), Value::from(trace)),
            ],
            remove: remove.iter().map(|name| path(&[name])).collect(),
            add: Vec::new(),
            when: vec![
                Condition::Equals(status, Value::from(sweep.status.as_str())),
                // Of two resumptions that read the same row one is refused.
                Condition::Equals(
                    path(&["execution_arn"]),
                    Value::from(sweep.execution_arn.as_str()),
                ),
            ],
        },
    ];
    if let Some(mut old) = old {
        old.sweep_id = None;
        writes.push(old.replace()?);
    }
    Ok(writes)
}

/// The write with which a resumed sweep begins to launch. It fails when the sweep was drained meanwhile.
#[must_use]
pub fn launch_again(sweep: &SweepRow, execution_arn: &str) -> Write {
    let status = path(&["status"]);
    Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: vec![(status.clone(), Value::from(SweepStatus::Launching.as_str()))],
        remove: Vec::new(),
        add: Vec::new(),
        when: vec![
            Condition::Equals(status, Value::from(SweepStatus::Planning.as_str())),
            Condition::Equals(path(&["execution_arn"]), Value::from(execution_arn)),
        ],
    }
}

/// A lane as it is when its sweep is resumed: what stopped it is over, its batches are looked through from the first, and its
/// launch templates went with the settlement.
#[must_use]
pub fn lane_again(lane: &LaneRow) -> LaneRow {
    LaneRow {
        templates: 0,
        not_before: 0,
        setbacks: 0,
        waits_for: None,
        troubles: BTreeMap::new(),
        next_launch_at: 0,
        next_batch: 0,
        ..lane.clone()
    }
}

/// The lanes that have something to launch.
#[must_use]
pub fn lanes_to_launch(lanes: &[LaneRow], members: &[MemberRow]) -> Vec<LaneId> {
    lanes
        .iter()
        .filter(|lane| {
            let waits = |m: &MemberRow| m.lane == lane.lane && m.state == MemberState::Planned;
            lane.pending > 0 || members.iter().any(waits)
        })
        .map(|lane| lane.lane.clone())
        .collect()
}
