//! What it takes to control a sweep, counted from its first state to its last.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::logs::{Meter, OF_AN_INVOCATION};
use super::naive::{Naive, naive};
use super::prices;
use super::table::{Table, grouped, thousandths};
use super::{REGIONS, settings};
use crate::START_MS;
use crate::engine::{Clock, Ms, Simulator, Stop};
use crate::plane::{Plane, Stats};

/// What a whole sweep took.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Members.
    pub members: u64,
    /// Regions.
    pub regions: usize,
    /// How long each program ran.
    pub run_ms: Ms,
    /// From the execution's start to the answer of the last launch call.
    pub launched_ms: Ms,
    /// From the execution's start to its end.
    pub took_ms: Ms,
    /// What was counted.
    pub stats: Stats,
    /// Calls to EC2 by all functions.
    pub ec2_calls: u64,
    /// Launch calls among them.
    pub launch_calls: u64,
    /// Bytes of logs.
    pub log_bytes: u64,
    /// Seconds of real time that the measurement took, in ms.
    pub real_ms: u128,
}

/// EC2's calls, as the functions' calls are named.
fn is_ec2(name: &str) -> bool {
    name.starts_with("Describe")
        || matches!(
            name,
            "RunInstances"
                | "CreateFleet"
                | "CreateLaunchTemplate"
                | "DeleteLaunchTemplate"
                | "TerminateInstances"
                | "StopInstances"
        ) && name != "DescribeExecution"
}

/// Runs a sweep of `members` over the first `regions` regions, whose programs run for `run_ms`, to its end.
///
/// # Panics
/// When it does not complete, which is a defect.
#[must_use]
pub fn measure_sweep(members: u64, regions: usize, run_ms: Ms) -> Figures {
    let begun = Instant::now();
    let meter = Meter::default();
    let counting = meter.clone();
    let mut figures = tracing::subscriber::with_default(counting, || run(members, regions, run_ms));
    let invocations: u64 = figures.stats.invocations.values().sum();
    figures.log_bytes = meter.bytes() + invocations * OF_AN_INVOCATION;
    figures.real_ms = begun.elapsed().as_millis();
    figures
}

fn run(members: u64, regions: usize, run_ms: Ms) -> Figures {
    let clock = Clock::new(START_MS, 1);
    let mut simulator = Simulator::new(&clock);
    let plane = Plane::new(clock.clone(), settings(run_ms));
    let document = json!({
        "name": "bench",
        "count": members,
        "regions": REGIONS.iter().take(regions).collect::<Vec<_>>(),
        "instance_type": "c5.large",
        "ttl": "24h",
        "command": "./run",
    });
    plane.submit("bench", document);
    crate::scenario::tick(&plane);
    let all = Arc::clone(&plane);
    let week = 7 * 24 * 60 * 60 * 1_000;
    let stop = simulator.run(START_MS + week, || all.state().is_settled());
    let state = plane.state();
    assert_eq!(stop, Stop::Done, "{}", state.unsettled());
    let completed = state.completed();
    assert_eq!(completed, members, "not every member completed");
    let ec2_calls = state.stats.calls.iter();
    let ec2_calls = ec2_calls.filter(|((_, name), _)| is_ec2(name));
    Figures {
        members,
        regions,
        run_ms,
        launched_ms: state.last_launch.saturating_sub(START_MS),
        took_ms: clock.now() - START_MS,
        ec2_calls: ec2_calls.map(|(_, count)| count).sum(),
        launch_calls: state.ec2.launch_calls.values().sum(),
        stats: state.stats.clone(),
        log_bytes: 0,
        real_ms: 0,
    }
}

/// One line of a bill: what, how much, and its price in millionths of a millionth of a dollar.
struct Line {
    what: &'static str,
    amount: u64,
    price: u64,
}

