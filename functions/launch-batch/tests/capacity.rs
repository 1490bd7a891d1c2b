//! The ladder: pools without capacity, fleets that give a part, other regions, on-demand, and what EC2 refuses.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use std::collections::BTreeSet;

use common::{run_lane_of, step_of};
use launch_batch::Next;
use simulation::{Death, When, World, lane, sweep};
use spawn_core::ids::Market;
use spawn_core::ledger::{self, Ledger as _, Versioned as _};
use spawn_core::ports::{Clock as _, Ec2Error};
use spawn_core::rows::{DryPoolRow, LaneRow, LaunchApi, MemberRow, lane_key, pools_pk};
use spawn_core::state::MemberState;

const SPOT: &str = "us-east-1.spot";
const PEER: &str = "us-west-2.spot";

async fn change(world: &World, name: &str, change: impl Fn(&mut LaneRow)) {
    let key = lane_key(&world.sweep_id, &lane(name));
    let mut row: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    change(&mut row);
    let write = row.replace().unwrap();
    world.ledger.commit(vec![write]).await.unwrap();
}

/// A lane of two types in two zones.
async fn spot(members: u32) -> World {
    let world = World::new(&sweep(members, &[SPOT], None)).await;
    change(&world, SPOT, |row| {
        row.shapes[0].zones = vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()];
    })
    .await;
    world
}

fn launched(members: &[MemberRow]) -> usize {
    let launched = members.iter().filter(|m| m.state == MemberState::Launching);
    launched.count()
}

