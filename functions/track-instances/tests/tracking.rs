//! Events that repeat, reorder, come too early or never; and who is woken.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use std::sync::Mutex;

use serde_json::{Value, json};
use simulation::{Cloud, Executions, MemoryLedger, World, sweep};
use spawn_core::ending::EndCode;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::{Ledger, Versioned as _, load_all};
use spawn_core::metrics::Measured;
use spawn_core::policy::Retries;
use spawn_core::ports::{BadEnd, InstanceState};
use spawn_core::rows::{LINGERING_PK, LingeringRow, SweepRow, instance_key};
use spawn_core::state::{MemberState, SweepStatus};
use track_instances::{Input, Ports, handle};

const LANE: &str = "us-east-1.on-demand";

fn ports(world: &World) -> Ports<'_, MemoryLedger, Cloud, Executions> {
    Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
        measure: &|_| (),
    }
}

async fn call(world: &World, event: &Value, now: u64) -> Value {
    let input = Input::parse(event).unwrap();
    handle(input, &ports(world), now).await.unwrap()
}

/// A world whose members are launched and recorded, as many as may be at a time.
async fn launched(members: u32, max_concurrent: Option<u32>) -> (World, Vec<InstanceArn>) {
    launched_with(Retries::NONE, members, max_concurrent).await
}

async fn launched_with(
    retries: Retries,
    members: u32,
    max_concurrent: Option<u32>,
) -> (World, Vec<InstanceArn>) {
    let sweep = SweepRow {
        retries,
        ..sweep(members, &[LANE], max_concurrent)
    };
    let world = World::new(&sweep).await;
    let instances = world.launch_first_batch().await;
    (world, instances)
}

fn state_event(arn: &InstanceArn, state: &str) -> Value {
    json!({
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "resources": [arn.to_string()],
        "detail": {"instance-id": arn.instance_id, "state": state},
    })
}

fn report_event(arn: &InstanceArn) -> Value {
    json!({"detail-type": "Spawn Member Report", "detail": {"instance_arn": arn.to_string()}})
}

