//! The families that share a vCPU quota, and the quotas of Service Quotas.
//!
//! Source: "Amazon EC2 On-Demand Instance quotas" and "Spot Instance quotas", Amazon EC2 User Guide; codes and names as
//! `aws service-quotas list-service-quotas --service-code ec2` shows them.

use serde::Serialize;

use crate::ids::Market;

/// Families that share a quota. Spot requests of P5 and later have one of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Families {
    /// A, C, D, H, I, M, R, T and Z.
    Standard,
    /// G and VT.
    G,
    /// P2, P3 and P4.
    P,
    /// P5 and later.
    P5,
    /// Inf.
    Inf,
    /// Trn.
    Trn,
    /// DL.
    Dl,
    /// F.
    F,
    /// HPC.
    Hpc,
    /// U.
    HighMemory,
    /// X.
    X,
}

/// A quota of Service Quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its code.
    pub code: &'static str,
    /// Its name.
    pub name: &'static str,
}

const fn quota(code: &'static str, name: &'static str) -> Quota {
    Quota { code, name }
}

const P_ON_DEMAND: Quota = quota("L-417A185B", "Running On-Demand P instances");

/// The quotas of families: on demand, and as spot where there is one.
const QUOTAS: [(Families, Quota, Option<Quota>); 11] = [
    (
        Families::Standard,
        quota(
            "L-1216C47A",
            "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        ),
        Some(quota(
            "L-34B43A08",
            "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
        )),
    ),
    (
        Families::G,
        quota("L-DB2E81BA", "Running On-Demand G and VT instances"),
        Some(quota("L-3819A6DF", "All G and VT Spot Instance Requests")),
    ),
    (
        Families::P,
        P_ON_DEMAND,
        Some(quota(
            "L-7212CCBC",
            "All P4, P3 and P2 Spot Instance Requests",
        )),
    ),
    (
        Families::P5,
        P_ON_DEMAND,
        Some(quota("L-C4BD4855", "All P5 Spot Instance Requests")),
    ),
    (
        Families::Inf,
        quota("L-1945791B", "Running On-Demand Inf instances"),
        Some(quota("L-B5D1601B", "All Inf Spot Instance Requests")),
    ),
    (
        Families::Trn,
        quota("L-2C3B7624", "Running On-Demand Trn instances"),
        Some(quota("L-6B0D517C", "All Trn Spot Instance Requests")),
    ),
    (
        Families::Dl,
        quota("L-6E869C2A", "Running On-Demand DL instances"),
        Some(quota("L-85EED4F7", "All DL Spot Instance Requests")),
    ),
    (
        Families::F,
        quota("L-74FC7D96", "Running On-Demand F instances"),
        Some(quota("L-88CF9481", "All F Spot Instance Requests")),
    ),
    (
        Families::Hpc,
        quota("L-F7808C92", "Running On-Demand HPC instances"),
        None,
    ),
    (
        Families::HighMemory,
        quota("L-43DA4232", "Running On-Demand High Memory instances"),
        None,
    ),
    (
        Families::X,
        quota("L-7295265B", "Running On-Demand X instances"),
        Some(quota("L-E3A00192", "All X Spot Instance Requests")),
    ),
];

impl Families {
    /// The families of an instance type; `None` for one whose quota is not known here.
    #[must_use]
    pub fn of(instance_type: &str) -> Option<Self> {
        let family = instance_type.split('.').next().unwrap_or_default();
        let digit = family.find(|c: char| c.is_ascii_digit());
        let (letters, rest) = family.split_at(digit.unwrap_or(family.len()));
        Some(match letters {
            "a" | "c" | "d" | "h" | "i" | "im" | "is" | "m" | "r" | "t" | "z" => Self::Standard,
            "g" | "gr" | "vt" => Self::G,
            "p" if matches!(rest.as_bytes().first(), Some(b'2'..=b'4')) => Self::P,
            "p" => Self::P5,
            "inf" => Self::Inf,
            "trn" => Self::Trn,
            "dl" => Self::Dl,
            "f" => Self::F,
            "hpc" => Self::Hpc,
            "u" | "u-" => Self::HighMemory,
            "x" => Self::X,
            _ => return None,
        })
    }

    /// The quota that their instances of a market draw on.
    #[must_use]
    pub fn quota(self, market: Market) -> Option<Quota> {
        let (_, on_demand, spot) = QUOTAS.iter().find(|(families, ..)| *families == self)?;
        match market {
            Market::OnDemand => Some(*on_demand),
            Market::Spot => *spot,
        }
    }
}

/// The quota that an instance of a type and market draws on, if it is known.
#[must_use]
pub fn quota_of(instance_type: &str, market: Market) -> Option<Quota> {
    Families::of(instance_type)?.quota(market)
}

/// The quota of this code.
#[must_use]
pub(crate) fn quota_of_code(code: &str) -> Option<Quota> {
    QUOTAS
        .iter()
        .flat_map(|(_, on_demand, spot)| std::iter::once(*on_demand).chain(*spot))
        .find(|quota| quota.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_draws_on_the_quota_of_its_families_and_market() {
        for (name, on_demand, spot) in [
            ("c5.large", "L-1216C47A", Some("L-34B43A08")),
            ("im4gn.large", "L-1216C47A", Some("L-34B43A08")),
            ("t3.micro", "L-1216C47A", Some("L-34B43A08")),
            ("g4dn.xlarge", "L-DB2E81BA", Some("L-3819A6DF")),
            ("vt1.3xlarge", "L-DB2E81BA", Some("L-3819A6DF")),
            ("p3.2xlarge", "L-417A185B", Some("L-7212CCBC")),
            ("p4d.24xlarge", "L-417A185B", Some("L-7212CCBC")),
            ("p5.48xlarge", "L-417A185B", Some("L-C4BD4855")),
            ("inf2.xlarge", "L-1945791B", Some("L-B5D1601B")),
            ("trn1.2xlarge", "L-2C3B7624", Some("L-6B0D517C")),
            ("dl1.24xlarge", "L-6E869C2A", Some("L-85EED4F7")),
            ("f1.2xlarge", "L-74FC7D96", Some("L-88CF9481")),
            ("hpc6a.48xlarge", "L-F7808C92", None),
            ("u-6tb1.56xlarge", "L-43DA4232", None),
            ("u7i-12tb.224xlarge", "L-43DA4232", None),
            ("x2idn.16xlarge", "L-7295265B", Some("L-E3A00192")),
        ] {
            let code = |market| quota_of(name, market).map(|quota| quota.code);
            assert_eq!(code(Market::OnDemand), Some(on_demand), "{name}");
            assert_eq!(code(Market::Spot), spot, "{name}");
        }
        assert_eq!(quota_of("mac1.metal", Market::OnDemand), None);
    }
}
