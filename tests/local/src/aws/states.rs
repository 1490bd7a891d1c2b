//! Step Functions: submitting a sweep and hearing how it goes.

use serde_json::{Value, json};

use super::client::Client;
use crate::error::{Error, Result};

/// An execution as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Step Functions' word, such as `RUNNING` or `SUCCEEDED`.
    pub status: String,
    /// Its output, once it has succeeded.
    pub output: Option<Value>,
    /// The error's name, once it has failed.
    pub error: Option<String>,
    /// The error's words.
    pub cause: Option<String>,
}

impl Client {
    /// Starts an execution; answers its ARN.
    pub fn start_execution(&self, machine_arn: &str, name: &str, input: &Value) -> Result<String> {
        let answer = self.states(
            "StartExecution",
            &json!({"stateMachineArn": machine_arn, "name": name, "input": input.to_string()}),
        )?;
        answer["executionArn"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::Unreadable {
                what: "the answer to StartExecution".into(),
                why: "it names no execution".into(),
            })
    }

    /// An execution as it stands.
    pub fn execution(&self, arn: &str) -> Result<Execution> {
        let answer = self.states("DescribeExecution", &json!({"executionArn": arn}))?;
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        Ok(Execution {
            status: text("status").unwrap_or_default(),
            output: text("output")
                .map(|output| serde_json::from_str(&output).unwrap_or(Value::String(output))),
            error: text("error"),
            cause: text("cause"),
        })
    }

    /// Runs an Express machine to its end; answers its output, `None` when it did not succeed.
    pub fn ask(&self, machine_arn: &str, input: &Value) -> Result<Option<Value>> {
        let answer = self.states(
            "StartSyncExecution",
            &json!({"stateMachineArn": machine_arn, "input": input.to_string()}),
        )?;
        let output = answer["output"]
            .as_str()
            .filter(|_| answer["status"] == "SUCCEEDED");
        Ok(output.and_then(|output| serde_json::from_str(output).ok()))
    }

    /// The first value under a key anywhere in what an execution's states gave out so far.
    pub fn find_in_history(&self, arn: &str, key: &str) -> Result<Option<String>> {
        let answer = self.states(
            "GetExecutionHistory",
            &json!({"executionArn": arn, "maxResults": 1000}),
        )?;
        let events = answer["events"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        Ok(events
            .iter()
            .flat_map(|event| {
                event
                    .as_object()
                    .into_iter()
                    .flat_map(|event| event.values())
            })
            .filter_map(|details| serde_json::from_str::<Value>(details["output"].as_str()?).ok())
            .find_map(|output| find(&output, key)))
    }

    fn states(&self, operation: &str, input: &Value) -> Result<Value> {
        self.json("states", &format!("AWSStepFunctions.{operation}"), input)
    }
}

/// The text under a key, however deep.
fn find(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(entries) => entries
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| entries.values().find_map(|value| find(value, key))),
        Value::Array(entries) => entries.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_deep() {
        let value = json!({"a": 1, "Payload": [{"b": {"sweep_id": "x-1"}}]});
        assert_eq!(find(&value, "sweep_id").as_deref(), Some("x-1"));
        assert_eq!(find(&value, "lane"), None);
    }
}
