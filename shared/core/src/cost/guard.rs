//! What a live sweep has run up, what it will, and what is to be done about it.

use std::collections::BTreeMap;

use super::history::PriceFrom;
use super::settlement::{Changes, changes_of};
use super::spent::Spent;
use crate::clock;
use crate::cost::{Commitment, commitment};
use crate::money::MicroDollars;
use crate::rows::{CostSoFar, LaneRow, MemberRow, OnBudget, SweepRow};
use crate::state::MemberState;

/// The shares of a budget, in percent, at which something happens.
pub const LEVELS: [u8; 3] = [50, 80, 100];

/// The share from which nothing more is launched, if the document says so.
const HOLD_PERCENT: u8 = 80;

/// A sweep that spends more in an hour than this share of what was planned, in percent, is told: spot prices move by less
/// within a day as a rule.
const ANOMALY_PERCENT: i128 = 125;

/// What to do about a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    GoOn,
    /// Tell, for the first time, that this share of the budget is spent.
    Tell(u8),
    /// Tell, and launch nothing more.
    Hold(u8),
    /// Tell, and end all that runs.
    Drain(u8),
}

/// A sweep as cost-guard sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// What is put on the sweep's row.
    pub cost: CostSoFar,
    /// What to do.
    pub decision: Decision,
    /// Why, in words, when there is something to say.
    pub words: Option<String>,
    /// What was run up and is in no standing budget's bills yet, by the budgets' periods as members note them.
    pub open: BTreeMap<String, MicroDollars>,
}

/// Assesses a sweep whose members and lanes are given, at `now` (ms since 1970). `None` when an amount is beyond what can be
/// counted.
#[must_use]
pub fn assess(
    sweep: &SweepRow,
    lanes: &[LaneRow],
    members: &[MemberRow],
    changes: &Changes,
    now: u64,
) -> Option<Assessment> {
    let mut cost = CostSoFar {
        at: now,
        told_percent: sweep.cost.as_ref().map_or(0, |cost| cost.told_percent),
        ..CostSoFar::default()
    };
    let mut planned_burn = MicroDollars::ZERO;
    let typical_ms = typical_run_ms(members);
    let mut open: BTreeMap<String, MicroDollars> = BTreeMap::new();
    for member in members {
        for spent in &member.spent {
            let Ok(Some(bill)) = spent.bill(changes_of(changes, spent), now) else {
                cost.unpriced += 1;
                continue;
            };
            cost.accrued = cost.accrued.checked_add(bill.total)?;
            // The bill of an instance that is stopped though its member has ended grows, and the budgets' bills hold a part of it.
            let unbilled = bill.total.checked_sub(spent.billed.unwrap_or_default())?;
            for charged_to in spent.charged_to.iter().filter(|_| spent.is_there()) {
                let sum = open.entry(charged_to.clone()).or_default();
                *sum = sum.checked_add(unbilled.max(MicroDollars::ZERO))?;
            }
            if spent.runs.last().is_some_and(|run| run.to.is_none()) {
                let hour = hour_now(spent, changes_of(changes, spent))?;
                cost.burn_per_hour = cost.burn_per_hour.checked_add(hour)?;
                planned_burn = planned_burn.checked_add(spent.hour.unwrap_or(hour))?;
                let left = left_ms(member, spent, typical_ms, now);
                // The bill at its end, and not one more of what is left: the minute at least that a run is billed for is in it once.
                let end = spent.bill(changes_of(changes, spent), now + left).ok()??;
                let more = end.total.checked_sub(bill.total)?;
                cost.forecast = cost.forecast.checked_add(more)?;
            }
        }
        if member.state == MemberState::Planned {
            match expected_of_planned(member, lanes, typical_ms) {
                Some(expected) => cost.forecast = cost.forecast.checked_add(expected)?,
                None => cost.unpriced += 1,
            }
        }
    }
    cost.forecast = cost.forecast.checked_add(cost.accrued)?;
    let too_fast =
        i128::from(cost.burn_per_hour.0) * 100 > i128::from(planned_burn.0) * ANOMALY_PERCENT;
    // Only while it is charged at all: a sweep without prices has no commitment.
    let above_charged = sweep.charged > 0 && cost.accrued.0 > sweep.charged;
    cost.is_anomalous = too_fast || above_charged;
    let was_anomalous = sweep.cost.as_ref().is_some_and(|cost| cost.is_anomalous);
    let (decision, mut words) = decide_own(sweep, &cost);
    if cost.is_anomalous && !was_anomalous {
        let anomaly = if too_fast {
            format!(
                "it spends {} an hour, and by the prices of its launches it would be {planned_burn}",
                cost.burn_per_hour
            )
        } else {
            format!(
                "it has run up {}, more than the {} that were committed",
                cost.accrued,
                MicroDollars(sweep.charged)
            )
        };
        words = Some(words.map_or(anomaly.clone(), |words| format!("{words}; {anomaly}")));
    }
    Some(Assessment {
        cost,
        decision,
        words,
        open,
    })
}

/// What the share of the sweep's own budget that is spent asks for, and in words why.
fn decide_own(sweep: &SweepRow, cost: &CostSoFar) -> (Decision, Option<String>) {
    let Some(budget) = sweep.budget else {
        return (Decision::GoOn, None);
    };
    match decide(budget, cost.accrued, cost.told_percent, sweep) {
        Decision::GoOn => (Decision::GoOn, None),
        decision => {
            let words = share_words(&format!("the budget of {budget}"), budget, cost.accrued);
            (decision, Some(words))
        }
    }
}

