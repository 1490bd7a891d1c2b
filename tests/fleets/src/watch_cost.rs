//! What a day of watching busy instances costs, beside asking CloudWatch for all of them every five minutes.

use std::fmt;

use spawn_core::ports::{ReadUsage as _, WatchInstances as _};
use spawn_core::reap::idle::HEARTBEAT_MS;

use crate::cloud::Calls;
use crate::fleet::Fleet;
use crate::ledger::Units;
use crate::{HOUR, MINUTE, build};

/// Prices in millionths of a micro-dollar (us-east-1, on demand; Infracost's golden files of 2026 for DynamoDB, Lambda and
/// Step Functions, and CloudWatch's pricing page for GetMetricData).
mod price {
    /// A write request unit: 0.625 dollars a million.
    pub(super) const WRITE_UNIT: u64 = 625_000;
    /// A read request unit: 0.125 dollars a million.
    pub(super) const READ_UNIT: u64 = 125_000;
    /// A metric of GetMetricData: 0.01 dollars a thousand.
    pub(super) const METRIC: u64 = 10_000_000;
    /// A state transition: 0.025 dollars a thousand.
    pub(super) const TRANSITION: u64 = 25_000_000;
    /// An invocation of 256 MB on arm64: 0.20 dollars a million, and so much for each ms.
    pub(super) const INVOCATION: u64 = 200_000;
    pub(super) const INVOCATION_MS: u64 = 3_333;
}

/// Transitions of one pass over one place, and its invocations.
const TRANSITIONS: u64 = 6;
const INVOCATIONS: u64 = 2;
/// How long a call of a function takes, in ms: a page of EC2 or CloudWatch, and one of the ledger. Assumed, not measured.
const PAGE_MS: u64 = 1_000;
const LEDGER_CALL_MS: u64 = 10;
/// The boot runner asks for its deadline every minute: half a read unit, since it may be eventually consistent.
const ASKS_A_DAY: u64 = 24 * 60;

/// A day of watching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Calls of the control plane to EC2 and CloudWatch.
    pub calls: Calls,
    /// Calls and units of the control plane in the ledger.
    pub ledger: Units,
    /// Units that the instances took in the ledger, by words and by asking.
    pub instances: Units,
    /// Passes.
    pub passes: u64,
    /// Whether the passes are those of the state machine.
    by_machine: bool,
}

impl Day {
    /// API calls of the control plane.
    #[must_use]
    pub fn api_calls(&self) -> u64 {
        self.calls.describes + self.calls.questions + self.calls.changes + self.ledger.calls
    }

    /// The price in micro-dollars.
    #[must_use]
    pub fn microdollars(&self) -> u64 {
        let pages = self.calls.describes + self.calls.questions;
        let busy_ms = pages * PAGE_MS + self.ledger.calls * LEDGER_CALL_MS;
        let (transitions, invocations) = if self.by_machine {
            (self.passes * TRANSITIONS, self.passes * INVOCATIONS)
        } else {
            (0, self.passes)
        };
        let parts = [
            self.calls.metrics * price::METRIC,
            (self.ledger.reads + self.instances.reads) * price::READ_UNIT,
            (self.ledger.writes + self.instances.writes) * price::WRITE_UNIT,
            transitions * price::TRANSITION,
            invocations * price::INVOCATION + busy_ms * price::INVOCATION_MS,
        ];
        parts.iter().sum::<u64>() / 1_000_000
    }
}

/// Both ways of watching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many instances were watched.
    pub instances: u32,
    /// By the due-time rule.
    pub due: Day,
    /// By asking CloudWatch for all every five minutes.
    pub asking: Day,
}

