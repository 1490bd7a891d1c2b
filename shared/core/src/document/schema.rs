//! The JSON Schema of the document, for editors. It is generated from the tables that the reader works from.
//!
//! A schema cannot say everything: what fields have to do with each other, and whether a duration is too long, is told
//! when the document is read.

use serde_json::{Map, Value, json};

use super::extras::{NOTIFY, RESULTS};
use super::fields::{Field, SETTINGS, TOP, Top};
use super::shape::Shape;

/// The JSON Schema (draft 2020-12) of a sweep document.
#[must_use]
pub fn schema() -> Value {
    let mut properties = Map::new();
    properties.insert("$schema".to_owned(), json!({"type": "string"}));
    for field in &TOP {
        insert(&mut properties, field, top_schema(field));
    }
    insert_settings(&mut properties);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "spawn sweep document",
        "description": "A parameter sweep on EC2. Keys that begin with x- are ignored: they are a place for YAML anchors.",
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": true},
        "additionalProperties": false,
        "$defs": {
            "member": entry("A member: settings, and parameters under any other key.", true),
            "defaults": entry("Settings and parameters of every member.", false),
        },
    })
}

/// Puts a field in under its name, and under each of its other names as a reference to it.
fn insert<T>(properties: &mut Map<String, Value>, field: &Field<T>, schema: Value) {
    let mut schema = schema;
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(field.doc));
    }
    for alias in field.aliases {
        let mut schema = schema.clone();
        if let Value::Object(schema) = &mut schema {
            schema.insert(
                "description".to_owned(),
                json!(format!("Another name of {}.", field.name)),
            );
            schema.insert("deprecated".to_owned(), json!(true));
        }
        properties.insert((*alias).to_owned(), schema);
    }
    properties.insert(field.name.to_owned(), schema);
}

fn insert_settings(properties: &mut Map<String, Value>) {
    for field in &SETTINGS {
        insert(properties, field, or_null(field.shape.schema()));
    }
}

/// Null is the same as leaving a field out.
fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn top_schema(field: &Field<Top>) -> Value {
    match field.id {
        Top::Defaults => json!({"anyOf": [{"$ref": "#/$defs/defaults"}, {"type": "null"}]}),
        Top::Params => json!({"anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/member"}, "minItems": 1, "maxItems": super::MEMBERS_MAX},
            Shape::Grid.schema(),
            {"type": "string", "pattern": "^\\s*s3://[^/]+/.*[^/]\\s*$"},
        ]}),
        Top::Results => or_null(object(
            RESULTS
                .iter()
                .map(|(name, shape)| (*name, *shape))
                .collect(),
        )),
        Top::Notify => {
            let named = NOTIFY.iter().flat_map(|(name, aliases, shape)| {
                std::iter::once(name)
                    .chain(aliases.iter())
                    .map(|name| (*name, *shape))
            });
            json!({"anyOf": [object(named.collect()), Shape::Topics.schema(), {"type": "null"}]})
        }
        Top::Grid | Top::Regions => field.shape.schema(),
        _ => or_null(field.shape.schema()),
    }
}

fn object(fields: Vec<(&str, Shape)>) -> Value {
    let properties: Map<String, Value> = fields
        .into_iter()
        .map(|(name, shape)| (name.to_owned(), or_null(shape.schema())))
        .collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn entry(description: &str, is_member: bool) -> Value {
    let mut properties = Map::new();
    if is_member {
        let name = json!({
            "description": "The member's name, unique in the sweep.",
            "anyOf": [Shape::Name.schema(), {"type": ["integer", "null"]}],
        });
        properties.insert("name".to_owned(), name);
    }
    for key in ["params", "parameters"] {
        let nested = json!({
            "description": "Parameters, whatever their names: the place for one that is called like a setting.",
            "type": "object",
        });
        properties.insert(key.to_owned(), nested);
    }
    insert_settings(&mut properties);
    json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": true,
    })
}
