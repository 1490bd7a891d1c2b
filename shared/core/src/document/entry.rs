//! One object of members' settings and parameters: an entry of `params`, a row of a table, or `defaults`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::fault::{Collector, Fault, join, quoted};
use super::fields::{self, Known, Top, is_misplaced_in_member};
use super::keys::{Seen, misspelt_setting};
use super::layer::Layer;
use super::names;
use super::read::{shown, take};
use super::shape::Shape;

/// The longest name of a parameter.
const PARAMETER_NAME_BYTES_MAX: usize = 128;

/// What an entry gives.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) name: Option<String>,
    pub(super) layer: Layer,
    pub(super) params: Map<String, Value>,
}

/// Where an entry stands: a member may be named, and a few words are its parameters that `defaults` would misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Defaults,
    Member,
}

impl Entry {
    /// Reads the object at `path`. `parameters` remembers the keys that were found to be parameters, since the rows of a
    /// table have the same keys over and over.
    pub(super) fn read(
        map: &Map<String, Value>,
        path: &str,
        place: Place,
        parameters: &mut HashSet<String>,
        faults: &mut Collector,
    ) -> Self {
        let mut entry = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut seen = Seen::default();
        for (key, value) in map {
            let path = join(path, key);
            match fields::known(key) {
                Some(Known::Top(Top::Params)) => entry.read_nested(value, &path, faults),
                Some(Known::Top(Top::Name)) if place == Place::Member && key == "name" => {
                    entry.name = member_name(value, &path, faults);
                }
                Some(Known::Top(Top::Name)) if place == Place::Defaults => faults.add(
                    Fault::new(path, "all members would have the same name", "").hint(format!(
                        "the sweep's name stands at the top level; a parameter of that name goes into a nested params: {{{key}: ...}}"
                    )),
                ),
                Some(Known::Top(id)) if place == Place::Defaults || is_misplaced_in_member(id) => {
                    faults.add(misplaced(path, key));
                }
                Some(Known::Setting(id)) => {
                    if seen.is_new(Known::Setting(id), key, value, &path, faults) {
                        entry.layer.read(id, value, &path, faults);
                    }
                }
                Some(Known::Top(_)) | None => {
                    let is_checked = parameters.contains(key.as_str());
                    if let Some(fault) = (!is_checked).then(|| misspelt(&path, key)).flatten() {
                        faults.add(fault);
                    } else {
                        if !is_checked {
                            parameters.insert(key.clone());
                        }
                        entry.add(key, value, &path, faults);
                    }
                }
            }
        }
        entry
    }

    /// Reads a `params` inside the entry: whatever its keys are, they are parameters.
    fn read_nested(&mut self, value: &Value, path: &str, faults: &mut Collector) {
        let Value::Object(map) = value else {
            faults.add(Fault::new(
                path,
                format!("{} is not an object", shown(value)),
                "an object of parameters",
            ));
            return;
        };
        for (key, value) in map {
            self.add(key, value, &join(path, key), faults);
        }
    }

    fn add(&mut self, key: &str, value: &Value, path: &str, faults: &mut Collector) {
        if let Some(fault) = check_parameter(key, value, path) {
            faults.add(fault);
        } else if self.params.get(key).is_some_and(|before| before != value) {
            faults.add(Fault::new(
                path,
                format!(
                    "the parameter {} is given twice, with different values",
                    quoted(key)
                ),
                "one of the two",
            ));
        } else {
            self.params.insert(key.to_owned(), value.clone());
        }
    }
}

/// The fault of a field of the sweep that stands in a member.
pub(super) fn misplaced(path: String, key: &str) -> Fault {
    Fault::new(
        path,
        format!("\"{key}\" is a field of the sweep, not of a member"),
        "",
    )
    .hint(format!(
        "move it to the top level; a parameter of that name goes into a nested params: {{{key}: ...}}"
    ))
}

/// The fault of a key that looks like a misspelt setting.
pub(super) fn misspelt(path: &str, key: &str) -> Option<Fault> {
    let meant = misspelt_setting(key)?;
    let fault = Fault::new(
        path,
        format!("{} is not a setting, but looks like one", quoted(key)),
        "",
    );
    Some(fault.hint(format!(
        "did you mean {meant}? A parameter of that name goes into a nested params: {{{key}: ...}}"
    )))
}

/// The fault of a parameter that no program could be given.
pub(super) fn check_parameter(key: &str, value: &Value, path: &str) -> Option<Fault> {
    if key.trim().is_empty() || key.len() > PARAMETER_NAME_BYTES_MAX || key.contains('\0') {
        return Some(Fault::new(
            path,
            format!("{} cannot be the name of a parameter", quoted(key)),
            format!("a name of 1 to {PARAMETER_NAME_BYTES_MAX} bytes"),
        ));
    }
    let has_nul = value.as_str().is_some_and(|text| text.contains('\0'));
    has_nul.then(|| {
        Fault::new(
            path,
            "it contains a NUL character, which no environment variable can hold",
            "text without NUL",
        )
    })
}

/// A member's name; in a table it may look like a number.
fn member_name(value: &Value, path: &str, faults: &mut Collector) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Number(number) => {
            let text = Value::from(number.to_string());
            take(names::name(&text), path, Shape::Name, faults)
        }
        Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            take(names::name(value), path, Shape::Name, faults)
        }
    }
}
