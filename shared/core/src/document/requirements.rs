//! `instance_requirements`: what an instance type must have, in the words of EC2's `InstanceRequirements`.
//!
//! Source: Amazon EC2 API Reference, `InstanceRequirements`: names, defaults (bare metal and burstable types are excluded), and
//! price protection. The classes of `workload` are those of the decision matrix of the operations guide.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::aws::check_type;
use super::fault::quoted;
use super::read::{Problem, Read, each, shown, text, whole, word, wrong_type};
use super::settings::InstanceTypes;
use super::suggest::nearest;

/// The dearest type that will do on demand, in percent over the cheapest (default of
/// `OnDemandMaxPricePercentageOverLowestPrice`).
const ON_DEMAND_PERCENT: u32 = 20;
/// The same of spot (default of `SpotMaxPricePercentageOverLowestPrice`).
const SPOT_PERCENT: u32 = 100;
/// From here on EC2 takes price protection as switched off.
const PERCENT_MAX: u32 = 999_999;
/// More than the memory of any type, in MiB.
const NUMBER_MAX: u32 = 1_000_000_000;

/// From a least to a most, each included; none is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bounds {
    /// The least.
    pub min: Option<u32>,
    /// The most.
    pub max: Option<u32>,
}

impl Bounds {
    /// Whether `number` lies within.
    #[must_use]
    pub fn hold(self, number: u64) -> bool {
        self.min.is_none_or(|min| number >= u64::from(min))
            && self.max.is_none_or(|max| number <= u64::from(max))
    }
}

/// Whether types that have something are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Those that have it, and those that do not.
    Included,
    /// Only those that have it.
    Required,
    /// Only those that do not have it.
    Excluded,
}

impl Presence {
    /// Whether a type that has it, or not, is taken.
    #[must_use]
    pub fn allows(self, has: bool) -> bool {
        match self {
            Self::Included => true,
            Self::Required => has,
            Self::Excluded => !has,
        }
    }
}

/// A class of work, and with it the families that are made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Bound by compute: the C families.
    Cpu,
    /// Bound by memory: the R and X families.
    Memory,
    /// Training on GPUs: the P families.
    GpuTraining,
    /// Inference on GPUs: the G families.
    GpuInference,
    /// Bound by the network between instances: C families with more of it (C5n, C6gn), and the HPC families.
    Hpc,
    /// Bound by disks: the I, D and H families.
    Storage,
}

impl Workload {
    const ALL: [(&'static str, Self); 6] = [
        ("cpu", Self::Cpu),
        ("memory", Self::Memory),
        ("gpu_training", Self::GpuTraining),
        ("gpu_inference", Self::GpuInference),
        ("hpc", Self::Hpc),
        ("storage", Self::Storage),
    ];

    /// The word of the document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, workload)| *workload == self);
        found.map_or("cpu", |(word, _)| word)
    }

    /// Patterns that name at least all of its types.
    fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Cpu => &["c*"],
            Self::Memory => &["r*", "x*"],
            Self::GpuTraining => &["p*"],
            Self::GpuInference => &["g*"],
            Self::Hpc => &["c*", "hpc*"],
            Self::Storage => &["i*", "d*", "h1.*"],
        }
    }

    /// Whether the family (`c5n` of `c5n.large`) is made for it.
    #[must_use]
    pub fn suits(self, family: &str) -> bool {
        let digit = family.find(|c: char| c.is_ascii_digit());
        let (letters, variant) = family.split_at(digit.unwrap_or(family.len()));
        match self {
            Self::Cpu => letters == "c",
            Self::Memory => matches!(letters, "r" | "x"),
            Self::GpuTraining => letters == "p",
            Self::GpuInference => matches!(letters, "g" | "gr"),
            Self::Hpc => letters == "hpc" || letters == "c" && variant.contains('n'),
            Self::Storage => matches!(letters, "i" | "im" | "is" | "d" | "h"),
        }
    }
}

