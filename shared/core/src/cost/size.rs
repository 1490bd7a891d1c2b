//! Which type would have done: from what the instances of a type used, by the kind of work that this shows.
//!
//! What types have is what EC2 says of them (`DescribeInstanceTypes`), never a table of spawn's own. Compared are the guide's
//! families for work that is short of processors, memory or both, C, R and M. What runs on a type whose GPUs, disks or network
//! it is chosen for is short of what neither metric shows: nothing is proposed for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::instance_metrics::{InstanceMetric, Wanted};
use crate::ports::TypeFacts;
use crate::region::Region;

/// A type is chosen so that what was used at the most is this share of it, in percent: room for a little more.
const FILL_PERCENT: u64 = 80;
/// From this share on, in percent, the processor or the memory is what the work is short of.
const BOUND_PERCENT: u64 = 60;

/// What the instances of a type used at the most, in percent: the highest reading of any one of them. An average would hide the
/// member that needs all of its memory behind those that need little, and on a smaller type that one dies. A processor that is
/// too small only takes longer, but readings are averages of a minute, so that the highest of them is work and no spike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utilisation {
    /// The type.
    pub instance_type: String,
    /// The region whose offers and prices are compared.
    pub region: Region,
    /// The processor; `None` when nothing was measured.
    pub cpu_percent: Option<u64>,
    /// The memory.
    pub memory_percent: Option<u64>,
}

/// What work is short of, by the guide's decision matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The processor: compute families (C).
    Cpu,
    /// The memory: memory families (R).
    Memory,
    /// Both: general families (M).
    Both,
    /// Neither: less of the same.
    Neither,
}

/// The families that are compared, but for their generation: 2, 4 and 8 GiB for each vCPU, about.
const SERIES: [&str; 3] = ["c", "m", "r"];
/// Generations that the guide names, by architecture: an image or program of one does not start on another.
const X86_64: [&str; 2] = ["5", "6i"];
const ARM64: [&str; 2] = ["6g", "7g"];
/// Generations of x86_64 whose vCPUs are whole cores, where others' are threads, two of a core (Amazon EC2 User Guide, "CPU options
/// for Amazon EC2 instances"): as many vCPUs of another generation would be half as much.
const WHOLE_CORES: [&str; 2] = ["7a", "8a"];

/// A type's series and generation: `c` and `6gn` of `c6gn.large`.
fn series(instance_type: &str) -> Option<(&str, &str)> {
    let (family, _) = instance_type.split_once('.')?;
    Some(family.split_at(family.find(|char: char| char.is_ascii_digit())?))
}

/// The generations that a type is compared with: its own comes first, if it has families that are compared.
fn generations(instance_type: &str) -> Vec<&str> {
    let own = series(instance_type).filter(|(series, _)| SERIES.contains(series));
    let own = own.map(|(_, generation)| generation);
    if let Some(own) = own.filter(|own| WHOLE_CORES.contains(own)) {
        return vec![own];
    }
    let named = X86_64.into_iter().chain(ARM64);
    own.into_iter()
        .chain(named.filter(|one| Some(*one) != own))
        .collect()
}

/// What EC2 is to be asked of a type and of those that it is compared with: names and patterns of its filter `instance-type`.
#[must_use]
pub fn questions(instance_type: &str) -> BTreeSet<String> {
    let families = generations(instance_type)
        .into_iter()
        .flat_map(|generation| SERIES.map(|series| format!("{series}{generation}.*")));
    families.chain([instance_type.to_owned()]).collect()
}

/// What a type is chosen for beside its processors and memory, of which neither metric tells; `None` of types that are compared.
#[must_use]
pub fn apart(one: &TypeFacts) -> Option<&'static str> {
    // `n` in the name of a family: more network (Amazon EC2 instance types, "Naming conventions"); Hpc is for clusters.
    let network = series(&one.name)
        .is_some_and(|(series, generation)| series == "hpc" || generation.contains('n'));
    if !one.accelerators.is_empty() {
        Some("its accelerators")
    } else if one.instance_storage {
        Some("its own disks")
    } else if network {
        Some("its network")
    } else if one.bare_metal {
        Some("being a whole machine")
    } else {
        None
    }
}

