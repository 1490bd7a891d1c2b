//! Trying members again.
//!
//! ```text
//! end     the instance of a member ends; a try is left: member planned, RETRY row, retrying + 1     (one transaction)
//!   |     a death here: whoever looks next sees `retrying` and wakes the sweep
//! wake    the lane's machine runs or waits for a slot and will find the row; or all lanes had ended, and the
//!   |     sweep's execution is told to launch these lanes again
//! batch   launch-batch puts the lane's RETRY rows into a new batch: rows gone, retrying - n         (one transaction)
//! ```
//!
//! From there on a retried member is launched like any other. What is seen of its old instance later does not touch it: an
//! observation counts only for the instance that the member's row names.

use crate::ending::EndCode;
use crate::ledger::{Expect, LedgerError, Stored as _, Versioned as _, Write, path};
use crate::policy::Retries;
use crate::reap::{ReapReason, Reaping};
use crate::rows::{BatchRow, LaneRow, MemberRow, RetryRow, Try, sweep_key};
use crate::state::MemberState;

/// Whether a member that has ended may be tried again by itself: its instance is gone with it, and a try of this kind is
/// left.
#[must_use]
pub fn is_left(member: &MemberRow, retries: Retries) -> bool {
    let Some(code) = member
        .code
        .filter(|_| member.state.is_ended() && !member.live)
    else {
        return false;
    };
    let used = |is_kind: fn(EndCode) -> bool| {
        let tries = member.tries.iter().filter(|one| is_kind(one.code)).count();
        u32::try_from(tries).unwrap_or(u32::MAX)
    };
    if code == EndCode::Interrupted {
        used(|code| code == EndCode::Interrupted) < retries.interruption
    } else {
        code.is_failure() && used(EndCode::is_failure) < retries.failure
    }
}

/// Whether a member has ended because a person wants another instance for it: then it is tried again whatever its retries. Not
/// if its program came to a good end meanwhile.
#[must_use]
pub fn is_replaced(member: &MemberRow) -> bool {
    let asked = |reaping: &Reaping| reaping.reason == ReapReason::Replaced;
    member.state.is_ended()
        && member.state != MemberState::Completed
        && !member.live
        && member.reaping.as_ref().is_some_and(asked)
}

/// The member as it is before it is launched again: planned, with what became of it so far among its tries. Of a member that
/// never had an instance there is nothing to keep.
#[must_use]
pub fn planned_again(member: &MemberRow) -> MemberRow {
    let mut tries = member.tries.clone();
    let mut reason = None;
    if member.instance.is_some() {
        let words = member.reason.as_deref().unwrap_or("it ended");
        reason = Some(format!("tried again after: {words}"));
        tries.push(Try {
            state: member.state,
            code: member.code.unwrap_or(EndCode::Lost),
            reason: member.reason.clone(),
            instance: member.instance.clone(),
            instance_type: member.instance_type.clone(),
            market: member.market,
            availability_zone: member.availability_zone.clone(),
            attempt: member.attempt.clone(),
            launched_at: member.launched_at,
            running_at: member.running_at,
            ended_at: member.ended_at,
            exit_code: member.exit_code,
            result_key: member.result_key.clone(),
        });
    }
    MemberRow {
        name: member.name.clone(),
        dns_name: member.dns_name.clone(),
        version: member.version,
        params: member.params.clone(),
        program: member.program,
        shape: member.shape,
        reason,
        tries,
        spent: member.spent.clone(),
        ..MemberRow::planned(
            member.sweep_id.clone(),
            member.shards,
            member.index,
            member.lane.clone(),
        )
    }
}

/// The member as its last try left it, when it waits for another one that it does not get; `None` when it has not been tried.
#[must_use]
pub fn as_last_tried(member: &MemberRow) -> Option<MemberRow> {
    let mut tries = member.tries.clone();
    let last = tries.pop()?;
    Some(MemberRow {
        state: last.state,
        code: Some(last.code),
        reason: last.reason,
        instance: last.instance,
        instance_type: last.instance_type,
        market: last.market,
        availability_zone: last.availability_zone,
        attempt: last.attempt,
        launched_at: last.launched_at,
        running_at: last.running_at,
        ended_at: last.ended_at,
        exit_code: last.exit_code,
        result_key: last.result_key,
        tries,
        ..member.clone()
    })
}

/// The row by which the lane of a member that is planned again hears of it. Whoever creates it adds 1 to the sweep's
/// `retrying` in the same transaction.
#[must_use]
pub fn row_of(member: &MemberRow) -> RetryRow {
    RetryRow {
        sweep_id: member.sweep_id.clone(),
        lane: member.lane.clone(),
        index: member.index,
        shape: member.shape,
        version: 0,
    }
}

/// Members that one batch takes in: a write each, and three for batch, lane and sweep.
pub const GATHERED_MAX: usize = 97;

