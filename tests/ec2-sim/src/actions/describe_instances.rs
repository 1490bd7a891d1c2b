//! DescribeInstances and DescribeInstanceStatus.
//!
//! Source: the API pages of both, for parameters, filters and limits; what is shown is as old as the describe lag
//! ("Eventual consistency in the Amazon EC2 API").

use std::collections::HashSet;

use crate::clock::iso;
use crate::filter::{Filters, Page};
use crate::limits::MarketKind;
use crate::model::{Change, Instance, State};
use crate::wire::{Ec2Error, Xml};

use super::{Call, instance_xml};

const INSTANCE_FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "availability-zone-id",
    "block-device-mapping.volume-id",
    "client-token",
    "dns-name",
    "group-id",
    "hibernation-options.configured",
    "iam-instance-profile.arn",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "ip-address",
    "key-name",
    "launch-index",
    "launch-time",
    "metadata-options.http-tokens",
    "network-interface.network-interface-id",
    "network-interface.private-ip-address",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "reason",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "spot-instance-request-id",
    "state-reason-code",
    "subnet-id",
    "tag-key",
    "tag:",
    "tenancy",
    "virtualization-type",
    "vpc-id",
];

/// The values of an instance for a filter.
fn values(instance: &Instance, change: &Change, name: &str) -> Vec<String> {
    if let Some(key) = name.strip_prefix("tag:") {
        return instance.tags.get(key).cloned().into_iter().collect();
    }
    let spec = &instance.spec;
    let one = |text: &str| vec![text.to_owned()];
    let optional = |text: Option<&String>| text.cloned().into_iter().collect();
    // A terminated instance has lost its network and volume, so no filter on these finds it.
    let is_gone = change.state == State::Terminated;
    match name {
        "block-device-mapping.volume-id"
        | "dns-name"
        | "group-id"
        | "instance.group-id"
        | "ip-address"
        | "network-interface.network-interface-id"
        | "network-interface.private-ip-address"
        | "private-dns-name"
        | "private-ip-address"
        | "subnet-id"
        | "vpc-id"
            if is_gone =>
        {
            Vec::new()
        }
        "architecture" => one(spec.image.architecture.as_str()),
        "availability-zone" => one(&instance.zone),
        "availability-zone-id" => instance
            .place
            .region
            .zone(&instance.zone)
            .map(|zone| zone.id.clone())
            .into_iter()
            .collect(),
        "block-device-mapping.volume-id" => one(&instance.volume_id),
        "client-token" => optional(instance.client_token.as_ref()),
        "dns-name" => vec![instance_xml::public_dns(instance)],
        "group-id" | "instance.group-id" => instance.group_ids.clone(),
        "hibernation-options.configured" => one(if spec.hibernation { "true" } else { "false" }),
        "iam-instance-profile.arn" => optional(spec.profile_arn.as_ref()),
        "image-id" => one(&spec.image.id),
        "instance-id" => one(&instance.id),
        // On-demand instances have no lifecycle value.
        "instance-lifecycle" if spec.market.kind() == MarketKind::Spot => one("spot"),
        "instance-status.status" | "system-status.status" => one(health(instance, change)),
        "instance-state-code" => vec![change.state.code().to_string()],
        "instance-state-name" => one(change.state.as_str()),
        "instance-type" => one(spec.instance_type.name),
        "ip-address" => optional(instance.public_ip.as_ref()),
        "key-name" => optional(spec.key_name.as_ref()),
        "launch-index" => vec![instance.launch_index.to_string()],
        "launch-time" => vec![iso(instance.launched_ms)],
        "metadata-options.http-tokens" => one(if spec.metadata.token_required {
            "required"
        } else {
            "optional"
        }),
        "network-interface.network-interface-id" => one(&instance.interface_id),
        "owner-id" => one(&instance.place.account),
        "private-dns-name" => vec![instance_xml::private_dns(instance)],
        "private-ip-address" | "network-interface.private-ip-address" => one(&instance.private_ip),
        "reason" => vec![change.cause.transition_reason(change.caused_ms)],
        "reservation-id" => one(&instance.reservation_id),
        "root-device-name" => one(&spec.volume.device),
        "root-device-type" => one("ebs"),
        "spot-instance-request-id" => optional(instance.spot_request_id.as_ref()),
        "state-reason-code" => change
            .cause
            .reason()
            .map(|(code, _)| code.to_owned())
            .into_iter()
            .collect(),
        "subnet-id" => one(&instance.subnet_id),
        "tag-key" => instance.tags.keys().cloned().collect(),
        "tenancy" => one("default"),
        "virtualization-type" => one("hvm"),
        "vpc-id" => vec![instance.place.network().vpc_id()],
        _ => Vec::new(),
    }
}

