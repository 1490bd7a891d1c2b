//! Reads sweeps with their members and lanes, and the prices that they ran at.

use std::collections::BTreeSet;

use spawn_core::cost::Changes;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError};
use spawn_core::prices::{PriceRow, price_pk};
use spawn_core::region::Region;
use spawn_core::rows::{MemberRow, SweepRow, shard_pk, sweep_key};
use spawn_core::state::SweepStatus;

/// The ids of the sweeps in these statuses, from an index that may lag behind.
pub(crate) async fn sweep_ids(
    ledger: &impl Ledger,
    statuses: &[SweepStatus],
) -> Result<BTreeSet<SweepId>, LedgerError> {
    let mut ids = BTreeSet::new();
    for status in statuses {
        let mut from = None;
        loop {
            let page = ledger.sweeps_by_status(status.as_str(), from).await?;
            for row in &page.rows {
                if let Some(id) = row.key.pk.strip_prefix("SWEEP#") {
                    ids.insert(SweepId::from(id));
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(ids)
}

/// The row of a sweep that must be there.
///
/// # Errors
/// That there is none, or that the ledger does not answer.
pub(crate) async fn sweep(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
) -> Result<SweepRow, FunctionError> {
    let found = ledger::load(ledger, sweep_key(sweep_id)).await?;
    found.ok_or_else(|| {
        FunctionError::NotFound(format!(
            "there is no sweep {sweep_id}: spawn-list shows those there are"
        ))
    })
}

/// All members of a sweep, by index.
pub(crate) async fn members(
    ledger: &impl Ledger,
    sweep: &SweepRow,
) -> Result<Vec<MemberRow>, LedgerError> {
    let mut members: Vec<MemberRow> = Vec::new();
    for shard in 0..sweep.shards {
        let pk = shard_pk(&sweep.sweep_id, shard);
        members.extend(ledger::load_all(ledger, &pk, "MEMBER#").await?);
    }
    members.sort_by_key(|member| member.index);
    Ok(members)
}

/// How spot prices changed in the regions where these members' instances ran.
pub(crate) async fn changes(
    ledger: &impl Ledger,
    members: &[MemberRow],
) -> Result<Changes, LedgerError> {
    let mut changes = Changes::new();
    for region in regions(members) {
        let rows: Vec<PriceRow> = ledger::load_all(ledger, &price_pk(&region), "").await?;
        let of_region = rows
            .into_iter()
            .map(|row| ((region, row.item), row.changes));
        changes.extend(of_region.filter(|(_, changes)| !changes.is_empty()));
    }
    Ok(changes)
}

/// The regions in which members had instances.
pub(crate) fn regions(members: &[MemberRow]) -> BTreeSet<Region> {
    members
        .iter()
        .flat_map(|member| member.spent.iter().map(|spent| spent.region))
        .collect()
}
