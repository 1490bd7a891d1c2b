//! Lost answers, throttling, bad records, deaths at every call.

use dns_updater::Input;
use simulation::{Death, When, ZoneFault};
use spawn_core::dns::{AddressKind, Record, RecordId, RecordType};

use crate::world::{SUFFIX, World};

fn record(name: &str, value: &str) -> Record {
    Record {
        id: RecordId {
            name: format!("{name}.{SUFFIX}"),
            kind: RecordType::A,
            set: None,
        },
        ttl_s: 60,
        values: vec![value.to_owned()],
    }
}

#[test]
fn whatever_becomes_of_a_call_the_names_are_right_in_the_end() {
    for fault in [
        ZoneFault::LostAnswer,
        ZoneFault::LostRequest,
        ZoneFault::Throttling,
        ZoneFault::PriorRequestNotComplete,
    ] {
        let world = World::new(AddressKind::Private);
        let sweep = world.running("train", 3);
        world.zone.fail_next([fault, fault]);
        world.stream(world.started(&sweep, 0..3));
        assert_eq!(world.shown(), world.expected("train", 0..3), "{fault:?}");
        world.zone.fail_next([fault, fault]);
        world.stream(world.ended(&sweep, 0..3));
        assert_eq!(world.shown(), Vec::<String>::new(), "{fault:?}");
    }
}

#[test]
fn without_permission_the_marks_stay_until_it_is_there() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 3);
    world
        .zone
        .fail_next([ZoneFault::AccessDenied, ZoneFault::AccessDenied]);
    // The stream is not held up by it; the schedule tells.
    world.stream(world.started(&sweep, 0..3));
    let error = world.try_call(Input::Drain).unwrap().unwrap_err();
    assert_eq!(error.error_type(), "Spawn.Config");
    world.call(Input::Drain);
    assert_eq!(world.shown(), world.expected("train", 0..3));
}

#[test]
fn a_bad_record_is_left_out_and_its_batch_is_not_lost() {
    for silent in [false, true] {
        let world = World::new(AddressKind::Private);
        let sweep = world.running("train", 60);
        world.zone.reject("10.0.0.13");
        if silent {
            world.zone.fail_next(vec![ZoneFault::Silence; 40]);
        }
        world.stream(world.started(&sweep, 0..60));
        let good = (0..60).filter(|index| *index != 13);
        assert_eq!(world.shown(), world.expected("train", good), "{silent}");
        let calls = world.zone.asked().change_calls;
        assert!(calls <= if silent { 16 } else { 2 }, "{calls}");
        // It is not asked for again and again.
        world.call(Input::SweepUp);
        assert_eq!(world.zone.asked().change_calls, calls);
        world.zone.fail_next([]);
        world.stream(world.ended(&sweep, 0..60));
        assert_eq!(world.shown(), Vec::<String>::new());
    }
}

#[test]
fn somebody_elses_record_is_left_alone_and_costs_no_other_its_name() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 3);
    let theirs = record("1.train", "192.0.2.1");
    world.zone.put_by_hand(theirs.clone());
    // Even one that is just what spawn would make.
    world.zone.put_by_hand(record("2.train", "10.0.0.2"));
    world.stream(world.started(&sweep, 0..3));
    let shown = world.shown();
    assert!(shown.contains(&format!("1.train.{SUFFIX} A 192.0.2.1")));
    assert!(shown.contains(&format!("0.train.{SUFFIX} A 10.0.0.0")));
    world.stream(world.ended(&sweep, 0..3));
    assert_eq!(
        world.shown(),
        [
            format!("1.train.{SUFFIX} A 192.0.2.1"),
            format!("2.train.{SUFFIX} A 10.0.0.2")
        ]
    );
}

#[test]
fn a_record_that_was_changed_by_hand_is_left_alone() {
    let world = World::new(AddressKind::Private);
    let sweep = world.running("train", 3);
    world.stream(world.started(&sweep, 0..3));
    let name = format!("1.train.{SUFFIX}");
    assert!(world.zone.change_by_hand(&name, "192.0.2.9"));
    world.zone.delete_by_hand(&format!("2.train.{SUFFIX}"));
    world.stream(world.ended(&sweep, 0..3));
    assert_eq!(world.shown(), [format!("{name} A 192.0.2.9")]);
    assert!(
        !world
            .remembered()
            .iter()
            .any(|row| row.starts_with("DNS#NAMES")),
        "it is not spawn's any more"
    );
}

/// The process dies at each call in turn, before or after it takes effect. Whoever comes next makes it good, and nothing is
/// left behind.
#[test]
fn a_death_at_any_call_leaves_nothing_wrong_behind() {
    for when in [When::Before, When::After] {
        let mut call = 0;
        loop {
            let world = World::new(AddressKind::Private);
            let sweep = world.running("train", 3);
            let started = world.started(&sweep, 0..3);
            world.deaths.arm(Some(Death { call, when }));
            let lived = world.try_call(Input::Stream(started.clone())).is_some();
            world.deaths.arm(None);
            // The dead one's lease runs out; its part of the stream is delivered again.
            world.time.advance(61_000);
            world.stream(started);
            assert_eq!(
                world.shown(),
                world.expected("train", 0..3),
                "{when:?} {call}"
            );

            let ended = world.ended(&sweep, 0..3);
            world.deaths.arm(Some(Death { call, when }));
            let both_lived = world.try_call(Input::Stream(ended.clone())).is_some() && lived;
            world.deaths.arm(None);
            world.time.advance(61_000);
            world.stream(ended);
            assert_eq!(world.shown(), Vec::<String>::new(), "{when:?} {call}");
            let left: Vec<String> = world
                .remembered()
                .into_iter()
                .filter(|row| !row.starts_with("DNS#GROUP"))
                .collect();
            assert_eq!(left, Vec::<String>::new(), "{when:?} {call}");
            if both_lived {
                assert!(call > 15, "{call}");
                break;
            }
            call += 1;
        }
    }
}
