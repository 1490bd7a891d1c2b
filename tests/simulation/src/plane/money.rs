//! AWS's prices, and what must hold of money: budgets are never passed, whoever launches at the same moment.

use std::collections::BTreeMap;

use serde_json::Value;
use spawn_core::budget::{BudgetRow, Period, Scope};
use spawn_core::clock;
use spawn_core::ids::Market;
use spawn_core::ledger::{Attributes, Condition, Key, Stored as _, Write, path};
use spawn_core::money::MicroDollars;
use spawn_core::ports::InstanceState;
use spawn_core::region::Region;

use super::{Plane, Settings, State};
use crate::PriceLists;
use crate::START_MS;
use crate::ec2::Instance;
use crate::engine::Ms;

/// The price of an hour on demand in micro-dollars, the same in every region.
const HOURS: [(&str, i64); 3] = [
    ("c5.large", 85_000),
    ("c5.xlarge", 170_000),
    ("t3.micro", 10_400),
];

/// What spot costs, in percent of on-demand.
const SPOT_PERCENT: i64 = 35;

/// EC2 bills a minute at the least.
const BILLED_MS_MIN: Ms = 60_000;

/// The account of the control plane.
const HOME_ACCOUNT: &str = "000000000000";

/// The price of an hour of a type on demand, in micro-dollars. The dearest for a type that is not known.
pub(crate) fn hour_micros(instance_type: &str) -> i64 {
    let known = HOURS.iter().find(|(name, _)| *name == instance_type);
    known.map_or(HOURS[1].1, |(_, micros)| *micros)
}

/// AWS's prices as plan-sweep asks for them.
pub(super) fn price_lists(settings: &Settings) -> PriceLists {
    let prices = PriceLists::default();
    if !settings.is_priced {
        return prices;
    }
    let regions = crate::bench::REGIONS.iter().filter_map(|r| r.parse().ok());
    for region in regions {
        for (name, micros) in HOURS {
            prices.set(region, name, micros);
            let spot = micros * SPOT_PERCENT / 100;
            prices.add_spot(region, name, &zone_of(region), START_MS - 1_000, spot);
        }
    }
    prices
}

fn zone_of(region: Region) -> String {
    format!("{region}a")
}

/// The writes without their conditions on what a budget is charged with.
pub(super) fn without_limits(writes: &[Write]) -> Vec<Write> {
    let mut writes = writes.to_vec();
    for write in &mut writes {
        if let Write::Update { when, .. } = write {
            when.retain(|condition| {
                !matches!(condition, Condition::AtMost(what, _) if *what == path(&["charged"]))
            });
        }
    }
    writes
}

fn micros(row: &Attributes, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or(0)
}

/// What a member's instances are charged and billed with, in micro-dollars.
pub(super) fn of_member(member: &Attributes) -> (i64, i64) {
    let (mut charged, mut billed) = (0, 0);
    for spent in instances_of(member) {
        let (of_charged, of_billed) = of_instance(spent);
        charged += of_charged;
        billed += of_billed;
    }
    (charged, billed)
}

fn instances_of(member: &Attributes) -> impl Iterator<Item = &Value> {
    let spent = member.get("spent").and_then(Value::as_array);
    spent.into_iter().flatten()
}

fn of_instance(spent: &Value) -> (i64, i64) {
    let amount = |name: &str| spent.get(name).and_then(Value::as_i64);
    match amount("billed") {
        Some(billed) => (billed, billed),
        None => (amount("committed").unwrap_or(0), 0),
    }
}

fn is_charged_to(spent: &Value, period: &str) -> bool {
    let to = spent.get("charged_to").and_then(Value::as_array);
    to.is_some_and(|to| to.iter().any(|one| one.as_str() == Some(period)))
}

/// What the volume of an instance that was stopped at its member's end has been charged with since, at most: a month has 672 hours
/// at the least, and each part is rounded up.
fn volume_after_end(spent: &Value) -> i64 {
    let number = |name: &str| spent.get(name).and_then(Value::as_i64);
    let stopped = spent.get("runs").and_then(Value::as_array);
    // Runs are written with their times in ISO 8601.
    let stopped = stopped.and_then(|runs| clock::parse_iso(runs.last()?.get("to")?.as_str()?));
    let stopped = stopped.and_then(|at| i64::try_from(at).ok());
    let (Some(billed_to), Some(stopped)) = (number("billed_to"), stopped) else {
        return 0;
    };
    let month = number("gib").unwrap_or(0) * number("gib_month").unwrap_or(0);
    let seconds = (billed_to - stopped) / 1000 + 1;
    month * seconds / (672 * 3600) + 2
}

