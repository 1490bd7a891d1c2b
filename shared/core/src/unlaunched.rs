//! Members that are ended before they have an instance: they are taken from what their lanes are about to launch.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::LaneId;
use crate::launch::{self, Forgone};
use crate::ledger::{self, Ledger, LedgerError};
use crate::ranges::Indices;
use crate::rows::{
    BatchRow, LaneRow, MemberRow, RetryRow, SweepRow, batch_key, lane_key, retry_prefix, sweep_pk,
};
use crate::state::MemberState;

/// Ends those of `members` that wait to be launched, and answers them. The others are part of a call to EC2, or a launcher was
/// faster: a later look finds them with an instance, or waiting again.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn end(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    members: &[&MemberRow],
    why: Forgone<'_>,
    now: u64,
) -> Result<BTreeSet<u32>, LedgerError> {
    let mut by_lane: BTreeMap<&LaneId, Vec<u32>> = BTreeMap::new();
    for member in members {
        by_lane.entry(&member.lane).or_default().push(member.index);
    }
    let mut ended = BTreeSet::new();
    for (lane, unwanted) in by_lane {
        let unwanted: Indices = unwanted.into_iter().collect();
        ended.extend(in_batches(sweep, lane, &unwanted, why, ledger, now).await?);
        ended.extend(in_retries(sweep, lane, &unwanted, why, ledger, now).await?);
    }
    Ok(ended)
}

/// Takes members from the batches of their lane.
async fn in_batches(
    sweep: &SweepRow,
    lane: &LaneId,
    unwanted: &Indices,
    why: Forgone<'_>,
    ledger: &impl Ledger,
    now: u64,
) -> Result<Vec<u32>, LedgerError> {
    let mut row: LaneRow = ledger::require(ledger, lane_key(&sweep.sweep_id, lane)).await?;
    let keys = (0..row.batches).map(|number| batch_key(&sweep.sweep_id, lane, number));
    let batches: Vec<BatchRow> = ledger::require_all(ledger, keys.collect()).await?;
    let mut ended = Vec::new();
    for mut batch in batches {
        loop {
            let here = batch
                .pending
                .iter()
                .filter(|index| unwanted.contains(*index));
            let taken = launch::to_forgo(&here.collect());
            if taken.is_empty() {
                break;
            }
            let Some(members) = planned(sweep, &taken, ledger).await? else {
                return Ok(ended);
            };
            let writes = launch::forgo(sweep, &row, &batch, members, why, now)?;
            if !is_written(ledger.commit(writes).await)? {
                // The lane's launcher was faster: what it left is looked at again.
                return Ok(ended);
            }
            row.version += 1;
            row.pending = row.pending.saturating_sub(taken.len());
            batch.version += 1;
            batch.pending = batch.pending.without(&taken);
            ended.extend(taken.iter());
        }
    }
    Ok(ended)
}

/// Takes members that wait for another try from their lane.
async fn in_retries(
    sweep: &SweepRow,
    lane: &LaneId,
    unwanted: &Indices,
    why: Forgone<'_>,
    ledger: &impl Ledger,
    now: u64,
) -> Result<Vec<u32>, LedgerError> {
    let pk = sweep_pk(&sweep.sweep_id);
    let mut rows: Vec<RetryRow> = ledger::load_all(ledger, &pk, &retry_prefix(lane)).await?;
    rows.retain(|row| unwanted.contains(row.index));
    let mut ended = Vec::new();
    for chunk in rows.chunks(launch::FORGONE_RETRIES_MAX) {
        let indices: Indices = chunk.iter().map(|row| row.index).collect();
        let Some(members) = planned(sweep, &indices, ledger).await? else {
            return Ok(ended);
        };
        let both = chunk.iter().cloned().zip(members).collect();
        let writes = launch::forgo_retries(sweep, both, why, now)?;
        if is_written(ledger.commit(writes).await)? {
            ended.extend(indices.iter());
        }
    }
    Ok(ended)
}

/// The rows of members, if all of them still wait to be launched.
async fn planned(
    sweep: &SweepRow,
    indices: &Indices,
    ledger: &impl Ledger,
) -> Result<Option<Vec<MemberRow>>, LedgerError> {
    let keys = indices.iter().map(|index| sweep.member_key(index));
    let members: Vec<MemberRow> = ledger::require_all(ledger, keys.collect()).await?;
    let waits = |member: &MemberRow| member.state == MemberState::Planned;
    Ok(members.iter().all(waits).then_some(members))
}

fn is_written(result: Result<(), LedgerError>) -> Result<bool, LedgerError> {
    match result {
        Ok(()) => Ok(true),
        Err(LedgerError::Condition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
