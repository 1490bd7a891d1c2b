//! `spawn-lane`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::asl::LANE;
use crate::plane::{Function, Plane, TaskError};

/// Turns of one execution (lane.asl.json, "What Comes Next?").
const TURNS_MAX: u64 = 1_000;

/// Launches a lane; answers whether there is more to launch.
pub(super) async fn lane(
    plane: &Arc<Plane>,
    execution: &str,
    sweep: &str,
    lane: &str,
) -> Result<bool, TaskError> {
    let machine = &*LANE;
    plane.enter(machine, "Begin Counting Turns").await;
    let mut turns = 0;
    loop {
        let payload = json!({"sweep_id": sweep, "lane": lane, "execution_arn": execution});
        let done = plane
            .call(machine, "Launch One Batch", Function::LaunchBatch, payload)
            .await;
        turns += 1 + done.retries;
        let step = match done.result {
            Ok(step) => step,
            Err(error) => return failed(plane, error).await,
        };
        plane.enter(machine, "What Comes Next?").await;
        let next = step["next"].as_str().unwrap_or_default();
        if next == "done" {
            plane.enter(machine, "Lane Is Done").await;
            return Ok(false);
        }
        if turns >= TURNS_MAX {
            plane
                .enter(machine, "Lane Goes On in a New Execution")
                .await;
            return Ok(true);
        }
        match next {
            "wait" => {
                plane.enter(machine, "Wait for EC2's Pace").await;
                let seconds = step["wait_s"].as_u64().unwrap_or(0);
                plane.clock.sleep(seconds * 1_000).await;
            }
            "slot" => {
                match wait_for_slot(plane, execution, sweep, lane, &step["charged_at_most"]).await {
                    Ok(retries) => turns += retries,
                    Err(error) => return failed(plane, error).await,
                }
            }
            _ => {}
        }
    }
}

async fn wait_for_slot(
    plane: &Arc<Plane>,
    execution: &str,
    sweep: &str,
    lane: &str,
    charged_at_most: &Value,
) -> Result<u64, TaskError> {
    let done = plane
        .call_with_token(
            &LANE,
            "Wait for a Free Slot",
            Function::TrackInstances,
            None,
            |token| -> Value {
                json!({"register": {
                    "kind": "slot", "sweep_id": sweep, "lane": lane, "task_token": token,
                    "execution_arn": execution,
                    "charged_at_most": charged_at_most,
                }})
            },
        )
        .await;
    match done.result {
        Ok(_) => Ok(done.retries),
        // The safety net for a wake-up that was lost.
        Err(error) if error.name == "States.Timeout" => Ok(0),
        Err(error) => Err(error),
    }
}

async fn failed(plane: &Arc<Plane>, error: TaskError) -> Result<bool, TaskError> {
    plane.enter(&LANE, "Lane Has Failed").await;
    Err(error)
}
