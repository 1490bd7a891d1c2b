//! The rows of launching: batches of members, and the attempts at them.

use serde::{Deserialize, Serialize};

use super::{AttemptCosts, OpenAttempt, sweep_pk, versioned};
use crate::ids::{ClientToken, LaneId, Market, SweepId};
use crate::ledger::{Key, Stored};
use crate::ranges::Indices;

/// Members of one lane and shape (`SWEEP#id` / `BATCH#lane#0003`). Written by plan-sweep, then by the lane's launch-batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// The number of the batch in its lane.
    pub batch: u32,
    /// Counts the changes.
    pub version: u64,
    /// The shape, an index into the lane's `shapes`.
    pub shape: u32,
    /// The members not yet launched and in no open attempt.
    pub pending: Indices,
    /// How many attempts were begun.
    pub attempts: u32,
    /// The step of the ladder that the next attempt takes.
    pub rung: u32,
    /// How many times the whole ladder found no capacity.
    pub rounds: u32,
}

/// The key of a batch's row.
#[must_use]
pub fn batch_key(sweep: &SweepId, lane: &LaneId, batch: u32) -> Key {
    Key::new(sweep_pk(sweep), format!("BATCH#{lane}#{batch:04}"))
}

impl Stored for BatchRow {
    fn key(&self) -> Key {
        batch_key(&self.sweep_id, &self.lane, self.batch)
    }
}
versioned!(BatchRow);

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// EC2 may have been asked; what it answered is not recorded.
    Intended,
    /// All that EC2 launched is recorded.
    Done,
    /// EC2 launched nothing.
    Failed,
}

/// One numbered try at a batch (`SWEEP#id` / `ATTEMPT#lane#batch#n`): the intent, written before EC2 is called, that makes
/// a repeat the same call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// The batch.
    pub batch: u32,
    /// The number of the attempt at the batch.
    pub number: u32,
    /// Counts the changes.
    pub version: u64,
    /// EC2's idempotency token, and the value of the tag `spawn:attempt`.
    pub token: ClientToken,
    /// The members that the attempt launches.
    pub members: Indices,
    /// The shape, an index into the lane's `shapes`.
    pub shape: u32,
    /// The step of the ladder: type, place, market.
    pub rung: Rung,
    /// What became of it.
    pub state: AttemptState,
    /// EC2's error code and message, when it failed.
    pub error: Option<String>,
    /// How many instances EC2 launched.
    pub launched: u32,
    /// When it was begun, in ms since 1970.
    pub created_at: u64,
    /// What its instances cost, and what was charged for them.
    #[serde(default)]
    pub costs: AttemptCosts,
}

/// One step of the ladder of a shape: a pool of EC2 capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// The instance type.
    pub instance_type: String,
    /// How it is bought.
    pub market: Market,
    /// The subnet, if the document names subnets.
    pub subnet_id: Option<String>,
    /// The availability zone, if the document names one.
    pub availability_zone: Option<String>,
}

/// The key of an attempt's row.
#[must_use]
pub fn attempt_key(sweep: &SweepId, lane: &LaneId, attempt: OpenAttempt) -> Key {
    Key::new(
        sweep_pk(sweep),
        format!("ATTEMPT#{lane}#{:04}#{:03}", attempt.batch, attempt.number),
    )
}

impl Stored for AttemptRow {
    fn key(&self) -> Key {
        let attempt = OpenAttempt {
            batch: self.batch,
            number: self.number,
        };
        attempt_key(&self.sweep_id, &self.lane, attempt)
    }
}
versioned!(AttemptRow);
