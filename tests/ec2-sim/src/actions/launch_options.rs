//! The single options of a launch, each read and checked.

use crate::catalogue::{Image, InstanceType};
use crate::ids::stable_hash;
use crate::model::{Market, MetadataOptions, Place, SpotKind, Tags, Volume};
use crate::wire::{Ec2Error, Params};
use crate::world::World;

/// Reads `InstanceMarketOptions` (API InstanceMarketOptionsRequest and SpotMarketOptions).
pub(crate) fn market(params: &Params, instance_type: &InstanceType) -> Result<Market, Ec2Error> {
    let Some(options) = params.get("InstanceMarketOptions") else {
        return Ok(Market::OnDemand);
    };
    match options.text("MarketType") {
        Some("spot") => {}
        None if options.get("SpotOptions").is_none() => return Ok(Market::OnDemand),
        other => {
            return Err(Ec2Error::invalid_value(
                "marketType",
                other.unwrap_or_default(),
                "ec2-sim models: spot.",
            ));
        }
    }
    if !instance_type.spot {
        return Err(Ec2Error::new(
            "UnsupportedOperation",
            format!(
                "The instance type {} is not supported for Spot Instances.",
                instance_type.name
            ),
        ));
    }
    let persistent = match options.text("SpotOptions.SpotInstanceType") {
        None | Some("one-time") => false,
        Some("persistent") => true,
        Some(other) => {
            return Err(Ec2Error::invalid_value(
                "spotInstanceType",
                other,
                "Valid values are: one-time, persistent.",
            ));
        }
    };
    let kind = match (
        options.text("SpotOptions.InstanceInterruptionBehavior"),
        persistent,
    ) {
        (None | Some("terminate"), false) => SpotKind::OneTime,
        (None | Some("terminate"), true) => SpotKind::PersistentTerminate,
        (Some("stop"), true) => SpotKind::PersistentStop,
        (Some("hibernate"), true) => SpotKind::PersistentHibernate,
        (Some(behavior @ ("stop" | "hibernate")), false) => {
            return Err(Ec2Error::combination(format!(
                "The instance interruption behavior '{behavior}' requires a persistent Spot Instance request."
            )));
        }
        (Some(other), _) => {
            return Err(Ec2Error::invalid_value(
                "instanceInterruptionBehavior",
                other,
                "Valid values are: hibernate, stop, terminate.",
            ));
        }
    };
    Ok(Market::Spot {
        kind,
        max_microusd: max_price(options.text("SpotOptions.MaxPrice"))?,
    })
}

/// A maximum price in dollars an hour.
pub(crate) fn max_price(text: Option<&str>) -> Result<Option<u64>, Ec2Error> {
    text.map(|text| {
        let dollars: f64 = text
            .parse()
            .ok()
            .filter(|dollars| (0.001..1_000_000.0).contains(dollars))
            .ok_or_else(|| {
                Ec2Error::invalid_value("maxPrice", text, "It must be a price in USD per hour.")
            })?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked above"
        )]
        Ok((dollars * 1_000_000.0).round() as u64)
    })
    .transpose()
}

/// Reads `MetadataOptions`. Images of Amazon Linux 2023 ask for version 2 (`imdsSupport` v2.0), hence the defaults.
pub(crate) fn metadata(params: &Params) -> Result<MetadataOptions, Ec2Error> {
    let options = params.get("MetadataOptions").cloned().unwrap_or_default();
    let choice = |name: &str, yes: &str, no: &str, default: bool| match options.text(name) {
        None => Ok(default),
        Some(text) if text == yes => Ok(true),
        Some(text) if text == no => Ok(false),
        Some(text) => Err(Ec2Error::invalid_value(
            name,
            text,
            &format!("Valid values are: {no}, {yes}."),
        )),
    };
    let hop_limit = options.int("HttpPutResponseHopLimit")?.unwrap_or(2);
    if !(1..=64).contains(&hop_limit) {
        return Err(Ec2Error::invalid_value(
            "HttpPutResponseHopLimit",
            &hop_limit.to_string(),
            "It must be between 1 and 64.",
        ));
    }
    Ok(MetadataOptions {
        token_required: choice("HttpTokens", "required", "optional", true)?,
        hop_limit,
        enabled: choice("HttpEndpoint", "enabled", "disabled", true)?,
        tags: choice("InstanceMetadataTags", "enabled", "disabled", false)?,
    })
}

