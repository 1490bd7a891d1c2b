//! Runs a scenario to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use spawn_core::ids::Market;

use super::make::{Dry, Scenario};
use crate::START_MS;
use crate::ec2::Pool;
use crate::engine::{Clock, Ms, Simulator, Stop};
use crate::plane::{Fault, Function, Plane, Stats};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Members of all sweeps.
    pub members: u64,
    /// Instances that were launched.
    pub instances: u64,
    /// From the start until everything was over, in ms of virtual time.
    pub took: Ms,
    /// How much of it came after the faults had stopped.
    pub after_faults: Ms,
    /// What was counted.
    pub stats: Stats,
    /// What did not hold. Empty when all is well.
    pub violations: Vec<String>,
    /// The hash of all that happened, if notes were kept.
    pub hash: u64,
    /// What happened, if notes were kept.
    pub trace: Vec<String>,
}

/// How long everything may take to settle beside the work itself, once the faults have stopped: the longest of retries,
/// late events, graces and safety nets, with room. It is a bound, not a goal.
const SETTLE: Ms = 60 * 60 * 1_000;

/// After the end the world is watched for so long: nothing may come to life again.
const WATCH: Ms = 15 * 60 * 1_000;

/// Runs the scenario of a seed. With `notes` its trace and hash are kept, which takes longer.
#[must_use]
pub fn run_seed(seed: u64, notes: bool) -> Outcome {
    run(&Scenario::of_seed(seed, notes))
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    let clock = Clock::new(START_MS, scenario.seed);
    let mut simulator = Simulator::new(&clock);
    let plane = Plane::new(clock.clone(), scenario.settings.clone());
    let members = begin(&plane, scenario);
    let faults = scenario.settings.faults_until.saturating_sub(START_MS);
    let end = START_MS + faults + scenario.work + SETTLE;
    let sweeps = scenario.sweeps.len();
    let stop = simulator.run(end, || {
        let state = plane.state();
        !state.violations.is_empty()
            || (state.executions.sweeps.len() == sweeps && state.is_settled())
    });
    let over = clock.now();
    if plane.state().violations.is_empty() {
        if stop == Stop::Done {
            simulator.run(over + WATCH, || false);
            plane.state().check_end(over);
        } else {
            let what = plane.state().unsettled();
            plane.violated(format!("not settled ({stop:?}): {what}"));
        }
    }
    let state = plane.state();
    Outcome {
        seed: scenario.seed,
        members,
        instances: u64::try_from(state.ec2.instances().len()).unwrap_or(u64::MAX),
        took: over - START_MS,
        after_faults: over.saturating_sub(START_MS + faults),
        stats: state.stats.clone(),
        violations: state.violations.clone(),
        hash: clock.hash(),
        trace: clock.take_trace(),
    }
}

/// Sets everything going; answers the number of members.
fn begin(plane: &Arc<Plane>, scenario: &Scenario) -> u64 {
    let clock = &plane.clock;
    let mut members = 0;
    for (number, sweep) in scenario.sweeps.iter().enumerate() {
        members += sweep.document["count"].as_u64().unwrap_or(1);
        let document = sweep.document.clone();
        let name = format!("run{number}");
        let arn = format!("arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:{name}");
        let of_plane = Arc::clone(plane);
        clock.after(sweep.at, move || {
            of_plane.submit(&name, document);
        });
        if let Some(at) = sweep.stopped_at {
            let of_plane = Arc::clone(plane);
            clock.after(sweep.at + at, move || of_plane.stop_execution(&arn));
        }
    }
    plane.put_account_budget();
    for dry in &scenario.dry {
        begin_dry(plane, dry);
    }
    if scenario.settings.reconcile {
        tick(plane);
    }
    members
}

fn begin_dry(plane: &Arc<Plane>, dry: &Dry) {
    let set = |at: Ms, left: Option<u32>| {
        let of_plane = Arc::clone(plane);
        let dry = dry.clone();
        plane.clock.after(at, move || {
            if left.is_some() {
                of_plane.count(Fault::DryPool);
            }
            let Ok(region) = dry.region.parse() else {
                return;
            };
            let mut state = of_plane.state();
            for zone in state.ec2.zones(region) {
                let pool = Pool {
                    zone,
                    instance_type: dry.instance_type.to_owned(),
                    market: if dry.spot {
                        Market::Spot
                    } else {
                        Market::OnDemand
                    },
                };
                state.ec2.set_pool(pool, left);
            }
        });
    };
    set(dry.from, Some(dry.left));
    set(dry.until, None);
}

/// The schedule: a reconcile pass every minute.
pub(crate) fn tick(plane: &Arc<Plane>) {
    let next = Arc::clone(plane);
    plane.clock.after(60_000, move || {
        if !next.fault(Fault::ScheduleSkipped) {
            next.invoke_async(Function::TrackInstances, json!({"reconcile": {}}));
        }
        tick(&next);
    });
}

/// How many faults of each kind.
impl Outcome {
    /// Adds the faults of this run to a table.
    pub fn add_faults(&self, table: &mut BTreeMap<Fault, u64>) {
        for (fault, count) in &self.stats.faults {
            *table.entry(*fault).or_insert(0) += count;
        }
    }
}
