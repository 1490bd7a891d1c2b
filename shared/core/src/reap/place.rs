//! The places in which spawn has, or had, instances: orphans may be where no sweep is alive any more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::account::Place;
use crate::ids::SweepId;
use crate::ledger::{self, Key, Ledger, LedgerError, Stored, Versioned};
use crate::rows::{LINGERING_PK, LingeringRow, SweepRow, sweep_key, versioned};
use crate::state::SweepStatus;

/// The partition of the places.
const PLACES_PK: &str = "REAPER";
/// The prefix of their sort keys.
const PLACE_PREFIX: &str = "PLACE#";

/// A place that the reaper looks after (`REAPER` / `PLACE#us-east-1`). Written by idle-reaper alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRow {
    /// The place.
    pub place: Place,
    /// Counts the changes.
    pub version: u64,
    /// Until when a pass over the place may be under way, in ms since 1970: no other begins before.
    pub pass_until: u64,
    /// When the last complete pass began, in ms since 1970.
    pub passed_at: u64,
}

impl Stored for PlaceRow {
    fn key(&self) -> Key {
        place_key(&self.place)
    }
}
versioned!(PlaceRow);

/// The key of a place's row.
#[must_use]
pub fn place_key(place: &Place) -> Key {
    Key::new(PLACES_PK, format!("{PLACE_PREFIX}{place}"))
}

/// A place without live sweeps is looked at so often.
const QUIET_LOOK_MS: u64 = 15 * 60 * 1000;

/// Which of the places that ever had a sweep are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every one of them.
    Every,
    /// Those of which something may be expected, and the others from time to time: a look costs a function call and a transition.
    Due,
}

/// The places to look at now: those of sweeps that live or have left something alive, `home`, and others that ever had a sweep.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn places(
    ledger: &impl Ledger,
    home: Place,
    which: Which,
    now: u64,
) -> Result<Vec<Place>, LedgerError> {
    let mut due: BTreeSet<Place> = BTreeSet::from([home]);
    for sweep in sweeps_alive(ledger).await? {
        due.extend(sweep.lanes.iter().map(crate::ids::LaneId::place));
    }
    let known: Vec<PlaceRow> = ledger::load_all(ledger, PLACES_PK, PLACE_PREFIX).await?;
    for place in &due {
        if !known.iter().any(|row| row.place == *place) {
            note(ledger, *place).await?;
        }
    }
    let is_due = |row: &&PlaceRow| which == Which::Every || row.passed_at + QUIET_LOOK_MS <= now;
    due.extend(known.iter().filter(is_due).map(|row| row.place));
    Ok(due.into_iter().collect())
}

/// Writes the row of a place that is new.
async fn note(ledger: &impl Ledger, place: Place) -> Result<(), LedgerError> {
    let row = PlaceRow {
        place,
        version: 0,
        pass_until: 0,
        passed_at: 0,
    };
    match ledger.commit(vec![row.create()?]).await {
        // Another pass was faster.
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The rows of the sweeps that are not over, as the index shows them, and of those that have ended while instances of theirs lived.
async fn sweeps_alive(ledger: &impl Ledger) -> Result<Vec<SweepRow>, LedgerError> {
    let lingering: Vec<LingeringRow> = ledger::load_all(ledger, LINGERING_PK, "").await?;
    let mut keys: BTreeSet<Key> = lingering
        .iter()
        .map(|row| sweep_key(&row.sweep_id))
        .collect();
    for status in SweepStatus::LIVE {
        let mut from = None;
        loop {
            let page = ledger.sweeps_by_status(status.as_str(), from).await?;
            let ids = page
                .rows
                .iter()
                .filter_map(|row| row.key.pk.strip_prefix("SWEEP#"));
            keys.extend(ids.map(|id| sweep_key(&SweepId::from(id))));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    let keys: Vec<Key> = keys.into_iter().collect();
    let rows = ledger.get(&keys).await?;
    rows.into_iter().flatten().map(SweepRow::from_row).collect()
}
