//! Which type would have done: from what the instances of a type used, by the kind of work that this shows.

use serde::{Deserialize, Serialize};

/// A type is chosen so that what was used at the most is this share of it, in percent: room for a little more.
const FILL_PERCENT: u64 = 80;
/// From this share on, in percent, the processor or the memory is what the work is short of.
const BOUND_PERCENT: u64 = 60;

/// What the instances of a type used at the most, as an average over each period, in percent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utilisation {
    /// The type.
    pub instance_type: String,
    /// The region whose prices are compared.
    pub region: crate::region::Region,
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

/// A size of the families C, M and R, which have 2, 4 and 8 GiB for each vCPU.
const SIZES: [(&str, u64); 8] = [
    ("large", 2),
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("8xlarge", 32),
    ("12xlarge", 48),
    ("16xlarge", 64),
    ("24xlarge", 96),
];

/// Generations whose families C, M and R all exist with these sizes.
const GENERATIONS: [&str; 2] = ["5", "6i"];

/// What a type has: its vCPUs and GiB. `None` of types that are not of the families C, M or R.
#[must_use]
pub fn capacity(instance_type: &str) -> Option<(u64, u64)> {
    let (family, size) = instance_type.split_once('.')?;
    let (_, vcpus) = SIZES.iter().find(|(name, _)| *name == size).copied()?;
    let plain = family.get(1..).is_some_and(|generation| {
        GENERATIONS.contains(&generation)
            || matches!(generation, "4" | "6a" | "6g" | "7g" | "7i" | "7a")
    });
    let gib = match (plain, family.chars().next()?) {
        (true, 'c') => 2,
        (true, 'm') => 4,
        (true, 'r') => 8,
        _ => return None,
    };
    Some((vcpus, vcpus * gib))
}

/// What the work of these instances is short of.
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

/// The types that have room for what was used, with a fifth to spare: in each family and generation the smallest.
#[must_use]
pub fn candidates(used: &Utilisation) -> Vec<String> {
    let Some((vcpus, gib)) = capacity(&used.instance_type) else {
        return Vec::new();
    };
    let (Some(cpu), Some(memory)) = (used.cpu_percent, used.memory_percent) else {
        return Vec::new();
    };
    let needed = |have: u64, percent: u64| (have * percent).div_ceil(FILL_PERCENT).max(1);
    let (vcpus, gib) = (needed(vcpus, cpu), needed(gib, memory));
    let mut found = Vec::new();
    for generation in GENERATIONS {
        for family in ["c", "m", "r"] {
            let fits = SIZES.iter().find_map(|(size, _)| {
                let name = format!("{family}{generation}.{size}");
                let (has_vcpus, has_gib) = capacity(&name)?;
                (has_vcpus >= vcpus && has_gib >= gib).then_some(name)
            });
            found.extend(fits);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(name: &str, cpu: u64, memory: u64) -> Utilisation {
        Utilisation {
            instance_type: name.to_owned(),
            region: "us-east-1".parse().unwrap(),
            cpu_percent: Some(cpu),
            memory_percent: Some(memory),
        }
    }

    #[test]
    fn the_matrix_tells_what_work_is_short_of() {
        for (cpu, memory, expected) in [
            (90, 20, Bound::Cpu),
            (20, 90, Bound::Memory),
            (80, 80, Bound::Both),
            (10, 10, Bound::Neither),
        ] {
            assert_eq!(bound(&used("m5.xlarge", cpu, memory)), Some(expected));
        }
    }

    #[test]
    fn the_smallest_of_each_family_with_room_for_what_was_used_would_have_done() {
        // 16 vCPUs at 20 % are 4 with room, 32 GiB at 10 % are 4.
        let fits = candidates(&used("c5.4xlarge", 20, 10));
        assert_eq!(
            fits,
            [
                "c5.xlarge",
                "m5.xlarge",
                "r5.xlarge",
                "c6i.xlarge",
                "m6i.xlarge",
                "r6i.xlarge"
            ]
        );
        // 16 GiB at 90 % of an m5.xlarge need 18: more than twice the vCPUs of C, the same of R.
        let fits = candidates(&used("m5.xlarge", 30, 90));
        assert_eq!(fits[..3], ["c5.4xlarge", "m5.2xlarge", "r5.xlarge"]);
        assert!(candidates(&used("g4dn.xlarge", 20, 10)).is_empty());
    }
}
