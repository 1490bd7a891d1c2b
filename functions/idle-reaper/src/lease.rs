//! One pass over a place at a time.

use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};
use spawn_core::reap::{PlaceRow, place_key};

/// A pass that died holds its place for so long: the function's time limit.
const LEASE_MS: u64 = 2 * 60 * 1000;

/// Begins a pass, unless another may be under way.
pub(crate) async fn take_lease(
    ledger: &impl Ledger,
    place: Place,
    now: u64,
) -> Result<Option<PlaceRow>, FunctionError> {
    let row: Option<PlaceRow> = ledger::load(ledger, place_key(&place)).await?;
    let is_new = row.is_none();
    let mut row = row.unwrap_or(PlaceRow {
        place,
        version: 0,
        pass_until: 0,
        passed_at: 0,
    });
    if row.pass_until > now {
        return Ok(None);
    }
    row.pass_until = now + LEASE_MS;
    let write = if is_new {
        row.create()?
    } else {
        row.clone().replace()?
    };
    match ledger.commit(vec![write]).await {
        Ok(()) => {
            row.version += u64::from(!is_new);
            Ok(Some(row))
        }
        Err(LedgerError::Condition { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Ends a pass; `passed_at` when it was complete.
pub(crate) async fn give_back(
    ledger: &impl Ledger,
    mut lease: PlaceRow,
    passed_at: Option<u64>,
) -> Result<(), FunctionError> {
    lease.pass_until = 0;
    lease.passed_at = passed_at.unwrap_or(lease.passed_at);
    match ledger.commit(vec![lease.replace()?]).await {
        // It took too long, and another has begun.
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
