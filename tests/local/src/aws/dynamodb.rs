//! DynamoDB: reading the ledger.

use serde_json::{Map, Value, json};

use super::client::Client;
use crate::error::Result;

/// A row with plain values.
pub type Row = Map<String, Value>;

impl Client {
    /// One row by its key.
    pub fn row(&self, table: &str, pk: &str, sk: &str) -> Result<Option<Row>> {
        let answer = self.dynamodb(
            "GetItem",
            &json!({"TableName": table, "ConsistentRead": true, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}),
        )?;
        Ok(answer["Item"].as_object().map(plain_row))
    }

    /// The rows of a partition whose sort keys begin so.
    pub fn rows(&self, table: &str, pk: &str, sk_begins: &str) -> Result<Vec<Row>> {
        self.pages(
            "Query",
            json!({
                "TableName": table,
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
                "ExpressionAttributeValues": {":pk": {"S": pk}, ":sk": {"S": sk_begins}},
            }),
        )
    }

    /// All rows of an index: small ones only.
    pub fn index(&self, table: &str, index: &str) -> Result<Vec<Row>> {
        self.pages("Scan", json!({"TableName": table, "IndexName": index}))
    }

    /// The rows whose partition key begins and goes on so, found by reading the whole table.
    pub fn search(&self, table: &str, pk_begins: &str, pk_contains: &str) -> Result<Vec<Row>> {
        self.pages(
            "Scan",
            json!({
                "TableName": table,
                "FilterExpression": "begins_with(pk, :begins) AND contains(pk, :contains)",
                "ExpressionAttributeValues": {":begins": {"S": pk_begins}, ":contains": {"S": pk_contains}},
            }),
        )
    }

    fn pages(&self, operation: &str, mut input: Value) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        loop {
            let answer = self.dynamodb(operation, &input)?;
            rows.extend(
                answer["Items"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_object)
                    .map(plain_row),
            );
            match answer.get("LastEvaluatedKey") {
                Some(key) if key.is_object() => input["ExclusiveStartKey"] = key.clone(),
                _ => return Ok(rows),
            }
        }
    }

    fn dynamodb(&self, operation: &str, input: &Value) -> Result<Value> {
        self.json("dynamodb", &format!("DynamoDB_20120810.{operation}"), input)
    }
}

fn plain_row(row: &Map<String, Value>) -> Row {
    row.iter()
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

/// `{"N": "3"}` as `3`.
fn plain(value: &Value) -> Value {
    let Some((kind, inside)) = value.as_object().and_then(|tagged| tagged.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), inside) {
        ("N", Value::String(number)) => number
            .parse()
            .map_or_else(|_| Value::String(number.clone()), Value::Number),
        ("M", Value::Object(entries)) => Value::Object(plain_row(entries)),
        ("L", Value::Array(entries)) => entries.iter().map(plain).collect(),
        ("NULL", _) => Value::Null,
        (_, inside) => inside.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_plain_values() {
        let row = json!({
            "status": {"S": "running"}, "members": {"N": "24"}, "share": {"N": "0.5"}, "none": {"NULL": true},
            "counts": {"M": {"failed": {"N": "1"}}}, "lanes": {"L": [{"S": "a"}]}, "tags": {"SS": ["x"]},
        });
        let plain = plain_row(row.as_object().unwrap());
        assert_eq!(
            Value::Object(plain),
            json!({"status": "running", "members": 24, "share": 0.5, "none": null, "counts": {"failed": 1}, "lanes": ["a"], "tags": ["x"]})
        );
    }
}
