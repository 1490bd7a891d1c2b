//! The ladder: where a shape's members are launched, and where they are launched instead when that place has nothing.

use crate::ids::{LaneId, Market};
use crate::rows::{LaneRow, LaunchApi, Location, Pool, Rung, Shape};

/// The most pools of one fleet: enough for ten types in ten zones, and far from what makes a request too large for EC2.
const FLEET_POOLS_MAX: usize = 100;

/// A step of the ladder: one call's worth of pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The lane whose place and shape are used.
    pub at: LaneId,
    /// How the instances are bought.
    pub market: Market,
    /// Which of the shape's pools.
    pub(crate) reach: Reach,
}

/// Which of a shape's pools a step draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All types in the zone that this part of a spread sweep begins with.
    FirstZone,
    /// The first type in the zone that EC2 chooses, by RunInstances.
    One,
    /// All types in all zones or subnets, by CreateFleet.
    All,
    /// All types in one subnet: a fleet may not have two subnets of one zone, and nobody has said in which zones they are.
    Subnet(usize),
}

/// The steps for the members of shape number `number` of a lane, in the order in which they are tried: all types and all
/// zones at once where a fleet can, then the other regions that the document allows, then the same on demand.
#[must_use]
pub fn ladder(lane: &LaneRow, number: u32, shape: &Shape) -> Vec<Step> {
    let markets = match (lane.lane.market, shape.on_demand_fallback) {
        (Market::Spot, true) => vec![Market::Spot, Market::OnDemand],
        (market, _) => vec![market],
    };
    let peers = lane.peers.iter().filter(|_| number < lane.movable_shapes);
    let places: Vec<&LaneId> = std::iter::once(&lane.lane).chain(peers).collect();
    let mut steps = Vec::new();
    for market in markets {
        for place in &places {
            for reach in reaches(shape, market) {
                steps.push(Step {
                    at: (*place).clone(),
                    market,
                    reach,
                });
            }
        }
    }
    steps
}

/// How a shape's pools are asked at one place, in one market.
fn reaches(shape: &Shape, market: Market) -> Vec<Reach> {
    let subnets = shape.subnet_ids.len();
    let has_choice = shape.instance_types.len() > 1 || locations(shape).len() > 1;
    let mut reaches = Vec::new();
    if shape.first_zone.is_some() {
        reaches.push(Reach::FirstZone);
    }
    // One type on demand needs no fleet: RunInstances lets EC2 choose the zone. When that has none, the fleet asks them all.
    let is_plain = market == Market::OnDemand && shape.instance_types.len() == 1;
    if is_plain && subnets <= 1 {
        reaches.push(Reach::One);
    }
    if has_choice || !is_plain {
        reaches.push(Reach::All);
    }
    if subnets > 1 {
        reaches.extend((0..subnets).map(Reach::Subnet));
    }
    reaches
}

/// Where a shape's instances may be.
fn locations(shape: &Shape) -> Vec<Location> {
    if !shape.subnet_ids.is_empty() {
        return shape
            .subnet_ids
            .iter()
            .cloned()
            .map(Location::Subnet)
            .collect();
    }
    if let Some(zone) = &shape.availability_zone {
        return vec![Location::Zone(zone.clone())];
    }
    if shape.zones.is_empty() {
        return vec![Location::Any];
    }
    shape.zones.iter().cloned().map(Location::Zone).collect()
}

