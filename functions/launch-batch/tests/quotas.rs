//! vCPU quotas that are in use: members wait for room in them, go elsewhere where they may, and fail only when waiting is in vain.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{run_lane_of, step_of};
use launch_batch::{Next, Output};
use simulation::{World, lane, sweep};
use spawn_core::ids::{InstanceArn, Market};
use spawn_core::ledger::{self, Ledger as _, Versioned as _};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::ports::{Clock as _, Ec2Error, InstanceState};
use spawn_core::rows::{LaneRow, MemberRow, lane_key};
use spawn_core::state::MemberState;
use spawn_core::track;

const LANE: &str = "us-east-1.on-demand";
const PEER: &str = "us-west-2.on-demand";
const SPOT: &str = "us-east-1.spot";

/// A sweep of one type, with what the planner tells of it.
async fn of_one_type(members: u32, lanes: &[&str]) -> World {
    let world = World::new(&sweep(members, lanes, None)).await;
    for name in lanes {
        change(&world, name, |row| {
            row.shapes[0].instance_types.truncate(1);
            row.vcpus = [("c5.large".to_owned(), 2)].into();
            row.quota_vcpus = [("L-1216C47A".to_owned(), 8)].into();
        })
        .await;
    }
    world
}

async fn change(world: &World, name: &str, change: impl Fn(&mut LaneRow)) {
    let key = lane_key(&world.sweep_id, &lane(name));
    let mut row: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    change(&mut row);
    let write = row.replace().unwrap();
    world.ledger.commit(vec![write]).await.unwrap();
}

fn in_state(members: &[MemberRow], state: MemberState) -> usize {
    members
        .iter()
        .filter(|member| member.state == state)
        .count()
}

/// The instance of a member ends, and its member with it.
async fn end(world: &World, arn: &InstanceArn) {
    let state = InstanceState::Terminated;
    world.cloud.put(arn, state, None);
    let sighting = Sighting::new(arn.clone(), Observation::State(state, None));
    let now = world.clock.now_ms();
    track::apply(&world.ledger, &[sighting], now).await.unwrap();
}

async fn living(world: &World) -> Vec<InstanceArn> {
    let members = world.members().await;
    let live = members.into_iter().filter(|member| member.live);
    live.filter_map(|member| member.instance).collect()
}

/// Steps of the lane for so long. Time passes as it asks.
async fn run_for(world: &World, name: &str, ms: u64) -> Vec<Output> {
    let until = world.clock.now_ms() + ms;
    let mut outputs = Vec::new();
    while world.clock.now_ms() < until {
        let output = step_of(world, name, world.clock.now_ms()).await;
        let wait_ms = 100 + output.wait_s * 1000;
        world.clock.set(world.clock.now_ms() + wait_ms);
        let is_done = output.next == Next::Done;
        outputs.push(output);
        if is_done {
            break;
        }
    }
    outputs
}

