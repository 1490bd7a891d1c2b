//! idle-reaper: ends instances. It marks a sweep as draining and terminates what lives of it, lane by lane, until the cloud
//! shows none; and every minute it looks over each place for instances whose time is over, which are idle, or nobody's.

mod act;
mod lease;
mod look;
mod pass;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::drain::{self, InFlight};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::ledger::{self, Ledger};
use spawn_core::metrics::Measured;
use spawn_core::ports::{
    EndInstances, HibernateInstances, InAccounts, ListInstances, ReadUsage, StopInstances,
    WakeExecutions, WatchInstances,
};
use spawn_core::reap::{self, Which, breaker::Limit};
use spawn_core::region::Region;
use spawn_core::rows::{Drain, LaneRow, SweepRow, lane_key, sweep_key};
use spawn_core::state::SweepStatus;
use spawn_core::track;

pub use pass::{Passed, ReapPlace, Told};

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, W> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// Step Functions.
    pub executions: &'a W,
    /// How much of a fleet a pass may end.
    pub limit: Limit,
    /// The region of the control plane.
    pub home: Region,
    /// Publishes what was measured.
    pub measure: &'a (dyn Fn(&Measured, u64) + Sync),
}

/// What the state machine asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Mark a sweep as draining.
    Drain(DrainRequest),
    /// Terminate what lives in one lane of a draining sweep.
    ReapLane(ReapLane),
    /// Tell which places a pass looks over.
    Places {
        /// Only those that are due, as the schedule wants; a person gets them all.
        #[serde(default)]
        due: bool,
    },
    /// Look over every instance of one place.
    ReapPlace(ReapPlace),
}

/// Which sweep to drain, and why.
#[derive(Clone, Debug, Deserialize)]
pub struct DrainRequest {
    /// The sweep; or
    pub sweep_id: Option<SweepId>,
    /// the execution that submitted it; or both: then it is drained only while it is that execution's, and none has resumed it.
    pub execution_arn: Option<String>,
    /// What the sweep will be called when it is drained.
    pub status: SweepStatus,
    /// Why, in words.
    pub reason: String,
}

/// Which lane to reap.
#[derive(Clone, Debug, Deserialize)]
pub struct ReapLane {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
}

/// The answer to `drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// Whether there is such a sweep.
    pub known: bool,
    /// The sweep.
    pub sweep_id: Option<SweepId>,
    /// The lanes to reap; none when the sweep is over.
    pub lanes: Vec<LaneId>,
}

/// The answer to `reap_lane`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reaped {
    /// Instances that live, may live, or may yet appear.
    pub live: usize,
    /// Seconds after which to look again, when there are any.
    pub wait_s: u64,
}

/// Seconds between two looks at a lane that is being reaped.
const LOOK_AGAIN_S: u64 = 2;

