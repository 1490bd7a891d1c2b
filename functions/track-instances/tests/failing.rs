//! Sweeps of which too many members fail, and places that do not answer.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use std::sync::Mutex;

use serde_json::{Value, json};
use simulation::{Cloud, Executions, MemoryLedger, World, sweep};
use spawn_core::account::Place;
use spawn_core::ending::EndCode;
use spawn_core::ids::InstanceArn;
use spawn_core::metrics::Measured;
use spawn_core::policy::{OnFailure, Retries, Tolerated};
use spawn_core::ports::InstanceState;
use spawn_core::rows::SweepRow;
use spawn_core::state::{MemberState, SweepStatus};
use track_instances::{Input, Ports, handle};

const LANE: &str = "us-east-1.on-demand";

async fn call(world: &World, event: &Value, measure: &(dyn Fn(&Measured) + Sync)) -> Value {
    let ports: Ports<'_, MemoryLedger, Cloud, Executions> = Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
        measure,
    };
    handle(Input::parse(event).unwrap(), &ports, 7_000)
        .await
        .unwrap()
}

async fn terminated(world: &World, arn: &InstanceArn) {
    world.cloud.put(arn, InstanceState::Terminated, None);
    let event = json!({
        "detail-type": "EC2 Instance State-change Notification",
        "resources": [arn.to_string()],
        "detail": {"instance-id": arn.instance_id, "state": "terminated"},
    });
    let record = json!({"messageId": "m", "attributes": {"ApproximateReceiveCount": "1"}, "body": event.to_string()});
    call(world, &json!({"Records": [record]}), &|_| ()).await;
}

/// Six of ten members launched, and one failure more than is tolerated.
async fn with_failures(on_failure: OnFailure, failures: usize) -> (World, Vec<InstanceArn>) {
    let row = SweepRow {
        on_failure,
        tolerated_failures: Tolerated::Percent(25).of(10),
        retries: Retries::NONE,
        ..sweep(10, &[LANE], Some(6))
    };
    let world = World::new(&row).await;
    let instances = world.launch_first_batch().await;
    for arn in instances.iter().take(failures) {
        terminated(&world, arn).await;
    }
    (world, instances)
}

#[tokio::test]
async fn failures_up_to_the_tolerated_share_change_nothing() {
    for on_failure in [OnFailure::Continue, OnFailure::Hold, OnFailure::Drain] {
        let (world, _) = with_failures(on_failure, 2).await;
        assert_eq!(world.sweep().await.held, None);
        assert_eq!(world.executions.drains(), 0);
    }
    let (world, _) = with_failures(OnFailure::Continue, 6).await;
    assert!(world.sweep().await.may_launch());
}

#[tokio::test]
async fn a_held_sweep_launches_no_more_and_ends_with_its_last_running_member() {
    let (world, instances) = with_failures(OnFailure::Hold, 3).await;
    let register = json!({"register": {"kind": "completion", "sweep_id": world.sweep_id, "task_token": "end"}});
    let slot = json!({"register": {"kind": "slot", "sweep_id": world.sweep_id, "lane": LANE, "task_token": "lane"}});
    call(&world, &slot, &|_| ()).await;
    call(&world, &register, &|_| ()).await;
    let row = world.sweep().await;
    assert!(!row.may_launch() && !row.is_over());
    assert!(row.held.as_ref().unwrap().contains("3 of 10"), "{row:?}");
    // The lane that waited finds that there is nothing more to launch.
    assert_eq!(world.executions.woken(), ["lane"]);
    assert_eq!(world.executions.drains(), 0);
    for arn in &instances[3..] {
        terminated(&world, arn).await;
    }
    assert_eq!(world.executions.woken(), ["lane", "end"]);
    let members = world.members().await;
    let planned = members.iter().filter(|m| m.state == MemberState::Planned);
    assert_eq!(planned.count(), 4);
    assert!(
        members
            .iter()
            .all(|m| m.code.is_none_or(|code| code == EndCode::Lost))
    );
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_is_drained_once_past_its_tolerated_failures() {
    let (world, instances) = with_failures(OnFailure::Drain, 3).await;
    terminated(&world, &instances[3]).await;
    call(&world, &json!({"reconcile": {}}), &|_| ()).await;
    assert!(!world.sweep().await.may_launch());
    assert_eq!(world.executions.drains(), 1);
    let drain = world.executions.last_drain().unwrap();
    assert_eq!(drain.status, SweepStatus::Failed);
    assert!(drain.reason.contains("and 2 are tolerated"), "{drain:?}");
}

#[tokio::test]
async fn a_place_that_does_not_answer_keeps_no_other_from_being_reconciled_and_is_counted() {
    let lanes = ["eu-west-1.spot", "111122223333.us-east-1.on-demand"];
    for broken in lanes {
        // The lane that is launched is the first one.
        let first = lanes.into_iter().find(|lane| *lane != broken).unwrap();
        let row = SweepRow {
            retries: Retries::NONE,
            ..sweep(2, &[first, broken], None)
        };
        let world = World::new(&row).await;
        let instances = world.launch_first_batch().await;
        world
            .cloud
            .put(&instances[0], InstanceState::Terminated, None);
        let place: Place = row.lanes[1].place();
        world.cloud.reach(place, false);
        let measured = Mutex::new(Vec::new());
        let measure = |one: &Measured| measured.lock().unwrap().extend(one.lines(0));
        let answer = call(&world, &json!({"reconcile": {}}), &measure).await;
        assert_eq!(answer["repaired"], 1, "{broken}");
        assert_eq!(answer["unreachable"], json!([place.to_string()]));
        assert_eq!(measured.lock().unwrap()[0]["unreachable_places"], 1);
        world.cloud.reach(place, true);
        let answer = call(&world, &json!({"reconcile": {}}), &|_| ()).await;
        assert_eq!(answer["unreachable"], json!([]));
    }
}

/// The calls of a pass over a sweep of `members` that run, of which EC2 shows what the ledger says.
async fn calls_of_a_quiet_pass(members: u32, lanes: &[&str]) -> usize {
    let world = World::new(&sweep(members, lanes, None)).await;
    for arn in world.launch_first_batch().await {
        world.cloud.put(&arn, InstanceState::Running, None);
    }
    let answer = call(&world, &json!({"reconcile": {}}), &|_| ()).await;
    assert!(answer["repaired"].as_u64().unwrap() > 0);
    world.faults.arm(None);
    let answer = call(&world, &json!({"reconcile": {}}), &|_| ()).await;
    assert_eq!(answer["repaired"], 0);
    world.faults.calls()
}

#[tokio::test]
async fn a_pass_that_finds_nothing_new_reads_every_member_once_wherever_they_are() {
    let one = calls_of_a_quiet_pass(1, &[LANE]).await;
    assert_eq!(calls_of_a_quiet_pass(30, &[LANE]).await, one);
    // A second place is listed, and nothing else.
    let two = calls_of_a_quiet_pass(30, &[LANE, "us-west-2.on-demand"]).await;
    assert_eq!(two, one + 1);
}
