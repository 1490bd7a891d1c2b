//! Pools of EC2 capacity, and which of them are known to be empty.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, Place};
use crate::ids::Market;
use crate::ledger::{Key, Stored};
use crate::region::Region;

/// Where in a region instances of a pool are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// Wherever EC2 chooses.
    Any,
    /// In this availability zone.
    Zone(String),
    /// In this subnet.
    Subnet(String),
}

/// A pool of capacity that a launch may draw on: a type at a location, written `c5.large@us-east-1a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool {
    /// The instance type.
    pub instance_type: String,
    /// Where.
    pub location: Location,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Zone(name) | Self::Subnet(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.instance_type, self.location)
    }
}

/// A text that is not a pool.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a pool of capacity; one is written like `c5.large@us-east-1a`")]
pub struct PoolError(String);

impl FromStr for Pool {
    type Err = PoolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (instance_type, location) = text
            .split_once('@')
            .ok_or_else(|| PoolError(text.to_owned()))?;
        let location = match location {
            "*" => Location::Any,
            subnet if subnet.starts_with("subnet-") => Location::Subnet(subnet.to_owned()),
            zone => Location::Zone(zone.to_owned()),
        };
        Ok(Self {
            instance_type: instance_type.to_owned(),
            location,
        })
    }
}

impl Serialize for Pool {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pool {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A pool that had no capacity (`POOL#us-east-1` / `c5.large#us-east-1a#spot`). Put by whichever launch-batch found it so,
/// read by all before each attempt, so that no sweep asks for what another was just refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryPoolRow {
    /// The account, unless it is the home account. Accounts see zones under names of their own, so each has its own knowledge.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Region,
    /// The pool.
    pub pool: Pool,
    /// The market.
    pub market: Market,
    /// EC2's error code.
    pub code: String,
    /// Until when it is taken to be empty, in ms since 1970.
    pub insufficient_until: u64,
    /// The same in seconds: DynamoDB deletes the row some time after it.
    pub expires_at: u64,
}

/// The partition of the pools of a place.
#[must_use]
pub fn pools_pk(place: &Place) -> String {
    format!("POOL#{place}")
}

impl Stored for DryPoolRow {
    fn key(&self) -> Key {
        let Pool {
            instance_type,
            location,
        } = &self.pool;
        let place = Place {
            account: self.account,
            region: self.region,
        };
        Key::new(
            pools_pk(&place),
            format!("{instance_type}#{location}#{}", self.market),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_reads_back_what_it_writes() {
        for text in ["c5.large@*", "c5.large@us-east-1a", "m5.large@subnet-0abc"] {
            let pool: Pool = text.parse().unwrap();
            assert_eq!(pool.to_string(), text);
            assert_eq!(serde_json::to_value(&pool).unwrap(), text);
        }
        assert!("c5.large".parse::<Pool>().is_err());
    }
}
