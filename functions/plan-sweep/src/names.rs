//! The names of a sweep's members in DNS: whether there can be any, and who else has them.
//!
//! A sweep takes its labels before its first row is written, and they are free again when it is over: two sweeps that live
//! never share a name.

use std::collections::BTreeMap;

use spawn_core::dns::{self, ClaimRow, Naming, PlannedNames, SHARDS, claim_key, names_pk};
use spawn_core::document::{Faults, Sweep};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{
    self, Ledger, LedgerError, Stored, TRANSACTION_ITEMS_MAX, Versioned, Write,
};
use spawn_core::ports::InspectZones;
use spawn_core::rows::{SweepRow, sweep_key};

use crate::record::PLANNER_MS_MAX;

/// How often labels are read again when another planner was faster.
const TRIES_MAX: u32 = 4;

/// What the sweep's names will be; `None` when its members get none.
///
/// # Errors
/// Every fault of the document about names, and that the hosted zone is full; or that Route 53 does not answer.
pub(crate) async fn planned(
    zones: &impl InspectZones,
    naming: Option<&Naming>,
    sweep: &Sweep,
) -> Result<Option<PlannedNames>, FunctionError> {
    let Some(naming) = naming.filter(|_| sweep.naming) else {
        return Ok(None);
    };
    let planned = dns::check(sweep, naming)?;
    let (_, capacity) = zones.zone(&naming.zone).await?;
    planned.fit(&capacity, naming).map_err(Faults::from)?;
    Ok(Some(planned))
}

/// Whether labels are to be taken, or only asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Take them.
    Take,
    /// A dry run takes nothing.
    Ask,
}

impl Mode {
    /// That of a dry run, or of a real one.
    pub(crate) fn of(dry_run: bool) -> Self {
        if dry_run { Self::Ask } else { Self::Take }
    }
}

/// Takes the sweep's labels, all or none of a hundred at a time. Repeatable: what the sweep has, it keeps.
///
/// # Errors
/// Every label that another sweep has which lives; that one has just ended and its records are still being deleted; or that
/// the ledger does not answer.
pub(crate) async fn claim(
    ledger: &impl Ledger,
    naming: &Naming,
    planned: &PlannedNames,
    sweep_id: &SweepId,
    mode: Mode,
    now: u64,
) -> Result<(), FunctionError> {
    let mut taken = Vec::new();
    for chunk in planned.claims.chunks(TRANSACTION_ITEMS_MAX) {
        let mut tries = 0;
        loop {
            let (writes, of_others) = writes(ledger, chunk, sweep_id, now).await?;
            taken.extend(of_others);
            if !taken.is_empty() || mode == Mode::Ask || writes.is_empty() {
                break;
            }
            match ledger.commit(writes).await {
                Ok(()) => break,
                Err(LedgerError::Condition { .. }) if tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(dns::refuse_taken(&taken, naming)?)
}

/// The writes that take these labels, and those that another sweep has.
async fn writes(
    ledger: &impl Ledger,
    claims: &[(String, String)],
    sweep_id: &SweepId,
    now: u64,
) -> Result<(Vec<Write>, Vec<(String, String, SweepId)>), FunctionError> {
    let keys: Vec<_> = claims.iter().map(|(label, _)| claim_key(label)).collect();
    let mut held: BTreeMap<String, ClaimRow> = BTreeMap::new();
    for row in ledger.get(&keys).await?.into_iter().flatten() {
        let claim = ClaimRow::from_row(row)?;
        held.insert(claim.label.clone(), claim);
    }
    let (mut writes, mut taken) = (Vec::new(), Vec::new());
    let mut judged: BTreeMap<SweepId, bool> = BTreeMap::new();
    for (label, path) in claims {
        let claim = ClaimRow {
            label: label.clone(),
            sweep_id: sweep_id.clone(),
            held_until: now + PLANNER_MS_MAX,
            version: 0,
        };
        match held.get(label) {
            None => writes.push(claim.create()?),
            Some(held) if held.sweep_id == *sweep_id => {}
            Some(held) => {
                let lives = match judged.get(&held.sweep_id) {
                    Some(lives) => *lives,
                    None => lives(ledger, held, now).await?,
                };
                judged.insert(held.sweep_id.clone(), lives);
                if lives {
                    taken.push((label.clone(), path.clone(), held.sweep_id.clone()));
                } else {
                    let claim = ClaimRow {
                        version: held.version,
                        ..claim
                    };
                    writes.push(claim.replace()?);
                }
            }
        }
    }
    Ok((writes, taken))
}

/// Whether the sweep that has a label still needs it.
///
/// # Errors
/// When it has just ended, and its records are still being deleted: it will be free in a moment.
async fn lives(ledger: &impl Ledger, claim: &ClaimRow, now: u64) -> Result<bool, FunctionError> {
    let sweep: Option<SweepRow> = ledger::load(ledger, sweep_key(&claim.sweep_id)).await?;
    match sweep {
        None if claim.held_until > now => return Ok(true),
        Some(sweep) if !sweep.status.is_ended() => return Ok(true),
        None | Some(_) => {}
    }
    let prefix = format!("{}#", claim.sweep_id);
    for shard in 0..SHARDS {
        if !ledger
            .query(&names_pk(shard), &prefix, None)
            .await?
            .rows
            .is_empty()
        {
            return Err(FunctionError::Conflict(format!(
                "the names of {} are still being deleted",
                claim.sweep_id
            )));
        }
    }
    Ok(false)
}
