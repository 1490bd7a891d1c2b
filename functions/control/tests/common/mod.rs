//! What the tests of controls share.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by tests of which each uses a part"
)]

use control::{Input, Ports, handle};
use serde_json::{Value, json};
use simulation::{World, sweep};
use spawn_core::clock;
use spawn_core::control::ControlRow;
use spawn_core::errors::FunctionError;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::{self, Ledger as _, Stored as _};
use spawn_core::ports::InstanceState;
use spawn_core::rows::{LaneRow, SweepRow, lane_key, sweep_pk};
use spawn_core::state::SweepStatus;

pub const LANE: &str = "us-east-1.on-demand";
pub const SPOT: &str = "us-east-1.spot";
pub const START: &str = "1970-01-01T00:00:05Z";
pub const NOW: u64 = 6_000;
pub const HOUR: u64 = 3_600_000;

/// A request by the execution `name`: of two executions the one whose name comes later was started later.
pub fn asked(control: &str, input: &Value, name: &str) -> Value {
    let after_a = u64::from(name.as_bytes()[0] - b'a');
    let started_at = clock::parse_iso(START).unwrap() + after_a;
    let machine = format!("arn:aws:states:us-east-1:000000000000:execution:spawn-{control}");
    json!({
        "control": control,
        "input": input,
        "execution_arn": format!("{machine}:{name}"),
        "started_at": clock::format_iso(started_at),
    })
}

pub async fn call(world: &World, input: Value, now: u64) -> Result<Value, FunctionError> {
    let input: Input = serde_json::from_value(input).unwrap();
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        executions: &world.executions,
    };
    handle(input, &ports, now).await
}

/// What the state machine does for a control that acts place by place; answers its output.
pub async fn run(
    world: &World,
    control: &str,
    input: Value,
    name: &str,
) -> Result<Value, FunctionError> {
    let asked = asked(control, &input, name);
    // A later control acts later: what EC2 shows before a stop is no start.
    let begins = NOW + u64::from(name.as_bytes()[0] - b'a') * 200_000;
    let plan = call(world, json!({"check": asked}), begins).await?;
    let mut answers = Vec::new();
    for lane in plan["places"].as_array().unwrap() {
        for look in 0_u64.. {
            let act = json!({"act": {"asked": asked, "lane": lane}});
            let answer = call(world, act, begins + look * 2_000).await?;
            assert!(look < 50, "it never settles: {answer}");
            if answer["settled"] == true {
                answers.push(answer);
                break;
            }
        }
    }
    let outcome = match plan["way"].as_str() {
        Some("places") => Value::from(answers),
        _ => plan["nothing_to_do"].clone(),
    };
    let done = json!({"asked": asked, "sweep_id": plan["sweep_id"], "outcome": outcome});
    call(world, json!({"note": done}), NOW + 1_000).await
}

/// What `check` answers to a request of the whole sweep.
pub async fn check(world: &World, control: &str, more: Value, name: &str) -> Value {
    let asked = asked(control, &whole(world, &more), name);
    call(world, json!({"check": asked}), NOW).await.unwrap()
}

pub fn whole(world: &World, more: &Value) -> Value {
    let mut input = json!({"sweep_id": world.sweep_id});
    let fields = input.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    input
}

/// Outcomes with their members, one `outcome members` each.
pub fn outcomes(output: &Value) -> Vec<String> {
    let groups = output["outcome"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    groups
        .map(|group| format!("{} {}", text(&group["outcome"]), text(&group["members"])))
        .collect()
}

/// A sweep of four members that run.
pub async fn running(lane: &str) -> (World, Vec<InstanceArn>) {
    running_of(sweep(4, &[lane], None)).await
}

/// A sweep whose first batch runs.
pub async fn running_of(mut row: SweepRow) -> (World, Vec<InstanceArn>) {
    row.status = SweepStatus::Running;
    let world = World::new(&row).await;
    let instances = launched(&world).await;
    (world, instances)
}

/// Launches the first batch; its instances run, and its launcher has ended.
pub async fn launched(world: &World) -> Vec<InstanceArn> {
    let instances = world.launch_first_batch().await;
    for arn in &instances {
        world.cloud.put(arn, InstanceState::Running, None);
    }
    let lane = world.sweep().await.lanes[0].clone();
    let key = lane_key(&world.sweep_id, &lane);
    let mut lane: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    lane.open_attempts.clear();
    let rows = vec![lane.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    instances
}

pub async fn controls(world: &World) -> Vec<ControlRow> {
    let pk = sweep_pk(&world.sweep_id);
    ledger::load_all(&world.ledger, &pk, "CONTROL#")
        .await
        .unwrap()
}

pub async fn deadlines(world: &World) -> Vec<u64> {
    let members = world.members().await;
    members.iter().filter_map(|m| m.ttl_deadline).collect()
}

pub fn living(world: &World) -> usize {
    let instances = world.cloud.instances();
    instances.iter().filter(|i| !i.state.is_ending()).count()
}
