//! What instance metrics cost. Always the most that it can be: the rates of the first 10,000 metrics, in the shortest month.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{InstanceMetric, Wanted};
use crate::money::MicroDollars;
use crate::plan::{Plan, worst_case};
use crate::reap::idle::has_accelerator;
use crate::rows::MemberRow;

/// A custom metric for a month, of the first 10,000 (Amazon CloudWatch Pricing, US East (N. Virginia), "Custom Metrics").
pub(crate) const METRIC_MONTH: MicroDollars = MicroDollars(300_000);
/// A call of PutMetricData (the same, "APIs": $0.01 for 1,000).
pub(crate) const CALL: MicroDollars = MicroDollars(10);
/// The hours of the shortest month.
const MONTH_HOURS_MIN: i64 = 672;
/// The agent sends once a minute (its `force_flush_interval`).
const CALLS_PER_HOUR: i64 = 60;
const HOUR_MS: u64 = 3_600_000;
const SOURCE: &str = "Amazon CloudWatch Pricing, US East (N. Virginia): $0.30 a month for each of the first 10,000 custom metrics, by the hours in which it is sent; $0.01 for 1,000 calls of PutMetricData";

/// What the instance metrics of a sweep cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Custom metrics of one instance, at the most.
    pub of_an_instance: i64,
    /// Custom metrics that the instances send together: by type, by sweep and type, and of all.
    pub shared: i64,
    /// An hour of one instance, its calls included.
    pub instance_hour: MicroDollars,
    /// What all members at their full ttl, with all their tries, may cost; `None` when one has no ttl.
    pub at_most: Option<MicroDollars>,
}

impl Price {
    /// As a plan shows it.
    #[must_use]
    pub fn to_output(&self) -> Value {
        json!({
            "metrics_of_an_instance": self.of_an_instance,
            "metrics_shared": self.shared,
            "instance_hour_at_most": self.instance_hour.to_string(),
            "worst_case_cost": self.at_most.map(|cost| cost.to_string()),
            "source": SOURCE,
        })
    }
}

/// The price of a plan's instance metrics; `None` when it wants none.
#[must_use]
pub fn price(plan: &Plan) -> Option<Price> {
    let wanted = &plan.sweep.instance_metrics;
    if wanted.is_empty() {
        return None;
    }
    let types: BTreeSet<&str> = plan
        .lanes
        .iter()
        .flat_map(|lane| &lane.shapes)
        .flat_map(|shape| shape.instance_types.iter().map(String::as_str))
        .collect();
    let of_an_instance = types.iter().map(|name| sent(wanted, name)).max()?;
    let instance_hour = hour(of_an_instance).plus(CALL.times(CALLS_PER_HOUR));
    let shared = shared(wanted, &types);
    let mut hours = Some(0_i64);
    for member in plan
        .members
        .iter()
        .filter(|member| !member.state.is_ended())
    {
        let program = usize::try_from(member.program)
            .ok()
            .and_then(|index| plan.programs.get(index));
        let market = member.lane.market;
        let tries = plan
            .sweep
            .retries
            .tries_at_most(market == crate::ids::Market::Spot);
        let of_member = program.and_then(|program| program.ttl_s).map(|ttl_s| {
            hours_at_most(ttl_s.saturating_mul(1000)).saturating_mul(i64::from(tries))
        });
        hours = hours
            .zip(of_member)
            .map(|(sum, more)| sum.saturating_add(more));
    }
    // The shared ones are sent while any member lives, and never longer than the sweep can.
    let sweep_hours = hours_at_most(plan.timeout_s.saturating_mul(1000));
    let at_most = hours.map(|hours| {
        let own = instance_hour.times(hours);
        own.plus(hour(shared).times(hours.min(sweep_hours)))
    });
    Some(Price {
        of_an_instance,
        shared,
        instance_hour,
        at_most,
    })
}

