//! The bill of one instance.
//!
//! - An instance is billed while it runs, from `running` to `stopping` or `shutting-down`, each run by the second, a second
//!   begun for a whole one, sixty seconds at least (Amazon EC2 User Guide, "Instance lifecycle"; "On-Demand Instances").
//! - On demand, each moment has the price that was in force then. A spot instance has the price that was in force at the
//!   beginning of each of its instance-hours, for the whole of that hour (Amazon EC2 FAQs, "What price will I pay for a Spot
//!   Instance?"). A start begins a new first hour.
//! - A spot instance that EC2 takes back in the first hour of a run is free for that run; one that the user ends is not
//!   (Amazon EC2 User Guide, "Billing for interrupted Spot Instances": Linux, without SUSE).
//! - Its volume is billed as long as it exists, stopped or not, by the second and sixty at least, as a share of the month
//!   (Amazon EBS pricing). A public address is billed while it is held, which is while the instance runs (Amazon VPC pricing).
//!   Neither is free when EC2 takes the instance back.

use serde::Serialize;

use super::exact::{Exact, HOUR_MS};
use super::history::{EndedBy, History, PriceFrom, Run, Volume};
use crate::clock;
use crate::ids::Market;
use crate::money::MicroDollars;

/// The least that is billed of a run, a volume or an address.
pub(crate) const BILLED_MS_MIN: u64 = 60_000;

/// What an instance has cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// The instance itself, in micro-dollars.
    pub instance: MicroDollars,
    /// Its volume.
    pub volume: MicroDollars,
    /// Its public IPv4 address.
    pub public_ipv4: MicroDollars,
    /// The sum of these.
    pub total: MicroDollars,
    /// Seconds for which the instance is billed.
    pub billed_s: u64,
    /// How `instance` came about.
    pub lines: Vec<Line>,
}

/// A span of time at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// From when, in ms since 1970.
    pub from: u64,
    /// How long, in ms; the lines of a run make whole seconds together.
    pub ms: u64,
    /// The price of an hour.
    pub hour: MicroDollars,
    /// What rule it is billed by.
    pub rule: Rule,
}

/// Why a span costs what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Seconds used.
    Used,
    /// Added to make up the least that is billed.
    Minimum,
    /// Not billed: EC2 took the spot instance back in the first hour.
    TakenBackInFirstHour,
}

/// Why there is no bill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillError {
    /// Nobody has said what it costs.
    #[error("no price is given")]
    NoPrice,
    /// Prices or runs are not in the order of time.
    #[error("{what} number {number} begins before the one in front of it has ended")]
    Order {
        /// Prices or runs.
        what: &'static str,
        /// Which, from 1.
        number: usize,
    },
    /// Something ends before it begins.
    #[error("{what} ends at {}, before it begins at {}", clock::format_iso(*.to), clock::format_iso(*.from))]
    Backwards {
        /// What.
        what: &'static str,
        /// When it begins.
        from: u64,
        /// When it ends.
        to: u64,
    },
    /// A price below nothing.
    #[error("{0} is no price")]
    Negative(MicroDollars),
    /// A month that has other hours than a month has.
    #[error("a month has 672, 696, 720, 730 or 744 hours, not {0}")]
    MonthHours(u32),
    /// More than 64 bits of micro-dollars.
    #[error("the amount is beyond what can be counted")]
    TooLarge,
}

/// The bill of an instance at the moment `at` (ms since 1970). What happened later is not in it.
///
/// # Errors
/// When the history contradicts itself, or has no price.
pub fn bill(history: &History, at: u64) -> Result<Bill, BillError> {
    check(history)?;
    let mut lines = Vec::new();
    let mut address = Exact::default();
    for run in &history.running {
        let Some(span) = billed_span(run, at) else {
            continue;
        };
        lines.extend(lines_of(history, run, span, at));
        if let Some(hour) = history.public_ipv4_hour {
            let cost = Exact::per_hour(hour, span).ok_or(BillError::TooLarge)?;
            address = address.plus(cost).ok_or(BillError::TooLarge)?;
        }
    }
    let mut instance = Exact::default();
    let mut billed_ms = 0;
    for line in &lines {
        if line.rule != Rule::TakenBackInFirstHour {
            let cost = Exact::per_hour(line.hour, line.ms).ok_or(BillError::TooLarge)?;
            instance = instance.plus(cost).ok_or(BillError::TooLarge)?;
            billed_ms += line.ms;
        }
    }
    let round = |part: Exact| part.rounded_up().ok_or(BillError::TooLarge);
    let instance = round(instance)?;
    let public_ipv4 = round(address)?;
    let volume = round(volume_cost(history, at)?)?;
    let total = instance
        .checked_add(volume)
        .and_then(|sum| sum.checked_add(public_ipv4))
        .ok_or(BillError::TooLarge)?;
    Ok(Bill {
        instance,
        volume,
        public_ipv4,
        total,
        billed_s: billed_ms / 1000,
        lines,
    })
}

/// How many ms of a run are billed at the moment `at`: whole seconds, sixty at least. `None` when it has not begun.
fn billed_span(run: &Run, at: u64) -> Option<u64> {
    if run.from > at {
        return None;
    }
    let end = run.to.map_or(at, |to| to.min(at));
    let used = end.saturating_sub(run.from);
    Some(used.div_ceil(1000).saturating_mul(1000).max(BILLED_MS_MIN))
}

