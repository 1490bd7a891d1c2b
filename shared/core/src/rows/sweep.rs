//! The rows of a sweep and of the execution that submitted it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{member_key, sweep_pk, versioned};
use crate::document::Occasion;
use crate::errors::FunctionError;
use crate::ids::{LaneId, SweepId};
use crate::instance_metrics::Wanted;
use crate::ledger::{Key, Path, Stored, path};
use crate::money::MicroDollars;
use crate::policy::{OnFailure, Retries};
use crate::region::Region;
use crate::state::{Counts, Ended, MemberState, SweepStatus};

/// Why a sweep is drained, and what it will be called afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The status at the end: failed, cancelled or over budget.
    pub status: SweepStatus,
    /// The reason in words.
    pub reason: String,
}

/// What happens when a sweep comes to the end of its budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBudget {
    /// Somebody is told; what runs goes on, and what is not launched yet waits for room.
    Notify,
    /// Nothing more is launched after 80 %; what runs goes on.
    Hold,
    /// Nothing more is launched after 80 %, and at 100 % all that runs is ended.
    #[default]
    Drain,
}

impl OnBudget {
    /// The name in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Hold => "hold",
            Self::Drain => "drain",
        }
    }
}

/// What a live sweep has cost, and will. Written by cost-guard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostSoFar {
    /// When it was looked at, in ms since 1970.
    pub at: u64,
    /// What has been run up, in micro-dollars: bills of instances that are gone, and of those that run, until now.
    pub accrued: MicroDollars,
    /// What it will have cost at its end, as far as can be told: what runs, to the end of its ttl or as long as its like have
    /// taken, and what is not launched yet.
    pub forecast: MicroDollars,
    /// What it costs now in an hour.
    pub burn_per_hour: MicroDollars,
    /// Instances whose price is not known, which are in none of the amounts.
    pub unpriced: u32,
    /// The highest share of the budget, in percent, that somebody was told of.
    pub told_percent: u8,
    /// Whether more is spent in an hour than was planned.
    pub is_anomalous: bool,
}

/// The row of a sweep (`SWEEP#id` / `META`).
///
/// Written by plan-sweep once, then changed by additions and guarded sets only: it is the row that all lanes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// The id.
    pub sweep_id: SweepId,
    /// The document's `name`.
    pub name: String,
    /// The document's `owner`.
    pub owner: String,
    /// The document's `project`.
    pub project: String,
    /// Where the sweep is in its life.
    pub status: SweepStatus,
    /// Counts the changes.
    pub version: u64,
    /// The execution that submitted it.
    pub execution_arn: String,
    /// When the execution started, in ms since 1970.
    pub started_at: u64,
    /// Until when the planner that works on it may live, in ms since 1970: no other may write its rows before.
    pub planner_until: u64,
    /// When the sweep was settled, in ms since 1970.
    pub ended_at: Option<u64>,
    /// When the last of its instances was known to be gone, in ms since 1970, of a sweep that was settled before. Written by
    /// track-instances.
    #[serde(default)]
    pub lingered_until: Option<u64>,
    /// How many members it has.
    pub members: u32,
    /// How many partitions they are spread over.
    pub shards: u32,
    /// Its lanes.
    pub lanes: Vec<LaneId>,
    /// The most instances at a time, if limited.
    pub max_concurrent: Option<u32>,
    /// The most instances at a time in each region, if limited.
    pub max_concurrent_per_region: Option<u32>,
    /// The most instances at a time in regions whose vCPU quota has room for no more. Written by plan-sweep.
    #[serde(default)]
    pub max_in: BTreeMap<Region, u32>,
    /// Members by state; moves in the same transaction as the members.
    pub counts: Counts,
    /// Instances that exist or are about to be asked for: the slots taken of `max_concurrent`.
    pub live: i64,
    /// The same by region.
    pub live_in: BTreeMap<Region, i64>,
    /// Members that have come to their end, by region and state. Their sums are those of `counts`.
    pub ended_in: BTreeMap<Region, Ended>,
    /// Planned members that wait in RETRY rows to be put into a batch.
    #[serde(default)]
    pub retrying: i64,
    /// How often members are tried again.
    #[serde(default)]
    pub retries: Retries,
    /// What happens when more members fail than are tolerated.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How many members may end without success before that.
    #[serde(default)]
    pub tolerated_failures: u32,
    /// Why nothing more is launched though the sweep is not drained, if so.
    #[serde(default)]
    pub held: Option<String>,
    /// Why nothing is launched until somebody starts the sweep again, if so. Written by the function `control`.
    #[serde(default)]
    pub stopped: Option<String>,
    /// The token of the execution that waits for the end. Written by track-instances.
    pub completion_token: Option<String>,
    /// When the call began that wrote it, in ms since 1970; 0 before the first. An earlier call never replaces it.
    #[serde(default)]
    pub waiting_since: u64,
    /// Why it drains, if it does.
    pub drain: Option<Drain>,
    /// The budget, if the document has one.
    pub budget: Option<MicroDollars>,
    /// What counts against the budget, in micro-dollars: the bills of instances that are gone, and what those are committed
    /// with that are not. Added to before each launch, and when an instance is gone.
    #[serde(default)]
    pub charged: i64,
    /// The bills of instances that are gone, in micro-dollars. Never above `charged`.
    #[serde(default)]
    pub billed: i64,
    /// What happens when the budget comes to its end.
    #[serde(default)]
    pub on_budget: OnBudget,
    /// What the sweep has cost so far, as cost-guard last saw it.
    #[serde(default)]
    pub cost: Option<CostSoFar>,
    /// The bucket that the results are in.
    pub results_bucket: String,
    /// The SNS topics that are told of what happens to it.
    pub topics: Vec<String>,
    /// The webhooks that are, by the names of the parameters that hold their addresses.
    #[serde(default)]
    pub webhooks: Vec<String>,
    /// What they are told of.
    #[serde(default)]
    pub occasions: Vec<Occasion>,
    /// The log group of its members' output; `None` when it is not wanted.
    #[serde(default)]
    pub log_group: Option<String>,
    /// The trace that its execution began, where it is sampled: the ends of its members are told to that one, too.
    #[serde(default)]
    pub trace: Option<String>,
    /// What its members' machines report to CloudWatch; empty: nothing.
    #[serde(default)]
    pub instance_metrics: Wanted,
    /// The sweep's label in DNS; `None` when its members get no names.
    #[serde(default)]
    pub dns_label: Option<String>,
    /// What is to be said of results that have no columns, once it is settled.
    #[serde(default)]
    pub results_note: Option<String>,
    /// When deadlines of members were last changed, in ms since 1970: the reaper looks again at what it saw before that.
    pub deadlines_changed_at: Option<u64>,
}