/// The call of a step, as `shape` is at the step's place: type by type, all its locations before the next type.
#[must_use]
pub fn rung(step: &Step, shape: &Shape) -> Rung {
    let mut places = locations(shape);
    let api = match step.reach {
        Reach::FirstZone => {
            let zone = shape.first_zone.iter().cloned().map(Location::Zone);
            places = zone.collect();
            if step.market == Market::OnDemand && shape.instance_types.len() == 1 {
                LaunchApi::RunInstances
            } else {
                LaunchApi::CreateFleet
            }
        }
        Reach::One => {
            // A zone or subnet that the document names is kept; of several zones EC2 may choose.
            if places.len() > 1 {
                places = vec![Location::Any];
            }
            LaunchApi::RunInstances
        }
        Reach::All => LaunchApi::CreateFleet,
        Reach::Subnet(number) => {
            places = places.into_iter().skip(number).take(1).collect();
            LaunchApi::CreateFleet
        }
    };
    let mut pools: Vec<Pool> = shape
        .instance_types
        .iter()
        .flat_map(|instance_type| {
            places.iter().map(|location| Pool {
                instance_type: instance_type.clone(),
                location: location.clone(),
            })
        })
        .collect();
    pools.truncate(match api {
        LaunchApi::RunInstances => 1,
        LaunchApi::CreateFleet => FLEET_POOLS_MAX,
    });
    Rung {
        api,
        market: step.market,
        pools,
        is_one_zone: shape.placement_group.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SweepId;

    fn shape(types: &[&str], subnets: &[&str], zones: &[&str]) -> Shape {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Shape {
            instance_types: owned(types),
            subnet_ids: owned(subnets),
            zones: owned(zones),
            ..Shape::default()
        }
    }

    fn lane(name: &str, peers: &[&str]) -> LaneRow {
        LaneRow {
            peers: peers.iter().map(|name| name.parse().unwrap()).collect(),
            movable_shapes: 1,
            ..LaneRow::new(SweepId::from("s"), name.parse().unwrap())
        }
    }

    fn told(lane: &LaneRow, shape: &Shape) -> Vec<String> {
        ladder(lane, 0, shape)
            .iter()
            .map(|step| {
                let rung = rung(step, shape);
                let pools: Vec<String> = rung.pools.iter().map(ToString::to_string).collect();
                let (region, market, api) = (step.at.region, rung.market, rung.api.as_str());
                format!("{region} {market} {api} {}", pools.join(" "))
            })
            .collect()
    }

    #[test]
    fn a_spot_ladder_goes_over_all_types_and_zones_then_regions_then_on_demand() {
        let mut shape = shape(&["a", "b"], &[], &["z1", "z2"]);
        shape.on_demand_fallback = true;
        let lane = lane("us-east-1.spot", &["us-west-2.spot"]);
        assert_eq!(
            told(&lane, &shape),
            [
                "us-east-1 spot CreateFleet a@z1 a@z2 b@z1 b@z2",
                "us-west-2 spot CreateFleet a@z1 a@z2 b@z1 b@z2",
                "us-east-1 on-demand CreateFleet a@z1 a@z2 b@z1 b@z2",
                "us-west-2 on-demand CreateFleet a@z1 a@z2 b@z1 b@z2",
            ]
        );
    }

    #[test]
    fn one_type_on_demand_needs_no_fleet_until_its_zone_is_empty() {
        let lane = lane("us-east-1.on-demand", &[]);
        assert_eq!(
            told(&lane, &shape(&["a"], &[], &["z1", "z2"])),
            [
                "us-east-1 on-demand RunInstances a@*",
                "us-east-1 on-demand CreateFleet a@z1 a@z2",
            ]
        );
        assert_eq!(
            told(&lane, &shape(&["a"], &["subnet-1"], &[])),
            ["us-east-1 on-demand RunInstances a@subnet-1"]
        );
        let mut zonal = shape(&["a"], &[], &[]);
        zonal.availability_zone = Some("z1".to_owned());
        assert_eq!(
            told(&lane, &zonal),
            ["us-east-1 on-demand RunInstances a@z1"]
        );
    }

    #[test]
    fn a_part_of_a_spread_sweep_begins_with_its_zone_and_goes_on_with_any() {
        let mut shape = shape(&["a"], &[], &["z1", "z2"]);
        shape.first_zone = Some("z2".to_owned());
        let lane = lane("us-east-1.on-demand", &[]);
        assert_eq!(
            told(&lane, &shape),
            [
                "us-east-1 on-demand RunInstances a@z2",
                "us-east-1 on-demand RunInstances a@*",
                "us-east-1 on-demand CreateFleet a@z1 a@z2",
            ]
        );
    }

    #[test]
    fn subnets_are_asked_together_and_then_one_by_one() {
        let lane = lane("us-east-1.spot", &[]);
        assert_eq!(
            told(&lane, &shape(&["a"], &["subnet-1", "subnet-2"], &[])),
            [
                "us-east-1 spot CreateFleet a@subnet-1 a@subnet-2",
                "us-east-1 spot CreateFleet a@subnet-1",
                "us-east-1 spot CreateFleet a@subnet-2",
            ]
        );
    }

    #[test]
    fn shapes_that_are_tied_to_their_lane_stay_there() {
        let mut lane = lane("us-east-1.spot", &["us-west-2.spot"]);
        lane.movable_shapes = 0;
        assert_eq!(told(&lane, &shape(&["a"], &[], &[])).len(), 1);
    }
}
