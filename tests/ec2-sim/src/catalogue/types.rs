//! Instance types with their published figures, read from `types.tsv`.
//!
//! Source: "Amazon EC2 instance types" guide and the fields of API DescribeInstanceTypes.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Region, Zone};

/// Processor architecture, as images and types name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    X86_64,
    Arm64,
}

impl Architecture {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The families that share a vCPU quota ("Amazon EC2 On-Demand Instance quotas", EC2 user guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QuotaClass {
    Standard,
    G,
    P,
    Inf,
    Trn,
    Dl,
    F,
    Hpc,
    HighMemory,
    X,
}

impl QuotaClass {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Standard,
        Self::G,
        Self::P,
        Self::Inf,
        Self::Trn,
        Self::Dl,
        Self::F,
        Self::Hpc,
        Self::HighMemory,
        Self::X,
    ];

    /// The name that the control API uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::G => "g",
            Self::P => "p",
            Self::Inf => "inf",
            Self::Trn => "trn",
            Self::Dl => "dl",
            Self::F => "f",
            Self::Hpc => "hpc",
            Self::HighMemory => "high-memory",
            Self::X => "x",
        }
    }
}

/// GPUs of a type.
#[derive(Debug)]
pub(crate) struct Gpus {
    pub(crate) count: u32,
    pub(crate) manufacturer: &'static str,
    pub(crate) name: String,
    pub(crate) memory_mib: u64,
}

/// One instance type.
#[derive(Debug)]
pub(crate) struct InstanceType {
    pub(crate) name: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) cores: u32,
    pub(crate) memory_mib: u64,
    pub(crate) architecture: Architecture,
    pub(crate) manufacturer: &'static str,
    pub(crate) clock_ghz: Option<&'static str>,
    /// None for bare metal.
    pub(crate) hypervisor: Option<&'static str>,
    pub(crate) hibernation: bool,
    pub(crate) burstable: bool,
    pub(crate) current_generation: bool,
    pub(crate) spot: bool,
    pub(crate) gpus: Option<Gpus>,
    pub(crate) storage_gb: u64,
    pub(crate) network_performance: String,
    pub(crate) network_interfaces_max: u32,
    pub(crate) addresses_per_interface: u32,
    /// Linux on demand in us-east-1.
    pub(crate) microusd_per_hour: u64,
}

impl InstanceType {
    /// `c5` of `c5.4xlarge`.
    pub(crate) fn family(&self) -> &'static str {
        self.name
            .split_once('.')
            .map_or(self.name, |(family, _)| family)
    }

    /// Whether it can have an Elastic Fabric Adapter ("Supported instance types", Elastic Fabric Adapter, EC2 user guide).
    pub(crate) fn supports_efa(&self) -> bool {
        EFA_TYPES.contains(&self.name) || self.family().starts_with("hpc")
    }

    pub(crate) fn is_bare_metal(&self) -> bool {
        self.hypervisor.is_none()
    }

    /// The quota that a running instance of this type draws on.
    pub(crate) fn quota_class(&self) -> QuotaClass {
        let family = self.family();
        let letters = family
            .split(|c: char| c.is_ascii_digit())
            .next()
            .unwrap_or_default();
        match letters {
            "g" | "vt" | "gr" => QuotaClass::G,
            "p" => QuotaClass::P,
            "inf" => QuotaClass::Inf,
            "trn" => QuotaClass::Trn,
            "dl" => QuotaClass::Dl,
            "f" => QuotaClass::F,
            "hpc" => QuotaClass::Hpc,
            "x" => QuotaClass::X,
            "u-" | "u" => QuotaClass::HighMemory,
            _ => QuotaClass::Standard,
        }
    }

    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let name = next()?;
        let vcpus = next()?.parse().ok()?;
        let cores = next()?.parse().ok()?;
        let memory_mib = next()?.parse().ok()?;
        let architecture = match next()? {
            "arm64" => Architecture::Arm64,
            _ => Architecture::X86_64,
        };
        let manufacturer = next()?;
        let clock_ghz = Some(next()?).filter(|text| *text != "-");
        let hypervisor = Some(next()?).filter(|text| *text != "-");
        let flags = next()?;
        let gpus = parse_gpus(next()?);
        let storage_gb = next()?.parse().ok()?;
        let network_performance = next()?.replace('_', " ");
        let network_interfaces_max = next()?.parse().ok()?;
        let addresses_per_interface = next()?.parse().ok()?;
        let microusd_per_hour = microusd(next()?)?;
        Some(Self {
            name,
            vcpus,
            cores,
            memory_mib,
            architecture,
            manufacturer,
            clock_ghz,
            hypervisor,
            hibernation: flags.contains('h'),
            burstable: flags.contains('t'),
            current_generation: flags.contains('c'),
            spot: flags.contains('s'),
            gpus,
            storage_gb,
            network_performance,
            network_interfaces_max,
            addresses_per_interface,
            microusd_per_hour,
        })
    }
}

/// `4xNVIDIA:T4:16384`.
fn parse_gpus(text: &'static str) -> Option<Gpus> {
    let (count, rest) = text.split_once('x')?;
    let mut parts = rest.split(':');
    Some(Gpus {
        count: count.parse().ok()?,
        manufacturer: parts.next()?,
        name: parts.next()?.replace('_', " "),
        memory_mib: parts.next()?.parse().ok()?,
    })
}

