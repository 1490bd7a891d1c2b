//! The rows of launching: batches of members, and the attempts at them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AttemptCosts, OpenAttempt, Pool, sweep_pk, versioned};
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
    /// What was tried for the members that are left, oldest first, in words. Goes into their rows at their end here.
    #[serde(default)]
    pub rungs: Vec<String>,
}

impl BatchRow {
    /// A batch that nothing was tried for yet.
    #[must_use]
    pub fn new(sweep_id: SweepId, lane: LaneId, batch: u32, shape: u32, pending: Indices) -> Self {
        Self {
            sweep_id,
            lane,
            batch,
            version: 0,
            shape,
            pending,
            attempts: 0,
            rungs: Vec::new(),
        }
    }
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
    /// The lane whose place and shape the attempt launches with: its own, or a peer that has capacity.
    pub at: LaneId,
    /// The shape, an index into the `shapes` of both lanes.
    pub shape: u32,
    /// The step of the ladder, by its number.
    pub step: u32,
    /// The pools of the step that were not known to be empty.
    pub rung: Rung,
    /// When EC2 is to be called, in ms since 1970: when the tokens that were taken for it are there.
    pub send_at: u64,
    /// How many times EC2 was called.
    pub calls: u32,
    /// Until when the call that was begun last may take effect, in ms since 1970; `None`: its answer is known.
    pub calling_until: Option<u64>,
    /// The same of earlier calls, whose answers got lost; 0: there were none. Before then nobody can say that the attempt has
    /// launched nothing.
    pub unsettled_until: u64,
    /// The members whose instances are recorded. Written with them: what happens to them afterwards changes nothing here.
    #[serde(default)]
    pub recorded: Indices,
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

/// How EC2 is asked for instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LaunchApi {
    /// `RunInstances`, for one pool, or the zone that EC2 chooses.
    RunInstances,
    /// `CreateFleet` of type `instant`, over many pools at once.
    CreateFleet,
}

impl LaunchApi {
    /// The name of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunInstances => "RunInstances",
            Self::CreateFleet => "CreateFleet",
        }
    }
}

/// One step of the ladder of a shape: the pools that one call may draw on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// How EC2 is asked.
    pub api: LaunchApi,
    /// How the instances are bought.
    pub market: Market,
    /// The pools in order of preference; one for RunInstances.
    pub pools: Vec<Pool>,
    /// Whether all instances must be in one availability zone, as a cluster placement group demands.
    #[serde(default)]
    pub is_one_zone: bool,
}

impl fmt::Display for Rung {
    /// `on-demand c5.large`, `spot c5.large and 7 other types`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: BTreeSet<&str> = self
            .pools
            .iter()
            .map(|pool| pool.instance_type.as_str())
            .collect();
        let first = self.pools.first().map_or("", |pool| &pool.instance_type);
        write!(f, "{} {first}", self.market)?;
        match types.len() {
            0 | 1 => Ok(()),
            2 => f.write_str(" and another type"),
            more => write!(f, " and {} other types", more - 1),
        }
    }
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
