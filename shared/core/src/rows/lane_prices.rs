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
    /// As spot, whatever the zone: the operator's own price, which comes first and does not follow the market.
    pub spot: Option<MicroDollars>,
    /// As spot, by availability zone.
    pub spot_in: BTreeMap<String, MicroDollars>,
}

impl TypePrices {
    /// Whether the price of an hour stays what it is, whatever EC2 says later.
    #[must_use]
    pub fn is_fixed(&self, market: Market) -> bool {
        market == Market::Spot && self.spot.is_some()
    }

    /// The price of an hour in a zone, if it is known.
    #[must_use]
    pub fn hour(&self, market: Market, zone: &str) -> Option<MicroDollars> {
        match market {
            Market::OnDemand => self.on_demand,
            Market::Spot => self.spot.or_else(|| self.spot_in.get(zone).copied()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_spot_price_comes_before_that_of_the_zone() {
        let zone = "us-east-1a";
        let of_zone = TypePrices {
            spot_in: BTreeMap::from([(zone.to_owned(), MicroDollars(200_000))]),
            ..TypePrices::default()
        };
        let own = TypePrices {
            spot: Some(MicroDollars(50_000)),
            ..of_zone.clone()
        };
        for (prices, hour, is_fixed) in [(&of_zone, 200_000, false), (&own, 50_000, true)] {
            let known = prices.hour(Market::Spot, zone);
            assert_eq!(known, Some(MicroDollars(hour)));
            assert_eq!(prices.is_fixed(Market::Spot), is_fixed);
            assert!(!prices.is_fixed(Market::OnDemand));
        }
    }
}
