//! A grid: an object of lists, each an axis.

use serde_json::{Map, Value};

use super::entry::{check_parameter, misplaced, misspelt};
use super::fault::{Collector, Fault, join, quoted};
use super::fields::{self, Known, Setting, Top, is_misplaced_in_member};
use super::layer::Layer;
use super::read::shown;

/// The most axes. A grid with more than 17 of two values each has too many members anyway.
const AXES_MAX: usize = 100;

/// One axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) values: Values,
}

/// The values along an axis.
#[derive(Debug, Clone)]
pub(super) enum Values {
    /// Of a parameter.
    Params(Vec<Value>),
    /// Of a setting.
    Settings(Setting, Vec<Layer>),
}

impl Axis {
    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Params(values) => values.len(),
            Values::Settings(_, layers) => layers.len(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (&self.values, &other.values) {
            (Values::Settings(one, _), Values::Settings(two, _)) => one == two,
            (Values::Params(_), Values::Params(_)) => self.name == other.name,
            _ => false,
        }
    }
}

/// Reads the axes of the object at `path`, in the order of its keys, behind those that there are.
pub(super) fn read(
    map: &Map<String, Value>,
    path: &str,
    axes: &mut Vec<Axis>,
    faults: &mut Collector,
) {
    if map.is_empty() {
        faults.add(Fault::new(
            path,
            "the object is empty",
            "at least one key with a list",
        ));
    }
    for (key, value) in map {
        let path = join(path, key);
        match fields::known(key) {
            Some(Known::Top(Top::Params)) => read_nested(value, &path, axes, faults),
            Some(Known::Top(Top::Name)) => faults.add(
                Fault::new(path, "a grid cannot name members", "").hint(format!(
                    "a parameter of that name goes into a nested params: {{{key}: [...]}}"
                )),
            ),
            Some(Known::Top(id)) if is_misplaced_in_member(id) => {
                faults.add(misplaced(path, key));
            }
            Some(Known::Setting(id)) => {
                if let Some(values) = list(value, &path, faults) {
                    let values = Values::Settings(id, layers(id, values, &path, faults));
                    push(
                        axes,
                        Axis {
                            name: key.clone(),
                            path,
                            values,
                        },
                        faults,
                    );
                }
            }
            Some(Known::Top(_)) | None => match misspelt(&path, key) {
                Some(fault) => faults.add(fault),
                None => parameter(key, value, path, axes, faults),
            },
        }
    }
}

/// How many axes the object means to give.
pub(super) fn keys(map: &Map<String, Value>) -> usize {
    let of = |(key, value): (&String, &Value)| match (fields::known(key), value) {
        (Some(Known::Top(Top::Params)), Value::Object(nested)) => nested.len(),
        _ => 1,
    };
    map.iter().map(of).sum()
}

/// Reads a `params` inside the grid: whatever its keys are, they are parameters.
fn read_nested(value: &Value, path: &str, axes: &mut Vec<Axis>, faults: &mut Collector) {
    let Value::Object(map) = value else {
        faults.add(Fault::new(
            path,
            format!("{} is not an object", shown(value)),
            "an object of lists",
        ));
        return;
    };
    for (key, value) in map {
        parameter(key, value, join(path, key), axes, faults);
    }
}

fn parameter(key: &str, value: &Value, path: String, axes: &mut Vec<Axis>, faults: &mut Collector) {
    let Some(values) = list(value, &path, faults) else {
        return;
    };
    for (index, value) in values.iter().enumerate() {
        if let Some(fault) = check_parameter(key, value, &format!("{path}[{index}]")) {
            faults.add(fault);
            return;
        }
    }
    let values = Values::Params(values.to_vec());
    push(
        axes,
        Axis {
            name: key.to_owned(),
            path,
            values,
        },
        faults,
    );
}

fn layers(id: Setting, values: &[Value], path: &str, faults: &mut Collector) -> Vec<Layer> {
    let read = |(index, value): (usize, &Value)| {
        let mut layer = Layer::default();
        layer.read(id, value, &format!("{path}[{index}]"), faults);
        layer
    };
    values.iter().enumerate().map(read).collect()
}

fn list<'a>(value: &'a Value, path: &str, faults: &mut Collector) -> Option<&'a [Value]> {
    let Value::Array(values) = value else {
        let hint = match value {
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(format!(
                "one value is a list, too: [{}]",
                shown(value).trim_matches('"')
            )),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        faults.add(
            Fault::new(
                path,
                format!("{} is not a list", shown(value)),
                "a list of values",
            )
            .hint(hint),
        );
        return None;
    };
    if values.is_empty() {
        faults.add(Fault::new(path, "the list is empty", "at least one value"));
        return None;
    }
    Some(values)
}

fn push(axes: &mut Vec<Axis>, axis: Axis, faults: &mut Collector) {
    if axes.iter().any(|before| before.is_same(&axis)) {
        faults.add(Fault::new(
            axis.path,
            format!("{} is an axis already", quoted(&axis.name)),
            "each axis once",
        ));
    } else if axes.len() == AXES_MAX {
        faults.add(Fault::new(
            axis.path,
            "the grid has too many axes",
            format!("at most {AXES_MAX}"),
        ));
    } else {
        axes.push(axis);
    }
}
