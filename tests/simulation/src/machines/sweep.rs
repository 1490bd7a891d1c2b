//! `spawn-sweep`.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use spawn_core::clock;

use super::asl::SWEEP;
use super::{drain, lane};
use crate::plane::{Function, Plane, TaskError};

/// Lanes that an inline Map runs at a time (sweep.asl.json, "Launch Every Lane").
const LANES_AT_ONCE: usize = 40;

/// Runs a sweep; answers its output.
pub(crate) async fn sweep(
    plane: &Arc<Plane>,
    execution: &str,
    document: Value,
) -> Result<Value, TaskError> {
    let machine = &*SWEEP;
    let started_at = clock::format_iso(plane.clock.now());
    let payload = json!({
        "execution_arn": execution,
        "started_at": started_at,
        "input": document,
    });
    let state = "Plan the Sweep";
    let done = plane
        .call(machine, state, Function::PlanSweep, payload)
        .await;
    let plan = match done.result {
        Ok(plan) => plan,
        Err(error) if error.name == "InvalidSweep" => {
            plane.enter(machine, "Refuse the Document").await;
            return Err(error);
        }
        Err(error) => return went_wrong(plane, execution, error).await,
    };
    plane.enter(machine, "Is It a Dry Run?").await;
    if plan["dry_run"] == json!(true) {
        plane.enter(machine, "Show the Plan").await;
        return Ok(plan);
    }
    plane.enter(machine, "Are Logs Wanted?").await;
    if plan["log_group"].is_string() {
        plane.enter(machine, "Make the Log Group").await;
        plane.enter(machine, "Let Logs Expire").await;
    }
    match launch_and_await(plane, execution, &plan).await {
        Ok(output) => ended(plane, output).await,
        Err(error) => went_wrong(plane, execution, error).await,
    }
}

/// From the plan to the settled sweep.
async fn launch_and_await(
    plane: &Arc<Plane>,
    execution: &str,
    plan: &Value,
) -> Result<Value, TaskError> {
    let machine = &*SWEEP;
    let sweep_id = plan["sweep_id"].as_str().unwrap_or_default().to_owned();
    let mut lanes = plan["lanes"].clone();
    let mut events = 0_u64;
    loop {
        launch_lanes(plane, execution, &lanes, &sweep_id).await?;
        let answer = await_last_member(plane, execution, plan, &sweep_id).await?;
        plane.enter(machine, "Are Members Tried Again?").await;
        if answer["relaunch"] != json!(true) {
            break;
        }
        lanes = answer["lanes"].clone();
        let count = lanes.as_array().map_or(0, Vec::len);
        events += 20 + 15 * u64::try_from(count).unwrap_or(u64::MAX);
        plane.enter(machine, "Gather Retries").await;
        let wait_s = (events.saturating_sub(5_000) / 200).pow(3);
        plane.clock.sleep(wait_s * 1_000).await;
    }
    let payload = json!({"sweep_id": sweep_id, "execution_arn": execution});
    let done = plane
        .call(
            machine,
            "Settle the Sweep",
            Function::CollectResults,
            payload,
        )
        .await;
    done.result
}

/// Waits for the end, or to be told to launch again.
async fn await_last_member(
    plane: &Arc<Plane>,
    execution: &str,
    plan: &Value,
    sweep_id: &str,
) -> Result<Value, TaskError> {
    let machine = &*SWEEP;
    let mut timeout_s = plan["timeout_s"].as_u64();
    loop {
        let timeout = timeout_s.map(|seconds| seconds * 1_000);
        let function = Function::TrackInstances;
        let done = plane
            .call_with_token(machine, "Await the Last Member", function, timeout, |token| {
                json!({"register": {
                    "kind": "completion", "sweep_id": sweep_id, "task_token": token, "execution_arn": execution,
                }})
            })
            .await;
        match &done.result {
            Err(error) if error.name == "States.Timeout" => {}
            _ => return done.result,
        }
        let state = "Ask Whether It Is Overdue";
        let payload = json!({"overdue": {"sweep_id": sweep_id}});
        let asked = plane.call(machine, state, function, payload).await.result?;
        plane.enter(machine, "Is It Overdue?").await;
        if asked["overdue"] == json!(true) {
            plane.enter(machine, "Sweep Is Overdue").await;
            return done.result;
        }
        timeout_s = asked["wait_s"].as_u64();
    }
}

async fn launch_lanes(
    plane: &Arc<Plane>,
    execution: &str,
    lanes: &Value,
    sweep_id: &str,
) -> Result<(), TaskError> {
    plane.enter(&SWEEP, "Launch Every Lane").await;
    let now = plane.clock.now();
    plane.state().lanes_began.get_or_insert(now);
    let lanes = lanes.as_array().into_iter().flatten();
    let lanes: Vec<&str> = lanes.filter_map(Value::as_str).collect();
    let mut running = stream::iter(lanes)
        .map(|name| run_lane(plane, execution, sweep_id, name))
        .buffer_unordered(LANES_AT_ONCE);
    // A lane that fails ends the Map: the other lanes' executions are stopped.
    while let Some(result) = running.next().await {
        result?;
    }
    Ok(())
}

async fn run_lane(
    plane: &Arc<Plane>,
    execution: &str,
    sweep_id: &str,
    name: &str,
) -> Result<(), TaskError> {
    let machine = &*SWEEP;
    plane.enter(machine, "Begin with a Lane").await;
    loop {
        plane.enter(machine, "Run the Lane").await;
        let more = lane::lane(plane, execution, sweep_id, name).await?;
        plane.enter(machine, "Is There More to Launch?").await;
        if !more {
            plane.enter(machine, "Lane Is Launched").await;
            return Ok(());
        }
    }
}

async fn went_wrong(
    plane: &Arc<Plane>,
    execution: &str,
    error: TaskError,
) -> Result<Value, TaskError> {
    let machine = &*SWEEP;
    plane.enter(machine, "Say What Went Wrong").await;
    plane.enter(machine, "Is It Still Its Sweep?").await;
    if error.name == "Superseded" {
        plane.enter(machine, "Fail with the First Error").await;
        return Err(error);
    }
    plane.enter(machine, "Drain the Sweep").await;
    let input = json!({
        "execution_arn": execution,
        "status": "failed",
        "reason": format!("{}: {}", error.name, error.cause),
    });
    // A drain that fails is started again by the rule on failed sweeps.
    if let Err(failure) = drain::drain(plane, input).await {
        plane.note(|| format!("the sweep's drain failed: {failure:?}"));
    }
    plane.enter(machine, "Tell Who Wants to Know").await;
    plane.enter(machine, "How Did It End?").await;
    plane.enter(machine, "Fail with the First Error").await;
    Err(error)
}

async fn ended(plane: &Arc<Plane>, output: Value) -> Result<Value, TaskError> {
    let machine = &*SWEEP;
    plane.enter(machine, "Tell Who Wants to Know").await;
    plane.enter(machine, "How Did It End?").await;
    let status = output["status"].as_str().unwrap_or_default();
    if matches!(status, "completed" | "completed_with_failures") {
        plane.enter(machine, "Sweep Is Completed").await;
        return Ok(output);
    }
    plane.enter(machine, "Sweep Has Failed").await;
    Err(TaskError::new("SweepFailed", output.to_string()))
}
