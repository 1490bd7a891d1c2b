//! Regions and their availability zones: all that are enabled by default, and some that an account has to enable.
//!
//! Source: "AWS Regions" and "AWS Availability Zones", AWS Regions and Availability Zones guide. Which letter an account
//! sees for a zone id differs between accounts in AWS; here the first letter is always the first id.

use std::sync::LazyLock;

/// A region.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) name: &'static str,
    pub(crate) zones: Vec<Zone>,
    /// Price of a region relative to us-east-1 in percent: coarse, but ordered as AWS's prices are.
    pub(crate) price_percent: u64,
    /// Whether accounts have to enable it ("AWS Regions", AWS Regions and Availability Zones guide).
    pub(crate) opt_in: bool,
}

/// An availability zone.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) id: String,
}

impl Region {
    /// The zone of this name.
    pub(crate) fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name)
    }
}

/// Name, prefix of zone ids, letters of the zones, price in percent of us-east-1.
const REGIONS: [(&str, &str, &str, u64); 21] = [
    ("us-east-1", "use1", "abcdef", 100),
    ("us-east-2", "use2", "abc", 100),
    ("us-west-1", "usw1", "ac", 118),
    ("us-west-2", "usw2", "abcd", 110),
    ("ca-central-1", "cac1", "abd", 111),
    ("eu-west-1", "euw1", "abc", 120),
    ("eu-west-2", "euw2", "abc", 122),
    ("eu-west-3", "euw3", "abc", 123),
    ("eu-central-1", "euc1", "abc", 124),
    ("eu-north-1", "eun1", "abc", 107),
    ("ap-northeast-1", "apne1", "acd", 130),
    ("ap-northeast-2", "apne2", "abcd", 121),
    ("ap-northeast-3", "apne3", "abc", 131),
    ("ap-southeast-1", "apse1", "abc", 125),
    ("ap-southeast-2", "apse2", "abc", 126),
    ("ap-south-1", "aps1", "abc", 105),
    ("sa-east-1", "sae1", "abc", 153),
    ("af-south-1", "afs1", "abc", 132),
    ("ap-east-1", "ape1", "abc", 136),
    ("eu-south-1", "eus1", "abc", 118),
    ("me-south-1", "mes1", "abc", 124),
];

/// Those of them that accounts have to enable.
const OPT_IN: [&str; 4] = ["af-south-1", "ap-east-1", "eu-south-1", "me-south-1"];

static ALL: LazyLock<Vec<Region>> = LazyLock::new(|| {
    REGIONS
        .iter()
        .map(|&(name, prefix, letters, price_percent)| Region {
            name,
            price_percent,
            opt_in: OPT_IN.contains(&name),
            zones: letters
                .chars()
                .enumerate()
                .map(|(at, letter)| Zone {
                    name: format!("{name}{letter}"),
                    id: format!("{prefix}-az{}", at + 1),
                })
                .collect(),
        })
        .collect()
});

/// All regions.
pub(crate) fn regions() -> &'static [Region] {
    &ALL
}

/// The region of this name.
pub(crate) fn region(name: &str) -> Option<&'static Region> {
    ALL.iter().find(|region| region.name == name)
}
