//! JSON to a value, with the line and column of what is wrong. An object that has a key twice is refused, rather than read
//! as whichever comes last.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::fault::Fault;

/// The value in `text`.
pub(super) fn load(text: &str) -> Result<Value, Fault> {
    let broken = |error: serde_json::Error| {
        let full = error.to_string();
        // serde_json appends the place to the message; it is the path here.
        let message = full.split(" at line ").next().unwrap_or(&full).to_owned();
        let path = format!("line {}, column {}", error.line(), error.column());
        match message.strip_prefix(TWICE) {
            Some(rest) => Fault::new(
                path,
                format!("the key {rest} stands twice"),
                "each key once in an object",
            ),
            None => Fault::new(path, format!("the text is not JSON: {message}"), ""),
        }
    };
    serde_json::from_str::<UniqueKeys>(text).map_err(broken)?;
    serde_json::from_str(text).map_err(broken)
}

/// Whether the fault of [`load`] is one of the text's form, so that it might be YAML.
pub(super) fn is_syntax(fault: &Fault) -> bool {
    fault.problem.starts_with("the text is not JSON")
}

/// Marks the error of a key that stands twice, on its way through serde.
const TWICE: &str = "twice: ";

/// Any JSON, read only to see that no object has a key twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<UniqueKeys, A::Error> {
        while items.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if seen.contains(&key) {
                let shown = super::fault::quoted(&key);
                return Err(serde::de::Error::custom(format!("{TWICE}{shown}")));
            }
            seen.insert(key);
            entries.next_value::<UniqueKeys>()?;
        }
        Ok(UniqueKeys)
    }
}