/// What an instance type must have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirements {
    /// Its default vCPUs.
    pub vcpu_count: Bounds,
    /// Its memory in MiB.
    pub memory_mib: Bounds,
    /// Its GPUs and other accelerators together.
    pub accelerator_count: Bounds,
    /// The memory of all its accelerators in MiB.
    pub accelerator_total_memory_mib: Bounds,
    /// The models of accelerators that will do, in small letters with `-` for blanks (`a10g`, `radeon-pro-v520`).
    pub accelerator_names: Vec<String>,
    /// The processor architectures that will do; none: that of the image, or `x86_64`.
    pub cpu_architecture: Vec<String>,
    /// What it is for.
    pub workload: Option<Workload>,
    /// Types and patterns to choose from; none: all.
    pub allowed_instance_types: Vec<String>,
    /// Types and patterns that will not do.
    pub excluded_instance_types: Vec<String>,
    /// The T families.
    pub burstable_performance: Presence,
    /// Whole machines.
    pub bare_metal: Presence,
    /// Disks of the instance's own.
    pub local_storage: Presence,
    /// Whether only types of the current generation will do.
    pub current_generation: bool,
    /// How much dearer than the cheapest a type may be on demand, in percent.
    pub on_demand_percent_over_lowest: u32,
    /// The same of spot.
    pub spot_percent_over_lowest: u32,
}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            vcpu_count: Bounds::default(),
            memory_mib: Bounds::default(),
            accelerator_count: Bounds::default(),
            accelerator_total_memory_mib: Bounds::default(),
            accelerator_names: Vec::new(),
            cpu_architecture: Vec::new(),
            workload: None,
            allowed_instance_types: Vec::new(),
            excluded_instance_types: Vec::new(),
            burstable_performance: Presence::Excluded,
            bare_metal: Presence::Excluded,
            local_storage: Presence::Included,
            current_generation: false,
            on_demand_percent_over_lowest: ON_DEMAND_PERCENT,
            spot_percent_over_lowest: SPOT_PERCENT,
        }
    }
}

impl Requirements {
    /// Patterns that name at least all types that can meet them.
    pub(super) fn patterns(&self) -> Vec<&str> {
        match self.workload {
            _ if !self.allowed_instance_types.is_empty() => self
                .allowed_instance_types
                .iter()
                .map(String::as_str)
                .collect(),
            Some(workload) => workload.patterns().to_vec(),
            None => vec!["*"],
        }
    }
}

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
pub(super) fn read(value: &Value) -> Read<InstanceTypes> {
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

/// The model of an accelerator as EC2's requirements write it: `Radeon Pro V520` is `radeon-pro-v520`.
pub(crate) fn model(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_'], "-")
}

/// Adds to problems of a word which words there are.
fn known(problems: Vec<Problem>, words: &[&str]) -> Vec<Problem> {
    let hint = format!("one of {}", words.join(", "));
    problems
        .into_iter()
        .map(|problem| problem.or_hint(&hint))
        .collect()
}

/// Reads `{min: ..., max: ...}`.
fn bounds(value: &Value, read: impl Fn(&Value) -> Read<u32>) -> Read<Bounds> {
    let Value::Object(map) = value else {
        let hint = matches!(value, Value::Number(_) | Value::String(_)).then(|| {
            let shown = shown(value);
            let given = shown.trim_matches('"');
            format!("write {{min: {given}}}, or {{min: {given}, max: {given}}}")
        });
        return Err(wrong_type(value, "an object with min and max")
            .hint(hint)
            .into());
    };
    let mut bounds = Bounds::default();
    let mut problems = Vec::new();
    for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let at = format!(".{name}");
        match (name.as_str(), read(value)) {
            ("min", Ok(number)) => bounds.min = Some(number),
            ("max", Ok(number)) => bounds.max = Some(number),
            ("min" | "max", Err(found)) => {
                problems.extend(found.into_iter().map(|problem| problem.at(&at)));
            }
            _ => {
                let problem = format!("{} is neither min nor max", quoted(name));
                problems.push(Problem::new(problem).at(&at));
            }
        }
    }
    if problems.is_empty() && bounds == Bounds::default() {
        problems.push(Problem::new("it has neither min nor max"));
    }
    if let (Some(min), Some(max)) = (bounds.min, bounds.max)
        && min > max
    {
        problems.push(Problem::new("its min is above its max"));
    }
    if problems.is_empty() {
        Ok(bounds)
    } else {
        Err(problems)
    }
}

