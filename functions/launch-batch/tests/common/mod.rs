//! A lane, step by step, on virtual time.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by tests of which each uses a part"
)]

use launch_batch::{Input, Next, Output, Ports, handle};
use simulation::{Cloud, MemoryLedger, VirtualClock, World, lane};
use spawn_core::limits::Sizes;
use spawn_core::metrics::Measured;
use spawn_core::ports::Clock as _;

pub const LANE: &str = "us-east-1.on-demand";

pub fn ports(world: &World) -> Ports<'_, MemoryLedger, Cloud, VirtualClock> {
    Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        clock: &world.clock,
        home: &world.home,
        limits: Sizes::default(),
        publish: &|_: &Measured, _| {},
    }
}

pub fn input(world: &World) -> Input {
    input_of(world, LANE)
}

pub fn input_of(world: &World, name: &str) -> Input {
    Input {
        sweep_id: world.sweep_id.clone(),
        lane: lane(name),
        execution_arn: None,
    }
}

/// One invocation.
pub async fn step(world: &World) -> Output {
    step_of(world, LANE, 7).await
}

pub async fn step_of(world: &World, lane: &str, random: u64) -> Output {
    let ports = ports(world);
    let process = handle(input_of(world, lane), &ports, random);
    world.clock.drive(&world.faults, process).await.unwrap()
}

/// Invocations until the lane is done or waits for a slot; time passes as the lane asks.
pub async fn run_lane(world: &World) -> Vec<Output> {
    run_lane_of(world, LANE).await
}

pub async fn run_lane_of(world: &World, lane: &str) -> Vec<Output> {
    let mut outputs = Vec::new();
    for turn in 0..2_000 {
        let output = step_of(world, lane, turn).await;
        world
            .clock
            .set(world.clock.now_ms() + 100 + output.wait_s * 1000);
        let over = matches!(output.next, Next::Done | Next::Slot);
        outputs.push(output);
        if over {
            return outputs;
        }
    }
    panic!("the lane did not come to an end: {outputs:?}");
}
