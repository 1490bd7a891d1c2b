//! Step Functions: waking executions that wait.

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use spawn_core::ports::{ServiceError, WakeExecutions};

use crate::sdk::Failure;

/// Nobody waits for the token any more (API reference of `SendTaskSuccess`): it was answered, timed out, or its execution has
/// ended.
const NOBODY_WAITS: [&str; 3] = ["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"];

/// Step Functions of the home region.
#[derive(Clone, Debug)]
pub struct Executions {
    client: Client,
}

impl Executions {
    /// Executions in the region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }
}

impl WakeExecutions for Executions {
    async fn wake(&self, task_token: &str) -> Result<(), ServiceError> {
        let request = self
            .client
            .send_task_success()
            .task_token(task_token)
            .output("{}");
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
