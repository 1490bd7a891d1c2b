//! The launch protocol under deaths, lost answers, errors of EC2 and two launchers at once.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{LANE, input, input_of, ports, run_lane, step};
use launch_batch::{Input, Next, handle};
use simulation::{Death, When, World, sweep};
use spawn_core::ports::Ec2Error;
use spawn_core::state::MemberState;

async fn assert_all_launched_once(world: &World, members: usize, context: &str) {
    assert_eq!(world.violations().await, Vec::<String>::new(), "{context}");
    assert_eq!(world.cloud.instances().len(), members, "{context}");
    let sweep = world.sweep().await;
    let launched = sweep.counts.of(MemberState::Launching);
    assert_eq!(usize::try_from(launched).unwrap(), members, "{context}");
}

#[tokio::test]
async fn a_lane_launches_every_member_once_in_batches_of_a_hundred() {
    let world = World::new(&sweep(250, &[LANE], None)).await;
    run_lane(&world).await;
    assert_all_launched_once(&world, 250, "no faults").await;
    assert_eq!(world.cloud.launch_calls(), 3);
    let members = world.members().await;
    assert!(members.iter().all(|m| m.live && m.ttl_deadline.is_some()));
    let rungs = ["us-east-1 on-demand c5.large and another type"];
    assert!(members.iter().all(|m| m.rungs == rungs));
}

/// The heart of the promise that nothing runs twice: the process dies at every single call to the outside, before or after
/// the call took effect, and another one goes on.
#[tokio::test]
async fn a_death_at_any_call_doubles_and_leaks_nothing() {
    let calls = {
        let world = World::new(&sweep(60, &[LANE], None)).await;
        world.faults.arm(None);
        run_lane(&world).await;
        world.faults.calls()
    };
    assert!(calls > 10, "only {calls} calls");
    for call in 0..calls {
        for when in [When::Before, When::After] {
            let world = World::new(&sweep(60, &[LANE], None)).await;
            world.faults.arm(Some(Death { call, when }));
            let died = world.faults.run(run_lane(&world)).await.is_none();
            assert!(died, "nobody died at call {call}");
            world.faults.arm(None);
            run_lane(&world).await;
            assert_all_launched_once(&world, 60, &format!("death {when:?} call {call}")).await;
        }
    }
}

/// The call was made, its launcher died, and by the time of the repeat EC2 refuses: what the first call launched is found,
/// recorded once and never given up for lost.
#[tokio::test]
async fn an_error_after_a_death_at_any_call_leaks_nothing() {
    let errors = [
        Ec2Error::Refused("UnauthorizedOperation".to_owned()),
        Ec2Error::Quota("VcpuLimitExceeded".to_owned()),
        Ec2Error::NoCapacity("InsufficientInstanceCapacity".to_owned()),
        Ec2Error::TokenSpent("IdempotentInstanceTerminated".to_owned()),
    ];
    for error in errors {
        for call in 0..24 {
            for when in [When::Before, When::After] {
                let world = World::new(&sweep(60, &[LANE], None)).await;
                world.faults.arm(Some(Death { call, when }));
                world.faults.run(run_lane(&world)).await;
                world.faults.arm(None);
                world.cloud.fail_next([error.clone()]);
                run_lane(&world).await;
                let context = format!("{error} after a death {when:?} call {call}");
                assert_eq!(world.violations().await, Vec::<String>::new(), "{context}");
                let members = world.members().await;
                let left = members.iter().filter(|m| m.state == MemberState::Planned);
                assert_eq!(left.count(), 0, "{context}");
            }
        }
    }
}

/// A function that times out may still run while its successor does the same step.
#[tokio::test]
async fn two_launchers_of_one_lane_launch_nothing_twice() {
    for call in 0..40 {
        let world = World::new(&sweep(120, &[LANE], None)).await;
        world.faults.arm(Some(Death {
            call,
            when: When::After,
        }));
        let first = world.faults.run(step(&world)).await;
        world.faults.arm(None);
        // The second one makes two steps, then both go on in turns.
        step(&world).await;
        step(&world).await;
        let (a, b) = tokio::join!(step(&world), step(&world));
        run_lane(&world).await;
        assert_all_launched_once(&world, 120, &format!("{call} {first:?} {a:?} {b:?}")).await;
    }
}

