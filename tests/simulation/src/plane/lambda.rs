//! Calls of functions.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::Value;
use spawn_core::document::OperatorDefaults;
use spawn_core::errors::FunctionError;
use spawn_core::limits::Sizes;
use spawn_core::reap::breaker::Limit;
use spawn_core::region::Region;

use super::client::{Client, Invocation};
use super::{Fault, Plane, money};
use crate::engine::{Ms, Slot};
use crate::{Route53, VirtualTime};

/// A function of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// plan-sweep.
    PlanSweep,
    /// launch-batch.
    LaunchBatch,
    /// track-instances.
    TrackInstances,
    /// idle-reaper.
    IdleReaper,
    /// collect-results.
    CollectResults,
}

impl Function {
    /// The name of its crate.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlanSweep => "plan-sweep",
            Self::LaunchBatch => "launch-batch",
            Self::TrackInstances => "track-instances",
            Self::IdleReaper => "idle-reaper",
            Self::CollectResults => "collect-results",
        }
    }

    /// Its time limit, as infra/template.yaml sets it.
    fn timeout(self) -> Ms {
        match self {
            Self::PlanSweep => 300_000,
            Self::LaunchBatch | Self::TrackInstances | Self::IdleReaper => 120_000,
            Self::CollectResults => 900_000,
        }
    }

    /// Its memory in MiB, as infra/template.yaml sets it.
    #[must_use]
    pub fn memory_mib(self) -> u64 {
        match self {
            Self::PlanSweep | Self::CollectResults => 1_024,
            Self::LaunchBatch | Self::TrackInstances | Self::IdleReaper => 256,
        }
    }
}

/// The error of a task of a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskError {
    pub(crate) name: String,
    pub(crate) cause: String,
}

impl TaskError {
    pub(crate) fn new(name: &str, cause: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            cause: cause.into(),
        }
    }
}

impl From<FunctionError> for TaskError {
    fn from(error: FunctionError) -> Self {
        Self::new(error.error_type(), error.to_string())
    }
}

/// How an invocation ended.
enum Outcome {
    Answered(Result<Value, FunctionError>),
    Died,
    TimedOut,
}

impl Plane {
    /// Calls a function and waits for its answer.
    pub(crate) async fn invoke(
        self: &Arc<Self>,
        function: Function,
        payload: Value,
    ) -> Result<Value, TaskError> {
        let number = {
            let mut state = self.state();
            let count = state.stats.invocations.entry(function).or_insert(0);
            *count += 1;
            state.stats.invocations.values().sum()
        };
        let half = self
            .clock
            .between(self.settings.latencies.invoke)
            .div_ceil(2);
        self.clock.sleep(half).await;
        self.note(|| format!("#{number} {} begins", function.as_str()));
        let began = self.clock.now();
        let answered = Slot::new();
        let died = Slot::new();
        let client = Client {
            plane: Arc::clone(self),
            invocation: Arc::new(Invocation {
                function,
                died: died.clone(),
                number,
                calls: AtomicU64::new(0),
            }),
            account: None,
        };
        let task = self.clock.spawn({
            let answered = answered.clone();
            async move { answered.put(run(function, payload, client).await) }
        });
        let lost = self.fault(Fault::AnswerLost);
        let patience = if lost {
            self.clock.between((100, 60_000))
        } else {
            function.timeout()
        };
        let outcome = tokio::select! {
            biased;
            answer = answered.take() => Outcome::Answered(answer),
            () = died.take() => Outcome::Died,
            () = self.clock.sleep(patience) => Outcome::TimedOut,
        };
        let took = self.clock.now() - began;
        *self.state().stats.function_ms.entry(function).or_insert(0) += took;
        if matches!(outcome, Outcome::TimedOut) && lost {
            // It goes on in the dark, until its own time limit.
            let plane = Arc::clone(self);
            let left = function.timeout().saturating_sub(took);
            self.clock.after(left, move || plane.clock.abort(task));
        } else {
            self.clock.abort(task);
        }
        let half = self
            .clock
            .between(self.settings.latencies.invoke)
            .div_ceil(2);
        self.clock.sleep(half).await;
        let result = match outcome {
            Outcome::Answered(Ok(_)) if lost => {
                Err(TaskError::new("Lambda.Unknown", "the answer is lost"))
            }
            Outcome::Answered(result) => result.map_err(TaskError::from),
            Outcome::Died => Err(TaskError::new("Runtime.ExitError", "the process died")),
            Outcome::TimedOut => Err(TaskError::new("Sandbox.Timedout", "the time is over")),
        };
        self.note(|| match &result {
            Ok(answer) => format!("#{number} answers {answer}"),
            Err(error) => format!("#{number} fails: {}: {}", error.name, error.cause),
        });
        result
    }

