//! Step Functions: executions, task tokens, and the rule that watches how sweeps end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use spawn_core::ports::BadEnd;
use spawn_core::rows::{Drain, SweepRow};

use super::lambda::TaskError;
use super::{Fault, Plane};
use crate::engine::Slot;
use crate::machines;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded(Value),
    Failed(TaskError),
    Aborted,
}

/// One execution of `spawn-sweep`.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) ending: Option<Ending>,
    task: u64,
}

/// All executions, and who waits for a token.
#[derive(Debug, Default)]
pub(crate) struct Executions {
    pub(crate) sweeps: BTreeMap<String, Execution>,
    tokens: BTreeMap<String, Slot<Value>>,
    tokens_made: u64,
    /// Names of the drains that were started.
    drains: BTreeSet<String>,
    /// Drains that have failed: an operator would have to act.
    pub(crate) drains_failed: Vec<String>,
}

impl Executions {
    /// A new task token.
    pub(crate) fn token(&mut self) -> (String, Slot<Value>) {
        self.tokens_made += 1;
        let token = format!("token-{}", self.tokens_made);
        let slot = Slot::new();
        self.tokens.insert(token.clone(), slot.clone());
        (token, slot)
    }

    /// Answers a token; one that nobody waits for any more is nothing.
    pub(crate) fn answer(&mut self, token: &str, answer: Value) {
        if let Some(slot) = self.tokens.remove(token) {
            slot.put(answer);
        }
    }

    /// Forgets a token: nobody waits any more.
    pub(crate) fn forget(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(crate) fn bad_end(&self, arn: &str) -> Option<BadEnd> {
        match self.sweeps.get(arn)?.ending.as_ref()? {
            Ending::Succeeded(_) => None,
            Ending::Failed(_) => Some(BadEnd::Failed),
            Ending::Aborted => Some(BadEnd::Aborted),
        }
    }
}

impl Plane {
    /// Submits a sweep; answers the execution's ARN.
    pub(crate) fn submit(self: &Arc<Self>, name: &str, document: Value) -> String {
        let arn = format!("arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:{name}");
        let task = self.clock.spawn({
            let plane = Arc::clone(self);
            let arn = arn.clone();
            async move {
                let ending = match machines::sweep(&plane, &arn, document).await {
                    Ok(output) => Ending::Succeeded(output),
                    Err(error) => Ending::Failed(error),
                };
                plane.end_execution(&arn, ending);
            }
        });
        let execution = Execution { ending: None, task };
        self.state()
            .executions
            .sweeps
            .insert(arn.clone(), execution);
        arn
    }

    /// Somebody stops an execution, if it runs.
    pub(crate) fn stop_execution(self: &Arc<Self>, arn: &str) {
        let task = match self.state().executions.sweeps.get(arn) {
            Some(execution) if execution.ending.is_none() => execution.task,
            _ => return,
        };
        self.count(Fault::ExecutionStopped);
        self.clock.abort(task);
        self.end_execution(arn, Ending::Aborted);
    }

    fn end_execution(self: &Arc<Self>, arn: &str, ending: Ending) {
        self.note(|| format!("{arn} ends: {ending:?}"));
        let status = match &ending {
            Ending::Succeeded(_) => None,
            Ending::Failed(_) => Some("failed"),
            Ending::Aborted => Some("cancelled"),
        };
        if let Some(execution) = self.state().executions.sweeps.get_mut(arn) {
            execution.ending = Some(ending);
        }
        // The rule on sweeps that ended badly starts a drain; its event is best effort.
        if let Some(status) = status
            && !self.fault(Fault::EventLost)
        {
            let delay = self.clock.between(self.settings.latencies.event);
            let input = json!({
                "execution_arn": arn,
                "status": status,
                "reason": "the execution has ended",
            });
            let plane = Arc::clone(self);
            self.clock.after(delay, move || start_drain(&plane, input));
        }
    }
}

/// Starts a drain as the reconcile pass does: once an hour and sweep.
pub(crate) fn start_drain_of_sweep(plane: &Arc<Plane>, sweep: &SweepRow, drain: &Drain, hour: u64) {
    if !plane
        .state()
        .executions
        .drains
        .insert(format!("{}-{hour}", sweep.execution_arn))
    {
        return;
    }
    let input = json!({
        "sweep_id": sweep.sweep_id,
        "execution_arn": sweep.execution_arn,
        "status": drain.status,
        "reason": drain.reason,
    });
    start_drain(plane, input);
}

fn start_drain(plane: &Arc<Plane>, input: Value) {
    let plane = Arc::clone(plane);
    plane.clock.clone().spawn(async move {
        if let Err(error) = machines::drain(&plane, input).await {
            let failed = format!("{}: {}", error.name, error.cause);
            plane.note(|| format!("a drain failed: {failed}"));
            plane.state().executions.drains_failed.push(failed);
        }
    });
}