#[tokio::test]
async fn a_throttled_call_is_split_and_never_taken_for_lack_of_capacity() {
    let world = World::new(&sweep(100, &[LANE], None)).await;
    let throttled = || Ec2Error::Throttled("RequestLimitExceeded: slowly".to_owned());
    world.cloud.fail_next((0..3).map(|_| throttled()));
    let outputs = run_lane(&world).await;
    assert_all_launched_once(&world, 100, "after throttling").await;
    let sizes: Vec<usize> = world.cloud.launches().iter().map(|(.., n)| *n).collect();
    assert!(sizes[0] < 50, "{sizes:?} {outputs:?}");
    let members = world.members().await;
    assert!(
        members
            .iter()
            .all(|m| m.instance_type.as_deref() == Some("c5.large"))
    );
    let rungs = &members[99].rungs;
    assert_eq!(
        rungs[0],
        "us-east-1 on-demand c5.large and another type: RequestLimitExceeded"
    );
}

/// A death, then throttling: the call before may have launched, so it is that call which is made again.
#[tokio::test]
async fn a_throttled_repeat_is_made_again_with_the_same_token() {
    let world = World::new(&sweep(50, &[LANE], None)).await;
    let calls = calls_until_launch(&world).await;
    let world = World::new(&sweep(50, &[LANE], None)).await;
    world.faults.arm(Some(Death {
        call: calls,
        when: When::After,
    }));
    assert!(world.faults.run(step(&world)).await.is_none());
    world.faults.arm(None);
    assert_eq!(world.cloud.instances().len(), 50);
    let throttled = || Ec2Error::Throttled("RequestLimitExceeded: slowly".to_owned());
    world.cloud.fail_next((0..4).map(|_| throttled()));
    run_lane(&world).await;
    assert_all_launched_once(&world, 50, "after a death and throttling").await;
    assert_eq!(world.cloud.launches().len(), 1);
}

/// The number of the call in which a lane's first launch happens.
async fn calls_until_launch(world: &World) -> usize {
    for call in 0..40 {
        let world = World::new(&world.sweep().await).await;
        world.faults.arm(Some(Death {
            call,
            when: When::After,
        }));
        world.faults.run(step(&world)).await;
        if !world.cloud.instances().is_empty() {
            return call;
        }
    }
    panic!("nothing is launched");
}

#[tokio::test]
async fn an_unanswered_call_is_repeated_until_it_is_answered() {
    let world = World::new(&sweep(50, &[LANE], None)).await;
    let silence = || Ec2Error::Transient("time-out".to_owned());
    world.cloud.fail_next((0..3).map(|_| silence()));
    run_lane(&world).await;
    assert_all_launched_once(&world, 50, "after silence").await;
}

#[tokio::test]
async fn a_dry_pool_moves_the_batch_to_the_next_type() {
    let world = World::new(&sweep(50, &[LANE], None)).await;
    world.cloud.limit_pool("us-east-1 on-demand c5.large", 0);
    run_lane(&world).await;
    assert_all_launched_once(&world, 50, "second rung").await;
    assert!(
        world
            .members()
            .await
            .iter()
            .all(|m| m.instance_type.as_deref() == Some("m5.large"))
    );
}

#[tokio::test]
async fn a_partial_launch_keeps_what_it_got_and_goes_on_with_the_rest() {
    let world = World::new(&sweep(90, &[LANE], None)).await;
    world.cloud.limit_room(Some(40));
    run_lane(&world).await;
    assert_all_launched_once(&world, 90, "40 at a time").await;
    assert_eq!(world.cloud.launch_calls(), 3);
}

#[tokio::test]
async fn no_capacity_anywhere_ends_with_failed_members_and_the_reason_not_with_a_loop() {
    let world = World::new(&sweep(250, &[LANE], None)).await;
    world.cloud.limit_room(Some(0));
    run_lane(&world).await;
    assert_eq!(world.violations().await, Vec::<String>::new());
    let members = world.members().await;
    assert!(members.iter().all(|m| m.state == MemberState::Failed));
    let reason = members[0].reason.clone().unwrap();
    assert!(
        reason.contains("no capacity") && reason.contains("Insufficient"),
        "{reason}"
    );
    assert_eq!(world.sweep().await.live, 0);
}

