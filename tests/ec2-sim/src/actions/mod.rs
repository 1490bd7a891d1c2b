//! The actions of the API: a table of names, what each accepts, and the function that carries it out.

mod catalogue;
mod console;
mod create_fleet;
mod describe_instances;
mod fleet_plan;
mod fleet_request;
mod fleets;
mod images;
mod instance_xml;
mod launch;
mod launch_options;
mod launch_request;
mod modify;
mod network;
pub(crate) mod placement;
mod run_instances;
mod states;
mod tagging;
mod template_xml;
mod templates;
mod volumes;

use crate::limits::{instance_bucket, request_bucket};
use crate::model::Place;
use crate::wire::{Ec2Error, Params, Xml};
use crate::world::World;

/// One call of an action.
#[derive(Debug)]
pub(crate) struct Call<'w> {
    pub(crate) world: &'w mut World,
    pub(crate) place: Place,
    pub(crate) params: &'w Params,
    pub(crate) action: &'static str,
    pub(crate) now_ms: u64,
    /// A number of its own for each call.
    pub(crate) id: u64,
}

impl Call<'_> {
    /// Draws instances from the bucket of this action.
    pub(crate) fn take_instances(&mut self, count: u32) -> Result<(), Ec2Error> {
        let bucket = instance_bucket(self.action);
        if self
            .world
            .buckets
            .take(&self.place, &bucket, count, self.now_ms)
        {
            Ok(())
        } else {
            Err(Ec2Error::throttled())
        }
    }
}

/// An action of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    /// Top-level parameters that are modelled, or have no effect here. Others are refused: silence would be a lie.
    accepts: &'static [&'static str],
    run: fn(&mut Call<'_>, &mut Xml) -> Result<(), Ec2Error>,
}

const fn action(
    name: &'static str,
    accepts: &'static [&'static str],
    run: fn(&mut Call<'_>, &mut Xml) -> Result<(), Ec2Error>,
) -> Action {
    Action { name, accepts, run }
}

const ACTIONS: [Action; 34] = [
    action("RunInstances", run_instances::ACCEPTS, run_instances::run),
    action("CreateFleet", create_fleet::ACCEPTS, create_fleet::run),
    action(
        "DescribeInstances",
        &["InstanceId", "Filter", "MaxResults", "NextToken"],
        describe_instances::instances,
    ),
    action(
        "DescribeInstanceStatus",
        &[
            "InstanceId",
            "Filter",
            "MaxResults",
            "NextToken",
            "IncludeAllInstances",
        ],
        describe_instances::status,
    ),
    action(
        "TerminateInstances",
        &["InstanceId", "Force", "SkipOsShutdown"],
        states::terminate,
    ),
    action(
        "StopInstances",
        &["InstanceId", "Force", "Hibernate", "SkipOsShutdown"],
        states::stop,
    ),
    action(
        "StartInstances",
        &["InstanceId", "AdditionalInfo"],
        states::start,
    ),
    action(
        "CreateLaunchTemplate",
        &[
            "ClientToken",
            "LaunchTemplateName",
            "VersionDescription",
            "LaunchTemplateData",
            "TagSpecification",
        ],
        templates::create,
    ),
    action(
        "CreateLaunchTemplateVersion",
        &[
            "ClientToken",
            "LaunchTemplateId",
            "LaunchTemplateName",
            "SourceVersion",
            "VersionDescription",
            "LaunchTemplateData",
            "ResolveAlias",
        ],
        templates::create_version,
    ),
    action(
        "ModifyLaunchTemplate",
        // The version travels under the name SetDefaultVersion.
        &[
            "ClientToken",
            "LaunchTemplateId",
            "LaunchTemplateName",
            "SetDefaultVersion",
        ],
        templates::modify,
    ),
    action(
        "DescribeLaunchTemplates",
        &[
            "LaunchTemplateId",
            "LaunchTemplateName",
            "Filter",
            "MaxResults",
            "NextToken",
        ],
        templates::describe,
    ),
    action(
        "DescribeLaunchTemplateVersions",
        &[
            "LaunchTemplateId",
            "LaunchTemplateName",
            "LaunchTemplateVersion",
            "MinVersion",
            "MaxVersion",
            "MaxResults",
            "NextToken",
            "ResolveAlias",
        ],
        templates::describe_versions,
    ),
    action(
        "DeleteLaunchTemplate",
        &["LaunchTemplateId", "LaunchTemplateName"],
        templates::delete,
    ),
    action(
        "CreatePlacementGroup",
        &[
            "GroupName",
            "GroupId",
            "Strategy",
            "PartitionCount",
            "SpreadLevel",
            "TagSpecification",
        ],
        placement::create,
    ),
    action(
        "DescribePlacementGroups",
        &["GroupName", "GroupId", "Filter"],
        placement::describe,
    ),
    action("DeletePlacementGroup", &["GroupName"], placement::delete),
    action("CreateTags", &["ResourceId", "Tag"], tagging::create),
    action("DeleteTags", &["ResourceId", "Tag"], tagging::delete),
    action(
        "DescribeTags",
        &["Filter", "MaxResults", "NextToken"],
        tagging::describe,
    ),
    action(
        "DescribeInstanceTypes",
        &["InstanceType", "Filter", "MaxResults", "NextToken"],
        catalogue::instance_types,
    ),
    action(
        "DescribeInstanceTypeOfferings",
        &["LocationType", "Filter", "MaxResults", "NextToken"],
        catalogue::offerings,
    ),
    action(
        "DescribeSpotPriceHistory",
        &[
            "StartTime",
            "EndTime",
            "InstanceType",
            "ProductDescription",
            "AvailabilityZone",
            "AvailabilityZoneId",
            "Filter",
            "MaxResults",
            "NextToken",
        ],
        catalogue::spot_prices,
    ),
    action(
        "DescribeImages",
        &[
            "ImageId",
            "Owner",
            "ExecutableBy",
            "Filter",
            "IncludeDeprecated",
            "IncludeDisabled",
            "MaxResults",
            "NextToken",
        ],
        images::describe,
    ),
    action(
        "DescribeRegions",
        &["RegionName", "AllRegions", "Filter"],
        network::regions,
    ),
    action(
        "DescribeAvailabilityZones",
        &["ZoneName", "ZoneId", "AllAvailabilityZones", "Filter"],
        network::zones,
    ),
    action(
        "DescribeVpcs",
        &["VpcId", "Filter", "MaxResults", "NextToken"],
        network::vpcs,
    ),
    action(
        "DescribeSubnets",
        &["SubnetId", "Filter", "MaxResults", "NextToken"],
        network::subnets,
    ),
    action(
        "DescribeSecurityGroups",
        &["GroupId", "GroupName", "Filter", "MaxResults", "NextToken"],
        network::groups,
    ),
    action(
        "DescribeVolumes",
        &["VolumeId", "Filter", "MaxResults", "NextToken"],
        volumes::describe,
    ),
    action(
        "GetConsoleOutput",
        &["InstanceId", "Latest"],
        console::output,
    ),
    action("ModifyInstanceAttribute", modify::ACCEPTS, modify::modify),
    action(
        "DescribeInstanceAttribute",
        &["InstanceId", "Attribute"],
        modify::describe,
    ),
    action(
        "DescribeFleets",
        &["FleetId", "Filter", "MaxResults", "NextToken"],
        fleets::describe,
    ),
    action(
        "DeleteFleets",
        &["FleetId", "TerminateInstances"],
        fleets::delete,
    ),
];

