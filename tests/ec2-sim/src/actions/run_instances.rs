//! RunInstances.
//!
//! Source: API RunInstances; "Ensuring idempotency in Amazon EC2 API requests"; code `IdempotentInstanceTerminated` is in
//! EC2's answers since January 2025 (boto3 issue 4406).

use std::sync::Arc;

use crate::model::{Remembered, TokenKey};
use crate::wire::{Ec2Error, Params, Xml};

use super::launch::{Group, check_price, no_capacity, zones};
use super::launch_request::{TemplateUse, resolve, use_template};
use super::{Call, instance_xml};

pub(super) const ACCEPTS: &[&str] = &[
    "BlockDeviceMapping",
    "ClientToken",
    "DisableApiTermination",
    "EbsOptimized",
    "HibernationOptions",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceType",
    "KeyName",
    "LaunchTemplate",
    "MaxCount",
    "MetadataOptions",
    "MinCount",
    "Monitoring",
    "NetworkInterface",
    "Placement",
    "SecurityGroup",
    "SecurityGroupId",
    "SubnetId",
    "TagSpecification",
    "UserData",
    // Without an effect here: they change what an instance can do, not when it lives.
    "AdditionalInfo",
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "EnclaveOptions",
    "MaintenanceOptions",
    "PrivateDnsNameOptions",
];

pub(super) fn run(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let params = call.params;
    let (least, most) = counts(params)?;
    let template = params
        .get("LaunchTemplate")
        .map(|one| use_template(call.world, &call.place, one))
        .transpose()?;
    let spec = Arc::new(resolve(call.world, &call.place, params, template.as_ref())?);
    let key = params.text("ClientToken").map(|token| TokenKey {
        place: call.place.clone(),
        action: call.action,
        zone: spec.zone.clone(),
        token: token.to_owned(),
    });
    let parameters = fingerprint(params, template.as_ref());
    if let Some(key) = &key
        && let Some(first) = call.world.tokens.recall(key, &parameters)?
    {
        return repeat(call, xml, &first);
    }
    let zones = zones(&call.place, &spec)?;
    call.take_instances(most)?;
    call.world.check_quota(&call.place, &spec, most)?;
    let (zone, count) = choose_zone(call, &spec, &zones, least, most)?;
    check_price(&call.place, &spec, &zone)?;
    let group = Group {
        reservation_id: call.world.random.resource_id("r"),
        client_token: key.as_ref().map(|key| key.token.clone()),
        fleet_id: None,
        first_index: 0,
    };
    let instance_ids = call.launch(&spec, &zone, count, &group);
    if let Some(key) = key {
        let what = Remembered {
            parameters,
            resource_id: group.reservation_id.clone(),
            instance_ids: instance_ids.clone(),
            answer: None,
        };
        call.world.tokens.remember(key, what);
    }
    write(call, xml, &group.reservation_id, &instance_ids);
    Ok(())
}

fn counts(params: &Params) -> Result<(u32, u32), Ec2Error> {
    let count = |name: &str| -> Result<u32, Ec2Error> {
        let number = params.int(name)?.ok_or_else(|| Ec2Error::missing(name))?;
        u32::try_from(number)
            .ok()
            .filter(|number| *number >= 1)
            .ok_or_else(|| {
                Ec2Error::new(
                    "InvalidParameterValue",
                    format!("Invalid value '{number}' for {name}. Must be at least 1."),
                )
            })
    };
    let (least, most) = (count("MinCount")?, count("MaxCount")?);
    if least > most {
        return Err(Ec2Error::combination(
            "MinCount must not be greater than MaxCount",
        ));
    }
    Ok((least, most))
}

/// What two calls with one token must have in common. The template counts as the version that it means now: under the
/// same token `$Latest` becomes another request when a version is added.
pub(super) fn fingerprint(params: &Params, template: Option<&TemplateUse>) -> String {
    let own = params.canonical(&[
        "Action",
        "Version",
        "ClientToken",
        "DryRun",
        "X-Amz-Date",
        "X-Amz-Signature",
    ]);
    match template {
        Some(template) => format!("{own}template {} {}\n", template.id, template.version),
        None => own,
    }
}

/// Answers a repeated call with the instances of the first, as they are now.
fn repeat(call: &Call<'_>, xml: &mut Xml, first: &Remembered) -> Result<(), Ec2Error> {
    // One that is ended is enough: the guide does not say what a partly terminated reservation answers, so this takes the
    // harsher reading. An instance that EC2 no longer shows counts as terminated.
    let ended = first.instance_ids.iter().any(|id| {
        call.world
            .instance(id)
            .is_none_or(|instance| instance.state().is_ended())
    });
    if ended {
        return Err(Ec2Error::new(
            "IdempotentInstanceTerminated",
            "The client token you have provided is associated with a terminated instance. Please use a different client token.",
        ));
    }
    write(call, xml, &first.resource_id, &first.instance_ids);
    Ok(())
}

fn write(call: &Call<'_>, xml: &mut Xml, reservation_id: &str, instance_ids: &[String]) {
    instance_xml::reservation_head(xml, &call.place, reservation_id);
    xml.list(
        "instancesSet",
        instance_ids.iter().filter_map(|id| call.world.instance(id)),
        |xml, instance| {
            // The answer of the call itself is never behind.
            if let Some(change) = instance.last() {
                instance_xml::instance(xml, instance, change);
            }
        },
    );
}

/// All instances of one call go into one zone. Without a named one it is the zone with the most capacity, the first of
/// equals; it must give at least MinCount.
fn choose_zone(
    call: &mut Call<'_>,
    spec: &crate::model::LaunchSpec,
    zones: &[String],
    least: u32,
    most: u32,
) -> Result<(String, u32), Ec2Error> {
    let mut best: Option<(String, u32)> = None;
    for zone in zones {
        let gives = call.pool_gives(spec, zone, most);
        if best.as_ref().is_none_or(|(_, count)| gives > *count) {
            best = Some((zone.clone(), gives));
        }
    }
    match best {
        Some((zone, count)) if count >= least => Ok((zone, count)),
        Some((zone, _)) => Err(no_capacity(&call.place, spec, &zone)),
        None => Err(no_capacity(&call.place, spec, "none")),
    }
}
