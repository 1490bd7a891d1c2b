//! The places that members may go to, in order of preference.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{AccountId, Place};
use crate::distance;
use crate::document::{Collector, Fault, Faults, RegionOrder, Sweep};
use crate::plan::classes::Class;
use crate::region::Region;

/// A place that members may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The place.
    pub place: Place,
    /// Whether the document names its region. One that a pattern brings in is left out when it cannot be used.
    pub(crate) is_named: bool,
    /// The number of members that the document gives the region.
    pub(crate) count: Option<u32>,
    /// Whether only members that name the region as theirs may go there.
    pub(crate) for_pinned: bool,
    /// How far it is from the data, if that matters.
    pub(crate) distance_km: Option<u32>,
}

/// A region that takes no members, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The region.
    pub region: Region,
    /// Why.
    pub reason: String,
}

/// All places, and the regions that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// The places, in the order of the document or by distance.
    pub all: Vec<Candidate>,
    /// Regions that a pattern brings in and that cannot be used.
    pub left_out: Vec<LeftOut>,
}

const UNUSABLE: &str = "regions in which EC2 lets this deployment launch instances";

impl Candidates {
    /// Takes places out of which EC2 tells nothing, for these reasons: a region that a pattern brings in is left out, with the reason.
    ///
    /// # Errors
    /// The places whose regions the document names, all of them; or that no place is left.
    pub fn leave_out(&mut self, silent: &BTreeMap<Place, String>) -> Result<(), Faults> {
        let mut faults = Collector::default();
        let named = self.all.iter().filter(|one| one.is_named);
        for (place, reason) in named.filter_map(|one| silent.get_key_value(&one.place)) {
            let problem = format!("{place}: {reason}");
            faults.add(Fault::new("regions", problem, UNUSABLE));
        }
        for (place, reason) in silent {
            self.left_out.push(LeftOut {
                region: place.region,
                reason: match place.account {
                    Some(account) => format!("in the account {account}: {reason}"),
                    None => reason.clone(),
                },
            });
        }
        self.all.retain(|one| !silent.contains_key(&one.place));
        if faults.is_empty() && self.all.is_empty() {
            let first = silent.iter().next();
            let first = first.map(|(place, reason)| format!(" ({place}: {reason})"));
            let problem = format!("none of them can be used{}", first.unwrap_or_default());
            faults.add(Fault::new("regions", problem, UNUSABLE));
        }
        faults.finish(())
    }

    /// Whether the document names the region of a place.
    #[must_use]
    pub fn names(&self, place: Place) -> bool {
        self.all
            .iter()
            .any(|one| one.place == place && one.is_named)
    }

    /// The places that members of a class may go to.
    pub(crate) fn of_class(&self, class: &Class) -> impl Iterator<Item = &Candidate> {
        let region = class.settings.region;
        self.all
            .iter()
            .filter(move |candidate| candidate.may_take(region))
    }
}

impl Candidate {
    /// Whether members whose own region is `region`, or that have none, may go there.
    pub(crate) fn may_take(&self, region: Option<Region>) -> bool {
        match region {
            Some(region) => self.place.region == region,
            None => !self.for_pinned,
        }
    }
}

/// Whether planning has to know which regions the account has enabled.
#[must_use]
pub fn asks_for_regions(sweep: &Sweep) -> bool {
    let by_pattern = sweep.regions.iter().any(|share| !share.is_named);
    by_pattern || regions(sweep).keys().any(|region| region.is_opt_in())
}

/// The regions of the sweep in the document's order: those to distribute over, then those that members name as theirs.
fn regions(sweep: &Sweep) -> BTreeMap<Region, bool> {
    let mut all: BTreeMap<Region, bool> = BTreeMap::new();
    for share in &sweep.regions {
        all.insert(share.region, false);
    }
    for member in &sweep.members {
        if let Some(region) = member.settings.region {
            all.entry(region).or_insert(true);
        }
    }
    all
}

/// The places of the sweep. `home` is the account that spawn is deployed in; `enabled` are the regions that the account has enabled, as far as somebody asked; `data` are the
/// regions of the data, as far as that matters.
///
/// # Errors
/// That a region that the document names is not enabled, or that none is left.
pub fn candidates(
    sweep: &Sweep,
    home: AccountId,
    enabled: Option<&BTreeSet<Region>>,
    data: &[Region],
) -> Result<Candidates, Faults> {
    let mut found = Candidates::default();
    let mut faults = Collector::default();
    let shares = sweep.regions.iter();
    let listed = shares.map(|share| (share.region, share.is_named, share.count, false));
    let own = regions(sweep)
        .into_iter()
        .filter(|(_, for_pinned)| *for_pinned);
    let own = own.map(|(region, _)| (region, true, None, true));
    for (region, is_named, count, for_pinned) in listed.chain(own) {
        if enabled.is_some_and(|enabled| !enabled.contains(&region)) {
            let reason = "the account has not enabled it";
            if is_named {
                let fault = Fault::new(
                    "regions",
                    format!("{region}: {reason}"),
                    "regions that are enabled in the account",
                );
                faults.add(fault.hint(format!(
                    "enable it with: aws account enable-region --region-name {region}"
                )));
            } else {
                found.left_out.push(LeftOut {
                    region,
                    reason: reason.to_owned(),
                });
            }
            continue;
        }
        let distance = |data: &Region| distance::km(region, *data);
        for account in accounts(sweep, home) {
            found.all.push(Candidate {
                place: Place { account, region },
                is_named,
                count,
                for_pinned,
                distance_km: data.iter().map(distance).min(),
            });
        }
    }
    if faults.is_empty() && found.all.is_empty() {
        faults.add(Fault::new(
            "regions",
            "none of them is enabled in the account",
            "regions that are enabled in the account",
        ));
    }
    if sweep.region_order == RegionOrder::Distance {
        // A stable sort: places at the same distance stay in the document's order.
        found.all.sort_by_key(|candidate| candidate.distance_km);
    }
    faults.finish(found)
}

/// The accounts that the members of each region are spread over; `None` is the home account.
fn accounts(sweep: &Sweep, home: AccountId) -> Vec<Option<AccountId>> {
    if sweep.accounts.is_empty() {
        return vec![None];
    }
    let of = |account: &AccountId| Some(*account).filter(|account| *account != home);
    sweep.accounts.iter().map(of).collect()
}
