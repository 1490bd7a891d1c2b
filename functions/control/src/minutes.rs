//! Money for instances that are started again: another run is billed for a minute at least, which is reserved before.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::budget::Purse;
use spawn_core::control::reserve_start;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};
use spawn_core::rows::{MemberRow, member_key};

use crate::TRIES_MAX;

/// Members of one transaction: a write each, at most six periods of standing budgets that no other one charges, and the sweep.
const MEMBERS_MAX: usize = 14;

/// Reserves what a start of these members costs at least; answers those for which a budget has no room, with what it says.
pub(crate) async fn reserve<'a>(
    sweep_id: &SweepId,
    members: impl IntoIterator<Item = &'a MemberRow>,
    ledger: &impl Ledger,
) -> Result<BTreeMap<u32, String>, FunctionError> {
    let members: Vec<&MemberRow> = members.into_iter().collect();
    let mut without = BTreeMap::new();
    // What was said of a budget first is said again of later members: see `extend`.
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for chunk in members.chunks(MEMBERS_MAX) {
        for no_room in reserve_chunk(sweep_id, chunk, ledger).await? {
            let (index, budget, words) = no_room;
            let words = said.entry(budget).or_insert(words).clone();
            without.insert(index, words);
        }
    }
    Ok(without)
}

async fn reserve_chunk(
    sweep_id: &SweepId,
    members: &[&MemberRow],
    ledger: &impl Ledger,
) -> Result<Vec<(u32, String, String)>, FunctionError> {
    for _ in 0..TRIES_MAX {
        let keys = members
            .iter()
            .map(|m| member_key(&m.sweep_id, m.shards, m.index));
        let rows: Vec<MemberRow> = ledger::require_all(ledger, keys.collect()).await?;
        let charged_to: BTreeSet<String> = rows
            .iter()
            .flat_map(|member| &member.spent)
            .flat_map(|spent| spent.charged_to.iter().cloned())
            .collect();
        let mut purse = Purse::open(ledger, sweep_id, charged_to).await?;
        let mut without = Vec::new();
        let mut writes = Vec::new();
        for mut row in rows.into_iter().filter(|row| !row.state.is_ended()) {
            match reserve_start(&mut row, &mut purse) {
                Ok(true) => writes.push(row.replace()?),
                Ok(false) => {}
                Err(no_room) => without.push((row.index, no_room.budget, no_room.words)),
            }
        }
        if writes.is_empty() {
            return Ok(without);
        }
        match ledger.commit(purse.into_writes(writes)).await {
            Ok(()) => return Ok(without),
            Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(FunctionError::Conflict(format!(
        "the members of {sweep_id} changed {TRIES_MAX} times while money for their start was reserved"
    )))
}
