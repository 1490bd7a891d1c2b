//! `instance_requirements`: what an instance type must have, in the words of EC2's `InstanceRequirements`.
//!
//! Source: Amazon EC2 API Reference, `InstanceRequirements`: names, defaults (bare metal and burstable types are excluded), and
//! price protection. The classes of `workload` are those of the decision matrix of the operations guide.

mod fields;
mod values;

use serde::{Deserialize, Serialize};

pub(super) use fields::{read, schema};

/// The dearest type that will do on demand, in percent over the cheapest (default of
/// `OnDemandMaxPricePercentageOverLowestPrice`).
const ON_DEMAND_PERCENT: u32 = 20;
/// The same of spot (default of `SpotMaxPricePercentageOverLowestPrice`).
const SPOT_PERCENT: u32 = 100;

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

/// The model of an accelerator as EC2's requirements write it: `Radeon Pro V520` is `radeon-pro-v520`.
pub(crate) fn model(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_'], "-")
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
}
