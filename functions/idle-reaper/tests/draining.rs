//! Draining: nothing is left, whatever was under way.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use idle_reaper::{Input, Ports, handle};
use launch_batch::Next;
use serde_json::{Value, json};
use simulation::{Death, When, World, lane, sweep};
use spawn_core::ledger::Stored as _;
use spawn_core::reap::breaker::Limit;
use spawn_core::state::{MemberState, SweepStatus};

const LANE: &str = "us-east-1.on-demand";

async fn reaper(world: &World, input: Value, now: u64) -> Value {
    let input: Input = serde_json::from_value(input).unwrap();
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
        limit: Limit::default(),
        home: "us-east-1".parse().unwrap(),
        measure: &|_, _| (),
    };
    handle(input, &ports, now).await.unwrap()
}

async fn launch(world: &World, now: u64) -> Next {
    world.clock.set(now);
    let ports = launch_batch::Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        clock: &world.clock,
        home: &world.home,
        limits: spawn_core::limits::Sizes::default(),
        publish: &|_, _| {},
    };
    let input = launch_batch::Input {
        sweep_id: world.sweep_id.clone(),
        lane: lane(LANE),
        execution_arn: None,
    };
    let process = launch_batch::handle(input, &ports, 1);
    let output = world.clock.drive(&world.faults, process).await;
    output.unwrap().next
}

async fn drain(world: &World, mut now: u64) {
    let id = world.sweep_id.to_string();
    let request = json!({"drain": {"sweep_id": id, "status": "cancelled", "reason": "test"}});
    let drained = reaper(world, request, now).await;
    assert_eq!(
        drained,
        json!({"known": true, "sweep_id": id, "lanes": [LANE]})
    );
    for _ in 0..500 {
        let request = json!({"reap_lane": {"sweep_id": id, "lane": LANE}});
        let reaped = reaper(world, request, now).await;
        if reaped["live"] == 0 {
            return;
        }
        now += reaped["wait_s"].as_u64().unwrap() * 1000;
    }
    panic!("the lane never came to its end");
}

async fn assert_nothing_lives(world: &World) {
    let living: Vec<_> = world
        .cloud
        .instances()
        .into_iter()
        .filter(|i| !i.state.is_ending())
        .collect();
    assert_eq!(living, []);
    assert_eq!(world.sweep().await.live, 0);
}

#[tokio::test]
async fn a_drained_sweep_launches_no_more_and_nothing_of_it_lives() {
    let world = World::new(&sweep(150, &[LANE], Some(100))).await;
    launch(&world, 1_000).await;
    assert_eq!(world.cloud.instances().len(), 100);
    drain(&world, 2_000).await;
    assert_nothing_lives(&world).await;
    assert_eq!(launch(&world, 3_000).await, Next::Done);
    assert_eq!(world.violations().await, Vec::<String>::new());
    let sweep = world.sweep().await;
    assert_eq!(sweep.counts.of(MemberState::Reaped), 100);
    assert_eq!(sweep.counts.of(MemberState::Planned), 50);
    assert_eq!(sweep.status, SweepStatus::Draining);
}

/// A launcher dies at any call, the sweep is cancelled at once: whatever it launched is gone, and the slots are free.
#[tokio::test]
async fn a_launch_that_died_anywhere_leaves_nothing_after_the_drain() {
    for call in 0..20 {
        for when in [When::Before, When::After] {
            let world = World::new(&sweep(60, &[LANE], Some(60))).await;
            world.faults.arm(Some(Death { call, when }));
            world.faults.run(launch(&world, 1_000)).await;
            world.faults.arm(None);
            drain(&world, 2_000).await;
            assert_nothing_lives(&world).await;
        }
    }
}

#[tokio::test]
async fn draining_twice_changes_nothing_and_the_first_reason_stays() {
    let world = World::new(&sweep(5, &[LANE], None)).await;
    launch(&world, 1_000).await;
    drain(&world, 2_000).await;
    let again =
        json!({"drain": {"sweep_id": world.sweep_id, "status": "failed", "reason": "later"}});
    reaper(&world, again, 3_000).await;
    let drain = world.sweep().await.drain.unwrap();
    assert_eq!(
        (drain.status, drain.reason.as_str()),
        (SweepStatus::Cancelled, "test")
    );
}

#[tokio::test]
async fn an_execution_that_planned_nothing_is_unknown_and_marked() {
    let world = World::new(&sweep(1, &[LANE], None)).await;
    let request = json!({"drain": {"execution_arn": "arn:other", "status": "cancelled", "reason": "aborted"}});
    for _ in 0..2 {
        let answer = reaper(&world, request.clone(), 1).await;
        assert_eq!(
            answer,
            json!({"known": false, "sweep_id": null, "lanes": []})
        );
    }
}

/// The planner died after its first write: the sweep is there, its lanes and members are not.
#[tokio::test]
async fn a_drain_that_is_late_leaves_a_sweep_that_was_resumed() {
    let world = World::new(&sweep(2, &[LANE], None)).await;
    let before = world.sweep().await;
    let request = |arn: &str| {
        json!({"drain": {
            "sweep_id": world.sweep_id, "execution_arn": arn, "status": "failed", "reason": "test",
        }})
    };
    let late = reaper(&world, request("arn:of:the:execution:before"), 1_000).await;
    assert_eq!(late, json!({"known": false, "sweep_id": null, "lanes": []}));
    assert_eq!(world.sweep().await, before);
    let own = reaper(&world, request(&before.execution_arn), 2_000).await;
    assert_eq!(own["lanes"], json!([LANE]));
    assert_eq!(world.sweep().await.status, SweepStatus::Draining);
}

#[tokio::test]
async fn a_half_planned_sweep_drains_too() {
    let mut row = sweep(5, &[LANE], None);
    row.status = SweepStatus::Planning;
    let world = World::of_rows(&row, vec![row.row()]).await;
    drain(&world, 1_000).await;
    assert!(world.sweep().await.is_over());
}

#[tokio::test]
async fn a_sweep_that_is_not_draining_is_never_reaped() {
    let world = World::new(&sweep(5, &[LANE], None)).await;
    launch(&world, 1_000).await;
    let input = json!({"reap_lane": {"sweep_id": world.sweep_id, "lane": LANE}});
    let input: Input = serde_json::from_value(input).unwrap();
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
        limit: Limit::default(),
        home: "us-east-1".parse().unwrap(),
        measure: &|_, _| (),
    };
    assert!(handle(input, &ports, 2_000).await.is_err());
    assert!(world.cloud.instances().iter().all(|i| !i.state.is_ending()));
}

#[tokio::test]
async fn lanes_that_wait_for_a_slot_are_woken_by_the_drain() {
    let world = World::new(&sweep(5, &[LANE], Some(1))).await;
    let waiting = track_instances::Input::parse(&json!({"register": {
        "kind": "slot", "sweep_id": world.sweep_id, "lane": LANE, "task_token": "slot"}}));
    launch(&world, 1_000).await;
    let ports = track_instances::Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
        measure: &|_| (),
    };
    track_instances::handle(waiting.unwrap(), &ports, 1_500)
        .await
        .unwrap();
    assert!(world.executions.woken().is_empty());
    drain(&world, 2_000).await;
    assert_eq!(world.executions.woken(), ["slot"]);
}
