//! Where members go: a region and a market for each.

use std::collections::BTreeMap;

use crate::document::{Spot, Sweep};
use crate::ids::{LaneId, Market};
use crate::region::Region;

/// The lane of every member, by index.
pub type Placement = Vec<LaneId>;

/// Places every member. Members with a region of their own go there; a region's count is filled first, pinned members
/// included; the rest is spread as evenly as it goes, in blocks of neighbours.
#[must_use]
pub fn place(sweep: &Sweep) -> Placement {
    let mut room = shares(sweep);
    let mut regions = Vec::with_capacity(sweep.members.len());
    for member in &sweep.members {
        regions.push(member.settings.region);
    }
    for region in regions.iter().flatten() {
        if let Some((_, room)) = room.iter_mut().find(|(name, _)| name == region) {
            *room = room.saturating_sub(1);
        }
    }
    let mut room = room
        .into_iter()
        .flat_map(|(region, room)| std::iter::repeat_n(region, room));
    for region in regions.iter_mut().filter(|region| region.is_none()) {
        *region = room.next();
    }
    let home = sweep.regions.first().map(|share| share.region);
    regions
        .into_iter()
        .zip(&sweep.members)
        .filter_map(|(region, member)| {
            // The document's check has seen to it that the shares hold all members; the first region is where one would go
            // that they do not.
            let region = region.or(home)?;
            let market = match member.settings.spot {
                Spot::OnDemand => Market::OnDemand,
                Spot::Spot | Spot::SpotThenOnDemand => Market::Spot,
            };
            Some(LaneId {
                account: None,
                region,
                market,
            })
        })
        .collect()
}

/// How many members each region takes, in the document's order: its count, or an even share of what the counts and the
/// members with regions of their own leave.
fn shares(sweep: &Sweep) -> Vec<(Region, usize)> {
    let mut pinned: BTreeMap<&Region, usize> = BTreeMap::new();
    for region in sweep
        .members
        .iter()
        .filter_map(|m| m.settings.region.as_ref())
    {
        *pinned.entry(region).or_insert(0) += 1;
    }
    let pinned_in = |region: &Region| pinned.get(region).copied().unwrap_or(0);
    let mut counted = 0;
    let mut open = 0;
    for share in &sweep.regions {
        match share.count {
            Some(count) => counted += to_usize(count).saturating_sub(pinned_in(&share.region)),
            None => open += 1,
        }
    }
    let free = sweep.members.len() - pinned.values().sum::<usize>();
    let rest = free.saturating_sub(counted);
    let mut extra = if open == 0 { 0 } else { rest % open };
    sweep
        .regions
        .iter()
        .map(|share| {
            let room = match share.count {
                Some(count) => to_usize(count),
                None => {
                    let one = usize::from(extra > 0);
                    extra -= one;
                    rest / open + one + pinned_in(&share.region)
                }
            };
            (share.region, room)
        })
        .collect()
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
