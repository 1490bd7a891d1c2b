//! One pass: the numbers of a minute, written down before they are sent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{RollupRow, Totals};
use crate::ids::SweepId;
use crate::ledger::{Key, Stored};
use crate::metrics::Metric;
use crate::region::Region;
use crate::rows::versioned;
use crate::state::MemberState;

/// Numbers in one call (Amazon CloudWatch API Reference, PutMetricData).
pub const DATA_MAX: usize = 1000;
/// What the totals of a pass may take as JSON. An item of DynamoDB has at most 400 KB (Amazon DynamoDB Developer Guide, "Service
/// quotas"), and numbers and names take no more there than in JSON.
const TOTALS_BYTES_MAX: usize = 380_000;
/// When a pass that was not noted as sent may be looked up: by then CloudWatch shows what it has taken.
const UNSURE_MINUTES: u64 = 2;

/// What a number is told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All sweeps together; no dimension.
    Fleet,
    /// All sweeps in one region; dimension `Region`.
    Region(Region),
    /// One sweep; dimension `SweepID`.
    Sweep(SweepId),
}

/// One number for CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datum {
    /// What it measures.
    pub metric: Metric,
    /// What it is told of.
    pub scope: Scope,
    /// The number, in the unit of the metric.
    pub value: i64,
    /// The minute that it belongs to, in ms since 1970.
    pub at: u64,
}

/// The pass of a minute (`ROLLUP#PASS` / `PASS`). One row: what it holds says what was sent and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassRow {
    /// Counts the changes.
    pub version: u64,
    /// The minute, in minutes since 1970.
    pub minute: u64,
    /// How many of its numbers were sent, in their order.
    pub sent: usize,
    /// Whether all of them were.
    pub is_done: bool,
    /// By how much totals have grown since the pass before, where they have.
    pub grown: BTreeMap<SweepId, Totals>,
    /// The totals of this pass.
    pub current: BTreeMap<SweepId, Totals>,
    /// The sweeps that are not over.
    #[serde(default)]
    pub live: usize,
    /// The sweeps that should be launching, and are not.
    pub stuck: usize,
    /// The live sweeps that have no metrics of their own, because a pass cannot hold more. They are in no total either.
    pub left_out: usize,
}

/// Where the pass is.
#[must_use]
pub fn pass_key() -> Key {
    Key::new("ROLLUP#PASS", "PASS")
}

impl Stored for PassRow {
    fn key(&self) -> Key {
        pass_key()
    }
}
versioned!(PassRow);

/// The pass of `minute` after `last`, of the sweeps `rows`. `None`: there is one of this minute or a later one already, or
/// what the last one sent is not known yet; its numbers are then in the next pass.
#[must_use]
pub fn next_pass(last: &PassRow, rows: &[RollupRow], minute: u64) -> Option<PassRow> {
    if minute <= last.minute || !last.is_done {
        return None;
    }
    let mut rows: Vec<&RollupRow> = rows.iter().collect();
    // Sweeps that were told before are told on; of the others the first.
    rows.sort_by_key(|row| (!last.current.contains_key(&row.sweep_id), &row.sweep_id));
    let mut pass = PassRow {
        version: last.version,
        minute,
        ..PassRow::default()
    };
    let now = minute * 60_000;
    let mut bytes = 0;
    for row in rows {
        pass.live += usize::from(!row.is_ended);
        pass.stuck += usize::from(row.is_stuck(now));
        let before = last.current.get(&row.sweep_id).unwrap_or(&row.base);
        let grown = Some(row.totals.since(before)).filter(|grown| *grown != Totals::default());
        bytes += size_of(&row.sweep_id, Some(&row.totals)) + size_of(&row.sweep_id, grown.as_ref());
        if bytes > TOTALS_BYTES_MAX {
            pass.left_out += 1;
            continue;
        }
        if let Some(grown) = grown {
            pass.grown.insert(row.sweep_id.clone(), grown);
        }
        pass.current
            .insert(row.sweep_id.clone(), row.totals.clone());
    }
    Some(pass)
}

/// About how many bytes an entry takes.
fn size_of(sweep: &SweepId, totals: Option<&Totals>) -> usize {
    let json = totals.and_then(|totals| serde_json::to_string(totals).ok());
    json.map_or(0, |json| json.len() + sweep.as_str().len() + 8)
}

impl PassRow {
    /// Whether what this pass sent, if it was not noted, can be looked up at `minute`.
    #[must_use]
    pub fn can_be_looked_up(&self, minute: u64) -> bool {
        minute >= self.minute + UNSURE_MINUTES
    }

    /// Its numbers, in an order that never changes: sweep by sweep, region by region, the fleet.
    #[must_use]
    pub fn data(&self) -> Vec<Datum> {
        let nothing = Totals::default();
        let mut data = Vec::new();
        let mut regions: BTreeSet<Region> = BTreeSet::new();
        for (sweep, now) in &self.current {
            let grown = self.grown.get(sweep).unwrap_or(&nothing);
            regions.extend(now.regions.keys().copied());
            let scope = Scope::Sweep(sweep.clone());
            let mut told = |metric, value| data.push(self.datum(metric, &scope, value));
            told(Metric::ActiveInstances, now.active(None));
            for (metric, state) in [
                (Metric::CompletedInstances, MemberState::Completed),
                (Metric::FailedInstances, MemberState::Failed),
            ] {
                told(metric, grown.ended(state, None));
            }
            told(Metric::CostUsd, grown.cost.0);
        }
        for region in regions {
            self.sum(&Scope::Region(region), Some(&region), &mut data);
        }
        self.sum(&Scope::Fleet, None, &mut data);
        let mut fleet = |metric, value| data.push(self.datum(metric, &Scope::Fleet, value));
        let cost = self.growth(|totals| totals.cost.0);
        fleet(Metric::CostUsd, cost);
        let committed = self.current.values().map(|t| t.committed.0).sum();
        fleet(Metric::CommittedUsd, committed);
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        fleet(Metric::LiveSweeps, count(self.live));
        fleet(Metric::StuckSweeps, count(self.stuck));
        // Alarms cannot ask for "any sweep": CloudWatch has no wildcard for dimensions, so the worst one is told.
        let worst =
            |number: fn(&Totals) -> i64| self.current.values().map(number).max().unwrap_or(0);
        fleet(Metric::MaxFailedPercent, worst(Totals::failed_percent));
        fleet(Metric::MaxSweepCostUsd, worst(|totals| totals.cost.0));
        data
    }

    /// The numbers that sweeps have in common with regions and the fleet.
    fn sum(&self, scope: &Scope, region: Option<&Region>, data: &mut Vec<Datum>) {
        let active = self.current.values().map(|t| t.active(region)).sum();
        data.push(self.datum(Metric::ActiveInstances, scope, active));
        for (metric, state) in [
            (Metric::CompletedInstances, MemberState::Completed),
            (Metric::FailedInstances, MemberState::Failed),
            (Metric::InterruptedInstances, MemberState::Interrupted),
            (Metric::ReapedInstances, MemberState::Reaped),
        ] {
            let value = self.growth(|totals| totals.ended(state, region));
            data.push(self.datum(metric, scope, value));
        }
    }

    /// A number that adds up, all sweeps together.
    fn growth(&self, number: impl Fn(&Totals) -> i64) -> i64 {
        self.grown.values().map(number).sum()
    }

    fn datum(&self, metric: Metric, scope: &Scope, value: i64) -> Datum {
        Datum {
            metric,
            scope: scope.clone(),
            value,
            at: self.minute * 60_000,
        }
    }
}
