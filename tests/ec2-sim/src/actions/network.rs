//! DescribeRegions, DescribeAvailabilityZones, and the default network (API pages; "Default VPCs", Amazon VPC user guide).

use crate::catalogue::{Network, Region, regions as all_regions};
use crate::filter::{Filters, Page};
use crate::model::Place;
use crate::wire::{Ec2Error, Xml};

use super::Call;

pub(super) fn regions(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let filters = Filters::read(call.params, &["endpoint", "opt-in-status", "region-name"])?;
    let names = call.params.texts("RegionName");
    if let Some(unknown) = names
        .iter()
        .find(|name| all_regions().iter().all(|region| region.name != **name))
    {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("Invalid region name: [{unknown}]"),
        ));
    }
    let endpoint = |name: &str| format!("ec2.{name}.amazonaws.com");
    let status = |region: &Region| match Place::new(&call.place.account, region.name) {
        Some(place) if region.opt_in && call.world.is_enabled(&place) => "opted-in",
        Some(_) if region.opt_in => "not-opted-in",
        Some(_) | None => "opt-in-not-required",
    };
    // "Without --all-regions only those that are enabled for your account."
    let all = call.params.flag("AllRegions")?.unwrap_or(false);
    let shown = all_regions().iter().filter(|region| {
        (names.is_empty() || names.iter().any(|name| name == region.name))
            && (all || status(region) != "not-opted-in")
            && filters.accept(|name| {
                vec![match name {
                    "endpoint" => endpoint(region.name),
                    "opt-in-status" => status(region).to_owned(),
                    _ => region.name.to_owned(),
                }]
            })
    });
    xml.list("regionInfo", shown, |xml, region| {
        xml.text("regionName", region.name)
            .text("regionEndpoint", endpoint(region.name))
            .text("optInStatus", status(region));
    });
    Ok(())
}

pub(super) fn zones(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    const KNOWN: &[&str] = &[
        "group-name",
        "opt-in-status",
        "region-name",
        "state",
        "zone-id",
        "zone-name",
        "zone-type",
    ];
    let filters = Filters::read(call.params, KNOWN)?;
    let (names, ids) = (call.params.texts("ZoneName"), call.params.texts("ZoneId"));
    let region = call.place.region;
    if let Some(unknown) = names.iter().find(|name| region.zone(name).is_none()) {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("Invalid availability zone: [{unknown}]"),
        ));
    }
    let group = format!("{}-zg-1", region.name);
    let shown = region.zones.iter().filter(|zone| {
        (names.is_empty() || names.contains(&zone.name))
            && (ids.is_empty() || ids.contains(&zone.id))
            && filters.accept(|name| {
                vec![match name {
                    "group-name" => group.clone(),
                    "opt-in-status" => "opt-in-not-required".to_owned(),
                    "region-name" => region.name.to_owned(),
                    "state" => "available".to_owned(),
                    "zone-id" => zone.id.clone(),
                    "zone-type" => "availability-zone".to_owned(),
                    _ => zone.name.clone(),
                }]
            })
    });
    xml.list("availabilityZoneInfo", shown, |xml, zone| {
        xml.text("zoneName", &zone.name)
            .text("zoneId", &zone.id)
            .text("zoneState", "available")
            .text("zoneType", "availability-zone")
            .text("regionName", region.name)
            .text("groupName", &group)
            .text("networkBorderGroup", region.name)
            .text("optInStatus", "opt-in-not-required")
            .node("messageSet", |_| {});
    });
    Ok(())
}

/// Refuses an id that is not among those that exist.
fn check_ids(
    wanted: &[String],
    existing: &[String],
    code: &'static str,
    what: &str,
) -> Result<(), Ec2Error> {
    match wanted.iter().find(|id| !existing.contains(id)) {
        None => Ok(()),
        Some(id) => Err(Ec2Error::new(
            code,
            format!("The {what} ID '{id}' does not exist"),
        )),
    }
}

pub(super) fn vpcs(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 5, 1000)?;
    let known = &[
        "cidr",
        "is-default",
        "isDefault",
        "owner-id",
        "state",
        "tag-key",
        "tag:",
        "vpc-id",
    ];
    let filters = Filters::read(call.params, known)?;
    let id = call.place.network().vpc_id();
    let ids = call.params.texts("VpcId");
    check_ids(
        &ids,
        std::slice::from_ref(&id),
        "InvalidVpcID.NotFound",
        "vpc",
    )?;
    let accepted = filters.accept(|name| match name {
        "cidr" => vec![Network::VPC_CIDR.to_owned()],
        "is-default" | "isDefault" => vec!["true".to_owned()],
        "owner-id" => vec![call.place.account.clone()],
        "state" => vec!["available".to_owned()],
        "vpc-id" => vec![id.clone()],
        _ => Vec::new(),
    });
    let (shown, next) = page.cut_list(accepted.then_some(()));
    xml.list("vpcSet", shown, |xml, ()| {
        xml.text("vpcId", &id)
            .text("ownerId", &call.place.account)
            .text("state", "available")
            .text("cidrBlock", Network::VPC_CIDR)
            .text("dhcpOptionsId", "default")
            .text("instanceTenancy", "default")
            .text("isDefault", true);
    });
    xml.opt("nextToken", next);
    Ok(())
}

