//! A price as the ledger keeps it.

use serde::{Deserialize, Serialize};

use super::book::Item;
use crate::cost::PriceFrom;
use crate::ledger::{Key, Stored};
use crate::money::MicroDollars;
use crate::region::Region;

/// The most changes of a spot price that a row keeps, the latest: about three months of a price that changes twice a day.
const CHANGES_MAX: usize = 200;

/// What AWS last said of a price (`PRICE#region` / `type#market[#zone]`). Written by plan-sweep and cost-guard without a
/// condition: whoever asked last is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRow {
    /// The region.
    pub region: Region,
    /// What has the price, as its sort key says.
    pub item: String,
    /// The price.
    pub amount: MicroDollars,
    /// Who says so.
    pub source: String,
    /// When AWS was asked, in ms since 1970.
    pub fetched_at: u64,
    /// How a spot price came to be what it is: instances that ran meanwhile are billed by it.
    pub changes: Vec<PriceFrom>,
}

/// The partition of a region's prices.
#[must_use]
pub fn price_pk(region: &Region) -> String {
    format!("PRICE#{region}")
}

impl PriceRow {
    /// The row of a price that has no history.
    #[must_use]
    pub fn of_list(region: Region, item: &Item, amount: MicroDollars, now: u64) -> Self {
        Self {
            region,
            item: item.key(),
            amount,
            source: super::PRICE_LIST.to_owned(),
            fetched_at: now,
            changes: Vec::new(),
        }
    }

    /// The row of a spot price with its changes, of which `before` are known from an earlier look. `None` when there are none.
    #[must_use]
    pub fn of_spot(
        region: Region,
        item: &Item,
        before: &[PriceFrom],
        mut changes: Vec<PriceFrom>,
        now: u64,
    ) -> Option<Self> {
        // EC2 tells the price in force at the beginning of the asked span as of its own time: earlier ones stay.
        let first = changes.iter().map(|change| change.from).min()?;
        changes.extend(before.iter().filter(|change| change.from < first));
        changes.sort_by_key(|change| change.from);
        changes.dedup_by_key(|change| change.from);
        changes.dedup_by_key(|change| change.hour);
        let amount = changes.last()?.hour;
        let surplus = changes.len().saturating_sub(CHANGES_MAX);
        changes.drain(..surplus);
        Some(Self {
            region,
            item: item.key(),
            amount,
            source: super::SPOT_HISTORY.to_owned(),
            fetched_at: now,
            changes,
        })
    }
}

impl Stored for PriceRow {
    fn key(&self) -> Key {
        Key::new(price_pk(&self.region), self.item.clone())
    }
}
