//! An ended sweep that is submitted again, twice, at once, and killed at any call.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use plan_sweep::{Input, Output, Ports, handle};
use serde_json::json;
use simulation::{Death, Offers, PriceLists, Route53, VirtualTime, When, World, sweep};
use spawn_core::drain;
use spawn_core::ending::EndCode;
use spawn_core::errors::FunctionError;
use spawn_core::ids::LaneId;
use spawn_core::ledger::{self, Ledger as _, Stored as _, Versioned as _};
use spawn_core::ports::InstanceState;
use spawn_core::rows::{
    BatchRow, Drain, ExecutionRow, LaneRow, RetryRow, Trouble, execution_key, sweep_pk,
};
use spawn_core::state::{MemberState, SweepStatus};
use spawn_core::track::{self, Waiting, WaitingFor};
use std::sync::Arc;

const LANE: &str = "us-east-1.spot";
const OTHER: &str = "eu-west-1.spot";

fn execution(name: &str) -> String {
    format!("arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:{name}")
}

async fn resume(world: &World, name: &str) -> Result<Output, FunctionError> {
    resume_instead(world, name, None).await
}

/// Resumes in the place of the execution `of`, if that is told.
async fn resume_instead(
    world: &World,
    name: &str,
    of: Option<&str>,
) -> Result<Output, FunctionError> {
    let offers = Offers::new(Arc::clone(&world.faults));
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &offers,
        parameters: &offers,
        objects: &world.objects,
        prices: &PriceLists::default(),
        zones: &Route53::new(VirtualTime::default(), Arc::clone(&world.faults)),
        deployment: &common::deployment("t3.micro"),
    };
    let input = Input {
        execution_arn: execution(name),
        started_at: "2026-01-22T10:00:00Z".to_owned(),
        input: json!({"resume": world.sweep_id, "instead_of": of}),
        trace: Some(format!("trace of {name}")),
    };
    handle(input, &ports, 1_000_000).await
}

/// A sweep of six members in two lanes that was cancelled: of the first lane one member completed, one failed and one was reaped;
/// the other lane launched nothing, since EC2 refused its shape.
async fn cancelled() -> World {
    let mut row = sweep(6, &[LANE, OTHER], None);
    row.topics = vec!["arn:aws:sns:us-east-1:000000000000:ends".to_owned()];
    let world = World::new(&row).await;
    let old = ExecutionRow {
        execution_arn: row.execution_arn.clone(),
        sweep_id: Some(row.sweep_id.clone()),
        version: 0,
    };
    world
        .ledger
        .commit(vec![old.create().unwrap()])
        .await
        .unwrap();
    let instances = world.launch_first_batch().await;
    let ends = [
        (MemberState::Completed, EndCode::Completed),
        (MemberState::Failed, EndCode::ExitCode),
        (MemberState::Reaped, EndCode::ReapedDrain),
    ];
    let mut rows = Vec::new();
    let mut sweep = world.sweep().await;
    let mut members = world.members().await;
    for ((member, arn), (state, code)) in members.iter_mut().zip(&instances).zip(ends) {
        world.cloud.put(arn, InstanceState::Terminated, None);
        member.state = state;
        member.code = Some(code);
        member.live = false;
        member.ended_at = Some(5_000);
        rows.push(member.row().unwrap());
    }
    sweep.counts = spawn_core::state::Counts::tally(members.iter().map(|m| m.state));
    for member in &members {
        let ended = sweep.ended_in.entry(member.lane.region).or_default();
        ended.add(member.state);
    }
    sweep.live = 0;
    sweep.live_in.values_mut().for_each(|live| *live = 0);
    sweep.status = SweepStatus::Cancelled;
    sweep.ended_at = Some(6_000);
    sweep.held = Some("too many failed".to_owned());
    sweep.drain = Some(Drain {
        status: SweepStatus::Cancelled,
        reason: "cancelled by hand".to_owned(),
    });
    rows.push(sweep.row().unwrap());
    let mut lane: LaneRow = lane_row(&world, OTHER).await;
    lane.templates = 1;
    let trouble = Trouble {
        stopped: Some("refused".to_owned()),
        ..Trouble::default()
    };
    lane.troubles.insert(0, trouble);
    rows.push(lane.row().unwrap());
    // The attempt of the first lane was closed when its members were recorded.
    let mut lane: LaneRow = lane_row(&world, LANE).await;
    lane.open_attempts.clear();
    lane.pending = 0;
    rows.push(lane.row().unwrap());
    world.ledger.put_all(rows).await.unwrap();
    assert_eq!(world.violations().await, Vec::<String>::new());
    world
}

