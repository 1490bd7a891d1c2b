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
    let mut rungs = Vec::new();
    for market in markets {
        for place in &places {
            for instance_type in &shape.instance_types {
                rungs.push(Rung {
                    instance_type: instance_type.clone(),
                    market,
                    subnet_id: place.cloned(),
                    availability_zone: shape.availability_zone.clone(),
                });
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
