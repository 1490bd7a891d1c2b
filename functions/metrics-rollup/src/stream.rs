//! Changes of sweeps' rows, as the ledger's stream tells them.

use std::collections::BTreeMap;

use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{Ledger, LedgerError, Stored, Versioned};
use spawn_core::rollup::{RollupRow, ended_key, live_key, merge};
use spawn_core::rows::{SweepRow, sweep_key};
use spawn_core::stream::{Change, Unprocessed};

/// How often a row is merged anew when another writer was faster, before the batch is left for later.
const TRIES_MAX: u32 = 5;

/// Notes the newest of the sweeps' rows in `changes`. What is told twice, or late, changes nothing.
pub async fn note(changes: &[Change], ledger: &impl Ledger) -> Unprocessed {
    let mut newest: BTreeMap<SweepId, (SweepRow, &Change)> = BTreeMap::new();
    for change in changes {
        let Some(sweep) = sweep_of(change) else {
            continue;
        };
        match newest.get_mut(&sweep.sweep_id) {
            // The first change stays: from there on the batch is delivered again if the sweep cannot be noted.
            Some((known, _)) if known.version < sweep.version => *known = sweep,
            Some(_) => {}
            None => {
                newest.insert(sweep.sweep_id.clone(), (sweep, change));
            }
        }
    }
    let mut failed: Option<&Change> = None;
    for (sweep, change) in newest.into_values() {
        if let Err(error) = merge_into(ledger, &sweep, change.at).await {
            tracing::warn!(sweep_id = %sweep.sweep_id, %error, "sweep was not noted");
            // Changes come in the order of their sequence numbers.
            let first = |known: &Change| position(changes, known) > position(changes, change);
            if failed.is_none_or(first) {
                failed = Some(change);
            }
        }
    }
    failed.map_or_else(Unprocessed::none, Unprocessed::from)
}

fn position(changes: &[Change], change: &Change) -> Option<usize> {
    changes
        .iter()
        .position(|other| other.sequence_number == change.sequence_number)
}

/// The sweep's row, if that is what has changed. One that cannot be read is told and passed over: it would not be readable
/// another time.
fn sweep_of(change: &Change) -> Option<SweepRow> {
    let row = change.new.clone()?;
    if row.key.sk != sweep_key(&SweepId::from("")).sk {
        return None;
    }
    SweepRow::from_row(row)
        .inspect_err(|error| tracing::error!(%error, "sweep was passed over"))
        .ok()
}

/// Notes the numbers of a sweep, unless newer ones are.
///
/// # Errors
/// When the ledger does not answer, or other writers are always faster.
pub(crate) async fn merge_into(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    at: u64,
) -> Result<(), FunctionError> {
    for _ in 0..TRIES_MAX {
        let keys = [live_key(&sweep.sweep_id), ended_key(&sweep.sweep_id)];
        let mut rows = ledger.get(&keys).await?.into_iter();
        let mut next = || -> Result<Option<RollupRow>, LedgerError> {
            rows.next().flatten().map(RollupRow::from_row).transpose()
        };
        let (live, kept) = (next()?, next()?);
        let is_new = live.is_none();
        let Some(row) = merge(sweep, at, live, kept.as_ref()) else {
            return Ok(());
        };
        let write = if is_new { row.create() } else { row.replace() };
        match ledger.commit(vec![write?]).await {
            Err(LedgerError::Condition { .. }) => {}
            result => return Ok(result?),
        }
    }
    Err(FunctionError::Conflict(format!(
        "the totals of {} changed {TRIES_MAX} times while they were written",
        sweep.sweep_id
    )))
}
