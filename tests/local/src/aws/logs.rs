//! CloudWatch Logs: what the functions said.

use serde_json::{Value, json};

use super::client::Client;
use crate::error::Result;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The line.
    pub text: String,
}

impl Client {
    /// The names of all log groups.
    pub fn log_groups(&self) -> Result<Vec<String>> {
        let answer = self.logs("DescribeLogGroups", &json!({}))?;
        let groups = answer["logGroups"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        Ok(groups
            .iter()
            .filter_map(|group| group["logGroupName"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// The lines of a group since a time, oldest first.
    pub fn log_lines(&self, group: &str, since_ms: u64) -> Result<Vec<LogLine>> {
        let mut lines = Vec::new();
        let mut input = json!({"logGroupName": group, "startTime": since_ms});
        loop {
            let answer = self.logs("FilterLogEvents", &input)?;
            lines.extend(
                answer["events"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|event| LogLine {
                        at_ms: event["timestamp"].as_u64().unwrap_or_default(),
                        text: event["message"]
                            .as_str()
                            .unwrap_or_default()
                            .trim_end()
                            .to_owned(),
                    }),
            );
            match answer["nextToken"].as_str() {
                Some(token) => input["nextToken"] = token.into(),
                None => break,
            }
        }
        lines.sort_by_key(|line| line.at_ms);
        Ok(lines)
    }

    fn logs(&self, operation: &str, input: &Value) -> Result<Value> {
        self.json("logs", &format!("Logs_20140328.{operation}"), input)
    }
}
