//! Which instance types will do, in which order, and why.
//!
//! ```text
//! a list            the order of the document; a pattern in it is replaced by its types, cheapest first
//! requirements      every type that meets them, cheapest first, none much dearer than the cheapest
//! ```
//! Cheapest first means: by the price of the lane's market as far as the price book has it, types without a price after
//! those with one; then by vCPUs, memory, and name, so that two plans of one document are the same.

mod needs;

use crate::document::{Ami, Fault, InstanceTypes, Requirements, Settings};
use crate::ids::Market;
use crate::money::MicroDollars;
use crate::pattern;
use crate::plan::RegionFacts;
use crate::ports::TypeFacts;
use crate::prices::PriceBook;
use crate::region::Region;

use needs::{Need, path_of, requirement_needs};

/// The most types that a launch is given to choose from: the cheapest come first, and later ones would hardly be reached.
pub(crate) const TYPES_MAX: usize = 20;

/// What the choice of types depends on, beside the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choosing<'a> {
    /// The region.
    pub(crate) region: Region,
    /// The market that instances are bought on first.
    pub(crate) market: Market,
    /// What the region offers.
    pub(crate) facts: &'a RegionFacts,
    /// The prices, if there are any.
    pub(crate) book: Option<&'a PriceBook>,
    /// Whether the sweep has a budget: then a type without a price is not chosen where there is a choice.
    pub(crate) has_budget: bool,
    /// Where the document says so, such as `params[3].`.
    pub(crate) at: &'a str,
}

/// Types in the order in which they are tried, and why these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen<'a> {
    pub(crate) types: Vec<&'a TypeFacts>,
    pub(crate) reason: String,
}

/// Chooses the types of members with these settings.
///
/// # Errors
/// That no type will do, and why.
pub(crate) fn choose<'a>(settings: &Settings, by: Choosing<'a>) -> Result<Chosen<'a>, Fault> {
    match &settings.instance_types {
        InstanceTypes::Exact(names) | InstanceTypes::Pattern(names) => {
            of_names(settings, names, by)
        }
        InstanceTypes::Requirements(requirements) => of_requirements(settings, requirements, by),
    }
}

/// Types of a list, in its order.
fn of_names<'a>(
    settings: &Settings,
    names: &[String],
    by: Choosing<'a>,
) -> Result<Chosen<'a>, Fault> {
    let path = format!("{}instance_type", by.at);
    let mut found: Vec<&TypeFacts> = Vec::new();
    let mut has_pattern = false;
    let mut unpriced = 0;
    for name in names {
        let mut of_name: Vec<&TypeFacts> = if name.contains('*') {
            let types = by.facts.types.values();
            types
                .filter(|one| pattern::matches(&one.name, name))
                .collect()
        } else {
            by.facts.types.get(name).into_iter().collect()
        };
        if of_name.is_empty() {
            return Err(not_offered(name, by.region, by.facts, path));
        }
        if name.contains('*') {
            has_pattern = true;
            unpriced += drop_unpriced(&mut of_name, by);
            sort(&mut of_name, by);
        }
        for one in of_name {
            if !found.iter().any(|other| other.name == one.name) {
                found.push(one);
            }
        }
    }
    let first = found.first().map(|one| one.name.clone());
    let first = first.unwrap_or_else(|| names.join(", "));
    let able = [
        Need::market(settings, by.market),
        Need::adapter(settings),
        Need::cluster(settings),
    ];
    for need in able.iter().flatten() {
        let before = found.len();
        found.retain(|one| need.is_met_by(one));
        if found.is_empty() && before > 0 {
            let problem = format!("`{first}` {} in {}", need.lacking, by.region);
            return Err(Fault::new(path_of(need, by.at), problem, need.accepted));
        }
    }
    if found.is_empty() {
        let problem = format!(
            "no price of {} in {} is known, and the sweep has a budget",
            names.join(", "),
            by.region
        );
        let accepted = "types of the price book, or a document without `budget`";
        return Err(Fault::new(path, problem, accepted));
    }
    let all = found.len();
    found.truncate(TYPES_MAX);
    let mut reason = match (names.len(), has_pattern) {
        (1, false) => "the document names it".to_owned(),
        (_, false) => "in the order of the document".to_owned(),
        (1, true) => format!("of {all} types that match, {}", order(by)),
        (_, true) => format!(
            "of {all} types that match, in the order of the document, {} within a pattern",
            order(by)
        ),
    };
    if all > TYPES_MAX {
        reason.push_str(&format!("; the first {TYPES_MAX}"));
    }
    push_unpriced(&mut reason, unpriced);
    Ok(Chosen {
        types: found,
        reason,
    })
}

