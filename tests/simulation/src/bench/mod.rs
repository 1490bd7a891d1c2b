//! Figures: how fast sweeps launch, what they cost to control, and how both grow. Counted on virtual time without faults, so
//! that every machine counts the same.

mod cost;
mod launch_times;
mod logs;
mod naive;
mod prices;
mod table;

pub use cost::{Figures, cost_table, growth_table, measure_sweep, naive_words};
pub use launch_times::{LaunchTime, launch_times, measure_launch};
pub use table::Table;

use crate::START_MS;
use crate::plane::{Latencies, MemberLife, Rates, Settings};

/// How long programs run in the sweep of the bill.
const FOUR_HOURS: u64 = 4 * 60 * 60 * 1_000;
/// How long they run where growth is shown: only what a member takes counts, not how long it lasts.
const TEN_MINUTES: u64 = 10 * 60 * 1_000;

/// Measures and tells: a sweep of so many members, or all that the README shows.
pub fn print(members: Option<u64>, out: impl Fn(&str)) {
    if let Some(members) = members {
        bill(members, &out);
        return;
    }
    bill(10_000, &out);
    out("\nFor each member, whose program runs for ten minutes:\n\n");
    let mut all = Vec::new();
    for members in [100, 1_000, 10_000, 100_000] {
        all.push(measure_sweep(members, REGIONS.len(), TEN_MINUTES));
    }
    out(&growth_table(&all).to_string());
}

fn bill(members: u64, out: &impl Fn(&str)) {
    let figures = measure_sweep(members, REGIONS.len(), FOUR_HOURS);
    out(&format!(
        "{members} members over {} regions, each for four hours:\n\n{}",
        REGIONS.len(),
        cost_table(&figures)
    ));
    out(&naive_words(&figures));
    out(NOT_COUNTED);
}

/// What a bill leaves out, so that nobody takes it for all there is.
const NOT_COUNTED: &str = "\
Counted: planning, launching, following and collecting. Not counted, since it is none of these or the same however many sweeps there are:
the reaper's watch (`cargo run -p fleets -- watch-cost`), cost checks, metrics, names, notices, and what CloudWatch keeps.
";

/// EC2 with its documented limits, no faults, and programs that all run for `run_ms`.
fn settings(run_ms: u64) -> Settings {
    Settings {
        ec2: crate::ec2::Settings::default(),
        latencies: Latencies::default(),
        life: MemberLife {
            boot: (2_000, 6_000),
            run: (run_ms, run_ms),
            fails: 0,
        },
        rates: Rates::default(),
        faults_until: START_MS,
        notes: false,
        reconcile: true,
        is_priced: false,
        account_budget: None,
        ignores_budgets: false,
    }
}

/// The regions that every account may use, in the order in which a measurement takes them.
pub(crate) const REGIONS: [&str; 10] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "sa-east-1",
];
