//! track-instances: follows instances to their end. Events tell that something happened, the ledger and EC2 tell what.
//!
//! It is called with a batch of events, by an execution that wants to be woken or asks for how long it should wait still, and
//! every minute to reconcile ledger and cloud, because all EC2 events are best effort (Amazon EventBridge, "Events from Amazon EC2").

mod events;
mod reconcile;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::control;
use spawn_core::errors::FunctionError;
use spawn_core::failure;
use spawn_core::ids::{InstanceArn, LaneId, SweepId};
use spawn_core::ledger::{self, Ledger};
use spawn_core::lifecycle::Sighting;
use spawn_core::metrics::{Measured, Metric};
use spawn_core::overdue;
use spawn_core::ports::{
    FindInstances, InAccounts, ListInstances, StopInstances, WakeExecutions, WatchExecutions,
};
use spawn_core::rows::{SweepRow, sweep_key};
use spawn_core::track::{self, Applied, Waiting, WaitingFor};

pub use events::{Event, Message};

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, W> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// Step Functions.
    pub executions: &'a W,
    /// Publishes what was measured.
    pub measure: &'a (dyn Fn(&Measured) + Sync),
}

/// What an execution waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A free slot for a lane.
    Slot,
    /// The end of all members.
    Completion,
}

/// An execution that wants to be woken.
#[derive(Clone, Debug, Deserialize)]
pub struct Register {
    /// For what.
    pub kind: Kind,
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane that waits for a slot.
    pub lane: Option<LaneId>,
    /// It waits for room in the sweep's budget, which is there when the sweep is charged with no more than this, in micro-dollars.
    pub charged_at_most: Option<i64>,
    /// The task token to answer.
    pub task_token: String,
    /// The execution of the sweep that waits, or whose lane does.
    #[serde(default)]
    pub execution_arn: Option<String>,
}

/// Why the function was called.
#[derive(Clone, Debug)]
pub enum Input {
    /// Messages of the event queue.
    Messages(Vec<Message>),
    /// An execution waits.
    Register(Register),
    /// An execution has waited for as long as was planned, and asks for how long it is to wait still.
    Overdue(SweepId),
    /// The schedule.
    Reconcile,
}

impl Input {
    /// Reads the function's event.
    ///
    /// # Errors
    /// When it is none of the four kinds.
    pub fn parse(event: &Value) -> Result<Self, FunctionError> {
        let wrong = |error: serde_json::Error| FunctionError::Bug(format!("the event: {error}"));
        if let Some(records) = event.get("Records").and_then(Value::as_array) {
            return Ok(Self::Messages(records.iter().map(Message::parse).collect()));
        }
        if let Some(register) = event.get("register") {
            return Register::deserialize(register)
                .map(Self::Register)
                .map_err(wrong);
        }
        if let Some(sweep_id) = event.pointer("/overdue/sweep_id") {
            return SweepId::deserialize(sweep_id)
                .map(Self::Overdue)
                .map_err(wrong);
        }
        if event.get("reconcile").is_some() {
            return Ok(Self::Reconcile);
        }
        Err(FunctionError::Bug(
            "the event is neither a batch of messages, nor `register`, `overdue` or `reconcile`"
                .to_owned(),
        ))
    }
}

/// SQS's partial batch response: the messages to deliver again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    /// One entry for each message that failed.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failure>,
}

/// A message to deliver again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its id.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

/// How often a message about an instance that the ledger does not know is delivered before it is dropped. An event can be
/// faster than the record of the launch; but EC2 tells of every instance of the account, and most accounts have others.
const UNKNOWN_DELIVERIES_MAX: u32 = 3;

