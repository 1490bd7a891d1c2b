//! Passes of the reaper over a place: what must end ends, what lives and works does not, whatever fails.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use std::collections::BTreeMap;

use idle_reaper::{Input, Ports, handle};
use serde_json::{Value, json};
use simulation::{COMMITMENT, Death, When, World, sweep};
use spawn_core::account::Place;
use spawn_core::ending::EndCode;
use spawn_core::errors::FunctionError;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::{self, Attributes, Ledger as _, Stored as _, Versioned as _};
use spawn_core::ports::InstanceState;
use spawn_core::reap::breaker::Limit;
use spawn_core::reap::{KEEP_ALIVE_TAG, ORPHAN_TAG, PROTECT_TAG, Point, deadline, idle};
use spawn_core::rows::{
    InstanceRow, LingeringRow, OnComplete, ProgramRow, SweepRow, instance_key, program_key,
};
use spawn_core::state::MemberState;
use spawn_core::track;

const LANE: &str = "us-east-1.on-demand";
const MINUTE: u64 = 60 * 1000;
const HOUR: u64 = 60 * MINUTE;

async fn ask(world: &World, input: Value, now: u64) -> Result<Value, FunctionError> {
    let input: Input = serde_json::from_value(input).unwrap();
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
        limit: Limit::default(),
        home: "us-east-1".parse().unwrap(),
        measure: &|_, _| (),
    };
    handle(input, &ports, now).await
}

async fn pass(world: &World, now: u64) -> Value {
    let input = json!({"reap_place": {"place": "us-east-1"}});
    ask(world, input, now).await.unwrap()
}

/// A sweep whose members run since the beginning and have said that they are busy; their ttl is an hour.
async fn running(members: u32) -> (World, Vec<InstanceArn>) {
    let world = World::new(&sweep(members, &[LANE], None)).await;
    let instances = world.launch_first_batch().await;
    for arn in &instances {
        world.cloud.put(arn, InstanceState::Running, None);
        say(&world, arn, "busy", MINUTE, MINUTE);
    }
    (world, instances)
}

async fn row(world: &World, arn: &InstanceArn) -> InstanceRow {
    ledger::require(&world.ledger, instance_key(arn))
        .await
        .unwrap()
}

/// An instance reports.
fn say(world: &World, arn: &InstanceArn, activity: &str, since: u64, at: u64) {
    let report = json!({
        "report_heartbeat_at": at, "report_activity": activity, "report_activity_since": since,
    });
    report_row(world, arn, report);
}

fn report_row(world: &World, arn: &InstanceArn, report: Value) {
    let Value::Object(attributes) = report else {
        panic!("a report is an object")
    };
    let attributes: Attributes = attributes;
    world.ledger.report(&instance_key(arn), attributes);
}

/// Gives the sweep's program an idle timeout.
async fn limit_idleness(world: &World, seconds: u64, hibernate: bool) {
    let key = program_key(&world.sweep_id, 0);
    let mut program: ProgramRow = ledger::require(&world.ledger, key).await.unwrap();
    program.idle_timeout_s = Some(seconds);
    program.hibernate_on_idle = hibernate;
    let row = program.row().unwrap();
    world.ledger.put_all(vec![row]).await.unwrap();
}

fn state(world: &World, arn: &InstanceArn) -> InstanceState {
    let all = world.cloud.instances();
    all.iter().find(|one| one.arn == *arn).unwrap().state
}

async fn member_states(world: &World) -> Vec<MemberState> {
    world.members().await.iter().map(|m| m.state).collect()
}

fn decisions(passed: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(passed["decisions"].clone()).unwrap()
}

