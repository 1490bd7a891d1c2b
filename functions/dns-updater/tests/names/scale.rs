//! Ten thousand members, against Route 53's limits.

use std::pin::Pin;

use dns_updater::{Input, handle};
use spawn_core::dns::AddressKind;
use spawn_core::stream::Change;

use crate::world::{START, World};

/// Invocations of the stream that run at the same time, one for each of its shards.
const SHARDS: usize = 8;

/// Tells the function of all changes: `SHARDS` parts at once, each in batches of `batch`.
fn stream_in_shards(world: &World, changes: &[Change], batch: usize) {
    let ports = world.ports();
    let part = changes.len().div_ceil(SHARDS);
    let shards = changes.chunks(part).zip(1_u64..).map(|(shard, random)| {
        let ports = &ports;
        let invocations = async move {
            for changes in shard.chunks(batch) {
                let input = Input::Stream(changes.to_vec());
                let answer = handle(input, ports, random << 50).await.unwrap().0;
                assert_eq!(answer["batchItemFailures"], serde_json::json!([]));
            }
        };
        Box::pin(invocations) as Pin<Box<dyn Future<Output = ()>>>
    });
    world.time.run(shards.collect());
}

/// The ms that so many changes take at least: 1,500 at once, then 100 a second.
fn bound_ms(changes: u64) -> u64 {
    changes.saturating_sub(1_500) * 10
}

#[test]
fn ten_thousand_members_that_start_together_are_named_by_few_calls_at_route_53s_pace() {
    let world = World::new(AddressKind::Private);
    world.zone.allow(20_000);
    world.zone.slow_down(300);
    let sweep = world.running("large", 10_000);
    stream_in_shards(&world, &world.started(&sweep, 0..10_000), 1_000);
    let asked = world.zone.asked();
    let took = asked.last_change_at - START;
    println!(
        "10,000 members and 100 places in the sweep's name: {} changes by {} calls, {} throttled, {} s; at least {} s",
        asked.changes,
        asked.change_calls,
        asked.throttled,
        took / 1000,
        bound_ms(10_000) / 1000
    );
    assert_eq!(asked.changes, 10_100);
    assert!(asked.change_calls <= 25, "{asked:?}");
    assert!(took <= bound_ms(10_000) * 11 / 10, "{asked:?}");
    assert_eq!(world.shown().len(), 10_100);

    // And all end together.
    world.time.advance(60_000);
    let from = START + took + 60_000;
    stream_in_shards(&world, &world.ended(&sweep, 0..10_000), 1_000);
    let asked = world.zone.asked();
    let took = asked.last_change_at - from;
    println!(
        "their end: {} calls in all, {} s",
        asked.change_calls,
        took / 1000
    );
    assert!(asked.change_calls <= 50, "{asked:?}");
    assert!(took <= bound_ms(10_000) * 11 / 10, "{asked:?}");
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn members_that_start_one_after_the_other_do_not_cost_a_call_each() {
    let world = World::new(AddressKind::Private);
    world.zone.slow_down(300);
    let sweep = world.running("steady", 2_000);
    // Batches of the stream as small as they come.
    stream_in_shards(&world, &world.started(&sweep, 0..2_000), 50);
    let asked = world.zone.asked();
    assert!(asked.change_calls <= 25, "{asked:?}");
    assert_eq!(world.shown().len(), 2_100);
}

#[test]
fn a_full_zone_is_told_and_does_not_cost_hundreds_of_calls() {
    let world = World::new(AddressKind::Private);
    world.zone.allow(1_000);
    let sweep = world.running("large", 3_000);
    world.stream(world.started(&sweep, 0..3_000));
    assert!(world.shown().len() <= 998);
    assert!(
        world.zone.asked().change_calls <= 30,
        "{:?}",
        world.zone.asked()
    );
    // Who ends makes room, and the others follow.
    let from = world.zone.asked().change_calls;
    world.stream(world.ended(&sweep, 0..2_500));
    let named = world
        .shown()
        .iter()
        .filter(|line| line.contains(".large."))
        .count();
    assert_eq!(named, 500);
    assert!(
        world.zone.asked().change_calls - from <= 30,
        "{:?}",
        world.zone.asked()
    );
}
