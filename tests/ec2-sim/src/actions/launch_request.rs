//! From the parameters of a launch, and those of its template, to a checked [`LaunchSpec`].
//!
//! Source: API RunInstances, and "Launch instances from a launch template", EC2 user guide: what the request names
//! overrides the template.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::catalogue::{Image, InstanceType, image, instance_type};
use crate::model::{
    LaunchSpec, Place, ShutdownBehavior, TagSpecifications, Template, TemplateVersion,
};
use crate::wire::{Ec2Error, Params};
use crate::world::World;

use super::{launch_options, placement};

/// User data may be this large before Base64 ("User data", EC2 user guide).
const USER_DATA_BYTES_MAX: usize = 16_384;

/// What may be tagged by a launch.
const TAGGABLE: [&str; 5] = [
    "instance",
    "volume",
    "network-interface",
    "spot-instances-request",
    "elastic-gpu",
];

/// The version of a launch template that a launch uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateUse {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) data: Params,
}

/// Finds the template that `LaunchTemplateId` or `LaunchTemplateName` names.
pub(crate) fn find_template<'w>(
    templates: &'w [Template],
    place: &Place,
    params: &Params,
) -> Result<&'w Template, Ec2Error> {
    let (id, name) = (
        params.text("LaunchTemplateId"),
        params.text("LaunchTemplateName"),
    );
    let mut here = templates.iter().filter(|one| one.place == *place);
    match (id, name) {
        (Some(_), Some(_)) => Err(Ec2Error::combination(
            "The parameter launchTemplateId cannot be used with the parameter launchTemplateName",
        )),
        (Some(id), None) => here.find(|one| one.id == id).ok_or_else(|| {
            if id.starts_with("lt-") {
                Ec2Error::new(
                    "InvalidLaunchTemplateId.NotFound",
                    format!(
                        "The specified launch template, with template ID {id}, does not exist."
                    ),
                )
            } else {
                Ec2Error::new(
                    "InvalidLaunchTemplateId.Malformed",
                    format!("Invalid id: \"{id}\""),
                )
            }
        }),
        (None, Some(name)) => here.find(|one| one.name == name).ok_or_else(|| {
            Ec2Error::new(
                "InvalidLaunchTemplateName.NotFoundException",
                format!(
                    "The specified launch template, with template name {name}, does not exist."
                ),
            )
        }),
        (None, None) => Err(Ec2Error::new(
            "MissingParameter",
            "Either 'LaunchTemplateId' or 'LaunchTemplateName' must be specified.",
        )),
    }
}

/// The template version that a launch specification names; `$Default` when it names none.
pub(crate) fn use_template(
    world: &World,
    place: &Place,
    specification: &Params,
) -> Result<TemplateUse, Ec2Error> {
    let template = find_template(&world.templates, place, specification)?;
    let version: &TemplateVersion =
        template.version(specification.text("Version").unwrap_or("$Default"))?;
    Ok(TemplateUse {
        id: template.id.clone(),
        name: template.name.clone(),
        version: version.number,
        data: version.data.clone(),
    })
}

