//! What a seed chooses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::START_MS;
use crate::ec2::{self, size};
use crate::engine::Ms;
use crate::plane::{Fault, MemberLife, Rates, Settings, hour_micros};

/// A sweep of a scenario.
#[derive(Clone, Debug)]
pub struct Submission {
    /// When it is submitted, after the start.
    pub at: Ms,
    /// Its document.
    pub document: Value,
    /// When somebody stops its execution, after the start.
    pub stopped_at: Option<Ms>,
}

/// Sweeps, and the world that they meet.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed of all chance.
    pub seed: u64,
    /// The sweeps.
    pub sweeps: Vec<Submission>,
    /// The world.
    pub settings: Settings,
    /// Pools that run dry: region, type, how many are left, from when, until when.
    pub dry: Vec<Dry>,
    /// How long the work itself may take, faults and waits aside.
    pub work: Ms,
}

/// A pool that is limited for a while, in all zones of a region.
#[derive(Clone, Debug)]
pub struct Dry {
    /// The region.
    pub region: &'static str,
    /// The type.
    pub instance_type: &'static str,
    /// Spot only, or on-demand only.
    pub spot: bool,
    /// What is left in each zone.
    pub left: u32,
    /// From when.
    pub from: Ms,
    /// Until when.
    pub until: Ms,
}

const MINUTE: Ms = 60_000;
const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"];
const TYPES: [&str; 3] = ["c5.large", "c5.xlarge", "t3.micro"];

struct Dice(fastrand::Rng);

impl Dice {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high)
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.0.usize(0..values.len())]
    }
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of_seed(seed: u64, notes: bool) -> Self {
        // Not the dice of the run: a scenario stays the same when the run rolls once more.
        let mut dice = Dice(fastrand::Rng::with_seed(seed ^ 0x5eed_5eed_5eed_5eed));
        let faults = 3 * MINUTE + dice.between(0, 12 * MINUTE);
        let life = MemberLife {
            boot: (1_000, 8_000),
            run: (10_000, 20_000 + dice.between(0, 4 * MINUTE)),
            fails: dice.pick(&[0, 0, 1_000, 5_000]),
        };
        let mut settings = Settings {
            ec2: ec2_of(&mut dice),
            latencies: crate::plane::Latencies::default(),
            rates: rates(&mut dice),
            faults_until: START_MS + faults,
            notes,
            reconcile: true,
            life,
            is_priced: false,
            account_budget: None,
            ignores_budgets: false,
        };
        let count = if dice.chance(25) { 2 } else { 1 };
        let mut work = 0;
        let mut sweeps: Vec<Submission> = (0..count)
            .map(|number| {
                let (submission, needs) = submission(&mut dice, number, &settings);
                work = needs.max(work);
                submission
            })
            .collect();
        let dry = dry(&mut dice, faults);
        if dice.chance(10) {
            let quota = dice.between(0, 60);
            settings.ec2.quota = Some(u32::try_from(quota).unwrap_or(0));
            work += waves(&sweeps, quota) * (settings.life.run.1 + 5 * MINUTE);
        }
        work += budgets(&mut dice, &mut sweeps, &mut settings);
        Self {
            seed,
            sweeps,
            settings,
            dry,
            work,
        }
    }
}

/// In how many waves all members run when they share a quota in one region: what others hold is waited for.
fn waves(sweeps: &[Submission], quota: u64) -> u64 {
    let members = sweeps.iter().map(|sweep| &sweep.document["count"]);
    let members: u64 = members.filter_map(Value::as_u64).sum();
    members.div_ceil(quota.max(1))
}

fn ec2_of(dice: &mut Dice) -> ec2::Settings {
    let mut settings = ec2::Settings::default();
    if dice.chance(40) {
        // Small buckets, so that small sweeps meet their bottom.
        settings.launch_instances = size(dice.between(100, 200), 2);
        settings.run_requests = size(dice.between(1, 5), dice.between(1, 2));
        settings.fleet_requests = size(dice.between(2, 10), dice.between(1, 5));
    }
    if dice.chance(50) {
        settings.describe_lag = (0, dice.between(1_000, 20_000));
    }
    settings
}

/// Each kind of fault is absent, rare or frequent.
fn rates(dice: &mut Dice) -> Rates {
    let mut rates = BTreeMap::new();
    if dice.chance(4) {
        return Rates(rates);
    }
    for fault in Fault::ALL {
        let frequent = match fault {
            Fault::Crash | Fault::Stall => 150,
            Fault::AnswerLost | Fault::SpotLoss => 1_500,
            Fault::Ec2Refused => 300,
            Fault::InstanceLost => 500,
            Fault::EventLost | Fault::EventDoubled | Fault::EventLate => 3_000,
            Fault::StaleView | Fault::ScheduleSkipped => 5_000,
            Fault::LedgerBusy | Fault::LedgerUnanswered | Fault::LedgerAnswerLost => 400,
            Fault::Ec2Throttled | Fault::Ec2Unanswered | Fault::Ec2AnswerLost => 2_000,
            Fault::ServiceUnanswered => 1_000,
            // Chosen once for the whole scenario.
            Fault::DryPool | Fault::ExecutionStopped => 0,
        };
        let rate = match dice.between(0, 9) {
            0..=3 => 0,
            4..=7 => frequent / 8,
            _ => frequent,
        };
        rates.insert(fault, rate);
    }
    Rates(rates)
}