impl Figures {
    fn bill(&self) -> Vec<Line> {
        let stats = &self.stats;
        let line = |what, amount, price| Line {
            what,
            amount,
            price,
        };
        let invocations: u64 = stats.invocations.values().sum();
        let mib_ms: u64 = stats
            .function_ms
            .iter()
            .map(|(function, ms)| function.memory_mib() * ms)
            .sum();
        let gb_ms = mib_ms / 1_024;
        // Lambda's pollers ask an empty queue five at a time, each for 20 s (AWS Lambda Developer Guide).
        let idle_polls = self.took_ms / 20_000 * 5;
        vec![
            line(
                "state transitions",
                stats.transitions.values().sum(),
                prices::TRANSITION,
            ),
            line("function calls", invocations, prices::INVOCATION),
            line(
                "function GB-ms (arm64)",
                gb_ms,
                prices::ARM_GB_SECOND / 1_000,
            ),
            line("ledger write units", stats.write_units, prices::WRITE_UNIT),
            line(
                "ledger read units",
                stats.read_half_units / 2,
                prices::READ_UNIT,
            ),
            line(
                "queue requests",
                stats.queue_requests + idle_polls,
                prices::QUEUE_REQUEST,
            ),
            line("members' events", stats.member_events, prices::CUSTOM_EVENT),
            line("objects written", stats.objects_put, prices::OBJECT_PUT),
            line("objects read", stats.objects_got, prices::OBJECT_GET),
            line("log bytes", self.log_bytes, prices::LOG_BYTE),
        ]
    }

    /// What it costs, in millionths of a millionth of a dollar.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.bill()
            .iter()
            .map(|line| line.amount * line.price)
            .sum()
    }
}

/// A price as dollars with six digits.
fn dollars(price: u64) -> String {
    let micro = (price + prices::DOLLAR / 2_000_000) / (prices::DOLLAR / 1_000_000);
    format!("${}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

/// An amount a member, with three digits.
fn each(amount: u64, members: u64) -> String {
    thousandths((amount * 1_000 + members / 2) / members.max(1), 3)
}

/// What a sweep costs to control, item by item, beside the naive design.
#[must_use]
pub fn cost_table(figures: &Figures) -> Table {
    let naive: Naive = naive(figures.members, figures.regions, figures.run_ms);
    let mut table = Table::new(&[
        "item",
        "counted",
        "a member",
        "dollars",
        "naive: counted",
        "dollars",
    ]);
    let naive_bill = naive.bill();
    for line in figures.bill() {
        let (count, cost) = naive_bill
            .iter()
            .find(|(what, ..)| *what == line.what)
            .map_or(
                (String::from("-"), String::from("-")),
                |(_, amount, price)| (grouped(*amount), dollars(amount * price)),
            );
        table.row(vec![
            line.what.to_owned(),
            grouped(line.amount),
            each(line.amount, figures.members),
            dollars(line.amount * line.price),
            count,
            cost,
        ]);
    }
    let naive_cost: u64 = naive_bill
        .iter()
        .map(|(_, amount, price)| amount * price)
        .sum();
    table.row(vec![
        "in all".to_owned(),
        String::new(),
        String::new(),
        dollars(figures.cost()),
        String::new(),
        dollars(naive_cost),
    ]);
    table
}

/// What else is to be said of the naive design.
#[must_use]
pub fn naive_words(figures: &Figures) -> String {
    let naive = naive(figures.members, figures.regions, figures.run_ms);
    let full = naive.full_at.map_or_else(String::new, |member| {
        format!(" Its item is full at member {}: from there on its figures are what it would take if items had no limit.", grouped(member))
    });
    format!(
        "\nLaunch calls: {}, naive {}. All launched after {} s, naive {} s.{full}\n",
        grouped(figures.launch_calls),
        grouped(naive.launch_calls),
        grouped(figures.launched_ms.div_ceil(1_000)),
        grouped(naive.launch_ms / 1_000),
    )
}

/// How the figures of one member grow with the number of members.
#[must_use]
pub fn growth_table(all: &[Figures]) -> Table {
    let mut table = Table::new(&[
        "members",
        "regions",
        "EC2 calls",
        "launch calls",
        "rows written",
        "write units",
        "rows read",
        "transitions",
        "function calls",
        "micro-$",
        "real s",
    ]);
    for figures in all {
        let stats = &figures.stats;
        let members = figures.members;
        table.row(vec![
            grouped(members),
            figures.regions.to_string(),
            each(figures.ec2_calls, members),
            each(figures.launch_calls, members),
            each(stats.rows_written, members),
            each(stats.write_units, members),
            each(stats.rows_read, members),
            each(stats.transitions.values().sum(), members),
            each(stats.invocations.values().sum(), members),
            each(figures.cost() / 1_000_000, members),
            thousandths(u64::try_from(figures.real_ms).unwrap_or(0), 1),
        ]);
    }
    table
}