fn batch(events: &[Value], deliveries: u32) -> Value {
    let record = |(number, event): (usize, &Value)| {
        json!({
            "messageId": format!("m{number}"),
            "attributes": {"ApproximateReceiveCount": deliveries.to_string()},
            "body": event.to_string(),
        })
    };
    json!({"Records": events.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn report(world: &World, arn: &InstanceArn, exit_code: i64) {
    let attributes =
        json!({"report_exit_code": exit_code, "report_at": 5, "report_result_key": "k"});
    let attributes = attributes.as_object().unwrap().clone();
    world.ledger.report(&instance_key(arn), attributes);
}

async fn states(world: &World) -> Vec<MemberState> {
    world
        .members()
        .await
        .iter()
        .map(|member| member.state)
        .collect()
}

#[tokio::test]
async fn members_follow_their_instances_whatever_repeats_or_reorders() {
    let (world, arns) = launched(3, None).await;
    report(&world, &arns[0], 0);
    report(&world, &arns[1], 3);
    world.cloud.put(&arns[2], InstanceState::Terminated, None);
    let events: Vec<Value> = vec![
        state_event(&arns[0], "running"),
        report_event(&arns[0]),
        state_event(&arns[0], "shutting-down"),
        state_event(&arns[0], "terminated"),
        // The second member's events come backwards.
        state_event(&arns[1], "terminated"),
        state_event(&arns[1], "running"),
        state_event(&arns[1], "pending"),
        state_event(&arns[2], "terminated"),
    ];
    for round in 0..3 {
        let answer = call(&world, &batch(&events, 1), 10_000).await;
        assert_eq!(answer, json!({"batchItemFailures": []}), "round {round}");
        use MemberState::{Completed, Failed};
        assert_eq!(
            states(&world).await,
            [Completed, Failed, Failed],
            "round {round}"
        );
        assert_eq!(
            world.violations().await,
            Vec::<String>::new(),
            "round {round}"
        );
    }
    let members = world.members().await;
    assert_eq!(members[0].exit_code, Some(0));
    assert_eq!(members[0].result_key.as_deref(), Some("k"));
    assert_eq!(members[1].reason.as_deref(), Some("exit code 3"));
    assert!(
        members[2]
            .reason
            .as_ref()
            .unwrap()
            .contains("without a report")
    );
}

#[tokio::test]
async fn a_member_holds_its_slot_until_its_instance_ends() {
    let (world, arns) = launched(2, Some(1)).await;
    call(&world, &json!({"register": {"kind": "slot", "sweep_id": world.sweep_id, "lane": LANE, "task_token": "slot-1"}}), 1).await;
    report(&world, &arns[0], 0);
    call(
        &world,
        &batch(
            &[state_event(&arns[0], "running"), report_event(&arns[0])],
            1,
        ),
        2,
    )
    .await;
    assert_eq!(world.executions.woken(), Vec::<String>::new());
    assert_eq!(world.sweep().await.live, 1);
    call(
        &world,
        &batch(&[state_event(&arns[0], "shutting-down")], 1),
        3,
    )
    .await;
    assert_eq!(world.executions.woken(), ["slot-1"]);
    assert_eq!(world.sweep().await.live, 0);
}

#[tokio::test]
async fn a_lane_that_registers_after_the_slot_was_freed_is_woken_at_once() {
    let (world, arns) = launched(2, Some(1)).await;
    world.cloud.put(&arns[0], InstanceState::Terminated, None);
    call(&world, &batch(&[state_event(&arns[0], "terminated")], 1), 2).await;
    call(&world, &json!({"register": {"kind": "slot", "sweep_id": world.sweep_id, "lane": LANE, "task_token": "late"}}), 3).await;
    assert_eq!(world.executions.woken(), ["late"]);
}

#[tokio::test]
async fn the_sweep_is_woken_when_its_last_member_ends_in_either_order() {
    for register_first in [true, false] {
        let (world, arns) = launched(2, None).await;
        for arn in &arns {
            world.cloud.put(arn, InstanceState::Terminated, None);
        }
        let register = json!({"register": {"kind": "completion", "sweep_id": world.sweep_id, "task_token": "t"}});
        if register_first {
            call(&world, &register, 1).await;
        }
        call(&world, &batch(&[state_event(&arns[0], "terminated")], 1), 2).await;
        assert!(world.executions.woken().is_empty());
        call(&world, &batch(&[state_event(&arns[1], "terminated")], 1), 3).await;
        if !register_first {
            call(&world, &register, 4).await;
        }
        // What comes after the end wakes nobody again.
        call(&world, &batch(&[state_event(&arns[1], "terminated")], 1), 5).await;
        assert_eq!(world.executions.woken(), ["t"], "{register_first}");
    }
}

/// A call whose answer was lost, and which goes on after it was made again.
#[tokio::test]
async fn an_older_token_never_replaces_a_newer_one() {
    let (world, arns) = launched(2, Some(1)).await;
    let register = |kind: &str, token: &str| json!({"register": {"kind": kind, "sweep_id": world.sweep_id, "lane": LANE, "task_token": token}});
    for kind in ["slot", "completion"] {
        call(&world, &register(kind, &format!("{kind} new")), 20).await;
        call(&world, &register(kind, &format!("{kind} old")), 10).await;
    }
    for (arn, at) in arns.iter().zip([30, 40]) {
        world.cloud.put(arn, InstanceState::Terminated, None);
        call(&world, &batch(&[state_event(arn, "terminated")], 1), at).await;
    }
    let mut woken = world.executions.woken();
    woken.sort();
    assert_eq!(woken, ["completion new", "slot new"]);
}

#[tokio::test]
async fn events_of_strangers_come_back_twice_and_are_dropped_then() {
    let (world, arns) = launched(1, None).await;
    let stranger = InstanceArn {
        instance_id: "i-0123456789abcdef0".to_owned(),
        ..arns[0].clone()
    };
    let event = [state_event(&stranger, "running")];
    for (deliveries, failures) in [(1, 1), (2, 1), (3, 0)] {
        let answer = call(&world, &batch(&event, deliveries), 1).await;
        assert_eq!(
            answer["batchItemFailures"].as_array().unwrap().len(),
            failures
        );
    }
    let answer = call(&world, &batch(&[report_event(&stranger)], 1), 1).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn a_message_that_is_no_event_is_dropped_and_harms_no_other() {
    let (world, arns) = launched(1, None).await;
    let mut event = batch(
        &[
            json!({"detail-type": "Weather"}),
            state_event(&arns[0], "running"),
        ],
        1,
    );
    event["Records"]
        .as_array_mut()
        .unwrap()
        .push(json!({"messageId": "x", "body": "not json"}));
    assert_eq!(
        call(&world, &event, 1).await,
        json!({"batchItemFailures": []})
    );
    assert_eq!(states(&world).await, [MemberState::Running]);
}

#[tokio::test]
async fn reconcile_repairs_what_lost_events_left_behind_and_wakes() {
    let (world, arns) = launched(3, None).await;
    call(
        &world,
        &json!({"register": {"kind": "completion", "sweep_id": world.sweep_id, "task_token": "t"}}),
        1,
    )
    .await;
    report(&world, &arns[0], 0);
    world.cloud.put(&arns[0], InstanceState::Terminated, None);
    world.cloud.put(&arns[1], InstanceState::Running, None);
    world.cloud.put(
        &arns[2],
        InstanceState::Terminated,
        Some("Server.SpotInstanceTermination"),
    );
    let answer = call(&world, &json!({"reconcile": {}}), 2_000).await;
    assert_eq!(answer["repaired"], 3);
    use MemberState::{Completed, Interrupted, Running};
    assert_eq!(states(&world).await, [Completed, Running, Interrupted]);
    assert!(world.executions.woken().is_empty());
    world.cloud.put(&arns[1], InstanceState::Terminated, None);
    call(&world, &json!({"reconcile": {}}), 3_000).await;
    assert_eq!(world.executions.woken(), ["t"]);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

/// 50,000 members are read in three turns: what it costs to look after one does not grow with the others.
#[tokio::test]
async fn the_members_of_a_very_large_sweep_are_read_every_few_minutes() {
    let (world, arns) = launched(2, None).await;
    let large = SweepRow {
        members: 50_000,
        ..world.sweep().await
    };
    let write = large.replace().unwrap();
    Ledger::commit(&world.ledger, vec![write]).await.unwrap();
    world.cloud.put(&arns[0], InstanceState::Running, None);
    for (minute, repaired) in [(1, 0), (2, 0), (3, 1), (4, 0)] {
        let answer = call(&world, &json!({"reconcile": {}}), minute * 60_000).await;
        assert_eq!(answer["repaired"], repaired, "minute {minute}");
    }
}

#[tokio::test]
async fn a_spot_notice_makes_the_end_an_interruption() {
    let (world, arns) = launched(1, None).await;
    let notice = json!({
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "resources": [arns[0].to_string()],
        "detail": {"instance-id": arns[0].instance_id, "instance-action": "terminate"},
    });
    call(
        &world,
        &batch(&[notice, state_event(&arns[0], "shutting-down")], 1),
        1,
    )
    .await;
    assert_eq!(states(&world).await, [MemberState::Interrupted]);
}

/// Events are best effort, the warning of an interruption, too; and the event of the end does not say why.
#[tokio::test]
async fn an_interruption_whose_warning_was_lost_is_still_one() {
    let (world, arns) = launched_with(Retries::default(), 2, None).await;
    let lost = Some("Server.SpotInstanceTermination");
    world.cloud.put(&arns[0], InstanceState::ShuttingDown, lost);
    let end = batch(&[state_event(&arns[0], "shutting-down")], 1);
    assert_eq!(
        call(&world, &end, 1).await,
        json!({"batchItemFailures": []})
    );
    let member = world.members().await.remove(0);
    assert_eq!(member.state, MemberState::Planned, "it is tried again");
    assert_eq!(member.tries[0].code, EndCode::Interrupted);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_end_that_ec2_does_not_show_yet_is_looked_up_again_and_left_to_reconcile_at_last() {
    let (world, arns) = launched(1, None).await;
    let end = [state_event(&arns[0], "terminated")];
    let again = json!({"batchItemFailures": [{"itemIdentifier": "m0"}]});
    assert_eq!(call(&world, &batch(&end, 1), 1).await, again);
    let place = world.sweep().await.lanes[0].place();
    world.cloud.reach(place, false);
    assert_eq!(call(&world, &batch(&end, 2), 2).await, again);
    world.cloud.reach(place, true);
    assert_eq!(
        call(&world, &batch(&end, 3), 3).await,
        json!({"batchItemFailures": []})
    );
    assert_eq!(states(&world).await, [MemberState::Launching]);
    let user = Some("Client.UserInitiatedShutdown");
    world.cloud.put(&arns[0], InstanceState::Terminated, user);
    call(&world, &json!({"reconcile": {}}), 4_000).await;
    let member = world.members().await.remove(0);
    assert_eq!(member.code, Some(EndCode::EndedOutside));
}

/// All lanes have ended, and the sweep waits: it is told to launch the lane again, once for all that is to be tried again, and
/// waits anew.
#[tokio::test]
async fn a_waiting_sweep_is_told_to_launch_the_lanes_of_members_to_be_tried_again() {
    let register = |token: &str| json!({"register": {"kind": "completion", "sweep_id": "test-20260101-abcdef", "task_token": token}});
    for register_first in [true, false] {
        let (world, arns) = launched_with(Retries::default(), 2, None).await;
        let lost = |arn: &InstanceArn| {
            let notice = json!({
                "detail-type": "EC2 Spot Instance Interruption Warning",
                "resources": [arn.to_string()],
                "detail": {"instance-id": arn.instance_id, "instance-action": "terminate"},
            });
            batch(&[notice, state_event(arn, "terminated")], 1)
        };
        if register_first {
            call(&world, &register("one"), 1).await;
        }
        call(&world, &lost(&arns[0]), 2).await;
        if !register_first {
            call(&world, &register("one"), 3).await;
        }
        call(&world, &lost(&arns[0]), 4).await;
        assert_eq!(world.executions.woken(), ["one"], "{register_first}");
        let answer = json!({"relaunch": true, "lanes": [LANE]});
        assert_eq!(world.executions.answers(), [answer], "{register_first}");
        assert_eq!(states(&world).await[0], MemberState::Planned);
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

/// What is measured while a batch is handled: the values of every metric.
async fn measured(world: &World, event: &Value, now: u64) -> Vec<(String, Value)> {
    let lines = Mutex::new(Vec::new());
    let measure = |measured: &Measured| lines.lock().unwrap().extend(measured.lines(now));
    let ports = Ports {
        measure: &measure,
        ..ports(world)
    };
    handle(Input::parse(event).unwrap(), &ports, now)
        .await
        .unwrap();
    let lines = lines.into_inner().unwrap();
    let of_line = |line: &Value| {
        let told = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
        let names = told.as_array().unwrap().iter();
        names
            .map(|metric| metric["Name"].as_str().unwrap().to_owned())
            .map(|name| (name.clone(), line[&name].clone()))
            .collect::<Vec<_>>()
    };
    lines.iter().flat_map(of_line).collect()
}

#[tokio::test]
async fn a_start_and_a_retry_are_measured_once_whatever_repeats() {
    let (world, arns) = launched_with(Retries::default(), 2, None).await;
    let launched_at = world.members().await[0].launched_at.unwrap();
    let run = batch(
        &[
            state_event(&arns[0], "running"),
            state_event(&arns[1], "running"),
        ],
        1,
    );
    let took = json!([4_250, 4_250]);
    assert_eq!(
        measured(&world, &run, launched_at + 4_250).await,
        [("time_to_running".to_owned(), took)]
    );
    assert_eq!(measured(&world, &run, launched_at + 9_000).await, []);

    let notice = json!({
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "resources": [arns[0].to_string()],
        "detail": {"instance-id": arns[0].instance_id, "instance-action": "terminate"},
    });
    let lost = batch(&[notice, state_event(&arns[0], "terminated")], 1);
    assert_eq!(
        measured(&world, &lost, launched_at + 10_000).await,
        [("retries".to_owned(), json!(1))]
    );
    assert_eq!(measured(&world, &lost, launched_at + 11_000).await, []);
}

/// The event of a stopped execution may be lost; the sweep is drained all the same, and once.
#[tokio::test]
async fn a_sweep_whose_execution_ended_badly_is_drained_by_reconcile() {
    let (world, _) = launched(2, None).await;
    let reconcile = json!({"reconcile": {}});
    call(&world, &reconcile, 1_000).await;
    assert_eq!(world.executions.drains(), 0);
    world.executions.end_badly(BadEnd::Aborted);
    call(&world, &reconcile, 60_000).await;
    call(&world, &reconcile, 120_000).await;
    assert_eq!(world.executions.drains(), 1, "once an hour");
    world.drain(SweepStatus::Cancelled, "stopped").await;
    call(&world, &reconcile, 4_000_000).await;
    assert_eq!(world.executions.drains(), 1, "it drains already");
}

/// What is stopped costs its volume: budgets are charged with it as it comes, also after the end of the sweep, until the instance is
/// gone; and the sweep's row says until when that was.
#[tokio::test]
async fn the_volume_of_a_stopped_instance_is_charged_until_it_is_gone() {
    const HOUR: u64 = 3_600_000;
    let (world, arns) = launched(2, None).await;
    report(&world, &arns[0], 0);
    world.cloud.put(&arns[0], InstanceState::Stopped, None);
    world.cloud.put(&arns[1], InstanceState::Terminated, None);
    call(&world, &json!({"reconcile": {}}), HOUR).await;
    use MemberState::{Completed, Reaped};
    assert_eq!(states(&world).await, [Completed, Reaped]);
    let at_the_end = world.sweep().await;
    assert_eq!(
        (at_the_end.live, at_the_end.charged),
        (0, at_the_end.billed)
    );
    let lingering = LingeringRow {
        sweep_id: world.sweep_id.clone(),
        ended_at: HOUR,
        version: 0,
    };
    let write = lingering.create().unwrap();
    world.ledger.commit(vec![write]).await.unwrap();
    let lingers = async || -> usize {
        let rows: Vec<LingeringRow> = load_all(&world.ledger, LINGERING_PK, "").await.unwrap();
        rows.len()
    };

    // Within the hour nothing is written.
    let answer = call(&world, &json!({"reconcile": {}}), HOUR + HOUR / 2).await;
    assert_eq!(answer["repaired"], 0);
    assert_eq!(world.sweep().await.billed, at_the_end.billed);
    // 8 GiB at $0.08 for 8 of 744 hours.
    call(&world, &json!({"reconcile": {}}), 9 * HOUR).await;
    let later = world.sweep().await;
    assert_eq!(later.billed - at_the_end.billed, 6_881);
    assert_eq!((later.charged, lingers().await), (later.billed, 1));

    assert_eq!(world.violations().await, Vec::<String>::new());
    // Its event is lost, and EC2 does not show it any more.
    world.cloud.forget(&arns[0]);
    call(&world, &json!({"reconcile": {}}), 17 * HOUR).await;
    let gone = world.sweep().await;
    assert_eq!(gone.billed - at_the_end.billed, 2 * 6_881 + 1);
    call(&world, &json!({"reconcile": {}}), 18 * HOUR).await;
    let last = world.sweep().await;
    assert_eq!((last.billed, last.charged), (gone.billed, gone.billed));
    assert_eq!((last.lingered_until, lingers().await), (Some(18 * HOUR), 0));
}

/// The event of the end is what the volume is billed to.
#[tokio::test]
async fn the_end_of_a_stopped_instance_is_taken_from_its_event() {
    const HOUR: u64 = 3_600_000;
    let (world, arns) = launched(1, None).await;
    report(&world, &arns[0], 0);
    world.cloud.put(&arns[0], InstanceState::Stopped, None);
    call(&world, &json!({"reconcile": {}}), HOUR).await;
    let stopped = world.sweep().await.billed;
    call(
        &world,
        &batch(&[state_event(&arns[0], "terminated")], 1),
        9 * HOUR,
    )
    .await;
    let gone = world.sweep().await;
    assert!(gone.billed > stopped && gone.charged == gone.billed);
    call(
        &world,
        &batch(&[state_event(&arns[0], "terminated")], 1),
        19 * HOUR,
    )
    .await;
    assert_eq!(world.sweep().await.billed, gone.billed);
}
