//! Controls that cost money: what they may cost is reserved before anything is done, or nothing is done.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{HOUR, LANE, NOW, SPOT, deadlines, outcomes, run, running_of, whole};
use serde_json::json;
use simulation::{COMMITMENT, World, sweep};
use spawn_core::budget::{BudgetRow, Period, PeriodRow, Scope, budget_pk};
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::{self, Key, Ledger as _, Stored as _, Versioned as _};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::money::MicroDollars;
use spawn_core::ports::InstanceState;
use spawn_core::rows::SweepRow;
use spawn_core::state::{MemberState, SweepStatus};
use spawn_core::track;

/// What ten hours more of an instance of the world cost at the most: machine, address, and 8 GiB in the shortest month.
const TEN_HOURS: i64 = 850_000 + 50_000 + 9_524;
/// What four instances are committed with when they are launched.
const LAUNCHED: i64 = 4 * COMMITMENT.0;

/// A sweep of four members with this budget.
fn budgeted(lane: &str, budget: Option<i64>) -> SweepRow {
    SweepRow {
        budget: budget.map(MicroDollars),
        ..sweep(4, &[lane], None)
    }
}

/// A sweep of four members that run, of whose owner a day has this budget.
async fn with_owners_day(lane: &str, limit: i64) -> World {
    let mut row = budgeted(lane, None);
    row.status = SweepStatus::Running;
    let world = World::new(&row).await;
    set_owners_day(&world, limit).await;
    common::launched(&world).await;
    world
}