pub(super) fn subnets(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    const KNOWN: &[&str] = &[
        "availability-zone",
        "availability-zone-id",
        "availabilityZone",
        "cidr-block",
        "default-for-az",
        "defaultForAz",
        "map-public-ip-on-launch",
        "owner-id",
        "state",
        "subnet-id",
        "tag-key",
        "tag:",
        "vpc-id",
    ];
    let page = Page::read(call.params, 5, 1000)?;
    let filters = Filters::read(call.params, KNOWN)?;
    let network = call.place.network();
    let zones = &call.place.region.zones;
    let existing: Vec<String> = zones
        .iter()
        .map(|zone| network.subnet_id(&zone.name))
        .collect();
    let ids = call.params.texts("SubnetId");
    check_ids(&ids, &existing, "InvalidSubnetID.NotFound", "subnet")?;
    let rows = zones
        .iter()
        .zip(existing)
        .enumerate()
        .filter(|(position, (zone, id))| {
            (ids.is_empty() || ids.contains(id))
                && filters.accept(|name| match name {
                    "availability-zone" | "availabilityZone" => vec![zone.name.clone()],
                    "availability-zone-id" => vec![zone.id.clone()],
                    "cidr-block" => vec![Network::subnet_cidr(*position)],
                    "default-for-az" | "defaultForAz" | "map-public-ip-on-launch" => {
                        vec!["true".to_owned()]
                    }
                    "owner-id" => vec![call.place.account.clone()],
                    "state" => vec!["available".to_owned()],
                    "subnet-id" => vec![id.clone()],
                    "vpc-id" => vec![network.vpc_id()],
                    _ => Vec::new(),
                })
        });
    let (shown, next) = page.cut_list(rows);
    xml.list("subnetSet", shown, |xml, (position, (zone, id))| {
        xml.text("subnetId", &id)
            .text("subnetArn", call.place.arn("subnet", &id))
            .text("state", "available")
            .text("ownerId", &call.place.account)
            .text("vpcId", network.vpc_id())
            .text("cidrBlock", Network::subnet_cidr(position))
            .text("availableIpAddressCount", 4091)
            .text("availabilityZone", &zone.name)
            .text("availabilityZoneId", &zone.id)
            .text("defaultForAz", true)
            .text("mapPublicIpOnLaunch", true);
    });
    xml.opt("nextToken", next);
    Ok(())
}

pub(super) fn groups(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 5, 1000)?;
    let known = &[
        "description",
        "group-id",
        "group-name",
        "owner-id",
        "tag-key",
        "tag:",
        "vpc-id",
    ];
    let filters = Filters::read(call.params, known)?;
    let network = call.place.network();
    let id = network.default_group_id();
    check_ids(
        &call.params.texts("GroupId"),
        std::slice::from_ref(&id),
        "InvalidGroup.NotFound",
        "security group",
    )?;
    let names = call.params.texts("GroupName");
    if let Some(unknown) = names.iter().find(|name| *name != "default") {
        return Err(Ec2Error::new(
            "InvalidGroup.NotFound",
            format!(
                "The security group '{unknown}' does not exist in default VPC '{}'",
                network.vpc_id()
            ),
        ));
    }
    let accepted = filters.accept(|name| match name {
        "description" => vec!["default VPC security group".to_owned()],
        "group-id" => vec![id.clone()],
        "group-name" => vec!["default".to_owned()],
        "owner-id" => vec![call.place.account.clone()],
        "vpc-id" => vec![network.vpc_id()],
        _ => Vec::new(),
    });
    let (shown, next) = page.cut_list(accepted.then_some(()));
    xml.list("securityGroupInfo", shown, |xml, ()| {
        xml.text("ownerId", &call.place.account)
            .text("groupId", &id)
            .text("groupName", "default")
            .text("groupDescription", "default VPC security group")
            .text("vpcId", network.vpc_id())
            .node("ipPermissions", |_| {})
            .list("ipPermissionsEgress", [()], |xml, ()| {
                xml.text("ipProtocol", "-1")
                    .list("ipRanges", ["0.0.0.0/0"], |xml, range| {
                        xml.text("cidrIp", range);
                    });
            });
    });
    xml.opt("nextToken", next);
    Ok(())
}
