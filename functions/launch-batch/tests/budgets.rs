//! Budgets are reserved before launches, by whoever launches at the same moment, and never passed.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use launch_batch::{Next, Output};
use simulation::{COMMITMENT, World, lane, sweep};
use spawn_core::budget::{BudgetRow, Period, PeriodRow, Room, Scope, budget_pk, room, standing};
use spawn_core::ending::EndCode;
use spawn_core::launch::{self, Chosen};
use spawn_core::ledger::{self, Key, Ledger as _, LedgerError, Stored as _};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::money::MicroDollars;
use spawn_core::ports::{Ec2Error, InstanceState};
use spawn_core::rows::{AttemptCosts, BatchRow, LaneRow, batch_key, lane_key};
use spawn_core::state::MemberState;
use spawn_core::track::{self, Waiting, WaitingFor};

const LANE: &str = "us-east-1.on-demand";

fn dollars(dollars: i64) -> MicroDollars {
    MicroDollars(dollars * 1_000_000)
}

async fn step(world: &World, now: u64) -> Output {
    world.clock.set(now);
    common::step_of(world, LANE, 7).await
}

async fn world(members: u32, budget: Option<MicroDollars>) -> World {
    let mut row = sweep(members, &[LANE], None);
    row.budget = budget;
    World::new(&row).await
}

/// Puts a daily budget of the sweep's owner.
async fn owners_day(world: &World, limit: MicroDollars) {
    let budget = BudgetRow {
        scope: Scope::Owner,
        name: "somebody".to_owned(),
        period: Period::Daily,
        limit,
        set_at: 0,
        version: 0,
    };
    world
        .ledger
        .put_all(vec![budget.row().unwrap()])
        .await
        .unwrap();
}

/// The budget that the lane waits for, as its row says.
async fn waits_for(world: &World) -> Option<String> {
    let key = lane_key(&world.sweep_id, &lane(LANE));
    let row: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    row.waits_for
}

/// Has the first member seen running, then terminated, at the times EC2 gives for both.
async fn first_ran(world: &World, from: u64, to: u64) {
    let instance = world.members().await.remove(0).instance.unwrap();
    for (state, now) in [
        (InstanceState::Running, from),
        (InstanceState::Terminated, to),
    ] {
        let seen = Sighting {
            since: Some(now),
            ..Sighting::new(instance.clone(), Observation::State(state, None))
        };
        track::apply(&world.ledger, &[seen], now).await.unwrap();
    }
}

async fn day(world: &World) -> PeriodRow {
    let key = Key::new(budget_pk(Scope::Owner, "somebody"), Period::Daily.of(1_000));
    ledger::require(&world.ledger, key).await.unwrap()
}