/// The row of `sweep`.
#[must_use]
pub fn sweep_key(sweep: &SweepId) -> Key {
    Key::new(sweep_pk(sweep), "META")
}

impl Stored for SweepRow {
    fn key(&self) -> Key {
        sweep_key(&self.sweep_id)
    }
}
versioned!(SweepRow);

impl SweepRow {
    /// Whether every member has come to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.counts.ended() >= i64::from(self.members)
    }

    /// Whether the sweep is that of an execution, and not of one that has resumed it since. Who names none is not asked.
    #[must_use]
    pub fn is_of(&self, execution_arn: Option<&str>) -> bool {
        execution_arn.is_none_or(|arn| arn == self.execution_arn)
    }

    /// Refuses an execution that has lost the sweep to another one.
    ///
    /// # Errors
    /// [`FunctionError::Superseded`], with the execution that has it.
    pub fn check_is_of(&self, execution_arn: Option<&str>) -> Result<(), FunctionError> {
        if self.is_of(execution_arn) {
            return Ok(());
        }
        Err(FunctionError::Superseded(format!(
            "sweep {} goes on in another execution, which has resumed it: {}",
            self.sweep_id, self.execution_arn
        )))
    }

    /// Whether instances may be launched.
    #[must_use]
    pub fn may_launch(&self) -> bool {
        self.goes_on() && self.stopped.is_none()
    }

    /// Whether instances may be launched now, or once the sweep is started again.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.status.may_launch() && self.held.is_none()
    }

    /// How many members have ended without success.
    #[must_use]
    pub fn failures(&self) -> i64 {
        self.counts.of(MemberState::Failed)
            + self.counts.of(MemberState::Interrupted)
            + self.counts.of(MemberState::Reaped)
    }

    /// Whether nothing more will happen to the sweep's members: all have ended, or it is drained or held and none lives. One
    /// that is stopped waits for its start.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let under_way = self.counts.of(MemberState::Launching)
            + self.counts.of(MemberState::Running)
            + self.counts.of(MemberState::Stopped);
        self.is_complete() || (!self.goes_on() && self.live <= 0 && under_way == 0)
    }

    /// How many more instances may be launched now in `region`.
    #[must_use]
    pub fn free_slots(&self, region: &Region) -> u32 {
        let free = |limit: Option<u32>, taken: i64| {
            limit.map_or(u32::MAX, |limit| {
                u32::try_from((i64::from(limit) - taken).max(0)).unwrap_or(0)
            })
        };
        let taken = self.live_in.get(region).copied().unwrap_or(0);
        free(self.max_concurrent, self.live).min(free(self.max_in_region(region), taken))
    }

    /// The most instances at a time in `region`, if limited: by the document, or by what the region's quota has room for.
    #[must_use]
    pub fn max_in_region(&self, region: &Region) -> Option<u32> {
        let limits = [
            self.max_concurrent_per_region,
            self.max_in.get(region).copied(),
        ];
        limits.into_iter().flatten().min()
    }

    /// The key of the member `index`.
    #[must_use]
    pub fn member_key(&self, index: u32) -> Key {
        member_key(&self.sweep_id, self.shards, index)
    }
}

/// The additions to the row of a sweep that go with the move of `count` members of a region from one state to another; in the
/// transaction that moves them.
pub(crate) fn count_move(
    region: &Region,
    from: MemberState,
    to: MemberState,
    count: i64,
) -> Vec<(Path, i64)> {
    let mut additions = Vec::new();
    for (state, by) in [(from, -count), (to, count)] {
        additions.push((path(&["counts", state.as_str()]), by));
        if state.is_ended() {
            additions.push((path(&["ended_in", region.as_str(), state.as_str()]), by));
        }
    }
    additions
}

/// From an execution to its sweep (`EXECUTION#arn` / `EXECUTION`).
///
/// Created by plan-sweep before anything else, or by a drain that comes before the plan: whoever is second sees it, so that
/// a sweep which was cancelled while it was being planned is never launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionRow {
    /// The execution.
    pub execution_arn: String,
    /// Its sweep; `None` when the execution was cancelled before its sweep was planned.
    pub sweep_id: Option<SweepId>,
    /// Counts the changes.
    pub version: u64,
}

/// The key of an execution's row.
#[must_use]
pub fn execution_key(execution_arn: &str) -> Key {
    Key::new(format!("EXECUTION#{execution_arn}"), "EXECUTION")
}

impl Stored for ExecutionRow {
    fn key(&self) -> Key {
        execution_key(&self.execution_arn)
    }
}
versioned!(ExecutionRow);