async fn assert_sound(world: &World) {
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn spot_members_are_launched_by_one_fleet_over_all_types_and_zones() {
    let world = spot(80).await;
    run_lane_of(&world, SPOT).await;
    let launches = world.cloud.launches();
    let [(_, request, 80)] = &launches[..] else {
        panic!("{launches:?}");
    };
    assert_eq!(request.rung.api, LaunchApi::CreateFleet);
    assert_eq!(request.rung.market, Market::Spot);
    let pools: Vec<String> = request.rung.pools.iter().map(ToString::to_string).collect();
    assert_eq!(
        pools,
        [
            "c5.large@us-east-1a",
            "c5.large@us-east-1b",
            "m5.large@us-east-1a",
            "m5.large@us-east-1b"
        ]
    );
    assert_sound(&world).await;
}

#[tokio::test]
async fn a_fleet_that_gives_a_part_keeps_it_and_the_rest_asks_the_other_pools() {
    let world = spot(80).await;
    world
        .cloud
        .limit_pool("us-east-1 spot c5.large@us-east-1a", 0);
    world
        .cloud
        .limit_pool("us-east-1 spot c5.large@us-east-1b", 30);
    world
        .cloud
        .limit_pool("us-east-1 spot m5.large@us-east-1a", 20);
    world
        .cloud
        .limit_pool("us-east-1 spot m5.large@us-east-1b", 0);
    let output = step_of(&world, SPOT, 1).await;
    assert_eq!((output.launched, output.next), (50, Next::Wait));
    assert_eq!(launched(&world.members().await), 50);
    // Nothing is left anywhere: the rest waits until the pools may have something again, and asks nobody meanwhile.
    assert_eq!(world.cloud.launch_calls(), 1);
    world
        .cloud
        .limit_pool("us-east-1 spot m5.large@us-east-1b", 1_000);
    world.clock.set(world.clock.now_ms() + 181_000);
    run_lane_of(&world, SPOT).await;
    let members = world.members().await;
    assert_eq!(launched(&members), 80);
    assert_eq!(
        members[79].rungs,
        [
            "us-east-1 spot c5.large and another type: launched fewer",
            "us-east-1 spot c5.large and another type"
        ]
    );
    assert_sound(&world).await;
}

#[tokio::test]
async fn an_empty_pool_is_known_to_other_lanes_and_asked_again_after_three_minutes() {
    let world = World::new(&sweep(20, &[SPOT, "us-east-1.on-demand"], None)).await;
    world.cloud.limit_pool("us-east-1 on-demand c5.large", 0);
    run_lane_of(&world, "us-east-1.on-demand").await;
    // A second sweep of the account would read the same rows; here the spot lane falls back to the same pools.
    change(&world, SPOT, |row| row.shapes[0].on_demand_fallback = true).await;
    world.cloud.limit_pool("us-east-1 spot", 0);
    run_lane_of(&world, SPOT).await;
    let of_fallback: Vec<_> = world
        .cloud
        .launches()
        .into_iter()
        .filter(|(_, request, count)| request.rung.market == Market::OnDemand && *count > 0)
        .map(|(_, request, _)| request.rung.pools)
        .collect();
    assert_eq!(of_fallback.len(), 2);
    assert_eq!(of_fallback[0].len(), 2, "nobody knew of the empty pool");
    assert_eq!(of_fallback[1].len(), 1, "it was known");
    let members = world.members().await;
    assert_eq!(launched(&members), 20);
    let words = &members[0].rungs;
    assert!(
        words[0].starts_with("us-east-1 spot")
            && words[0].ends_with("InsufficientInstanceCapacity"),
        "{words:?}"
    );
    assert!(words[1].starts_with("us-east-1 on-demand"), "{words:?}");
    assert_sound(&world).await;
}

#[tokio::test]
async fn a_throttled_fleet_is_not_taken_for_one_without_capacity() {
    let world = spot(40).await;
    let throttled = Ec2Error::Throttled("RequestLimitExceeded: slowly".to_owned());
    world.cloud.refuse_pool("us-east-1 spot", throttled);
    let output = step_of(&world, SPOT, 1).await;
    assert_eq!(output.next, Next::Wait);
    world.cloud.forgive_pools();
    run_lane_of(&world, SPOT).await;
    let last = world.cloud.launches().pop().unwrap().1;
    assert_eq!(last.rung.pools.len(), 4, "no pool counts as empty");
    assert_eq!(launched(&world.members().await), 40);
    assert_sound(&world).await;
}

#[tokio::test]
async fn members_move_to_a_region_that_has_capacity_where_the_document_allows_it() {
    for opportunistic in [false, true] {
        let world = World::new(&sweep(60, &[SPOT, PEER], None)).await;
        change(&world, SPOT, |row| {
            row.peers = vec![lane(PEER)];
            row.movable_shapes = 1;
            row.opportunistic = opportunistic;
        })
        .await;
        world.cloud.limit_pool("us-east-1", 0);
        run_lane_of(&world, SPOT).await;
        let members = world.members().await;
        assert_eq!(launched(&members), 30, "half of the sweep is this lane's");
        for member in members.iter().filter(|m| m.state == MemberState::Launching) {
            assert_eq!(member.lane, lane(PEER));
            let region = member.instance.as_ref().unwrap().region;
            assert_eq!(region.as_str(), "us-west-2");
        }
        let sweep = world.sweep().await;
        let live: Vec<i64> = sweep.live_in.values().copied().collect();
        assert_eq!(live, [0, 30]);
        run_lane_of(&world, PEER).await;
        assert_eq!(world.cloud.instances().len(), 60);
        assert_sound(&world).await;
    }
}

#[tokio::test]
async fn a_region_whose_tokens_are_gone_gives_waiting_members_to_another_when_that_is_asked_for() {
    let world = World::new(&sweep(2_800, &[SPOT, PEER], None)).await;
    change(&world, SPOT, |row| {
        row.peers = vec![lane(PEER)];
        row.movable_shapes = 1;
        row.opportunistic = true;
    })
    .await;
    step_of(&world, SPOT, 1).await;
    let regions: BTreeSet<String> = world
        .cloud
        .instances()
        .iter()
        .map(|i| i.arn.region.to_string())
        .collect();
    assert_eq!(regions.len(), 2, "{regions:?}");
    assert_eq!(world.cloud.instances().len(), 1_400);
    assert_sound(&world).await;
}

/// The pools that are known to have no capacity in us-east-1.
async fn dry(world: &World) -> Vec<String> {
    let pk = pools_pk(&lane("us-east-1.on-demand").place());
    let rows: Vec<DryPoolRow> = ledger::load_all(&world.ledger, &pk, "").await.unwrap();
    rows.iter().map(|row| row.pool.to_string()).collect()
}

/// A lane of two types in two zones, of which the first has no capacity and the quota of the second has room for so many.
async fn dry_beside_a_quota(members: u32, room: usize) -> World {
    let name = "us-east-1.on-demand";
    let world = World::new(&sweep(members, &[name], None)).await;
    change(&world, name, |row| {
        row.shapes[0].zones = vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()];
    })
    .await;
    world.cloud.limit_pool("us-east-1 on-demand c5.large", 0);
    world
        .cloud
        .limit_quota_of("us-east-1 on-demand m5.large", room);
    world
}