    /// Calls a function as EventBridge does: without waiting, with two more tries (AWS Lambda Developer Guide,
    /// "Asynchronous invocation").
    pub(crate) fn invoke_async(self: &Arc<Self>, function: Function, payload: Value) {
        let plane = Arc::clone(self);
        self.clock.spawn(async move {
            for pause in [60_000, 120_000, 0] {
                if plane.invoke(function, payload.clone()).await.is_ok() {
                    return;
                }
                plane.clock.sleep(pause).await;
            }
        });
    }
}

/// Runs the handler.
async fn run(function: Function, payload: Value, client: Client) -> Result<Value, FunctionError> {
    let now = client.plane.clock.now();
    let random = client.plane.clock.below(u64::MAX);
    match function {
        Function::PlanSweep => plan(payload, &client, now).await,
        Function::LaunchBatch => {
            let ports = launch_batch::Ports {
                ledger: &client,
                ec2: &client,
                clock: &client,
                home: &client.plane.home,
                limits: Sizes::default(),
                publish: &|_, _| {},
            };
            let input = parse(payload)?;
            to_json(launch_batch::handle(input, &ports, random).await?)
        }
        Function::TrackInstances => {
            let ports = track_instances::Ports {
                ledger: &client,
                ec2: &client,
                executions: &client,
                measure: &|_| (),
            };
            let input = track_instances::Input::parse(&payload)?;
            track_instances::handle(input, &ports, now).await
        }
        Function::IdleReaper => {
            let ports = idle_reaper::Ports {
                ledger: &client,
                ec2: &client,
                executions: &client,
                limit: Limit::default(),
                home: home_region(&client)?,
                measure: &|_, _| (),
            };
            idle_reaper::handle(parse(payload)?, &ports, now).await
        }
        Function::CollectResults => {
            let ports = collect_results::Ports {
                ledger: &client,
                ec2: &client,
                objects: &client,
            };
            collect_results::handle(parse(payload)?, &ports, now).await
        }
    }
}

async fn plan(payload: Value, client: &Client, now: Ms) -> Result<Value, FunctionError> {
    let home_region = client
        .plane
        .home
        .region
        .parse()
        .map_err(|error| FunctionError::Bug(format!("{error}")))?;
    let deployment = plan_sweep::Deployment {
        defaults: OperatorDefaults {
            ami: Some("/aws/service/al2023-{arch}".to_owned()),
            instance_type: Some("t3.micro".to_owned()),
            key_name: None,
            instance_profile: None,
            budget: None,
            owner: None,
            home_region,
            reach: spawn_core::document::Reach::default(),
        },
        results_bucket: "results".to_owned(),
        instance_profile: "spawn-instance-profile".to_owned(),
        home_account: "000000000000"
            .parse()
            .map_err(|error| FunctionError::Bug(format!("{error}")))?,
        notify_topic: None,
        price_book: None,
        price_age_ms_max: spawn_core::prices::AGE_MS_MAX,
        naming: None,
    };
    let ports = plan_sweep::Ports {
        ledger: client,
        ec2: client,
        parameters: client,
        objects: client,
        prices: &money::price_lists(&client.plane.settings),
        zones: &Route53::new(VirtualTime::default(), Arc::default()),
        deployment: &deployment,
    };
    to_json(Box::pin(plan_sweep::handle(parse(payload)?, &ports, now)).await?)
}

fn parse<T: serde::de::DeserializeOwned>(payload: Value) -> Result<T, FunctionError> {
    serde_json::from_value(payload).map_err(|error| FunctionError::Bug(error.to_string()))
}

fn to_json(output: impl serde::Serialize) -> Result<Value, FunctionError> {
    serde_json::to_value(output).map_err(|error| FunctionError::Bug(error.to_string()))
}

/// The region of the control plane.
fn home_region(client: &Client) -> Result<Region, FunctionError> {
    let home = &client.plane.home.region;
    let wrong = |_| FunctionError::Bug(format!("`{home}` is no region"));
    home.parse().map_err(wrong)
}