/// Keys of tags that the metadata service shows are part of a path: letters, digits and `+ - = . , _ : @` only.
pub(crate) fn check_metadata_tag_keys(tags: &Tags) -> Result<(), Ec2Error> {
    let fits = |key: &str| {
        !matches!(key, "." | ".." | "_index")
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-=.,_:@".contains(c))
    };
    match tags.keys().find(|key| !fits(key)) {
        None => Ok(()),
        Some(key) => Err(Ec2Error::new(
            "InvalidParameterValue",
            format!(
                "'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), and must \
                 not be a reserved name ('.', '..', '_index')"
            ),
        )),
    }
}

/// Reads the mapping of the root device; further volumes are not modelled.
pub(crate) fn volume(params: &Params) -> Result<Volume, Ec2Error> {
    let mut volume = Volume {
        device: Image::ROOT_DEVICE.to_owned(),
        size_gib: i64::from(Image::ROOT_GIB),
        kind: "gp3".to_owned(),
        encrypted: false,
        delete_on_termination: true,
    };
    for mapping in params.list("BlockDeviceMapping") {
        let device = mapping.required("DeviceName")?;
        if device != Image::ROOT_DEVICE {
            return Err(Ec2Error::new(
                "InvalidBlockDeviceMapping",
                format!(
                    "ec2-sim models the root device {} only, not {device}",
                    Image::ROOT_DEVICE
                ),
            ));
        }
        let Some(ebs) = mapping.get("Ebs") else {
            continue;
        };
        volume.size_gib = ebs.int("VolumeSize")?.unwrap_or(volume.size_gib);
        if volume.size_gib < i64::from(Image::ROOT_GIB) {
            return Err(Ec2Error::new(
                "InvalidBlockDeviceMapping",
                format!(
                    "Volume of size {}GB is smaller than snapshot, expect size >= {}GB",
                    volume.size_gib,
                    Image::ROOT_GIB
                ),
            ));
        }
        volume.kind = ebs.text("VolumeType").unwrap_or(&volume.kind).to_owned();
        volume.encrypted = ebs.flag("Encrypted")?.unwrap_or(volume.encrypted);
        volume.delete_on_termination = ebs
            .flag("DeleteOnTermination")?
            .unwrap_or(volume.delete_on_termination);
    }
    Ok(volume)
}

/// Reads `HibernationOptions` ("Prerequisites for EC2 instance hibernation": family, encrypted root volume that holds the memory).
pub(crate) fn hibernation(
    params: &Params,
    instance_type: &InstanceType,
    volume: &Volume,
) -> Result<bool, Ec2Error> {
    if !params
        .flag("HibernationOptions.Configured")?
        .unwrap_or(false)
    {
        return Ok(false);
    }
    let unsupported = |message: String| {
        Err(Ec2Error::new(
            "UnsupportedHibernationConfiguration",
            message,
        ))
    };
    if !instance_type.hibernation {
        return unsupported(format!(
            "The hibernation feature is not supported for the instance type {}.",
            instance_type.name
        ));
    }
    if !volume.encrypted {
        return unsupported("The root volume must be encrypted to enable hibernation.".to_owned());
    }
    let memory_gib = i64::try_from(instance_type.memory_mib.div_ceil(1024)).unwrap_or(i64::MAX);
    if volume.size_gib < memory_gib {
        return unsupported(format!(
            "The root volume of {} GiB is too small to hold {memory_gib} GiB of memory.",
            volume.size_gib
        ));
    }
    Ok(true)
}

/// Reads `IamInstanceProfile`, by name or ARN.
pub(crate) fn profile_arn(params: &Params, place: &Place) -> Result<Option<String>, Ec2Error> {
    match (
        params.text("IamInstanceProfile.Arn"),
        params.text("IamInstanceProfile.Name"),
    ) {
        (Some(_), Some(_)) => Err(Ec2Error::combination(
            "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
        )),
        (Some(arn), None) if !arn.starts_with("arn:") || !arn.contains(":instance-profile/") => {
            Err(Ec2Error::new(
                "InvalidParameterValue",
                format!(
                    "Value ({arn}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN"
                ),
            ))
        }
        (Some(arn), None) => Ok(Some(arn.to_owned())),
        (None, Some(name)) => Ok(Some(format!(
            "arn:aws:iam::{}:instance-profile/{name}",
            place.account
        ))),
        (None, None) => Ok(None),
    }
}