/// MiB of an amount of memory with a unit.
fn mebibytes(value: &Value) -> Read<u32> {
    if let Value::Number(number) = value {
        let hint = format!("write {number} GiB or {number} MiB");
        return Err(Problem::new(format!("{number} has no unit"))
            .hint(hint)
            .into());
    }
    let given = text(value, 64)?.trim();
    let digits = given.len() - given.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = given.split_at(digits);
    let refused = |hint: Option<String>| {
        let problem = format!("{} is not an amount of memory", quoted(given));
        Err(Problem::new(problem).hint(hint).into())
    };
    let factor = match unit.trim() {
        "MiB" => 1,
        "GiB" => 1024,
        "TiB" => 1024 * 1024,
        other => {
            let meant = match other.to_lowercase().as_str() {
                "g" | "gb" | "gib" => Some("GiB"),
                "m" | "mb" | "mib" => Some("MiB"),
                "t" | "tb" | "tib" => Some("TiB"),
                "" => return refused(Some(format!("write {number} GiB or {number} MiB"))),
                _ => None,
            };
            return refused(meant.map(|unit| format!("write {number} {unit}, as EC2 counts")));
        }
    };
    match number
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
    {
        Some(mib) if mib <= NUMBER_MAX => Ok(mib),
        _ => refused(None),
    }
}

fn presence(value: &Value) -> Read<Presence> {
    let words = ["included", "required", "excluded"];
    match word(value, &words).map_err(|problems| known(problems, &words))? {
        "included" => Ok(Presence::Included),
        "required" => Ok(Presence::Required),
        _ => Ok(Presence::Excluded),
    }
}

/// Instance types and patterns; `c5*` stands for all types whose names begin so.
fn patterns(value: &Value) -> Read<Vec<String>> {
    each(value, |item| {
        let name = text(item, 64)?;
        let is_open = name.ends_with('*')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*".contains(c));
        if !is_open {
            check_type(name)?;
        }
        Ok(name.to_owned())
    })
}

/// The JSON Schema of the object.
pub(super) fn schema() -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_the_families_of_the_decision_matrix() {
        for (workload, families, others) in [
            (Workload::Cpu, ["c5", "c6i", "c7g"], ["m5", "hpc6a"]),
            (Workload::Memory, ["r5", "r6i", "x2idn"], ["c5", "m5"]),
            (Workload::GpuTraining, ["p3", "p4d", "p5"], ["g5", "c5"]),
            (Workload::GpuInference, ["g4dn", "g5", "g6"], ["p3", "c5"]),
            (Workload::Hpc, ["c5n", "c6gn", "hpc7g"], ["c5", "m5n"]),
            (Workload::Storage, ["i3", "i4i", "im4gn"], ["inf1", "m5"]),
        ] {
            assert!(families.iter().all(|f| workload.suits(f)), "{workload:?}");
            assert!(!others.iter().any(|f| workload.suits(f)), "{workload:?}");
            let named = |family: &&str| {
                let begins =
                    |pattern: &&str| family.starts_with(pattern.trim_end_matches(['*', '.']));
                workload.patterns().iter().any(begins)
            };
            assert!(families.iter().all(named), "{workload:?}");
        }
    }

    #[test]
    fn memory_has_a_unit() {
        for (text, mib) in [("512 MiB", 512), ("16GiB", 16_384), (" 2 TiB ", 2_097_152)] {
            assert_eq!(mebibytes(&Value::from(text)), Ok(mib), "{text}");
        }
        for text in ["16", "16 GB", "lots", "GiB", "5000000000 GiB", "-1 GiB"] {
            assert!(mebibytes(&Value::from(text)).is_err(), "{text}");
        }
    }
}
