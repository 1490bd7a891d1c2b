//! EC2's events, and their way to the bus through the gateway.
//!
//! Source: "Amazon EC2 events", Amazon EventBridge events reference, for detail types and details; API PutEvents for the
//! call and its limit of 10 entries.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::iso;
use crate::gateway::Gateway;

/// Entries in one PutEvents call.
const ENTRIES_MAX: usize = 10;
/// Attempts before an event is given up: the bus is best effort, but a gateway that restarts should not lose them.
const ATTEMPTS_MAX: u32 = 8;

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) source: String,
    pub(crate) detail_type: &'static str,
    pub(crate) detail: Value,
    pub(crate) resource: Option<String>,
    pub(crate) time_ms: u64,
}

impl Event {
    pub(crate) fn state_change(
        source: &str,
        arn: &str,
        id: &str,
        state: &str,
        time_ms: u64,
    ) -> Self {
        let detail = json!({"instance-id": id, "state": state});
        Self::of_instance(
            source,
            "EC2 Instance State-change Notification",
            detail,
            arn,
            time_ms,
        )
    }

    pub(crate) fn spot_warning(
        source: &str,
        arn: &str,
        id: &str,
        action: &str,
        time_ms: u64,
    ) -> Self {
        let detail = json!({"instance-id": id, "instance-action": action});
        Self::of_instance(
            source,
            "EC2 Spot Instance Interruption Warning",
            detail,
            arn,
            time_ms,
        )
    }

    pub(crate) fn rebalance(source: &str, arn: &str, id: &str, time_ms: u64) -> Self {
        let detail = json!({"instance-id": id});
        Self::of_instance(
            source,
            "EC2 Instance Rebalance Recommendation",
            detail,
            arn,
            time_ms,
        )
    }

    /// What a member tells when it has written its report.
    pub(crate) fn member_report(arn: &str, time_ms: u64) -> Self {
        Self {
            source: "spawn.member".to_owned(),
            detail_type: "Spawn Member Report",
            detail: json!({ "instance_arn": arn }),
            resource: None,
            time_ms,
        }
    }

    fn of_instance(
        source: &str,
        detail_type: &'static str,
        detail: Value,
        arn: &str,
        time_ms: u64,
    ) -> Self {
        Self {
            source: source.to_owned(),
            detail_type,
            detail,
            resource: Some(arn.to_owned()),
            time_ms,
        }
    }

    fn entry(&self) -> Value {
        json!({
            "Source": self.source,
            "DetailType": self.detail_type,
            "Detail": self.detail.to_string(),
            "Resources": self.resource.iter().collect::<Vec<_>>(),
            "Time": self.time_ms / 1000,
            "EventBusName": "default",
        })
    }
}

/// Sends events in order, up to ten a call. One call at a time: so the order of an instance's events is kept.
pub(crate) async fn send_events(gateway: Arc<Gateway>, mut queue: mpsc::UnboundedReceiver<Event>) {
    let mut batch = Vec::with_capacity(ENTRIES_MAX);
    while queue.recv_many(&mut batch, ENTRIES_MAX).await > 0 {
        send_batch(&gateway, std::mem::take(&mut batch)).await;
    }
}

async fn send_batch(gateway: &Gateway, mut events: Vec<Event>) {
    let mut wait = Duration::from_millis(50);
    for _ in 0..ATTEMPTS_MAX {
        let entries: Vec<Value> = events.iter().map(Event::entry).collect();
        match gateway
            .call(
                "events",
                "AWSEvents.PutEvents",
                "1.1",
                &json!({ "Entries": entries }),
            )
            .await
        {
            Ok(answer) => {
                let failed = failed_positions(&answer);
                if failed.is_empty() {
                    return;
                }
                let mut position = 0;
                events.retain(|_| {
                    position += 1;
                    failed.contains(&(position - 1))
                });
            }
            Err(error) => report(&format!("PutEvents failed: {error}")),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
    for event in events {
        report(&format!(
            "gave up an event of {}: {}",
            iso(event.time_ms),
            event.detail
        ));
    }
}

/// Positions of entries that the bus refused.
fn failed_positions(answer: &Value) -> Vec<usize> {
    answer
        .get("Entries")
        .and_then(Value::as_array)
        .map(|entries| {
            entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| entry.get("ErrorCode").is_some_and(|code| !code.is_null()))
                .map(|(position, _)| position)
                .collect()
        })
        .unwrap_or_default()
}

/// Tells whoever runs the simulator; its standard error is its log.
pub(crate) fn report(line: &str) {
    use std::io::Write as _;
    // A closed standard error must not stop the simulator.
    let _ignored = writeln!(std::io::stderr(), "ec2-sim: {line}");
}

#[cfg(test)]
mod tests {
    use super::{Event, failed_positions};
    use serde_json::json;

    #[test]
    fn an_entry_has_the_shape_that_put_events_takes() {
        let event = Event::state_change(
            "spawn.ec2-sim",
            "arn:x",
            "i-1",
            "running",
            1_769_076_000_123,
        );
        assert_eq!(
            event.entry(),
            json!({
                "Source": "spawn.ec2-sim",
                "DetailType": "EC2 Instance State-change Notification",
                "Detail": r#"{"instance-id":"i-1","state":"running"}"#,
                "Resources": ["arn:x"],
                "Time": 1_769_076_000,
                "EventBusName": "default",
            })
        );
    }

    #[test]
    fn refused_entries_are_found() {
        let answer = json!({"FailedEntryCount": 1, "Entries": [{"EventId": "a"}, {"ErrorCode": "InternalFailure"}]});
        assert_eq!(failed_positions(&answer), [1]);
    }
}