#[tokio::test]
async fn members_run_in_waves_while_a_quota_holds_some_of_them() {
    let world = of_one_type(10, &[LANE]).await;
    world.cloud.limit_quota(Some(4));
    // Longer than any patience: what runs will make room.
    run_for(&world, LANE, 3_600_000).await;
    let members = world.members().await;
    assert_eq!(in_state(&members, MemberState::Launching), 4);
    assert_eq!(in_state(&members, MemberState::Planned), 6);
    let asked = world.cloud.launch_calls();
    assert!(asked < 40, "asked {asked} times in an hour");
    for wave in [8, 10] {
        for arn in living(&world).await {
            end(&world, &arn).await;
        }
        // That instances of its own have ended is noticed long before the quota would be asked again.
        run_for(&world, LANE, 35_000).await;
        assert_eq!(world.cloud.instances().len(), wave);
        assert!(living(&world).await.len() <= 4);
    }
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_quota_that_others_use_is_waited_for_and_then_told_in_words() {
    let world = of_one_type(6, &[LANE]).await;
    world.cloud.limit_quota(Some(0));
    let outputs = run_lane_of(&world, LANE).await;
    assert_eq!(outputs.last().unwrap().next, Next::Done);
    let members = world.members().await;
    assert_eq!(in_state(&members, MemberState::Failed), 6);
    let reason = members[0].reason.clone().unwrap();
    for words in [
        "no room came free within",
        "the quota L-1216C47A (Running On-Demand Standard",
        "in us-east-1 is 8 vCPUs, and has no room for one more c5.large: short by 12 for 6 members",
        "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 20 --region us-east-1",
        "EC2 says: VcpuLimitExceeded",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn patience_begins_again_with_each_launch_and_with_the_end_of_the_last_instance() {
    let world = of_one_type(3, &[LANE]).await;
    world.cloud.limit_quota(Some(0));
    run_for(&world, LANE, 150_000).await;
    world.cloud.limit_quota(Some(1));
    run_for(&world, LANE, 100_000).await;
    assert_eq!(world.cloud.instances().len(), 1);
    world.cloud.limit_quota(Some(0));
    for arn in living(&world).await {
        end(&world, &arn).await;
    }
    run_for(&world, LANE, 150_000).await;
    let members = world.members().await;
    assert_eq!(in_state(&members, MemberState::Planned), 2);
    // Nothing of its own runs: it is over soon.
    let outputs = run_for(&world, LANE, 3_600_000).await;
    assert_eq!(outputs.last().unwrap().next, Next::Done);
    let members = world.members().await;
    assert_eq!(in_state(&members, MemberState::Planned), 0);
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_quota_that_can_hold_no_member_is_not_waited_for() {
    let words = "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 1 allows for the bucket";
    let world = of_one_type(6, &[LANE]).await;
    let error = Ec2Error::Quota(words.to_owned());
    world.cloud.refuse_pool("us-east-1", error);
    let began = world.clock.now_ms();
    run_lane_of(&world, LANE).await;
    assert!(world.clock.now_ms() < began + 5_000);
    let reason = world.members().await[5].reason.clone().unwrap();
    assert!(
        reason.contains("L-1216C47A") && reason.contains("is 1 vCPUs"),
        "{reason}"
    );
    assert!(reason.contains("--desired-value 13"), "{reason}");
    assert_eq!(world.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn members_that_may_move_go_elsewhere_at_once_when_the_quota_is_in_use() {
    for opportunistic in [false, true] {
        let world = of_one_type(20, &[LANE, PEER]).await;
        change(&world, LANE, |row| {
            row.peers = vec![lane(PEER)];
            row.movable_shapes = 1;
            row.opportunistic = opportunistic;
        })
        .await;
        world.cloud.limit_quota_of("us-east-1 on-demand", 4);
        let began = world.clock.now_ms();
        run_lane_of(&world, LANE).await;
        assert!(world.clock.now_ms() < began + 10_000, "nothing waits");
        let launches = world.cloud.instances();
        let here = launches
            .iter()
            .filter(|one| one.arn.region.as_str() == "us-east-1");
        assert_eq!((launches.len(), here.count()), (10, 4));
        run_lane_of(&world, PEER).await;
        assert_eq!(world.cloud.instances().len(), 20);
        assert_eq!(world.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_fallback_whose_quota_is_in_use_is_tried_again_when_its_instances_have_ended() {
    let world = of_one_type(6, &[SPOT]).await;
    change(&world, SPOT, |row| row.shapes[0].on_demand_fallback = true).await;
    world.cloud.limit_pool("us-east-1 spot", 0);
    world.cloud.limit_quota_of("us-east-1 on-demand", 2);
    for wave in [2, 4, 6] {
        run_for(&world, SPOT, 40_000).await;
        let launched = world.cloud.instances();
        assert_eq!(launched.len(), wave);
        assert!(launched.iter().all(|one| one.market == Market::OnDemand));
        for arn in living(&world).await {
            end(&world, &arn).await;
        }
    }
    let members = world.members().await;
    assert!(
        members
            .iter()
            .all(|m| m.reason.as_deref().is_none_or(|r| !r.contains("quota")))
    );
    assert_eq!(world.violations().await, Vec::<String>::new());
}
