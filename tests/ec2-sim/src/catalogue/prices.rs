//! Prices in micro-dollars an hour.
//!
//! Spot prices are made: a fixed share of the on-demand price, a little more in each further zone, so that pools of one
//! region differ and have an order ("Spot Instance pricing history", EC2 user guide, shows prices by type and zone).

use super::{InstanceType, Region};

/// Spot in per cent mille of on-demand: 0.68 USD of a c5.4xlarge become 0.20.
const SPOT_SHARE: u64 = 29_412;

/// On-demand price of a type in a region.
pub(crate) fn on_demand_microusd(one: &InstanceType, region: &Region) -> u64 {
    one.microusd_per_hour * region.price_percent / 100
}

/// Spot price of a type in a zone.
pub(crate) fn spot_microusd(one: &InstanceType, region: &Region, zone: &str) -> u64 {
    let position = region
        .zones
        .iter()
        .position(|other| other.name == zone)
        .unwrap_or(0);
    let zone_percent = 100 + u64::try_from(position).unwrap_or(0);
    let microusd = on_demand_microusd(one, region) * SPOT_SHARE / 100_000 * zone_percent / 100;
    // AWS shows spot prices with four significant decimals.
    (microusd + 50) / 100 * 100
}

/// `0.200000`, as DescribeSpotPriceHistory writes a price.
pub(crate) fn usd(microusd: u64) -> String {
    format!("{}.{:06}", microusd / 1_000_000, microusd % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::super::{instance_type, region};
    use super::{spot_microusd, usd};

    #[test]
    fn a_c5_4xlarge_costs_what_the_operations_guide_says() {
        let c5 = instance_type("c5.4xlarge").unwrap();
        let prices = ["us-east-1", "us-west-2", "eu-west-1"].map(|name| {
            usd(spot_microusd(
                c5,
                region(name).unwrap(),
                &format!("{name}a"),
            ))
        });
        assert_eq!(prices, ["0.200000", "0.220000", "0.240000"]);
    }
}