/// Types that meet requirements, cheapest first.
fn of_requirements<'a>(
    settings: &Settings,
    requirements: &Requirements,
    by: Choosing<'a>,
) -> Result<Chosen<'a>, Fault> {
    let path = format!("{}instance_requirements", by.at);
    let mut found: Vec<&TypeFacts> = by.facts.types.values().collect();
    let all = found.len();
    let architectures = architectures(settings, requirements, by);
    let mut needs = requirement_needs(requirements, &architectures);
    let able = [
        Need::market(settings, by.market),
        Need::adapter(settings),
        Need::cluster(settings),
    ];
    needs.extend(able.into_iter().flatten());
    for need in &needs {
        let before = found.len();
        found.retain(|one| need.is_met_by(one));
        if found.is_empty() {
            let problem = match before {
                0 => format!("{} offers no type that may be chosen", by.region),
                1 => format!(
                    "no type of {} meets them: of 1 type that meets the others, none {}",
                    by.region, need.wanted
                ),
                _ => format!(
                    "no type of {} meets them: of {before} types that meet those before it, none {}",
                    by.region, need.wanted
                ),
            };
            return Err(Fault::new(path, problem, "requirements that a type meets"));
        }
    }
    let meeting = found.len();
    let unpriced = drop_unpriced(&mut found, by);
    sort(&mut found, by);
    let Some(lowest) = found.first().map(|one| price(one, by)) else {
        let problem = format!(
            "no price of the {meeting} types that meet them in {} is known, and the sweep has a budget",
            by.region
        );
        let accepted = "types of the price book, or a document without `budget`";
        return Err(Fault::new(path, problem, accepted));
    };
    let percent = match by.market {
        Market::OnDemand => requirements.on_demand_percent_over_lowest,
        Market::Spot => requirements.spot_percent_over_lowest,
    };
    if let Some(lowest) = lowest {
        let most = i128::from(lowest.0) * (100 + i128::from(percent)) / 100;
        found.retain(|one| price(one, by).is_none_or(|price| i128::from(price.0) <= most));
    }
    let affordable = found.len();
    found.truncate(TYPES_MAX);
    let mut reason = format!(
        "{meeting} of {all} types meet the requirements, {}",
        order(by)
    );
    if lowest.is_some() && affordable < meeting {
        reason.push_str(&format!(
            "; {affordable} cost at most {percent} % more than the cheapest"
        ));
    }
    if affordable > TYPES_MAX {
        reason.push_str(&format!("; the first {TYPES_MAX}"));
    }
    push_unpriced(&mut reason, unpriced);
    Ok(Chosen {
        types: found,
        reason,
    })
}

/// The architectures that will do: those of the document, or that of its image. Where neither says, programs are taken to be
/// built for x86_64, as most are.
fn architectures(
    settings: &Settings,
    requirements: &Requirements,
    by: Choosing<'_>,
) -> Vec<String> {
    if !requirements.cpu_architecture.is_empty() {
        return requirements.cpu_architecture.clone();
    }
    let image = match &settings.ami {
        Some(Ami::Id(id)) => by.facts.images.get(id),
        Some(Ami::ByRegion(images)) => {
            let id = images.get(&by.region);
            id.and_then(|id| by.facts.images.get(id))
        }
        Some(Ami::Parameter(_)) | None => None,
    };
    let known = image.map(|image| image.architecture.clone());
    vec![known.unwrap_or_else(|| "x86_64".to_owned())]
}

/// The names of the types that can be chosen at all, whatever they cost: only their prices matter.
pub(crate) fn able(settings: &Settings, by: Choosing<'_>) -> Vec<String> {
    let mut found: Vec<&TypeFacts> = by.facts.types.values().collect();
    match &settings.instance_types {
        InstanceTypes::Exact(names) | InstanceTypes::Pattern(names) => found.retain(|one| {
            names
                .iter()
                .any(|pattern| pattern::matches(&one.name, pattern))
        }),
        InstanceTypes::Requirements(requirements) => {
            let architectures = architectures(settings, requirements, by);
            for need in requirement_needs(requirements, &architectures) {
                found.retain(|one| need.is_met_by(one));
            }
        }
    }
    found.into_iter().map(|one| one.name.clone()).collect()
}

/// The fault of a type that the region does not have.
fn not_offered(name: &str, region: Region, facts: &RegionFacts, path: String) -> Fault {
    let fault = Fault::new(
        path,
        format!("`{name}` is no instance type that EC2 offers in {region}"),
        "a type (`c5.4xlarge`), a list of types, or a pattern (`c5.*`) that the region offers",
    );
    let elsewhere = facts
        .elsewhere
        .get(name)
        .filter(|regions| !regions.is_empty());
    fault.hint(elsewhere.map(|regions| {
        let names: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
        format!("it is offered in {}", names.join(", "))
    }))
}

/// The price of a type, as far as it is known.
pub(crate) fn price(one: &TypeFacts, by: Choosing<'_>) -> Option<MicroDollars> {
    by.book?.hour_expected(&by.region, &one.name, by.market)
}

fn sort(types: &mut [&TypeFacts], by: Choosing<'_>) {
    types.sort_by_cached_key(|one| {
        let price = price(one, by);
        (
            price.is_none(),
            price.map(|price| price.0),
            one.vcpus,
            one.memory_mib,
            one.name.clone(),
        )
    });
}

/// Takes out the types whose price is not known, when a budget must be kept; how many these were.
fn drop_unpriced(types: &mut Vec<&TypeFacts>, by: Choosing<'_>) -> usize {
    let before = types.len();
    if by.has_budget
        && let Some(book) = by.book
    {
        types.retain(|one| book.hour_at_most(&by.region, &one.name).is_some());
    }
    before - types.len()
}

fn push_unpriced(reason: &mut String, unpriced: usize) {
    if unpriced > 0 {
        reason.push_str(&format!(
            "; {unpriced} without a known price left out because of the budget"
        ));
    }
}

fn order(by: Choosing<'_>) -> &'static str {
    match by.book {
        Some(_) => "cheapest first",
        None => "smallest first, since no prices are known",
    }
}
