//! What a sweep has cost in the end: in all, by region, type and market, and what was saved.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::bill::bill;
use super::commitment::{Commitment, commitment};
use super::history::PriceFrom;
use super::spent::Spent;
use crate::money::MicroDollars;
use crate::prices::Item;
use crate::region::Region;
use crate::rows::MemberRow;
use crate::state::MemberState;

/// How spot prices changed, by region and the key of [`Item`].
pub type Changes = BTreeMap<(Region, String), Vec<PriceFrom>>;

/// What the instances of a sweep have cost. Every amount is a sum of the same bills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settlement {
    /// The sum.
    pub total: MicroDollars,
    /// The instances themselves.
    pub instances_cost: MicroDollars,
    /// Their volumes.
    pub volumes_cost: MicroDollars,
    /// Their public addresses.
    pub addresses_cost: MicroDollars,
    /// By region.
    pub by_region: BTreeMap<String, MicroDollars>,
    /// By instance type.
    pub by_type: BTreeMap<String, MicroDollars>,
    /// By market.
    pub by_market: BTreeMap<String, MicroDollars>,
    /// By member.
    #[serde(skip)]
    pub by_member: BTreeMap<u32, MicroDollars>,
    /// How many instances are in the sum.
    pub instances: u32,
    /// Seconds of instances that are billed.
    pub billed_s: u64,
    /// Instances that are not in any of the sums, because a price is missing, by type and region.
    pub unpriced: BTreeMap<String, u32>,
    /// What all would have cost on demand to the end of their ttl, or did by their runs where that is more; `None` when a price or a ttl
    /// is missing.
    pub on_demand_to_ttl: Option<MicroDollars>,
    /// What spot has saved against the price on demand for the same time.
    pub saved_by_spot: MicroDollars,
    /// What ending early has saved against the full ttl, on demand.
    pub saved_by_early_end: MicroDollars,
    /// How many members completed.
    pub completed: u32,
    /// What a member that completed has cost, with the costs of all others on its account.
    pub per_completed: Option<MicroDollars>,
}

/// Settles the members of a sweep at the moment `at` (ms since 1970). `None` when an amount is beyond what can be counted.
#[must_use]
pub fn settle(members: &[MemberRow], changes: &Changes, at: u64) -> Option<Settlement> {
    let mut sum = Settlement {
        on_demand_to_ttl: Some(MicroDollars::ZERO),
        ..Settlement::default()
    };
    for member in members {
        if member.state == MemberState::Completed {
            sum.completed += 1;
        }
        for spent in &member.spent {
            let amount = sum.add(spent, changes, at)?;
            add(sum.by_member.entry(member.index).or_default(), amount)?;
        }
    }
    if sum.completed > 0 {
        let each = sum.total.0 / i64::from(sum.completed);
        let rest = i64::from(sum.total.0 % i64::from(sum.completed) > 0);
        sum.per_completed = Some(MicroDollars(each + rest));
    }
    Some(sum)
}

/// The changes of the spot price of an instance's pool; none where the operator says what an hour costs.
#[must_use]
pub fn changes_of<'a>(changes: &'a Changes, spent: &Spent) -> &'a [PriceFrom] {
    if spent.hour_is_fixed {
        return &[];
    }
    let item = Item::Spot(spent.instance_type.clone(), spent.zone.clone());
    changes
        .get(&(spent.region, item.key()))
        .map_or(&[], Vec::as_slice)
}

fn add(sum: &mut MicroDollars, amount: MicroDollars) -> Option<()> {
    *sum = sum.checked_add(amount)?;
    Some(())
}

