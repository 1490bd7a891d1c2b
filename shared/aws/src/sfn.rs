//! Step Functions: waking executions that wait.

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};
use spawn_core::ids::ClientToken;
use spawn_core::ports::{BadEnd, ServiceError, StartDeliveries, WakeExecutions, WatchExecutions};
use spawn_core::rows::{Drain, SweepRow};

use crate::sdk::Failure;

/// Nobody waits for the token any more (API reference of `SendTaskSuccess`): it was answered, timed out, or its execution has
/// ended.
const NOBODY_WAITS: [&str; 3] = ["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"];

/// Step Functions of the home region.
#[derive(Clone, Debug)]
pub struct Executions {
    client: Client,
    drain_machine: Option<String>,
    notify_machine: Option<String>,
}

impl Executions {
    /// Executions in the region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
            drain_machine: None,
            notify_machine: None,
        }
    }

    /// The same, able to start executions of the state machine `drain_machine`.
    #[must_use]
    pub fn with_drain(self, drain_machine: Option<String>) -> Self {
        Self {
            drain_machine,
            ..self
        }
    }
}

impl Executions {
    /// The same, able to start executions of the state machine `notify_machine`.
    #[must_use]
    pub fn with_notify(self, notify_machine: Option<String>) -> Self {
        Self {
            notify_machine,
            ..self
        }
    }

    /// Starts an execution; one of that name that was started already is the same one.
    async fn start_once(
        &self,
        machine: &str,
        name: &str,
        input: &Value,
    ) -> Result<(), ServiceError> {
        let request = self
            .client
            .start_execution()
            .state_machine_arn(machine)
            .name(name)
            .input(input.to_string());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.code() == Some("ExecutionAlreadyExists") {
                    return Ok(());
                }
                Err(failure.of_service("Step Functions"))
            }
        }
    }
}

impl StartDeliveries for Executions {
    async fn start_delivery(&self, name: &str, pk: &str, sk: &str) -> Result<(), ServiceError> {
        let Some(machine) = &self.notify_machine else {
            return Err(ServiceError::Refused {
                service: "Step Functions",
                message: "SPAWN_NOTIFY_MACHINE is not set".to_owned(),
            });
        };
        let input = json!({"pk": pk, "sk": sk});
        self.start_once(machine, name, &input).await
    }
}

impl WatchExecutions for Executions {
    async fn bad_end(&self, execution_arn: &str) -> Result<Option<BadEnd>, ServiceError> {
        let request = self
            .client
            .describe_execution()
            .execution_arn(execution_arn);
        let status = match request.send().await {
            Ok(execution) => execution.status,
            Err(error) => {
                let failure = Failure::of(&error);
                // Executions are forgotten 90 days after their end (AWS Step Functions Developer Guide, "Service quotas").
                if failure.code() == Some("ExecutionDoesNotExist") {
                    return Ok(None);
                }
                return Err(failure.of_service("Step Functions"));
            }
        };
        Ok(match status {
            ExecutionStatus::Aborted => Some(BadEnd::Aborted),
            ExecutionStatus::Failed | ExecutionStatus::TimedOut => Some(BadEnd::Failed),
            _ => None,
        })
    }

    async fn start_drain(
        &self,
        sweep: &SweepRow,
        drain: &Drain,
        hour: u64,
    ) -> Result<(), ServiceError> {
        let Some(machine) = &self.drain_machine else {
            return Err(ServiceError::Refused {
                service: "Step Functions",
                message: "SPAWN_DRAIN_MACHINE is not set".to_owned(),
            });
        };
        let input = json!({
            "sweep_id": sweep.sweep_id,
            "execution_arn": sweep.execution_arn,
            "status": drain.status,
            "reason": drain.reason,
        });
        let token = ClientToken::of(&["drain", &sweep.execution_arn, &hour.to_string()]);
        let name = format!("reconcile-{}", &token.as_str()[..40]);
        self.start_once(machine, &name, &input).await
    }
}

impl WakeExecutions for Executions {
    async fn wake(&self, task_token: &str, answer: &Value) -> Result<(), ServiceError> {
        let request = self
            .client
            .send_task_success()
            .task_token(task_token)
            .output(answer.to_string());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => nobody_waits_is_ok(Failure::of(&error)),
        }
    }
}

fn nobody_waits_is_ok(failure: Failure) -> Result<(), ServiceError> {
    if failure
        .code()
        .is_some_and(|code| NOBODY_WAITS.contains(&code))
    {
        return Ok(());
    }
    Err(failure.of_service("Step Functions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_nobody_waits_for_is_no_error() {
        for (code, expected) in [
            ("TaskTimedOut", true),
            ("TaskDoesNotExist", true),
            ("InvalidToken", true),
            ("AccessDeniedException", false),
        ] {
            let failure = Failure::Answer {
                code: code.to_owned(),
                text: code.to_owned(),
                server: false,
            };
            assert_eq!(nobody_waits_is_ok(failure).is_ok(), expected, "{code}");
        }
    }
}
