use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::SweepId;
use crate::metrics::Metric;
use crate::money::MicroDollars;
use crate::region::Region;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn totals(name: &str, numbers: [i64; 5], cost: i64) -> Totals {
    Totals {
        regions: BTreeMap::from([(region(name), Numbers::from(numbers))]),
        cost: MicroDollars(cost),
        committed: MicroDollars::ZERO,
        members: 10,
    }
}

fn row(sweep: &str, totals: Totals) -> RollupRow {
    RollupRow {
        sweep_id: SweepId::from(sweep),
        version: 0,
        seen: 1,
        changed_at: 0,
        is_launching: false,
        is_ended: false,
        totals,
        base: Totals::default(),
        is_kept: false,
        expires_at: None,
    }
}

fn value(pass: &PassRow, metric: Metric, scope: &Scope) -> i64 {
    let found: Vec<i64> = pass
        .data()
        .into_iter()
        .filter(|datum| datum.metric == metric && datum.scope == *scope)
        .map(|datum| datum.value)
        .collect();
    assert_eq!(found.len(), 1, "{metric:?} of {scope:?} is told once");
    found[0]
}

fn done(mut pass: PassRow) -> PassRow {
    pass.is_done = true;
    pass
}

#[test]
fn a_pass_tells_what_there_is_and_what_came_to_its_end_since_the_last() {
    let rows = [row("a", totals("us-east-1", [3, 1, 0, 0, 0], 500))];
    let first = next_pass(&done(PassRow::default()), &rows, 10).unwrap();
    let sweep = Scope::Sweep(SweepId::from("a"));
    assert_eq!(value(&first, Metric::ActiveInstances, &sweep), 3);
    assert_eq!(value(&first, Metric::CompletedInstances, &sweep), 1);
    assert_eq!(value(&first, Metric::CostUsd, &sweep), 500);

    let rows = [
        row("a", totals("us-east-1", [1, 2, 1, 0, 0], 800)),
        row("b", totals("us-west-2", [5, 0, 0, 2, 1], 100)),
    ];
    let second = next_pass(&done(first), &rows, 11).unwrap();
    assert_eq!(value(&second, Metric::ActiveInstances, &sweep), 1);
    assert_eq!(value(&second, Metric::CompletedInstances, &sweep), 1);
    assert_eq!(value(&second, Metric::FailedInstances, &sweep), 1);
    assert_eq!(value(&second, Metric::CostUsd, &sweep), 300);
    assert_eq!(value(&second, Metric::ActiveInstances, &Scope::Fleet), 6);
    assert_eq!(
        value(&second, Metric::InterruptedInstances, &Scope::Fleet),
        2
    );
    assert_eq!(value(&second, Metric::CostUsd, &Scope::Fleet), 400);
    assert_eq!(value(&second, Metric::LiveSweeps, &Scope::Fleet), 2);
    let west = Scope::Region(region("us-west-2"));
    assert_eq!(value(&second, Metric::ActiveInstances, &west), 5);
    assert_eq!(value(&second, Metric::ReapedInstances, &west), 1);
    assert!(second.data().iter().all(|datum| datum.at == 11 * 60_000));
}

#[test]
fn a_sweep_that_is_over_is_told_once_more_and_not_as_live() {
    let mut over = row("a", totals("us-east-1", [0, 4, 0, 0, 0], 900));
    over.is_ended = true;
    let rows = [over, row("b", totals("us-west-2", [5, 0, 0, 0, 0], 100))];
    let pass = next_pass(&done(PassRow::default()), &rows, 10).unwrap();
    assert_eq!(value(&pass, Metric::LiveSweeps, &Scope::Fleet), 1);
    assert_eq!(value(&pass, Metric::CompletedInstances, &Scope::Fleet), 4);
}

#[test]
fn a_minute_has_one_pass_and_none_follows_one_that_is_not_done() {
    let rows = [row("a", totals("us-east-1", [3, 0, 0, 0, 0], 0))];
    let first = next_pass(&done(PassRow::default()), &rows, 10).unwrap();
    assert_eq!(next_pass(&first, &rows, 11), None);
    let first = done(first);
    assert_eq!(next_pass(&first, &rows, 10), None);
    assert_eq!(next_pass(&first, &rows, 9), None);
    assert!(next_pass(&first, &rows, 11).is_some());
    assert!(!first.can_be_looked_up(11) && first.can_be_looked_up(12));
}

#[test]
fn a_sweep_that_is_resumed_counts_on_from_where_it_ended() {
    let mut resumed = row("a", totals("us-east-1", [1, 5, 0, 0, 0], 900));
    resumed.base = totals("us-east-1", [0, 4, 1, 0, 0], 700);
    let pass = next_pass(&done(PassRow::default()), &[resumed], 10).unwrap();
    let sweep = Scope::Sweep(SweepId::from("a"));
    assert_eq!(value(&pass, Metric::CompletedInstances, &sweep), 1);
    // The failed member was tried again.
    assert_eq!(value(&pass, Metric::FailedInstances, &sweep), -1);
    assert_eq!(value(&pass, Metric::CostUsd, &sweep), 200);
}

