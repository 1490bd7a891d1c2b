//! Rows as DynamoDB's items and back.
//!
//! A null is the absence of an attribute; inside a list, where absence would move the rest, it stays.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};
use spawn_core::ledger::{Key, LedgerError, Row};

/// An item of the table.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The name of the partition key.
pub(crate) const PK: &str = "pk";
/// The name of the sort key.
pub(crate) const SK: &str = "sk";

/// The item that holds only a key.
pub(super) fn key_item(key: &Key) -> Item {
    HashMap::from([
        (PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (SK.to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

/// The item of a row.
pub(super) fn item(row: Row) -> Item {
    let mut item = map(row.attributes);
    item.extend(key_item(&row.key));
    item
}

/// The key of an item.
pub(super) fn key_of(item: &Item) -> Result<Key, LedgerError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    match (text(PK), text(SK)) {
        (Some(pk), Some(sk)) => Ok(Key::new(pk, sk)),
        _ => Err(LedgerError::Refused(
            "the table's keys are not `pk` and `sk`".to_owned(),
        )),
    }
}

/// The row of an item.
pub(super) fn row(mut item: Item) -> Result<Row, LedgerError> {
    let key = key_of(&item)?;
    item.remove(PK);
    item.remove(SK);
    match object(item) {
        Ok(attributes) => Ok(Row { key, attributes }),
        Err(problem) => Err(LedgerError::Corrupt { key, problem }),
    }
}

/// A value as DynamoDB holds it.
pub(super) fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Value::Object(values) => AttributeValue::M(map(values)),
    }
}

fn map(values: Map<String, Value>) -> Item {
    values
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, attribute(value)))
        .collect()
}

fn object(item: Item) -> Result<Map<String, Value>, String> {
    let mut names: Vec<(String, AttributeValue)> = item.into_iter().collect();
    // An item has no order of its own; sorted, a row looks the same each time.
    names.sort_by(|a, b| a.0.cmp(&b.0));
    names
        .into_iter()
        .map(|(name, value)| Ok((name, json(value)?)))
        .collect()
}

fn json(value: AttributeValue) -> Result<Value, String> {
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

    fn row_of(attributes: &Value) -> Row {
        Row {
            key: Key::new("SWEEP#a", "META"),
            attributes: attributes.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn a_row_reads_back_what_was_written() {
        let written = row_of(&json!({
            "text": "", "flag": true, "number": -7, "large": u64::MAX, "list": [1, null, "a"],
            "map": {"inner": {"deep": 1}}, "empty": {}, "none": [],
        }));
        assert_eq!(row(item(written.clone())).unwrap(), written);
    }

    #[test]
    fn a_null_is_an_absent_attribute() {
        let stored = item(row_of(&json!({"a": null, "b": {"c": null, "d": 1}})));
        assert_eq!(row(stored).unwrap(), row_of(&json!({"b": {"d": 1}})));
    }

    #[test]
    fn a_number_keeps_its_text() {
        let value: Value = serde_json::from_str("0.10").unwrap();
        assert_eq!(
            attribute(value.clone()),
            AttributeValue::N("0.10".to_owned())
        );
        assert_eq!(json(AttributeValue::N("0.10".to_owned())), Ok(value));
    }

    #[test]
    fn an_attribute_of_a_foreign_type_makes_the_row_unreadable() {
        let mut stored = item(row_of(&json!({})));
        stored.insert("set".to_owned(), AttributeValue::Ss(vec!["a".to_owned()]));
        assert!(matches!(row(stored), Err(LedgerError::Corrupt { .. })));
    }
}
