//! The world on virtual time: delays, timers, notices, tokens and buckets without a clock or a socket.

use crate::actions::{self, Call};
use crate::config::Settings;
use crate::faults::FaultSpec;
use crate::model::{Place, State};
use crate::wire::{Ec2Error, Params};
use crate::world::{Effect, World};

const LAUNCH: &str = "ImageId=ami-0c2023a1b2c3d4e5f&InstanceType=c5.large&InstanceInitiatedShutdownBehavior=terminate";
const SPOT: &str = "&InstanceMarketOptions.MarketType=spot";
const MINUTE_MS: u64 = 60_000;

fn world() -> World {
    let settings = Settings {
        pending_ms: 500,
        shutdown_ms: 300,
        seed: Some(1),
        ..Settings::default()
    };
    World::new(settings, 1)
}

/// Calls an action at a time, in us-east-1.
fn call(world: &mut World, now_ms: u64, action: &str, query: &str) -> Result<String, Ec2Error> {
    world.advance(now_ms);
    let params = Params::parse(query.as_bytes());
    let action = actions::find(action)?;
    let id = world.next();
    let place = Place::new("000000000000", "us-east-1").unwrap();
    let mut call = Call {
        world,
        place,
        params: &params,
        action: action.name,
        now_ms,
        id,
    };
    action.take_request(&mut call)?;
    action.run(&mut call)
}

fn run(world: &mut World, now_ms: u64, more: &str) -> Result<Vec<String>, Ec2Error> {
    let query = format!("MinCount=1&MaxCount=1&{LAUNCH}{more}");
    Ok(ids(&call(world, now_ms, "RunInstances", &query)?))
}

fn ids(answer: &str) -> Vec<String> {
    answer
        .split("<instanceId>")
        .skip(1)
        .map(|rest| rest[..19].to_owned())
        .collect()
}

fn state(world: &mut World, id: &str, now_ms: u64) -> State {
    world.advance(now_ms);
    world.instance(id).unwrap().state()
}

fn seq(world: &World, id: &str) -> u64 {
    world.instance(id).unwrap().seq
}

/// States told by events since the last look.
fn told(world: &mut World) -> Vec<String> {
    let sent = world
        .take_effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Send(event) => Some(
                event.detail["state"]
                    .as_str()
                    .unwrap_or(event.detail_type)
                    .to_owned(),
            ),
            _ => None,
        });
    sent.collect()
}

#[test]
fn states_change_when_their_delays_are_over() {
    let mut world = world();
    let id = &run(&mut world, 0, "").unwrap()[0];
    assert_eq!(state(&mut world, id, 499), State::Pending);
    assert_eq!(state(&mut world, id, 500), State::Running);
    call(
        &mut world,
        1_000,
        "TerminateInstances",
        &format!("InstanceId.1={id}"),
    )
    .unwrap();
    assert_eq!(state(&mut world, id, 1_299), State::ShuttingDown);
    assert_eq!(state(&mut world, id, 1_300), State::Terminated);
    assert_eq!(
        told(&mut world),
        ["pending", "running", "shutting-down", "terminated"]
    );
}

#[test]
fn a_terminated_instance_is_visible_for_an_hour() {
    let mut world = world();
    let id = &run(&mut world, 0, "").unwrap()[0];
    call(
        &mut world,
        1_000,
        "TerminateInstances",
        &format!("InstanceId.1={id}"),
    )
    .unwrap();
    let query = format!("InstanceId.1={id}");
    let hour_ms = 3_600_000;
    assert!(call(&mut world, 1_299 + hour_ms, "DescribeInstances", &query).is_ok());
    let gone = call(&mut world, 1_300 + hour_ms, "DescribeInstances", &query).unwrap_err();
    assert_eq!(gone.code, "InvalidInstanceID.NotFound");
}

#[test]
fn terminating_a_pending_instance_skips_running() {
    let mut world = world();
    let id = &run(&mut world, 0, "").unwrap()[0];
    call(
        &mut world,
        100,
        "TerminateInstances",
        &format!("InstanceId.1={id}"),
    )
    .unwrap();
    assert_eq!(state(&mut world, id, 10_000), State::Terminated);
    assert_eq!(told(&mut world), ["pending", "shutting-down", "terminated"]);
}

#[test]
fn the_last_shutdown_timer_counts() {
    let mut world = world();
    let id = &run(&mut world, 0, "").unwrap()[0];
    world.advance(1_000);
    let seq = seq(&world, id);
    world.schedule_shutdown(seq, 480, 1_000);
    world.schedule_shutdown(seq, 5, 2_000);
    assert_eq!(
        state(&mut world, id, 2_000 + 5 * MINUTE_MS - 1),
        State::Running
    );
    assert_eq!(
        state(&mut world, id, 2_000 + 5 * MINUTE_MS),
        State::ShuttingDown
    );
}

#[test]
fn a_cancelled_shutdown_timer_does_nothing() {
    let mut world = world();
    let id = &run(&mut world, 0, "").unwrap()[0];
    world.advance(1_000);
    let seq = seq(&world, id);
    world.schedule_shutdown(seq, 5, 1_000);
    world.cancel_shutdown(seq);
    assert_eq!(state(&mut world, id, 100 * MINUTE_MS), State::Running);
}