/// Puts a request and its template together and checks the outcome.
pub(crate) fn resolve(
    world: &World,
    place: &Place,
    request: &Params,
    template: Option<&TemplateUse>,
) -> Result<LaunchSpec, Ec2Error> {
    let effective = template.map_or_else(
        || request.clone(),
        |template| template.data.overridden_by(request),
    );
    let image = find_image(place, &effective)?;
    let instance_type = find_type(&effective)?;
    if image.architecture != instance_type.architecture {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!(
                "The architecture '{}' of the specified instance type does not match the architecture '{}' of the \
                 specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You \
                 can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type \
                 or AMI.",
                instance_type.architecture.as_str(),
                image.architecture.as_str()
            ),
        ));
    }
    let user_data = effective.text("UserData").map(ToOwned::to_owned);
    check_user_data(user_data.as_deref())?;
    let market = launch_options::market(&effective, instance_type)?;
    let volume = launch_options::volume(&effective)?;
    let hibernation = launch_options::hibernation(&effective, instance_type, &volume)?;
    let network = launch_options::network(world, place, &effective)?;
    let placement_group = placement::of_launch(world, place, &effective, instance_type)?;
    let efa = launch_options::efa(&effective, instance_type)?;
    let metadata = launch_options::metadata(&effective)?;
    let tags = read_tags(request, template, market.kind())?;
    if metadata.tags {
        launch_options::check_metadata_tag_keys(&tags.of("instance"))?;
    }
    Ok(LaunchSpec {
        image,
        instance_type,
        market,
        zone: network
            .zone
            .or_else(|| world.zone_of_group(place, placement_group.as_deref())),
        placement_group,
        efa,
        subnet_id: network.subnet_id,
        key_name: effective.text("KeyName").map(ToOwned::to_owned),
        user_data,
        shutdown_behavior: shutdown_behavior(effective.text("InstanceInitiatedShutdownBehavior"))?,
        metadata,
        hibernation,
        profile_arn: launch_options::profile_arn(&effective, place)?,
        group_ids: network.group_ids,
        monitoring: effective.flag("Monitoring.Enabled")?.unwrap_or(false),
        ebs_optimized: effective.flag("EbsOptimized")?.unwrap_or(false),
        termination_protected: effective.flag("DisableApiTermination")?.unwrap_or(false),
        public_address: network.public_address,
        volume,
        tags,
    })
}

/// Tags of the template and the request together, the latter winning; EC2 adds which template was used.
fn read_tags(
    request: &Params,
    template: Option<&TemplateUse>,
    market: crate::limits::MarketKind,
) -> Result<TagSpecifications, Ec2Error> {
    let own = TagSpecifications::read(request, &TAGGABLE)?;
    if market == crate::limits::MarketKind::OnDemand && own.has("spot-instances-request") {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            "'spot-instances-request' is not a valid taggable resource type for this operation.",
        ));
    }
    let Some(template) = template else {
        return Ok(own);
    };
    let mut tags = TagSpecifications::read(&template.data, &TAGGABLE)?.merged_with(own);
    tags.add("instance", "aws:ec2launchtemplate:id", &template.id);
    tags.add(
        "instance",
        "aws:ec2launchtemplate:version",
        &template.version.to_string(),
    );
    Ok(tags)
}

/// Reads `stop` (the default) or `terminate`.
pub(crate) fn shutdown_behavior(text: Option<&str>) -> Result<ShutdownBehavior, Ec2Error> {
    match text {
        None | Some("stop") => Ok(ShutdownBehavior::Stop),
        Some("terminate") => Ok(ShutdownBehavior::Terminate),
        Some(other) => Err(Ec2Error::invalid_value(
            "instanceInitiatedShutdownBehavior",
            other,
            "Valid values are: stop, terminate.",
        )),
    }
}

fn find_image(place: &Place, params: &Params) -> Result<&'static Image, Ec2Error> {
    let id = params.required("ImageId")?;
    if !id.starts_with("ami-") {
        return Err(Ec2Error::new(
            "InvalidAMIID.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"ami-...\")"),
        ));
    }
    image(place.region.name, id).ok_or_else(|| {
        Ec2Error::new(
            "InvalidAMIID.NotFound",
            format!("The image id '[{id}]' does not exist"),
        )
    })
}

fn find_type(params: &Params) -> Result<&'static InstanceType, Ec2Error> {
    let name = params.required("InstanceType")?;
    instance_type(name).ok_or_else(|| {
        Ec2Error::new(
            "InvalidParameterValue",
            format!("Invalid value '{name}' for InstanceType."),
        )
    })
}

/// User data comes in Base64 and is limited before it.
pub(crate) fn check_user_data(encoded: Option<&str>) -> Result<(), Ec2Error> {
    let Some(encoded) = encoded else {
        return Ok(());
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| {
        Ec2Error::new(
            "InvalidUserData.Malformed",
            "Invalid BASE64 encoding of user data.",
        )
    })?;
    if bytes.len() > USER_DATA_BYTES_MAX {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("User data is limited to {USER_DATA_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}
