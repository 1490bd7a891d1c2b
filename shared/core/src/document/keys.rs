//! The keys of an object: which field each names, by whatever name, and what a misspelt one was meant to be.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fault::{Collector, Fault, join, quoted};
use super::fields::{self, Known, Top};
use super::suggest::{is_slip, nearest};

/// A value of the document and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located<'a> {
    pub(super) path: String,
    pub(super) key: &'a str,
    pub(super) value: &'a Value,
}

/// Remembers which fields an object has, so that a second name of a field does not quietly win or lose.
#[derive(Debug, Default)]
pub(super) struct Seen<'a>(Vec<(Known, &'a str, &'a Value)>);

impl<'a> Seen<'a> {
    /// Whether the field is new to the object; a second name of it with another value is a fault.
    pub(super) fn is_new(
        &mut self,
        field: Known,
        key: &'a str,
        value: &'a Value,
        path: &str,
        faults: &mut Collector,
    ) -> bool {
        let before = self.0.iter().find(|(known, _, _)| *known == field);
        let Some((_, other, of_other)) = before else {
            self.0.push((field, key, value));
            return true;
        };
        if *of_other != value {
            faults.add(Fault::new(
                path,
                format!("\"{key}\" and \"{other}\" are the same field, with different values"),
                "one of the two",
            ));
        }
        false
    }
}

/// The top level of a document or of its overrides, sorted by field.
#[derive(Debug, Default)]
pub(super) struct TopLevel<'a> {
    pub(super) fields: BTreeMap<Top, Located<'a>>,
    pub(super) settings: Vec<(fields::Setting, Located<'a>)>,
    /// What misspelt keys were probably meant to be.
    pub(super) meant: Vec<Known>,
}

impl<'a> TopLevel<'a> {
    /// Sorts the keys of `map`, which stands at `path`.
    pub(super) fn read(map: &'a Map<String, Value>, path: &str, faults: &mut Collector) -> Self {
        let mut top = Self::default();
        let mut seen = Seen::default();
        for (key, value) in map {
            // `x-...` is a place for YAML anchors, `$schema` for editors.
            if key.starts_with("x-") || key == "$schema" {
                continue;
            }
            let located = Located {
                path: join(path, key),
                key,
                value,
            };
            let Some(field) = fields::known(key) else {
                let meant = simplified_match(key, names()).or_else(|| nearest(key, names()));
                top.meant.extend(meant.and_then(fields::known));
                faults.add(unknown(located.path, key, meant));
                continue;
            };
            if !seen.is_new(field, key, value, &located.path, faults) {
                continue;
            }
            match field {
                Known::Top(id) => {
                    top.fields.insert(id, located);
                }
                Known::Setting(id) => top.settings.push((id, located)),
            }
        }
        top
    }

    /// The field, if it is given and not null.
    pub(super) fn get(&self, id: Top) -> Option<&Located<'a>> {
        self.fields.get(&id).filter(|found| !found.value.is_null())
    }
}

/// The names of all fields that the top level may have.
fn names() -> impl Iterator<Item = &'static str> {
    fields::top_names().chain(fields::setting_names())
}

fn unknown(path: String, key: &str, meant: Option<&str>) -> Fault {
    let hint = meant.map_or_else(
        || "a parameter of the program belongs in params, grid or defaults".to_owned(),
        |meant| format!("did you mean {meant}?"),
    );
    Fault::new(
        path,
        format!("{} is not a field of a sweep", quoted(key)),
        "the fields of the reference",
    )
    .hint(hint)
}

/// The field that `key` is with other letter case or separators: `idleTimeout`, `Idle-Timeout`.
fn simplified_match<'b>(key: &str, names: impl Iterator<Item = &'b str>) -> Option<&'b str> {
    let simplify = |text: &str| -> String {
        text.chars()
            .filter(|c| !matches!(c, '-' | '_' | ' '))
            .flat_map(char::to_lowercase)
            .collect()
    };
    let key = simplify(key);
    names.into_iter().find(|name| simplify(name) == key)
}

/// The setting that a key among parameters was probably meant to be.
pub(super) fn misspelt_setting(key: &str) -> Option<&'static str> {
    simplified_match(key, fields::setting_names()).or_else(|| {
        let candidates = fields::setting_names().filter(|name| name.len() >= 4);
        nearest(key, candidates).filter(|name| is_slip(key, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_near_a_setting_is_noticed_and_others_are_left_alone() {
        for (key, meant) in [
            ("idle_timout", Some("idle_timeout")),
            ("idleTimeout", Some("idle_timeout")),
            ("TTL", Some("ttl")),
            ("instance-type", Some("instance_type")),
            ("comand", Some("command")),
            ("sopt", Some("spot")),
            ("slot", None),
            ("shot", None),
            ("seed", None),
            ("learning_rate", None),
            ("at", None),
            ("all", None),
        ] {
            assert_eq!(misspelt_setting(key), meant, "{key}");
        }
    }
}
