//! What the instances of an attempt cost and what budgets were charged with for them: noted with the intent, so that a repeat
//! charges nothing twice and gives back what was charged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LaneRow, TypePrices};
use crate::budget::{Releases, Standing};
use crate::cost::Spent;
use crate::money::MicroDollars;
use crate::ports::CloudInstance;

/// The costs of one instance of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptCosts {
    /// What budgets are charged with for each instance.
    pub committed: Option<MicroDollars>,
    /// The standing budgets that are charged.
    pub charged_to: Vec<String>,
    /// Hours of the types that may be launched.
    pub types: BTreeMap<String, TypePrices>,
    /// The size of the root volume in GiB.
    pub gib: Option<u32>,
    /// A GiB for a month.
    pub gib_month: Option<MicroDollars>,
    /// An hour of a public address.
    pub public_ipv4_hour: Option<MicroDollars>,
}

impl AttemptCosts {
    /// The costs of an instance of the shape number `shape`, launched in the place of `lane`.
    #[must_use]
    pub fn of(lane: &LaneRow, shape: u32, standing: &[Standing]) -> Self {
        let index = usize::try_from(shape).unwrap_or(usize::MAX);
        let names = lane
            .shapes
            .get(index)
            .into_iter()
            .flat_map(|shape| &shape.instance_types);
        let prices = &lane.prices;
        Self {
            committed: prices.commitment(shape),
            charged_to: standing.iter().map(Standing::charged_to).collect(),
            types: names
                .filter_map(|name| Some((name.clone(), prices.types.get(name)?.clone())))
                .collect(),
            gib: prices.gib.get(index).copied().flatten(),
            gib_month: prices.gib_month,
            public_ipv4_hour: prices.public_ipv4_hour,
        }
    }

    /// What `count` instances are committed with. `None` when a price is missing, or the sum does not fit.
    #[must_use]
    pub fn commitment(&self, count: u32) -> Option<MicroDollars> {
        self.committed?.checked_mul(i64::from(count))
    }

    /// Gives back what was charged for `count` instances that were not launched.
    pub fn give_back(&self, count: u32, releases: &mut Releases) {
        if let Some(amount) = self.commitment(count).filter(|amount| amount.0 != 0) {
            releases.add(amount, MicroDollars::ZERO, &self.charged_to);
        }
    }

    /// What one instance costs, as its member notes it.
    #[must_use]
    pub fn spent(&self, instance: &CloudInstance, ttl_s: Option<u64>) -> Spent {
        let prices = self.types.get(&instance.instance_type);
        let zone = &instance.availability_zone;
        Spent {
            instance_id: instance.arn.instance_id.clone(),
            instance_type: instance.instance_type.clone(),
            market: instance.market,
            region: instance.arn.region,
            zone: Some(zone.clone()).filter(|zone| !zone.is_empty()),
            launched_at: instance.launched_at,
            ttl_s,
            hour: prices.and_then(|prices| prices.hour(instance.market, zone)),
            hour_is_fixed: prices.is_some_and(|prices| prices.is_fixed(instance.market)),
            on_demand_hour: prices.and_then(|prices| prices.on_demand),
            gib: self.gib,
            gib_month: self.gib_month,
            public_ipv4_hour: self.public_ipv4_hour,
            public_ip: None,
            committed: self.committed,
            charged_to: self.charged_to.clone(),
            runs: Vec::new(),
            minutes: 0,
            volume_to: None,
            billed: None,
            billed_to: None,
        }
    }
}
