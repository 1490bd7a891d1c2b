//! CreateFleet of type `instant`.
//!
//! Source: API CreateFleet; "Configure an EC2 Fleet of type instant", EC2 user guide. An instant fleet launches what it can in the call itself, and says for each override why it got no more.

use crate::limits::MarketKind;
use crate::model::{Remembered, TokenKey};
use crate::wire::{Ec2Error, Xml};
use crate::world::Fleet;

use super::fleet_plan::{Failure, Pool, Share, plan, pools_of, sort};
use super::fleet_request::{Candidate, FleetRequest, MarketRequest};
use super::launch::Group;
use super::{Call, run_instances};

pub(super) const ACCEPTS: &[&str] = &[
    "ClientToken",
    "LaunchTemplateConfigs",
    "OnDemandOptions",
    "SpotOptions",
    "TagSpecification",
    "TargetCapacitySpecification",
    "Type",
    // Without an effect on instant fleets.
    "Context",
    "ExcessCapacityTerminationPolicy",
    "ReplaceUnhealthyInstances",
    "ReservedCapacityOptions",
    "TerminateInstancesWithExpiration",
];

/// What became of one market of the fleet.
#[derive(Debug, Default)]
struct Outcome {
    launched: Vec<(Share, Vec<String>)>,
    failures: Vec<Failure>,
}

pub(super) fn run(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let request = FleetRequest::read(call.world, &call.place, call.params)?;
    let parameters: String = std::iter::once(run_instances::fingerprint(call.params, None))
        .chain(
            request
                .candidates
                .iter()
                .map(|one| format!("template {} {}\n", one.template.id, one.template.version)),
        )
        .collect();
    let key = call.params.text("ClientToken").map(|token| TokenKey {
        place: call.place.clone(),
        action: call.action,
        zone: None,
        token: token.to_owned(),
    });
    if let Some(key) = &key
        && let Some(answer) = call
            .world
            .tokens
            .recall(key, &parameters)?
            .and_then(|first| first.answer)
    {
        xml.raw(&answer);
        return Ok(());
    }
    let fleet_id = format!("fleet-{}", call.world.random.uuid());
    let mut outcomes = Vec::new();
    for market in &request.markets {
        outcomes.push((market.market, fill(call, &request, market, &fleet_id)));
    }
    let instance_ids: Vec<String> = outcomes
        .iter()
        .flat_map(|(_, outcome)| &outcome.launched)
        .flat_map(|(_, ids)| ids.clone())
        .collect();
    let place = call.place.clone();
    call.world
        .resource_tags
        .insert(fleet_id.clone(), (place.clone(), request.tags.of("fleet")));
    call.world.fleets.insert(
        fleet_id.clone(),
        Fleet {
            place,
            instance_ids: instance_ids.clone(),
        },
    );
    let mut body = Xml::new();
    write(&mut body, call, &request, &fleet_id, &outcomes);
    let body = body.into_string();
    if let Some(key) = key {
        let what = Remembered {
            parameters,
            resource_id: fleet_id,
            instance_ids,
            answer: Some(body.clone()),
        };
        call.world.tokens.remember(key, what);
    }
    xml.raw(&body);
    Ok(())
}

/// Launches one market of the fleet.
fn fill(
    call: &mut Call<'_>,
    request: &FleetRequest,
    market: &MarketRequest,
    fleet_id: &str,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut pools = Vec::new();
    for (candidate, one) in request.candidates.iter().enumerate() {
        match pools_of(call, request, one, candidate, market.market) {
            Ok(found) => pools.extend(found),
            Err(error) => outcome.failures.push(Failure {
                candidate,
                zone: None,
                market: market.market,
                error,
            }),
        }
    }
    sort(call, request, market.strategy, &mut pools);
    // SingleInstanceType and SingleAvailabilityZone: only pools of one group may be used, the first that gives the most.
    let group_of = |pool: &Pool| {
        (
            market.single_type.then_some(pool.spec.instance_type.name),
            market.single_zone.then(|| pool.zone.clone()),
        )
    };
    let mut groups: Vec<(_, Vec<Pool>)> = Vec::new();
    for pool in pools {
        let key = group_of(&pool);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, members)) => members.push(pool),
            None => groups.push((key, vec![pool])),
        }
    }
    let mut best: Option<(f64, Vec<Share>)> = None;
    for (_, members) in groups {
        let (units, shares) = plan(call, request, market, members, &mut outcome.failures);
        let is_full = units >= f64::from(market.target);
        if best.as_ref().is_none_or(|(most, _)| units > *most) {
            best = Some((units, shares));
        }
        if is_full {
            break;
        }
    }
    let (units, shares) = best.unwrap_or_default();
    if units < f64::from(market.min_target) {
        let error = Ec2Error::new(
            "UnfulfillableCapacity",
            "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.",
        );
        let failed = (0..request.candidates.len()).map(|candidate| Failure {
            candidate,
            zone: None,
            market: market.market,
            error: error.clone(),
        });
        outcome.failures.extend(failed);
        return outcome;
    }
    launch(call, market, shares, fleet_id, &mut outcome);
    outcome
}

