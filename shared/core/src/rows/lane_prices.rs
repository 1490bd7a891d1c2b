//! What a lane's instances cost, as it was known when the sweep was planned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::Market;
use crate::money::MicroDollars;

/// The prices of a lane. Written by plan-sweep; launching reserves by them without asking anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePrices {
    /// Hours of instance types.
    pub types: BTreeMap<String, TypePrices>,
    /// A month of a GiB of the root volume.
    pub gib_month: Option<MicroDollars>,
    /// An hour of a public IPv4 address.
    pub public_ipv4_hour: Option<MicroDollars>,
    /// The size of the root volume in GiB, by shape.
    pub gib: Vec<Option<u32>>,
    /// What one instance of a shape is committed with when it is launched, by shape: the most that it can cost to the end of
    /// the longest ttl, volume and address included. `None` when a price or the ttl is missing.
    pub commitments: Vec<Option<MicroDollars>>,
}

/// What an hour of a type costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypePrices {
    /// On demand.
    pub on_demand: Option<MicroDollars>,
    /// As spot, whatever the zone.
    pub spot: Option<MicroDollars>,
    /// As spot, by availability zone.
    pub spot_in: BTreeMap<String, MicroDollars>,
}

impl TypePrices {
    /// The price of an hour in a zone, if it is known.
    #[must_use]
    pub fn hour(&self, market: Market, zone: &str) -> Option<MicroDollars> {
        match market {
            Market::OnDemand => self.on_demand,
            Market::Spot => self.spot_in.get(zone).copied().or(self.spot),
        }
    }
}

impl LanePrices {
    /// What one instance of a shape is committed with.
    #[must_use]
    pub fn commitment(&self, shape: u32) -> Option<MicroDollars> {
        let index = usize::try_from(shape).ok()?;
        self.commitments.get(index).copied().flatten()
    }
}