/// Parameters that any call may carry: of the protocol itself, and of older signatures.
const COMMON: [&str; 10] = [
    "Action",
    "Version",
    "DryRun",
    "AWSAccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "SecurityToken",
    "Expires",
];

/// The action of this name.
pub(crate) fn find(name: &str) -> Result<Action, Ec2Error> {
    ACTIONS
        .iter()
        .find(|one| one.name == name)
        .copied()
        .ok_or_else(|| {
            Ec2Error::new(
                "InvalidAction",
                format!("The action {name} is not valid for this web service."),
            )
        })
}

impl Action {
    /// Draws the request token of a call ("Request throttling for the Amazon EC2 API").
    pub(crate) fn take_request(&self, call: &mut Call<'_>) -> Result<(), Ec2Error> {
        let narrowed = [
            "Filter",
            "InstanceId",
            "VolumeId",
            "MaxResults",
            "NextToken",
        ]
        .iter()
        .any(|name| call.params.get(name).is_some());
        let bucket = request_bucket(self.name, narrowed);
        if call
            .world
            .buckets
            .take(&call.place, &bucket, 1, call.now_ms)
        {
            Ok(())
        } else {
            Err(Ec2Error::throttled())
        }
    }

    /// Carries a call out and returns the body of its answer.
    pub(crate) fn run(&self, call: &mut Call<'_>) -> Result<String, Ec2Error> {
        for (name, _) in call.params.children() {
            if !COMMON.contains(&name)
                && !name.starts_with("X-Amz-")
                && !self.accepts.contains(&name)
            {
                return Err(Ec2Error::new(
                    "UnknownParameter",
                    format!(
                        "The parameter {name} is not recognized (ec2-sim does not model it for {})",
                        self.name
                    ),
                ));
            }
        }
        if call.params.flag("DryRun")? == Some(true) {
            return Err(Ec2Error::new(
                "DryRunOperation",
                "Request would have succeeded, but DryRun flag is set.",
            ));
        }
        let mut xml = Xml::new();
        (self.run)(call, &mut xml)?;
        Ok(xml.into_string())
    }
}
