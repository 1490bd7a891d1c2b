//! Sweeps that are over while instances of theirs are still there.

use serde::{Deserialize, Serialize};

use super::versioned;
use crate::ids::SweepId;
use crate::ledger::{Key, Stored};

/// The partition of the sweeps that are over and have instances that run or are stopped.
pub const LINGERING_PK: &str = "LINGERING";

/// That a sweep has ended while instances of it were there, because they are to be stopped or to stay (`LINGERING` / `sweep#when`).
/// Created in the transaction that gives the sweep its final status; the scheduled pass goes on to look at the sweep, since the
/// events of those instances may be lost and their volumes cost, and deletes the row when nothing is there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LingeringRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// When it ended, in ms since 1970. One that is resumed ends again.
    pub ended_at: u64,
    /// Counts the changes.
    pub version: u64,
}

impl Stored for LingeringRow {
    fn key(&self) -> Key {
        Key::new(LINGERING_PK, format!("{}#{}", self.sweep_id, self.ended_at))
    }
}
versioned!(LingeringRow);
