//! An instance as answers show it (API data type Instance).

use crate::clock::iso;
use crate::limits::MarketKind;
use crate::model::{Change, Instance, Place, State};
use crate::wire::Xml;

/// Reservation id, owner and groups: what stands before the instances of a reservation.
pub(super) fn reservation_head(xml: &mut Xml, place: &Place, reservation_id: &str) {
    xml.text("reservationId", reservation_id)
        .text("ownerId", &place.account);
    // Groups belong to the reservation in EC2-Classic only.
    xml.node("groupSet", |_| {});
}

/// `<code>..</code><name>..</name>`.
pub(super) fn state(xml: &mut Xml, name: &str, state: State) {
    xml.node(name, |xml| {
        xml.text("code", state.code()).text("name", state.as_str());
    });
}

/// `ip-172-31-0-5.ec2.internal`.
pub(super) fn private_dns(instance: &Instance) -> String {
    let dashed = instance.private_ip.replace('.', "-");
    match instance.place.region.name {
        "us-east-1" => format!("ip-{dashed}.ec2.internal"),
        region => format!("ip-{dashed}.{region}.compute.internal"),
    }
}

/// `ec2-198-18-0-5.compute-1.amazonaws.com`; empty without a public address.
pub(super) fn public_dns(instance: &Instance) -> String {
    let Some(address) = &instance.public_ip else {
        return String::new();
    };
    let dashed = address.replace('.', "-");
    match instance.place.region.name {
        "us-east-1" => format!("ec2-{dashed}.compute-1.amazonaws.com"),
        region => format!("ec2-{dashed}.{region}.compute.amazonaws.com"),
    }
}

/// The instance in the state of `change`. One that is terminated has lost its addresses, network and volumes.
pub(super) fn instance(xml: &mut Xml, instance: &Instance, change: &Change) {
    let spec = &instance.spec;
    let is_gone = change.state == State::Terminated;
    let is_public = change.state == State::Running;
    xml.text("instanceId", &instance.id)
        .text("imageId", &spec.image.id);
    state(xml, "instanceState", change.state);
    xml.text(
        "privateDnsName",
        if is_gone {
            String::new()
        } else {
            private_dns(instance)
        },
    )
    .text(
        "dnsName",
        if is_public {
            public_dns(instance)
        } else {
            String::new()
        },
    )
    .text("reason", change.cause.transition_reason(change.caused_ms))
    .opt("keyName", spec.key_name.as_ref())
    .text("amiLaunchIndex", instance.launch_index)
    .node("productCodes", |_| {})
    .text("instanceType", spec.instance_type.name)
    .text("launchTime", iso(instance.launched_ms))
    .node("placement", |xml| {
        let zone_id = instance
            .place
            .region
            .zone(&instance.zone)
            .map(|zone| zone.id.as_str());
        xml.text("availabilityZone", &instance.zone)
            .opt("availabilityZoneId", zone_id)
            .text(
                "groupName",
                instance.spec.placement_group.as_deref().unwrap_or_default(),
            )
            .text("tenancy", "default");
    })
    .node("monitoring", |xml| {
        xml.text(
            "state",
            if spec.monitoring {
                "enabled"
            } else {
                "disabled"
            },
        );
    });
    if !is_gone {
        network(xml, instance, is_public);
    }
    xml.text("architecture", spec.image.architecture.as_str())
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", &spec.volume.device)
        .text("virtualizationType", "hvm")
        .text(
            "clientToken",
            instance.client_token.as_deref().unwrap_or_default(),
        )
        .tags(&instance.tags)
        .text("hypervisor", "xen")
        .text("ebsOptimized", spec.ebs_optimized)
        .text("enaSupport", true);
    if let Some((code, message)) = change.cause.reason() {
        xml.node("stateReason", |xml| {
            xml.text("code", code).text("message", message);
        });
    }
    xml.list("blockDeviceMapping", (!is_gone).then_some(()), |xml, ()| {
        xml.text("deviceName", &spec.volume.device)
            .node("ebs", |xml| {
                xml.text("volumeId", &instance.volume_id)
                    .text("status", "attached")
                    .text("attachTime", iso(instance.created_ms()))
                    .text("deleteOnTermination", spec.volume.delete_on_termination);
            });
    });
    if spec.market.kind() == MarketKind::Spot {
        xml.text("instanceLifecycle", "spot")
            .opt("spotInstanceRequestId", instance.spot_request_id.as_ref());
    }
    if let Some(arn) = &spec.profile_arn {
        let id = crate::ids::stable_id("AIPA", arn)
            .replace("-", "")
            .to_uppercase();
        xml.node("iamInstanceProfile", |xml| {
            xml.text("arn", arn).text("id", id);
        });
    }
    options(xml, instance, change);
}

