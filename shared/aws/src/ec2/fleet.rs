//! CreateFleet of type `instant`.
//!
//! Sources: Amazon EC2 API Reference, CreateFleet; Amazon EC2 User Guide, "Configure an EC2 Fleet of type instant" and "Use
//! allocation strategies to determine how EC2 Fleet or Spot Fleet fulfills Spot and On-Demand capacity".

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    CreateFleetError, CreateFleetInstance, DefaultTargetCapacityType,
    FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetOnDemandAllocationStrategy, FleetType,
    InstanceType, LaunchTemplateAndOverridesResponse, OnDemandOptionsRequest, ResourceType,
    SpotAllocationStrategy, SpotInstanceInterruptionBehavior, SpotOptionsRequest,
    TargetCapacitySpecificationRequest,
};
use spawn_core::ids::{InstanceArn, Market};
use spawn_core::ports::{CloudInstance, InstanceState, LaunchRequest, Launched, Refusal};
use spawn_core::rows::{Addresses, Location, Pool};

use super::errors;
use super::launch::{TEMPLATE_VERSION, launch_config, tags};
use crate::clock::now_ms;
use crate::sdk::Failure;

/// Launches from all pools of the request's rung: spot where capacity and price promise most, on demand in the pools' order.
pub(super) async fn create(client: &Client, request: &LaunchRequest) -> Result<Launched, Failure> {
    let count = i32::try_from(request.count)
        .map_err(|_| Failure::Invalid("too many instances".to_owned()))?;
    let rung = &request.rung;
    let template = FleetLaunchTemplateSpecificationRequest::builder()
        .launch_template_name(&request.template)
        .version(TEMPLATE_VERSION)
        .build();
    let config = FleetLaunchTemplateConfigRequest::builder()
        .launch_template_specification(template)
        .set_overrides(Some(overrides(&rung.pools)))
        .build();
    let capacity = TargetCapacitySpecificationRequest::builder()
        .total_target_capacity(count)
        .default_target_capacity_type(match rung.market {
            Market::OnDemand => DefaultTargetCapacityType::OnDemand,
            Market::Spot => DefaultTargetCapacityType::Spot,
        })
        .build();
    let call = client
        .create_fleet()
        .r#type(FleetType::Instant)
        .client_token(request.token.as_str())
        .launch_template_configs(config)
        .target_capacity_specification(capacity)
        .tag_specifications(tags(ResourceType::Fleet, &request.tags))
        .tag_specifications(tags(ResourceType::Instance, &request.tags));
    // EC2 refuses options of the market that a fleet does not ask for.
    let call = match rung.market {
        Market::Spot => call.spot_options(
            SpotOptionsRequest::builder()
                .allocation_strategy(SpotAllocationStrategy::PriceCapacityOptimized)
                .instance_interruption_behavior(SpotInstanceInterruptionBehavior::Terminate)
                .set_single_availability_zone(rung.is_one_zone.then_some(true))
                .build(),
        ),
        Market::OnDemand => call.on_demand_options(
            OnDemandOptionsRequest::builder()
                .allocation_strategy(FleetOnDemandAllocationStrategy::Prioritized)
                .set_single_availability_zone(rung.is_one_zone.then_some(true))
                .build(),
        ),
    };
    let answer = call
        .customize()
        .config_override(launch_config())
        .send()
        .await
        .map_err(|error| Failure::of(&error))?;
    Ok(Launched {
        instances: answer
            .instances()
            .iter()
            .flat_map(|one| instances(request, one))
            .collect(),
        refusals: answer.errors().iter().filter_map(refusal).collect(),
    })
}

/// One override for each pool. A type's place in the order is its priority: its zones are equal.
fn overrides(pools: &[Pool]) -> Vec<FleetLaunchTemplateOverridesRequest> {
    let mut types: Vec<&str> = Vec::new();
    pools
        .iter()
        .map(|pool| {
            let name = pool.instance_type.as_str();
            let position = types
                .iter()
                .position(|one| *one == name)
                .unwrap_or_else(|| {
                    types.push(name);
                    types.len() - 1
                });
            let (zone, subnet) = match &pool.location {
                Location::Any => (None, None),
                Location::Zone(zone) => (Some(zone.clone()), None),
                Location::Subnet(subnet) => (None, Some(subnet.clone())),
            };
            FleetLaunchTemplateOverridesRequest::builder()
                .instance_type(InstanceType::from(name))
                .priority(f64::from(u32::try_from(position).unwrap_or(u32::MAX)))
                .set_availability_zone(zone)
                .set_subnet_id(subnet)
                .build()
        })
        .collect()
}

/// The instances that a fleet launched from one override. It tells neither addresses nor the time.
fn instances(request: &LaunchRequest, one: &CreateFleetInstance) -> Vec<CloudInstance> {
    let pool = pool_of(one.launch_template_and_overrides());
    let instance_type = one
        .instance_type()
        .map(|name| name.as_str().to_owned())
        .or_else(|| pool.as_ref().map(|pool| pool.instance_type.clone()))
        .unwrap_or_default();
    let zone = match pool.map(|pool| pool.location) {
        Some(Location::Zone(zone)) => zone,
        _ => zone_of(one.launch_template_and_overrides()).unwrap_or_default(),
    };
    one.instance_ids()
        .iter()
        .map(|id| CloudInstance {
            arn: InstanceArn {
                // All regions that spawn knows are of this partition.
                partition: "aws".to_owned(),
                region: request.region,
                account: request.account.clone(),
                instance_id: id.clone(),
            },
            state: InstanceState::Pending,
            instance_type: instance_type.clone(),
            market: request.rung.market,
            availability_zone: zone.clone(),
            launched_at: now_ms(),
            addresses: Addresses::default(),
            state_reason: None,
            seen_at: now_ms(),
        })
        .collect()
}

/// Why an override gave less; `None` when EC2 does not say of which.
fn refusal(error: &CreateFleetError) -> Option<Refusal> {
    let pool = pool_of(error.launch_template_and_overrides())?;
    let code = error.error_code().unwrap_or("unknown error").to_owned();
    let text = match error.error_message() {
        Some(words) => format!("{code}: {words}"),
        None => code.clone(),
    };
    let error = errors::of_failure(Failure::Answer {
        code,
        text,
        server: false,
    });
    Some(Refusal { pool, error })
}

/// The pool of an override: by its subnet if it names one, as it was asked for, else by its zone.
fn pool_of(one: Option<&LaunchTemplateAndOverridesResponse>) -> Option<Pool> {
    let overrides = one?.overrides()?;
    let location = match (overrides.subnet_id(), overrides.availability_zone()) {
        (Some(subnet), _) => Location::Subnet(subnet.to_owned()),
        (None, Some(zone)) => Location::Zone(zone.to_owned()),
        (None, None) => Location::Any,
    };
    Some(Pool {
        instance_type: overrides.instance_type()?.as_str().to_owned(),
        location,
    })
}

fn zone_of(one: Option<&LaunchTemplateAndOverridesResponse>) -> Option<String> {
    one?.overrides()?.availability_zone().map(str::to_owned)
}
