//! What EC2 offers: regions, zones, instance types, prices, images and the default network.
//!
//! All of it is fixed and the same for every run, so tests may name it.

mod images;
mod network;
mod prices;
mod regions;
mod types;

pub(crate) use images::{Image, image, images};
pub(crate) use network::Network;
pub(crate) use prices::{on_demand_microusd, spot_microusd, usd};
pub(crate) use regions::{Region, Zone, region, regions};
pub(crate) use types::{
    Architecture, InstanceType, QuotaClass, instance_type, instance_types, is_offered,
};

/// The account of every access key that is not itself an account id.
pub(crate) const HOME_ACCOUNT: &str = "000000000000";
