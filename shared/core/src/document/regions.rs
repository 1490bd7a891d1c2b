//! The regions of a sweep and how many members each gets.

use serde_json::{Map, Value};

use super::aws::region_name;
use super::fault::{Collector, Fault, join, quoted};
use super::fields::{self, Top};
use super::keys::Located;
use super::read::{Problem, Read, take, text, whole, word, wrong_type};
use super::selection;
use super::shape::Shape;
use super::survey::Survey;
use super::sweep::{Distribution, MEMBERS_MAX, RegionOrder, RegionShare, Sweep};
use crate::region::Region;

/// Reads `regions`: a name, a list of names and objects of name and count, one such object, or one with include and exclude.
/// Wherever a name stands, a pattern or a geography may stand, too.
pub(super) fn read(found: &Located<'_>, faults: &mut Collector) -> Vec<RegionShare> {
    let mut shares = Vec::new();
    let path = found.path.as_str();
    let is_empty = match found.value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                match item {
                    Value::Object(counts) => read_counts(counts, &path, &mut shares, faults),
                    name => read_name(name, &path, &mut shares, faults),
                }
            }
            items.is_empty()
        }
        Value::Object(chosen)
            if ["include", "exclude"]
                .iter()
                .any(|key| chosen.contains_key(*key)) =>
        {
            let read = selection::read(chosen);
            shares = take(read, path, Shape::Regions, faults).unwrap_or_default();
            false
        }
        Value::Object(counts) => {
            read_counts(counts, path, &mut shares, faults);
            counts.is_empty()
        }
        name => {
            read_name(name, path, &mut shares, faults);
            false
        }
    };
    if is_empty {
        faults.add(Fault::new(
            path,
            "no region is given",
            Shape::Regions.accepted(),
        ));
    }
    shares
}

fn read_name(name: &Value, path: &str, shares: &mut Vec<RegionShare>, faults: &mut Collector) {
    let found = text(name, 4096).and_then(|name| selection::regions(name).map_err(Vec::from));
    for share in take(found, path, Shape::Regions, faults).unwrap_or_default() {
        push(share, path, shares, faults);
    }
}

fn read_counts(
    counts: &Map<String, Value>,
    path: &str,
    shares: &mut Vec<RegionShare>,
    faults: &mut Collector,
) {
    for (name, count) in counts {
        let path = join(path, name);
        let region = take(one_region(name), &path, Shape::Regions, faults);
        let shape = Shape::Whole {
            min: 0,
            max: MEMBERS_MAX,
        };
        let count = match count {
            Value::Null => Some(None),
            count => take(whole(count, 0, MEMBERS_MAX), &path, shape, faults).map(Some),
        };
        if let (Some(region), Some(count)) = (region, count) {
            let share = RegionShare {
                region,
                count,
                is_named: true,
            };
            push(share, &path, shares, faults);
        }
    }
}

/// The one region that a count belongs to.
fn one_region(name: &str) -> Read<Region> {
    if !name.contains('*') {
        return region_name(name).map_err(Vec::from);
    }
    let problem = Problem::new(format!(
        "{} is a pattern, and a count belongs to one region",
        quoted(name)
    ));
    Err(problem
        .hint("give patterns without counts".to_owned())
        .into())
}

/// Adds a region. One that a pattern brings in may be there already; one that is named may not be named twice.
fn push(share: RegionShare, path: &str, shares: &mut Vec<RegionShare>, faults: &mut Collector) {
    match shares
        .iter_mut()
        .find(|before| before.region == share.region)
    {
        Some(before) if before.is_named && share.is_named => faults.add(Fault::new(
            path,
            format!("{} stands twice", share.region),
            "each region once",
        )),
        Some(before) if share.is_named => *before = share,
        Some(_) => {}
        None => shares.push(share),
    }
}

/// The sum of the counts, when every region has one.
pub(super) fn total(shares: &[RegionShare]) -> Option<u32> {
    let counts: Option<Vec<u32>> = shares.iter().map(|share| share.count).collect();
    let counts = counts.filter(|counts| !counts.is_empty())?;
    counts.into_iter().try_fold(0_u32, u32::checked_add)
}

