//! Members that are tried again: launched once a try, whatever dies, repeats or comes late.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use simulation::{Death, When, World, sweep};
use spawn_core::ending::EndCode;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger;
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::policy::Retries;
use spawn_core::ports::InstanceState;
use spawn_core::rows::{InstanceRow, MemberRow, SweepRow, instance_key};
use spawn_core::state::MemberState;
use spawn_core::track;

const LANE: &str = "us-east-1.spot";

fn retried(members: u32, interruption: u32, failure: u32) -> SweepRow {
    SweepRow {
        retries: Retries {
            interruption,
            failure,
        },
        ..sweep(members, &[LANE], None)
    }
}

async fn run_lane(world: &World) {
    common::run_lane_of(world, LANE).await;
}

fn lost(arn: &InstanceArn) -> Sighting {
    let reason = Some("Server.SpotInstanceTermination".to_owned());
    Sighting::new(
        arn.clone(),
        Observation::State(InstanceState::ShuttingDown, reason),
    )
}

async fn observe(world: &World, sightings: &[Sighting]) {
    for one in sightings {
        if let Observation::State(state, reason) = &one.what {
            world.cloud.put(&one.instance, *state, reason.as_deref());
        }
    }
    track::apply(&world.ledger, sightings, 50_000)
        .await
        .unwrap();
}

/// The instances that members have now.
async fn instances(world: &World) -> Vec<InstanceArn> {
    let members = world.members().await;
    members.into_iter().filter_map(|m| m.instance).collect()
}

fn states(members: &[MemberRow]) -> Vec<MemberState> {
    members.iter().map(|member| member.state).collect()
}

