//! What all clients of the SDK share: how they are set up, and what their errors say.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use spawn_core::ports::ServiceError;

use crate::accounts;

/// A connection to an AWS endpoint of the same continent takes milliseconds; after this, another try is the better bet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One try of a call. Calls that are known to take longer say so themselves.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// A call with all its repeats: well below the shortest time-out of a function, so that the function can still say what failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);
/// Tries of a call, the first included.
const ATTEMPTS: u32 = 3;

/// The setting of all clients: region, credentials and endpoint from the environment, and no call that can hang.
pub async fn load() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts(ATTEMPT_TIMEOUT, CALL_TIMEOUT))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await
}

/// Time-outs of a call that may take `attempt` once and `call` in all.
pub(crate) fn timeouts(attempt: Duration, call: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(call)
        .build()
}

/// What an error of the SDK comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request was not sent: it is wrong in itself, or there are no credentials for it.
    Invalid(String),
    /// There was no answer that can be read. What was asked may have been done.
    NoAnswer(String),
    /// The service answered with an error.
    Answer {
        /// The code, by which errors are sorted.
        code: String,
        /// `Code: message`.
        text: String,
        /// Whether the service says that the failure is its own (HTTP status 500 and above).
        server: bool,
    },
}

impl Failure {
    /// What `error` comes down to.
    pub(crate) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(words) = accounts::refusal(error) {
            return Self::Invalid(words);
        }
        match error {
            SdkError::ConstructionFailure(_) => Self::Invalid(chain(error)),
            SdkError::ServiceError(context) => {
                let metadata = context.err();
                let status = context.raw().status().as_u16();
                let code = metadata.code().unwrap_or("unknown error").to_owned();
                let text = match metadata.message() {
                    Some(message) => format!("{code}: {message}"),
                    None => format!("{code} (HTTP status {status})"),
                };
                Self::Answer {
                    code,
                    text,
                    server: status >= 500,
                }
            }
            // Time-outs, failures of the connection, answers that are no answers, and what later versions may add.
            _ => Self::NoAnswer(chain(error)),
        }
    }

    /// The service's code, if the service answered.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Answer { code, .. } => Some(code),
            Self::Invalid(_) | Self::NoAnswer(_) => None,
        }
    }

    /// Whether the service asks for fewer requests.
    pub(crate) fn is_throttling(&self) -> bool {
        self.code().is_some_and(|code| THROTTLING.contains(&code))
    }

    /// The error of a helper service.
    pub(crate) fn of_service(self, service: &'static str) -> ServiceError {
        let throttled = self.is_throttling();
        match self {
            Self::Invalid(message) => ServiceError::Refused { service, message },
            Self::NoAnswer(message) => ServiceError::Transient { service, message },
            Self::Answer { text, server, .. } => {
                let message = text;
                if throttled || server {
                    ServiceError::Transient { service, message }
                } else {
                    ServiceError::Refused { service, message }
                }
            }
        }
    }
}

/// The codes by which AWS services ask for fewer requests, as the SDKs' common retry rules list them (AWS SDKs and Tools
/// Reference Guide, "Retry behavior"), without those that mean a limit of another kind.
pub(crate) const THROTTLING: [&str; 10] = [
    "EC2ThrottledException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &str, server: bool) -> Failure {
        Failure::Answer {
            code: code.to_owned(),
            text: format!("{code}: words"),
            server,
        }
    }

    #[test]
    fn a_helper_service_is_asked_again_unless_it_refuses() {
        for (failure, again) in [
            (answer("SlowDown", true), true),
            (answer("ThrottlingException", false), true),
            (answer("InternalError", true), true),
            (answer("AccessDenied", false), false),
            (Failure::NoAnswer("timed out".to_owned()), true),
            (Failure::Invalid("no bucket".to_owned()), false),
        ] {
            let error = failure.clone().of_service("S3");
            let transient = matches!(error, ServiceError::Transient { .. });
            assert_eq!(transient, again, "{failure:?}");
        }
    }
}