async fn set_owners_day(world: &World, limit: i64) {
    let budget = BudgetRow {
        scope: Scope::Owner,
        name: "somebody".to_owned(),
        period: Period::Daily,
        limit: MicroDollars(limit),
        set_at: 0,
        version: 0,
    };
    let rows = vec![budget.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
}

async fn owners_day(world: &World) -> PeriodRow {
    let key = Key::new(budget_pk(Scope::Owner, "somebody"), Period::Daily.of(1_000));
    ledger::require(&world.ledger, key).await.unwrap()
}

async fn see(world: &World, arn: &InstanceArn, state: InstanceState, at: u64) {
    let seen = Sighting {
        since: Some(at),
        ..Sighting::new(arn.clone(), Observation::State(state, None))
    };
    track::apply(&world.ledger, &[seen], at).await.unwrap();
}

#[tokio::test]
async fn more_time_is_reserved_of_the_sweeps_budget_and_only_as_far_as_that_has_room() {
    let (world, _) = running_of(budgeted(LANE, Some(LAUNCHED + 2 * TEN_HOURS + 7))).await;
    let before = deadlines(&world).await;
    let input = whole(&world, &json!({"by": "10h"}));
    for _ in 0..2 {
        let output = run(&world, "extend", input.clone(), "a").await.unwrap();
        assert_eq!(outcomes(&output), ["extended 0-1", "no_room 2-3"]);
        let because = output["outcome"][1]["because"].as_str().unwrap();
        let words =
            "the budget of $9.819055 has no room for $0.909524 more: $9.819048 of it are charged";
        assert_eq!(because, words);
    }
    let more: Vec<u64> = deadlines(&world).await;
    let more: Vec<u64> = more
        .iter()
        .zip(&before)
        .map(|(now, was)| now - was)
        .collect();
    assert_eq!(more, [10 * HOUR, 10 * HOUR, 0, 0]);
    assert_eq!(world.sweep().await.charged, LAUNCHED + 2 * TEN_HOURS);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

/// What a minute costs at the most, each part rounded up.
const MINUTE: i64 = 1_417 + 84 + 16;

#[tokio::test]
async fn each_start_reserves_the_minute_that_it_is_billed_for_at_least() {
    let (world, instances) = running_of(budgeted(LANE, Some(LAUNCHED + 3 * MINUTE))).await;
    for arn in &instances {
        see(&world, arn, InstanceState::Running, 2_000).await;
    }
    let input = whole(&world, &json!({"member": "0-1"}));
    run(&world, "stop", input.clone(), "a").await.unwrap();
    for _ in 0..2 {
        let output = run(&world, "start", input.clone(), "b").await.unwrap();
        assert_eq!(outcomes(&output), ["running 0-1"]);
        let charged = world.sweep().await.charged - LAUNCHED;
        assert!(
            (2 * MINUTE - 4..=2 * MINUTE).contains(&charged),
            "{charged}"
        );
    }
    // There is room for one more.
    run(&world, "stop", input.clone(), "c").await.unwrap();
    let output = run(&world, "start", input, "d").await.unwrap();
    assert_eq!(outcomes(&output), ["running 0", "no_room 1"]);
    let because = output["outcome"][1]["because"].as_str().unwrap();
    assert!(because.contains("has no room for"), "{because}");
    assert_eq!(world.members().await[1].state, MemberState::Stopped);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn more_time_is_reserved_of_standing_budgets_that_the_launch_was_charged_to() {
    let world = with_owners_day(LANE, LAUNCHED + TEN_HOURS).await;
    let input = whole(&world, &json!({"by": "10h"}));
    let output = run(&world, "extend", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["extended 0", "no_room 1-3"]);
    let because = output["outcome"][1]["because"].as_str().unwrap();
    assert!(
        because.contains("the daily budget of owner somebody"),
        "{because}"
    );
    assert_eq!(owners_day(&world).await.charged, LAUNCHED + TEN_HOURS);
    assert_eq!(world.sweep().await.charged, LAUNCHED + TEN_HOURS);
    // A budget that is taken away limits nothing more, and its period still tells what it is charged with.
    let limit = Key::new(
        budget_pk(Scope::Owner, "somebody"),
        Period::Daily.to_string(),
    );
    let row: BudgetRow = ledger::require(&world.ledger, limit.clone()).await.unwrap();
    ledger::forget(&world.ledger, limit, row.version())
        .await
        .unwrap();
    let others = whole(&world, &json!({"member": "1-3", "by": "10h"}));
    let output = run(&world, "extend", others, "b").await.unwrap();
    assert_eq!(outcomes(&output), ["extended 1-3"]);
    assert_eq!(owners_day(&world).await.charged, LAUNCHED + 4 * TEN_HOURS);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_reserved_for_more_time_comes_back_when_the_instances_are_gone() {
    for (lane, day) in [(LANE, false), (SPOT, false), (LANE, true)] {
        let world = if day {
            with_owners_day(lane, 1_000_000_000).await
        } else {
            running_of(budgeted(lane, None)).await.0
        };
        let input = whole(&world, &json!({"by": "10h"}));
        for name in ["a", "b"] {
            run(&world, "extend", input.clone(), name).await.unwrap();
        }
        // Spot is reserved as on demand: it costs no more.
        assert_eq!(
            world.sweep().await.charged,
            LAUNCHED + 8 * TEN_HOURS,
            "{lane}"
        );
        assert_eq!(world.violations().await, Vec::<String>::new());
        // One after a minute, one after 20 of the 21 hours that it may live; the others at the very end.
        let members = world.members().await;
        for (member, hours) in members.iter().zip([0, 20, 21, 21]) {
            let arn = member.instance.clone().unwrap();
            see(&world, &arn, InstanceState::Running, 10_000).await;
            see(
                &world,
                &arn,
                InstanceState::Terminated,
                70_000 + hours * HOUR,
            )
            .await;
        }
        let sweep = world.sweep().await;
        assert!(sweep.billed > 0 && sweep.billed < LAUNCHED + 8 * TEN_HOURS);
        assert_eq!(sweep.charged, sweep.billed);
        if day {
            let period = owners_day(&world).await;
            assert_eq!(
                (period.charged, period.billed),
                (sweep.billed, sweep.billed)
            );
        }
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn without_a_price_nothing_is_extended_that_has_a_budget() {
    for budget in [None, Some(1_000_000_000)] {
        let (world, _) = running_of(budgeted(LANE, budget)).await;
        let mut member = world.members().await.remove(0);
        member.spent[0].hour = None;
        let rows = vec![member.row().unwrap()];
        world.ledger.put_all(rows).await.unwrap();
        let input = whole(&world, &json!({"member": 0, "by": "10h"}));
        let output = run(&world, "extend", input, "a").await.unwrap();
        let (outcome, part) = match budget {
            None => ("extended 0", None),
            Some(_) => ("no_room 0", Some("was not known when it was launched")),
        };
        assert_eq!(outcomes(&output), [outcome]);
        let because = output["outcome"][0]["because"].as_str();
        assert_eq!(because.is_some(), part.is_some());
        assert!(
            because
                .unwrap_or_default()
                .contains(part.unwrap_or_default())
        );
        assert_eq!(world.sweep().await.charged, LAUNCHED);
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn extensions_at_once_pass_no_budget_together() {
    let budget = LAUNCHED + 5 * TEN_HOURS;
    let (world, _) = running_of(budgeted(LANE, Some(budget))).await;
    let input = whole(&world, &json!({"by": "10h"}));
    let (a, b, c) = tokio::join!(
        run(&world, "extend", input.clone(), "a"),
        run(&world, "extend", input.clone(), "b"),
        run(&world, "extend", input, "c"),
    );
    for output in [a, b, c] {
        output.unwrap();
    }
    assert_eq!(world.sweep().await.charged, budget);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_member_is_not_replaced_when_no_budget_has_room_for_another_instance() {
    for (of_sweep, of_day) in [(Some(LAUNCHED), None), (None, Some(LAUNCHED))] {
        let mut row = budgeted(LANE, of_sweep);
        row.status = SweepStatus::Running;
        let world = World::new(&row).await;
        if let Some(limit) = of_day {
            set_owners_day(&world, limit).await;
        }
        let instances = common::launched(&world).await;
        let before = world.members().await;
        let member = whole(&world, &json!({"member": 1}));
        let output = run(&world, "replace", member, "a").await.unwrap();
        assert_eq!(outcomes(&output), ["no_room 1"]);
        // A minute at least is billed of the one that would be ended.
        let because = output["outcome"][0]["because"].as_str().unwrap();
        assert!(
            because.contains("has no room for $2.00 more: $6.00"),
            "{because}"
        );
        assert!(
            because.contains("once the present instance is gone"),
            "{because}"
        );
        assert_eq!(world.members().await[1].reaping, before[1].reaping);
        assert!(
            world
                .cloud
                .instances()
                .iter()
                .all(|one| !one.state.is_ending())
        );
        // When others have ended there is room, and a member that failed is planned again by the same rule.
        for arn in &instances[2..] {
            see(&world, arn, InstanceState::Running, 10_000).await;
            world.cloud.put(arn, InstanceState::Terminated, None);
            see(&world, arn, InstanceState::Terminated, 70_000).await;
        }
        let ended = world.members().await;
        let ended = ended.iter().find(|m| m.state.is_ended()).unwrap().index;
        for (member, name) in [(ended, "b"), (0, "c"), (1, "d")] {
            let input = whole(&world, &json!({"member": member}));
            let output = run(&world, "replace", input, name).await.unwrap();
            let expected = format!("replaced {member}");
            assert_eq!(outcomes(&output), [expected]);
        }
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_replacement_whose_sweep_is_drained_meanwhile_is_an_outcome_and_no_refusal() {
    let (world, _) = running_of(budgeted(LANE, None)).await;
    let input = whole(&world, &json!({"member": 1}));
    let asked = common::asked("replace", &input, "a");
    common::call(&world, json!({"check": asked}), NOW)
        .await
        .unwrap();
    let act = json!({"act": {"asked": asked, "lane": LANE}});
    let answer = common::call(&world, act.clone(), NOW).await.unwrap();
    assert_eq!(answer["settled"], false);
    let mut row = world.sweep().await;
    row.status = SweepStatus::Draining;
    let rows = vec![row.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    let answer = common::call(&world, act, NOW).await.unwrap();
    assert_eq!(answer["settled"], true);
    assert_eq!(answer["outcomes"][0]["outcome"], "not_replaced");
    let error = answer["outcomes"][0]["error"].as_str().unwrap();
    assert!(error.contains("draining"), "{error}");
}