#[tokio::test]
async fn as_many_are_launched_as_the_budget_has_room_for_and_the_rest_wait_for_what_comes_back() {
    let world = world(10, Some(dollars(7))).await;
    assert_eq!(step(&world, 1_000).await.launched, 3);
    let output = step(&world, 2_000).await;
    assert_eq!((output.next, output.launched), (Next::Slot, 0));
    assert_eq!(output.charged_at_most, Some(5_000_000));
    assert_eq!(world.sweep().await.charged, 6_000_000);
    let words = "the budget of $7.00 has no room for more";
    assert_eq!(waits_for(&world).await.as_deref(), Some(words));
    // One ends after an hour: it has cost $0.0908 of its two dollars, so one more has room.
    first_ran(&world, 1_000, 3_601_000).await;
    let sweep = world.sweep().await;
    // An hour of c5.large, the address, and 8 GiB of January 1970 from the launch on.
    assert!((90_800..91_000).contains(&sweep.billed), "{}", sweep.billed);
    assert_eq!(sweep.charged, 4_000_000 + sweep.billed);
    assert_eq!(step(&world, 3_700_000).await.launched, 1);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_lane_waits_for_is_forgotten_when_it_launches() {
    let world = world(2, Some(dollars(3))).await;
    assert_eq!(step(&world, 1_000).await.launched, 1);
    step(&world, 2_000).await;
    assert!(waits_for(&world).await.is_some());
    let arn = world.members().await.remove(0).instance.unwrap();
    let gone = Observation::State(InstanceState::Terminated, None);
    track::apply(&world.ledger, &[Sighting::new(arn, gone)], 60_000)
        .await
        .unwrap();
    assert_eq!(step(&world, 61_000).await.launched, 1);
    assert_eq!(waits_for(&world).await, None);
}

/// What is billed never comes back: a lane that waits for it would wait until its state times out.
#[tokio::test]
async fn a_lane_is_woken_when_a_budget_is_spent_for_good_and_says_so() {
    let world = world(2, Some(MicroDollars(2_050_000))).await;
    assert_eq!(step(&world, 1_000).await.launched, 1);
    let output = step(&world, 2_000).await;
    assert_eq!(output.charged_at_most, Some(50_000));
    let waiting = Waiting {
        kind: WaitingFor::Slot(lane(LANE), output.charged_at_most),
        task_token: "token".to_owned(),
        execution_arn: None,
    };
    let (ledger, executions) = (&world.ledger, &world.executions);
    track::register(ledger, executions, &world.sweep_id, waiting, 3_000)
        .await
        .unwrap();
    first_ran(&world, 4_000, 3_601_000).await;
    assert!(world.sweep().await.billed > 50_000);
    track::wake(ledger, executions, &world.sweep_id)
        .await
        .unwrap();
    assert_eq!(world.executions.woken(), ["token"]);
    for now in [3_602_000, 3_603_000] {
        step(&world, now).await;
    }
    let last = world.members().await.remove(1);
    assert_eq!(last.code, Some(EndCode::LaunchFailed));
    assert!(last.reason.unwrap().contains("the budget of $2.05"));
}

#[tokio::test]
async fn a_lane_without_room_is_woken_by_what_comes_back_whichever_comes_first() {
    for registers_first in [true, false] {
        let world = world(10, Some(dollars(7))).await;
        step(&world, 1_000).await;
        let output = step(&world, 2_000).await;
        let register = || {
            let waiting = Waiting {
                kind: WaitingFor::Slot(lane(LANE), output.charged_at_most),
                task_token: "token".to_owned(),
                execution_arn: None,
            };
            let (ledger, executions) = (&world.ledger, &world.executions);
            track::register(ledger, executions, &world.sweep_id, waiting, 3_000)
        };
        if registers_first {
            register().await.unwrap();
            assert_eq!(world.executions.woken(), Vec::<String>::new());
        }
        let member = world.members().await.remove(0);
        let seen = Observation::State(InstanceState::Terminated, None);
        let seen = Sighting::new(member.instance.unwrap(), seen);
        track::apply(&world.ledger, &[seen], 60_000).await.unwrap();
        if registers_first {
            track::wake(&world.ledger, &world.executions, &world.sweep_id)
                .await
                .unwrap();
        } else {
            register().await.unwrap();
        }
        assert_eq!(world.executions.woken(), ["token"]);
        assert_eq!(step(&world, 61_000).await.launched, 1);
    }
}

#[tokio::test]
async fn members_that_never_fit_are_told_with_the_reason() {
    let world = world(2, Some(dollars(1))).await;
    let mut now = 1_000;
    while step(&world, now).await.next != Next::Done {
        now += 1_000;
    }
    for member in world.members().await {
        assert_eq!(member.state, MemberState::Failed);
        let reason = member.reason.unwrap();
        assert!(
            reason.contains("the budget of $1.00 has no room for an instance that may cost $2.00"),
            "{reason}"
        );
    }
    assert!(world.cloud.instances().is_empty());
}

/// A standing budget that came after the plan: what is missing is named, with what to do.
#[tokio::test]
async fn a_price_that_is_missing_is_named_by_type_and_region() {
    let world = world(1, None).await;
    owners_day(&world, dollars(100)).await;
    let key = lane_key(&world.sweep_id, &lane(LANE));
    let mut row: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    row.prices.commitments = vec![None];
    row.prices.types.clear();
    world
        .ledger
        .put_all(vec![row.row().unwrap()])
        .await
        .unwrap();
    let mut now = 1_000;
    while step(&world, now).await.next != Next::Done {
        now += 1_000;
    }
    let reason = world.members().await.remove(0).reason.unwrap();
    let words = "the price of an hour of c5.large on demand";
    assert!(
        reason.contains(words) && reason.contains("in us-east-1") && reason.contains("PriceBook"),
        "{reason}"
    );
}

#[tokio::test]
async fn what_ec2_did_not_launch_is_given_back() {
    let world = world(10, Some(dollars(20))).await;
    owners_day(&world, dollars(100)).await;
    world
        .cloud
        .fail_next([Ec2Error::NoCapacity("none".to_owned())]);
    step(&world, 1_000).await;
    assert_eq!(world.sweep().await.charged, 0);
    assert_eq!(day(&world).await.charged, 0);
}

#[tokio::test]
async fn a_standing_budget_of_the_owner_holds_beside_that_of_the_sweep() {
    let world = world(10, Some(dollars(100))).await;
    owners_day(&world, dollars(5)).await;
    assert_eq!(step(&world, 1_000).await.launched, 2);
    assert_eq!(step(&world, 2_000).await.next, Next::Wait);
    assert_eq!(day(&world).await.charged, 4_000_000);
    let sightings: Vec<_> = world
        .members()
        .await
        .into_iter()
        .filter_map(|member| member.instance)
        .map(|arn| Sighting::new(arn, Observation::State(InstanceState::Terminated, None)))
        .collect();
    track::apply(&world.ledger, &sightings, 60_000)
        .await
        .unwrap();
    let day = day(&world).await;
    let sweep = world.sweep().await;
    assert_eq!((day.charged, day.billed), (sweep.billed, sweep.billed));
    assert!(day.billed > 0 && day.billed < 4_000_000);
}

/// Fifty lanes read the same ledger before any of them writes, again and again: however they interleave, what is charged
/// never passes the budget, and all of it that fits is used.
#[tokio::test]
async fn fifty_lanes_on_one_budget_never_pass_it() {
    let budget = dollars(75);
    let mut row = sweep(100, &[LANE], None);
    row.budget = Some(budget);
    let world = World::new(&row).await;
    owners_day(&world, dollars(1000)).await;
    let (mut launched, mut refused) = (0, 0);
    loop {
        let sweep = world.sweep().await;
        let lane_row: LaneRow =
            ledger::require(&world.ledger, lane_key(&world.sweep_id, &lane(LANE)))
                .await
                .unwrap();
        let batch: BatchRow =
            ledger::require(&world.ledger, batch_key(&world.sweep_id, &lane(LANE), 0))
                .await
                .unwrap();
        let standing = standing(&world.ledger, &sweep, &lane(LANE), 1_000)
            .await
            .unwrap();
        let Room::For(count) = room(&sweep, &standing, Some(COMMITMENT), 2) else {
            break;
        };
        let mut attempts = Vec::new();
        for number in 0..50 {
            // Each its own lane: what they share is the sweep's row and the owner's day.
            let mut own = lane_row.clone();
            own.lane = format!(
                "us-east-1.{}",
                if number % 2 == 0 { "spot" } else { "on-demand" }
            )
            .parse()
            .unwrap();
            let mut own_batch = batch.clone();
            own_batch.batch = 1_000 + number + launched;
            let step = launch::ladder(&own, 0, &own.shapes[0]).remove(0);
            let chosen = Chosen {
                rung: launch::rung(&step, &own.shapes[0]),
                batch: own_batch,
                count,
                at: own.lane.clone(),
                step: 0,
                send_at: 1_000,
                costs: AttemptCosts::of(&own, 0, &standing),
                standing: standing.clone(),
            };
            attempts.push(launch::begin(&sweep, &own, &[chosen], 1_000).unwrap());
        }
        for (_, writes) in attempts {
            // The rows that all share are contended for; the lanes' own are not part of the race.
            let shared: Vec<_> = writes
                .into_iter()
                .filter(|write| {
                    let pk = &write.key().pk;
                    pk.starts_with("BUDGET#") || write.key().sk == "META"
                })
                .collect();
            match world.ledger.commit(shared).await {
                Ok(()) => launched += count,
                Err(LedgerError::Condition { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            let sweep = world.sweep().await;
            assert!(
                sweep.charged <= budget.0,
                "{} passes {budget}",
                sweep.charged
            );
        }
    }
    assert_eq!(
        launched, 37,
        "37 times two dollars are what 75 have room for"
    );
    assert!(refused > 0);
    assert_eq!(day(&world).await.charged, 74_000_000);
}
