//! The rows of the ledger: what each holds, who writes it, who reads it.

mod addresses;
mod attempt;
mod attempt_costs;
mod instance;
mod lane;
mod lane_prices;
mod lingering;
mod member;
mod pool;
mod program;
mod retry;
mod sweep;

pub use addresses::Addresses;
pub use attempt::{AttemptRow, AttemptState, BatchRow, LaunchApi, Rung, attempt_key, batch_key};
pub use attempt_costs::AttemptCosts;
pub use instance::{InstanceRow, Report, instance_key};
pub use lane::{
    Efa, HibernationVolume, LaneRow, OpenAttempt, PlacementGroup, QuotaInUse, Shape, SlotRow,
    Trouble, lane_key, slot_key,
};
pub use lane_prices::{LanePrices, TypePrices};
pub use lingering::{LINGERING_PK, LingeringRow};
pub use member::{MemberRow, Try, member_key};
pub use pool::{DryPoolRow, Location, Pool, pools_pk};
pub use program::{OnComplete, ProgramRow, program_key};
pub use retry::{RetryRow, retry_prefix};
pub(crate) use sweep::count_move;
pub use sweep::{CostSoFar, Drain, ExecutionRow, OnBudget, SweepRow, execution_key, sweep_key};

use crate::ids::SweepId;

/// Members per partition. A partition takes 1,000 writes a second; one of 500 members cannot need more for long.
const SHARD_MEMBERS: u32 = 500;
/// The most partitions of a sweep.
const SHARDS_MAX: u32 = 64;

/// How many partitions the members of a sweep are spread over.
#[must_use]
pub fn shard_count(members: u32) -> u32 {
    members.div_ceil(SHARD_MEMBERS).clamp(1, SHARDS_MAX)
}

/// The partition key of a sweep's own rows.
#[must_use]
pub fn sweep_pk(sweep: &SweepId) -> String {
    format!("SWEEP#{sweep}")
}

/// The partition key of one shard of a sweep's members.
#[must_use]
pub fn shard_pk(sweep: &SweepId, shard: u32) -> String {
    format!("SWEEP#{sweep}#{shard:02}")
}

macro_rules! versioned {
    ($type:ty) => {
        impl $crate::ledger::Versioned for $type {
            fn version(&self) -> u64 {
                self.version
            }
            fn set_version(&mut self, version: u64) {
                self.version = version;
            }
        }
    };
}
pub(crate) use versioned;