#[test]
fn the_cost_of_a_sweep_that_is_over_is_its_bills() {
    let sweep = |status: &str| -> crate::rows::SweepRow {
        serde_json::from_value(serde_json::json!({
            "sweep_id": "a", "name": "s", "owner": "ann", "project": "ml", "status": status, "version": 1,
            "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:x", "started_at": 1,
            "planner_until": 0, "members": 1, "shards": 1, "lanes": [], "counts": crate::state::Counts::planned(1), "live": 0,
            "live_in": {}, "ended_in": {}, "charged": 127, "billed": 127, "results_bucket": "r", "topics": [],
            "cost": crate::rows::CostSoFar { accrued: MicroDollars(4_062), ..Default::default() },
        }))
        .unwrap()
    };
    // Spot that was looked at after a minute, and which EC2 took back in its first hour: only its volume is billed.
    let id = Scope::Sweep(SweepId::from("a"));
    let running = merge(&sweep("running"), 1, None, None).unwrap();
    let first = next_pass(
        &done(PassRow::default()),
        std::slice::from_ref(&running),
        10,
    )
    .unwrap();
    assert_eq!(value(&first, Metric::CostUsd, &id), 4_062);
    let mut over = sweep("completed");
    over.version = 2;
    let over = merge(&over, 2, Some(running), None).unwrap();
    let second = next_pass(&done(first), &[over], 11).unwrap();
    assert_eq!(value(&second, Metric::CostUsd, &id), 127 - 4_062);
}

#[test]
fn more_live_sweeps_than_a_row_holds_are_told_to_be_left_out() {
    let many: Vec<RollupRow> = (0..6000)
        .map(|n| {
            row(
                &format!("sweep-{n:05}"),
                totals("us-east-1", [1, 1, 1, 1, 1], 1),
            )
        })
        .collect();
    let first = next_pass(&done(PassRow::default()), &many, 10).unwrap();
    assert!(first.left_out > 0 && first.current.len() > 1000);
    assert_eq!(first.current.len() + first.left_out, many.len());
    assert!(serde_json::to_string(&first).unwrap().len() < 400_000);
    // The same sweeps are told again.
    let second = next_pass(&done(first.clone()), &many, 11).unwrap();
    assert!(
        first
            .current
            .keys()
            .all(|sweep| second.current.contains_key(sweep))
    );
}

#[test]
fn a_thousand_sweeps_in_four_regions_fit_though_all_change() {
    let regions = ["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1"];
    let numbers = |by: i64| Totals {
        regions: regions
            .iter()
            .map(|name| (region(name), Numbers::from([100 + by, 1000, 10, 10, 10])))
            .collect(),
        cost: MicroDollars(1_000_000_000 + by),
        committed: MicroDollars(1_000_000_000),
        members: 10_000,
    };
    let rows = |by| -> Vec<RollupRow> {
        (0..1000)
            .map(|n| row(&format!("hyperparam-20260122-{n:06}"), numbers(by)))
            .collect()
    };
    let first = done(next_pass(&done(PassRow::default()), &rows(0), 10).unwrap());
    let second = next_pass(&first, &rows(1), 11).unwrap();
    assert_eq!(second.left_out, 0);
}

#[test]
fn the_worst_sweep_is_told_because_alarms_have_no_wildcard() {
    let rows = [
        row("a", totals("us-east-1", [0, 4, 1, 1, 0], 900)),
        row("b", totals("us-east-1", [0, 9, 0, 0, 0], 200)),
    ];
    let pass = next_pass(&done(PassRow::default()), &rows, 10).unwrap();
    assert_eq!(value(&pass, Metric::MaxFailedPercent, &Scope::Fleet), 20);
    assert_eq!(value(&pass, Metric::MaxSweepCostUsd, &Scope::Fleet), 900);
}

#[test]
fn a_sweep_that_should_launch_and_does_not_change_is_stuck() {
    let mut launching = row("a", totals("us-east-1", [0, 0, 0, 0, 0], 0));
    launching.is_launching = true;
    launching.changed_at = 10 * 60_000;
    let waiting = row("b", totals("us-east-1", [1, 0, 0, 0, 0], 0));
    let rows = [launching, waiting];
    let stuck = |minute| {
        let pass = next_pass(&done(PassRow::default()), &rows, minute).unwrap();
        value(&pass, Metric::StuckSweeps, &Scope::Fleet)
    };
    assert_eq!((stuck(25), stuck(26)), (0, 1));
}

/// The numbers of a sweep at each of its versions.
fn history() -> impl Strategy<Value = Vec<[i64; 5]>> {
    proptest::collection::vec(
        (0_i64..50, 0_i64..3, 0_i64..3, 0_i64..3, 0_i64..3)
            .prop_map(|(a, c, f, i, r)| [a, c, f, i, r]),
        1..20,
    )
    .prop_map(|steps| {
        let mut so_far = [0; 5];
        steps
            .into_iter()
            .map(|step| {
                so_far[0] = step[0];
                for (total, grown) in so_far.iter_mut().zip(step).skip(1) {
                    *total += grown;
                }
                so_far
            })
            .collect()
    })
}