fn network(xml: &mut Xml, instance: &Instance, is_public: bool) {
    let groups = |xml: &mut Xml| {
        xml.list("groupSet", &instance.group_ids, |xml, id| {
            let is_default = *id == instance.place.network().default_group_id();
            xml.text("groupId", id)
                .text("groupName", if is_default { "default" } else { id });
        });
    };
    let vpc_id = instance.place.network().vpc_id();
    let public_ip = instance.public_ip.as_ref().filter(|_| is_public);
    xml.text("subnetId", &instance.subnet_id)
        .text("vpcId", &vpc_id)
        .text("privateIpAddress", &instance.private_ip)
        .opt("ipAddress", public_ip)
        .text("sourceDestCheck", true);
    groups(xml);
    xml.list("networkInterfaceSet", [()], |xml, ()| {
        xml.text("networkInterfaceId", &instance.interface_id)
            .text("subnetId", &instance.subnet_id)
            .text("vpcId", &vpc_id)
            .text("description", "")
            .text("ownerId", &instance.place.account)
            .text("status", "in-use")
            .text("privateIpAddress", &instance.private_ip)
            .text("sourceDestCheck", true)
            .text(
                "interfaceType",
                if instance.spec.efa {
                    "efa"
                } else {
                    "interface"
                },
            );
        groups(xml);
        xml.node("attachment", |xml| {
            xml.text("deviceIndex", 0)
                .text("status", "attached")
                .text("attachTime", iso(instance.created_ms()))
                .text("deleteOnTermination", true);
        });
        if let Some(address) = public_ip {
            xml.node("association", |xml| {
                xml.text("publicIp", address)
                    .text("publicDnsName", public_dns(instance))
                    .text("ipOwnerId", "amazon");
            });
        }
    });
}

fn options(xml: &mut Xml, instance: &Instance, change: &Change) {
    let spec = &instance.spec;
    let threads = spec.instance_type.vcpus / spec.instance_type.cores.max(1);
    xml.node("cpuOptions", |xml| {
        xml.text("coreCount", spec.instance_type.cores)
            .text("threadsPerCore", threads);
    })
    .node("hibernationOptions", |xml| {
        xml.text("configured", spec.hibernation);
    })
    .node("metadataOptions", |xml| {
        let metadata = &spec.metadata;
        let on_off = |on| if on { "enabled" } else { "disabled" };
        xml.text(
            "state",
            if change.state == State::Pending {
                "pending"
            } else {
                "applied"
            },
        )
        .text(
            "httpTokens",
            if metadata.token_required {
                "required"
            } else {
                "optional"
            },
        )
        .text("httpPutResponseHopLimit", metadata.hop_limit)
        .text("httpEndpoint", on_off(metadata.enabled))
        .text("httpProtocolIpv6", "disabled")
        .text("instanceMetadataTags", on_off(metadata.tags));
    })
    .node("enclaveOptions", |xml| {
        xml.text("enabled", false);
    })
    .text("platformDetails", "Linux/UNIX")
    .text("usageOperation", "RunInstances")
    .text("usageOperationUpdateTime", iso(instance.created_ms()));
}
