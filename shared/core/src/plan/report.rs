//! How a plan came about: regions and their order, types and the reason for them, quotas, and what somebody should know.

use serde::Serialize;

use crate::document::{Distribution, RegionOrder, Sweep};
use crate::ids::LaneId;
use crate::plan::place::{Placement, Seat};
use crate::plan::quota::{QuotaReport, Shortage};
use crate::plan::{Candidates, Options, Share};
use crate::region::Region;
use crate::rows::LaneRow;

/// How a plan came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How members are distributed.
    pub distribution: Distribution,
    /// By what regions are ordered.
    pub region_order: RegionOrder,
    /// The regions in their order, those that were left out last.
    pub regions: Vec<RegionReport>,
    /// The types of each lane's shapes, and why these.
    pub types: Vec<TypesReport>,
    /// The quotas that the sweep draws on.
    pub quotas: Vec<Shortage>,
    /// What standing budgets have room for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Share>,
    /// What somebody should know before it is launched.
    pub warnings: Vec<String>,
}

/// A region, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegionReport {
    /// The region.
    pub region: Region,
    /// The account, unless it is the home account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<crate::account::AccountId>,
    /// Members placed there.
    pub members: u32,
    /// What an hour of all members that may go anywhere would cost there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_hour: Option<String>,
    /// How far it is from the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_km: Option<u32>,
    /// Why it takes no members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// The types that members of a kind are launched as in a region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypesReport {
    /// The lane.
    pub lane: LaneId,
    /// The types in the order in which they are tried.
    pub instance_types: Vec<String>,
    /// Why these.
    pub reason: String,
    /// What an hour of the first costs, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_hour: Option<String>,
}

impl Report {
    pub(crate) fn of(
        sweep: &Sweep,
        options: &Options,
        placement: &Placement,
        quota: QuotaReport,
        lanes: &[LaneRow],
    ) -> Self {
        Self {
            distribution: sweep.distribution,
            region_order: sweep.region_order,
            regions: regions(options, placement),
            types: types(options, lanes),
            standing: Vec::new(),
            warnings: warnings(options, placement, &quota),
            quotas: quota.all,
        }
    }
}

fn regions(options: &Options, placement: &Placement) -> Vec<RegionReport> {
    let Candidates { all, left_out } = &options.candidates;
    let mut members = vec![0_u32; all.len()];
    for seat in &placement.seats {
        if let Seat::At(place) = seat
            && let Some(count) = members.get_mut(*place)
        {
            *count += 1;
        }
    }
    let used = all
        .iter()
        .zip(members)
        .enumerate()
        .map(|(number, (one, members))| RegionReport {
            region: one.place.region,
            account: one.place.account,
            members,
            price_per_hour: options
                .prices
                .get(number)
                .copied()
                .flatten()
                .map(|price| price.to_string()),
            distance_km: one.distance_km,
            left_out: None,
        });
    let left_out = left_out.iter().map(|one| RegionReport {
        region: one.region,
        account: None,
        members: 0,
        price_per_hour: None,
        distance_km: None,
        left_out: Some(one.reason.clone()),
    });
    used.chain(left_out).collect()
}

/// Shapes that differ in more than their types are told once.
fn types(options: &Options, lanes: &[LaneRow]) -> Vec<TypesReport> {
    let mut reports: Vec<TypesReport> = Vec::new();
    for of_class in &options.choices {
        for (candidate, choice) in options.candidates.all.iter().zip(of_class) {
            let Some(choice) = choice else { continue };
            let lane = lanes.iter().find(|lane| {
                let mut shapes = lane.shapes.iter();
                lane.lane.place() == candidate.place
                    && shapes.any(|shape| shape.instance_types == choice.shape.instance_types)
            });
            let Some(lane) = lane else { continue };
            let report = TypesReport {
                lane: lane.lane.clone(),
                instance_types: choice.shape.instance_types.clone(),
                reason: choice.reason.clone(),
                price_per_hour: choice.need().price.map(|price| price.to_string()),
            };
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
    }
    reports
}

/// So many members, and what they do.
fn members(count: u32, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 member {one}"),
        count => format!("{count} members {several}"),
    }
}

fn warnings(options: &Options, placement: &Placement, quota: &QuotaReport) -> Vec<String> {
    let mut warnings = Vec::new();
    let region = |place: usize| {
        let candidate = options.candidates.all.get(place);
        candidate.map_or_else(String::new, |one| one.place.region.to_string())
    };
    for ((from, to), count) in &placement.moved {
        warnings.push(format!(
            "{} from {} to {}, since the quota there has no room",
            members(*count, "goes", "go"),
            region(*from),
            region(*to)
        ));
    }
    for (place, count) in &placement.fallen_back {
        warnings.push(format!(
            "{} on demand in {}, since no spot quota holds one",
            members(*count, "is launched", "are launched"),
            region(*place)
        ));
    }
    for one in &quota.all {
        if one.short_by_vcpus > 0 {
            let raise = one.raise_with.as_deref().unwrap_or_default();
            let mut words = one.words();
            if one.members_refused > 0 {
                words.push_str(&format!(
                    "; {} members end at once as failed",
                    one.members_refused
                ));
            }
            if let Some(most) = one.at_once_max {
                words.push_str(&format!(
                    "; {most} of {} members run there at a time",
                    one.members
                ));
            }
            warnings.push(format!("{words}; raise it with: {raise}"));
        }
        for why in &one.unknown {
            warnings.push(format!("{} {}: {why}", one.region, one.code));
        }
    }
    warnings
}
