//! Events as EventBridge delivers them through the queue.

use serde_json::Value;
use spawn_core::clock;
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::ports::InstanceState;

/// What an event says of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(pub Sighting);

impl Event {
    /// Whether the event can arrive before the launch of its instance is recorded. A report cannot: the instance has read
    /// its assignment from the record.
    #[must_use]
    pub fn may_precede_the_record(&self) -> bool {
        self.0.what != Observation::Reported
    }

    /// Reads an event.
    fn parse(event: &Value) -> Result<Self, String> {
        let kind = text(event, "/detail-type")?;
        let (arn, what) = match kind {
            "EC2 Instance State-change Notification" => {
                let state = text(event, "/detail/state")?;
                let state = InstanceState::parse(state)
                    .ok_or_else(|| format!("`{state}` is not a state of an instance"))?;
                (resource(event)?, Observation::Changed(state))
            }
            "EC2 Spot Instance Interruption Warning" => (resource(event)?, Observation::SpotNotice),
            "EC2 Instance Rebalance Recommendation" => (resource(event)?, Observation::Rebalance),
            // The instance's word is in the ledger, where only it can write; this is only the news that it is there.
            "Spawn Member Report" => (text(event, "/detail/instance_arn")?, Observation::Reported),
            other => return Err(format!("nothing is known of `{other}`")),
        };
        let instance = arn.parse().map_err(|error| format!("{error}"))?;
        let time = event.pointer("/time").and_then(Value::as_str);
        Ok(Self(Sighting {
            instance,
            what,
            since: time.and_then(clock::parse_iso),
            seen_at: None,
        }))
    }
}

/// The ARN of the instance that an event of EC2 is about: it tells the region and the account too.
fn resource(event: &Value) -> Result<&str, String> {
    text(event, "/resources/0")
}

fn text<'a>(event: &'a Value, pointer: &str) -> Result<&'a str, String> {
    event
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("there is no text at {pointer}"))
}

/// A message of the queue.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, to ask for another delivery.
    pub id: String,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// The event in it, or why it is none.
    pub event: Result<Event, String>,
}

impl Message {
    /// Reads a record of an SQS batch.
    #[must_use]
    pub fn parse(record: &Value) -> Self {
        let deliveries = record
            .pointer("/attributes/ApproximateReceiveCount")
            .and_then(Value::as_str)
            .and_then(|count| count.parse().ok())
            .unwrap_or(1);
        let event = text(record, "/body")
            .and_then(|body| serde_json::from_str::<Value>(body).map_err(|error| error.to_string()))
            .and_then(|event| Event::parse(&event));
        Self {
            id: text(record, "/messageId").unwrap_or_default().to_owned(),
            deliveries,
            event,
        }
    }
}