/// What an instance has cost and may yet cost until its own timer ends it, in micro-dollars, without volume and address.
fn cost_at_most(instance: &Instance, now: Ms) -> i64 {
    let since = |state: InstanceState| {
        let found = instance.states.iter().find(|(_, one)| *one == state);
        found.map(|(at, _)| *at)
    };
    let began = since(InstanceState::Running).unwrap_or(now);
    let is_over =
        |state: InstanceState| !matches!(state, InstanceState::Pending | InstanceState::Running);
    // None of those that were stopped is started again.
    let ran = match instance.states.iter().find(|(_, state)| is_over(*state)) {
        Some((ended, _)) => ended.saturating_sub(began),
        None => instance.kill_after_s.unwrap_or(0) * 1_000,
    };
    let percent = match instance.market {
        Market::Spot => SPOT_PERCENT,
        Market::OnDemand => 100,
    };
    let ran = i64::try_from(ran.max(BILLED_MS_MIN)).unwrap_or(i64::MAX);
    let hour = hour_micros(&instance.instance_type) * percent / 100;
    hour.saturating_mul(ran) / 3_600_000
}

impl Plane {
    /// Puts the standing budget of the home account, as spawn-budget would.
    pub(crate) fn put_account_budget(&self) {
        let Some(limit) = self.settings.account_budget else {
            return;
        };
        let row = BudgetRow {
            scope: Scope::Account,
            name: HOME_ACCOUNT.to_owned(),
            period: Period::Daily,
            limit: MicroDollars(limit),
            set_at: START_MS,
            version: 0,
        };
        match row.row() {
            Ok(row) => self.state().put(row, START_MS),
            Err(error) => self.violated(error.to_string()),
        }
    }
}

impl State {
    /// What the volumes of some instances have been charged with after their members' ends: nothing can be reserved for how long
    /// somebody leaves an instance stopped, so that alone may pass a budget.
    fn volumes_after_ends(&self, is_asked: impl Fn(&Key, &Value) -> bool) -> i64 {
        let members = self
            .rows
            .iter()
            .filter(|(key, _)| key.sk.starts_with("MEMBER#"));
        members
            .flat_map(|(key, member)| instances_of(member).map(move |spent| (key, spent)))
            .filter(|(key, spent)| is_asked(key, spent))
            .map(|(_, spent)| volume_after_end(spent))
            .sum()
    }

    /// What a sweep is charged with covers all its instances, and never passes its budget.
    pub(super) fn check_budget(&mut self, sweep: &str, now: Ms) {
        let Some(meta) = self.rows.get(&Key::new(format!("SWEEP#{sweep}"), "META")) else {
            return;
        };
        let (charged, billed) = (micros(meta, "charged"), micros(meta, "billed"));
        let budget = meta.get("budget").and_then(Value::as_i64);
        let (of_members, bills) = self.tally.money(sweep);
        let mut wrong = Vec::new();
        let passed = budget.filter(|budget| charged > *budget);
        let passed = passed.filter(|budget| {
            let pk = format!("SWEEP#{sweep}#");
            charged > budget + self.volumes_after_ends(|key, _| key.pk.starts_with(&pk))
        });
        if let Some(budget) = passed {
            wrong.push(format!(
                "{sweep} is charged with {charged}, its budget is {budget}"
            ));
        }
        if billed < 0 || charged < billed {
            wrong.push(format!(
                "{sweep} is charged with {charged}, {billed} of it bills"
            ));
        }
        if charged < of_members {
            wrong.push(format!(
                "{sweep} is charged with {charged}, its members with {of_members}"
            ));
        }
        if billed != bills {
            wrong.push(format!("{sweep} is billed {billed}, its members {bills}"));
        }
        for what in wrong {
            self.violate(now, what);
        }
    }

