//! Changing a member's row as it is now.

use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Write};
use spawn_core::rows::{MemberRow, member_key};

use crate::TRIES_MAX;

/// Writes what `change` makes of the row of a member that still has the same instance; `None`: there is nothing to change. A row
/// that changes all the time is left as it is: whoever changes it goes on from what is true.
pub(crate) async fn rewrite(
    member: &MemberRow,
    ledger: &impl Ledger,
    change: impl Fn(MemberRow) -> Result<Option<Vec<Write>>, LedgerError>,
) -> Result<(), FunctionError> {
    let key = member_key(&member.sweep_id, member.shards, member.index);
    for _ in 0..TRIES_MAX {
        let row: MemberRow = ledger::require(ledger, key.clone()).await?;
        if row.instance != member.instance {
            return Ok(());
        }
        let Some(writes) = change(row)? else {
            return Ok(());
        };
        match ledger.commit(writes).await {
            Ok(()) => return Ok(()),
            Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
