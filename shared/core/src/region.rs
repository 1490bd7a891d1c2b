//! The commercial AWS regions. A region is checked where it is read, so that a misspelt one can never reach EC2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::document::suggest::nearest;

/// What is known of one region.
struct Facts {
    name: &'static str,
    geography: Geography,
    /// Disabled in an account until somebody enables it.
    opt_in: bool,
}

const fn region(name: &'static str, geography: Geography) -> Facts {
    Facts {
        name,
        geography,
        opt_in: false,
    }
}

const fn opt_in(name: &'static str, geography: Geography) -> Facts {
    Facts {
        name,
        geography,
        opt_in: true,
    }
}

/// Every region of the `aws` partition, in the order of their names. China and GovCloud are partitions of their own,
/// with other accounts and other endpoints.
const REGIONS: [Facts; 34] = [
    opt_in("af-south-1", Geography::Africa),
    opt_in("ap-east-1", Geography::AsiaPacific),
    opt_in("ap-east-2", Geography::AsiaPacific),
    region("ap-northeast-1", Geography::AsiaPacific),
    region("ap-northeast-2", Geography::AsiaPacific),
    region("ap-northeast-3", Geography::AsiaPacific),
    region("ap-south-1", Geography::AsiaPacific),
    opt_in("ap-south-2", Geography::AsiaPacific),
    region("ap-southeast-1", Geography::AsiaPacific),
    region("ap-southeast-2", Geography::AsiaPacific),
    opt_in("ap-southeast-3", Geography::AsiaPacific),
    opt_in("ap-southeast-4", Geography::AsiaPacific),
    opt_in("ap-southeast-5", Geography::AsiaPacific),
    opt_in("ap-southeast-6", Geography::AsiaPacific),
    opt_in("ap-southeast-7", Geography::AsiaPacific),
    region("ca-central-1", Geography::NorthAmerica),
    opt_in("ca-west-1", Geography::NorthAmerica),
    region("eu-central-1", Geography::Europe),
    opt_in("eu-central-2", Geography::Europe),
    region("eu-north-1", Geography::Europe),
    opt_in("eu-south-1", Geography::Europe),
    opt_in("eu-south-2", Geography::Europe),
    region("eu-west-1", Geography::Europe),
    region("eu-west-2", Geography::Europe),
    region("eu-west-3", Geography::Europe),
    opt_in("il-central-1", Geography::MiddleEast),
    opt_in("me-central-1", Geography::MiddleEast),
    opt_in("me-south-1", Geography::MiddleEast),
    opt_in("mx-central-1", Geography::NorthAmerica),
    region("sa-east-1", Geography::SouthAmerica),
    region("us-east-1", Geography::NorthAmerica),
    region("us-east-2", Geography::NorthAmerica),
    region("us-west-1", Geography::NorthAmerica),
    region("us-west-2", Geography::NorthAmerica),
];

/// A part of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Geography {
    /// Africa.
    Africa,
    /// Asia, Australia and New Zealand.
    AsiaPacific,
    /// Europe.
    Europe,
    /// The Middle East, Israel included.
    MiddleEast,
    /// The United States, Canada and Mexico.
    NorthAmerica,
    /// South America.
    SouthAmerica,
}

/// An AWS region that exists, such as `us-east-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(&'static str);

impl Region {
    /// Every region, in the order of their names.
    pub fn all() -> impl Iterator<Item = Self> {
        REGIONS.iter().map(|facts| Self(facts.name))
    }

    /// The region's name, as EC2 writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The partition that it belongs to (AWS General Reference, "Amazon Resource Names").
    #[must_use]
    pub fn partition(self) -> &'static str {
        if self.0.starts_with("cn-") {
            "aws-cn"
        } else if self.0.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }

    /// The part of the world that it lies in.
    #[must_use]
    pub fn geography(self) -> Geography {
        self.facts()
            .map_or(Geography::NorthAmerica, |facts| facts.geography)
    }

    /// Whether an account has to enable the region before it can be used.
    #[must_use]
    pub fn is_opt_in(self) -> bool {
        self.facts().is_some_and(|facts| facts.opt_in)
    }

    fn facts(self) -> Option<&'static Facts> {
        find(self.0)
    }
}

fn find(name: &str) -> Option<&'static Facts> {
    REGIONS
        .binary_search_by(|facts| facts.name.cmp(name))
        .ok()
        .and_then(|at| REGIONS.get(at))
}

/// A name that is no commercial AWS region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionError {
    /// The name as it was given.
    pub name: String,
    /// The region that was probably meant.
    pub suggestion: Option<Region>,
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not an AWS region", self.name)?;
        match self.suggestion {
            Some(region) => write!(f, " (did you mean {region}?)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RegionError {}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(name: &str) -> Result<Self, RegionError> {
        if let Some(facts) = find(name) {
            return Ok(Self(facts.name));
        }
        // An availability zone is a region and a letter, the commonest slip of all.
        let suggestion = find(name.trim_end_matches(|c: char| c.is_ascii_lowercase()))
            .map(|facts| facts.name)
            .or_else(|| nearest(name, REGIONS.iter().map(|facts| facts.name)))
            .map(Self);
        Err(RegionError {
            name: name.to_owned(),
            suggestion,
        })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_is_found_by_its_name() {
        for region in Region::all() {
            assert_eq!(region.as_str().parse(), Ok(region));
        }
        assert!(REGIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn an_unknown_region_comes_with_the_one_that_was_meant() {
        for (name, shown) in [
            (
                "us-esat-1",
                "\"us-esat-1\" is not an AWS region (did you mean us-east-1?)",
            ),
            (
                "eu-west-1a",
                "\"eu-west-1a\" is not an AWS region (did you mean eu-west-1?)",
            ),
            ("mars-north-1", "\"mars-north-1\" is not an AWS region"),
        ] {
            assert_eq!(
                name.parse::<Region>().map_err(|error| error.to_string()),
                Err(shown.to_owned())
            );
        }
    }

    #[test]
    fn opt_in_regions_are_known_as_such() {
        let is_opt_in = |name: &str| name.parse::<Region>().map(Region::is_opt_in);
        assert_eq!(is_opt_in("af-south-1"), Ok(true));
        assert_eq!(is_opt_in("us-east-1"), Ok(false));
    }

    #[test]
    fn a_region_is_a_string_in_json() {
        let region: Region = serde_json::from_str("\"sa-east-1\"").unwrap();
        assert_eq!(region.geography(), Geography::SouthAmerica);
        assert_eq!(serde_json::to_string(&region).unwrap(), "\"sa-east-1\"");
        assert!(serde_json::from_str::<Region>("\"sa-east-9\"").is_err());
    }
}
