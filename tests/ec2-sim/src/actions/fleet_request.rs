//! Reading a CreateFleet request of type `instant`.
//!
//! Source: API CreateFleet with its data types, and "Configure an EC2 Fleet of type instant" and "Fleet quotas", EC2 user guide.

use crate::limits::MarketKind;
use crate::model::{Place, TagSpecifications};
use crate::wire::{Ec2Error, Params};
use crate::world::World;

use super::launch_request::{TemplateUse, use_template};

/// Launch template configurations in one request.
const CONFIGS_MAX: usize = 50;
/// Target capacity of one fleet.
const TARGET_MAX: i64 = 10_000;
/// MinTargetCapacity.
const MIN_TARGET_MAX: i64 = 1_000;

/// Where to take instances from first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    LowestPrice,
    /// By the `Priority` of the overrides.
    Prioritized,
    /// Spread over all pools.
    Diversified,
    /// The pools with the most capacity, then the lowest price.
    CapacityOptimized,
    /// As above, with the price foremost among pools that have capacity.
    PriceCapacityOptimized,
}

/// What one market of the fleet is asked for.
#[derive(Clone, Debug)]
pub(super) struct MarketRequest {
    pub(super) market: MarketKind,
    pub(super) target: u32,
    pub(super) strategy: Strategy,
    pub(super) single_type: bool,
    pub(super) single_zone: bool,
    pub(super) min_target: u32,
}

/// A template with one set of overrides.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) template: TemplateUse,
    pub(super) overrides: Params,
    /// Units of capacity that an instance counts.
    pub(super) weight: f64,
    /// Smaller comes first; the last without one.
    pub(super) priority: f64,
}

/// A whole request.
#[derive(Debug)]
pub(super) struct FleetRequest {
    pub(super) markets: Vec<MarketRequest>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) tags: TagSpecifications,
}

impl FleetRequest {
    pub(super) fn read(world: &World, place: &Place, params: &Params) -> Result<Self, Ec2Error> {
        match params.text("Type") {
            Some("instant") => {}
            other => {
                return Err(Ec2Error::invalid_value(
                    "type",
                    other.unwrap_or("maintain"),
                    "ec2-sim models fleets of type instant.",
                ));
            }
        }
        let tags = TagSpecifications::read(params, &["fleet", "instance"])?;
        let configs = params.list("LaunchTemplateConfigs");
        if configs.is_empty() {
            return Err(Ec2Error::missing("LaunchTemplateConfigs"));
        }
        if configs.len() > CONFIGS_MAX {
            return Err(Ec2Error::new(
                "InvalidParameterValue",
                format!("At most {CONFIGS_MAX} launch template configurations are accepted."),
            ));
        }
        let mut candidates = Vec::new();
        for config in configs {
            let specification = config
                .get("LaunchTemplateSpecification")
                .ok_or_else(|| Ec2Error::missing("LaunchTemplateSpecification"))?;
            if specification.text("Version").is_none() {
                return Err(Ec2Error::missing("LaunchTemplateSpecification.Version"));
            }
            let template = use_template(world, place, specification)?;
            if template.data.get("InstanceMarketOptions").is_some() {
                return Err(Ec2Error::new(
                    "InvalidParameterValue",
                    "Launch template specified in the request contains 'InstanceMarketOptions', which is not supported by fleets.",
                ));
            }
            let overrides = config.list("Overrides");
            if overrides.is_empty() {
                candidates.push(Candidate::read(template, Params::default())?);
            } else {
                for one in overrides {
                    candidates.push(Candidate::read(template.clone(), one.clone())?);
                }
            }
        }
        Ok(Self {
            markets: markets(params)?,
            candidates,
            tags,
        })
    }
}

impl Candidate {
    fn read(template: TemplateUse, overrides: Params) -> Result<Self, Ec2Error> {
        if overrides.get("InstanceRequirements").is_some() {
            return Err(Ec2Error::new(
                "UnsupportedOperation",
                "ec2-sim does not model InstanceRequirements",
            ));
        }
        let number = |name: &str, default: f64| match overrides.text(name) {
            None => Ok(default),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| Ec2Error::invalid_value(name, text, "It must be a number.")),
        };
        let weight = number("WeightedCapacity", 1.0)?;
        let priority = number("Priority", f64::MAX)?;
        if weight <= 0.0 {
            return Err(Ec2Error::invalid_value(
                "WeightedCapacity",
                "0",
                "It must be greater than 0.",
            ));
        }
        Ok(Self {
            template,
            overrides,
            weight,
            priority,
        })
    }
}