/// What was spent of a limit, in words; `budget` says what the limit is.
#[must_use]
pub fn share_words(budget: &str, limit: MicroDollars, spent: MicroDollars) -> String {
    format!(
        "{} % of {budget} are spent: {spent}",
        percent_of(limit, spent).unwrap_or_default()
    )
}

/// `None` of a limit of nothing.
fn percent_of(limit: MicroDollars, spent: MicroDollars) -> Option<i128> {
    (i128::from(spent.0) * 100).checked_div(i128::from(limit.0))
}

/// What the share of a budget that is spent asks for, by the policy of one of its sweeps. A level asks until it is noted that
/// people were told of it. A sweep that is to be held is held whoever was told before: it may have begun since, or been resumed.
/// A drain asks again and again: the one before may have been lost.
#[must_use]
pub fn decide(
    limit: MicroDollars,
    spent: MicroDollars,
    told_percent: u8,
    sweep: &SweepRow,
) -> Decision {
    let policy = sweep.on_budget;
    let may_hold = policy != OnBudget::Notify;
    let goes_on = sweep.held.is_none() && sweep.drain.is_none();
    let percent = percent_of(limit, spent).unwrap_or_default();
    let reached = LEVELS
        .into_iter()
        .rev()
        .find(|level| percent >= i128::from(*level));
    match reached {
        Some(100) if policy == OnBudget::Drain => Decision::Drain(100),
        Some(level) if level >= HOLD_PERCENT && may_hold && (goes_on || level > told_percent) => {
            Decision::Hold(level)
        }
        Some(level) if level > told_percent => Decision::Tell(level),
        _ => Decision::GoOn,
    }
}

/// How long members that completed have run, on average.
fn typical_run_ms(members: &[MemberRow]) -> Option<u64> {
    let mut sum: u64 = 0;
    let mut count: u64 = 0;
    for member in members {
        if member.state != MemberState::Completed {
            continue;
        }
        for run in member
            .spent
            .last()
            .into_iter()
            .flat_map(|spent| &spent.runs)
        {
            sum = sum.saturating_add(run.to.unwrap_or(run.from) - run.from);
        }
        count += 1;
    }
    sum.checked_div(count)
}

/// How long an instance will run on: as long as its like, and to its deadline at the most. Without either, no longer.
fn left_ms(member: &MemberRow, spent: &Spent, typical_ms: Option<u64>, now: u64) -> u64 {
    let deadline = member
        .ttl_deadline
        .map(|deadline| deadline.saturating_sub(now));
    let began = spent.runs.first().map_or(now, |run| run.from);
    let typical = typical_ms.map(|typical| typical.saturating_sub(now.saturating_sub(began)));
    match (typical, deadline) {
        (Some(typical), Some(deadline)) => typical.min(deadline),
        (Some(left), None) | (None, Some(left)) => left,
        (None, None) => 0,
    }
}

/// What a member that is not launched yet will cost: as long as its like have run, else to the end of the longest ttl.
fn expected_of_planned(
    member: &MemberRow,
    lanes: &[LaneRow],
    typical_ms: Option<u64>,
) -> Option<MicroDollars> {
    let lane = lanes.iter().find(|lane| lane.lane == member.lane)?;
    let shape = lane.shapes.first()?;
    let types = lane.prices.types.get(shape.instance_types.first()?)?;
    let spot = types.spot.or_else(|| types.spot_in.values().min().copied());
    let hour = match lane.lane.market {
        crate::ids::Market::Spot => spot.or(types.on_demand),
        crate::ids::Market::OnDemand => types.on_demand,
    };
    let prices = Commitment {
        hour: hour?,
        gib: lane.prices.gib.first().copied().flatten()?,
        gib_month: lane.prices.gib_month?,
        public_ipv4_hour: lane.prices.public_ipv4_hour?,
    };
    let seconds = typical_ms.map(|ms| ms.div_ceil(1000)).or(lane.ttl_s)?;
    commitment(&prices, seconds)
}

/// The price of an hour now: the latest change, or that of the launch.
fn hour_now(spent: &Spent, changes: &[PriceFrom]) -> Option<MicroDollars> {
    match (spent.market, changes.last()) {
        (crate::ids::Market::Spot, Some(last)) => Some(last.hour),
        _ => spent.hour,
    }
}

/// A message of a decision that is taken of a sweep because of `words`: subject and text.
#[must_use]
pub fn message(
    sweep: &SweepRow,
    cost: &CostSoFar,
    decision: &Decision,
    words: &str,
) -> (String, String) {
    let does = match decision {
        Decision::GoOn | Decision::Tell(_) => "nothing was stopped",
        Decision::Hold(_) => "nothing more is launched; what runs goes on",
        Decision::Drain(_) => "all that runs is being ended",
    };
    let text = format!(
        "Sweep {} of {} ({}): {words}.\nAt {}: {} run up, {} an hour, {} forecast to the end.\nPolicy {}: {does}.",
        sweep.sweep_id,
        sweep.owner,
        sweep.project,
        clock::format_iso(cost.at),
        cost.accrued,
        cost.burn_per_hour,
        cost.forecast,
        sweep.on_budget.as_str(),
    );
    (format!("spawn cost: {}", sweep.sweep_id), text)
}