/// Does what the event asks for at `now` (ms since 1970).
///
/// # Errors
/// When the ledger, EC2 or Step Functions does not answer. A batch of messages fails message by message instead.
pub async fn handle<L, E, W>(
    input: Input,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: InAccounts + FindInstances + ListInstances + StopInstances + Sync,
    W: WakeExecutions + WatchExecutions,
{
    match input {
        Input::Messages(messages) => {
            let response = messages_arrived(&messages, ports, now).await;
            serde_json::to_value(response).map_err(|error| FunctionError::Bug(error.to_string()))
        }
        Input::Register(register) => {
            let kind = match (register.kind, register.lane) {
                (Kind::Completion, _) => WaitingFor::Completion,
                (Kind::Slot, Some(lane)) => WaitingFor::Slot(lane, register.charged_at_most),
                (Kind::Slot, None) => {
                    let text = "a lane that waits for a slot must give its name".to_owned();
                    return Err(FunctionError::Bug(text));
                }
            };
            let waiting = Waiting {
                kind,
                task_token: register.task_token,
                execution_arn: register.execution_arn,
            };
            let sweep_id = &register.sweep_id;
            track::register(ports.ledger, ports.executions, sweep_id, waiting, now).await?;
            Ok(json!({}))
        }
        Input::Overdue(sweep_id) => {
            let sweep: SweepRow = ledger::require(ports.ledger, sweep_key(&sweep_id)).await?;
            let members = control::all_members(ports.ledger, &sweep).await?;
            let is_stopped = sweep.stopped.is_some() && sweep.goes_on();
            let due_in_s = overdue::due_in_s(is_stopped, &members, now);
            tracing::info!(%sweep_id, due_in_s, "sweep has lived for as long as was planned");
            Ok(json!({"overdue": due_in_s.is_none(), "wait_s": due_in_s.unwrap_or(0)}))
        }
        Input::Reconcile => {
            let (answer, measured) = reconcile::all(ports, now).await?;
            (ports.measure)(&measured);
            Ok(answer)
        }
    }
}

/// Applies a batch of messages; answers those to deliver again.
async fn messages_arrived<L, E, W>(
    messages: &[Message],
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> BatchResponse
where
    L: Ledger,
    E: InAccounts + FindInstances + ListInstances + StopInstances + Sync,
    W: WakeExecutions + WatchExecutions,
{
    let mut understood = Vec::new();
    for message in messages {
        match &message.event {
            Ok(event) => understood.push((message, event)),
            // A message that nobody will ever understand must not come back for days.
            Err(problem) => {
                tracing::error!(message_id = message.id, problem, "message was dropped");
            }
        }
    }
    let sightings: Vec<Sighting> = understood
        .iter()
        .map(|(_, event)| event.0.clone())
        .collect();
    let failed = |messages: Vec<&Message>| BatchResponse {
        failures: messages
            .into_iter()
            .map(|message| Failure {
                id: message.id.clone(),
            })
            .collect(),
    };
    let applied = match apply_and_wake(&sightings, ports, now).await {
        Ok(applied) => applied,
        Err(error) => {
            tracing::warn!(%error, messages = understood.len(), "messages will be delivered again");
            return failed(understood.iter().map(|(message, _)| *message).collect());
        }
    };
    let unexplained = match explain(&applied.unexplained, ports, now).await {
        Ok(unexplained) => unexplained,
        Err(error) => {
            tracing::warn!(%error, instances = applied.unexplained.len(), "ends were not looked up");
            applied
                .unexplained
                .into_iter()
                .map(|(_, arn)| arn)
                .collect()
        }
    };
    let again: Vec<&Message> = understood
        .iter()
        .filter(|(message, event)| {
            let is_early =
                applied.unknown.contains(&event.0.instance) && event.may_precede_the_record();
            (is_early || unexplained.contains(&event.0.instance))
                && message.deliveries < UNKNOWN_DELIVERIES_MAX
        })
        .map(|(message, _)| *message)
        .collect();
    failed(again)
}

/// Looks up why instances ended of which events say only that they did, and applies it: the warning of a spot interruption may
/// have been lost, and then EC2's reason is all that tells of it. Answers those that EC2 does not show as ended yet; if
/// their events are dropped at last, reconcile finds their ends.
async fn explain<L, E, W>(
    instances: &BTreeSet<(Place, InstanceArn)>,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<BTreeSet<InstanceArn>, FunctionError>
where
    L: Ledger,
    E: InAccounts + FindInstances + ListInstances + StopInstances + Sync,
    W: WakeExecutions + WatchExecutions,
{
    let mut by_place: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for (place, arn) in instances {
        let ids = by_place.entry(*place).or_default();
        ids.push(arn.instance_id.clone());
    }
    let mut sightings = Vec::new();
    for (place, ids) in by_place {
        let ec2 = ports.ec2.of(place.account);
        for found in ec2.find_instances(&place.region, &ids).await? {
            if found.state.is_ending() {
                sightings.push(Sighting::of_state(&found));
            }
        }
    }
    apply_and_wake(&sightings, ports, now).await?;
    let explained: BTreeSet<&InstanceArn> = sightings.iter().map(|one| &one.instance).collect();
    let arns = instances.iter().map(|(_, arn)| arn);
    let rest = arns.filter(|arn| !explained.contains(arn));
    Ok(rest.cloned().collect())
}

/// Applies what was seen, stops what is to be stopped, and wakes who waits.
async fn apply_and_wake<L, E, W>(
    sightings: &[Sighting],
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Applied, FunctionError>
where
    L: Ledger,
    E: InAccounts + FindInstances + ListInstances + StopInstances + Sync,
    W: WakeExecutions + WatchExecutions,
{
    let applied = track::apply(ports.ledger, sightings, now).await?;
    for illegal in &applied.illegal {
        tracing::warn!(illegal, "observation was dropped");
    }
    if applied.changed > 0 {
        tracing::info!(
            members = applied.changed,
            sweeps = applied.sweeps.len(),
            "members moved"
        );
    }
    if let Some(measured) = measured(&applied) {
        (ports.measure)(&measured);
    }
    stop(&applied.to_stop, ports).await?;
    for sweep in &applied.sweeps {
        enforce(sweep, ports, now).await?;
        track::wake(ports.ledger, ports.executions, sweep).await?;
    }
    Ok(applied)
}

/// How long instances took to run, and how many members are tried again; nothing when there is nothing new.
fn measured(applied: &Applied) -> Option<Measured> {
    let mut measured = Measured::new();
    for ms in &applied.started_ms {
        let ms = i64::try_from(*ms).unwrap_or(i64::MAX);
        measured = measured.with(Metric::TimeToRunning, ms);
    }
    if applied.retried > 0 {
        measured = measured.with(Metric::Retries, applied.retried);
    }
    (!applied.started_ms.is_empty() || applied.retried > 0).then_some(measured)
}

/// Holds or drains a sweep of which too many members have failed.
async fn enforce<L: Ledger, E, W: WatchExecutions>(
    sweep: &SweepId,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<(), FunctionError> {
    if let Some(enough) = failure::enforce(ports.ledger, ports.executions, sweep, now).await? {
        tracing::warn!(sweep_id = %sweep, drain = enough.drain, reason = enough.reason, "too many members have failed");
    }
    Ok(())
}

/// Stops the instances of members that are complete and asked for it.
async fn stop<L, E: InAccounts + StopInstances, W>(
    instances: &BTreeSet<(Place, InstanceArn)>,
    ports: &Ports<'_, L, E, W>,
) -> Result<(), FunctionError> {
    for (place, arn) in instances {
        let ids = [arn.instance_id.clone()];
        let ec2 = ports.ec2.of(place.account);
        ec2.stop(&place.region, &ids).await?;
    }
    Ok(())
}
