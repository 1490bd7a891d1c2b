//! How long it takes until every member has its instance, against the least that EC2's buckets allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use spawn_core::account::Place;

use super::table::{Table, thousandths};
use super::{REGIONS, settings};
use crate::START_MS;
use crate::ec2::{Api, Settings};
use crate::engine::{Clock, Ms, Simulator};
use crate::plane::Plane;

/// What was measured of one case.
#[derive(Clone, Debug)]
pub struct LaunchTime {
    /// Members of all sweeps together.
    pub members: u64,
    /// Regions.
    pub regions: usize,
    /// Sweeps that share them.
    pub sweeps: u64,
    /// From the start of the first lane to the answer of the last launch call, in ms of virtual time.
    pub took_ms: Ms,
    /// From the start of the executions to the start of the first lane.
    pub planned_ms: Ms,
    /// The least that EC2's buckets allow.
    pub bound_ms: Ms,
    /// How long one call takes: the slowest of some sweeps of one member each, measured alike.
    pub call_ms: Ms,
    /// Launch calls.
    pub calls: u64,
    /// Launch calls that EC2 throttled.
    pub throttled: u64,
}

/// Launch calls that 1,000 members may need.
const CALLS_PER_THOUSAND_MAX: u64 = 12;

/// The most that 200 members over two regions may take.
const SMALL_MS_MAX: Ms = 5_000;

impl LaunchTime {
    /// The most that the case may take: 1.02 times the bound, and one call.
    #[must_use]
    pub fn allowed_ms(&self) -> Ms {
        self.bound_ms * 102 / 100 + self.call_ms
    }

    /// What the case does not keep; empty when all is well.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        let name = format!("{} members over {} regions", self.members, self.regions);
        let mut missed = Vec::new();
        if self.took_ms > self.allowed_ms() {
            missed.push(format!(
                "{name}: {} ms, allowed are {} ms",
                self.took_ms,
                self.allowed_ms()
            ));
        }
        // A case with fewer than a thousand members has one call a region at least.
        let regions = u64::try_from(self.regions).unwrap_or(u64::MAX);
        let calls_max = (CALLS_PER_THOUSAND_MAX * self.members).div_ceil(1_000);
        if self.calls > calls_max.max(regions * self.sweeps) {
            missed.push(format!("{name}: {} launch calls", self.calls));
        }
        if self.members == 200 && self.regions == 2 && self.took_ms > SMALL_MS_MAX {
            missed.push(format!("{name}: {} ms", self.took_ms));
        }
        missed
    }
}

/// Sweeps of one member that tell how long one call takes.
const SINGLE_SWEEPS: u64 = 20;

/// Launches `members` in `sweeps` equal sweeps over the same `regions`.
///
/// # Panics
/// When they are not all launched within a day, which is a defect.
#[must_use]
pub fn measure_launch(members: u64, regions: usize, sweeps: u64) -> LaunchTime {
    let single = (1..=SINGLE_SWEEPS).map(|seed| measure(1, 1, 1, seed).took_ms);
    LaunchTime {
        call_ms: single.max().unwrap_or(0),
        ..measure(members, regions, sweeps, 1)
    }
}

fn measure(members: u64, regions: usize, sweeps: u64, seed: u64) -> LaunchTime {
    let clock = Clock::new(START_MS, seed);
    let mut simulator = Simulator::new(&clock);
    // Nobody ends while others are launched.
    let plane = Plane::new(clock.clone(), settings(20 * 60 * 60 * 1_000));
    for sweep in 0..sweeps {
        let document = json!({
            "name": format!("sweep{sweep}"),
            "count": members / sweeps,
            "regions": REGIONS.iter().take(regions).collect::<Vec<_>>(),
            "instance_type": "c5.large",
            "ttl": "24h",
            "command": "./run",
        });
        plane.submit(&format!("run{sweep}"), document);
    }
    let wanted = usize::try_from(members).unwrap_or(usize::MAX);
    let all = Arc::clone(&plane);
    simulator.run(START_MS + 24 * 60 * 60 * 1_000, || {
        let state = all.state();
        let last = state.ec2.instances().last().map(|one| one.launched_at);
        // The last instance is there, and its call was answered.
        state.ec2.instances().len() >= wanted && last.is_some_and(|at| state.last_launch > at)
    });
    let state = plane.state();
    let launched = state.ec2.instances().len();
    assert_eq!(launched, wanted, "not all members were launched in a day");
    let began = state.lanes_began.unwrap_or(START_MS);
    LaunchTime {
        members,
        regions,
        sweeps,
        took_ms: state.last_launch.saturating_sub(began),
        planned_ms: began - START_MS,
        bound_ms: bound(
            &state.ec2.launch_calls,
            &instances(&state),
            &plane.settings.ec2,
        ),
        call_ms: 0,
        calls: state.ec2.launch_calls.values().sum(),
        throttled: state.ec2.throttled,
    }
}

fn instances(state: &crate::plane::State) -> BTreeMap<Place, u64> {
    let mut by_place = BTreeMap::new();
    for instance in state.ec2.instances() {
        let place = state.ec2.launch_of(instance).place;
        *by_place.entry(place).or_insert(0) += 1;
    }
    by_place
}

/// The least that the buckets allow: the slowest place decides.
fn bound(
    calls: &BTreeMap<(Place, Api), u64>,
    instances: &BTreeMap<Place, u64>,
    ec2: &Settings,
) -> Ms {
    let after = |amount: u64, size: crate::ec2::Size| {
        amount.saturating_sub(size.capacity) * 1_000 / size.refill_per_s
    };
    let by_instances = instances.values().map(|n| after(*n, ec2.launch_instances));
    let by_calls = calls.iter().map(|((_, api), calls)| match api {
        Api::RunInstances => after(*calls, ec2.run_requests),
        Api::CreateFleet => after(*calls, ec2.fleet_requests),
    });
    by_instances.chain(by_calls).max().unwrap_or(0)
}

/// Measures every case that must be kept; answers them as a table, and what is not kept.
#[must_use]
pub fn launch_times() -> (Table, Vec<String>) {
    let mut table = Table::new(&[
        "members",
        "regions",
        "sweeps",
        "time s",
        "bound s",
        "allowed s",
        "one call s",
        "calls",
        "per 1,000",
        "throttled",
        "planned s",
    ]);
    let mut missed = Vec::new();
    let mut cases = vec![(200, 2, 1)];
    for members in [200, 1_000, 10_000] {
        for regions in [1, 4, 10] {
            cases.push((members, regions, 1));
        }
    }
    cases.extend([(200, 1, 2), (1_000, 1, 2), (10_000, 4, 2)]);
    for (members, regions, sweeps) in cases {
        let case = measure_launch(members, regions, sweeps);
        missed.extend(case.missed());
        table.row(vec![
            members.to_string(),
            regions.to_string(),
            sweeps.to_string(),
            thousandths(case.took_ms, 2),
            thousandths(case.bound_ms, 1),
            thousandths(case.allowed_ms(), 2),
            thousandths(case.call_ms, 2),
            case.calls.to_string(),
            thousandths(case.calls * 1_000_000 / members, 1),
            case.throttled.to_string(),
            thousandths(case.planned_ms, 2),
        ]);
    }
    (table, missed)
}