#[tokio::test]
async fn a_refused_launch_fails_the_lanes_members_with_ec2s_words() {
    let error = Ec2Error::Refused("InvalidAMIID.NotFound: ami-1".to_owned());
    let world = World::new(&sweep(150, &[LANE], None)).await;
    world.cloud.refuse_pool("us-east-1", error.clone());
    run_lane(&world).await;
    assert_eq!(world.violations().await, Vec::<String>::new());
    assert!(world.cloud.instances().is_empty());
    let reason = world.members().await[149].reason.clone().unwrap();
    assert_eq!(reason, error.to_string());
    assert_eq!(world.cloud.launch_calls(), 2, "for good is not asked again");
}

/// The members ended before the launch was recorded: EC2 refuses the token, the instances are found by their tag.
#[tokio::test]
async fn a_spent_token_is_looked_up_and_not_launched_again() {
    let world = World::new(&sweep(30, &[LANE], None)).await;
    // Template, intent and call happen, then the process dies before it records anything.
    let call = calls_until_launch(&world).await;
    world.faults.arm(Some(Death {
        call,
        when: When::After,
    }));
    assert!(world.faults.run(step(&world)).await.is_none());
    world.faults.arm(None);
    assert_eq!(
        world.cloud.instances().len(),
        30,
        "the death is not where the test wants it"
    );
    for instance in world.cloud.instances() {
        world.cloud.put(
            &instance.arn,
            spawn_core::ports::InstanceState::Terminated,
            None,
        );
    }
    run_lane(&world).await;
    assert_all_launched_once(&world, 30, "found by tag").await;
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_with_failed_members_not_with_a_loop() {
    let world = World::new(&sweep(10, &[LANE], None)).await;
    let silence = || Ec2Error::Transient("no template of that name".to_owned());
    world.cloud.fail_next((0..1_000).map(|_| silence()));
    run_lane(&world).await;
    assert_eq!(world.violations().await, Vec::<String>::new());
    assert_eq!(world.sweep().await.counts.of(MemberState::Failed), 10);
}

#[tokio::test]
async fn a_rolling_sweep_takes_no_more_than_its_slots() {
    let world = World::new(&sweep(10, &[LANE], Some(3))).await;
    let outputs = run_lane(&world).await;
    assert_eq!(outputs.last().unwrap().next, Next::Slot);
    assert_eq!(world.cloud.instances().len(), 3);
    assert_eq!(world.sweep().await.live, 3);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn two_lanes_at_once_do_not_pass_the_limit_together() {
    let west = "us-west-2.on-demand";
    let world = World::new(&sweep(40, &[LANE, west], Some(5))).await;
    let ports = ports(&world);
    let both = async {
        tokio::join!(
            handle(input(&world), &ports, 1),
            handle(input_of(&world, west), &ports, 2)
        )
    };
    let (east, west) = world.clock.drive(&world.faults, both).await;
    east.unwrap();
    west.unwrap();
    assert_eq!(world.sweep().await.live, 5);
    assert_eq!(world.cloud.instances().len(), 5);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

/// A lane slept while its sweep was cancelled and resumed by another execution. It records what it has begun, and launches nothing.
#[tokio::test]
async fn a_lane_of_an_execution_that_has_lost_the_sweep_launches_nothing() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    let of_another = Input {
        execution_arn: Some("arn:of:another".to_owned()),
        ..input(&world)
    };
    let ports = ports(&world);
    let process = handle(of_another, &ports, 7);
    let output = world.clock.drive(&world.faults, process).await.unwrap();
    assert_eq!((output.next, output.launched), (Next::Done, 0));
    assert_eq!(world.cloud.launch_calls(), 0);
    let own = Input {
        execution_arn: Some(world.sweep().await.execution_arn),
        ..input(&world)
    };
    let process = handle(own, &ports, 7);
    let output = world.clock.drive(&world.faults, process).await.unwrap();
    assert_eq!(output.launched, 3);
}