impl Settlement {
    /// Adds one instance; answers what it cost.
    fn add(&mut self, spent: &Spent, changes: &Changes, at: u64) -> Option<MicroDollars> {
        let Ok(Some(billed)) = spent.bill(changes_of(changes, spent), at) else {
            let what = format!(
                "{} {} in {}",
                spent.instance_type, spent.market, spent.region
            );
            *self.unpriced.entry(what).or_insert(0) += 1;
            self.on_demand_to_ttl = None;
            return Some(MicroDollars::ZERO);
        };
        self.instances += 1;
        self.billed_s += billed.billed_s;
        add(&mut self.total, billed.total)?;
        add(&mut self.instances_cost, billed.instance)?;
        add(&mut self.volumes_cost, billed.volume)?;
        add(&mut self.addresses_cost, billed.public_ipv4)?;
        let of = |map: &mut BTreeMap<String, MicroDollars>, key: &str| {
            add(map.entry(key.to_owned()).or_default(), billed.total)
        };
        of(&mut self.by_region, spent.region.as_str())?;
        of(&mut self.by_type, &spent.instance_type)?;
        of(&mut self.by_market, spent.market.as_str())?;
        let same_runs = spent
            .on_demand_history()
            .and_then(|history| bill(&history, at).ok())
            .map(|bill| bill.total);
        // Each start is billed for a minute at least, and a stopped instance's volume while its ttl stands still: an instance may
        // cost more than one that runs to the end of its ttl. It has saved nothing then, which takes nothing from what others have.
        let to_ttl = to_ttl(spent).map(|to_ttl| to_ttl.max(same_runs.unwrap_or_default()));
        if let Some(same_runs) = same_runs {
            add(
                &mut self.saved_by_spot,
                same_runs.checked_sub(billed.total)?,
            )?;
            if let Some(to_ttl) = to_ttl {
                add(&mut self.saved_by_early_end, to_ttl.checked_sub(same_runs)?)?;
            }
        }
        self.on_demand_to_ttl = match (self.on_demand_to_ttl, to_ttl, same_runs) {
            (Some(sum), Some(to_ttl), Some(_)) => sum.checked_add(to_ttl),
            _ => None,
        };
        Some(billed.total)
    }

    /// Whether every instance is in the sum.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unpriced.is_empty()
    }

    /// What is missing, in words; `None` when nothing is.
    #[must_use]
    pub fn gaps(&self) -> Option<String> {
        let missing: Vec<String> = self
            .unpriced
            .iter()
            .map(|(what, count)| format!("{count} of {what}"))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "incomplete: without the instances whose price is not known ({})",
                missing.join(", ")
            )
        })
    }

    /// The settlement as an output shows it: amounts in dollars as text.
    #[must_use]
    pub fn to_output(&self) -> Value {
        let map = |amounts: &BTreeMap<String, MicroDollars>| -> BTreeMap<String, String> {
            amounts
                .iter()
                .map(|(key, amount)| (key.clone(), amount.to_string()))
                .collect()
        };
        json!({
            "total": self.total.to_string(),
            "instances": self.instances_cost.to_string(),
            "volumes": self.volumes_cost.to_string(),
            "public_ipv4": self.addresses_cost.to_string(),
            "by_region": map(&self.by_region),
            "by_type": map(&self.by_type),
            "by_market": map(&self.by_market),
            "instance_hours": format!("{}.{:02}", self.billed_s / 3600, self.billed_s % 3600 * 100 / 3600),
            "per_completed_member": self.per_completed.map(|amount| amount.to_string()),
            "on_demand_to_ttl": self.on_demand_to_ttl.map(|amount| amount.to_string()),
            "saved_by_spot": self.saved_by_spot.to_string(),
            "saved_by_early_end": self.saved_by_early_end.to_string(),
            "incomplete": self.gaps(),
        })
    }
}

/// What an instance would have cost on demand to the end of the ttl that it was launched with.
fn to_ttl(spent: &Spent) -> Option<MicroDollars> {
    let prices = Commitment {
        hour: spent.on_demand_hour?,
        gib: spent.gib?,
        gib_month: spent.gib_month?,
        public_ipv4_hour: spent.public_ipv4_hour?,
    };
    commitment(&prices, spent.ttl_s?)
}
