//! Marks: members to be looked at.

use std::collections::BTreeSet;

use spawn_core::dns::{MarkRow, SHARDS, mark_pk};
use spawn_core::ids::SweepId;
use spawn_core::ledger::{Expect, Ledger, LedgerError, Stored, TRANSACTION_ITEMS_MAX, Write};

/// Bits of a mark's version that tell apart what is put within one ms.
const RANDOM_BITS: u32 = 20;

/// Marks members. A mark that is there is put anew, so that a drainer which has looked before comes back.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub(crate) async fn put(
    ledger: &impl Ledger,
    members: &BTreeSet<(SweepId, u32)>,
    now: u64,
    random: u64,
) -> Result<(), LedgerError> {
    if members.is_empty() {
        return Ok(());
    }
    let version = (now << RANDOM_BITS) | (random >> (64 - RANDOM_BITS));
    let rows: Result<Vec<_>, _> = members
        .iter()
        .map(|(sweep_id, index)| {
            let mark = MarkRow {
                sweep_id: sweep_id.clone(),
                index: *index,
                version,
            };
            mark.row()
        })
        .collect();
    ledger.put_all(rows?).await
}

/// Up to about `count` marks; fewer only when there are no more.
///
/// # Errors
/// When the ledger does not answer.
pub(crate) async fn some(ledger: &impl Ledger, count: usize) -> Result<Vec<MarkRow>, LedgerError> {
    let mut marks = Vec::new();
    for shard in 0..SHARDS {
        let mut from = None;
        while marks.len() < count {
            let page = ledger.query(&mark_pk(shard), "", from).await?;
            for row in page.rows {
                marks.push(MarkRow::from_row(row)?);
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    marks.truncate(count);
    Ok(marks)
}

/// Deletes marks, but those that were put anew since they were read.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub(crate) async fn delete(ledger: &impl Ledger, marks: &[MarkRow]) -> Result<(), LedgerError> {
    for chunk in marks.chunks(TRANSACTION_ITEMS_MAX) {
        let mut left: Vec<&MarkRow> = chunk.iter().collect();
        while !left.is_empty() {
            let writes = left.iter().map(|mark| Write::Delete {
                key: mark.key(),
                expect: Expect::Version(mark.version),
            });
            match ledger.commit(writes.collect()).await {
                Ok(()) => break,
                Err(LedgerError::Condition { failed }) => {
                    let before = left.len();
                    left.retain(|mark| !failed.contains(&mark.key()));
                    if left.len() == before {
                        // The store does not tell which: they stay, and are looked at once more.
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