#[tokio::test]
async fn an_instance_whose_kill_switch_failed_is_ended_at_its_ttl_and_its_member_says_why() {
    let (world, instances) = running(3).await;
    pass(&world, 2 * MINUTE).await;
    pass(&world, HOUR - 1).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    let passed = pass(&world, HOUR + 1).await;
    assert_eq!(decisions(&passed), [("terminate ttl".to_owned(), 3)].into());
    for arn in &instances {
        assert_eq!(state(&world, arn), InstanceState::Terminated);
    }
    let members = world.members().await;
    assert!(members.iter().all(|m| m.state == MemberState::Reaped));
    assert_eq!(members[0].reason.as_deref(), Some("its ttl passed"));
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn users_are_warned_in_the_instances_row_before_its_end() {
    let (world, instances) = running(1).await;
    pass(&world, HOUR - 4 * MINUTE).await;
    let row = world
        .ledger
        .get(&[instance_key(&instances[0])])
        .await
        .unwrap();
    let warning = row[0].as_ref().unwrap().attributes["warning"].clone();
    assert!(
        warning.as_str().unwrap().contains("1970-01-01T01:00:00Z"),
        "{warning}"
    );
    assert_eq!(
        decisions(&pass(&world, HOUR - 3 * MINUTE).await),
        [("keep not_due".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn one_seen_busy_is_not_read_again_until_it_could_be_idle_for_too_long() {
    let (world, instances) = running(2).await;
    limit_idleness(&world, 20 * 60, false).await;
    assert_eq!(pass(&world, 2 * MINUTE).await["looked_at"], 2);
    assert_eq!(pass(&world, 10 * MINUTE).await["looked_at"], 0);
    // One of them has been idle since the sixth minute; the other goes on.
    say(&world, &instances[0], "idle", 6 * MINUTE, 11 * MINUTE);
    say(&world, &instances[1], "busy", MINUTE, 16 * MINUTE);
    assert_eq!(pass(&world, 21 * MINUTE).await["looked_at"], 2);
    let passed = pass(&world, 26 * MINUTE).await;
    assert_eq!(decisions(&passed)["terminate idle"], 1);
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
    assert_eq!(state(&world, &instances[1]), InstanceState::Running);
}

#[tokio::test]
async fn a_silent_instance_is_judged_by_cloudwatch_and_kept_when_that_does_not_answer() {
    let (world, instances) = running(1).await;
    limit_idleness(&world, 20 * 60, false).await;
    deadlines(&world, 10 * HOUR).await;
    let quiet = |from: u64, to: u64| {
        let point = |n: u64| Point {
            at: n * idle::PERIOD_MS,
            cpu_average_millipercent: Some(10),
            cpu_maximum_millipercent: Some(10),
            network_bytes_per_s: Some(10),
            disk_bytes_per_s: Some(10),
        };
        (from / idle::PERIOD_MS..to / idle::PERIOD_MS)
            .map(point)
            .collect::<Vec<_>>()
    };
    world.cloud.cloudwatch_answers(false);
    pass(&world, 2 * HOUR).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    world.cloud.cloudwatch_answers(true);
    pass(&world, 2 * HOUR + 15 * MINUTE).await;
    assert_eq!(
        state(&world, &instances[0]),
        InstanceState::Running,
        "no points"
    );
    world
        .cloud
        .put_points(&instances[0].instance_id, quiet(0, 3 * HOUR));
    pass(&world, 3 * HOUR).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
}

/// Moves the deadlines of all members.
async fn deadlines(world: &World, deadline: u64) {
    let members = world
        .members()
        .await
        .into_iter()
        .map(|m| (m, deadline))
        .collect();
    for writes in deadline::change(&world.sweep_id, members, MINUTE).unwrap() {
        world.ledger.commit(writes).await.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_that_is_brought_forward_is_seen_by_the_next_pass() {
    let (world, instances) = running(1).await;
    pass(&world, 2 * MINUTE).await;
    let members = world
        .members()
        .await
        .into_iter()
        .map(|m| (m, 3 * MINUTE))
        .collect();
    for writes in deadline::change(&world.sweep_id, members, 2 * MINUTE + 30_000).unwrap() {
        world.ledger.commit(writes).await.unwrap();
    }
    pass(&world, 3 * MINUTE).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
}

#[tokio::test]
async fn what_is_to_hibernate_and_cannot_is_stopped_and_says_so() {
    let (world, instances) = running(2).await;
    limit_idleness(&world, 600, true).await;
    world
        .cloud
        .tag(&instances[0].instance_id, "test:can-hibernate", "");
    for arn in &instances {
        say(&world, arn, "idle", 2 * MINUTE, 7 * MINUTE);
    }
    let passed = pass(&world, 20 * MINUTE).await;
    assert_eq!(
        decisions(&passed),
        [
            ("hibernate idle".to_owned(), 1),
            ("stop idle".to_owned(), 1)
        ]
        .into()
    );
    for arn in &instances {
        assert_eq!(state(&world, arn), InstanceState::Stopped);
    }
    let members = world.members().await;
    assert!(
        members
            .iter()
            .all(|m| m.state == MemberState::Stopped && m.ended_at.is_none())
    );
    let told = members.iter().filter(|m| {
        m.reason
            .as_ref()
            .is_some_and(|r| r.contains("without the option"))
    });
    assert_eq!(told.count(), 1);
    // Its time stands still: long after its ttl it is still there.
    pass(&world, 5 * HOUR).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Stopped);
}

#[tokio::test]
async fn a_pass_that_fails_says_where() {
    let (world, _) = running(1).await;
    world
        .cloud
        .reach(Place::home("us-east-1".parse().unwrap()), false);
    let input = json!({"reap_place": {"place": "us-east-1"}});
    let error = ask(&world, input, HOUR).await.unwrap_err();
    assert!(error.to_string().contains("us-east-1: "), "{error}");
}

#[tokio::test]
async fn tags_of_persons_are_obeyed() {
    let (world, instances) = running(3).await;
    world
        .cloud
        .tag(&instances[0].instance_id, PROTECT_TAG, "yes");
    world.cloud.tag(
        &instances[1].instance_id,
        KEEP_ALIVE_TAG,
        "1970-01-01T02:00:00Z",
    );
    // Its kill switch learns of it, and so do budgets.
    pass(&world, HOUR - 4 * MINUTE).await;
    let members = world.members().await;
    assert_eq!(members[1].ttl_deadline, Some(2 * HOUR));
    assert_eq!(
        row(&world, &instances[1]).await.ttl_deadline,
        Some(2 * HOUR)
    );
    assert!(members[1].spent[0].committed > members[2].spent[0].committed);
    assert_eq!(world.violations().await, Vec::<String>::new());
    pass(&world, HOUR + 1).await;
    let alive = |n: usize| state(&world, &instances[n]) == InstanceState::Running;
    assert!(alive(0) && alive(1) && !alive(2));
    pass(&world, 2 * HOUR + 1).await;
    assert!(alive(0) && !alive(1));
}

/// Its sweep leaves the instance to whoever works on it after the program.
#[tokio::test]
async fn what_stays_after_its_program_is_kept_alive_as_well() {
    let (world, instances) = running(1).await;
    let key = program_key(&world.sweep_id, 0);
    let mut program: ProgramRow = ledger::require(&world.ledger, key).await.unwrap();
    program.on_complete = OnComplete::None;
    world
        .ledger
        .put_all(vec![program.row().unwrap()])
        .await
        .unwrap();
    let mut member = world.members().await.remove(0);
    member.state = MemberState::Completed;
    member.ended_at = Some(10 * MINUTE);
    world
        .ledger
        .put_all(vec![member.row().unwrap()])
        .await
        .unwrap();
    let two_hours = "1970-01-01T02:00:00Z";
    let id = &instances[0].instance_id;
    world.cloud.tag(id, KEEP_ALIVE_TAG, two_hours);
    pass(&world, HOUR - 4 * MINUTE).await;
    pass(&world, HOUR + 1).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    pass(&world, 2 * HOUR + 1).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
}

#[tokio::test]
async fn nothing_is_kept_alive_past_its_ttl_that_no_budget_has_room_for() {
    let budget = Some(COMMITMENT);
    let world = World::new(&SweepRow {
        budget,
        ..sweep(1, &[LANE], None)
    })
    .await;
    let instances = world.launch_first_batch().await;
    let [arn] = instances.as_slice() else {
        panic!("one is launched")
    };
    world.cloud.put(arn, InstanceState::Running, None);
    let two_hours = "1970-01-01T02:00:00Z";
    world.cloud.tag(&arn.instance_id, KEEP_ALIVE_TAG, two_hours);
    pass(&world, HOUR - 4 * MINUTE).await;
    let warning = row(&world, arn).await.warning.unwrap();
    assert!(
        warning.contains("the budget of $2.00 has no room for"),
        "{warning}"
    );
    pass(&world, HOUR + 1).await;
    assert_eq!(state(&world, arn), InstanceState::Terminated);
    assert!(world.sweep().await.charged <= COMMITMENT.0);
}

#[tokio::test]
async fn an_orphan_is_marked_by_one_pass_and_ended_by_a_later_one() {
    let (world, instances) = running(2).await;
    // Its row is lost, and no member names it.
    forget(&world, &instances[0]).await;
    take_from_its_member(&world, &instances[0]).await;
    let passed = pass(&world, 20 * MINUTE).await;
    assert_eq!(decisions(&passed)["warn orphan"], 1);
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    pass(&world, 21 * MINUTE).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    pass(&world, 22 * MINUTE).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
    assert_eq!(state(&world, &instances[1]), InstanceState::Running);
}

async fn forget(world: &World, arn: &InstanceArn) {
    let key = instance_key(arn);
    let row = world.ledger.get(std::slice::from_ref(&key)).await.unwrap();
    let mut attributes = row[0].clone().unwrap().attributes;
    attributes.insert("version".to_owned(), Value::from(1));
    world.ledger.report(&key, attributes);
    let delete = spawn_core::ledger::Write::Delete {
        key,
        expect: spawn_core::ledger::Expect::Version(1),
    };
    world.ledger.commit(vec![delete]).await.unwrap();
}

/// The member of an instance has none any more.
async fn take_from_its_member(world: &World, arn: &InstanceArn) {
    let members = world.members().await;
    let member = members
        .into_iter()
        .find(|m| m.instance.as_ref() == Some(arn));
    let mut member = member.unwrap();
    member.instance = None;
    world
        .ledger
        .put_all(vec![member.row().unwrap()])
        .await
        .unwrap();
}

#[tokio::test]
async fn an_instance_whose_row_is_lost_is_kept_while_a_member_names_it() {
    let (world, instances) = running(2).await;
    forget(&world, &instances[0]).await;
    for minute in [20, 23, 40] {
        pass(&world, minute * MINUTE).await;
    }
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
}

/// Launches the members of a lane; the launcher dies between EC2's answer and the record.
async fn launch_without_record(world: &World, lane: &str) -> launch_batch::Input {
    world.faults.arm(None);
    let ports = launch_batch_ports(world);
    let input = launch_batch::Input {
        sweep_id: world.sweep_id.clone(),
        lane: simulation::lane(lane),
        execution_arn: None,
    };
    let before = world.cloud.instances().len();
    let mut call = 0;
    // The first call after which there are more instances, and no member has them.
    while world.cloud.instances().len() == before {
        assert!(call < 40, "nothing was ever launched");
        world.faults.arm(Some(Death {
            call,
            when: When::After,
        }));
        world.clock.set(MINUTE);
        let process = launch_batch::handle(input.clone(), &ports, 1);
        let process = world.clock.drive(&world.faults, process);
        world.faults.run(process).await;
        world.faults.arm(None);
        call += 1;
    }
    for one in world.cloud.instances() {
        world.cloud.put(&one.arn, InstanceState::Running, None);
    }
    input
}

#[tokio::test]
async fn what_cannot_be_adopted_keeps_nothing_else_from_its_end() {
    const OTHER: &str = "us-east-1.spot";
    let world = World::new(&sweep(4, &[LANE, OTHER], None)).await;
    let recorded = world.launch_first_batch().await;
    deadlines(&world, 10 * MINUTE).await;
    launch_without_record(&world, OTHER).await;
    let lost = world.sweep_id.clone();
    let key = spawn_core::rows::batch_key(&lost, &simulation::lane(OTHER), 0);
    let batch: spawn_core::rows::BatchRow =
        ledger::require(&world.ledger, key.clone()).await.unwrap();
    let delete = ledger::Write::Delete {
        key,
        expect: ledger::Expect::Version(batch.version),
    };
    world.ledger.commit(vec![delete]).await.unwrap();
    let input = json!({"reap_place": {"place": "us-east-1"}});
    let error = ask(&world, input, 20 * MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("BATCH#"), "{error}");
    for one in world.cloud.instances() {
        let expected = match recorded.contains(&one.arn) {
            true => InstanceState::Terminated,
            false => InstanceState::Running,
        };
        assert_eq!(one.state, expected);
    }
}

#[tokio::test]
async fn instances_that_were_launched_and_not_recorded_are_adopted() {
    let world = World::new(&sweep(5, &[LANE], None)).await;
    let input = launch_without_record(&world, LANE).await;
    let ports = launch_batch_ports(&world);
    assert!(world.members().await.iter().all(|m| m.instance.is_none()));
    let passed = pass(&world, 2 * MINUTE).await;
    assert_eq!(
        decisions(&passed),
        [("keep launching".to_owned(), 5)].into()
    );
    let passed = pass(&world, 10 * MINUTE).await;
    assert_eq!(
        decisions(&passed),
        [("adopt not_recorded".to_owned(), 5)].into()
    );
    assert!(world.members().await.iter().all(|m| m.instance.is_some()));
    assert!(
        world
            .cloud
            .instances()
            .iter()
            .all(|i| i.state == InstanceState::Running)
    );
    // The launcher that comes back finds everything done.
    world.clock.set(11 * MINUTE);
    loop {
        let process = launch_batch::handle(input.clone(), &ports, 1);
        let output = world.clock.drive(&world.faults, process).await.unwrap();
        if output.next == launch_batch::Next::Done {
            break;
        }
        let now = spawn_core::ports::Clock::now_ms(&world.clock);
        world.clock.set(now + 100 + output.wait_s * 1000);
    }
    assert_eq!(world.cloud.instances().len(), 5);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

fn launch_batch_ports(
    world: &World,
) -> launch_batch::Ports<'_, simulation::MemoryLedger, simulation::Cloud, simulation::VirtualClock>
{
    launch_batch::Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        clock: &world.clock,
        home: &world.home,
        limits: spawn_core::limits::Sizes::default(),
        publish: &|_, _| {},
    }
}

#[tokio::test]
async fn one_that_has_ended_in_the_ledger_and_runs_in_the_cloud_is_ended() {
    let (world, instances) = running(1).await;
    let mut member = world.members().await.remove(0);
    member.state = MemberState::Reaped;
    member.ended_at = Some(2 * MINUTE);
    world
        .ledger
        .commit(vec![member.replace().unwrap()])
        .await
        .unwrap();
    pass(&world, 3 * MINUTE).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    pass(&world, 4 * MINUTE).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
}

#[tokio::test]
async fn a_completed_instance_that_does_not_shut_down_is_helped() {
    let (world, instances) = running(1).await;
    report_row(
        &world,
        &instances[0],
        json!({"report_exit_code": 0, "report_at": 5 * MINUTE}),
    );
    pass(&world, 5 * MINUTE + 1).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    pass(&world, 6 * MINUTE).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
    assert_eq!(member_states(&world).await, [MemberState::Completed]);
}

#[tokio::test]
async fn an_instance_that_fails_its_status_checks_is_looked_at_and_ended_after_a_grace() {
    let (world, arns) = running(2).await;
    pass(&world, 2 * MINUTE).await;
    world.cloud.impair(&arns[0].instance_id, 3 * MINUTE);
    let early = pass(&world, 22 * MINUTE).await;
    assert_eq!(decisions(&early).get("terminate impaired"), None, "{early}");
    let late = pass(&world, 23 * MINUTE).await;
    assert_eq!(decisions(&late)["terminate impaired"], 1, "{late}");
    assert!(state(&world, &arns[0]).is_ending());
    assert!(!state(&world, &arns[1]).is_ending());
    let member = world.members().await.remove(0);
    assert_eq!(member.code, Some(EndCode::Impaired));
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_place_that_does_not_answer_loses_nothing() {
    let (world, instances) = running(2).await;
    world
        .cloud
        .reach(Place::home("us-east-1".parse().unwrap()), false);
    let input = json!({"reap_place": {"place": "us-east-1"}});
    ask(&world, input, HOUR + 1).await.unwrap_err();
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    world
        .cloud
        .reach(Place::home("us-east-1".parse().unwrap()), true);
    // The failed pass holds the place no longer than it took.
    pass(&world, HOUR + 2).await;
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
}

#[tokio::test]
async fn when_rows_are_missing_in_bulk_nothing_is_ended() {
    let (world, instances) = running(60).await;
    for arn in &instances {
        forget(&world, arn).await;
        take_from_its_member(&world, arn).await;
    }
    for minute in 20..30 {
        pass(&world, minute * MINUTE).await;
    }
    assert!(
        instances
            .iter()
            .all(|arn| state(&world, arn) == InstanceState::Running)
    );
    let passed = pass(&world, 31 * MINUTE).await;
    assert_eq!(
        (&passed["held"], &decisions(&passed)["keep breaker"]),
        (&json!(60), &60)
    );
}

#[tokio::test]
async fn a_pass_ends_its_share_and_the_next_goes_on() {
    let (world, instances) = running(30).await;
    let count = |world: &World| {
        instances
            .iter()
            .filter(|arn| state(world, arn).is_ending())
            .count()
    };
    pass(&world, HOUR + 1).await;
    assert_eq!(count(&world), 10);
    pass(&world, HOUR + MINUTE).await;
    assert_eq!(count(&world), 20);
    pass(&world, HOUR + 2 * MINUTE).await;
    assert_eq!(count(&world), 30);
}

#[tokio::test]
async fn a_dry_run_tells_what_it_would_do_and_does_nothing() {
    let (world, instances) = running(2).await;
    let before = world.ledger.dump();
    let input = json!({"reap_place": {"place": "us-east-1", "dry_run": true}});
    let passed = ask(&world, input, HOUR + 1).await.unwrap();
    assert_eq!(passed["acts"][0]["action"], "terminate");
    assert_eq!(passed["acts"][0]["reason"], "ttl");
    assert_eq!(state(&world, &instances[0]), InstanceState::Running);
    assert_eq!(world.ledger.dump(), before);
}

#[tokio::test]
async fn what_ec2_does_not_end_is_told_and_tried_again() {
    let (world, instances) = running(1).await;
    world.cloud.ignore_ends(true);
    let passed = pass(&world, HOUR + 1).await;
    assert_eq!(passed["unchanged"], 1);
    assert_eq!(member_states(&world).await, [MemberState::Launching]);
    world.cloud.ignore_ends(false);
    assert_eq!(pass(&world, HOUR + MINUTE).await["unchanged"], 0);
    assert_eq!(state(&world, &instances[0]), InstanceState::Terminated);
}

#[tokio::test]
async fn two_passes_at_once_are_one() {
    let (world, _) = running(1).await;
    world.faults.arm(Some(Death {
        call: 4,
        when: When::Before,
    }));
    let input = json!({"reap_place": {"place": "us-east-1"}});
    world.faults.run(ask(&world, input, MINUTE)).await;
    world.faults.arm(None);
    assert_eq!(pass(&world, 2 * MINUTE).await["skipped"], true);
    assert_eq!(pass(&world, 4 * MINUTE).await["skipped"], false);
}

/// The reaper dies before and after each of its calls; the passes after it make everything good.
#[tokio::test]
async fn a_pass_that_dies_anywhere_is_made_good_by_the_next() {
    for call in 0..30 {
        for when in [When::Before, When::After] {
            let (world, instances) = running(4).await;
            forget(&world, &instances[3]).await;
            take_from_its_member(&world, &instances[3]).await;
            world.cloud.tag(
                &instances[3].instance_id,
                ORPHAN_TAG,
                "1970-01-01T00:10:00Z",
            );
            say(&world, &instances[2], "busy", HOUR, HOUR);
            world.faults.arm(Some(Death { call, when }));
            let input = json!({"reap_place": {"place": "us-east-1"}});
            world.faults.run(ask(&world, input, HOUR + 1)).await;
            world.faults.arm(None);
            for minute in 3..6 {
                pass(&world, HOUR + minute * MINUTE).await;
            }
            for arn in &instances {
                assert_eq!(
                    state(&world, arn),
                    InstanceState::Terminated,
                    "{call} {when:?}"
                );
            }
            // A death after the call to EC2 leaves the news to the reconcile pass.
            let here = Place::home("us-east-1".parse().unwrap());
            let (ledger, cloud) = (&world.ledger, &world.cloud);
            track::reconcile(ledger, cloud, &world.sweep_id, here, HOUR + 6 * MINUTE)
                .await
                .unwrap();
            let reasons: Vec<_> = world
                .members()
                .await
                .into_iter()
                .filter_map(|m| m.reason)
                .collect();
            assert_eq!(
                reasons.iter().filter(|r| *r == "its ttl passed").count(),
                3,
                "{reasons:?}"
            );
        }
    }
}

#[tokio::test]
async fn places_are_those_of_live_sweeps_and_of_those_that_were() {
    let world = World::new(&sweep(2, &[LANE, "eu-west-1.spot"], None)).await;
    let places = ask(&world, json!({"places": {}}), MINUTE).await.unwrap();
    assert_eq!(places, json!({"places": ["eu-west-1", "us-east-1"]}));
    let mut over = world.sweep().await;
    over.status = spawn_core::state::SweepStatus::Completed;
    world
        .ledger
        .put_all(vec![over.row().unwrap()])
        .await
        .unwrap();
    let input = json!({"reap_place": {"place": "eu-west-1"}});
    ask(&world, input, 2 * MINUTE).await.unwrap();
    let places = async |due: bool, now| {
        let asked = ask(&world, json!({"places": {"due": due}}), now).await;
        asked.unwrap()["places"].clone()
    };
    assert_eq!(places(true, 3 * MINUTE).await, json!(["us-east-1"]));
    let both = json!(["eu-west-1", "us-east-1"]);
    assert_eq!(places(false, 3 * MINUTE).await, both, "a person gets all");
    assert_eq!(places(true, HOUR).await, both);
    // Something of the sweep lives on, though it has ended.
    ask(&world, json!({"reap_place": {"place": "eu-west-1"}}), HOUR)
        .await
        .unwrap();
    assert_eq!(places(true, HOUR + MINUTE).await, json!(["us-east-1"]));
    let lingering = LingeringRow {
        sweep_id: world.sweep_id.clone(),
        ended_at: HOUR,
        version: 0,
    };
    let write = lingering.create().unwrap();
    world.ledger.commit(vec![write]).await.unwrap();
    assert_eq!(places(true, HOUR + MINUTE).await, both);
}