/// Reads `distribution`.
pub(super) fn distribution(found: &Located<'_>, faults: &mut Collector) -> Option<Distribution> {
    let words = [
        "balanced",
        "cheapest",
        "spread",
        "opportunistic",
        "explicit",
    ];
    let read = if found.value.is_string() {
        word(found.value, &words)
    } else {
        Err(wrong_type(found.value, "a word").into())
    };
    let read = read.map(|word| match word {
        "cheapest" => Distribution::Cheapest,
        "spread" => Distribution::Spread,
        "opportunistic" => Distribution::Opportunistic,
        "explicit" => Distribution::Explicit,
        _ => Distribution::Balanced,
    });
    take(read, &found.path, Shape::Distribution, faults)
}

/// Reads `region_order`.
pub(super) fn order(found: &Located<'_>, faults: &mut Collector) -> Option<RegionOrder> {
    let read = word(found.value, &["document", "price", "distance"]);
    let read = read.map(|word| match word {
        "price" => RegionOrder::Price,
        "distance" => RegionOrder::Distance,
        _ => RegionOrder::Document,
    });
    take(read, &found.path, Shape::RegionOrder, faults)
}

/// Checks that distribution, order, counts and placement groups go together.
pub(super) fn check_choice(
    sweep: &Sweep,
    distribution: Option<Distribution>,
    order: Option<RegionOrder>,
    has_cluster: bool,
    faults: &mut Collector,
) {
    let path = fields::top(Top::Distribution).name;
    if total(&sweep.regions).is_some()
        && let Some(Distribution::Cheapest | Distribution::Opportunistic) = distribution
    {
        faults.add(Fault::new(
            path,
            "every region has a count, so there is nothing left to choose",
            "names without counts, or explicit",
        ));
    }
    let path_of_order = fields::top(Top::RegionOrder).name;
    if distribution == Some(Distribution::Cheapest)
        && order.is_some_and(|order| order != RegionOrder::Price)
    {
        faults.add(Fault::new(
            path_of_order,
            "cheapest goes by price",
            "price, or another distribution",
        ));
    }
    if order == Some(RegionOrder::Distance) && sweep.data_buckets.is_empty() {
        faults.add(Fault::new(
            path_of_order,
            "distance is measured from the data, and neither inputs nor params name a bucket",
            "document or price, or inputs in S3",
        ));
    }
    if distribution == Some(Distribution::Spread) && has_cluster {
        faults.add(Fault::new(
            path,
            "spread does not go with a cluster placement group, which lies in one availability zone",
            "another distribution, or no placement_group",
        ));
    }
}

/// Checks that the counts of regions add up to the `total` of members, and that each has room for those that name it.
pub(super) fn check_counts(
    shares: &[RegionShare],
    survey: &Survey,
    total_members: u128,
    path: &str,
    faults: &mut Collector,
) {
    let mut taken: u128 = 0;
    for share in shares {
        let pinned = survey.pinned.get(&share.region).copied().unwrap_or(0);
        let Some(count) = share.count.map(u128::from) else {
            taken += pinned;
            continue;
        };
        taken += count;
        if pinned > count {
            faults.add(Fault::new(
                join(path, share.region.as_str()),
                format!("the count is {count}, but {pinned} members name this region as theirs"),
                format!("at least {pinned}"),
            ));
        }
    }
    if taken > total_members || total(shares).is_some() && taken != total_members {
        faults.add(Fault::new(
            path,
            format!("the counts add up to {taken}, but the sweep has {total_members} members"),
            "counts that add up to the number of members, or names without counts",
        ));
    }
}

/// Checks that every member has a place where the document says that it gives all of them.
pub(super) fn check_explicit(
    shares: &[RegionShare],
    distribution: Option<Distribution>,
    survey: &Survey,
    faults: &mut Collector,
) {
    let has_open = total(shares).is_none() && survey.has_unpinned;
    if distribution == Some(Distribution::Explicit) && has_open {
        faults.add(Fault::new(
            fields::top(Top::Distribution).name,
            "explicit wants a place for every member",
            "a count for every region, or a region for every member",
        ));
    }
}
