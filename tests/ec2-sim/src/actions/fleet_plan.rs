//! Which pools a fleet takes its instances from, and how many of each.
//!
//! Source: "Use allocation strategies to determine how EC2 Fleet or Spot Fleet fulfills Spot and On-Demand capacity", EC2
//! user guide.

use std::sync::Arc;

use crate::catalogue::{on_demand_microusd, spot_microusd};
use crate::limits::MarketKind;
use crate::model::LaunchSpec;
use crate::wire::{Ec2Error, Params};

use super::Call;
use super::fleet_request::{Candidate, FleetRequest, MarketRequest, Strategy};
use super::launch::{check_price, no_capacity, zones};
use super::launch_request::resolve;

/// A capacity pool that a candidate may launch into.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) candidate: usize,
    pub(super) spec: Arc<LaunchSpec>,
    pub(super) zone: String,
    pub(super) microusd: u64,
}

/// Instances to launch from a pool.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) pool: Pool,
    pub(super) count: u32,
}

/// Why a candidate gave less than asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) candidate: usize,
    pub(super) zone: Option<String>,
    pub(super) market: MarketKind,
    pub(super) error: Ec2Error,
}

/// The pools of a candidate: one for each zone that its overrides allow.
pub(super) fn pools_of(
    call: &Call<'_>,
    request: &FleetRequest,
    one: &Candidate,
    candidate: usize,
    market: MarketKind,
) -> Result<Vec<Pool>, Ec2Error> {
    let mut params = Params::default();
    for name in ["ImageId", "InstanceType", "KeyName"] {
        if let Some(text) = one.overrides.text(name) {
            params.insert(name, text);
        }
    }
    if let Some(subnet_id) = one.overrides.text("SubnetId") {
        // A template that describes its network interface takes the subnet there.
        let has_interface = one.template.data.get("NetworkInterface").is_some();
        params.insert(
            if has_interface {
                "NetworkInterface.1.SubnetId"
            } else {
                "SubnetId"
            },
            subnet_id,
        );
        for item in one
            .template
            .data
            .list("NetworkInterface")
            .into_iter()
            .take(1)
        {
            for (position, group) in item.texts("SecurityGroupId").iter().enumerate() {
                params.insert(
                    &format!("NetworkInterface.1.SecurityGroupId.{}", position + 1),
                    group,
                );
            }
            if let Some(flag) = item.text("AssociatePublicIpAddress") {
                params.insert("NetworkInterface.1.AssociatePublicIpAddress", flag);
            }
        }
    }
    let zone = one
        .overrides
        .text("AvailabilityZone")
        .or(one.overrides.text("Placement.AvailabilityZone"));
    if let Some(zone) = zone {
        params.insert("Placement.AvailabilityZone", zone);
    }
    if market == MarketKind::Spot {
        params.insert("InstanceMarketOptions.MarketType", "spot");
        if let Some(price) = one.overrides.text("MaxPrice") {
            params.insert("InstanceMarketOptions.SpotOptions.MaxPrice", price);
        }
    }
    for (position, (key, value)) in request.tags.of("instance").iter().enumerate() {
        let tag = format!("TagSpecification.1.Tag.{}", position + 1);
        params.insert("TagSpecification.1.ResourceType", "instance");
        params.insert(&format!("{tag}.Key"), key);
        params.insert(&format!("{tag}.Value"), value);
    }
    let spec = Arc::new(resolve(
        call.world,
        &call.place,
        &params,
        Some(&one.template),
    )?);
    let region = call.place.region;
    Ok(zones(&call.place, &spec)?
        .into_iter()
        .map(|zone| Pool {
            candidate,
            microusd: match market {
                MarketKind::OnDemand => on_demand_microusd(spec.instance_type, region),
                MarketKind::Spot => spot_microusd(spec.instance_type, region, &zone),
            },
            spec: Arc::clone(&spec),
            zone,
        })
        .collect())
}

/// Brings pools into the order of the strategy; equals keep the order of the request. Prices are compared per unit.
pub(super) fn sort(
    call: &mut Call<'_>,
    request: &FleetRequest,
    strategy: Strategy,
    pools: &mut [Pool],
) {
    let weight = |pool: &Pool| {
        request
            .candidates
            .get(pool.candidate)
            .map_or(1.0, |one| one.weight)
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "prices are far below 2^53 micro-dollars"
    )]
    let unit_price = |pool: &Pool| pool.microusd as f64 / weight(pool);
    match strategy {
        Strategy::LowestPrice | Strategy::PriceCapacityOptimized | Strategy::Diversified => {
            pools.sort_by(|one, other| unit_price(one).total_cmp(&unit_price(other)));
        }
        Strategy::Prioritized => {
            let priority = |pool: &Pool| {
                request
                    .candidates
                    .get(pool.candidate)
                    .map_or(f64::MAX, |one| one.priority)
            };
            pools.sort_by(|one, other| priority(one).total_cmp(&priority(other)));
        }
        Strategy::CapacityOptimized => {
            pools.sort_by(|one, other| unit_price(one).total_cmp(&unit_price(other)));
            pools.sort_by_cached_key(|pool| {
                std::cmp::Reverse(call.pool_gives(&pool.spec, &pool.zone, u32::MAX))
            });
        }
    }
}

/// How many to take from each pool of a group, and the units of capacity that makes.
pub(super) fn plan(
    call: &mut Call<'_>,
    request: &FleetRequest,
    market: &MarketRequest,
    pools: Vec<Pool>,
    failures: &mut Vec<Failure>,
) -> (f64, Vec<Share>) {
    let mut shares: Vec<Share> = Vec::new();
    let mut units = 0.0;
    let mut rest = pools.len();
    for pool in pools {
        let missing = f64::from(market.target) - units;
        if missing <= 0.0 {
            break;
        }
        let weight = request
            .candidates
            .get(pool.candidate)
            .map_or(1.0, |one| one.weight);
        // Diversified: an even part of what is missing from each pool that is left.
        #[expect(clippy::cast_precision_loss, reason = "a request has few pools")]
        let part = if market.strategy == Strategy::Diversified {
            missing / rest as f64
        } else {
            missing
        };
        rest -= 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the target of a fleet"
        )]
        let wanted = (part / weight).ceil() as u32;
        let mut fail = |error| {
            let failure = Failure {
                candidate: pool.candidate,
                zone: Some(pool.zone.clone()),
                market: market.market,
                error,
            };
            if !failures.contains(&failure) {
                failures.push(failure);
            }
        };
        if let Err(error) = check_price(&call.place, &pool.spec, &pool.zone) {
            fail(error);
            continue;
        }
        let count = call.pool_gives(&pool.spec, &pool.zone, wanted);
        if count < wanted {
            fail(no_capacity(&call.place, &pool.spec, &pool.zone));
        }
        let class = pool.spec.instance_type.quota_class();
        let planned: u64 = shares
            .iter()
            .filter(|share| share.pool.spec.instance_type.quota_class() == class)
            .map(|share| u64::from(share.count) * u64::from(share.pool.spec.instance_type.vcpus))
            .sum();
        if let Err(error) = call
            .world
            .check_quota_beside(&call.place, &pool.spec, count, planned)
        {
            fail(error);
            continue;
        }
        if count > 0 {
            units += f64::from(count) * weight;
            shares.push(Share { pool, count });
        }
    }
    (units, shares)
}