/// Whether the first network interface is an Elastic Fabric Adapter ("Elastic Fabric Adapter for AI/ML and HPC workloads", EC2
/// user guide: only certain types support one).
pub(crate) fn efa(params: &Params, instance_type: &InstanceType) -> Result<bool, Ec2Error> {
    let interfaces = params.list("NetworkInterface");
    let kind = interfaces
        .first()
        .and_then(|interface| interface.text("InterfaceType"));
    match kind {
        None | Some("interface") => Ok(false),
        Some("efa") if instance_type.supports_efa() => Ok(true),
        Some("efa") => Err(Ec2Error::combination(format!(
            "EFA interfaces are not supported on {}.",
            instance_type.name
        ))),
        Some(other) => Err(Ec2Error::invalid_value(
            "interfaceType",
            other,
            "ec2-sim models: interface, efa.",
        )),
    }
}

/// Where a launch goes.
#[derive(Debug)]
pub(crate) struct NetworkChoice {
    pub(crate) zone: Option<String>,
    pub(crate) subnet_id: Option<String>,
    pub(crate) group_ids: Vec<String>,
    pub(crate) public_address: bool,
}

/// Reads subnet, zone and security groups, from the request itself or from its first network interface.
pub(crate) fn network(
    world: &World,
    place: &Place,
    params: &Params,
) -> Result<NetworkChoice, Ec2Error> {
    let network = place.network();
    let lenient = world.settings.any_network;
    let interfaces = params.list("NetworkInterface");
    let interface = interfaces.first();
    if interfaces.len() > 1 {
        return Err(Ec2Error::new(
            "UnsupportedOperation",
            "ec2-sim models one network interface",
        ));
    }
    for (name, words) in [
        ("SubnetId", "subnet ID"),
        ("SecurityGroupId", "security groups"),
    ] {
        if interface.is_some() && params.get(name).is_some() {
            return Err(Ec2Error::combination(format!(
                "Network interfaces and an instance-level {words} may not be specified on the same request"
            )));
        }
    }
    let source = interface.copied().unwrap_or(params);
    let subnet_id = source.text("SubnetId").map(ToOwned::to_owned);
    let mut zone = params
        .text("Placement.AvailabilityZone")
        .map(ToOwned::to_owned);
    if let Some(zone) = zone
        .as_ref()
        .filter(|zone| place.region.zone(zone).is_none())
    {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("Invalid availability zone: [{zone}]"),
        ));
    }
    if let Some(subnet_id) = &subnet_id {
        let known = network.zone_of_subnet(place.region, subnet_id);
        let by_chance = || {
            let count = u64::try_from(place.region.zones.len()).unwrap_or(1);
            place
                .region
                .zones
                .get(usize::try_from(stable_hash(subnet_id) % count).unwrap_or(0))
        };
        let home = known
            .or_else(|| if lenient { by_chance() } else { None })
            .ok_or_else(|| {
                Ec2Error::new(
                    "InvalidSubnetID.NotFound",
                    format!("The subnet ID '{subnet_id}' does not exist"),
                )
            })?;
        if zone.as_ref().is_some_and(|zone| *zone != home.name) {
            return Err(Ec2Error::new(
                "InvalidParameterValue",
                format!(
                    "The subnet '{subnet_id}' is not in the Availability Zone '{}'",
                    zone.unwrap_or_default()
                ),
            ));
        }
        zone = Some(home.name.clone());
    }
    let mut group_ids = source.texts("SecurityGroupId");
    for name in params.texts("SecurityGroup") {
        if name != "default" && !lenient {
            return Err(Ec2Error::new(
                "InvalidGroup.NotFound",
                format!(
                    "The security group '{name}' does not exist in default VPC '{}'",
                    network.vpc_id()
                ),
            ));
        }
        group_ids.push(network.default_group_id());
    }
    check_groups(world, place, &group_ids)?;
    if group_ids.is_empty() {
        group_ids.push(network.default_group_id());
    }
    let public_address = source.flag("AssociatePublicIpAddress")?.unwrap_or(true);
    Ok(NetworkChoice {
        zone,
        subnet_id,
        group_ids,
        public_address,
    })
}

/// Refuses security groups that do not exist.
pub(crate) fn check_groups(
    world: &World,
    place: &Place,
    group_ids: &[String],
) -> Result<(), Ec2Error> {
    let default = place.network().default_group_id();
    match group_ids.iter().find(|id| **id != default) {
        Some(id) if !id.starts_with("sg-") => Err(Ec2Error::new(
            "InvalidGroupId.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"sg-...\")"),
        )),
        Some(id) if !world.settings.any_network => Err(Ec2Error::new(
            "InvalidGroup.NotFound",
            format!("The security group '{id}' does not exist"),
        )),
        _ => Ok(()),
    }
}