impl Comparison {
    /// How many times cheaper the due-time rule is.
    #[must_use]
    pub fn factor(&self) -> u64 {
        self.asking.microdollars() / self.due.microdollars().max(1)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { due, asking, .. } = self;
        writeln!(
            f,
            "a day of {} busy instances, idle timeout 30 min",
            self.instances
        )?;
        writeln!(
            f,
            "{:<40} {:>14} {:>14}",
            "", "due-time rule", "ask every 5 m"
        )?;
        let mut line = |name: &str, one: String, other: String| {
            writeln!(f, "{name:<40} {one:>14} {other:>14}")
        };
        let mut count = |name, one: u64, other: u64| line(name, one.to_string(), other.to_string());
        count("passes", due.passes, asking.passes)?;
        count(
            "DescribeInstances",
            due.calls.describes,
            asking.calls.describes,
        )?;
        count("GetMetricData", due.calls.questions, asking.calls.questions)?;
        count(
            "metrics asked for, as billed",
            due.calls.metrics,
            asking.calls.metrics,
        )?;
        count("DynamoDB calls", due.ledger.calls, asking.ledger.calls)?;
        count("read units", due.ledger.reads, asking.ledger.reads)?;
        count("write units", due.ledger.writes, asking.ledger.writes)?;
        count("read units of the instances", due.instances.reads, 0)?;
        count("write units of the instances", due.instances.writes, 0)?;
        count(
            "API calls of the control plane",
            due.api_calls(),
            asking.api_calls(),
        )?;
        let dollars = |day: &Day| {
            let cents = day.microdollars() / 10_000;
            format!("{}.{:02}", cents / 100, cents % 100)
        };
        line("dollars", dollars(due), dollars(asking))?;
        write!(f, "the due-time rule is {} times cheaper", self.factor())
    }
}

const BEGIN: u64 = 1_000 * HOUR;

/// Counts `hours` of watching `instances` busy instances, a pass a minute, and scales them to a day.
pub async fn run(instances: u32, hours: u64) -> Comparison {
    let due = by_due_times(instances, hours).await;
    let asking = by_asking(instances, hours).await;
    Comparison {
        instances,
        due: to_a_day(due, hours, instances),
        asking: to_a_day(asking, hours, 0),
    }
}

async fn fleet_of(instances: u32) -> Fleet {
    let sweep = build::sweep(0, instances);
    let mut rows = vec![
        build::row(&sweep),
        build::row(&build::program(&sweep, Some(30 * 60))),
    ];
    let mut truths = Vec::new();
    for number in 0..instances {
        let (truth, member, row) = build::pair(&sweep, number, number, BEGIN - HOUR, 100 * HOUR);
        rows.extend([build::row(&member), build::row(&row)]);
        truths.push(truth);
    }
    Fleet::new(truths, rows, 1).await
}

async fn by_due_times(instances: u32, hours: u64) -> Day {
    let fleet = fleet_of(instances).await;
    let truths = fleet.cloud.truths();
    let beat = HEARTBEAT_MS / MINUTE;
    let minutes = hours * 60;
    for minute in 0..minutes {
        let now = BEGIN + minute * MINUTE;
        // Launched together or not, they do not speak together for long.
        for (number, truth) in (0_u64..).zip(&truths) {
            if minute == 0 || number % beat == minute % beat {
                fleet.say(truth, "busy", BEGIN - HOUR, now);
            }
        }
        let places = fleet.places(now).await;
        let passed = fleet.pass(now).await;
        if let Some(error) = places.err().or(passed.err()) {
            panic!("a pass failed: {error}");
        }
    }
    Day {
        calls: fleet.cloud.calls(),
        ledger: fleet.ledger.units(),
        instances: Units {
            // A word is a write to a row of some 2 KB.
            writes: fleet.words.get() * 2,
            ..Units::default()
        },
        passes: minutes,
        by_machine: true,
    }
}

async fn by_asking(instances: u32, hours: u64) -> Day {
    let fleet = fleet_of(instances).await;
    let region = crate::build_region();
    let passes = hours * 12;
    for pass in 0..passes {
        let now = BEGIN + pass * 5 * MINUTE;
        fleet.cloud.set_now(now);
        let listed = fleet.cloud.managed(&region).await.unwrap_or_default();
        let ids: Vec<String> = listed
            .into_iter()
            .map(|one| one.instance.arn.instance_id)
            .collect();
        if let Err(error) = fleet.cloud.usage(&region, &ids, now - HOUR / 2, now).await {
            panic!("CloudWatch failed: {error}");
        }
    }
    Day {
        calls: fleet.cloud.calls(),
        passes,
        ..Day::default()
    }
}

fn to_a_day(day: Day, hours: u64, instances: u32) -> Day {
    let scale = |number: u64| number * 24 / hours.max(1);
    Day {
        calls: Calls {
            describes: scale(day.calls.describes),
            changes: scale(day.calls.changes),
            questions: scale(day.calls.questions),
            metrics: scale(day.calls.metrics),
        },
        ledger: Units {
            calls: scale(day.ledger.calls),
            reads: scale(day.ledger.reads),
            writes: scale(day.ledger.writes),
        },
        instances: Units {
            calls: 0,
            reads: u64::from(instances) * ASKS_A_DAY / 2,
            writes: scale(day.instances.writes),
        },
        passes: scale(day.passes),
        by_machine: day.by_machine,
    }
}