#[tokio::test]
async fn a_fleet_of_which_each_pool_was_refused_for_another_reason_empties_only_those_without_capacity()
 {
    let world = dry_beside_a_quota(3, 1).await;
    step_of(&world, "us-east-1.on-demand", 1).await;
    assert_eq!(
        dry(&world).await,
        ["c5.large@us-east-1a", "c5.large@us-east-1b"]
    );
    let members = world.members().await;
    assert_eq!(launched(&members), 1, "the quota has room for one of three");
    assert_sound(&world).await;
}

#[tokio::test]
async fn a_quota_among_the_refusals_of_a_fleet_halves_the_call_until_it_fits() {
    let world = dry_beside_a_quota(100, 1_000).await;
    world
        .cloud
        .limit_quota_of("us-east-1 on-demand m5.large", 90);
    step_of(&world, "us-east-1.on-demand", 1).await;
    assert_eq!(launched(&world.members().await), 90);
    let calls = world.cloud.launch_calls();
    assert!(calls < 20, "{calls}");
    assert!(
        dry(&world)
            .await
            .iter()
            .all(|pool| pool.starts_with("c5.large"))
    );
    assert_sound(&world).await;
}

#[tokio::test]
async fn one_shape_that_ec2_refuses_does_not_stop_the_others() {
    let world = World::new(&sweep(200, &["us-east-1.on-demand"], None)).await;
    change(&world, "us-east-1.on-demand", |row| {
        let mut other = row.shapes[0].clone();
        other.instance_types = vec!["x1.wrong".to_owned()];
        row.shapes.push(other);
    })
    .await;
    world.reshape(1, 1).await;
    let refused = Ec2Error::Refused("InvalidAMIID.NotFound: ami-1".to_owned());
    world
        .cloud
        .refuse_pool("us-east-1 on-demand x1.wrong", refused.clone());
    run_lane_of(&world, "us-east-1.on-demand").await;
    let members = world.members().await;
    assert_eq!(launched(&members), 100);
    assert_eq!(members[150].reason, Some(refused.to_string()));
    assert_sound(&world).await;
}

#[tokio::test]
async fn an_error_that_nobody_knows_is_tried_again_a_few_times() {
    let world = World::new(&sweep(5, &["us-east-1.on-demand"], None)).await;
    let odd = || Ec2Error::Unknown("ComputerSaysNo: maybe".to_owned());
    world.cloud.fail_next((0..2).map(|_| odd()));
    run_lane_of(&world, "us-east-1.on-demand").await;
    assert_eq!(launched(&world.members().await), 5);

    let world = World::new(&sweep(5, &["us-east-1.on-demand"], None)).await;
    world.cloud.fail_next((0..50).map(|_| odd()));
    run_lane_of(&world, "us-east-1.on-demand").await;
    let members = world.members().await;
    assert!(members.iter().all(|m| m.state == MemberState::Failed));
    assert_eq!(members[0].reason, Some(odd().to_string()));
    assert_eq!(world.cloud.launch_calls(), 3);
}

/// What a repeated fleet answers is not documented: one that answers nothing has launched what its tag shows.
#[tokio::test]
async fn a_death_at_any_call_of_a_fleet_doubles_and_leaks_nothing() {
    let calls = {
        let world = spot(30).await;
        world.faults.arm(None);
        run_lane_of(&world, SPOT).await;
        world.faults.calls()
    };
    for call in 0..calls {
        for when in [When::Before, When::After] {
            let world = spot(30).await;
            world.cloud.forget_fleets();
            world.faults.arm(Some(Death { call, when }));
            let process = run_lane_of(&world, SPOT);
            assert!(world.faults.run(process).await.is_none());
            world.faults.arm(None);
            run_lane_of(&world, SPOT).await;
            let context = format!("death {when:?} call {call}");
            assert_eq!(world.violations().await, Vec::<String>::new(), "{context}");
            assert_eq!(world.cloud.instances().len(), 30, "{context}");
            assert_eq!(launched(&world.members().await), 30, "{context}");
        }
    }
}