/// The writes that put waiting members of one shape into a new batch of their lane. `rows` holds some; those of other shapes
/// are left for the next batch.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn gather(lane: &LaneRow, rows: &[RetryRow]) -> Result<Vec<Write>, LedgerError> {
    let Some(shape) = rows.first().map(|row| row.shape) else {
        return Ok(Vec::new());
    };
    let same = rows.iter().filter(|row| row.shape == shape);
    let taken: Vec<&RetryRow> = same.take(GATHERED_MAX).collect();
    let mut writes: Vec<Write> = taken
        .iter()
        .map(|row| Write::Delete {
            key: row.key(),
            expect: Expect::Version(row.version),
        })
        .collect();
    let batch = BatchRow::new(
        lane.sweep_id.clone(),
        lane.lane.clone(),
        lane.batches,
        shape,
        taken.iter().map(|row| row.index).collect(),
    );
    let mut lane = lane.clone();
    lane.batches += 1;
    lane.pending += batch.pending.len();
    let count = i64::from(batch.pending.len());
    writes.push(batch.create()?);
    writes.push(Write::Update {
        key: sweep_key(&lane.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add: vec![(path(&["retrying"]), -count)],
        when: Vec::new(),
    });
    writes.push(lane.replace()?);
    Ok(writes)
}

/// The end of a member after which it is tried again, as a move of the states.
#[must_use]
pub fn is_retry(before: &MemberRow, after: &MemberRow) -> bool {
    before.state != MemberState::Planned && after.state == MemberState::Planned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::SweepId;

    fn ended(code: EndCode, tries: &[EndCode]) -> MemberRow {
        let lane = "us-east-1.spot".parse().unwrap();
        let mut member = MemberRow::planned(SweepId::from("s"), 1, 7, lane);
        member.params = "{\"x\":1}".to_owned();
        for code in tries.iter().chain([&code]) {
            member = planned_again(&member);
            let id = format!(
                "arn:aws:ec2:us-east-1:000000000000:instance/i-{}",
                member.tries.len()
            );
            member.state = MemberState::Failed;
            member.code = Some(*code);
            member.instance = id.parse().ok();
        }
        member
    }

    #[test]
    fn earlier_tries_stay_readable_and_nothing_else_of_them() {
        let member = ended(EndCode::ExitCode, &[EndCode::Interrupted]);
        let again = planned_again(&member);
        assert_eq!(again.tries.len(), 2);
        assert_eq!(again.tries[1].instance, member.instance);
        assert_eq!((again.instance.clone(), again.code), (None, None));
        assert_eq!(
            (again.try_number(), again.params.as_str()),
            (3, "{\"x\":1}")
        );
        assert!(again.has_had(member.instance.as_ref().unwrap()));
        let last = as_last_tried(&again).unwrap();
        assert_eq!((last.tries.len(), last.exit_code), (1, member.exit_code));
        assert_eq!((last.instance, last.code), (member.instance, member.code));
        let never = MemberRow::planned(member.sweep_id, 1, 0, member.lane);
        assert_eq!(planned_again(&never), never);
        assert_eq!(as_last_tried(&never), None);
    }

    #[test]
    fn an_instance_that_stays_up_keeps_its_member_from_a_retry() {
        let mut member = ended(EndCode::ExitCode, &[]);
        let retries = Retries {
            interruption: 5,
            failure: 5,
        };
        assert!(is_left(&member, retries));
        member.live = true;
        assert!(!is_left(&member, retries));
    }

    proptest! {
        /// Whatever a member ends of, in whatever order: it is tried at most as often as both kinds of retries allow, and never
        /// after an end that is neither.
        #[test]
        fn retries_are_limited(
            ends in prop::collection::vec(prop::sample::select(EndCode::ALL.to_vec()), 1..30),
            interruption in 0_u32..4,
            failure in 0_u32..4,
        ) {
            let retries = Retries { interruption, failure };
            let lane = "us-east-1.spot".parse().unwrap();
            let mut member = MemberRow::planned(SweepId::from("s"), 1, 7, lane);
            for (number, code) in ends.into_iter().enumerate() {
                member.state = MemberState::Failed;
                member.code = Some(code);
                let id = format!("arn:aws:ec2:us-east-1:000000000000:instance/i-{number}");
                member.instance = id.parse().ok();
                if !is_left(&member, retries) {
                    break;
                }
                prop_assert!(code.is_failure() || code == EndCode::Interrupted);
                member = planned_again(&member);
            }
            let used = |kind: fn(EndCode) -> bool| {
                member.tries.iter().filter(|one| kind(one.code)).count()
            };
            prop_assert!(used(|code| code == EndCode::Interrupted) <= interruption as usize);
            prop_assert!(used(EndCode::is_failure) <= failure as usize);
            prop_assert!(member.tries.len() <= (interruption + failure) as usize);
        }
    }
}
