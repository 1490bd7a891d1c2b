//! Launch templates and RunInstances; what fleets have of their own is in [`fleet`].

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{Builder, Config};
use aws_sdk_ec2::types::{
    InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceType,
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHibernationOptionsRequest, LaunchTemplateHttpTokensState,
    LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceMetadataTagsState,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest, LaunchTemplatePlacementRequest,
    LaunchTemplateSpecification, LaunchTemplateTagSpecificationRequest, MarketType, Placement,
    PlacementStrategy, RequestLaunchTemplateData, ResourceType, ShutdownBehavior, SpotInstanceType,
    SpotMarketOptions, Tag, TagSpecification, VolumeType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spawn_core::ids::{ClientToken, Market};
use spawn_core::ports::{
    CloudInstance, Ec2Error, LaunchInstances, LaunchRequest, Launched, Template,
};
use spawn_core::region::Region;
use spawn_core::rows::{Efa, HibernationVolume, LaunchApi, Location};

use super::instances::{cloud_instance, described};
use super::{Ec2, errors, fleet};
use crate::sdk::{self, Failure};

/// A template of this name exists (CreateLaunchTemplate).
const TEMPLATE_EXISTS: &str = "InvalidLaunchTemplateName.AlreadyExistsException";
/// A placement group of this name exists (CreatePlacementGroup).
const GROUP_EXISTS: &str = "InvalidPlacementGroup.Duplicate";
/// No template of this name exists, or not yet everywhere (RunInstances, DeleteLaunchTemplate).
pub(super) const TEMPLATE_ABSENT: [&str; 2] = [
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateId.NotFound",
];
/// A template is never changed, so it has one version.
pub(super) const TEMPLATE_VERSION: &str = "1";
/// The tag that names the attempt of an instance.
const ATTEMPT_TAG: &str = "tag:spawn:attempt";

/// A launch of a hundred instances takes several seconds. One try: the lane repeats by its own clock and counts what it asks
/// for, and only of a single try does an error say for certain that nothing was launched.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(40);
const LAUNCH_ATTEMPTS: u32 = 1;

/// How launch calls are made.
pub(super) fn launch_config() -> Builder {
    Config::builder()
        .timeout_config(sdk::timeouts(LAUNCH_TIMEOUT, LAUNCH_TIMEOUT))
        .retry_config(RetryConfig::standard().with_max_attempts(LAUNCH_ATTEMPTS))
}

impl LaunchInstances for Ec2 {
    async fn ensure_template(&self, region: &Region, template: &Template) -> Result<(), Ec2Error> {
        if let Some(group) = &template.shape.placement_group
            && group.is_own
        {
            self.ensure_group(region, &group.name, &template.tags)
                .await?;
        }
        let request = self
            .client(*region)
            .create_launch_template()
            .launch_template_name(&template.name)
            .launch_template_data(template_data(template))
            .tag_specifications(tags(ResourceType::LaunchTemplate, &template.tags));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.code() == Some(TEMPLATE_EXISTS) {
                    return Ok(());
                }
                Err(self.explain(*region, errors::of_failure(failure)).await)
            }
        }
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, Ec2Error> {
        let client = self.client(request.region);
        let answer = match request.rung.api {
            LaunchApi::RunInstances => run_instances(&client, request).await,
            LaunchApi::CreateFleet => fleet::create(&client, request).await,
        };
        match answer {
            Ok(launched) => Ok(launched),
            Err(failure) => Err(self.explain(request.region, of_launch(failure)).await),
        }
    }

    async fn launched_by(
        &self,
        region: &Region,
        token: &ClientToken,
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        let values = vec![token.as_str().to_owned()];
        described(&self.client(*region), *region, ATTEMPT_TAG, values).await
    }
}

impl Ec2 {
    /// Creates a placement group of strategy cluster, unless it exists.
    async fn ensure_group(
        &self,
        region: &Region,
        name: &str,
        group_tags: &[(String, String)],
    ) -> Result<(), Ec2Error> {
        let request = self
            .client(*region)
            .create_placement_group()
            .group_name(name)
            .strategy(PlacementStrategy::Cluster)
            .tag_specifications(tags(ResourceType::PlacementGroup, group_tags));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.code() == Some(GROUP_EXISTS) {
                    return Ok(());
                }
                Err(self.explain(*region, errors::of_failure(failure)).await)
            }
        }
    }
}