    /// What a period of a standing budget is charged with never passes its limit.
    pub(super) fn check_period(&mut self, key: &Key, now: Ms) {
        let Some((period, _)) = key.sk.split_once('#') else {
            return;
        };
        let Some(row) = self.rows.get(key) else {
            return;
        };
        let (charged, billed) = (micros(row, "charged"), micros(row, "billed"));
        let limit = self.rows.get(&Key::new(key.pk.clone(), period));
        let limit = limit.map(|row| micros(row, "limit"));
        let noted = format!("{}|{}", key.pk, key.sk);
        let is_passed = limit.is_some_and(|limit| charged > limit)
            && limit.is_some_and(|limit| {
                charged > limit + self.volumes_after_ends(|_, spent| is_charged_to(spent, &noted))
            });
        if billed < 0 || charged < billed || is_passed {
            let name = format!("{}/{}", key.pk, key.sk);
            let what =
                format!("{name} is charged with {charged}, {billed} of it bills, of {limit:?}");
            self.violate(now, what);
        }
    }

    /// What the cloud shows of a sweep can cost no more than its budget, whatever the ledger says.
    pub(super) fn check_cost(&mut self, sweep: &str, now: Ms) {
        let key = Key::new(format!("SWEEP#{sweep}"), "META");
        let budget = self.rows.get(&key).and_then(|meta| meta.get("budget"));
        let Some(budget) = budget.and_then(Value::as_i64) else {
            return;
        };
        let of_sweep = |instance: &&Instance| {
            self.ec2.launch_of(instance).tag("spawn:sweep-id") == Some(sweep)
        };
        let instances = self.ec2.instances().iter().filter(of_sweep);
        let cost: i64 = instances.map(|one| cost_at_most(one, now)).sum();
        if cost > budget {
            let what = format!("the instances of {sweep} may cost {cost}, its budget is {budget}");
            self.violate(now, what);
        }
    }

    /// No instance that is gone is billed less than it cost: what news came late, or never, does not make it cheaper.
    pub(crate) fn low_bills(&self, now: Ms) -> Vec<String> {
        let costs: BTreeMap<&str, i64> = self
            .ec2
            .instances()
            .iter()
            .map(|one| (one.arn.instance_id.as_str(), cost_at_most(one, now)))
            .collect();
        let members = self
            .rows
            .iter()
            .filter(|(key, _)| key.sk.starts_with("MEMBER#"));
        members
            .flat_map(|(_, member)| instances_of(member))
            .filter(|spent| spent.get("market").and_then(Value::as_str) == Some("on-demand"))
            .filter_map(|spent| {
                let id = spent.get("instance_id")?.as_str()?;
                let (cost, billed) = (costs.get(id)?, spent.get("billed")?.as_i64()?);
                (billed < *cost).then(|| format!("{id} is billed {billed} and cost {cost}"))
            })
            .collect()
    }

    /// When nothing runs, budgets are charged with the bills and nothing else.
    pub(crate) fn wrong_budgets(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, meta) in self.rows.iter().filter(|(key, _)| key.sk == "META") {
            let sweep = key.pk.trim_start_matches("SWEEP#");
            let charged = micros(meta, "charged");
            let (of_members, _) = self.tally.money(sweep);
            if charged != of_members {
                wrong.push(format!(
                    "{sweep} is charged with {charged} at the end, its members with {of_members}"
                ));
            }
        }
        let periods = self
            .rows
            .iter()
            .filter(|(key, _)| key.pk.starts_with("BUDGET#") && key.sk.contains('#'));
        for (key, row) in periods {
            let name = format!("{}|{}", key.pk, key.sk);
            let noted = |spent: &&Value| is_charged_to(spent, &name);
            let members = self
                .rows
                .iter()
                .filter(|(key, _)| key.sk.starts_with("MEMBER#"));
            let of_members: i64 = members
                .flat_map(|(_, member)| instances_of(member).filter(noted))
                .map(|spent| of_instance(spent).0)
                .sum();
            let charged = micros(row, "charged");
            if charged != of_members {
                wrong.push(format!(
                    "{name} is charged with {charged} at the end, members with {of_members}"
                ));
            }
        }
        wrong
    }
}
