//! Slots of `max_concurrent` for instances that are started again: a stopped member takes none, and another one may have it by now.
//!
//! A member whose slot is taken is `live` before its instance is started. When that comes to nothing it is given back here, or by
//! whoever sees next that the instance is stopped.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::launch;
use spawn_core::ledger::{self, Ledger, LedgerError, TRANSACTION_ITEMS_MAX, Versioned as _};
use spawn_core::region::Region;
use spawn_core::rows::{MemberRow, SweepRow, member_key, sweep_key};
use spawn_core::state::MemberState;

use crate::TRIES_MAX;
use crate::rewrite::rewrite;

/// Members of one transaction: a write each, and one for the sweep's row.
const MEMBERS_MAX: usize = TRANSACTION_ITEMS_MAX - 1;

/// Takes slots for stopped members; answers those that got none. Members that have one, or that have ended, need none.
pub(crate) async fn take<'a>(
    sweep_id: &SweepId,
    members: impl IntoIterator<Item = &'a MemberRow>,
    ledger: &impl Ledger,
) -> Result<BTreeSet<u32>, FunctionError> {
    let mut by_region: BTreeMap<Region, Vec<&MemberRow>> = BTreeMap::new();
    for member in members {
        by_region
            .entry(member.lane.region)
            .or_default()
            .push(member);
    }
    let mut without = BTreeSet::new();
    for (region, members) in by_region {
        for chunk in members.chunks(MEMBERS_MAX) {
            without.extend(take_chunk(sweep_id, region, chunk, ledger).await?);
        }
    }
    Ok(without)
}

async fn take_chunk(
    sweep_id: &SweepId,
    region: Region,
    members: &[&MemberRow],
    ledger: &impl Ledger,
) -> Result<Vec<u32>, FunctionError> {
    for _ in 0..TRIES_MAX {
        let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
        if sweep.max_concurrent.is_none() && sweep.max_in_region(&region).is_none() {
            return Ok(Vec::new());
        }
        let keys = members
            .iter()
            .map(|m| member_key(&m.sweep_id, m.shards, m.index));
        let mut wanting: Vec<MemberRow> = ledger::require_all(ledger, keys.collect()).await?;
        wanting.retain(|member| member.state == MemberState::Stopped && !member.live);
        let free = usize::try_from(sweep.free_slots(&region)).unwrap_or(usize::MAX);
        let without = wanting.split_off(free.min(wanting.len()));
        let without = without.iter().map(|member| member.index).collect();
        if wanting.is_empty() {
            return Ok(without);
        }
        let mut writes = vec![launch::take_slots_again(&sweep, region, wanting.len())];
        for mut member in wanting {
            member.live = true;
            writes.push(member.replace()?);
        }
        match ledger.commit(writes).await {
            Ok(()) => return Ok(without),
            Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(FunctionError::Conflict(format!(
        "the slots of {sweep_id} in {region} changed {TRIES_MAX} times while they were taken"
    )))
}

/// Gives the slots of members back whose instances are not started after all.
pub(crate) async fn give_back<'a>(
    members: impl IntoIterator<Item = &'a MemberRow>,
    ledger: &impl Ledger,
) -> Result<(), FunctionError> {
    for member in members {
        let give = |mut row: MemberRow| {
            if row.state != MemberState::Stopped || !row.live {
                return Ok(None);
            }
            row.live = false;
            let slot = launch::give_slot_back(&row.sweep_id, row.lane.region);
            Ok(Some(vec![slot, row.replace()?]))
        };
        rewrite(member, ledger, give).await?;
    }
    Ok(())
}
