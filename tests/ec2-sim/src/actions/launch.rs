//! Launching instances of a checked specification into one capacity pool.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalogue::{is_offered, spot_microusd, usd};
use crate::faults::Pool;
use crate::limits::MarketKind;
use crate::model::{Cause, Instance, LaunchSpec, Market, Place, State, Tags};
use crate::wire::Ec2Error;
use crate::world::World;

use super::Call;

/// Under this tag the peaks of a sweep are counted.
const SWEEP_TAG: &str = "spawn:sweep-id";

/// What a group of instances has in common beside its specification.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) reservation_id: String,
    pub(crate) client_token: Option<String>,
    pub(crate) fleet_id: Option<String>,
    /// Launch index of the first.
    pub(crate) first_index: u32,
}

/// The zones that a launch may go to: the named one, or all that offer the type.
pub(crate) fn zones(place: &Place, spec: &LaunchSpec) -> Result<Vec<String>, Ec2Error> {
    let offering: Vec<String> = place
        .region
        .zones
        .iter()
        .filter(|zone| is_offered(spec.instance_type, place.region, zone))
        .map(|zone| zone.name.clone())
        .collect();
    let Some(zone) = &spec.zone else {
        if offering.is_empty() {
            return Err(Ec2Error::new(
                "Unsupported",
                "The requested configuration is currently not supported. Please check the documentation for supported configurations.",
            ));
        }
        return Ok(offering);
    };
    if offering.contains(zone) {
        return Ok(vec![zone.clone()]);
    }
    Err(Ec2Error::new(
        "Unsupported",
        format!(
            "Your requested instance type ({}) is not supported in your requested Availability Zone ({zone}). Please retry \
             your request by not specifying an Availability Zone or choosing {}.",
            spec.instance_type.name,
            offering.join(", ")
        ),
    ))
}

/// "Insufficient instance capacity", in EC2's words for the market.
pub(crate) fn no_capacity(place: &Place, spec: &LaunchSpec, zone: &str) -> Ec2Error {
    if spec.market.kind() == MarketKind::Spot {
        return Ec2Error::new(
            "InsufficientInstanceCapacity",
            "There is no Spot capacity available that matches your request.",
        );
    }
    let others: Vec<&str> = place
        .region
        .zones
        .iter()
        .map(|one| one.name.as_str())
        .filter(|name| *name != zone)
        .collect();
    let name = spec.instance_type.name;
    Ec2Error::new(
        "InsufficientInstanceCapacity",
        format!(
            "We currently do not have sufficient {name} capacity in the Availability Zone you requested ({zone}). Our system \
             will be working on provisioning additional capacity. You can currently get {name} capacity by not specifying an \
             Availability Zone in your request or choosing {}.",
            others.join(", ")
        ),
    )
}

/// Refuses a spot launch whose maximum price is under the price of the pool.
pub(crate) fn check_price(place: &Place, spec: &LaunchSpec, zone: &str) -> Result<(), Ec2Error> {
    let Market::Spot {
        max_microusd: Some(most),
        ..
    } = spec.market
    else {
        return Ok(());
    };
    let price = spot_microusd(spec.instance_type, place.region, zone);
    if most >= price {
        return Ok(());
    }
    Err(Ec2Error::new(
        "SpotMaxPriceTooLow",
        format!(
            "Your Spot request price of {} is lower than the minimum required Spot request fulfillment price of {}.",
            usd(most),
            usd(price)
        ),
    ))
}

impl World {
    /// Refuses a launch over the vCPU quota. Instances that are pending or running count.
    pub(crate) fn check_quota(
        &self,
        place: &Place,
        spec: &LaunchSpec,
        count: u32,
    ) -> Result<(), Ec2Error> {
        self.check_quota_beside(place, spec, count, 0)
    }

    /// As above, with vCPUs of the same class that the same call is about to launch.
    pub(crate) fn check_quota_beside(
        &self,
        place: &Place,
        spec: &LaunchSpec,
        count: u32,
        planned_vcpus: u64,
    ) -> Result<(), Ec2Error> {
        let (class, market) = (spec.instance_type.quota_class(), spec.market.kind());
        let used: u64 = self
            .instances_of(place)
            .filter(|one| {
                one.state().is_live()
                    && one.spec.market.kind() == market
                    && one.spec.instance_type.quota_class() == class
            })
            .map(|one| u64::from(one.spec.instance_type.vcpus))
            .sum();
        self.quotas.check(
            place,
            class,
            market,
            used + planned_vcpus,
            u64::from(count) * u64::from(spec.instance_type.vcpus),
        )
    }
}

