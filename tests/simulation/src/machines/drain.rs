//! `spawn-drain`.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::asl::DRAIN;
use crate::plane::{Function, Plane, TaskError};

/// What became of a lane.
enum Lane {
    Empty,
    Living,
    Failed(TaskError),
}

/// Drains a sweep; answers its output.
pub(crate) async fn drain(plane: &Arc<Plane>, input: Value) -> Result<Value, TaskError> {
    let machine = &*DRAIN;
    loop {
        let mut request = json!({"status": "cancelled", "reason": "drained by hand"});
        if let (Some(request), Some(input)) = (request.as_object_mut(), input.as_object()) {
            request.extend(input.clone());
        }
        let payload = json!({"drain": request});
        let state = "Mark the Sweep as Draining";
        let done = plane
            .call(machine, state, Function::IdleReaper, payload)
            .await;
        let marked = match done.result {
            Ok(marked) => marked,
            Err(error) => return failed(plane, error).await,
        };
        plane.enter(machine, "Was Anything Planned?").await;
        if marked["known"] != json!(true) {
            plane.enter(machine, "Nothing to Drain").await;
            return Ok(json!({"known": false}));
        }
        let sweep = marked["sweep_id"].as_str().unwrap_or_default().to_owned();
        let lanes = lanes(&marked);
        let looks_max = (2_000 / lanes.len().max(1)).max(5);
        plane.enter(machine, "Reap Every Lane").await;
        let ends = join_all(
            lanes
                .iter()
                .map(|lane| reap(plane, &sweep, lane, looks_max)),
        )
        .await;
        plane.enter(machine, "Is Every Lane Empty?").await;
        let mut living = false;
        for end in ends {
            match end {
                Lane::Empty => {}
                Lane::Living => living = true,
                Lane::Failed(error) => return failed(plane, error).await,
            }
        }
        if living {
            plane.enter(machine, "Go On in a New Execution").await;
            continue;
        }
        let payload = json!({"sweep_id": sweep});
        let state = "Settle the Sweep";
        let done = plane
            .call(machine, state, Function::CollectResults, payload)
            .await;
        return match done.result {
            Ok(output) => {
                plane.enter(machine, "Sweep Is Drained").await;
                Ok(output)
            }
            Err(error) => failed(plane, error).await,
        };
    }
}

fn lanes(marked: &Value) -> Vec<String> {
    let lanes = marked["lanes"].as_array().into_iter().flatten();
    lanes
        .filter_map(|lane| lane.as_str().map(str::to_owned))
        .collect()
}

async fn reap(plane: &Arc<Plane>, sweep: &str, lane: &str, looks_max: usize) -> Lane {
    let machine = &*DRAIN;
    plane.enter(machine, "Begin with a Lane").await;
    let mut looks = 0;
    loop {
        let payload = json!({"reap_lane": {"sweep_id": sweep, "lane": lane}});
        let state = "Terminate What Lives";
        let done = plane
            .call(machine, state, Function::IdleReaper, payload)
            .await;
        let seen = match done.result {
            Ok(seen) => seen,
            Err(error) => {
                plane.enter(machine, "Lane Could Not Be Reaped").await;
                return Lane::Failed(error);
            }
        };
        looks += 1 + usize::try_from(done.retries).unwrap_or(0);
        plane.enter(machine, "Does Anything Live?").await;
        if seen["live"] == json!(0) {
            plane.enter(machine, "Lane Is Empty").await;
            return Lane::Empty;
        }
        if looks >= looks_max {
            plane.enter(machine, "Lane Is Not Empty Yet").await;
            return Lane::Living;
        }
        plane.enter(machine, "Give EC2 Time").await;
        let more = u64::try_from(looks).unwrap_or(u64::MAX) - 1;
        let seconds = (seen["wait_s"].as_u64().unwrap_or(0) + more).min(30);
        plane.clock.sleep(seconds * 1_000).await;
    }
}

async fn failed(plane: &Arc<Plane>, error: TaskError) -> Result<Value, TaskError> {
    plane.enter(&DRAIN, "Drain Has Failed").await;
    Err(error)
}