/// Launches from the one pool of the request's rung.
async fn run_instances(client: &Client, request: &LaunchRequest) -> Result<Launched, Failure> {
    let invalid = |text: &str| Failure::Invalid(text.to_owned());
    let count = i32::try_from(request.count).map_err(|_| invalid("too many instances"))?;
    let [pool] = &request.rung.pools[..] else {
        return Err(invalid("RunInstances draws on one pool"));
    };
    let template = LaunchTemplateSpecification::builder()
        .launch_template_name(&request.template)
        .version(TEMPLATE_VERSION);
    let (subnet_id, placement) = match &pool.location {
        Location::Any => (None, None),
        Location::Subnet(subnet) => (Some(subnet.clone()), None),
        Location::Zone(zone) => {
            let placement = Placement::builder().availability_zone(zone).build();
            (None, Some(placement))
        }
    };
    let answer = client
        .run_instances()
        .launch_template(template.build())
        .instance_type(InstanceType::from(pool.instance_type.as_str()))
        .min_count(1)
        .max_count(count)
        .client_token(request.token.as_str())
        .set_subnet_id(subnet_id)
        .set_placement(placement)
        .set_instance_market_options(market_options(request.rung.market))
        .tag_specifications(tags(ResourceType::Instance, &request.tags))
        .customize()
        .config_override(launch_config())
        .send()
        .await
        .map_err(|error| Failure::of(&error))?;
    let account = answer.owner_id().unwrap_or_default();
    let instances: Result<Vec<_>, Ec2Error> = answer
        .instances()
        .iter()
        .map(|instance| cloud_instance(request.region, account, instance))
        .collect();
    Ok(Launched {
        // An answer that is not complete is none: the repeat answers it again.
        instances: instances.map_err(|error| Failure::NoAnswer(error.text().to_owned()))?,
        refusals: Vec::new(),
    })
}

/// The error of a launch. A template that was just created may not be known everywhere (Amazon EC2 Developer Guide,
/// "Eventual consistency in the Amazon EC2 API"): the same call again.
fn of_launch(failure: Failure) -> Ec2Error {
    let unknown_template = failure
        .code()
        .is_some_and(|code| TEMPLATE_ABSENT.contains(&code));
    match errors::of_failure(failure) {
        Ec2Error::Refused(text) if unknown_template => Ec2Error::Transient(text),
        error => error,
    }
}

fn template_data(template: &Template) -> RequestLaunchTemplateData {
    let shape = &template.shape;
    let profile = LaunchTemplateIamInstanceProfileSpecificationRequest::builder()
        .name(&shape.instance_profile)
        .build();
    // Tokens keep a program that can be made to fetch a URL from handing out the instance's credentials; one hop keeps them
    // out of containers.
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Disabled)
        .build();
    let groups = Some(shape.security_group_ids.clone()).filter(|groups| !groups.is_empty());
    // EC2 takes security groups of the instance or of its interfaces, not both (InvalidParameterCombination).
    let (groups, of_adapter) = match &shape.efa {
        None => (groups, None),
        Some(efa) => (None, Some(adapter(efa, groups))),
    };
    let placement = shape.placement_group.as_ref().map(|group| {
        let placement = LaunchTemplatePlacementRequest::builder();
        placement.group_name(&group.name).build()
    });
    let root = shape.hibernation.as_ref().map(root_volume);
    let hibernation = shape.hibernation.as_ref().map(|_| {
        LaunchTemplateHibernationOptionsRequest::builder()
            .configured(true)
            .build()
    });
    RequestLaunchTemplateData::builder()
        .image_id(&shape.ami)
        .user_data(STANDARD.encode(&template.user_data))
        .iam_instance_profile(profile)
        .set_key_name(shape.key_name.clone())
        .set_security_group_ids(groups)
        .set_network_interfaces(of_adapter.map(|adapter| vec![adapter]))
        .set_placement(placement)
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .metadata_options(metadata)
        .set_hibernation_options(hibernation)
        .set_block_device_mappings(root.map(|root| vec![root]))
        // A fleet takes tags of instances in its request, and those of volumes only from here.
        .tag_specifications(volume_tags(&template.tags))
        .build()
}

/// The root volume of instances that can hibernate: their memory is written to it, so EC2 wants it encrypted and large enough
/// (Amazon EC2 User Guide, "Prerequisites for EC2 instance hibernation").
fn root_volume(volume: &HibernationVolume) -> LaunchTemplateBlockDeviceMappingRequest {
    let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
        .encrypted(true)
        .volume_size(i32::try_from(volume.gib).unwrap_or(i32::MAX))
        .volume_type(VolumeType::Gp3)
        .delete_on_termination(true)
        .build();
    LaunchTemplateBlockDeviceMappingRequest::builder()
        .device_name(&volume.device)
        .ebs(ebs)
        .build()
}

