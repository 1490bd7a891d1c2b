//! An account in a region: nothing is shared between two places.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::catalogue::{Network, Region, region};

/// An account in a region.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: &'static Region,
}

impl Place {
    /// None for a region that does not exist.
    pub(crate) fn new(account: &str, region_name: &str) -> Option<Self> {
        Some(Self {
            account: account.to_owned(),
            region: region(region_name)?,
        })
    }

    pub(crate) fn network(&self) -> Network {
        Network::of(&self.account, self.region.name)
    }

    /// The ARN of an EC2 resource here, `kind` being `instance`, `volume`, ...
    pub(crate) fn arn(&self, kind: &str, id: &str) -> String {
        format!(
            "arn:aws:ec2:{}:{}:{kind}/{id}",
            self.region.name, self.account
        )
    }

    fn key(&self) -> (&str, &str) {
        (&self.account, self.region.name)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
