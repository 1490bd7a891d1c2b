//! The default network that every account has in every region.
//!
//! Source: "Default VPCs", Amazon VPC user guide: 172.31.0.0/16, a /20 subnet in each zone, a security group `default`.

use super::{Region, Zone};
use crate::ids::stable_id;

/// Ids of an account's default network in a region; the same in every run.
#[derive(Debug)]
pub(crate) struct Network {
    place: String,
}

impl Network {
    pub(crate) const VPC_CIDR: &'static str = "172.31.0.0/16";

    pub(crate) fn of(account: &str, region: &str) -> Self {
        Self {
            place: format!("{account}/{region}"),
        }
    }

    pub(crate) fn vpc_id(&self) -> String {
        stable_id("vpc", &format!("{}/vpc", self.place))
    }

    pub(crate) fn default_group_id(&self) -> String {
        stable_id("sg", &format!("{}/default-group", self.place))
    }

    pub(crate) fn subnet_id(&self, zone: &str) -> String {
        stable_id("subnet", &format!("{}/{zone}", self.place))
    }

    /// The zone of a subnet, None when the subnet is unknown here.
    pub(crate) fn zone_of_subnet<'r>(
        &self,
        region: &'r Region,
        subnet_id: &str,
    ) -> Option<&'r Zone> {
        region
            .zones
            .iter()
            .find(|zone| self.subnet_id(&zone.name) == subnet_id)
    }

    /// The /20 of the zone at a position.
    pub(crate) fn subnet_cidr(position: usize) -> String {
        format!("172.31.{}.0/20", position * 16)
    }
}
