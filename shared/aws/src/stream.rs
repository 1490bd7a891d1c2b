//! Records of the ledger's stream as changes of rows.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use serde_json::{Map, Number, Value};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{Key, Row};
use spawn_core::stream::Change;

use crate::ledger::{PK, SK};

/// The changes of an event of the stream, in its order. A record that holds what spawn does not write is told and left out:
/// delivering it again would not change it.
///
/// # Errors
/// When the event is not one of a DynamoDB stream.
pub fn changes(event: Value) -> Result<Vec<Change>, FunctionError> {
    let event: Event = serde_json::from_value(event)
        .map_err(|error| FunctionError::Bug(format!("not an event of a stream: {error}")))?;
    let mut changes = Vec::with_capacity(event.records.len());
    for record in event.records {
        let id = record.event_id.clone();
        match change(record) {
            Ok(change) => changes.push(change),
            Err(problem) => tracing::error!(event_id = id, problem, "record was left out"),
        }
    }
    Ok(changes)
}

fn change(record: EventRecord) -> Result<Change, String> {
    let record = record.change;
    let key = key(&attributes(record.keys)?)?;
    let at = record.approximate_creation_date_time.timestamp_millis();
    Ok(Change {
        sequence_number: record.sequence_number.ok_or("it has no sequence number")?,
        old: row(&key, attributes(record.old_image)?),
        new: row(&key, attributes(record.new_image)?),
        key,
        at: u64::try_from(at).unwrap_or(0),
    })
}

fn key(keys: &Map<String, Value>) -> Result<Key, String> {
    let text = |name: &str| keys.get(name).and_then(Value::as_str);
    match (text(PK), text(SK)) {
        (Some(pk), Some(sk)) => Ok(Key::new(pk, sk)),
        _ => Err("its keys are not `pk` and `sk`".to_owned()),
    }
}

/// The row of an image; an image that the stream does not have is empty.
fn row(key: &Key, mut attributes: Map<String, Value>) -> Option<Row> {
    if attributes.is_empty() {
        return None;
    }
    attributes.remove(PK);
    attributes.remove(SK);
    Some(Row {
        key: key.clone(),
        attributes,
    })
}

fn attributes(image: serde_dynamo::Item) -> Result<Map<String, Value>, String> {
    let image: std::collections::HashMap<String, serde_dynamo::AttributeValue> = image.into();
    object(image)
}

fn object(
    values: std::collections::HashMap<String, serde_dynamo::AttributeValue>,
) -> Result<Map<String, Value>, String> {
    values
        .into_iter()
        .map(|(name, value)| Ok((name, json(value)?)))
        .collect()
}

fn json(value: serde_dynamo::AttributeValue) -> Result<Value, String> {
    use serde_dynamo::AttributeValue;
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::N(text) => {
            let number: Result<Number, _> = text.parse();
            Value::Number(number.map_err(|_| format!("`{text}` is not a number"))?)
        }
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => {
            Value::Array(values.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(values) => Value::Object(object(values)?),
        other => {
            return Err(format!(
                "an attribute of a type that spawn does not write: {other:?}"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(images: &Value) -> Value {
        let mut change = json!({
            "ApproximateCreationDateTime": 1_769_000_000,
            "Keys": {"pk": {"S": "SWEEP#a"}, "sk": {"S": "META"}},
            "SequenceNumber": "111",
            "SizeBytes": 10,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        });
        if let (Some(change), Some(images)) = (change.as_object_mut(), images.as_object()) {
            change.extend(images.clone());
        }
        json!({"Records": [{
            "eventID": "1", "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1", "dynamodb": change,
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/spawn-sweeps/stream/2026-01-01T00:00:00.000",
        }]})
    }

    #[test]
    fn a_record_is_a_change_of_a_row() {
        let event = record(&json!({
            "NewImage": {
                "pk": {"S": "SWEEP#a"}, "sk": {"S": "META"}, "version": {"N": "7"}, "live_in": {"M": {"us-east-1": {"N": "-1"}}},
                "lanes": {"L": [{"S": "us-east-1.spot"}]}, "flag": {"BOOL": true}, "nothing": {"NULL": true},
            },
        }));
        let changes = changes(event).unwrap();
        let expected = Change {
            sequence_number: "111".to_owned(),
            key: Key::new("SWEEP#a", "META"),
            old: None,
            new: Some(Row {
                key: Key::new("SWEEP#a", "META"),
                attributes: json!({
                    "version": 7, "live_in": {"us-east-1": -1}, "lanes": ["us-east-1.spot"], "flag": true, "nothing": null,
                })
                .as_object()
                .unwrap()
                .clone(),
            }),
            at: 1_769_000_000_000,
        };
        assert_eq!(changes, [expected]);
    }

    #[test]
    fn a_record_of_foreign_types_is_left_out_and_others_are_not() {
        let mut event =
            record(&json!({"OldImage": {"pk": {"S": "SWEEP#a"}, "set": {"SS": ["a"]}}}));
        let good = record(&json!({"OldImage": {"pk": {"S": "SWEEP#a"}, "a": {"N": "1"}}}));
        event["Records"]
            .as_array_mut()
            .unwrap()
            .push(good["Records"][0].clone());
        let changes = changes(event).unwrap();
        assert_eq!(changes.len(), 1);
        assert!(changes[0].new.is_none() && changes[0].old.is_some());
    }

    #[test]
    fn what_is_no_event_of_a_stream_is_a_defect() {
        assert!(matches!(
            changes(json!({"test": true})),
            Err(FunctionError::Bug(_))
        ));
    }
}
