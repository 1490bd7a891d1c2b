//! The regions of a sweep and how many members each gets.

use serde_json::{Map, Value};

use super::aws::region_name;
use super::fault::{Collector, Fault, join};
use super::fields::{self, Top};
use super::keys::Located;
use super::read::{Problem, shown, take, text, whole, word, wrong_type};
use super::shape::Shape;
use super::sweep::{Distribution, MEMBERS_MAX, Member, RegionShare};
use crate::region::Region;

/// Reads `regions`: a name, a list of names and objects of name and count, or one such object.
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
    let region = text(name, 4096).and_then(|name| region_name(name).map_err(Vec::from));
    if let Some(region) = take(region, path, Shape::Regions, faults) {
        push(
            RegionShare {
                region,
                count: None,
            },
            path,
            shares,
            faults,
        );
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
        let region = take(
            region_name(name).map_err(Vec::from),
            &path,
            Shape::Regions,
            faults,
        );
        let shape = Shape::Whole {
            min: 0,
            max: MEMBERS_MAX,
        };
        let count = match count {
            Value::Null => Some(None),
            count => take(whole(count, 0, MEMBERS_MAX), &path, shape, faults).map(Some),
        };
        if let (Some(region), Some(count)) = (region, count) {
            push(RegionShare { region, count }, &path, shares, faults);
        }
    }
}

fn push(share: RegionShare, path: &str, shares: &mut Vec<RegionShare>, faults: &mut Collector) {
    if shares.iter().any(|before| before.region == share.region) {
        faults.add(Fault::new(
            path,
            format!("{} stands twice", share.region),
            "each region once",
        ));
    } else {
        shares.push(share);
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
    const LATER: [&str; 3] = ["cheapest", "spread", "opportunistic"];
    let words = ["balanced", "explicit", LATER[0], LATER[1], LATER[2]];
    let read = if found.value.is_string() {
        word(found.value, &words)
    } else {
        Err(wrong_type(found.value, "a word").into())
    };
    let read = read.and_then(|word| match word {
        "balanced" => Ok(Distribution::Balanced),
        "explicit" => Ok(Distribution::Explicit),
        later => Err(Problem::new(format!(
            "{} is not available in this version",
            shown(&Value::from(later))
        ))
        .into()),
    });
    take(read, &found.path, Shape::Distribution, faults)
}

/// Checks that every member finds its place.
pub(super) fn check(
    shares: &[RegionShare],
    distribution: Option<Distribution>,
    members: &[Member],
    path: &str,
    faults: &mut Collector,
) {
    let pinned_in = |region: Region| {
        members
            .iter()
            .filter(|member| member.settings.region == Some(region))
            .count()
    };
    let mut taken = 0;
    for share in shares {
        let pinned = pinned_in(share.region);
        let Some(count) = share.count.map(|count| count as usize) else {
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
    let are_all_counted = total(shares).is_some();
    if taken > members.len() || are_all_counted && taken != members.len() {
        faults.add(Fault::new(
            path,
            format!(
                "the counts add up to {taken}, but the sweep has {} members",
                members.len()
            ),
            "counts that add up to the number of members, or names without counts",
        ));
    }
    let are_all_pinned = members
        .iter()
        .all(|member| member.settings.region.is_some());
    if distribution == Some(Distribution::Explicit) && !are_all_counted && !are_all_pinned {
        faults.add(Fault::new(
            fields::top(Top::Distribution).name,
            "explicit wants a place for every member",
            "a count for every region, or a region for every member",
        ));
    }
}
