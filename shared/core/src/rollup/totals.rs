//! What is known of one sweep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LIVE_PREFIX, ROLLUP_PK};
use crate::ids::SweepId;
use crate::ledger::{Key, Stored};
use crate::money::MicroDollars;
use crate::region::Region;
use crate::rows::{SweepRow, versioned};
use crate::state::{Ended, MemberState};

/// A sweep's numbers in one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[i64; 5]", into = "[i64; 5]")]
pub struct Numbers {
    /// Instances.
    pub active: i64,
    /// Members that have come to their end.
    pub ended: Ended,
}

// Short, because a pass holds the numbers of all live sweeps in one row.
impl From<[i64; 5]> for Numbers {
    fn from([active, completed, failed, interrupted, reaped]: [i64; 5]) -> Self {
        let ended = Ended {
            completed,
            failed,
            interrupted,
            reaped,
        };
        Self { active, ended }
    }
}

impl From<Numbers> for [i64; 5] {
    fn from(numbers: Numbers) -> Self {
        let ended = numbers.ended;
        [
            numbers.active,
            ended.completed,
            ended.failed,
            ended.interrupted,
            ended.reaped,
        ]
    }
}

/// A sweep's numbers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// By region.
    pub regions: BTreeMap<Region, Numbers>,
    /// What the sweep has cost so far.
    pub cost: MicroDollars,
    /// What its live instances may cost at most.
    pub committed: MicroDollars,
    /// How many members the sweep has.
    pub members: i64,
}

/// What a sweep has cost: as cost-guard last saw it, and never less than the bills of the instances that are gone. When it is over
/// the bills are all there is: what was seen while it ran may not be billed at all, such as spot that EC2 took back early.
fn cost_so_far(sweep: &SweepRow) -> MicroDollars {
    if sweep.status.is_ended() {
        return MicroDollars(sweep.billed);
    }
    let accrued = sweep
        .cost
        .as_ref()
        .map_or(MicroDollars::ZERO, |cost| cost.accrued);
    accrued.max(MicroDollars(sweep.billed))
}

impl Totals {
    /// The numbers in the row of a sweep.
    #[must_use]
    pub fn of(sweep: &SweepRow) -> Self {
        let mut regions: BTreeMap<Region, Numbers> = BTreeMap::new();
        for (region, active) in &sweep.live_in {
            regions.entry(*region).or_default().active = *active;
        }
        for (region, ended) in &sweep.ended_in {
            regions.entry(*region).or_default().ended = *ended;
        }
        Self {
            regions,
            cost: cost_so_far(sweep),
            committed: MicroDollars(sweep.charged.saturating_sub(sweep.billed).max(0)),
            members: i64::from(sweep.members),
        }
    }

    /// How many of a hundred members have failed or were interrupted for good, rounded down.
    #[must_use]
    pub fn failed_percent(&self) -> i64 {
        let failed =
            self.ended(MemberState::Failed, None) + self.ended(MemberState::Interrupted, None);
        failed * 100 / self.members.max(1)
    }

    /// How many members came to the end `state`, in `region` or in all regions.
    #[must_use]
    pub fn ended(&self, state: MemberState, region: Option<&Region>) -> i64 {
        self.sum(region, |numbers| numbers.ended.of(state))
    }

    /// How many instances there are, in `region` or in all regions.
    #[must_use]
    pub fn active(&self, region: Option<&Region>) -> i64 {
        self.sum(region, |numbers| numbers.active)
    }

    /// By how much these have grown since `before`, without `active` and `committed`, which do not add up. Only regions in which
    /// something has.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let ended = |totals: &Self, region| {
            totals
                .regions
                .get(region)
                .copied()
                .unwrap_or_default()
                .ended
        };
        let regions = self.regions.keys().filter_map(|region| {
            let (now, then) = (ended(self, region), ended(before, region));
            let grown = Ended {
                completed: now.completed - then.completed,
                failed: now.failed - then.failed,
                interrupted: now.interrupted - then.interrupted,
                reaped: now.reaped - then.reaped,
            };
            let numbers = Numbers {
                active: 0,
                ended: grown,
            };
            (grown != Ended::default()).then_some((*region, numbers))
        });
        Self {
            regions: regions.collect(),
            cost: MicroDollars(self.cost.0 - before.cost.0),
            committed: MicroDollars::ZERO,
            members: 0,
        }
    }

    fn sum(&self, region: Option<&Region>, number: impl Fn(&Numbers) -> i64) -> i64 {
        match region {
            Some(region) => self.regions.get(region).map_or(0, number),
            None => self.regions.values().map(number).sum(),
        }
    }
}

