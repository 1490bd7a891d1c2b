//! What controls do, twice, at once, and killed at any call.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{
    HOUR, LANE, NOW, SPOT, START, asked, call, check, controls, deadlines, launched, living,
    outcomes, run, running, whole,
};
use serde_json::{Value, json};
use simulation::{Death, When, World, sweep};
use spawn_core::clock;
use spawn_core::ledger::{self, Ledger as _, Stored as _};
use spawn_core::ports::InstanceState;
use spawn_core::rows::{InstanceRow, instance_key};
use spawn_core::state::{MemberState, SweepStatus};

#[tokio::test]
async fn a_cancelled_sweep_is_marked_at_once_with_the_reason() {
    let (world, _) = running(LANE).await;
    let plan = check(&world, "cancel", json!({"reason": "wrong data"}), "a").await;
    assert_eq!(plan["way"], "drain");
    let sweep = world.sweep().await;
    assert_eq!(sweep.status, SweepStatus::Draining);
    assert_eq!(sweep.drain.unwrap().reason, "cancelled by hand: wrong data");
}

#[tokio::test]
async fn cancelling_what_is_over_does_nothing_and_says_so() {
    let mut row = sweep(1, &[LANE], None);
    row.status = SweepStatus::Completed;
    let world = World::new(&row).await;
    let output = run(&world, "cancel", whole(&world, &json!({})), "a").await;
    let words = "sweep test-20260101-abcdef was over already: completed";
    assert_eq!(output.unwrap()["outcome"], words);
    assert_eq!(world.sweep().await.status, SweepStatus::Completed);
}

#[tokio::test]
async fn one_member_is_terminated_and_its_row_says_why() {
    let (world, instances) = running(LANE).await;
    let input = whole(&world, &json!({"member": 2, "reason": "stuck"}));
    let output = run(&world, "terminate", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["terminated 2"]);
    let members = world.members().await;
    assert_eq!(members[2].state, MemberState::Reaped);
    let reason = members[2].reason.clone().unwrap();
    assert!(reason.contains("stuck"), "{reason}");
    assert_eq!(living(&world), 3);
    assert_eq!(world.violations().await, Vec::<String>::new());
    // By its instance, and by another execution: nothing more happens.
    let mut again = asked(
        "terminate",
        &json!({"instance_id": instances[2].instance_id}),
        "b",
    );
    again["started_at"] = json!("1970-01-01T00:00:09Z");
    let act = json!({"act": {"asked": again, "lane": LANE}});
    let answer = call(&world, act, NOW).await.unwrap();
    assert_eq!(answer["outcomes"][0]["outcome"], "had_ended");
}

#[tokio::test]
async fn a_protected_instance_is_ended_by_force_only() {
    let (world, instances) = running(LANE).await;
    world.cloud.protect(&instances[1]);
    let members = whole(&world, &json!({"member": "0-1"}));
    let output = run(&world, "terminate", members, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["terminated 0", "protected 1"]);
    let error = run(&world, "terminate", whole(&world, &json!({})), "b").await;
    let error = error.unwrap_err();
    assert_eq!(error.error_type(), "NotAllowed");
    let words = error.to_string();
    assert!(words.contains(&instances[1].instance_id), "{words}");
    assert_eq!(world.sweep().await.status, SweepStatus::Running);
    let forced = whole(&world, &json!({"member": 1, "force": true}));
    let output = run(&world, "terminate", forced, "c").await.unwrap();
    assert_eq!(outcomes(&output), ["terminated 1"]);
}

#[tokio::test]
async fn a_sweep_with_protected_instances_is_drained_by_force_only() {
    for (control, reason) in [
        ("terminate", "terminated by hand"),
        ("cancel", "cancelled by hand"),
    ] {
        let (world, instances) = running(LANE).await;
        world.cloud.protect(&instances[1]);
        let error = run(&world, control, whole(&world, &json!({})), "a").await;
        let error = error.unwrap_err();
        assert_eq!(error.error_type(), "NotAllowed");
        let words = error.to_string();
        let begins = format!("spawn-{control} was not begun: 1 of the sweep's instances");
        assert!(words.contains(&begins), "{words}");
        assert!(words.contains(&instances[1].instance_id), "{words}");
        assert_eq!(world.sweep().await.status, SweepStatus::Running);
        assert_eq!(controls(&world).await, []);
        assert!(world.cloud.is_protected(&instances[1]));
        let plan = check(&world, control, json!({"force": true}), "b").await;
        assert_eq!(plan["way"], "drain");
        assert!(!world.cloud.is_protected(&instances[1]));
        assert_eq!(world.sweep().await.drain.unwrap().reason, reason);
        // One that drains already does so whatever is protected.
        world.cloud.protect(&instances[2]);
        let plan = check(&world, control, json!({}), "c").await;
        assert_eq!(plan["way"], "drain");
    }
}