impl Call<'_> {
    /// How many of `count` instances the pool has.
    pub(crate) fn pool_gives(&mut self, spec: &LaunchSpec, zone: &str, count: u32) -> u32 {
        let pool = Pool {
            zone,
            instance_type: spec.instance_type.name,
            market: spec.market.kind(),
        };
        self.world
            .faults
            .pool_capacity(&self.place, pool, self.id)
            .map_or(count, |capacity| capacity.min(count))
    }

    /// Launches instances into a pool and returns their ids in launch order.
    pub(crate) fn launch(
        &mut self,
        spec: &Arc<LaunchSpec>,
        zone: &str,
        count: u32,
        group: &Group,
    ) -> Vec<String> {
        let pool = Pool {
            zone,
            instance_type: spec.instance_type.name,
            market: spec.market.kind(),
        };
        self.world.faults.draw(&self.place, pool, count);
        (0..count)
            .map(|position| self.launch_one(spec, zone, group, group.first_index + position))
            .collect()
    }

    fn launch_one(
        &mut self,
        spec: &Arc<LaunchSpec>,
        zone: &str,
        group: &Group,
        launch_index: u32,
    ) -> String {
        let place = self.place.clone();
        let world = &mut *self.world;
        let seq = world.next();
        let id = world.random.resource_id("i");
        let volume_id = world.random.resource_id("vol");
        world
            .resource_tags
            .insert(volume_id.clone(), (place.clone(), spec.tags.of("volume")));
        let spot_request_id = (spec.market.kind() == MarketKind::Spot).then(|| {
            // Spot requests have the short form: sir- and 8 characters.
            format!("sir-{:08x}", world.random.next_u64() >> 32)
        });
        if let Some(request) = &spot_request_id {
            world.resource_tags.insert(
                request.clone(),
                (place.clone(), spec.tags.of("spot-instances-request")),
            );
        }
        let mut tags: Tags = spec.tags.of("instance");
        if let Some(fleet_id) = &group.fleet_id {
            tags.insert("aws:ec2:fleet-id".to_owned(), fleet_id.clone());
        }
        let subnet_id = spec
            .subnet_id
            .clone()
            .unwrap_or_else(|| place.network().subnet_id(zone));
        let instance = Instance {
            seq,
            reservation_id: group.reservation_id.clone(),
            launch_index,
            client_token: group.client_token.clone(),
            zone: zone.to_owned(),
            subnet_id,
            volume_id,
            interface_id: world.random.resource_id("eni"),
            spot_request_id,
            fleet_id: group.fleet_id.clone(),
            private_ip: private_ip(&place, zone, seq),
            public_ip: spec.public_address.then(|| public_ip(seq)),
            launched_ms: self.now_ms,
            sweep: tags.get(SWEEP_TAG).cloned(),
            tags,
            group_ids: spec.group_ids.clone(),
            shutdown_behavior: spec.shutdown_behavior,
            termination_protected: spec.termination_protected,
            history: Vec::new(),
            epoch: 0,
            shutdown_at_ms: None,
            shutdown_epoch: 0,
            hibernated: false,
            notice: None,
            rebalance_ms: None,
            impaired_ms: None,
            metadata_tokens: HashMap::new(),
            spec: Arc::clone(spec),
            place,
            id: id.clone(),
        };
        world.insert(instance);
        world.change(
            seq,
            State::Pending,
            Cause::Launched,
            self.now_ms,
            self.now_ms,
        );
        id
    }
}

/// An address in the default subnet of the zone; the first four of a subnet are AWS's own.
fn private_ip(place: &Place, zone: &str, seq: u64) -> String {
    let position = place
        .region
        .zones
        .iter()
        .position(|one| one.name == zone)
        .unwrap_or(0);
    let host = seq % 4_000;
    format!(
        "172.31.{}.{}",
        position as u64 * 16 + host / 250,
        host % 250 + 4
    )
}

/// An address of the range for benchmarks (RFC 2544), which nobody else can have.
fn public_ip(seq: u64) -> String {
    format!(
        "198.{}.{}.{}",
        18 + (seq >> 16 & 1),
        seq >> 8 & 0xff,
        seq & 0xff
    )
}