/// The spans of a run, each at one price.
fn lines_of(history: &History, run: &Run, span: u64, at: u64) -> Vec<Line> {
    let end = run.from.saturating_add(span);
    let used_end = run.to.map_or(at, |to| to.min(at));
    let seconds_end = run.from + (used_end - run.from).div_ceil(1000) * 1000;
    let taken_back = history.market == Market::Spot
        && run.ended_by == EndedBy::Ec2
        && run.to.is_some_and(|to| to <= at && to - run.from < HOUR_MS);
    let mut lines = Vec::new();
    let mut from = run.from;
    while from < end {
        let (hour, until) = match history.market {
            Market::OnDemand => (
                price_at(&history.prices, from),
                next_change(&history.prices, from).unwrap_or(u64::MAX),
            ),
            Market::Spot => {
                let hours = (from - run.from) / HOUR_MS;
                let began = run.from + hours * HOUR_MS;
                (price_at(&history.prices, began), began + HOUR_MS)
            }
        };
        let mut until = until.min(end);
        if from < seconds_end {
            until = until.min(seconds_end);
        }
        let rule = match (taken_back, from < seconds_end) {
            (true, _) => Rule::TakenBackInFirstHour,
            (false, true) => Rule::Used,
            (false, false) => Rule::Minimum,
        };
        lines.push(Line {
            from,
            ms: until - from,
            hour,
            rule,
        });
        from = until;
    }
    lines
}

/// The price in force at a moment; the first price holds before it, too.
fn price_at(prices: &[PriceFrom], moment: u64) -> MicroDollars {
    let after = prices.partition_point(|price| price.from <= moment);
    let index = after.saturating_sub(1);
    prices
        .get(index)
        .map_or(MicroDollars::ZERO, |price| price.hour)
}

/// When the price in force at a moment gives way to the next.
fn next_change(prices: &[PriceFrom], moment: u64) -> Option<u64> {
    // The first price is in force from the beginning of time, so its own `from` changes nothing.
    let after = prices.partition_point(|price| price.from <= moment).max(1);
    prices.get(after).map(|price| price.from)
}

/// The cost of the volume: each calendar month has its own hours.
fn volume_cost(history: &History, at: u64) -> Result<Exact, BillError> {
    let Some(volume) = &history.volume else {
        return Ok(Exact::default());
    };
    let Some((from, end)) = volume_span(history, volume, at) else {
        return Ok(Exact::default());
    };
    let mut cost = Exact::default();
    let mut start = from;
    while start < end {
        let (hours, month_end) = match volume.month_hours {
            Some(hours) => (hours, u64::MAX),
            None => clock::month_of(start),
        };
        let until = end.min(month_end);
        let part = Exact::per_month(volume.gib_month, volume.gib, hours, until - start)
            .ok_or(BillError::TooLarge)?;
        cost = cost.plus(part).ok_or(BillError::TooLarge)?;
        start = until;
    }
    Ok(cost)
}

/// From when to when the volume is billed.
fn volume_span(history: &History, volume: &Volume, at: u64) -> Option<(u64, u64)> {
    let from = volume
        .from
        .or_else(|| history.running.first().map(|run| run.from))?;
    if from > at {
        return None;
    }
    let last = history.running.last().and_then(|run| run.to);
    let end = volume.to.or(last).map_or(at, |to| to.min(at)).max(from);
    let used = (end - from).div_ceil(1000).saturating_mul(1000);
    Some((from, from.saturating_add(used.max(BILLED_MS_MIN))))
}

/// What is wrong with a history.
fn check(history: &History) -> Result<(), BillError> {
    if history.prices.is_empty() && !history.running.is_empty() {
        return Err(BillError::NoPrice);
    }
    let volume_price = history.volume.map(|volume| volume.gib_month);
    let amounts = history.prices.iter().map(|price| price.hour);
    for amount in amounts.chain(volume_price).chain(history.public_ipv4_hour) {
        if amount.0 < 0 {
            return Err(BillError::Negative(amount));
        }
    }
    for (index, pair) in history.prices.windows(2).enumerate() {
        if let [before, after] = pair
            && after.from <= before.from
        {
            return Err(BillError::Order {
                what: "price",
                number: index + 2,
            });
        }
    }
    for run in &history.running {
        forwards("a run", Some(run.from), run.to)?;
    }
    for (index, pair) in history.running.windows(2).enumerate() {
        if let [before, after] = pair
            && before.to.is_none_or(|to| after.from < to)
        {
            return Err(BillError::Order {
                what: "run",
                number: index + 2,
            });
        }
    }
    if let Some(volume) = &history.volume {
        forwards("the volume", volume.from, volume.to)?;
        if let Some(hours) = volume.month_hours
            && Exact::per_month(MicroDollars::ZERO, 1, hours, 0).is_none()
        {
            return Err(BillError::MonthHours(hours));
        }
    }
    Ok(())
}

fn forwards(what: &'static str, from: Option<u64>, to: Option<u64>) -> Result<(), BillError> {
    match (from, to) {
        (Some(from), Some(to)) if to < from => Err(BillError::Backwards { what, from, to }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