#[tokio::test]
async fn a_place_that_does_not_answer_keeps_no_forced_drain_from_beginning() {
    let (world, _) = running(LANE).await;
    let place = world.sweep().await.lanes[0].place();
    world.cloud.reach(place, false);
    let error = run(&world, "cancel", whole(&world, &json!({})), "a").await;
    assert_eq!(error.unwrap_err().error_type(), "Spawn.Transient");
    assert_eq!(world.sweep().await.status, SweepStatus::Running);
    check(&world, "cancel", json!({"force": true}), "b").await;
    assert_eq!(world.sweep().await.status, SweepStatus::Draining);
}

#[tokio::test]
async fn what_is_left_of_a_sweep_that_is_over_can_be_terminated() {
    let (world, instances) = running(LANE).await;
    world.cloud.put(&instances[0], InstanceState::Stopped, None);
    let mut row = world.sweep().await;
    row.status = SweepStatus::Completed;
    let rows = vec![row.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    let output = run(&world, "terminate", whole(&world, &json!({})), "a").await;
    assert_eq!(outcomes(&output.unwrap()), ["terminated 0-3"]);
    assert_eq!(living(&world), 0);
}

#[tokio::test]
async fn stopped_instances_wait_for_their_start_and_lose_no_time() {
    let (world, _) = running(LANE).await;
    let input = whole(&world, &json!({}));
    let before = deadlines(&world).await;
    for name in ["a", "b"] {
        let output = run(&world, "stop", input.clone(), name).await.unwrap();
        assert_eq!(outcomes(&output), ["stopped 0-3"]);
    }
    let stopped = world.sweep().await;
    assert_eq!(
        (stopped.counts.of(MemberState::Stopped), stopped.live),
        (4, 0)
    );
    let output = run(&world, "start", input, "c").await.unwrap();
    assert_eq!(outcomes(&output), ["running 0-3"]);
    let members = world.members().await;
    let run_again = |m: &spawn_core::rows::MemberRow| m.state == MemberState::Running && m.live;
    assert!(members.iter().all(run_again));
    assert!(deadlines(&world).await >= before);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_one_time_spot_instance_is_left_running_and_that_is_said() {
    let (world, _) = running(SPOT).await;
    let input = whole(&world, &json!({"member": 0}));
    let output = run(&world, "stop", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["spot_cannot_stop 0"]);
    let because = output["outcome"][0]["because"].as_str().unwrap();
    assert!(because.contains("one-time spot"), "{because}");
    assert_eq!(living(&world), 4);
}

#[tokio::test]
async fn an_instance_without_capacity_stays_stopped_and_the_others_start() {
    let (world, instances) = running(LANE).await;
    let input = whole(&world, &json!({}));
    run(&world, "stop", input.clone(), "a").await.unwrap();
    world.cloud.run_dry(&instances[3]);
    let member = world.members().await;
    let dry = member
        .iter()
        .find(|m| m.instance.as_ref() == Some(&instances[3]));
    let dry = dry.unwrap().index;
    let output = run(&world, "start", input, "b").await.unwrap();
    let group = &output["outcome"][1];
    assert_eq!(group["outcome"], "no_capacity");
    assert_eq!(group["members"], dry.to_string());
    let because = group["because"].as_str().unwrap();
    assert!(
        because.contains("InsufficientInstanceCapacity"),
        "{because}"
    );
}

#[tokio::test]
async fn members_get_more_time_once_however_often_the_step_is_repeated() {
    let (world, instances) = running(LANE).await;
    let before = deadlines(&world).await;
    let more = |ms: u64| -> Vec<u64> { before.iter().map(|d| d + ms).collect() };
    let input = whole(&world, &json!({"by": "2h"}));
    for _ in 0..3 {
        let output = run(&world, "extend", input.clone(), "a").await.unwrap();
        assert_eq!(outcomes(&output), ["extended 0-3"]);
    }
    assert_eq!(deadlines(&world).await, more(2 * HOUR));
    // The instances read theirs from their own rows.
    let key = instance_key(&instances[0]);
    let row: InstanceRow = ledger::require(&world.ledger, key).await.unwrap();
    assert_eq!(row.ttl_deadline, more(2 * HOUR).first().copied());
    // Another execution extends again.
    run(&world, "extend", input, "b").await.unwrap();
    assert_eq!(deadlines(&world).await, more(4 * HOUR));
    let until = clock::format_iso(before[0] + 5 * HOUR);
    let input = whole(&world, &json!({"member": 1, "until": until}));
    run(&world, "extend", input, "c").await.unwrap();
    assert_eq!(deadlines(&world).await[1], more(5 * HOUR)[1]);
}

#[tokio::test]
async fn a_sweep_that_is_stopped_launches_nothing_until_it_is_started() {
    let mut row = sweep(6, &[LANE], Some(4));
    row.status = SweepStatus::Running;
    row.completion_token = Some("end".to_owned());
    let world = World::new(&row).await;
    launched(&world).await;
    let input = whole(&world, &json!({"reason": "lunch"}));
    let output = run(&world, "stop", input.clone(), "a").await.unwrap();
    assert_eq!(outcomes(&output), ["stopped 0-3", "held 4-5"]);
    let stopped = world.sweep().await;
    assert!(!stopped.may_launch() && !stopped.is_over(), "{stopped:?}");
    assert_eq!(stopped.stopped.as_deref(), Some("stopped by hand: lunch"));
    assert_eq!(world.executions.answers(), Vec::<Value>::new());
    run(&world, "start", input, "b").await.unwrap();
    assert!(world.sweep().await.may_launch());
    // No lane launches any more: the one with members left is to be run again.
    let answer = json!({"relaunch": true, "lanes": [LANE]});
    assert_eq!(world.executions.answers(), [answer]);
}

#[tokio::test]
async fn some_members_that_are_stopped_hold_nothing_back() {
    let (world, _) = running(LANE).await;
    let input = whole(&world, &json!({"member": "0-1"}));
    run(&world, "stop", input, "a").await.unwrap();
    assert!(world.sweep().await.may_launch());
}

#[tokio::test]
async fn what_ec2_refuses_leaves_no_reason_behind() {
    let (world, instances) = running(LANE).await;
    world.cloud.refuse_to_stop(&instances[0]);
    let input = whole(&world, &json!({"member": "0-1"}));
    let output = run(&world, "stop", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["stopped 1", "refused 0"]);
    let members = world.members().await;
    assert_eq!(members[0].reaping, None);
    assert!(members[1].reaping.is_some());
}

/// Replaces a member and answers the outcome; its instance is seen to end.
async fn replace(world: &World, input: Value, name: &str) -> Vec<String> {
    outcomes(&run(world, "replace", input, name).await.unwrap())
}

#[tokio::test]
async fn a_member_is_replaced_once_however_often_the_step_is_repeated() {
    let (world, instances) = running(LANE).await;
    let input = whole(&world, &json!({"member": 2, "reason": "slow disk"}));
    for _ in 0..3 {
        assert_eq!(replace(&world, input.clone(), "a").await, ["replaced 2"]);
    }
    let member = world.members().await.remove(2);
    assert_eq!(
        (member.state, member.instance),
        (MemberState::Planned, None)
    );
    assert_eq!(member.tries.len(), 1);
    let reason = member.tries[0].reason.clone().unwrap();
    assert_eq!(reason, "a person asked for another one (slow disk)");
    assert_eq!(world.sweep().await.retrying, 1);
    assert_eq!(living(&world), 3);
    assert_eq!(world.violations().await, Vec::<String>::new());
    // The instance that is gone, by its id: its member's next one is not touched.
    for control in ["replace", "terminate", "stop"] {
        let named = json!({"instance_id": instances[2].instance_id});
        let output = run(&world, control, named, "b").await.unwrap();
        let words = output["outcome"].as_str().unwrap();
        assert!(words.contains("earlier one of member 2"), "{words}");
    }
    assert_eq!(world.members().await[2].tries.len(), 1);
}

#[tokio::test]
async fn the_last_member_is_replaced_before_its_sweep_could_be_over() {
    let (world, instances) = running(LANE).await;
    for arn in &instances[..3] {
        world.cloud.put(arn, InstanceState::Terminated, None);
    }
    let others = whole(&world, &json!({"member": "0-2"}));
    run(&world, "terminate", others, "a").await.unwrap();
    let last = whole(&world, &json!({"member": 3}));
    assert_eq!(replace(&world, last.clone(), "b").await, ["replaced 3"]);
    assert!(!world.sweep().await.is_complete());
    // One that has ended before is planned again, too, but not when all have.
    let first = whole(&world, &json!({"member": 0}));
    assert_eq!(replace(&world, first.clone(), "c").await, ["replaced 0"]);
    assert_eq!(world.violations().await, Vec::<String>::new());
    let (world, instances) = running(LANE).await;
    for arn in &instances {
        world.cloud.put(arn, InstanceState::Terminated, None);
    }
    let all = whole(&world, &json!({"member": "0-3"}));
    run(&world, "terminate", all, "d").await.unwrap();
    assert_eq!(replace(&world, first, "e").await, ["not_replaced 0"]);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn protected_members_are_replaced_by_force_only_and_complete_ones_never() {
    let (world, instances) = running(LANE).await;
    world.cloud.protect(&instances[1]);
    let member = whole(&world, &json!({"member": 1}));
    assert_eq!(replace(&world, member, "a").await, ["protected 1"]);
    let forced = whole(&world, &json!({"member": 1, "force": true}));
    assert_eq!(replace(&world, forced, "b").await, ["replaced 1"]);
    let mut complete = world.members().await.remove(0);
    complete.state = MemberState::Completed;
    let rows = vec![complete.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    let member = whole(&world, &json!({"member": 0}));
    assert_eq!(replace(&world, member, "c").await, ["had_completed 0"]);
}

#[tokio::test]
async fn a_held_sweep_replaces_nothing_and_says_why() {
    let (world, _) = running(LANE).await;
    let mut row = world.sweep().await;
    row.held = Some("too many failed".to_owned());
    let rows = vec![row.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    let member = whole(&world, &json!({"member": 1}));
    let error = run(&world, "replace", member, "a").await.unwrap_err();
    assert!(error.to_string().contains("too many failed"), "{error}");
}

#[tokio::test]
async fn an_ended_sweep_is_submitted_again_if_something_is_left_to_run() {
    let mut row = sweep(3, &[LANE], None);
    row.status = SweepStatus::Cancelled;
    let world = World::new(&row).await;
    let plan = check(&world, "resume", json!({}), "a").await;
    assert_eq!(
        (&plan["way"], &plan["members"]),
        (&json!("resume"), &json!(3))
    );
    let mut members = world.members().await;
    for member in &mut members {
        member.state = MemberState::Completed;
    }
    let rows = members.iter().map(|member| member.row().unwrap());
    world.ledger.put_all(rows.collect()).await.unwrap();
    let asked = asked("resume", &whole(&world, &json!({})), "b");
    let error = call(&world, json!({"check": asked}), NOW)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("every member has completed"),
        "{error}"
    );
}

#[tokio::test]
async fn each_control_is_refused_where_it_makes_no_sense() {
    use SweepStatus::{Completed, Draining, Launching, Planning, Running};
    for (control, status, part) in [
        ("stop", Planning, "nothing of it has been launched"),
        ("stop", Draining, "being terminated"),
        ("start", Planning, "nothing of it has been launched"),
        ("start", Draining, "being terminated"),
        ("start", Completed, "only ended"),
        ("extend", Planning, "nothing of it has been launched"),
        ("extend", Draining, "being terminated"),
        ("extend", Completed, "only ended"),
        ("replace", Planning, "nothing of it has been launched"),
        ("replace", Draining, "launches nothing more"),
        ("replace", Completed, "launches nothing more"),
        ("resume", Planning, "still run"),
        ("resume", Launching, "still run"),
        ("resume", Running, "still run"),
        ("resume", Draining, "being drained"),
    ] {
        let mut row = sweep(2, &[LANE], None);
        row.status = status;
        let world = World::new(&row).await;
        let more = match control {
            "extend" => json!({"by": "1h"}),
            "replace" => json!({"member": 0}),
            _ => json!({}),
        };
        let error = run(&world, control, whole(&world, &more), "a").await;
        let error = error.unwrap_err();
        assert_eq!(error.error_type(), "NotAllowed", "{control} {status}");
        let words = error.to_string();
        assert!(words.contains(part), "{control} {status}: {words}");
        assert_eq!(controls(&world).await, [], "a refusal leaves no trace");
    }
}

/// A control dies at any call; the same execution, or another one, finishes it.
#[tokio::test]
async fn a_control_that_died_anywhere_comes_to_the_same_end() {
    for (control, more) in [
        ("terminate", json!({"member": "0-3"})),
        ("stop", json!({})),
        ("extend", json!({"by": "1h"})),
        ("replace", json!({"member": 1})),
    ] {
        for (call, name) in (0..45).flat_map(|call| [(call, "a"), (call, "b")]) {
            for when in [When::Before, When::After] {
                let (world, _) = running(LANE).await;
                let input = whole(&world, &more);
                let before = deadlines(&world).await[0];
                world.faults.arm(Some(Death { call, when }));
                world
                    .faults
                    .run(run(&world, control, input.clone(), "a"))
                    .await;
                world.faults.arm(None);
                run(&world, control, input, name).await.unwrap();
                assert_eq!(world.violations().await, Vec::<String>::new());
                let members = world.members().await;
                let all = |state| members.iter().all(|member| member.state == state);
                let extended = deadlines(&world).await[0] - before;
                let is_right = match control {
                    "terminate" => all(MemberState::Reaped) && living(&world) == 0,
                    "stop" => all(MemberState::Stopped),
                    // Whoever asks after that has nothing to replace.
                    "replace" => members[1].tries.len() == 1 && living(&world) == 3,
                    // Two executions extend twice, unless the first one died too early.
                    _ => extended == HOUR || (name == "b" && extended == 2 * HOUR),
                };
                assert!(is_right, "{control} {call} {when:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn two_controls_at_once_leave_no_instance_that_was_to_be_ended() {
    let (world, _) = running(LANE).await;
    let stop = run(&world, "stop", whole(&world, &json!({})), "a");
    let members = whole(&world, &json!({"member": "0-3"}));
    let terminate = run(&world, "terminate", members, "b");
    let (stopped, terminated) = tokio::join!(stop, terminate);
    stopped.unwrap();
    terminated.unwrap();
    assert_eq!(living(&world), 0);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn who_did_what_and_when_is_kept_with_what_came_of_it() {
    let (world, _) = running(LANE).await;
    let input = whole(&world, &json!({"member": 1, "reason": "test"}));
    run(&world, "stop", input, "a").await.unwrap();
    let rows = controls(&world).await;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(Some(row.at), clock::parse_iso(START));
    assert!(row.execution_arn.ends_with(":spawn-stop:a"));
    assert_eq!(row.target, "member 1");
    assert_eq!(row.reason.as_deref(), Some("test"));
    assert_eq!(row.done_at, Some(NOW + 1_000));
    assert_eq!(row.outcome.as_ref().unwrap()[0]["outcome"], "stopped");
}

#[tokio::test]
async fn a_place_that_does_not_answer_is_acted_on_when_it_answers_again() {
    let (world, _) = running(LANE).await;
    let place = world.sweep().await.lanes[0].place();
    world.cloud.reach(place, false);
    let input = whole(&world, &json!({}));
    let error = run(&world, "stop", input.clone(), "a").await.unwrap_err();
    assert_eq!(error.error_type(), "Spawn.Transient");
    world.cloud.reach(place, true);
    let output = run(&world, "stop", input, "a").await.unwrap();
    assert_eq!(outcomes(&output), ["stopped 0-3"]);
}
