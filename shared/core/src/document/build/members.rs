//! The members of a sweep: how many there are, what each would be, and whether all of them find a place.

use super::super::check::Checked;
use super::super::expand::{Levels, check_params, expand};
use super::super::fault::{Collector, Fault};
use super::super::fields::{Known, Setting, Top};
use super::super::keys::TopLevel;
use super::super::points::{Points, too_many};
use super::super::regions;
use super::super::survey::{check_names, survey};
use super::super::sweep::{Distribution, OperatorDefaults, RegionOrder, RegionShare, Sweep};
use super::super::uri::S3Uri;
use super::Given;
use super::values::whole;

/// What was read of `regions`.
pub(super) struct Counted {
    /// Whether all of it could be read.
    pub(super) is_read: bool,
    /// What the counts of all regions add up to, those of the document where overrides have replaced them.
    pub(super) total: Option<u32>,
}

/// Adds the members to a sweep of which everything else was read.
///
/// Nothing ends it early: one fault is no reason not to tell the next. Only the members themselves are not made of a
/// document with faults.
pub(super) fn add(
    mut sweep: Sweep,
    top: &TopLevel<'_>,
    points: &Points,
    given: &Given,
    regions_read: &Counted,
    operator: &OperatorDefaults,
    faults: &mut Collector,
) -> Sweep {
    let counted = regions_read.total;
    let are_regions_read = regions_read.is_read;
    let count = whole(top, Top::Count, faults);
    let distribution = top
        .get(Top::Distribution)
        .and_then(|found| regions::distribution(found, faults));
    let order = top
        .get(Top::RegionOrder)
        .and_then(|found| regions::order(found, faults));
    sweep.region_order = order.unwrap_or(match distribution {
        Some(Distribution::Cheapest) => RegionOrder::Price,
        _ => RegionOrder::Document,
    });
    sweep.data_buckets = data_buckets(&sweep.inputs, top);
    sweep.distribution = distribution.unwrap_or(match regions::total(&sweep.regions) {
        Some(_) => Distribution::Explicit,
        None => Distribution::Balanced,
    });
    let is_counted = top.get(Top::Count).is_some() || counted.is_some() || !are_regions_read;
    let is_empty = points.is_bare && !is_counted && !has_work(top, given);
    if is_empty {
        let problem = "the sweep is empty: it has no params, grid, count or command";
        faults.add(Fault::new("", problem, "at least one of them"));
    }
    let repeat = repeat(points, count, counted);
    let total = points.total(repeat);
    if let Err(members) = total {
        faults.add(too_many(path_of_total(top, points), members));
    }
    let levels = Levels {
        below: &given.below,
        params: &given.params,
        above: &given.above,
    };
    check_params(points, &levels, total.is_ok().then_some(repeat), faults);
    let are_regions_given = top.fields.contains_key(&Top::Regions);
    let has_region_faults = are_regions_given && sweep.regions.is_empty();
    if sweep.regions.is_empty() {
        sweep.regions.push(RegionShare {
            region: operator.home_region,
            count: None,
            is_named: true,
        });
    }
    let mut shared = levels.below.clone();
    shared.overlay(levels.above);
    let mut checked = Checked::new(
        &sweep.regions,
        are_regions_given && !has_region_faults,
        points.is_whole,
        &shared,
    );
    let survey = survey(points, &levels, repeat, &mut checked);
    check_names(&points.entries, faults);
    checked.finish(faults);
    // Where the number of members is not known for another fault, that they do not add up would only be a second one.
    let is_total_known = points.is_whole
        && are_regions_read
        && survey.is_complete
        && count.is_some() == top.get(Top::Count).is_some()
        && !is_empty
        && !top.meant.iter().any(is_of_number);
    if is_total_known {
        let path = top
            .get(Top::Regions)
            .map_or("regions", |found| found.path.as_str());
        let total = total.map_or_else(|total| total, u128::from);
        regions::check_counts(&sweep.regions, &survey, total, path, faults);
    }
    if points.is_whole && are_regions_read {
        regions::check_explicit(&sweep.regions, distribution, &survey, faults);
    }
    regions::check_choice(&sweep, distribution, order, survey.has_cluster, faults);
    if faults.is_empty() {
        sweep.members = expand(points, &levels, repeat, &mut checked);
    }
    sweep
}

/// Whether members have something to do, or were meant to.
fn has_work(top: &TopLevel<'_>, given: &Given) -> bool {
    let is_work = |known: &Known| {
        is_of_number(known) || matches!(known, Known::Setting(Setting::Command | Setting::UserData))
    };
    [&given.below, &given.above]
        .into_iter()
        .any(|layer| layer.command.is_some() || layer.user_data.is_some())
        || top.meant.iter().any(is_work)
}

/// Whether a field has a say in how many members there are, and in where.
fn is_of_number(known: &Known) -> bool {
    matches!(
        known,
        Known::Top(Top::Params | Top::Grid | Top::Count | Top::Regions)
    )
}

/// The field that the number of members comes from.
fn path_of_total<'a>(top: &'a TopLevel<'_>, points: &'a Points) -> &'a str {
    match (points.axes.first(), top.get(Top::Count)) {
        (Some(axis), _) => axis.path.split('.').next().unwrap_or("grid"),
        (None, Some(found)) => found.path.as_str(),
        (None, None) => "regions",
    }
}

/// The buckets that the data lie in, each once.
fn data_buckets(inputs: &[S3Uri], top: &TopLevel<'_>) -> Vec<String> {
    let table = top.get(Top::Params).and_then(|found| found.value.as_str());
    let table = table.and_then(|text| text.trim().parse::<S3Uri>().ok());
    let mut buckets: Vec<String> = Vec::new();
    for uri in inputs.iter().chain(&table) {
        if !buckets.iter().any(|known| known == uri.bucket()) {
            buckets.push(uri.bucket().to_owned());
        }
    }
    buckets
}

/// How often each point is repeated.
///
/// `count` says so, unless every region has a count and these add up to `count` itself: then it is the number of members.
/// A document with nothing but such regions has as many members as they add up to.
fn repeat(points: &Points, count: Option<u32>, counted: Option<u32>) -> u32 {
    match (count, counted) {
        (Some(count), Some(sum)) if count == sum => match points.total(1) {
            Ok(distinct) if distinct > 0 && sum % distinct == 0 => sum / distinct,
            _ => count,
        },
        (Some(count), _) => count,
        (None, Some(sum)) if points.is_bare => sum.max(1),
        (None, _) => 1,
    }
}