proptest! {
    /// However versions repeat and come late between passes, what was told adds up to the last totals.
    #[test]
    fn what_passes_tell_adds_up_to_the_last_totals(
        history in history(),
        order in proptest::collection::vec((0_usize..20, any::<bool>()), 1..60),
    ) {
        let sweep = SweepId::from("a");
        let mut row: Option<RollupRow> = None;
        let mut pass = done(PassRow::default());
        let mut told = 0;
        let mut minute = 1;
        let last = history.len() - 1;
        let order = order.into_iter().chain([(last, true)]);
        for (version, passes) in order {
            let version = version.min(last);
            let seen = u64::try_from(version).unwrap() + 1;
            if row.as_ref().is_none_or(|row| row.seen < seen) {
                let fresh = totals("us-east-1", history[version], 0);
                row = Some(RollupRow { seen, totals: fresh, ..self::row("a", Totals::default()) });
            }
            if passes {
                minute += 1;
                let rows: Vec<RollupRow> = row.iter().cloned().collect();
                pass = next_pass(&pass, &rows, minute).unwrap();
                told += value(&pass, Metric::CompletedInstances, &Scope::Sweep(sweep.clone()));
                pass.is_done = true;
            }
        }
        prop_assert_eq!(told, history[last][1]);
    }
}

/// US dollars of a metric for a month: of the first 10,000, and of the next 240,000 (Amazon CloudWatch Pricing, us-east-1).
const FIRST_MICRODOLLARS: u64 = 300_000;
const NEXT_MICRODOLLARS: u64 = 100_000;
/// US dollars of a PutMetricData call (the same).
const CALL_MICRODOLLARS: u64 = 10;
const MONTH_HOURS: u64 = 730;
/// Metrics that functions publish by region, beside those without dimensions: launch-batch six, idle-reaper three.
const OF_FUNCTIONS_BY_REGION: usize = 9;

/// What the metrics of a month cost when so many sweeps live for so many hours each, in three regions: a row of the guide.
fn row_of_guide(what: &str, sweeps: usize, hours: u64) -> String {
    let everywhere = Totals {
        regions: ["us-east-1", "us-west-2", "eu-west-1"]
            .map(|name| (region(name), Numbers::from([3, 1, 0, 0, 0])))
            .into(),
        ..totals("us-east-1", [0; 5], 500)
    };
    let pass = |live: usize| {
        let rows: Vec<RollupRow> = (0..live)
            .map(|sweep| {
                row(
                    &format!("sweep-{sweep}-20260122-abcdef"),
                    everywhere.clone(),
                )
            })
            .collect();
        next_pass(&done(PassRow::default()), &rows, 10).unwrap()
    };
    let (none, one) = (pass(0).data(), pass(1).data());
    let of_a_sweep = one
        .iter()
        .filter(|datum| matches!(datum.scope, Scope::Sweep(_)))
        .count();
    let told: std::collections::BTreeSet<Metric> = none.iter().map(|datum| datum.metric).collect();
    let of_functions = Metric::ALL.len() - told.len()
        + 3 * OF_FUNCTIONS_BY_REGION
        + crate::reap::ReapReason::ALL.len();
    let shared = one.len() - of_a_sweep + of_functions;
    // Metrics are paid by the hour in which they are sent.
    let metric_hours = (sweeps * of_a_sweep) as u64 * hours + shared as u64 * MONTH_HOURS;
    let first = metric_hours.min(10_000 * MONTH_HOURS);
    let month =
        (first * FIRST_MICRODOLLARS + (metric_hours - first) * NEXT_MICRODOLLARS) / MONTH_HOURS;
    let live = usize::try_from((sweeps as u64 * hours).div_ceil(MONTH_HOURS)).unwrap();
    assert_eq!(pass(live).left_out, 0);
    let calls = pass(live).data().len().div_ceil(DATA_MAX) as u64 * 60 * MONTH_HOURS;
    let dollars = |micros: u64| format!("${:.2}", micros as f64 / 1e6);
    format!(
        "| {what} | {of_a_sweep} each, for its life | {shared} | {} | {} |",
        dollars(month),
        dollars(calls * CALL_MICRODOLLARS)
    )
}

#[test]
fn the_guide_says_what_metrics_cost() {
    let guide = include_str!("../../../../docs/guides/monitoring.md");
    for row in [
        row_of_guide("10 sweeps a month of 8 hours", 10, 8),
        row_of_guide("1,000 sweeps a month of 8 hours", 1_000, 8),
        row_of_guide("10 sweeps that live all month", 10, MONTH_HOURS),
        row_of_guide("1,000 sweeps that live all month", 1_000, MONTH_HOURS),
    ] {
        assert!(
            guide.contains(&row),
            "docs/guides/monitoring.md lacks\n{row}"
        );
    }
}
