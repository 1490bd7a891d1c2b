//! The record of what an attempt launched.

use std::collections::BTreeMap;

use crate::boot;
use crate::ledger::{Expect, LedgerError, Stored, Versioned, Write};
use crate::ports::CloudInstance;
use crate::ranges::Indices;
use crate::rows::{
    AttemptRow, BatchRow, InstanceRow, LaunchApi, MemberRow, ProgramRow, SweepRow, count_move,
    sweep_key,
};
use crate::state::MemberState;

/// Pairs the instances of an attempt with its members that were not recorded yet: instances in the order of their ids, members
/// in the order of their indices, so that every repeat pairs them alike.
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

/// Members that [`record`] takes at once: two writes each, and one for the attempt and the sweep, must fit a transaction of 100.
const RECORD_MEMBERS_MAX: usize = 49;

/// The transactions that record the pairs of an attempt of `batch`, and the attempt as it is after them.
///
/// # Errors
/// When a row cannot be written as JSON, or a member's program is not in `programs`.
pub fn record(
    sweep: &SweepRow,
    batch: &BatchRow,
    attempt: &AttemptRow,
    pairs: Vec<(MemberRow, &CloudInstance)>,
    programs: &BTreeMap<u32, ProgramRow>,
) -> Result<(Vec<Vec<Write>>, AttemptRow), LedgerError> {
    let mut transactions = Vec::new();
    let mut attempt = attempt.clone();
    for chunk in pairs.chunks(RECORD_MEMBERS_MAX) {
        let mut writes = Vec::with_capacity(2 * chunk.len() + 2);
        for (member, instance) in chunk {
            let member = launched_member(batch, &attempt, member, instance, programs)?;
            writes.push(assignment(sweep, &member, instance, programs)?);
            writes.push(member.replace()?);
        }
        let indices = chunk.iter().map(|(member, _)| member.index).collect();
        attempt.recorded = attempt.recorded.union(&indices);
        writes.push(attempt.clone().replace()?);
        attempt.version += 1;
        writes.push(Write::Update {
            key: sweep_key(&sweep.sweep_id),
            set: Vec::new(),
            remove: Vec::new(),
            add: count_move(
                &attempt.at.region,
                MemberState::Planned,
                MemberState::Launching,
                i64::try_from(chunk.len()).unwrap_or(i64::MAX),
            ),
            when: Vec::new(),
        });
        transactions.push(writes);
    }
    Ok((transactions, attempt))
}

fn launched_member(
    batch: &BatchRow,
    attempt: &AttemptRow,
    member: &MemberRow,
    instance: &CloudInstance,
    programs: &BTreeMap<u32, ProgramRow>,
) -> Result<MemberRow, LedgerError> {
    let program = program_of(member, programs)?;
    let mut member = member.clone();
    member.state = MemberState::Launching;
    member.live = true;
    member.reason = None;
    // A member that was launched elsewhere than planned belongs there from now on.
    member.lane = attempt.at.clone();
    member.instance = Some(instance.arn.clone());
    member.instance_type = Some(instance.instance_type.clone());
    member.market = Some(instance.market);
    member.availability_zone =
        Some(instance.availability_zone.clone()).filter(|zone| !zone.is_empty());
    member.addresses = instance.addresses.clone();
    member.attempt = Some(attempt.token.clone());
    member.rungs.clone_from(&batch.rungs);
    member.rungs.push(rung_words(attempt));
    member.launched_at = Some(instance.launched_at);
    let mut spent = attempt.costs.spent(instance, program.ttl_s);
    if attempt.rung.api == LaunchApi::CreateFleet {
        // A fleet's answer does not tell when it launched, and an answer that was lost is asked for again minutes later: what is
        // billed begins with the call at the earliest.
        let called_at = attempt.created_at.max(attempt.send_at);
        spent.launched_at = spent.launched_at.min(called_at);
    }
    member.spent.push(spent);
    member.ttl_deadline = program.ttl_s.map(|ttl| instance.launched_at + ttl * 1000);
    Ok(member)
}

fn assignment(
    sweep: &SweepRow,
    member: &MemberRow,
    instance: &CloudInstance,
    programs: &BTreeMap<u32, ProgramRow>,
) -> Result<Write, LedgerError> {
    let program = program_of(member, programs)?;
    let assignment = boot::assignment(sweep, member, program)
        .map_err(|error| corrupt(member, error.to_string()))?;
    let row = InstanceRow::assigned(
        instance.arn.clone(),
        sweep.sweep_id.clone(),
        member.index,
        assignment,
        member.ttl_deadline,
    );
    Ok(Write::Put {
        row: row.row()?,
        expect: Expect::Absent,
    })
}

fn program_of<'a>(
    member: &MemberRow,
    programs: &'a BTreeMap<u32, ProgramRow>,
) -> Result<&'a ProgramRow, LedgerError> {
    programs.get(&member.program).ok_or_else(|| {
        corrupt(
            member,
            "names a program that the sweep does not have".to_owned(),
        )
    })
}

fn corrupt(member: &MemberRow, problem: String) -> LedgerError {
    LedgerError::Corrupt {
        key: member.key(),
        problem,
    }
}

/// The members that an attempt has launched: those that it recorded, and those whose rows say so, because somebody else has
/// recorded them. Some of them may have ended and be planned again.
#[must_use]
pub fn recorded(attempt: &AttemptRow, members: &[MemberRow]) -> Indices {
    let by_others: Indices = members
        .iter()
        .filter(|member| member.was_launched_by(&attempt.token))
        .map(|member| member.index)
        .collect();
    attempt.recorded.union(&by_others)
}

/// Where an attempt asked, in words: `us-east-1 spot c5.large`.
#[must_use]
pub fn rung_words(attempt: &AttemptRow) -> String {
    format!("{} {}", attempt.at.place(), attempt.rung)
}
