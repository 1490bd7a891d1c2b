//! The published schema and reference agree with the reader.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::operator;
use crate::document::fields::{SETTINGS, TOP, setting_names, top_names};
use crate::document::{Sweep, parse_table, parse_text, schema, table_uri};

fn published(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name)
}

/// With `SPAWN_BLESS=1` in the environment the published file is written anew.
#[test]
fn the_published_schema_is_the_generated_one() {
    let path = published("sweep.schema.json");
    let generated = format!("{:#}\n", schema());
    if std::env::var_os("SPAWN_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == generated,
        "docs/reference/sweep.schema.json is stale: run the tests with SPAWN_BLESS=1"
    );
}

#[test]
fn the_reference_names_every_field_and_alias() {
    let text = std::fs::read_to_string(published("sweep-document.md")).unwrap();
    for name in top_names().chain(setting_names()) {
        assert!(text.contains(&format!("`{name}`")), "{name} is missing");
    }
    for accepted in TOP
        .iter()
        .map(|field| field.doc)
        .chain(SETTINGS.iter().map(|field| field.doc))
    {
        assert!(!accepted.is_empty());
    }
}

/// The reference's examples: every YAML block that begins with a comment is a whole document.
fn examples() -> Vec<Value> {
    let text = std::fs::read_to_string(published("sweep-document.md")).unwrap();
    text.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.starts_with('#'))
        .map(|block| parse_text(block).unwrap_or_else(|faults| panic!("{faults}\n{block}")))
        .collect()
}

#[test]
fn the_examples_of_the_reference_are_good_documents() {
    let examples = examples();
    assert!(examples.len() >= 5, "{} examples", examples.len());
    for doc in examples {
        let table = doc["params"].is_string().then(|| Ok(vec![Map::new()]));
        if let Err(faults) = Sweep::from_document(&doc, table, &Map::new(), &operator()) {
            panic!("{faults}\n{doc:#}");
        }
        assert_eq!(violation(&doc, &schema(), &schema()), None, "{doc:#}");
    }
}

#[test]
fn the_sweeps_that_ship_are_good_documents() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("sweep.yaml")) else {
            continue;
        };
        let doc = parse_text(&text).unwrap();
        let table = table_uri(&doc, &Map::new()).unwrap().map(|uri| {
            let name = uri.key().rsplit('/').next().unwrap();
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            parse_table(&uri, &text)
        });
        if let Err(faults) = Sweep::from_document(&doc, table, &Map::new(), &operator()) {
            panic!("{faults}\n{text}");
        }
        assert_eq!(violation(&doc, &schema(), &schema()), None, "{text}");
        read += 1;
    }
    assert!(read > 0);
}

#[test]
fn the_schema_refuses_what_it_can_see() {
    for text in [
        "nmae: x",
        "ttl: 30",
        "spot: \"true\"",
        "max_concurrent: 0",
        "regions: {us-esat-1: 5}",
        "instance_requirements: {vcpus: 4}",
        "instance_requirements: {workload: web}",
        "region_order: nearest",
        "params: []",
        "params: [5]",
        "results: {path: x}",
        "grid: {a: 1}",
        "distribution: cheap",
    ] {
        let doc = parse_text(text).unwrap();
        assert!(violation(&doc, &schema(), &schema()).is_some(), "{text}");
    }
}

/// Where `value` breaks `schema`, by the keywords that the schema uses; `pattern` is left to editors.
fn violation(value: &Value, schema: &Value, root: &Value) -> Option<String> {
    let Value::Object(schema) = schema else {
        return (schema == &Value::Bool(false)).then(|| format!("{value} is not allowed"));
    };
    for (keyword, rule) in schema {
        let number = || value.as_f64().zip(rule.as_f64());
        let length = value
            .as_array()
            .map(Vec::len)
            .or_else(|| value.as_object().map(Map::len));
        let is_broken = match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                if let Some(found) = violation(value, root.pointer(pointer).unwrap(), root) {
                    return Some(found);
                }
                false
            }
            "type" => !rule
                .as_array()
                .unwrap_or(&vec![rule.clone()])
                .iter()
                .any(|name| is_of_type(value, name)),
            "enum" => !rule.as_array().unwrap().contains(value),
            "const" => rule != value,
            "anyOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|rule| violation(value, rule, root).is_some()),
            "minimum" => number().is_some_and(|(value, rule)| value < rule),
            "maximum" => number().is_some_and(|(value, rule)| value > rule),
            "exclusiveMinimum" => number().is_some_and(|(value, rule)| value <= rule),
            "minItems" => value.is_array() && length < Some(1),
            "minProperties" => value.is_object() && length < Some(1),
            "items" => value.as_array().is_some_and(|items| {
                items
                    .iter()
                    .any(|item| violation(item, rule, root).is_some())
            }),
            "propertyNames" => value.as_object().is_some_and(|map| {
                map.keys()
                    .any(|key| violation(&Value::from(key.as_str()), rule, root).is_some())
            }),
            "additionalProperties" => {
                let known = |key: &str| {
                    schema
                        .get("properties")
                        .is_some_and(|known| known.get(key).is_some())
                };
                value.as_object().is_some_and(|map| {
                    map.iter().any(|(key, value)| {
                        !known(key)
                            && !key.starts_with("x-")
                            && violation(value, rule, root).is_some()
                    })
                })
            }
            "properties" => {
                let broken = value.as_object().and_then(|map| {
                    map.iter()
                        .find_map(|(key, value)| violation(value, rule.get(key)?, root))
                });
                if broken.is_some() {
                    return broken;
                }
                false
            }
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|key| value.get(key.as_str().unwrap()).is_none()),
            "pattern" | "minLength" | "maxLength" | "maxItems" | "description" | "title"
            | "deprecated" | "$schema" | "$defs" | "patternProperties" => false,
            other => panic!("the schema uses {other}, which this test does not know"),
        };
        if is_broken {
            return Some(format!("{value} breaks {keyword}: {rule}"));
        }
    }
    None
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}
