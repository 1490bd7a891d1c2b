//! Controls of the same members: the last one that was asked for holds, an earlier one ends, and EC2 is asked once.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{LANE, NOW, asked, call, living, outcomes, run, running, whole};
use serde_json::{Value, json};
use simulation::World;
use spawn_core::ledger::{Ledger as _, Stored as _};
use spawn_core::ports::InstanceState;
use spawn_core::state::{MemberState, SweepStatus};

/// Accepts a request, and answers the input of a look at its place.
async fn accepted(world: &World, control: &str, more: Value, name: &str) -> Value {
    let asked = asked(control, &whole(world, &more), name);
    call(world, json!({"check": asked}), NOW).await.unwrap();
    json!({"act": {"asked": asked, "lane": LANE}})
}

async fn look(world: &World, act: &Value, now: u64) -> Value {
    call(world, act.clone(), now).await.unwrap()
}

/// Whether a look was the last one, and its outcomes with their members.
fn told(answer: &Value) -> (bool, Vec<String>) {
    let groups = answer["outcomes"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let groups = groups.map(|one| format!("{} {}", text(&one["outcome"]), text(&one["members"])));
    (answer["settled"] == true, groups.collect())
}

fn last(outcomes: &[&str]) -> (bool, Vec<String>) {
    (true, outcomes.iter().map(|&one| one.to_owned()).collect())
}

fn all_are(world: &World, state: InstanceState) -> bool {
    world.cloud.instances().iter().all(|one| one.state == state)
}

#[tokio::test]
async fn a_start_goes_before_a_stop_that_still_waits_and_neither_undoes_the_other() {
    let (world, _) = running(LANE).await;
    let stop = accepted(&world, "stop", json!({}), "a").await;
    assert!(!told(&look(&world, &stop, NOW).await).0);
    let start = accepted(&world, "start", json!({}), "b").await;
    assert!(!told(&look(&world, &start, NOW + 1_000).await).0);
    assert!(all_are(&world, InstanceState::Running));
    let answer = look(&world, &stop, NOW + 2_000).await;
    assert_eq!(told(&answer), last(&["superseded 0-3"]));
    let words = "spawn-start of it was asked for later and goes before";
    assert_eq!(answer["outcomes"][0]["error"], words);
    let answer = look(&world, &start, NOW + 3_000).await;
    assert_eq!(told(&answer), last(&["running 0-3"]));
    assert!(all_are(&world, InstanceState::Running));
    assert!(world.sweep().await.may_launch());
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn stops_and_starts_at_the_same_moment_come_to_the_end_that_the_last_one_wants() {
    for (first, last, state) in [
        ("stop", "start", InstanceState::Running),
        ("start", "stop", InstanceState::Stopped),
    ] {
        let (world, _) = running(LANE).await;
        let mut looks = Vec::new();
        for (control, name) in [(last, "d"), (first, "a"), (first, "b"), (last, "c")] {
            looks.push(accepted(&world, control, json!({}), name).await);
        }
        let mut open = looks;
        for second in 0..10 {
            let mut left = Vec::new();
            for act in open {
                if !told(&look(&world, &act, NOW + second * 2_000).await).0 {
                    left.push(act);
                }
            }
            open = left;
        }
        assert_eq!(open, Vec::<Value>::new(), "{first} and {last} look on");
        assert!(all_are(&world, state), "{first} and {last}");
        assert_eq!(world.sweep().await.stopped.is_some(), last == "stop");
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn controls_of_other_members_and_controls_that_did_nothing_go_before_none() {
    let (world, instances) = running(LANE).await;
    let stop = accepted(&world, "stop", json!({"member": "0-1"}), "a").await;
    look(&world, &stop, NOW).await;
    accepted(&world, "start", json!({"member": "2-3"}), "b").await;
    assert_eq!(
        told(&look(&world, &stop, NOW).await),
        last(&["stopped 0-1"])
    );
    // The instance of a try before: nothing is done with the one that the member has now.
    let replaced = whole(&world, &json!({"member": 2}));
    run(&world, "replace", replaced, "c").await.unwrap();
    let stop = accepted(&world, "stop", json!({"member": 3}), "d").await;
    let former = json!({"instance_id": instances[2].instance_id});
    run(&world, "start", former, "e").await.unwrap();
    look(&world, &stop, NOW).await;
    assert_eq!(told(&look(&world, &stop, NOW).await), last(&["stopped 3"]));
}

#[tokio::test]
async fn what_somebody_else_undoes_is_told_and_not_done_again() {
    let (world, instances) = running(LANE).await;
    let stop = accepted(&world, "stop", json!({"member": "0-3"}), "a").await;
    look(&world, &stop, NOW).await;
    for arn in &instances {
        world.cloud.put(arn, InstanceState::Running, None);
    }
    // EC2's answers may be behind.
    assert!(!told(&look(&world, &stop, NOW + 60_000).await).0);
    let answer = look(&world, &stop, NOW + 120_000).await;
    assert_eq!(told(&answer), last(&["undone 0-3"]));
    assert!(all_are(&world, InstanceState::Running));
}

#[tokio::test]
async fn what_ec2_refused_once_is_not_asked_for_again() {
    let (world, instances) = running(LANE).await;
    world.cloud.refuse_to_stop(&instances[0]);
    let stop = accepted(&world, "stop", json!({"member": "0-1"}), "a").await;
    look(&world, &stop, NOW).await;
    let before = world.cloud.stop_calls();
    let answer = look(&world, &stop, NOW + 2_000).await;
    assert!(told(&answer).0);
    assert_eq!(told(&answer).1.len(), 2);
    assert_eq!(world.cloud.stop_calls(), before);
}

#[tokio::test]
async fn a_drain_ends_controls_that_wait() {
    let (world, _) = running(LANE).await;
    let stop = accepted(&world, "stop", json!({}), "a").await;
    look(&world, &stop, NOW).await;
    accepted(&world, "cancel", json!({}), "b").await;
    assert_eq!(world.sweep().await.status, SweepStatus::Draining);
    let answer = look(&world, &stop, NOW + 2_000).await;
    assert_eq!(told(&answer), last(&["superseded 0-3"]));
    // Drained for another reason it fails, as one that was asked for after would.
    let (world, _) = running(LANE).await;
    let stop = accepted(&world, "stop", json!({}), "a").await;
    let mut row = world.sweep().await;
    row.status = SweepStatus::Draining;
    let rows = vec![row.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    let error = call(&world, stop, NOW).await.unwrap_err();
    assert_eq!(error.error_type(), "NotAllowed");
}

#[tokio::test]
async fn an_end_goes_before_a_replacement_and_the_member_gets_no_other_instance() {
    let (world, instances) = running(LANE).await;
    let replace = accepted(&world, "replace", json!({"member": 1}), "a").await;
    // EC2 is still at it when the end is asked for.
    look(&world, &replace, NOW).await;
    let mut row = world.members().await.remove(1);
    assert!(row.reaping.is_some() && !row.state.is_ended());
    let terminate = accepted(&world, "terminate", json!({"member": 1}), "b").await;
    let answer = look(&world, &terminate, NOW + 1_000).await;
    assert!(told(&answer).0);
    row = world.members().await.remove(1);
    assert_eq!((row.state, row.tries.len()), (MemberState::Reaped, 0));
    let answer = look(&world, &replace, NOW + 2_000).await;
    assert_eq!(told(&answer), last(&["superseded 1"]));
    assert_eq!(world.members().await[1].tries.len(), 0);
    assert_eq!(living(&world), 3);
    assert_eq!(instances.len(), 4);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_left_of_an_ended_member_is_told_as_terminated_by_who_ended_it() {
    let (world, instances) = running(LANE).await;
    let mut member = world.members().await.remove(0);
    member.state = MemberState::Completed;
    member.live = false;
    let arn = member.instance.clone().unwrap();
    assert!(instances.contains(&arn));
    world.cloud.put(&arn, InstanceState::Stopped, None);
    let mut sweep = world.sweep().await;
    sweep.status = SweepStatus::Completed;
    let rows = vec![member.row().unwrap(), sweep.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    let one = whole(&world, &json!({"member": 0}));
    let output = run(&world, "terminate", one.clone(), "a").await.unwrap();
    assert_eq!(outcomes(&output), ["terminated 0"]);
    let output = run(&world, "terminate", one, "b").await.unwrap();
    assert_eq!(outcomes(&output), ["had_ended 0"]);
}
