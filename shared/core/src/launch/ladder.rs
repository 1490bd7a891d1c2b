//! The ladder: the pools of capacity that a batch tries one after the other.

use crate::ids::Market;
use crate::rows::{BatchRow, Rung, Shape};

/// How often a batch climbs the whole ladder in vain before its lane gives up.
pub const ROUNDS_MAX: u32 = 5;

/// Seconds before the ladder is climbed again, the first time; doubles with each round.
const ROUND_WAIT_S: u64 = 30;

/// The rungs of a shape in the order in which they are tried: all types in one place, then the next place, then on-demand
/// where the document allows it.
#[must_use]
pub fn ladder(shape: &Shape, market: Market) -> Vec<Rung> {
    let markets = match (market, shape.on_demand_fallback) {
        (Market::Spot, true) => vec![Market::Spot, Market::OnDemand],
        (market, _) => vec![market],
    };
    let places: Vec<Option<&String>> = if shape.subnet_ids.is_empty() {
        vec![None]
    } else {
        shape.subnet_ids.iter().map(Some).collect()
    };
    // The zone of the document, or the one that this part of a spread sweep begins with; then whichever EC2 chooses.
    let zones = match (&shape.availability_zone, &shape.first_zone) {
        (Some(zone), _) => vec![Some(zone)],
        (None, Some(zone)) => vec![Some(zone), None],
        (None, None) => vec![None],
    };
    let mut rungs = Vec::new();
    for market in markets {
        for place in &places {
            for zone in &zones {
                for instance_type in &shape.instance_types {
                    rungs.push(Rung {
                        instance_type: instance_type.clone(),
                        market,
                        subnet_id: place.cloned(),
                        availability_zone: zone.cloned(),
                    });
                }
            }
        }
    }
    rungs
}

/// What follows when the batch's rung had no capacity: the seconds to wait before the next rung, or `None` when the ladder
/// was climbed in vain often enough.
pub fn after_no_capacity(batch: &mut BatchRow, rungs: usize) -> Option<u64> {
    batch.rung += 1;
    if usize::try_from(batch.rung).unwrap_or(usize::MAX) < rungs {
        return Some(0);
    }
    batch.rung = 0;
    batch.rounds += 1;
    (batch.rounds < ROUNDS_MAX).then(|| ROUND_WAIT_S << (batch.rounds - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SweepId;
    use crate::ranges::Indices;

    fn shape(types: &[&str], subnets: &[&str], on_demand_fallback: bool) -> Shape {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Shape {
            instance_types: owned(types),
            ami: "ami-1".to_owned(),
            instance_profile: "profile".to_owned(),
            subnet_ids: owned(subnets),
            on_demand_fallback,
            ..Shape::default()
        }
    }

    #[test]
    fn the_ladder_goes_from_type_to_type_then_from_place_to_place_then_to_on_demand() {
        let rungs = ladder(&shape(&["a", "b"], &["s1", "s2"], true), Market::Spot);
        let told: Vec<_> = rungs
            .iter()
            .map(|r| {
                (
                    r.market,
                    r.subnet_id.as_deref().unwrap(),
                    r.instance_type.as_str(),
                )
            })
            .collect();
        let of = |market| {
            [
                (market, "s1", "a"),
                (market, "s1", "b"),
                (market, "s2", "a"),
                (market, "s2", "b"),
            ]
        };
        assert_eq!(told, [of(Market::Spot), of(Market::OnDemand)].concat());
        assert_eq!(ladder(&shape(&["a"], &[], true), Market::OnDemand).len(), 1);
        assert_eq!(ladder(&shape(&["a"], &[], false), Market::Spot).len(), 1);
    }

    #[test]
    fn a_part_of_a_spread_sweep_begins_with_its_zone_and_goes_on_with_any() {
        let mut shape = shape(&["a", "b"], &[], false);
        shape.first_zone = Some("us-east-1b".to_owned());
        let rungs = ladder(&shape, Market::OnDemand);
        let zones: Vec<_> = rungs
            .iter()
            .map(|r| r.availability_zone.as_deref())
            .collect();
        assert_eq!(zones, [Some("us-east-1b"), Some("us-east-1b"), None, None]);
    }

    #[test]
    fn a_ladder_climbed_in_vain_is_climbed_again_later_and_not_for_ever() {
        let mut batch = BatchRow {
            sweep_id: SweepId::from("s"),
            lane: "us-east-1.spot".parse().unwrap(),
            batch: 0,
            version: 0,
            shape: 0,
            pending: Indices::default(),
            attempts: 0,
            rung: 0,
            rounds: 0,
        };
        let waits: Vec<_> = (0..10).map(|_| after_no_capacity(&mut batch, 2)).collect();
        let pause = |seconds| [Some(0), Some(seconds)];
        let expected = [
            pause(30),
            pause(60),
            pause(120),
            pause(240),
            [Some(0), None],
        ]
        .concat();
        assert_eq!(waits, expected);
    }
}
