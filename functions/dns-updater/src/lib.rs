//! dns-updater: gives members their names in DNS, and takes them back.
//!
//! It is called by the ledger's stream when members change, by a schedule, and by instances whose addresses have changed.
//! Whoever calls only leaves a mark at the members concerned; one drainer at a time looks at the marked members, works out
//! what the zone must hold, and changes it in batches. So names follow the ledger, whatever is lost, repeated or reordered.

mod drain;
mod facts;
mod health;
mod lease;
mod look;
mod marks;
mod register;
mod report;
mod send;
mod stream;
mod sweep_up;

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::dns::Naming;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::Ledger;
use spawn_core::metrics::Measured;
use spawn_core::ports::{ChangeRecords, Clock, FindInstances, InAccounts, InspectZones};
use spawn_core::stream::{Change, Unprocessed};

pub use register::UrlRequest;

pub use report::Report;

/// How a deployment names its members, and who may ask for names.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The names; `None` when the deployment has no domain, and nothing is done.
    pub naming: Option<Naming>,
    /// The name of the role that instances have.
    pub member_role: String,
}

/// What the handler needs of the outside.
pub struct Ports<'a, L, Z, E, C> {
    /// The ledger.
    pub ledger: &'a L,
    /// Route 53.
    pub zones: &'a Z,
    /// EC2.
    pub ec2: &'a E,
    /// The time.
    pub clock: &'a C,
    /// The operator's settings.
    pub deployment: &'a Deployment,
}

/// Why the function was called.
#[derive(Debug)]
pub enum Input {
    /// Members have changed.
    Stream(Vec<Change>),
    /// An instance asks for its names.
    Request(UrlRequest),
    /// The schedule: whatever was left over.
    Drain,
    /// The schedule: ledger, zone and members are compared.
    SweepUp,
    /// Somebody asks whether all is well.
    Test,
}

impl Input {
    /// Reads the function's event, one of the stream aside: those are read by the adapter.
    ///
    /// # Errors
    /// When it is none of the other kinds.
    pub fn parse(event: &Value) -> Result<Self, FunctionError> {
        if event.get("requestContext").is_some() {
            return UrlRequest::deserialize(event)
                .map(Self::Request)
                .map_err(|error| FunctionError::Bug(format!("the event: {error}")));
        }
        if event.get("test") == Some(&Value::Bool(true)) {
            return Ok(Self::Test);
        }
        if event.get("sweep_up").is_some() {
            return Ok(Self::SweepUp);
        }
        if event.get("drain").is_some() {
            return Ok(Self::Drain);
        }
        Err(FunctionError::Bug(
            "the event is no batch of a stream, no request, and neither `drain`, `sweep_up` nor `test`"
                .to_owned(),
        ))
    }
}

/// How long one invocation drains: well below the function's time limit of five minutes, so that it can hand over in peace.
const DRAIN_MS: u64 = 200_000;

/// How long a request waits for its names: the mark stays, so nothing is lost when it is not served at once.
const REQUEST_DRAIN_MS: u64 = 5_000;

/// Does what the event asks for; answers it, and what was measured. `random` makes marks and waits differ from those of
/// others.
///
/// # Errors
/// When the ledger does not answer, or the drainer cannot go on. Marks stay until their members are served: a later call makes
/// it good.
pub async fn handle<L, Z, E, C>(
    input: Input,
    ports: &Ports<'_, L, Z, E, C>,
    random: u64,
) -> Result<(Value, Measured), FunctionError>
where
    L: Ledger,
    Z: ChangeRecords + InspectZones,
    E: FindInstances + InAccounts,
    C: Clock,
{
    let Some(naming) = &ports.deployment.naming else {
        return Ok((without_names(&input), Measured::new()));
    };
    let until = |ms: u64| ports.clock.now_ms() + ms;
    match input {
        Input::Stream(changes) => {
            let response = stream::note(&changes, ports, random).await;
            // The marks are in the ledger: what fails from here on is done by a later call, and must not bring the events back.
            let report = match drain::drain(ports, naming, random, until(DRAIN_MS)).await {
                Ok(report) => report,
                Err((error, report)) => {
                    tracing::warn!(%error, "names are brought up to date later");
                    report
                }
            };
            let response = serde_json::to_value(response)
                .map_err(|error| FunctionError::Bug(error.to_string()))?;
            Ok((response, report.measured()))
        }
        Input::Request(request) => {
            let answer = register::answer(&request, ports, naming, random).await?;
            let mut report = Report::default();
            if answer.is_accepted {
                let drained = drain::drain(ports, naming, random, until(REQUEST_DRAIN_MS)).await;
                report = drained.unwrap_or_else(|(_, report)| report);
            }
            Ok((answer.response, report.measured()))
        }
        Input::Drain => {
            let drained = drain::drain(ports, naming, random, until(DRAIN_MS)).await;
            finish(drained)
        }
        Input::SweepUp => {
            let swept = sweep_up::sweep_up(ports, naming, random, until(DRAIN_MS)).await;
            finish(swept)
        }
        Input::Test => Ok((health::check(ports, naming).await, Measured::new())),
    }
}

/// The answer to a schedule, which has somewhere to put a failure.
fn finish(
    result: Result<Report, (FunctionError, Report)>,
) -> Result<(Value, Measured), FunctionError> {
    match result {
        Ok(report) => Ok((report.summary(), report.measured())),
        Err((error, report)) => {
            report.log();
            Err(error)
        }
    }
}

/// What a deployment without a domain answers.
fn without_names(input: &Input) -> Value {
    match input {
        Input::Test => json!({"healthy": true, "names": "off: the deployment has no domain"}),
        Input::Stream(_) => json!(Unprocessed::none()),
        Input::Request(_) => register::refused(404, "this deployment gives no names"),
        Input::Drain | Input::SweepUp => json!({}),
    }
}
