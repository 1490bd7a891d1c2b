//! Changes of rows as DynamoDB's expressions. Names and values always go through placeholders: many plain words are
//! reserved (Amazon DynamoDB Developer Guide, "Reserved words in DynamoDB"), and a region has a hyphen.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use spawn_core::ledger::{Condition, Expect, Path};

use super::item::{PK, attribute};

/// The attribute that counts the changes of a row.
const VERSION: &str = "version";

/// Placeholders, and what they stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placeholders {
    names: Vec<String>,
    values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    /// The placeholder of a name; the same for the same name, for an expression must not name one thing twice.
    fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("#n{number}")
    }

    fn path(&mut self, path: &Path) -> String {
        let parts: Vec<String> = path.iter().map(|part| self.name(part)).collect();
        parts.join(".")
    }

    fn value(&mut self, value: Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), attribute(value));
        placeholder
    }

    /// `ExpressionAttributeNames`.
    pub(super) fn names(&self) -> HashMap<String, String> {
        let numbered = self.names.iter().enumerate();
        numbered
            .map(|(number, name)| (format!("#n{number}"), name.clone()))
            .collect()
    }

    /// `ExpressionAttributeValues`; DynamoDB refuses an empty map.
    pub(super) fn values(self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values).filter(|values| !values.is_empty())
    }
}

/// The condition of a put or a delete.
pub(super) fn expectation(expect: &Expect) -> (String, Placeholders) {
    let mut placeholders = Placeholders::default();
    let condition = match expect {
        Expect::Absent => format!("attribute_not_exists({})", placeholders.name(PK)),
        Expect::Version(version) => {
            let name = placeholders.name(VERSION);
            format!("{name} = {}", placeholders.value(Value::from(*version)))
        }
    };
    (condition, placeholders)
}

/// What an update does, on which condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UpdateExpression {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) placeholders: Placeholders,
}

/// The expression of an update. To set null is to remove, as everywhere in the ledger.
pub(super) fn update(
    set: Vec<(Path, Value)>,
    remove: &[Path],
    add: &[(Path, i64)],
    when: &[Condition],
) -> UpdateExpression {
    let mut placeholders = Placeholders::default();
    let mut sets = Vec::new();
    let mut removes: Vec<String> = remove.iter().map(|path| placeholders.path(path)).collect();
    for (path, value) in set {
        let path = placeholders.path(&path);
        if value.is_null() {
            removes.push(path);
        } else {
            sets.push(format!("{path} = {}", placeholders.value(value)));
        }
    }
    for (path, by) in add {
        let path = placeholders.path(path);
        sets.push(format!(
            "{path} = {path} + {}",
            placeholders.value(Value::from(*by))
        ));
    }
    let version = placeholders.name(VERSION);
    let (zero, one) = (
        placeholders.value(Value::from(0)),
        placeholders.value(Value::from(1)),
    );
    // A row whose writers do not count has no version yet.
    sets.push(format!(
        "{version} = if_not_exists({version}, {zero}) + {one}"
    ));
    let mut update = format!("SET {}", sets.join(", "));
    if !removes.is_empty() {
        update = format!("{update} REMOVE {}", removes.join(", "));
    }
    let exists = format!("attribute_exists({})", placeholders.name(PK));
    let conditions = when
        .iter()
        .map(|condition| self::condition(&mut placeholders, condition));
    let all: Vec<String> = std::iter::once(exists).chain(conditions).collect();
    UpdateExpression {
        update,
        condition: all.join(" AND "),
        placeholders,
    }
}

fn condition(placeholders: &mut Placeholders, condition: &Condition) -> String {
    match condition {
        Condition::Equals(path, value) => {
            let path = placeholders.path(path);
            format!("{path} = {}", placeholders.value(value.clone()))
        }
        Condition::In(_, values) if values.is_empty() => {
            // `IN ()` is not an expression; nothing is one of no values.
            format!("attribute_not_exists({})", placeholders.name(PK))
        }
        Condition::In(path, values) => {
            let path = placeholders.path(path);
            let values: Vec<String> = values
                .iter()
                .map(|value| placeholders.value(value.clone()))
                .collect();
            format!("{path} IN ({})", values.join(", "))
        }
        Condition::AtMost(path, limit) => {
            let path = placeholders.path(path);
            format!("{path} <= {}", placeholders.value(Value::from(*limit)))
        }
        Condition::Missing(path) => {
            format!("attribute_not_exists({})", placeholders.path(path))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spawn_core::ledger::path;

    use super::*;

    /// An expression with its placeholders replaced.
    fn readable(expression: &str, placeholders: &Placeholders) -> String {
        let mut text = expression.to_owned();
        for (placeholder, name) in placeholders.names() {
            text = text.replace(&placeholder, &name);
        }
        for (placeholder, value) in placeholders.clone().values().unwrap_or_default() {
            let value = match value {
                AttributeValue::S(text) => format!("'{text}'"),
                AttributeValue::N(number) => number,
                other => format!("{other:?}"),
            };
            text = text.replace(&placeholder, &value);
        }
        text
    }

    #[test]
    fn an_update_sets_adds_removes_and_counts() {
        let UpdateExpression {
            update,
            condition,
            placeholders,
        } = update(
            vec![
                (path(&["status"]), json!("running")),
                (path(&["drain"]), Value::Null),
            ],
            &[path(&["token"])],
            &[(path(&["live_in", "us-east-1"]), -3)],
            &[
                Condition::AtMost(path(&["live"]), 97),
                Condition::In(
                    path(&["status"]),
                    vec![json!("planning"), json!("launching")],
                ),
                Condition::Missing(path(&["ended_at"])),
                Condition::Equals(path(&["name"]), json!("a")),
            ],
        );
        assert_eq!(
            readable(&update, &placeholders),
            "SET status = 'running', live_in.us-east-1 = live_in.us-east-1 + -3, \
             version = if_not_exists(version, 0) + 1 REMOVE token, drain"
        );
        assert_eq!(
            readable(&condition, &placeholders),
            "attribute_exists(pk) AND live <= 97 AND status IN ('planning', 'launching') \
             AND attribute_not_exists(ended_at) AND name = 'a'"
        );
    }

    #[test]
    fn a_put_expects_what_was_read() {
        for (expect, text) in [
            (Expect::Absent, "attribute_not_exists(pk)"),
            (Expect::Version(7), "version = 7"),
        ] {
            let (condition, placeholders) = expectation(&expect);
            assert_eq!(readable(&condition, &placeholders), text);
        }
    }

    #[test]
    fn one_of_no_values_never_holds() {
        let expression = update(
            Vec::new(),
            &[],
            &[],
            &[Condition::In(path(&["a"]), Vec::new())],
        );
        assert_eq!(
            readable(&expression.condition, &expression.placeholders),
            "attribute_exists(pk) AND attribute_not_exists(pk)"
        );
    }

    #[test]
    fn every_name_goes_through_a_placeholder() {
        let expression = update(vec![(path(&["a.b", "c-d"]), json!(1))], &[], &[], &[]);
        assert!(!expression.update.contains("a.b") && !expression.update.contains("c-d"));
        let names = expression.placeholders.names();
        assert!(names.values().any(|name| name == "a.b"));
    }
}
