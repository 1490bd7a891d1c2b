//! AWS accounts, and the places in which instances are: an account and a region.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::region::Region;

/// Digits of an account id.
const DIGITS: usize = 12;

/// The id of an AWS account: 12 digits, which may begin with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}", self.0)
    }
}

/// A text that is not the id of an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of an AWS account, which has 12 digits")]
pub struct AccountIdError(String);

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AccountIdError(text.to_owned());
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An account and a region: what one EC2 API endpoint shows to one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The account; `None`: the home account, the one that spawn itself is deployed in.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Region,
}

impl Place {
    /// The home account's part of a region.
    #[must_use]
    pub fn home(region: Region) -> Self {
        Self {
            account: None,
            region,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = self.account {
            write!(f, "{account}.")?;
        }
        write!(f, "{}", self.region)
    }
}

/// A text that is not the name of a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a place; a place is written like `us-east-1` or `111122223333.us-east-1`")]
pub struct PlaceError(String);

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || PlaceError(text.to_owned());
        let (account, region) = match text.split_once('.') {
            Some((account, region)) => (Some(account.parse().map_err(|_| wrong())?), region),
            None => (None, text),
        };
        let region = region.parse().map_err(|_| wrong())?;
        Ok(Self { account, region })
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
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
    fn an_account_keeps_its_zeros() {
        let account: AccountId = "000123456789".parse().unwrap();
        assert_eq!(account.to_string(), "000123456789");
        assert_eq!(serde_json::to_value(account).unwrap(), "000123456789");
        for wrong in ["", "1234", "1234567890123", "12345678901x", "+12345678901"] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_names_its_account_unless_that_is_home() {
        let region: Region = "us-east-1".parse().unwrap();
        let away = Place {
            account: "111122223333".parse().ok(),
            region,
        };
        assert_eq!(away.to_string(), "111122223333.us-east-1");
        assert_eq!(Place::home(region).to_string(), "us-east-1");
        for place in [away, Place::home(region)] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert!("us-east-1.111122223333".parse::<Place>().is_err());
    }
}
