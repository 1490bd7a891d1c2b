//! The Lambda runtime around a handler.

use aws_config::SdkConfig;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spawn_core::errors::FunctionError;

pub use crate::clock::now_ms;
use crate::config::Config;
pub use crate::xray::trace;
use crate::{sdk, telemetry, xray};

/// The error of a runtime that cannot go on.
pub type Error = lambda_runtime::Error;

/// Starts logging, reads the settings, and hands over to `serve`, which makes the clients and calls [`run`].
///
/// When the settings are wrong, every invocation is answered with `Spawn.Config` and the list of what is wrong: a process
/// that just ends would be reported as `Runtime.ExitError`, without a word.
///
/// # Errors
/// When the runtime cannot go on.
pub async fn start(
    serve: impl AsyncFnOnce(Config, SdkConfig) -> Result<(), Error>,
) -> Result<(), Error> {
    telemetry::init();
    match Config::from_env() {
        Ok(config) => serve(config, sdk::load().await).await,
        Err(error) => {
            let text = error.to_string();
            run(async |_: Value, _, _| Err::<(), _>(FunctionError::Config(text.clone()))).await
        }
    }
}

/// Serves invocations with `handler`, one at a time. It gets the input, the time in ms since 1970 and a random number.
///
/// An input that the handler's type cannot hold is answered with `Spawn.Bug`: inputs come from spawn's own state machines
/// and rules.
///
/// # Errors
/// When the runtime cannot go on.
pub async fn run<I, O>(
    handler: impl AsyncFn(I, u64, u64) -> Result<O, FunctionError>,
) -> Result<(), Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let began = now_ms();
        let header = event.context.xray_trace_id.as_deref();
        xray::begin(header);
        xray::note_input(&event.payload);
        let answer = invoke(handler, event.payload).await;
        xray::tell(header, fastrand::u64(..), began, now_ms());
        answer.map_err(|error| diagnostic(&error))
    }))
    .await
}

async fn invoke<I: DeserializeOwned, O>(
    handler: &impl AsyncFn(I, u64, u64) -> Result<O, FunctionError>,
    payload: Value,
) -> Result<O, FunctionError> {
    let input = serde_json::from_value(payload).map_err(|error| {
        FunctionError::Bug(format!("the input is not what it must be: {error}"))
    })?;
    handler(input, now_ms(), fastrand::u64(..)).await
}

/// What Lambda is told of a failure, and what the log is told: once, here.
fn diagnostic(error: &FunctionError) -> Diagnostic {
    let error_type = error.error_type();
    let error_message = error.to_string();
    match error {
        FunctionError::Config(_) | FunctionError::Bug(_) => {
            tracing::error!(error_type, error = error_message, "invocation failed");
        }
        FunctionError::InvalidSweep(_) => {
            // The message quotes the user's document, which does not belong in a log.
            tracing::info!(error_type, "sweep was refused");
        }
        FunctionError::InvalidInput(_)
        | FunctionError::NotFound(_)
        | FunctionError::NotAllowed(_)
        | FunctionError::Superseded(_) => {
            tracing::info!(error_type, error = error_message, "request was refused");
        }
        FunctionError::Throttled(_) | FunctionError::Conflict(_) | FunctionError::Transient(_) => {
            tracing::warn!(
                error_type,
                error = error_message,
                "invocation failed for now"
            );
        }
    }
    Diagnostic {
        error_type: error_type.to_owned(),
        error_message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_reaches_the_state_machine_with_its_type_and_words() {
        for error in [
            FunctionError::Throttled("slowly".to_owned()),
            FunctionError::Conflict("later".to_owned()),
            FunctionError::Transient("again".to_owned()),
            FunctionError::Config("no table".to_owned()),
            FunctionError::Bug("oh".to_owned()),
        ] {
            let diagnostic = serde_json::to_value(diagnostic(&error)).unwrap();
            let expected =
                json!({"errorType": error.error_type(), "errorMessage": error.to_string()});
            assert_eq!(diagnostic, expected);
        }
    }

    #[tokio::test]
    async fn an_input_of_the_wrong_shape_is_a_defect() {
        let handler = async |input: u64, _, _| Ok(input);
        let error = invoke(&handler, json!("seven")).await.unwrap_err();
        assert_eq!(error.error_type(), "Spawn.Bug");
        assert_eq!(invoke(&handler, json!(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn numbers_reach_the_handler_as_they_were_written() {
        let handler = async |input: Value, _, _| Ok(input.to_string());
        let payload: Value = serde_json::from_str(r#"{"rate":0.10}"#).unwrap();
        assert_eq!(invoke(&handler, payload).await.unwrap(), r#"{"rate":0.10}"#);
    }
}