/// What work that used this is short of; `None` unless both were measured.
#[must_use]
pub fn bound(used: &Utilisation) -> Option<Bound> {
    let cpu = used.cpu_percent? >= BOUND_PERCENT;
    let memory = used.memory_percent? >= BOUND_PERCENT;
    Some(match (cpu, memory) {
        (true, true) => Bound::Both,
        (true, false) => Bound::Cpu,
        (false, true) => Bound::Memory,
        (false, false) => Bound::Neither,
    })
}

/// What was not measured, and what is to be done about it, when a sweep had wanted this; `None` when all was.
#[must_use]
pub fn unmeasured(used: &Utilisation, wanted: &Wanted) -> Option<String> {
    let both = [
        ("CPU", InstanceMetric::CpuUtilization, used.cpu_percent),
        (
            "memory",
            InstanceMetric::MemoryUtilization,
            used.memory_percent,
        ),
    ];
    let missing: Vec<_> = both
        .into_iter()
        .filter(|(.., percent)| percent.is_none())
        .collect();
    let what = match missing[..] {
        [] => return None,
        [(name, ..)] => format!("{name} was not measured"),
        _ => "neither CPU nor memory was measured".to_owned(),
    };
    let unasked: Vec<String> = missing
        .iter()
        .filter(|(_, metric, _)| !wanted.contains(metric))
        .map(|(_, metric, _)| format!("`{}`", metric.as_str()))
        .collect();
    Some(if unasked.is_empty() {
        format!(
            "{what}, though the document asks for it: members report from their third minute on, and those of other accounts to \
             their own; `report_metrics_note` of an instance's row says what else went wrong"
        )
    } else {
        let names = unasked.join(" and ");
        format!("{what}: ask for {names} in the document's `instance_metrics`")
    })
}

/// The types that have room for what was used, with a fifth to spare: of each family of the same architecture in `offered` the
/// smallest. None when something was not measured, or the type is not in `offered` or none that is compared.
#[must_use]
pub fn candidates<'a>(used: &Utilisation, offered: &'a [TypeFacts]) -> Vec<&'a TypeFacts> {
    let own = offered.iter().find(|one| one.name == used.instance_type);
    let Some(own) = own.filter(|one| apart(one).is_none()) else {
        return Vec::new();
    };
    let (Some(cpu), Some(memory)) = (used.cpu_percent, used.memory_percent) else {
        return Vec::new();
    };
    // No more than there was: with that, the work was done.
    let needed =
        |had: u64, percent: u64| (had * percent).div_ceil(FILL_PERCENT).clamp(1, had.max(1));
    let vcpus = needed(u64::from(own.vcpus), cpu);
    let memory_mib = needed(own.memory_mib, memory);
    let generations = generations(&own.name);
    let fits = |one: &TypeFacts| {
        let compared = series(&one.name).is_some_and(|(series, generation)| {
            SERIES.contains(&series) && generations.contains(&generation)
        });
        let same = one
            .architectures
            .iter()
            .any(|architecture| own.architectures.contains(architecture));
        compared
            && same
            && one.on_demand
            && apart(one).is_none()
            && u64::from(one.vcpus) >= vcpus
            && one.memory_mib >= memory_mib
    };
    let mut smallest: BTreeMap<&str, &TypeFacts> = BTreeMap::new();
    for one in offered.iter().filter(|one| fits(one)) {
        let family = one.name.split('.').next().unwrap_or_default();
        let size = |one: &TypeFacts| (one.vcpus, one.memory_mib);
        let held = smallest.entry(family).or_insert(one);
        if size(one) < size(held) {
            *held = one;
        }
    }
    smallest.into_values().collect()
}

#[cfg(test)]
#[path = "size_tests.rs"]
mod tests;