/// Launches the planned shares, each as a launch of its own, if the instance bucket holds them all.
fn launch(
    call: &mut Call<'_>,
    market: &MarketRequest,
    shares: Vec<Share>,
    fleet_id: &str,
    outcome: &mut Outcome,
) {
    let total = shares.iter().map(|share| share.count).sum();
    if let Err(error) = call.take_instances(total) {
        outcome
            .failures
            .extend(shares.into_iter().map(|share| Failure {
                candidate: share.pool.candidate,
                zone: Some(share.pool.zone),
                market: market.market,
                error: error.clone(),
            }));
        return;
    }
    for (position, share) in shares.into_iter().enumerate() {
        let group = Group {
            reservation_id: call.world.random.resource_id("r"),
            // A fleet's own token stays with the fleet; its launches have tokens that the fleet makes.
            client_token: Some(format!("{fleet_id}-{}-{position}", market.market.as_str())),
            fleet_id: Some(fleet_id.to_owned()),
            first_index: 0,
        };
        let ids = call.launch(&share.pool.spec, &share.pool.zone, share.count, &group);
        outcome.launched.push((share, ids));
    }
}

fn write(
    xml: &mut Xml,
    call: &Call<'_>,
    request: &FleetRequest,
    fleet_id: &str,
    outcomes: &[(MarketKind, Outcome)],
) {
    xml.text("fleetId", fleet_id);
    xml.list(
        "errorSet",
        outcomes.iter().flat_map(|(_, outcome)| &outcome.failures),
        |xml, failure| {
            if let Some(one) = request.candidates.get(failure.candidate) {
                write_overrides(xml, one, failure.zone.as_deref());
            }
            xml.text("lifecycle", failure.market.as_str())
                .text("errorCode", &failure.error.code)
                .text("errorMessage", &failure.error.message);
        },
    );
    let launched = outcomes
        .iter()
        .flat_map(|(market, outcome)| outcome.launched.iter().map(move |one| (market, one)));
    xml.list(
        "fleetInstanceSet",
        launched,
        |xml, (market, (share, ids))| {
            if let Some(one) = request.candidates.get(share.pool.candidate) {
                write_overrides(xml, one, Some(&share.pool.zone));
            }
            xml.text("lifecycle", market.as_str())
                .texts("instanceIds", ids)
                .text("instanceType", share.pool.spec.instance_type.name)
                .text("availabilityZone", &share.pool.zone);
            if let Some(zone) = call.place.region.zone(&share.pool.zone) {
                xml.text("availabilityZoneId", &zone.id);
            }
        },
    );
}

fn write_overrides(xml: &mut Xml, one: &Candidate, zone: Option<&str>) {
    xml.node("launchTemplateAndOverrides", |xml| {
        xml.node("launchTemplateSpecification", |xml| {
            xml.text("launchTemplateId", &one.template.id)
                .text("version", one.template.version);
        });
        xml.node("overrides", |xml| {
            let text = |name: &str| one.overrides.text(name);
            let instance_type = text("InstanceType").or(one.template.data.text("InstanceType"));
            xml.opt("instanceType", instance_type)
                .opt("maxPrice", text("MaxPrice"))
                .opt("subnetId", text("SubnetId"))
                .opt("availabilityZone", text("AvailabilityZone").or(zone))
                .opt("weightedCapacity", text("WeightedCapacity"))
                .opt("priority", text("Priority"))
                .opt("imageId", text("ImageId"));
        });
    });
}