fn dry(dice: &mut Dice, faults: Ms) -> Vec<Dry> {
    if !dice.chance(35) {
        return Vec::new();
    }
    (0..dice.between(1, 6))
        .map(|_| {
            let from = dice.between(0, faults);
            Dry {
                region: dice.pick(&REGIONS),
                instance_type: dice.pick(&TYPES),
                spot: dice.chance(60),
                left: dice.pick(&[0, 0, 0, 3, 20]),
                from,
                until: from + dice.between(MINUTE, faults.max(2 * MINUTE)),
            }
        })
        .collect()
}

/// Gives sweeps budgets, or the account one, of some of what all members may cost. Answers how much longer the work may take.
fn budgets(dice: &mut Dice, sweeps: &mut [Submission], settings: &mut Settings) -> Ms {
    if !dice.chance(25) {
        return 0;
    }
    settings.is_priced = true;
    let mut all = 0;
    let mut longer = 0;
    for sweep in sweeps {
        let members = sweep.document["count"].as_u64().unwrap_or(1);
        let each = cost_at_most(&sweep.document);
        all += members * each;
        let percent = dice.between(5, 120);
        let budget = (members * each * percent / 100).max(each);
        sweep.document["budget"] =
            json!(format!("{}.{:06}", budget / 1_000_000, budget % 1_000_000));
        // Members wait for what others give back.
        let waves = members.div_ceil((budget / each).max(1));
        longer += waves * (settings.life.run.1 + 3 * MINUTE);
    }
    if dice.chance(20) {
        let limit = all * dice.between(20, 120) / 100;
        settings.account_budget = i64::try_from(limit).ok();
        // What finds no room today finds it tomorrow.
        longer += 26 * 60 * MINUTE;
    }
    longer
}

/// More than a member may cost to the end of its ttl, in micro-dollars.
fn cost_at_most(document: &Value) -> u64 {
    let types = document["instance_type"].as_array();
    let types = types.into_iter().flatten().filter_map(Value::as_str);
    let hour = types.map(hour_micros).max().unwrap_or(0);
    let ttl = document["ttl"].as_str().unwrap_or_default();
    let minutes: u64 = ttl.trim_end_matches('m').parse().unwrap_or(60);
    u64::try_from(hour).unwrap_or(0) * (minutes + 3) / 60 * 5 / 4 + 3_000
}

/// A sweep, and how long its work takes at most.
fn submission(dice: &mut Dice, number: u64, settings: &Settings) -> (Submission, Ms) {
    let members = match dice.between(0, 9) {
        0 => dice.between(1, 3),
        1..=6 => dice.between(4, 60),
        7..=8 => dice.between(60, 150),
        _ => dice.between(150, 320),
    };
    let regions: Vec<&str> = {
        let count = usize::try_from(dice.between(1, 3)).unwrap_or(1);
        let first = dice.0.usize(0..REGIONS.len());
        (0..count)
            .map(|n| REGIONS[(first + n) % REGIONS.len()])
            .collect()
    };
    let types: Vec<&str> = {
        let count = usize::try_from(dice.between(1, 3)).unwrap_or(1);
        TYPES.iter().copied().take(count).collect()
    };
    let ttl_minutes = dice.between(6, 20);
    let mut document = json!({
        "name": format!("sweep{number}"),
        "count": members,
        "regions": regions,
        "instance_type": types,
        "ttl": format!("{ttl_minutes}m"),
        "command": "./run",
        "on_complete": dice.pick(&["terminate", "terminate", "terminate", "stop"]),
    });
    match dice.between(0, 2) {
        0 => document["spot"] = json!(true),
        1 => document["spot"] = json!("fallback"),
        _ => {}
    }
    let mut at_once = members;
    if dice.chance(35) {
        at_once = dice.between(1, members);
        document["max_concurrent"] = json!(at_once);
    }
    if dice.chance(15) {
        let each = dice.between(1, members);
        at_once = at_once.min(each);
        document["max_concurrent_per_region"] = json!(each);
    }
    if dice.chance(8) && members < 60 {
        document["launch_delay"] = json!(format!("{}s", dice.between(1, 10)));
    }
    let waves = members.div_ceil(at_once);
    // One instance's whole life, and what EC2 needs for it at its slowest pace.
    let life = settings.life.run.1 + 2 * MINUTE;
    let pace = members * 1_000 / settings.ec2.launch_instances.refill_per_s.max(1);
    let delay = if document["launch_delay"].is_string() {
        members * 11_000
    } else {
        0
    };
    let stopped_at = dice.chance(12).then(|| dice.between(0, 6 * MINUTE));
    let submission = Submission {
        at: number * dice.between(0, 2 * MINUTE),
        document,
        stopped_at,
    };
    (submission, waves * life + pace + delay)
}
