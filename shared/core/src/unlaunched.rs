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
        let search = Search {
            ledger,
            sweep,
            lane,
            unwanted: unwanted.into_iter().collect(),
            why,
            now,
        };
        ended.extend(search.in_batches().await?);
        ended.extend(search.in_retries().await?);
    }
    Ok(ended)
}

/// The members of one lane that are to end.
struct Search<'a, L> {
    ledger: &'a L,
    sweep: &'a SweepRow,
    lane: &'a LaneId,
    unwanted: Indices,
    why: Forgone<'a>,
    now: u64,
}

impl<L: Ledger> Search<'_, L> {
    /// Takes members from the batches of their lane.
    async fn in_batches(&self) -> Result<Vec<u32>, LedgerError> {
        let sweep_id = &self.sweep.sweep_id;
        let mut row: LaneRow = ledger::require(self.ledger, lane_key(sweep_id, self.lane)).await?;
        let keys = (0..row.batches).map(|number| batch_key(sweep_id, self.lane, number));
        let batches: Vec<BatchRow> = ledger::require_all(self.ledger, keys.collect()).await?;
        let mut ended = Vec::new();
        for mut batch in batches {
            loop {
                let here = batch.pending.iter();
                let here = here.filter(|index| self.unwanted.contains(*index));
                let taken = launch::to_forgo(&here.collect());
                if taken.is_empty() {
                    break;
                }
                let Some(members) = self.planned(&taken).await? else {
                    return Ok(ended);
                };
                let writes = launch::forgo(self.sweep, &row, &batch, members, self.why, self.now)?;
                if !is_written(self.ledger.commit(writes).await)? {
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
    async fn in_retries(&self) -> Result<Vec<u32>, LedgerError> {
        let (pk, prefix) = (sweep_pk(&self.sweep.sweep_id), retry_prefix(self.lane));
        let mut rows: Vec<RetryRow> = ledger::load_all(self.ledger, &pk, &prefix).await?;
        rows.retain(|row| self.unwanted.contains(row.index));
        let mut ended = Vec::new();
        for chunk in rows.chunks(launch::FORGONE_RETRIES_MAX) {
            let indices: Indices = chunk.iter().map(|row| row.index).collect();
            let Some(members) = self.planned(&indices).await? else {
                return Ok(ended);
            };
            let both = chunk.iter().cloned().zip(members).collect();
            let writes = launch::forgo_retries(self.sweep, both, self.why, self.now)?;
            if is_written(self.ledger.commit(writes).await)? {
                ended.extend(indices.iter());
            }
        }
        Ok(ended)
    }

    /// The rows of members, if all of them still wait to be launched.
    async fn planned(&self, indices: &Indices) -> Result<Option<Vec<MemberRow>>, LedgerError> {
        let keys = indices.iter().map(|index| self.sweep.member_key(index));
        let members: Vec<MemberRow> = ledger::require_all(self.ledger, keys.collect()).await?;
        let waits = |member: &MemberRow| member.state == MemberState::Planned;
        Ok(members.iter().all(waits).then_some(members))
    }
}

fn is_written(result: Result<(), LedgerError>) -> Result<bool, LedgerError> {
    match result {
        Ok(()) => Ok(true),
        Err(LedgerError::Condition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
