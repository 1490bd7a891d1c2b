//! The scheduled comparison finds what events have lost.

use dns_updater::Input;
use spawn_core::dns::{AddressKind, ClaimRow, Record, RecordId, RecordType};
use spawn_core::ledger::Stored;
use spawn_core::rows::{SweepRow, sweep_key};
use spawn_core::state::SweepStatus;

use crate::world::{START, SUFFIX, World};

#[test]
fn an_instance_without_a_record_and_a_record_without_an_instance_are_found() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 4);
    world.stream(world.started(&sweep, [0, 1]));
    // Nobody is told that two more have started, and one of the first has ended.
    world.ended(&sweep, [0]);
    let answer = world.call(Input::SweepUp);
    assert_eq!(world.shown(), world.expected("train", 1..4));
    assert_eq!(answer["leftovers"], 3);
    // A second look finds nothing to do.
    let calls = world.zone.asked().change_calls;
    assert_eq!(world.call(Input::SweepUp)["leftovers"], 0);
    assert_eq!(world.zone.asked().change_calls, calls);
}

#[test]
fn what_was_deleted_by_hand_is_made_again_and_what_was_changed_is_let_go() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 3);
    world.stream(world.started(&sweep, 0..3));
    world.zone.delete_by_hand(&format!("0.train.{SUFFIX}"));
    world
        .zone
        .change_by_hand(&format!("1.train.{SUFFIX}"), "192.0.2.1");
    world.zone.put_by_hand(Record {
        id: RecordId {
            name: format!("stranger.{SUFFIX}"),
            kind: RecordType::A,
            set: None,
        },
        ttl_s: 5,
        values: vec!["192.0.2.2".to_owned()],
    });
    let answer = world.call(Input::SweepUp);
    assert_eq!(answer["foreign_records"], 2);
    let shown = world.shown();
    assert!(
        shown.contains(&format!("0.train.{SUFFIX} A 10.0.0.0")),
        "{shown:?}"
    );
    world.stream(world.ended(&sweep, 0..3));
    assert_eq!(
        world.shown(),
        [
            format!("1.train.{SUFFIX} A 192.0.2.1"),
            format!("stranger.{SUFFIX} A 192.0.2.2")
        ]
    );
}

#[test]
fn a_sweep_that_is_over_leaves_nothing_behind() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 3);
    let claim = ClaimRow {
        label: "train".to_owned(),
        sweep_id: sweep.clone(),
        held_until: START,
        version: 0,
    };
    world.put(vec![claim.row().unwrap()]);
    world.stream(world.started(&sweep, 0..3));
    world.call(Input::SweepUp);
    assert!(
        world
            .remembered()
            .iter()
            .any(|row| row == "DNS#CLAIM train")
    );
    // Its events are lost, and it is over.
    world.ended(&sweep, 0..3);
    let mut row = SweepRow::from_row(world.row(&sweep_key(&sweep)).unwrap()).unwrap();
    row.status = SweepStatus::Completed;
    world.put(vec![row.row().unwrap()]);
    world.time.advance(1);
    world.call(Input::SweepUp);
    world.call(Input::SweepUp);
    assert_eq!(world.shown(), Vec::<String>::new());
    assert_eq!(world.remembered(), Vec::<String>::new());
}

#[test]
fn a_large_zone_is_compared_page_by_page() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("large", 1_000);
    world.stream(world.started(&sweep, 0..1_000));
    let before = world.zone.asked().list_calls;
    assert_eq!(world.call(Input::SweepUp)["leftovers"], 0);
    assert_eq!(world.zone.asked().list_calls - before, 4);
}
