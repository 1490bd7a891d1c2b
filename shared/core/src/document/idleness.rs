//! What a sweep counts as idle.

use serde_json::{Map, Value, json};

use super::fault::quoted;
use super::read::{Problem, Read, duration, whole};
use super::suggest::nearest;
use crate::reap::IdleRules;

/// The fields, as the reference lists them.
const FIELDS: [&str; 9] = [
    "cpu_percent",
    "network_kib_per_s",
    "disk_kib_per_s",
    "gpu_percent",
    "users",
    "window",
    "windows",
    "agree",
    "grace",
];

/// The largest rate: more than any instance has.
const RATE_MAX: u32 = 100_000_000;
/// The most windows that are looked back at.
const WINDOWS_MAX: u32 = 60;

/// Reads `idle`: an object whose fields all have defaults. A limit of `none` means that the signal is not looked at.
pub(super) fn idle(value: &Value) -> Read<IdleRules> {
    let Value::Object(map) = value else {
        return Err(super::read::wrong_type(value, "an object").into());
    };
    let mut rules = IdleRules::default();
    let mut problems = Vec::new();
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        if let Err(found) = set(&mut rules, key, value) {
            let at = format!(".{key}");
            problems.extend(found.into_iter().map(|problem| problem.at(&at)));
        }
    }
    if problems.is_empty() && rules.agree > rules.windows {
        let text = format!("{} of {} windows cannot agree", rules.agree, rules.windows);
        problems.push(Problem::new(text).at(".agree"));
    }
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(problems)
    }
}

fn set(rules: &mut IdleRules, key: &str, value: &Value) -> Read<()> {
    match key {
        "cpu_percent" => rules.cpu_percent = limit(value, 100)?,
        "network_kib_per_s" => rules.network_kib_per_s = limit(value, RATE_MAX)?,
        "disk_kib_per_s" => rules.disk_kib_per_s = limit(value, RATE_MAX)?,
        "gpu_percent" => rules.gpu_percent = limit(value, 100)?,
        "users" => rules.users = limit(value, 1000)?,
        "window" => rules.window_s = duration(value, 10, 3600)?,
        "windows" => rules.windows = whole(value, 1, WINDOWS_MAX)?.into(),
        "agree" => rules.agree = whole(value, 1, WINDOWS_MAX)?.into(),
        "grace" => rules.grace_s = duration(value, 0, 24 * 3600)?,
        _ => {
            let meant = nearest(key, FIELDS).map(|name| format!("did you mean {name}?"));
            let problem = Problem::new(format!("{} is not known here", quoted(key)));
            return Err(problem.hint(meant).into());
        }
    }
    Ok(())
}

/// A number, or `none` for a signal that is not looked at.
fn limit(value: &Value, max: u32) -> Read<Option<u64>> {
    if value.as_str() == Some("none") {
        return Ok(None);
    }
    whole(value, 0, max).map(|number| Some(number.into()))
}

/// The JSON Schema of `idle`.
pub(super) fn schema() -> Value {
    let number = |min: u32, max: u32| json!({"type": "integer", "minimum": min, "maximum": max});
    let limit = |max: u32| json!({"anyOf": [number(0, max), {"const": "none"}]});
    let duration = json!({"anyOf": [{"type": "string"}, {"const": 0}]});
    let schemas = [
        limit(100),
        limit(RATE_MAX),
        limit(RATE_MAX),
        limit(100),
        limit(1000),
        duration.clone(),
        number(1, WINDOWS_MAX),
        number(1, WINDOWS_MAX),
        duration,
    ];
    let properties: Map<String, Value> = FIELDS
        .into_iter()
        .zip(schemas)
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_none_turns_a_signal_off() {
        let rules = idle(&json!({"cpu_percent": 12, "users": "none", "window": "30s"})).unwrap();
        let expected = IdleRules {
            cpu_percent: Some(12),
            users: None,
            window_s: 30,
            ..IdleRules::default()
        };
        assert_eq!(rules, expected);
        assert_eq!(idle(&json!({})).unwrap(), IdleRules::default());
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        let faults = idle(&json!({"cpu_percent": 101, "cpu": 3, "window": "1s", "grace": "2d"}));
        assert_eq!(faults.unwrap_err().len(), 4);
        assert_eq!(
            idle(&json!({"windows": 3, "agree": 4})).unwrap_err().len(),
            1
        );
        assert!(idle(&json!(5)).is_err());
    }
}