/// What somebody who wants instance metrics should know before the sweep is launched.
pub(crate) fn warnings(plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(price) = price(plan) else {
        return warnings;
    };
    // A metric has no tag, so no bill of a sweep ever shows it: budgets count what bills show.
    if let (Some(budget), Some(own)) = (plan.sweep.budget, price.at_most) {
        let all = worst_case(plan).map(|most| most.plus(own));
        if all.is_none_or(|all| all > budget) {
            warnings.push(format!(
                "instance metrics may cost {own}, which the budget of {budget} does not count"
            ));
        }
    }
    if plan.lanes.iter().any(|lane| lane.lane.account.is_some()) {
        warnings.push(
            "instance metrics of members in other accounts are in these accounts, in the region of the ledger: spawn-right-size does not see them"
                .to_owned(),
        );
    }
    warnings
}

/// What instances have run up with their own metrics at the moment `at` (ms since 1970), at the most; `None` when none were wanted.
#[must_use]
pub fn of_runs(wanted: &Wanted, members: &[MemberRow], at: u64) -> Option<MicroDollars> {
    if wanted.is_empty() {
        return None;
    }
    let mut sum = MicroDollars::ZERO;
    for spent in members.iter().flat_map(|member| &member.spent) {
        let rate = hour(sent(wanted, &spent.instance_type)).plus(CALL.times(CALLS_PER_HOUR));
        for run in &spent.runs {
            let end = run.to.unwrap_or(at).max(run.from);
            // Of the clock's hours, each in which anything is sent.
            let hours = (end / HOUR_MS).saturating_sub(run.from / HOUR_MS) + 1;
            sum = sum.plus(rate.times(i64::try_from(hours).unwrap_or(i64::MAX)));
        }
    }
    Some(sum)
}

/// Metrics that an instance of a type sends of its own.
fn sent(wanted: &Wanted, instance_type: &str) -> i64 {
    let has_accelerator = has_accelerator(instance_type);
    count(
        wanted
            .iter()
            .filter(|metric| metric.is_of(has_accelerator))
            .count(),
    )
}

/// Metrics that instances of these types send together.
fn shared(wanted: &Wanted, types: &BTreeSet<&str>) -> i64 {
    let mut by_type = 0;
    let mut of_all = BTreeSet::<InstanceMetric>::new();
    for name in types {
        let has_accelerator = has_accelerator(name);
        let of_type = wanted.iter().filter(|metric| metric.is_of(has_accelerator));
        of_all.extend(of_type.clone());
        // By type, and by sweep and type.
        by_type += 2 * of_type.filter(|metric| metric.is_compared()).count();
    }
    count(by_type + of_all.len())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The clock's hours that a span may touch.
fn hours_at_most(ms: u64) -> i64 {
    i64::try_from(ms.div_ceil(HOUR_MS) + 1).unwrap_or(i64::MAX)
}

/// An hour of so many metrics, rounded up.
fn hour(metrics: i64) -> MicroDollars {
    let month = METRIC_MONTH.times(metrics).0;
    MicroDollars(month / MONTH_HOURS_MIN + i64::from(month % MONTH_HOURS_MIN > 0))
}

/// Amounts that stop at the largest: it is told as such, and nothing is paid by it.
trait Saturating {
    fn times(self, number: i64) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Saturating for MicroDollars {
    fn times(self, number: i64) -> Self {
        Self(self.0.saturating_mul(number))
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_a_share_of_the_shortest_month_and_its_calls() {
        // 7 x 300,000 / 672 = 3,125.
        assert_eq!(hour(7), MicroDollars(3_125));
        assert_eq!(hour(1), MicroDollars(447));
        assert_eq!(CALL.times(CALLS_PER_HOUR), MicroDollars(600));
    }

    #[test]
    fn gpus_are_paid_for_where_there_are_some() {
        let all = Wanted::from(InstanceMetric::ALL);
        assert_eq!(sent(&all, "c5.large"), 6);
        assert_eq!(sent(&all, "g5.xlarge"), 7);
        // c5: cpu and memory, g5: these and gpu, each twice; and seven of all.
        assert_eq!(shared(&all, &BTreeSet::from(["c5.large", "g5.xlarge"])), 17);
        let rates = Wanted::from([InstanceMetric::DiskReadMb]);
        assert_eq!(shared(&rates, &BTreeSet::from(["c5.large"])), 1);
    }

    #[test]
    fn ten_minutes_may_touch_two_hours_of_the_clock() {
        assert_eq!(hours_at_most(600_000), 2);
        assert_eq!(hours_at_most(HOUR_MS), 2);
        assert_eq!(hours_at_most(HOUR_MS + 1), 3);
    }
}