/// An instance and the state that a call is to see.
type Seen<'c> = (&'c Instance, &'c Change);

/// The instances that a call asks for, each with the state that it is to see.
fn select<'c>(
    call: &'c Call<'_>,
    known_filters: &[&str],
    page_least: i64,
    wanted: impl Fn(&Change) -> bool,
) -> Result<(Vec<Seen<'c>>, Option<String>), Ec2Error> {
    let ids = call.params.texts("InstanceId");
    if !ids.is_empty() && call.params.get("MaxResults").is_some() {
        return Err(Ec2Error::combination(
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    let page = Page::read(call.params, page_least, 1000)?;
    let filters = Filters::read(call.params, known_filters)?;
    let named: Option<HashSet<u64>> = if ids.is_empty() {
        None
    } else {
        Some(
            call.world
                .find_all(&call.place, &ids, call.now_ms)?
                .into_iter()
                .collect(),
        )
    };
    let view_ms = call.world.view_ms(call.now_ms);
    let seen = call.world.instances_of(&call.place).filter_map(|instance| {
        let change = instance.seen_at(view_ms)?;
        let is_wanted = named
            .as_ref()
            .is_none_or(|seqs| seqs.contains(&instance.seq))
            && wanted(change)
            && filters.accept(|name| values(instance, change, name));
        is_wanted.then_some((instance.seq, (instance, change)))
    });
    Ok(page.cut(seen))
}

pub(super) fn instances(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let (shown, next) = select(call, INSTANCE_FILTERS, 5, |_| true)?;
    // Instances of one launch come one after another, so a reservation is a run of equal ids.
    let reservations =
        shown.chunk_by(|(one, _), (other, _)| one.reservation_id == other.reservation_id);
    xml.list("reservationSet", reservations, |xml, members| {
        if let Some((first, _)) = members.first() {
            instance_xml::reservation_head(xml, &first.place, &first.reservation_id);
        }
        xml.list("instancesSet", members, |xml, (instance, change)| {
            instance_xml::instance(xml, instance, change)
        });
    });
    xml.opt("nextToken", next);
    Ok(())
}

/// Both of its status checks.
fn health(instance: &Instance, change: &Change) -> &'static str {
    match (change.state, instance.impaired_ms) {
        (State::Running, Some(_)) => "impaired",
        (State::Running, None) => "ok",
        _ => "not-applicable",
    }
}

const STATUS_FILTERS: &[&str] = &[
    "availability-zone",
    "instance-state-code",
    "instance-state-name",
    "instance-status.status",
    "system-status.status",
];

pub(super) fn status(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let all = call.params.flag("IncludeAllInstances")?.unwrap_or(false);
    let (shown, next) = select(call, STATUS_FILTERS, 5, |change| {
        all || change.state == State::Running
    })?;
    xml.list("instanceStatusSet", shown, |xml, (instance, change)| {
        let health = health(instance, change);
        xml.text("instanceId", &instance.id)
            .text("availabilityZone", &instance.zone);
        instance_xml::state(xml, "instanceState", change.state);
        for name in ["systemStatus", "instanceStatus"] {
            xml.node(name, |xml| {
                xml.text("status", health);
                if change.state == State::Running {
                    xml.list("details", [()], |xml, ()| {
                        xml.text("name", "reachability");
                        match instance.impaired_ms {
                            Some(since) => xml
                                .text("status", "failed")
                                .text("impairedSince", iso(since)),
                            None => xml.text("status", "passed"),
                        };
                    });
                }
            });
        }
    });
    xml.opt("nextToken", next);
    Ok(())
}