async fn lane_row(world: &World, lane: &str) -> LaneRow {
    let lane: LaneId = lane.parse().unwrap();
    let key = spawn_core::rows::lane_key(&world.sweep_id, &lane);
    ledger::require(&world.ledger, key).await.unwrap()
}

/// What must hold of a resumed sweep.
async fn check_resumed(world: &World, name: &str) {
    let row = world.sweep().await;
    assert_eq!(row.status, SweepStatus::Launching);
    assert_eq!(row.execution_arn, execution(name));
    assert_eq!(row.trace, Some(format!("trace of {name}")));
    assert!(
        row.may_launch() && row.drain.is_none() && row.ended_at.is_none(),
        "{row:?}"
    );
    let members = world.members().await;
    let states: Vec<MemberState> = members.iter().map(|member| member.state).collect();
    assert_eq!(states[0], MemberState::Completed);
    assert!(
        states[1..]
            .iter()
            .all(|state| *state == MemberState::Planned),
        "{states:?}"
    );
    assert_eq!(members[1].tries[0].code, EndCode::ExitCode);
    assert_eq!(members[2].tries[0].code, EndCode::ReapedDrain);
    let pk = sweep_pk(&world.sweep_id);
    let retries: Vec<RetryRow> = ledger::load_all(&world.ledger, &pk, "RETRY#")
        .await
        .unwrap();
    assert_eq!(
        retries.iter().map(|row| row.index).collect::<Vec<_>>(),
        [1, 2]
    );
    // Those that were never launched are where they were.
    let batches: Vec<BatchRow> = ledger::load_all(&world.ledger, &pk, "BATCH#")
        .await
        .unwrap();
    let waiting: u32 = batches.iter().map(|batch| batch.pending.len()).sum();
    assert_eq!(waiting, 3);
    let other = lane_row(world, OTHER).await;
    assert_eq!((other.templates, other.stopped_because()), (0, None));
    let old: ExecutionRow = ledger::require(&world.ledger, execution_key(&execution("test")))
        .await
        .unwrap();
    assert_eq!(old.sweep_id, None);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_did_not_complete_is_planned_again_and_nothing_else() {
    let world = cancelled().await;
    let output = resume(&world, "again").await.unwrap();
    let lanes: Vec<LaneId> = vec![OTHER.parse().unwrap(), LANE.parse().unwrap()];
    assert_eq!(
        (output.lanes, output.members, output.dry_run),
        (lanes, 6, false)
    );
    check_resumed(&world, "again").await;
}

#[tokio::test]
async fn a_resumption_that_died_anywhere_is_finished_by_its_repeat() {
    for call in 0..40 {
        for when in [When::Before, When::After] {
            let world = cancelled().await;
            world.faults.arm(Some(Death { call, when }));
            world.faults.run(resume(&world, "again")).await;
            world.faults.arm(None);
            resume(&world, "again").await.unwrap();
            check_resumed(&world, "again").await;
        }
    }
}

#[tokio::test]
async fn of_two_resumptions_one_is_refused() {
    let world = cancelled().await;
    let (one, other) = tokio::join!(resume(&world, "one"), resume(&world, "other"));
    let winner = if one.is_ok() { "one" } else { "other" };
    let refused = if one.is_ok() { other } else { one };
    assert_eq!(refused.unwrap_err().error_type(), "NotAllowed");
    check_resumed(&world, winner).await;
    let late = resume(&world, "late").await.unwrap_err();
    assert!(late.to_string().contains("launching, not over"), "{late}");
}

/// A start whose answer was lost is made again under another name, after the sweep was resumed and is over once more.
#[tokio::test]
async fn what_was_to_be_resumed_once_is_not_resumed_twice() {
    let world = cancelled().await;
    let first = world.sweep().await.execution_arn;
    resume_instead(&world, "second", Some(&first))
        .await
        .unwrap();
    world.drain(SweepStatus::Cancelled, "stopped").await;
    let mut over = world.sweep().await;
    over.status = SweepStatus::Cancelled;
    world
        .ledger
        .put_all(vec![over.row().unwrap()])
        .await
        .unwrap();
    let late = resume_instead(&world, "third", Some(&first)).await;
    assert!(
        matches!(late, Err(FunctionError::NotAllowed(_))),
        "{late:?}"
    );
    assert_eq!(world.sweep().await.status, SweepStatus::Cancelled);
    let second = world.sweep().await.execution_arn;
    resume_instead(&world, "third", Some(&second))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_old_execution_still_brings_about_does_not_drain_the_resumed_sweep() {
    let world = cancelled().await;
    resume(&world, "again").await.unwrap();
    let found = drain::sweep_of_execution(&world.ledger, &execution("test")).await;
    assert_eq!(found.unwrap(), None);
    let found = drain::sweep_of_execution(&world.ledger, &execution("again")).await;
    assert_eq!(found.unwrap(), Some(world.sweep_id.clone()));
}

#[tokio::test]
async fn a_sweep_that_is_drained_while_it_is_resumed_stays_drained() {
    let world = cancelled().await;
    for call in 0..20 {
        let world_of_call = cancelled().await;
        let death = Death {
            call,
            when: When::After,
        };
        world_of_call.faults.arm(Some(death));
        world_of_call
            .faults
            .run(resume(&world_of_call, "again"))
            .await;
        world_of_call.faults.arm(None);
        let reason = Drain {
            status: SweepStatus::Cancelled,
            reason: "stopped".to_owned(),
        };
        let id = &world_of_call.sweep_id;
        let row = drain::mark(&world_of_call.ledger, id, None, &reason)
            .await
            .unwrap();
        if row.unwrap().status != SweepStatus::Draining {
            continue;
        }
        let error = resume(&world_of_call, "again").await.unwrap_err();
        assert_eq!(error.error_type(), "NotAllowed");
        assert_eq!(world_of_call.sweep().await.status, SweepStatus::Draining);
    }
    resume(&world, "again").await.unwrap();
}

#[tokio::test]
async fn members_whose_instances_live_are_not_run_beside_them() {
    let world = cancelled().await;
    let mut member = world.members().await.remove(1);
    member.live = true;
    world
        .ledger
        .put_all(vec![member.row().unwrap()])
        .await
        .unwrap();
    let error = resume(&world, "again").await.unwrap_err();
    assert!(error.to_string().contains("spawn-terminate"), "{error}");
    assert_eq!(world.sweep().await.status, SweepStatus::Cancelled);
}

/// The execution that was cancelled may sleep for long before it looks again. Whatever it asks for then, the sweep is not its own
/// any more, and the one token that is kept stays that of the execution that has it.
#[tokio::test]
async fn an_execution_that_has_lost_the_sweep_waits_for_nothing() {
    let world = cancelled().await;
    let before = world.sweep().await.execution_arn;
    resume(&world, "second").await.unwrap();
    let register = async |kind: WaitingFor, token: &str, execution: &str| {
        let waiting = Waiting {
            kind,
            task_token: token.to_owned(),
            execution_arn: Some(execution.to_owned()),
        };
        let (ledger, executions) = (&world.ledger, &world.executions);
        track::register(ledger, executions, &world.sweep_id, waiting, 2_000_000).await
    };
    let second = execution("second");
    register(WaitingFor::Completion, "of the second", &second)
        .await
        .unwrap();
    let refused = register(WaitingFor::Completion, "of the first", &before).await;
    let Err(FunctionError::Superseded(words)) = refused else {
        panic!("{refused:?}");
    };
    assert!(words.contains(&second), "{words}");
    let slot = || WaitingFor::Slot(LANE.parse().unwrap(), None);
    register(slot(), "lane of the second", &second)
        .await
        .unwrap();
    register(slot(), "lane of the first", &before)
        .await
        .unwrap();
    // Members are left, so the second is told at once to launch their lanes; the first is told nothing.
    let woken = world.executions.woken();
    assert_eq!(woken, ["of the second", "lane of the first"]);
}