#[test]
fn a_spot_instance_goes_two_minutes_after_its_notice() {
    let mut world = world();
    let id = &run(&mut world, 0, SPOT).unwrap()[0];
    world.advance(1_000);
    told(&mut world);
    let seq = seq(&world, id);
    world.interrupt(seq, crate::lifecycle::SPOT_NOTICE_S, 1_000);
    assert_eq!(state(&mut world, id, 120_999), State::Running);
    assert_eq!(state(&mut world, id, 121_000), State::ShuttingDown);
    assert_eq!(
        told(&mut world),
        ["EC2 Spot Instance Interruption Warning", "shutting-down"]
    );
}

#[test]
fn a_late_event_may_be_passed_by_later_ones() {
    let mut world = world();
    let late: FaultSpec =
        serde_json::from_str(r#"{"kind":"late-event","state":"pending","ms":700,"count":1}"#)
            .unwrap();
    world.faults.add(late);
    run(&mut world, 0, "").unwrap();
    world.advance(5_000);
    assert_eq!(told(&mut world), ["running", "pending"]);
}

#[test]
fn a_lagging_view_shows_the_past() {
    let mut world = world();
    world.timing.describe_lag_ms = 2_000;
    let id = &run(&mut world, 10_000, "").unwrap()[0];
    let query = format!("InstanceId.1={id}");
    let unknown = call(&mut world, 11_999, "DescribeInstances", &query).unwrap_err();
    assert_eq!(unknown.code, "InvalidInstanceID.NotFound");
    assert!(
        call(&mut world, 12_000, "DescribeInstances", &query)
            .unwrap()
            .contains("<name>pending</name>")
    );
    assert!(
        call(&mut world, 12_500, "DescribeInstances", &query)
            .unwrap()
            .contains("<name>running</name>")
    );
}

#[test]
fn a_repeated_token_answers_the_same_until_an_instance_is_gone() {
    let mut world = world();
    let first = run(&mut world, 0, "&ClientToken=t").unwrap();
    assert_eq!(run(&mut world, 1_000, "&ClientToken=t").unwrap(), first);
    assert_eq!(
        run(&mut world, 2_000, "&ClientToken=t&KeyName=k")
            .unwrap_err()
            .code,
        "IdempotentParameterMismatch"
    );
    call(
        &mut world,
        3_000,
        "TerminateInstances",
        &format!("InstanceId.1={}", first[0]),
    )
    .unwrap();
    // Still so after EC2 has forgotten the instance.
    for now_ms in [3_001, 10_000, 10_000_000] {
        let error = run(&mut world, now_ms, "&ClientToken=t").unwrap_err();
        assert_eq!(error.code, "IdempotentInstanceTerminated");
    }
}

#[test]
fn a_repeated_token_draws_no_instances_from_the_bucket() {
    let mut world = world();
    let many = format!("MinCount=1&MaxCount=900&{LAUNCH}&ClientToken=t");
    call(&mut world, 0, "RunInstances", &many).unwrap();
    call(&mut world, 0, "RunInstances", &many).unwrap();
    let more = format!("MinCount=1&MaxCount=101&{LAUNCH}");
    assert_eq!(
        call(&mut world, 0, "RunInstances", &more).unwrap_err().code,
        "RequestLimitExceeded"
    );
    assert!(call(&mut world, 500, "RunInstances", &more).is_ok());
}

#[test]
fn a_launch_of_many_goes_where_the_minimum_fits() {
    let mut world = world();
    let dry: FaultSpec =
        serde_json::from_str(r#"{"kind":"pool-dry","zone":"us-east-1a","capacity":3}"#).unwrap();
    world.faults.add(dry);
    let query = format!("MinCount=5&MaxCount=8&{LAUNCH}");
    let answer = call(&mut world, 0, "RunInstances", &query).unwrap();
    assert!(answer.contains("us-east-1b") && ids(&answer).len() == 8);
    let named = format!("{query}&Placement.AvailabilityZone=us-east-1a");
    let error = call(&mut world, 0, "RunInstances", &named).unwrap_err();
    assert_eq!(
        (error.code.as_ref(), error.status),
        ("InsufficientInstanceCapacity", 500)
    );
}

#[test]
fn stopped_instances_are_not_booted_again() {
    let mut world = world();
    let id = &run(&mut world, 0, "").unwrap()[0];
    world.advance(1_000);
    let boots = |world: &mut World| {
        world
            .take_effects()
            .iter()
            .filter(|effect| matches!(effect, Effect::Boot(_)))
            .count()
    };
    assert_eq!(boots(&mut world), 1);
    call(
        &mut world,
        1_000,
        "StopInstances",
        &format!("InstanceId.1={id}"),
    )
    .unwrap();
    call(
        &mut world,
        2_000,
        "StartInstances",
        &format!("InstanceId.1={id}"),
    )
    .unwrap();
    assert_eq!(state(&mut world, id, 3_000), State::Running);
    assert_eq!(boots(&mut world), 0);
}

#[test]
fn a_reset_ends_what_runs_and_keeps_page_tokens_apart() {
    let mut world = world();
    let id = run(&mut world, 0, "").unwrap().remove(0);
    let before = seq(&world, &id);
    world.reset();
    let killed = world
        .take_effects()
        .iter()
        .any(|effect| matches!(effect, Effect::Kill { instance_id } if *instance_id == id));
    assert!(killed && world.instance(&id).is_none());
    let other = run(&mut world, 0, "").unwrap().remove(0);
    assert!(seq(&world, &other) > before);
}
