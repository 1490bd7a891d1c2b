//! The fields of `instance_requirements`: their names, how they are read, and their schema.

use serde_json::{Map, Value, json};

use super::super::fault::quoted;
use super::super::read::{Problem, Read, each, text, whole, word, wrong_type};
use super::super::settings::InstanceTypes;
use super::super::suggest::nearest;
use super::values::{NUMBER_MAX, bounds, known, mebibytes, patterns, presence};
use super::{Bounds, Requirements, Workload, model};

/// From here on EC2 takes price protection as switched off.
const PERCENT_MAX: u32 = 999_999;

/// A field of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    VcpuCount,
    Memory,
    MemoryMib,
    MemoryGib,
    AcceleratorCount,
    AcceleratorMemory,
    AcceleratorNames,
    CpuArchitecture,
    Workload,
    Allowed,
    Excluded,
    Burstable,
    BareMetal,
    LocalStorage,
    Generations,
    OnDemandPercent,
    SpotPercent,
}

/// The fields with their other names.
const KEYS: [(Key, &str, &[&str]); 17] = [
    (Key::VcpuCount, "vcpu_count", &["vcpus"]),
    (Key::Memory, "memory", &[]),
    (Key::MemoryMib, "memory_mib", &[]),
    (Key::MemoryGib, "memory_gib", &[]),
    (Key::AcceleratorCount, "accelerator_count", &["gpu_count"]),
    (
        Key::AcceleratorMemory,
        "accelerator_total_memory",
        &["gpu_memory"],
    ),
    (
        Key::AcceleratorNames,
        "accelerator_names",
        &["accelerator_name", "gpu_name", "gpu_names"],
    ),
    (
        Key::CpuArchitecture,
        "cpu_architecture",
        &["architecture", "cpu_architectures"],
    ),
    (Key::Workload, "workload", &[]),
    (Key::Allowed, "allowed_instance_types", &[]),
    (Key::Excluded, "excluded_instance_types", &[]),
    (Key::Burstable, "burstable_performance", &[]),
    (Key::BareMetal, "bare_metal", &[]),
    (Key::LocalStorage, "local_storage", &[]),
    (Key::Generations, "instance_generations", &[]),
    (
        Key::OnDemandPercent,
        "on_demand_max_price_percentage_over_lowest_price",
        &[],
    ),
    (
        Key::SpotPercent,
        "spot_max_price_percentage_over_lowest_price",
        &[],
    ),
];

/// Reads the object.
pub(in super::super) fn read(value: &Value) -> Read<InstanceTypes> {
    let Value::Object(map) = value else {
        return Err(wrong_type(value, "an object").into());
    };
    if map.values().all(Value::is_null) {
        return Err(Problem::new("the object is empty").into());
    }
    let mut requirements = Requirements::default();
    let mut problems = Vec::new();
    let mut seen: Vec<(Key, &str)> = Vec::new();
    for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let at = format!(".{name}");
        let Some(key) = key_of(name) else {
            let names = KEYS
                .iter()
                .flat_map(|(_, name, more)| std::iter::once(*name).chain(more.iter().copied()));
            let hint = nearest(name, names).map(|meant| format!("did you mean {meant}?"));
            let problem = format!("{} is not a requirement", quoted(name));
            problems.push(Problem::new(problem).hint(hint).at(&at));
            continue;
        };
        if let Some((_, other)) = seen.iter().find(|(other, _)| is_same(*other, key)) {
            let problem = format!("{other} says the same: one of the two");
            problems.push(Problem::new(problem).at(&at));
            continue;
        }
        seen.push((key, name));
        if let Err(found) = requirements.set(key, value) {
            problems.extend(found.into_iter().map(|problem| problem.at(&at)));
        }
    }
    if problems.is_empty() {
        Ok(InstanceTypes::Requirements(Box::new(requirements)))
    } else {
        Err(problems)
    }
}

fn key_of(name: &str) -> Option<Key> {
    KEYS.iter()
        .find(|(_, known, more)| *known == name || more.contains(&name))
        .map(|(key, _, _)| *key)
}

/// Whether two keys set the same.
fn is_same(one: Key, two: Key) -> bool {
    let is_memory = |key| matches!(key, Key::Memory | Key::MemoryMib | Key::MemoryGib);
    one == two || is_memory(one) && is_memory(two)
}

