//! What AWS asks for instances, volumes and addresses.

use std::collections::BTreeMap;
use std::future::Future;

use super::ServiceError;
use crate::cost::PriceFrom;
use crate::money::MicroDollars;
use crate::region::Region;

/// A spot price of a pool from some moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotPrice {
    /// The type.
    pub instance_type: String,
    /// The availability zone.
    pub availability_zone: String,
    /// The price and since when.
    pub price: PriceFrom,
}

/// Looks up prices. Every call may be repeated.
pub trait AskPrices: Send + Sync {
    /// What an hour of these types costs on demand (Linux, shared tenancy, nothing installed). Types without a price are left out.
    fn on_demand_hours(
        &self,
        region: &Region,
        types: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, MicroDollars>, ServiceError>> + Send;

    /// What a GiB of a gp3 volume costs for a month, if there is a price.
    fn gib_month(
        &self,
        region: &Region,
    ) -> impl Future<Output = Result<Option<MicroDollars>, ServiceError>> + Send;

    /// What a public IPv4 address costs for an hour, if there is a price.
    fn public_ipv4_hour(
        &self,
        region: &Region,
    ) -> impl Future<Output = Result<Option<MicroDollars>, ServiceError>> + Send;

    /// The spot prices of these types since `since` (ms since 1970), the one that was in force then included, in any order.
    fn spot_prices(
        &self,
        region: &Region,
        types: &[String],
        since: u64,
    ) -> impl Future<Output = Result<Vec<SpotPrice>, ServiceError>> + Send;
}