/// Does what is asked at `now` (ms since 1970).
///
/// # Errors
/// When the ledger or EC2 does not answer, or the sweep to reap is not draining. Nothing is concluded from a failed look.
pub async fn handle<L, E, W>(
    input: Input,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: InAccounts
        + ListInstances
        + EndInstances
        + WatchInstances
        + StopInstances
        + HibernateInstances
        + ReadUsage,
    W: WakeExecutions,
{
    let to_json = |error: serde_json::Error| FunctionError::Bug(error.to_string());
    match input {
        Input::Drain(request) => serde_json::to_value(mark(request, ports).await?).map_err(to_json),
        Input::ReapLane(lane) => {
            serde_json::to_value(reap_lane(&lane, ports, now).await?).map_err(to_json)
        }
        Input::Places { due } => {
            let which = if due { Which::Due } else { Which::Every };
            let home = Place::home(ports.home);
            let places = reap::places(ports.ledger, home, which, now).await?;
            Ok(json!({ "places": places }))
        }
        Input::ReapPlace(request) => {
            let passed = pass::reap_place(&request, ports, now).await;
            serde_json::to_value(passed.map_err(|error| error.at(&request.place))?).map_err(to_json)
        }
    }
}

/// Marks a sweep as draining, and wakes its lanes that wait: they will find that there is nothing more to launch.
async fn mark<L: Ledger, E, W: WakeExecutions>(
    request: DrainRequest,
    ports: &Ports<'_, L, E, W>,
) -> Result<Drained, FunctionError> {
    let unknown = Drained {
        known: false,
        sweep_id: None,
        lanes: Vec::new(),
    };
    let sweep_id = match (request.sweep_id, &request.execution_arn) {
        (Some(sweep_id), _) => sweep_id,
        (None, Some(arn)) => match drain::sweep_of_execution(ports.ledger, arn).await? {
            Some(sweep_id) => sweep_id,
            None => return Ok(unknown),
        },
        (None, None) => {
            let text = "a drain must name a `sweep_id` or an `execution_arn`".to_owned();
            return Err(FunctionError::Config(text));
        }
    };
    if !request.status.is_ended() {
        return Err(FunctionError::Config(format!(
            "a drained sweep cannot be called `{}`; one of failed, cancelled, over_budget can it be",
            request.status
        )));
    }
    let of_execution = request.execution_arn.as_deref();
    let drain = Drain {
        status: request.status,
        reason: request.reason,
    };
    let Some(sweep) = drain::mark(ports.ledger, &sweep_id, of_execution, &drain).await? else {
        return Ok(unknown);
    };
    let lanes = if sweep.status == SweepStatus::Draining {
        tracing::info!(%sweep_id, reason = drain.reason, live = sweep.live, "sweep drains");
        track::wake(ports.ledger, ports.executions, &sweep_id).await?;
        sweep.lanes
    } else {
        Vec::new()
    };
    Ok(Drained {
        known: true,
        sweep_id: Some(sweep_id),
        lanes,
    })
}

/// Terminates what lives in a lane's region, and tells how much may still live.
async fn reap_lane<L, E, W>(
    request: &ReapLane,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Reaped, FunctionError>
where
    L: Ledger,
    E: InAccounts + ListInstances + EndInstances,
    W: WakeExecutions,
{
    let ReapLane { sweep_id, lane } = request;
    let sweep: SweepRow = ledger::require(ports.ledger, sweep_key(sweep_id)).await?;
    if sweep.status.may_launch() || sweep.status == SweepStatus::Planning {
        // Deletion fails closed: only a sweep that was marked is reaped whole.
        return Err(FunctionError::Config(format!(
            "sweep {sweep_id} is {}, not draining: drain it first",
            sweep.status
        )));
    }
    // The attempts are looked at before the cloud: one that is closed by then has its instances in the ledger or in the list.
    let lane_row: Option<LaneRow> = ledger::load(ports.ledger, lane_key(sweep_id, lane)).await?;
    let in_flight = match &lane_row {
        Some(row) => drain::close_abandoned_attempts(ports.ledger, &sweep, row, now).await?,
        // The planner died before it wrote the lane: nothing was ever launched in it.
        None => InFlight::No,
    };
    let found = track::reconcile(ports.ledger, ports.ec2, sweep_id, lane.place(), now).await?;
    let mut ids: Vec<String> = found
        .living
        .iter()
        .map(|instance| instance.arn.instance_id.clone())
        .collect();
    ids.extend(found.unseen.iter().map(|arn| arn.instance_id.clone()));
    if !ids.is_empty() {
        tracing::info!(%sweep_id, %lane, instances = ids.len(), "instances are terminated");
        let ec2 = ports.ec2.of(lane.account);
        ec2.terminate(&lane.region, &ids).await?;
    }
    let live = ids.len() + usize::from(in_flight == InFlight::Yes);
    if live == 0 {
        track::wake(ports.ledger, ports.executions, sweep_id).await?;
    }
    Ok(Reaped {
        live,
        wait_s: if live == 0 { 0 } else { LOOK_AGAIN_S },
    })
}