impl Requirements {
    fn set(&mut self, key: Key, value: &Value) -> Read<()> {
        let number = |value: &Value| whole(value, 0, NUMBER_MAX);
        match key {
            Key::VcpuCount => self.vcpu_count = bounds(value, number)?,
            Key::Memory => self.memory_mib = bounds(value, mebibytes)?,
            Key::MemoryMib => self.memory_mib = bounds(value, number)?,
            Key::MemoryGib => {
                let gibibytes = |value: &Value| whole(value, 0, NUMBER_MAX / 1024);
                let gib = bounds(value, gibibytes)?;
                self.memory_mib = Bounds {
                    min: gib.min.map(|gib| gib * 1024),
                    max: gib.max.map(|gib| gib * 1024),
                };
            }
            Key::AcceleratorCount => self.accelerator_count = bounds(value, number)?,
            Key::AcceleratorMemory => {
                self.accelerator_total_memory_mib = bounds(value, mebibytes)?;
            }
            Key::AcceleratorNames => {
                let name = |value: &Value| Ok(model(text(value, 64)?));
                self.accelerator_names = each(value, name)?;
            }
            Key::CpuArchitecture => {
                let words = ["x86_64", "arm64"];
                let one = |value: &Value| match word(value, &words) {
                    Ok(name) => Ok(name.to_owned()),
                    Err(problems) => Err(known(problems, &words)),
                };
                self.cpu_architecture = each(value, one)?;
            }
            Key::Workload => {
                let words = Workload::ALL.map(|(word, _)| word);
                let given = word(value, &words).map_err(|problems| known(problems, &words))?;
                let found = Workload::ALL.iter().find(|(word, _)| *word == given);
                self.workload = found.map(|(_, workload)| *workload);
            }
            Key::Allowed => self.allowed_instance_types = patterns(value)?,
            Key::Excluded => self.excluded_instance_types = patterns(value)?,
            Key::Burstable => self.burstable_performance = presence(value)?,
            Key::BareMetal => self.bare_metal = presence(value)?,
            Key::LocalStorage => self.local_storage = presence(value)?,
            Key::Generations => {
                let words = each(value, |value| word(value, &["current", "previous"]))?;
                if !words.contains(&"current") {
                    let problem = "without the current generation nothing of today is left";
                    return Err(Problem::new(problem).into());
                }
                self.current_generation = !words.contains(&"previous");
            }
            Key::OnDemandPercent => {
                self.on_demand_percent_over_lowest = whole(value, 0, PERCENT_MAX)?;
            }
            Key::SpotPercent => self.spot_percent_over_lowest = whole(value, 0, PERCENT_MAX)?,
        }
        Ok(())
    }
}

/// The JSON Schema of the object.
pub(in super::super) fn schema() -> Value {
    let range = |item: &Value| {
        json!({
            "type": "object",
            "properties": {"min": item, "max": item},
            "minProperties": 1,
            "additionalProperties": false,
        })
    };
    let number = json!({"type": "integer", "minimum": 0});
    let memory = json!({"type": "string", "pattern": "^\\s*[0-9]+\\s*[MGT]iB\\s*$"});
    let some = |item: Value| {
        let single = item.clone();
        json!({"anyOf": [single, {"type": "array", "items": item, "minItems": 1}]})
    };
    let text = json!({"type": "string"});
    let mut properties = Map::new();
    for (key, name, more) in KEYS {
        let schema = match key {
            Key::VcpuCount | Key::MemoryMib | Key::MemoryGib | Key::AcceleratorCount => {
                range(&number)
            }
            Key::Memory | Key::AcceleratorMemory => range(&memory),
            Key::AcceleratorNames | Key::Allowed | Key::Excluded => some(text.clone()),
            Key::CpuArchitecture => some(json!({"enum": ["x86_64", "arm64"]})),
            Key::Workload => json!({"enum": Workload::ALL.map(|(word, _)| word)}),
            Key::Burstable | Key::BareMetal | Key::LocalStorage => {
                json!({"enum": ["included", "required", "excluded"]})
            }
            Key::Generations => some(json!({"enum": ["current", "previous"]})),
            Key::OnDemandPercent | Key::SpotPercent => {
                json!({"type": "integer", "minimum": 0, "maximum": PERCENT_MAX})
            }
        };
        for name in std::iter::once(name).chain(more.iter().copied()) {
            let or_null = json!({"anyOf": [schema, {"type": "null"}]});
            properties.insert(name.to_owned(), or_null);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "minProperties": 1,
        "additionalProperties": false,
    })
}
