//! What members get, and what they lose.

use dns_updater::Input;
use serde_json::json;
use spawn_core::dns::AddressKind;
use spawn_core::ids::SweepId;
use spawn_core::ledger::Stored;
use spawn_core::rows::{Addresses, SweepRow};
use spawn_core::state::MemberState;

use crate::world::{SUFFIX, World, arn};

#[test]
fn members_that_run_have_names_and_those_that_end_lose_them() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 5);
    world.stream(world.started(&sweep, 0..5));
    assert_eq!(world.shown(), world.expected("train", 0..5));
    world.stream(world.ended(&sweep, [1, 3]));
    assert_eq!(world.shown(), world.expected("train", [0, 2, 4]));
    world.stream(world.ended(&sweep, [0, 2, 4]));
    assert_eq!(world.shown(), Vec::<String>::new());
    assert_eq!(world.zone.asked().change_calls, 3);
    // The sweep's places were given back with their members' names.
    assert!(
        world
            .remembered()
            .iter()
            .all(|row| row.starts_with("DNS#GROUP"))
    );
}

#[test]
fn repeated_and_late_changes_change_nothing() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 3);
    let started = world.started(&sweep, 0..3);
    let ended = world.ended(&sweep, 0..3);
    // The members have ended before anybody was told that they started.
    world.stream(started.clone());
    assert_eq!(world.shown(), Vec::<String>::new());
    world.stream(ended);
    world.stream(started);
    assert_eq!(world.zone.asked().change_calls, 0);
}

#[test]
fn a_change_that_does_not_concern_names_asks_for_nothing() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 1);
    let mut change = world.change(&sweep, 0, |member| member.result_key = Some("k".to_owned()));
    let mut other = change.clone();
    other.key.sk = "META".to_owned();
    change.sequence_number = "2".to_owned();
    world.stream(vec![other, change]);
    assert_eq!(world.remembered(), Vec::<String>::new());
    assert_eq!(world.zone.asked().change_calls, 0);
}

#[test]
fn a_new_address_replaces_the_old_one_in_one_call() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 1);
    world.stream(world.started(&sweep, [0]));
    let moved = world.change(&sweep, 0, |member| {
        member.addresses.private_ip = Some([10, 9, 9, 9].into());
        member.addresses.ipv6 = "2001:db8::9".parse().ok();
    });
    world.stream(vec![moved]);
    let instance = arn(&sweep, 0).instance_id;
    assert_eq!(
        world.shown(),
        [
            format!("0.train.{SUFFIX} A 10.9.9.9"),
            format!("0.train.{SUFFIX} AAAA 2001:db8::9"),
            format!("train.{SUFFIX} A {instance} 10.9.9.9"),
            format!("train.{SUFFIX} AAAA {instance} 2001:db8::9"),
        ]
    );
    assert_eq!(world.zone.asked().change_calls, 2);
    world.stream(world.ended(&sweep, [0]));
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn a_public_address_that_the_ledger_does_not_know_yet_is_looked_up() {
    let world = World::new(AddressKind::Public);
    let sweep = world.running("train", 2);
    let addresses = Addresses {
        private_ip: Some([10, 0, 0, 1].into()),
        public_ip: Some([198, 51, 100, 1].into()),
        ipv6: None,
    };
    world.ec2.show(&arn(&sweep, 1), addresses.clone());
    world.stream(world.started(&sweep, 0..2));
    let instance = arn(&sweep, 1).instance_id;
    assert_eq!(
        world.shown(),
        [
            format!("1.train.{SUFFIX} A 198.51.100.1"),
            format!("train.{SUFFIX} A {instance} 198.51.100.1"),
        ]
    );
    assert_eq!(world.member_row(&sweep, 1).addresses, addresses);
}

#[test]
fn a_stopped_member_loses_its_names_and_has_them_again_when_it_runs() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 1);
    world.stream(world.started(&sweep, [0]));
    let stopped = world.change(&sweep, 0, |member| {
        member.state = MemberState::Stopped;
        member.live = false;
    });
    world.stream(vec![stopped]);
    assert_eq!(world.shown(), Vec::<String>::new());
    let runs = world.change(&sweep, 0, |member| {
        member.state = MemberState::Running;
        member.live = true;
    });
    world.stream(vec![runs]);
    assert_eq!(world.shown(), world.expected("train", [0]));
}

#[test]
fn a_sweep_without_names_has_none() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 1);
    let key = spawn_core::rows::sweep_key(&sweep);
    let mut row = SweepRow::from_row(world.row(&key).unwrap()).unwrap();
    row.dns_label = None;
    world.put(vec![row.row().unwrap()]);
    world.stream(world.started(&sweep, [0]));
    assert_eq!(world.zone.asked().change_calls, 0);
    assert_eq!(world.remembered(), Vec::<String>::new());
}

#[test]
fn a_sweeps_own_name_has_a_hundred_members_at_most_and_others_take_their_places() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("wide", 130);
    world.stream(world.started(&sweep, 0..130));
    let in_group = |world: &World| {
        let group = format!("wide.{SUFFIX} A i-");
        world
            .shown()
            .iter()
            .filter(|line| line.starts_with(&group))
            .count()
    };
    assert_eq!(in_group(&world), 100);
    assert_eq!(world.shown().len(), 230);
    world.stream(world.ended(&sweep, 0..60));
    assert!(in_group(&world) < 70);
    // The scheduled comparison fills the places.
    world.call(Input::SweepUp);
    assert_eq!(in_group(&world), 70);
    world.stream(world.ended(&sweep, 60..130));
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn without_a_domain_nothing_is_done() {
    let mut world = World::new(AddressKind::Private);
    let sweep = world.running("train", 1);
    let started = world.started(&sweep, [0]);
    world.deployment.naming = None;
    world.stream(started);
    assert_eq!(world.call(Input::Drain), json!({}));
    let answer = world.call(Input::Test);
    assert_eq!(answer["healthy"], true);
    assert_eq!(world.remembered(), Vec::<String>::new());
    assert_eq!(world.zone.asked(), simulation::Asked::default());
}

#[test]
fn a_test_call_tells_whether_names_can_be_given() {
    let mut world = World::new(AddressKind::Private);
    let answer = world.call(Input::parse(&json!({"test": true})).unwrap());
    assert_eq!(answer["healthy"], true, "{answer}");
    assert_eq!(answer["zone"]["records_max"], 10_000);
    assert_eq!(answer["suffix"], SUFFIX);
    let elsewhere = spawn_core::dns::Naming::new(
        "example.org",
        "Z1",
        "123456789012",
        AddressKind::Private,
        60,
    );
    world.deployment.naming = elsewhere.ok();
    let answer = world.call(Input::Test);
    assert_eq!(answer["healthy"], false);
    let problem = answer["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("example.org does not lie in the hosted zone Z1"),
        "{problem}"
    );
}

#[test]
fn a_member_that_the_ledger_has_forgotten_leaves_no_name() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 1);
    world.stream(world.started(&sweep, [0]));
    let mut removed = world.change(&sweep, 0, |_| {});
    removed.new = None;
    world.ledger.forget(&removed.key);
    world.stream(vec![removed]);
    assert_eq!(world.shown(), Vec::<String>::new());
    let _unknown: SweepId = sweep;
}