#[tokio::test]
async fn an_interrupted_member_is_launched_again_as_a_new_try() {
    let world = World::new(&retried(3, 1, 0)).await;
    run_lane(&world).await;
    let first = instances(&world).await;
    observe(&world, &[lost(&first[1])]).await;
    let sweep = world.sweep().await;
    assert_eq!((sweep.retrying, sweep.live), (1, 2));
    assert_eq!(sweep.counts.of(MemberState::Planned), 1);
    assert!(!sweep.is_over());
    assert_eq!(world.violations().await, Vec::<String>::new());

    run_lane(&world).await;
    assert_eq!(world.violations().await, Vec::<String>::new());
    let members = world.members().await;
    assert_eq!(states(&members), [MemberState::Launching; 3]);
    let second = members[1].instance.clone().unwrap();
    assert_ne!(second, first[1]);
    assert_eq!(members[1].tries.len(), 1);
    assert_eq!(members[1].tries[0].instance.as_ref(), Some(&first[1]));
    assert_eq!(members[1].tries[0].code, EndCode::Interrupted);
    let row: InstanceRow = ledger::require(&world.ledger, instance_key(&second))
        .await
        .unwrap();
    // "2" in base64.
    assert!(row.assignment.contains("env SPAWN_ATTEMPT Mg==\n"));
    assert!(world.sweep().await.retrying == 0);

    // What is heard of the old instance later touches nothing.
    let before = world.members().await;
    observe(
        &world,
        &[
            lost(&first[1]),
            Sighting::new(first[1].clone(), Observation::SpotNotice),
            Sighting::new(first[1].clone(), Observation::Gone),
            Sighting::new(first[1].clone(), Observation::Reported),
        ],
    )
    .await;
    assert_eq!(world.members().await, before);

    // The only retry is used up.
    observe(&world, &[lost(&second)]).await;
    let members = world.members().await;
    assert_eq!(members[1].state, MemberState::Interrupted);
    assert_eq!(members[1].code, Some(EndCode::Interrupted));
    assert_eq!(world.sweep().await.retrying, 0);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_observation_that_repeats_uses_up_one_retry() {
    let world = World::new(&retried(2, 5, 0)).await;
    run_lane(&world).await;
    let first = instances(&world).await;
    for _ in 0..3 {
        observe(&world, &[lost(&first[0]), lost(&first[0])]).await;
    }
    assert_eq!(world.sweep().await.retrying, 1);
    assert_eq!(world.members().await[0].tries.len(), 1);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn failures_are_tried_again_as_often_as_the_document_says() {
    let world = World::new(&retried(1, 0, 2)).await;
    for number in 0..3 {
        run_lane(&world).await;
        let arn = instances(&world).await.remove(0);
        let report = serde_json::json!({"report_exit_code": 3, "report_at": 5});
        world
            .ledger
            .report(&instance_key(&arn), report.as_object().unwrap().clone());
        let end = Observation::State(InstanceState::Terminated, None);
        observe(&world, &[Sighting::new(arn, end)]).await;
        let member = world.members().await.remove(0);
        let expected = if number < 2 {
            MemberState::Planned
        } else {
            MemberState::Failed
        };
        assert_eq!(member.state, expected, "try {number}");
    }
    let member = world.members().await.remove(0);
    assert_eq!(member.code, Some(EndCode::ExitCode));
    assert_eq!(member.try_number(), 3);
    assert_eq!(world.cloud.instances().len(), 3);
}

/// The process dies at every call while retried members are launched; another one goes on.
#[tokio::test]
async fn a_death_at_any_call_launches_no_try_twice() {
    async fn interrupted() -> World {
        let world = World::new(&retried(5, 1, 0)).await;
        run_lane(&world).await;
        let losses: Vec<_> = instances(&world).await[..4].iter().map(lost).collect();
        observe(&world, &losses).await;
        world
    }
    let calls = {
        let world = interrupted().await;
        world.faults.arm(None);
        run_lane(&world).await;
        world.faults.calls()
    };
    for call in 0..calls {
        for when in [When::Before, When::After] {
            let world = interrupted().await;
            world.faults.arm(Some(Death { call, when }));
            assert!(world.faults.run(run_lane(&world)).await.is_none());
            world.faults.arm(None);
            run_lane(&world).await;
            let context = format!("death {when:?} call {call}");
            assert_eq!(world.violations().await, Vec::<String>::new(), "{context}");
            assert_eq!(world.cloud.instances().len(), 9, "{context}");
            let members = world.members().await;
            assert_eq!(states(&members), [MemberState::Launching; 5], "{context}");
        }
    }
}

/// The launcher dies between two transactions of its record; of the recorded members one is lost at once and planned again.
/// Whoever finishes the record does not give it an instance of the attempt that it has been in.
#[tokio::test]
async fn a_member_that_is_lost_while_its_attempt_is_recorded_waits_for_another_attempt() {
    for call in 0..30 {
        let world = World::new(&retried(60, 1, 0)).await;
        let when = When::After;
        world.faults.arm(Some(Death { call, when }));
        world.faults.run(run_lane(&world)).await;
        world.faults.arm(None);
        let losses: Vec<_> = instances(&world).await.iter().take(2).map(lost).collect();
        observe(&world, &losses).await;
        run_lane(&world).await;
        let context = format!("death at call {call}");
        assert_eq!(world.violations().await, Vec::<String>::new(), "{context}");
        assert_eq!(
            world.cloud.instances().len(),
            60 + losses.len(),
            "{context}"
        );
    }
}

#[tokio::test]
async fn a_sweep_that_does_not_launch_tries_nothing_again() {
    let world = World::new(&retried(1, 1, 0)).await;
    run_lane(&world).await;
    let arn = instances(&world).await.remove(0);
    let reason = spawn_core::rows::Drain {
        status: spawn_core::state::SweepStatus::Cancelled,
        reason: "stopped".to_owned(),
    };
    spawn_core::drain::mark(&world.ledger, &world.sweep_id, None, &reason)
        .await
        .unwrap();
    observe(&world, &[lost(&arn)]).await;
    let member = world.members().await.remove(0);
    assert_eq!(member.state, MemberState::Interrupted);
    assert!(world.sweep().await.is_over());
}