/// Splits the target capacity into its markets.
fn markets(params: &Params) -> Result<Vec<MarketRequest>, Ec2Error> {
    let target = |name: &str| params.int(&format!("TargetCapacitySpecification.{name}"));
    let total = target("TotalTargetCapacity")?
        .ok_or_else(|| Ec2Error::missing("TargetCapacitySpecification.TotalTargetCapacity"))?;
    let on_demand = target("OnDemandTargetCapacity")?;
    let spot = target("SpotTargetCapacity")?;
    let in_range = |number: i64| (0..=TARGET_MAX).contains(&number);
    if !in_range(total)
        || !on_demand.is_none_or(in_range)
        || !spot.is_none_or(in_range)
        || total == 0
    {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("TotalTargetCapacity must be between 1 and {TARGET_MAX}."),
        ));
    }
    let rest = total - on_demand.unwrap_or(0) - spot.unwrap_or(0);
    if rest < 0 {
        return Err(Ec2Error::combination(
            "TotalTargetCapacity is less than the sum of its parts.",
        ));
    }
    let (mut on_demand, mut spot) = (on_demand.unwrap_or(0), spot.unwrap_or(0));
    match params.text("TargetCapacitySpecification.DefaultTargetCapacityType") {
        Some("spot") => spot += rest,
        None | Some("on-demand") => on_demand += rest,
        Some(other) => {
            return Err(Ec2Error::invalid_value(
                "DefaultTargetCapacityType",
                other,
                "Valid values are: spot, on-demand.",
            ));
        }
    }
    let mut markets = Vec::new();
    for (market, target, options) in [
        (MarketKind::OnDemand, on_demand, "OnDemandOptions"),
        (MarketKind::Spot, spot, "SpotOptions"),
    ] {
        let request = market_request(
            market,
            target,
            params.get(options).cloned().unwrap_or_default(),
        )?;
        if target > 0 {
            markets.push(request);
        }
    }
    Ok(markets)
}

fn market_request(
    market: MarketKind,
    target: i64,
    options: Params,
) -> Result<MarketRequest, Ec2Error> {
    let strategy = match (options.text("AllocationStrategy"), market) {
        (None | Some("lowest-price"), _) => Strategy::LowestPrice,
        (Some("prioritized"), MarketKind::OnDemand) => Strategy::Prioritized,
        (Some("capacity-optimized-prioritized"), MarketKind::Spot) => Strategy::Prioritized,
        (Some("capacity-optimized"), MarketKind::Spot) => Strategy::CapacityOptimized,
        (Some("price-capacity-optimized"), MarketKind::Spot) => Strategy::PriceCapacityOptimized,
        (Some("diversified"), MarketKind::Spot) => Strategy::Diversified,
        (Some(other), _) => {
            return Err(Ec2Error::invalid_value(
                "AllocationStrategy",
                other,
                "It is not a strategy of this market.",
            ));
        }
    };
    let single_type = options.flag("SingleInstanceType")?.unwrap_or(false);
    let single_zone = options.flag("SingleAvailabilityZone")?.unwrap_or(false);
    let min_target = options.int("MinTargetCapacity")?.unwrap_or(0);
    if !(0..=MIN_TARGET_MAX).contains(&min_target) {
        return Err(Ec2Error::invalid_value(
            "MinTargetCapacity",
            &min_target.to_string(),
            "The maximum is 1000.",
        ));
    }
    // "At least one of the following must be specified: SingleAvailabilityZone | SingleInstanceType".
    if min_target > 0 && !single_type && !single_zone {
        return Err(Ec2Error::combination(
            "MinTargetCapacity requires SingleInstanceType or SingleAvailabilityZone.",
        ));
    }
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    Ok(MarketRequest {
        market,
        target: count(target),
        strategy,
        single_type,
        single_zone,
        min_target: count(min_target),
    })
}
