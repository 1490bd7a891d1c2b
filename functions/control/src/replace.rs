//! Another instance for a member: the old one is ended, and the transaction that sees its end plans the member again. One that
//! has ended before is planned again here.

use std::collections::BTreeMap;

use spawn_core::budget;
use spawn_core::control::{
    ControlRow, Decision, Outcome, Outcomes, Step, control_key, no_room_for_another, replace_ended,
};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError};
use spawn_core::reap::{ReapReason, Reaping};
use spawn_core::rows::{LaneRow, MemberRow, SweepRow, lane_key, sweep_key};

use crate::{Asked, TRIES_MAX};

/// The tries whose instances are to be replaced, by member, as they were when the request was accepted: a repeat that finds
/// the next try has nothing to do.
pub(crate) async fn asked_tries(
    asked: &Asked,
    sweep: &SweepRow,
    asked_at: u64,
    ledger: &impl Ledger,
) -> Result<BTreeMap<u32, u32>, FunctionError> {
    let key = control_key(&sweep.sweep_id, asked_at, &asked.execution_arn);
    let row: ControlRow = ledger::require(ledger, key).await?;
    Ok(row.replaces)
}

/// Why no budget has room for another instance of a member; `None` when there is room, or when its present instance is being
/// ended for this already.
pub(crate) async fn no_room(
    sweep: &SweepRow,
    member: &MemberRow,
    ledger: &impl Ledger,
    now: u64,
) -> Result<Option<String>, FunctionError> {
    let is_begun = |reaping: &Reaping| reaping.reason == ReapReason::Replaced;
    if !member.state.is_ended() && member.reaping.as_ref().is_some_and(is_begun) {
        return Ok(None);
    }
    let key = lane_key(&sweep.sweep_id, &member.lane);
    let lane: LaneRow = ledger::require(ledger, key).await?;
    let standing = budget::standing(ledger, sweep, &member.lane, now).await?;
    let each = lane.prices.commitment(member.shape);
    Ok(no_room_for_another(sweep, &standing, member, each, now))
}

/// What came of members whose sweep does not go on any more: `words` say why. Those that were planned again before that are
/// replaced all the same.
pub(crate) fn too_late(
    members: &[MemberRow],
    asked_tries: &BTreeMap<u32, u32>,
    words: &str,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for member in members {
        let asked = asked_tries.get(&member.index).copied().unwrap_or(0);
        if member.try_number() > asked {
            outcomes.add(member.index, Outcome::Replaced, None);
        } else {
            outcomes.add(member.index, Outcome::NotReplaced, Some(words.to_owned()));
        }
    }
    outcomes
}

/// Plans a member again that has ended, unless its sweep launches nothing more.
pub(crate) async fn plan_again(
    member: &MemberRow,
    ledger: &impl Ledger,
) -> Result<Decision, FunctionError> {
    let done = |outcome| Decision {
        step: Step::Done,
        outcome,
    };
    for _ in 0..TRIES_MAX {
        let sweep: SweepRow = ledger::require(ledger, sweep_key(&member.sweep_id)).await?;
        let now: MemberRow = ledger::require(ledger, sweep.member_key(member.index)).await?;
        if now.try_number() > member.try_number() {
            return Ok(done(Outcome::Replaced));
        }
        if !sweep.goes_on() || sweep.is_complete() {
            return Ok(done(Outcome::NotReplaced));
        }
        match ledger.commit(replace_ended(&sweep, &now)?).await {
            Ok(()) => return Ok(done(Outcome::Replaced)),
            Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(FunctionError::Conflict(format!(
        "sweep {} changed {TRIES_MAX} times while member {} was planned again",
        member.sweep_id, member.index
    )))
}