fn volume_tags(tags: &[(String, String)]) -> LaunchTemplateTagSpecificationRequest {
    let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
    LaunchTemplateTagSpecificationRequest::builder()
        .resource_type(ResourceType::Volume)
        .set_tags(Some(tags.iter().map(tag).collect()))
        .build()
}

/// The Elastic Fabric Adapter as the instance's first network interface ("Launch EC2 instances with an EFA", Amazon EC2 User
/// Guide). It is deleted with the instance, as an interface that EC2 makes by itself is.
fn adapter(
    efa: &Efa,
    groups: Option<Vec<String>>,
) -> LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .interface_type("efa")
        .set_subnet_id(efa.subnet_id.clone())
        .set_groups(groups)
        .delete_on_termination(true)
        .build()
}

fn market_options(market: Market) -> Option<InstanceMarketOptionsRequest> {
    match market {
        Market::OnDemand => None,
        Market::Spot => {
            let spot = SpotMarketOptions::builder()
                .spot_instance_type(SpotInstanceType::OneTime)
                .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
                .build();
            let options = InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot);
            Some(options.spot_options(spot).build())
        }
    }
}

pub(super) fn tags(resource: ResourceType, tags: &[(String, String)]) -> TagSpecification {
    let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
    TagSpecification::builder()
        .resource_type(resource)
        .set_tags(Some(tags.iter().map(tag).collect()))
        .build()
}

#[cfg(test)]
mod tests {
    use spawn_core::rows::{PlacementGroup, Shape};

    use super::*;

    fn template() -> Template {
        Template {
            name: "spawn-a".to_owned(),
            shape: Shape {
                instance_types: vec!["t3.micro".to_owned()],
                ami: "ami-1".to_owned(),
                instance_profile: "spawn-instance-profile".to_owned(),
                ..Shape::default()
            },
            user_data: "#!/bin/sh\n".to_owned(),
            tags: vec![("spawn:managed".to_owned(), "true".to_owned())],
        }
    }

    #[test]
    fn instances_end_when_they_shut_down_and_guard_their_credentials() {
        let data = template_data(&template());
        assert_eq!(data.user_data(), Some("IyEvYmluL3NoCg=="));
        assert_eq!(
            data.instance_initiated_shutdown_behavior(),
            Some(&ShutdownBehavior::Terminate)
        );
        let metadata = data.metadata_options().unwrap();
        assert_eq!(
            metadata.http_tokens(),
            Some(&LaunchTemplateHttpTokensState::Required)
        );
        assert_eq!(metadata.http_put_response_hop_limit(), Some(1));
        assert_eq!(
            data.iam_instance_profile().unwrap().name(),
            Some("spawn-instance-profile")
        );
    }

    #[test]
    fn an_adapter_takes_the_security_groups_and_the_subnet_to_itself() {
        let mut template = template();
        template.shape.security_group_ids = vec!["sg-1".to_owned()];
        template.shape.placement_group = Some(PlacementGroup {
            name: "tight".to_owned(),
            is_own: false,
        });
        template.shape.efa = Some(Efa {
            subnet_id: Some("subnet-1".to_owned()),
        });
        let data = template_data(&template);
        assert!(data.security_group_ids().is_empty());
        let [adapter] = data.network_interfaces() else {
            panic!("{data:?}");
        };
        assert_eq!(adapter.interface_type(), Some("efa"));
        assert_eq!(adapter.groups(), ["sg-1"]);
        assert_eq!(adapter.subnet_id(), Some("subnet-1"));
        let group = data
            .placement()
            .and_then(|placement| placement.group_name());
        assert_eq!(group, Some("tight"));
    }

    #[test]
    fn spot_is_asked_for_once_and_ends_by_termination() {
        assert_eq!(market_options(Market::OnDemand), None);
        let options = market_options(Market::Spot).unwrap();
        let spot = options.spot_options().unwrap();
        assert_eq!(spot.spot_instance_type(), Some(&SpotInstanceType::OneTime));
        let behavior = spot.instance_interruption_behavior();
        assert_eq!(behavior, Some(&InstanceInterruptionBehavior::Terminate));
    }

    #[test]
    fn a_template_that_is_not_known_yet_is_waited_for() {
        let error = of_launch(Failure::Answer {
            code: TEMPLATE_ABSENT[0].to_owned(),
            text: "words".to_owned(),
            server: false,
        });
        assert_eq!(error, Ec2Error::Transient("words".to_owned()));
    }
}
