//! Instances that are started again take slots as launches do.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{LANE, launched, outcomes, run, whole};
use serde_json::json;
use simulation::{Death, When, World, sweep};
use spawn_core::ledger::{Ledger as _, Stored as _};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::ports::InstanceState;
use spawn_core::rows::SweepRow;
use spawn_core::state::{MemberState, SweepStatus};
use spawn_core::track;

/// A sweep of four members of which so many run at a time, and those that do.
async fn limited(at_once: u32, in_region: bool) -> World {
    let mut row = SweepRow {
        status: SweepStatus::Running,
        ..sweep(4, &[LANE], Some(4))
    };
    if in_region {
        row.max_concurrent = None;
        row.max_concurrent_per_region = Some(4);
    }
    let world = World::new(&row).await;
    launched(&world).await;
    let mut row = world.sweep().await;
    if in_region {
        row.max_concurrent_per_region = Some(at_once);
    } else {
        row.max_concurrent = Some(at_once);
    }
    let rows = vec![row.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    world
}

fn running(world: &World) -> usize {
    let instances = world.cloud.instances();
    let runs = |state| state == InstanceState::Running;
    instances.iter().filter(|one| runs(one.state)).count()
}

#[tokio::test]
async fn a_start_passes_no_limit_of_instances_at_a_time() {
    for in_region in [false, true] {
        let world = limited(3, in_region).await;
        let input = whole(&world, &json!({"member": "0-3"}));
        run(&world, "stop", input.clone(), "a").await.unwrap();
        assert_eq!(world.sweep().await.live, 0);
        for name in ["b", "c"] {
            let output = run(&world, "start", input.clone(), name).await.unwrap();
            assert_eq!(outcomes(&output), ["running 0-2", "no_slot 3"]);
            let because = output["outcome"][1]["because"].as_str().unwrap();
            assert!(because.contains("max_concurrent"), "{because}");
            assert_eq!((world.sweep().await.live, running(&world)), (3, 3));
            assert_eq!(world.violations().await, Vec::<String>::new());
        }
        // Another one ends, and its slot is free.
        let end = whole(&world, &json!({"member": 0}));
        run(&world, "terminate", end, "d").await.unwrap();
        let last = whole(&world, &json!({"member": 3}));
        let output = run(&world, "start", last, "e").await.unwrap();
        assert_eq!(outcomes(&output), ["running 3"]);
        assert_eq!(world.sweep().await.live, 3);
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_not_started_after_all_leaves_its_slot_to_others() {
    let world = limited(2, false).await;
    let input = whole(&world, &json!({"member": "0-3"}));
    run(&world, "stop", input.clone(), "a").await.unwrap();
    let dry = world.members().await.remove(0).instance.unwrap();
    world.cloud.run_dry(&dry);
    let output = run(&world, "start", input, "b").await.unwrap();
    assert_eq!(
        outcomes(&output),
        ["running 1-2", "no_capacity 0", "no_slot 3"]
    );
    assert_eq!((world.sweep().await.live, running(&world)), (2, 2));
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_that_is_started_starts_what_was_stopped_before_it_launches_more() {
    let row = SweepRow {
        status: SweepStatus::Running,
        ..sweep(6, &[LANE], Some(4))
    };
    let world = World::new(&row).await;
    launched(&world).await;
    let input = whole(&world, &json!({}));
    run(&world, "stop", input.clone(), "a").await.unwrap();
    common::check(&world, "start", json!({}), "b").await;
    let sweep = world.sweep().await;
    assert!(sweep.may_launch());
    assert_eq!(sweep.live, 4);
    let output = run(&world, "start", input, "b").await.unwrap();
    assert_eq!(outcomes(&output), ["running 0-3", "not_launched 4-5"]);
    assert_eq!(world.sweep().await.live, 4);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

/// A start dies at any call: whoever comes next finishes it, and when nobody does, the next look at the instance that is still
/// stopped gives the slot back.
#[tokio::test]
async fn a_start_that_died_anywhere_loses_no_slot() {
    for call in 0..40 {
        for when in [When::Before, When::After] {
            let world = limited(3, false).await;
            let input = whole(&world, &json!({"member": "0-3"}));
            run(&world, "stop", input.clone(), "a").await.unwrap();
            world.faults.arm(Some(Death { call, when }));
            let dying = run(&world, "start", input.clone(), "b");
            world.faults.run(dying).await;
            world.faults.arm(None);
            assert_eq!(world.violations().await, Vec::<String>::new());
            assert!(running(&world) <= 3, "{call} {when:?}");
            let seen: Vec<Sighting> = world
                .cloud
                .instances()
                .into_iter()
                .map(|one| Sighting::new(one.arn, Observation::State(one.state, None)))
                .collect();
            track::apply(&world.ledger, &seen, common::NOW)
                .await
                .unwrap();
            let live = usize::try_from(world.sweep().await.live).unwrap();
            assert_eq!(live, running(&world), "{call} {when:?}");
            run(&world, "start", input, "b").await.unwrap();
            let members = world.members().await;
            let runs = members.iter().filter(|m| m.state == MemberState::Running);
            assert_eq!((runs.count(), running(&world)), (3, 3), "{call} {when:?}");
            assert_eq!(world.violations().await, Vec::<String>::new());
        }
    }
}