/// The totals of a sweep that is live, or whose last numbers are not published yet (`ROLLUP` / `LIVE#sweep`), or of one that
/// has ended (`ROLLUP#ENDED` / `SWEEP#sweep`): a sweep that is resumed goes on from there. Written by metrics-rollup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// Counts the changes.
    pub version: u64,
    /// The version of the sweep's row that the totals were taken from: an older one that comes later is passed over.
    pub seen: u64,
    /// When its row had changed last, in ms since 1970.
    pub changed_at: u64,
    /// Whether it has members to launch and a slot free for them.
    pub is_launching: bool,
    /// Whether the sweep is over.
    pub is_ended: bool,
    /// Its numbers.
    pub totals: Totals,
    /// Those that were published before the sweep was live again.
    pub base: Totals,
    /// Whether this is kept for the case that the sweep is resumed.
    pub is_kept: bool,
    /// When DynamoDB may delete it, in seconds since 1970; housekeeping only.
    pub expires_at: Option<u64>,
}

/// Where the totals of a live sweep are.
#[must_use]
pub fn live_key(sweep: &SweepId) -> Key {
    Key::new(ROLLUP_PK, format!("{LIVE_PREFIX}{sweep}"))
}

/// Where the last totals of an ended sweep are.
#[must_use]
pub fn ended_key(sweep: &SweepId) -> Key {
    Key::new(format!("{ROLLUP_PK}#ENDED"), format!("SWEEP#{sweep}"))
}

impl Stored for RollupRow {
    fn key(&self) -> Key {
        if self.is_kept {
            ended_key(&self.sweep_id)
        } else {
            live_key(&self.sweep_id)
        }
    }
}
versioned!(RollupRow);

/// How long a sweep that has members to launch, and slots for them, may be without any change. EC2 without capacity is asked
/// again after four minutes at most.
const STUCK_MS: u64 = 15 * 60 * 1000;

impl RollupRow {
    /// Whether the sweep should be launching, and is not.
    #[must_use]
    pub fn is_stuck(&self, now: u64) -> bool {
        self.is_launching && !self.is_ended && self.changed_at + STUCK_MS < now
    }
}

/// Whether a sweep has members to launch and a slot free for them.
fn is_launching(sweep: &SweepRow) -> bool {
    sweep.status.may_launch()
        && sweep.counts.of(MemberState::Planned) > 0
        && sweep
            .live_in
            .keys()
            .any(|region| sweep.free_slots(region) > 0)
}

/// What becomes of a sweep's totals when its row, which changed at `at` (ms since 1970), is seen; `None`: nothing that was not known. `live` is what is noted of the
/// live sweep, `kept` what was kept when it ended.
#[must_use]
pub fn merge(
    sweep: &SweepRow,
    at: u64,
    live: Option<RollupRow>,
    kept: Option<&RollupRow>,
) -> Option<RollupRow> {
    let totals = Totals::of(sweep);
    let is_ended = sweep.status.is_ended();
    match live {
        Some(row) if row.seen >= sweep.version => None,
        Some(row) => Some(RollupRow {
            seen: sweep.version,
            changed_at: at,
            is_launching: is_launching(sweep),
            is_ended,
            totals,
            ..row
        }),
        None if kept.is_some_and(|kept| kept.seen >= sweep.version) => None,
        // A row that is touched after its end, without anything to count.
        None if kept.is_some_and(|kept| is_ended && kept.totals == totals) => None,
        None => Some(RollupRow {
            sweep_id: sweep.sweep_id.clone(),
            version: 0,
            seen: sweep.version,
            changed_at: at,
            is_launching: is_launching(sweep),
            is_ended,
            totals,
            base: kept.map(|kept| kept.totals.clone()).unwrap_or_default(),
            is_kept: false,
            expires_at: None,
        }),
    }
}
