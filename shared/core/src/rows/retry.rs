//! The rows of members that wait to be launched again.

use serde::{Deserialize, Serialize};

use super::{sweep_pk, versioned};
use crate::ids::{LaneId, SweepId};
use crate::ledger::{Key, Stored};

/// A planned member that is in no batch (`SWEEP#id` / `RETRY#lane#00042`): it is to be launched again. Created in the
/// transaction that takes the member back to `planned`; the lane's launch-batch puts such members into a new batch and
/// deletes their rows. A row of its own, so that whoever plans a retry never disturbs the lane's launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// The member.
    pub index: u32,
    /// Its shape, an index into the lane's `shapes`.
    pub shape: u32,
    /// Counts the changes.
    pub version: u64,
}

/// The prefix of the sort keys of a lane's rows, in the partition of the sweep.
#[must_use]
pub fn retry_prefix(lane: &LaneId) -> String {
    format!("RETRY#{lane}#")
}

impl Stored for RetryRow {
    fn key(&self) -> Key {
        let sk = format!("{}{:05}", retry_prefix(&self.lane), self.index);
        Key::new(sweep_pk(&self.sweep_id), sk)
    }
}
versioned!(RetryRow);
