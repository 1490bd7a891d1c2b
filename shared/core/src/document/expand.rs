//! From points to members: every entry, with every combination of the grid, as often as it is repeated.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::check::Checked;
use super::fault::{Collector, Fault, quoted};
use super::grid::{Axis, Values};
use super::layer::Layer;
use super::points::Points;
use super::sweep::Member;
use crate::boot::variable_name;

/// The most that one member's parameters may be, in bytes of JSON: they are one row of the ledger and one environment.
const PARAMS_BYTES_MAX: u128 = 64 * 1024;

/// The most that all members' parameters together may be, in bytes of JSON: what planning keeps in memory.
const ALL_PARAMS_BYTES_MAX: u128 = 64 * 1024 * 1024;

/// What lies below and above the members' own levels.
pub(super) struct Levels<'a> {
    /// Operator, top level and defaults.
    pub(super) below: &'a Layer,
    /// Parameters of `defaults`.
    pub(super) params: &'a Map<String, Value>,
    /// Overrides.
    pub(super) above: &'a Layer,
}

/// Checks what the members' parameters would be, before there are any. Without `repeat` there are too many members to add up
/// what they have together.
pub(super) fn check_params(
    points: &Points,
    levels: &Levels<'_>,
    repeat: Option<u32>,
    faults: &mut Collector,
) {
    let before = faults.len();
    let axes: Vec<&Axis> = points
        .axes
        .iter()
        .filter(|axis| matches!(axis.values, Values::Params(_)))
        .collect();
    let combinations = points.axes.iter().fold(1_u128, |product, axis| {
        product.saturating_mul(axis.len() as u128)
    });
    // Of each axis, the longest value, and the sum of all.
    let lengths: Vec<(u128, u128)> = axes
        .iter()
        .map(|axis| {
            let key = axis.name.len() as u128 + 4;
            let Values::Params(values) = &axis.values else {
                return (0, 0);
            };
            let lengths = values.iter().map(|value| key + json_bytes(value));
            lengths.fold((0, 0), |(longest, sum), length| {
                (longest.max(length), sum + length)
            })
        })
        .collect();
    let mut all_bytes: u128 = 0;
    let mut known_names = HashSet::new();
    for entry in &points.entries {
        let mut names: Vec<&str> = levels.params.keys().map(String::as_str).collect();
        names.extend(
            entry
                .params
                .keys()
                .map(String::as_str)
                .filter(|name| !levels.params.contains_key(*name)),
        );
        for axis in &axes {
            if !names.contains(&axis.name.as_str()) {
                names.push(&axis.name);
            }
        }
        let mut bytes: u128 = 2;
        for (name, value) in entry.params.iter().chain(
            levels
                .params
                .iter()
                .filter(|(name, _)| !entry.params.contains_key(*name)),
        ) {
            bytes += name.len() as u128 + 4 + json_bytes(value);
        }
        let longest = bytes + lengths.iter().map(|(longest, _)| longest).sum::<u128>();
        let grid_bytes: u128 = axes
            .iter()
            .zip(&lengths)
            .map(|(axis, (_, sum))| sum.saturating_mul(combinations) / axis.len().max(1) as u128)
            .fold(0, u128::saturating_add);
        let bytes_of_entry = bytes
            .saturating_mul(combinations)
            .saturating_add(grid_bytes)
            .saturating_mul(repeat.unwrap_or(0).into());
        all_bytes = all_bytes.saturating_add(bytes_of_entry);
        if longest > PARAMS_BYTES_MAX {
            faults.add(Fault::new(
                entry.path.as_str(),
                format!("a member's parameters have {longest} bytes as JSON"),
                format!("at most {PARAMS_BYTES_MAX} bytes; put larger data into S3 and name it in inputs"),
            ));
        }
        if known_names.insert(names.join("\u{0}")) {
            check_names(&names, &entry.path, faults);
        }
    }
    if all_bytes > ALL_PARAMS_BYTES_MAX && faults.len() == before {
        faults.add(Fault::new(
            "params",
            format!("all members' parameters have {all_bytes} bytes as JSON"),
            format!("at most {ALL_PARAMS_BYTES_MAX} bytes; put larger data into S3 and name it in inputs"),
        ));
    }
}

/// Two parameters whose names differ only in what no variable's name can hold would be one variable.
fn check_names(names: &[&str], path: &str, faults: &mut Collector) {
    let mut variables: HashMap<String, &str> = HashMap::new();
    for name in names {
        let variable = variable_name(name);
        if let Some(other) = variables.get(&variable) {
            faults.add(Fault::new(
                path,
                format!(
                    "the parameters {} and {} would both be the variable SPAWN_PARAM_{variable}",
                    quoted(other),
                    quoted(name)
                ),
                "names that differ in letters and digits",
            ));
        } else {
            variables.insert(variable, name);
        }
    }
}

fn json_bytes(value: &Value) -> u128 {
    match value {
        Value::String(text) if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') => {
            text.len() as u128 + 2
        }
        value => value.to_string().len() as u128,
    }
}

/// The members of a document without faults, in the order of their indices.
pub(super) fn expand(
    points: &Points,
    levels: &Levels<'_>,
    repeat: u32,
    checked: &mut Checked<'_>,
) -> Vec<Member> {
    let mut members = Vec::new();
    let mut index = 0;
    let lengths: Vec<usize> = points.axes.iter().map(Axis::len).collect();
    let mut at = vec![0; points.axes.len()];
    for entry in &points.entries {
        let mut below = levels.below.clone();
        below.overlay(&entry.layer);
        let has_setting_axes = points
            .axes
            .iter()
            .any(|axis| matches!(axis.values, Values::Settings(..)));
        let same = (!has_setting_axes).then(|| {
            let mut layer = below.clone();
            layer.overlay(levels.above);
            checked.settings(&layer, &entry.path)
        });
        let mut params = levels.params.clone();
        params.extend(
            entry
                .params
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let mut copy = 0_u32;
        let is_single = repeat == 1 && points.axes.iter().all(|axis| axis.len() == 1);
        loop {
            let mut params = params.clone();
            let mut layer = (same.is_none()).then(|| below.clone());
            for (axis, at) in points.axes.iter().zip(&at) {
                match &axis.values {
                    Values::Params(values) => {
                        params.insert(axis.name.clone(), values[*at].clone());
                    }
                    Values::Settings(_, layers) => {
                        if let Some(layer) = &mut layer {
                            layer.overlay(&layers[*at]);
                        }
                    }
                }
            }
            let settings = match (&same, layer) {
                (Some(settings), _) => settings.clone(),
                (None, Some(mut layer)) => {
                    layer.overlay(levels.above);
                    checked.settings(&layer, &entry.path)
                }
                (None, None) => None,
            };
            for _ in 0..repeat {
                if let Some(settings) = &settings {
                    members.push(Member {
                        index,
                        name: entry.name.as_ref().map(|name| match is_single {
                            true => name.clone(),
                            false => format!("{name}-{copy}"),
                        }),
                        params: params.clone(),
                        settings: settings.clone(),
                    });
                }
                index += 1;
                copy += 1;
            }
            if !advance(&mut at, &lengths) {
                break;
            }
        }
    }
    members
}

/// The next combination, the last axis changing fastest; false once all have been.
pub(super) fn advance(at: &mut [usize], lengths: &[usize]) -> bool {
    for (position, length) in at.iter_mut().zip(lengths).rev() {
        *position += 1;
        if *position < *length {
            return true;
        }
        *position = 0;
    }
    false
}