/// Dollars with up to six decimals to micro-dollars.
fn microusd(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded = format!("{fraction:0<6}");
    Some(whole.parse::<u64>().ok()? * 1_000_000 + padded.get(..6)?.parse::<u64>().ok()?)
}

static ALL: LazyLock<Vec<InstanceType>> = LazyLock::new(|| {
    include_str!("types.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(InstanceType::parse)
        .collect()
});

static BY_NAME: LazyLock<HashMap<&'static str, &'static InstanceType>> =
    LazyLock::new(|| ALL.iter().map(|one| (one.name, one)).collect());

/// All types, by family and size.
pub(crate) fn instance_types() -> &'static [InstanceType] {
    &ALL
}

/// The type of this name.
pub(crate) fn instance_type(name: &str) -> Option<&'static InstanceType> {
    BY_NAME.get(name).copied()
}

/// Types with an Elastic Fabric Adapter, beside the HPC families: the largest of their families.
const EFA_TYPES: [&str; 36] = [
    "c5n.9xlarge",
    "c5n.18xlarge",
    "c5n.metal",
    "c6gn.16xlarge",
    "c6i.32xlarge",
    "c6i.metal",
    "c6in.32xlarge",
    "c6in.metal",
    "c7g.16xlarge",
    "c7g.metal",
    "dl1.24xlarge",
    "g4dn.8xlarge",
    "g4dn.12xlarge",
    "g4dn.16xlarge",
    "g4dn.metal",
    "g5.8xlarge",
    "g5.12xlarge",
    "g5.16xlarge",
    "g5.24xlarge",
    "g5.48xlarge",
    "i3en.12xlarge",
    "i3en.24xlarge",
    "i3en.metal",
    "i4i.32xlarge",
    "i4i.metal",
    "inf1.24xlarge",
    "m5n.24xlarge",
    "m6i.32xlarge",
    "m6i.metal",
    "p3dn.24xlarge",
    "p4d.24xlarge",
    "p5.48xlarge",
    "r5n.24xlarge",
    "r6i.32xlarge",
    "trn1.32xlarge",
    "x2idn.32xlarge",
];

/// Families that only large regions have.
const SCARCE: [&str; 7] = ["p3", "p3dn", "p4d", "p5", "dl1", "trn1", "hpc6a"];
const SCARCE_REGIONS: [&str; 4] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1"];

/// Whether a zone offers a type (API DescribeInstanceTypeOfferings). The fifth zone of us-east-1 has no Nitro types, which
/// is the well-known trap of a launch that names a zone; scarce accelerators are in large regions only, in two zones.
pub(crate) fn is_offered(one: &InstanceType, region: &Region, zone: &Zone) -> bool {
    if SCARCE.contains(&one.family()) {
        let first_zones = region
            .zones
            .iter()
            .take(2)
            .any(|other| other.name == zone.name);
        return SCARCE_REGIONS.contains(&region.name) && first_zones;
    }
    zone.name != "us-east-1e" || one.hypervisor == Some("xen")
}

#[cfg(test)]
mod tests {
    use super::super::region;
    use super::{Architecture, QuotaClass, instance_type, instance_types, is_offered};

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("types.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        assert_eq!(instance_types().len(), lines);
        assert!(lines >= 60);
    }

    #[test]
    fn published_figures_are_right() {
        let c5 = instance_type("c5.4xlarge").unwrap();
        assert_eq!(
            (
                c5.vcpus,
                c5.memory_mib,
                c5.hibernation,
                c5.microusd_per_hour
            ),
            (16, 32_768, true, 680_000)
        );
        let g4 = instance_type("g4dn.xlarge").unwrap();
        assert_eq!(
            g4.gpus
                .as_ref()
                .map(|gpus| (gpus.count, gpus.name.as_str())),
            Some((1, "T4"))
        );
        assert_eq!(g4.quota_class(), QuotaClass::G);
        assert_eq!(
            instance_type("m6g.medium").unwrap().architecture,
            Architecture::Arm64
        );
        assert!(instance_type("c5.metal").unwrap().is_bare_metal());
        assert_eq!(
            instance_type("x2idn.16xlarge").unwrap().quota_class(),
            QuotaClass::X
        );
        assert_eq!(
            instance_type("inf1.xlarge").unwrap().quota_class(),
            QuotaClass::Inf
        );
    }

    #[test]
    fn the_types_of_the_operations_guide_are_there() {
        for name in [
            "c5.2xlarge",
            "c5n.18xlarge",
            "g4dn.xlarge",
            "i3.4xlarge",
            "p3.2xlarge",
            "r5.2xlarge",
            "t3.micro",
        ] {
            assert!(instance_type(name).is_some(), "{name}");
        }
    }

    #[test]
    fn us_east_1e_has_no_nitro_types() {
        let region = region("us-east-1").unwrap();
        let zone = region.zone("us-east-1e").unwrap();
        assert!(!is_offered(
            instance_type("t3.micro").unwrap(),
            region,
            zone
        ));
        assert!(is_offered(instance_type("t2.micro").unwrap(), region, zone));
    }
}
