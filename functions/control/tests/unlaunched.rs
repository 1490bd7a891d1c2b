//! Members that are ended before they have an instance.

mod common;

use common::{LANE, NOW, asked, call, launched, living, outcomes, run, whole};
use serde_json::json;
use simulation::{Death, When, World, sweep};
use spawn_core::ending::EndCode;
use spawn_core::ledger;
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::ports::InstanceState;
use spawn_core::rows::{LaneRow, SweepRow, lane_key};
use spawn_core::state::{MemberState, SweepStatus};
use spawn_core::track;

/// A sweep of six members of which two run, and four wait for slots.
async fn waiting() -> World {
    let row = SweepRow {
        status: SweepStatus::Running,
        ..sweep(6, &[LANE], Some(2))
    };
    let world = World::new(&row).await;
    launched(&world).await;
    world
}

async fn states(world: &World) -> Vec<MemberState> {
    let members = world.members().await;
    members.iter().map(|member| member.state).collect()
}

#[tokio::test]
async fn a_member_that_waits_is_ended_and_never_launched() {
    let world = waiting().await;
    let input = whole(&world, &json!({"member": "1-3", "reason": "not wanted"}));
    let output = run(&world, "terminate", input.clone(), "a").await.unwrap();
    let groups = output["outcome"].as_array().unwrap();
    let told: Vec<(&str, &str)> = groups
        .iter()
        .map(|one| {
            (
                one["members"].as_str().unwrap(),
                one["because"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("1", ""), ("2-3", "it had no instance, and gets none")]
    );
    assert!(groups.iter().all(|one| one["outcome"] == "terminated"));
    let members = world.members().await;
    for member in &members[1..4] {
        assert_eq!(member.code, Some(EndCode::ReapedByRequest));
        let words = member.reason.as_deref().unwrap();
        assert!(words.contains("(not wanted)"), "{words}");
    }
    assert_eq!(world.violations().await, Vec::<String>::new());
    // Asked again by another execution: they had ended.
    let output = run(&world, "terminate", input, "b").await.unwrap();
    assert_eq!(outcomes(&output), ["had_ended 1", "had_ended 2-3"]);
    // The others are launched, in the slots that are free.
    assert_eq!(world.launch_first_batch().await.len(), 3);
    assert_eq!(
        states(&world).await,
        [
            MemberState::Launching,
            MemberState::Reaped,
            MemberState::Reaped,
            MemberState::Reaped,
            MemberState::Launching,
            MemberState::Planned
        ]
    );
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_of_which_nothing_is_left_to_launch_comes_to_its_end() {
    let world = waiting().await;
    let key = lane_key(&world.sweep_id, &world.sweep().await.lanes[0]);
    let before: LaneRow = ledger::require(&world.ledger, key.clone()).await.unwrap();
    let input = whole(&world, &json!({"member": "0-5"}));
    let output = run(&world, "terminate", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["terminated 0-1", "terminated 2-5"]);
    assert!(world.sweep().await.is_complete() && living(&world) == 0);
    let after: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    assert_eq!(before.pending - after.pending, 4);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_member_that_waits_for_another_try_is_not_tried_again() {
    let mut row = sweep(4, &[common::SPOT], None);
    row.status = SweepStatus::Running;
    row.retries.interruption = 1;
    let world = World::new(&row).await;
    let instances = launched(&world).await;
    let lost = Observation::State(
        InstanceState::Terminated,
        Some("Server.SpotInstanceTermination".to_owned()),
    );
    let seen: Vec<Sighting> = instances[..2]
        .iter()
        .map(|arn| Sighting::new(arn.clone(), lost.clone()))
        .collect();
    for arn in &instances[..2] {
        world.cloud.put(arn, InstanceState::Terminated, None);
    }
    track::apply(&world.ledger, &seen, NOW).await.unwrap();
    assert_eq!(world.sweep().await.retrying, 2);
    let input = whole(&world, &json!({"member": 0}));
    let output = run(&world, "terminate", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["terminated 0"]);
    let members = world.members().await;
    assert_eq!(members[0].code, Some(EndCode::ReapedByRequest));
    assert_eq!(members[0].tries.len(), 1);
    assert_eq!(members[1].state, MemberState::Planned);
    assert_eq!(world.sweep().await.retrying, 1);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_call_is_about_is_waited_for() {
    let row = SweepRow {
        status: SweepStatus::Running,
        ..sweep(2, &[LANE], None)
    };
    let world = World::new(&row).await;
    // The launcher died in its call: its attempt is open.
    world.faults.arm(Some(Death {
        call: 8,
        when: When::After,
    }));
    world.faults.run(world.launch_first_batch()).await;
    world.faults.arm(None);
    let asked = asked("terminate", &whole(&world, &json!({"member": 1})), "a");
    call(&world, json!({"check": asked}), NOW).await.unwrap();
    let lane = world.sweep().await.lanes[0].clone();
    let open: LaneRow = ledger::require(&world.ledger, lane_key(&world.sweep_id, &lane))
        .await
        .unwrap();
    assert!(!open.open_attempts.is_empty(), "no attempt is open");
    assert!(
        world.members().await[1].instance.is_none(),
        "it is recorded"
    );
    let act = json!({"act": {"asked": asked, "lane": LANE}});
    let answer = call(&world, act.clone(), NOW).await.unwrap();
    assert_eq!(
        (&answer["settled"], &answer["outcomes"][0]["outcome"]),
        (&json!(false), &json!("not_launched"))
    );
    assert_eq!(states(&world).await[1], MemberState::Planned);
}

#[tokio::test]
async fn a_control_that_died_anywhere_counts_every_member_once() {
    for death in 0..40 {
        for when in [When::Before, When::After] {
            let world = waiting().await;
            let input = whole(&world, &json!({"member": "1-3"}));
            world.faults.arm(Some(Death { call: death, when }));
            let dying = run(&world, "terminate", input.clone(), "a");
            world.faults.run(dying).await;
            world.faults.arm(None);
            assert_eq!(world.violations().await, Vec::<String>::new());
            let output = run(&world, "terminate", input, "a").await.unwrap();
            assert_eq!(
                outcomes(&output),
                ["terminated 1", "terminated 2-3"],
                "{death} {when:?}"
            );
            assert_eq!(world.violations().await, Vec::<String>::new());
        }
    }
}
