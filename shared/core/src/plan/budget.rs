//! Whether a sweep can pass its budget, before anything is launched.
//!
//! What a member may cost at the most is what launching reserves for it: its shape's longest ttl on the dearest type of its
//! list at the price on demand, with its root volume and a public address. So a sweep that fits is never short on the way; one
//! that does not has as many members at a time as there is room for, and goes on with what comes back when they end early.

use std::cmp::Reverse;

use crate::cost::{Commitment, commitment};
use crate::document::Fault;
use crate::ids::Market;
use crate::money::MicroDollars;
use crate::plan::{Facts, Plan};
use crate::prices::{Item, PriceBook};
use crate::rows::{LanePrices, LaneRow, MemberRow, TypePrices};

/// Why a plan must be priced, and how it could do without.
#[derive(Clone, Debug)]
pub(super) struct Because {
    /// `the sweep has a budget`.
    pub(super) why: String,
    /// `, or a document without ...`.
    pub(super) without: &'static str,
}

/// What a plan costs at the most. `None` when a price or a ttl is missing.
#[must_use]
pub fn worst_case(plan: &Plan) -> Option<MicroDollars> {
    plan.members
        .iter()
        .zip(&plan.shapes)
        .map(|(member, shape)| at_most(plan, member, *shape))
        .try_fold(MicroDollars::ZERO, |sum, member| sum.checked_add(member?))
}

/// What a member may cost at the most, its retries included.
pub(crate) fn at_most(plan: &Plan, member: &MemberRow, shape: u32) -> Option<MicroDollars> {
    once_at_most(plan, member, shape)?
        .checked_mul(i64::from(tries_at_most(plan, member.lane.market)))
}

/// What one launch of a member is committed with at the most, in its lane or in one that may take it over.
pub(super) fn once_at_most(plan: &Plan, member: &MemberRow, shape: u32) -> Option<MicroDollars> {
    if member.state.is_ended() {
        return Some(MicroDollars::ZERO);
    }
    let own = lane_of(plan, member)?;
    let peers = if shape < own.movable_shapes {
        own.peers.as_slice()
    } else {
        &[]
    };
    let peers = plan.lanes.iter().filter(|lane| peers.contains(&lane.lane));
    let mut most = own.prices.commitment(shape)?;
    for peer in peers {
        most = most.max(peer.prices.commitment(shape)?);
    }
    Some(most)
}

/// How often a member may be launched, its retries included.
fn tries_at_most(plan: &Plan, market: Market) -> u32 {
    plan.sweep.retries.tries_at_most(market == Market::Spot)
}

/// The retries that the worst case counts, if there are any.
fn retries_in_words(plan: &Plan) -> String {
    let mut lanes = plan.sweep.lanes.iter();
    let is_spot = lanes.any(|lane| lane.market == Market::Spot);
    match plan.sweep.retries.tries_at_most(is_spot) {
        1 => String::new(),
        tries => format!(", tried up to {tries} times each,"),
    }
}

/// The prices of a lane, as far as the book knows them.
pub(crate) fn lane_prices(
    plan: &Plan,
    lane: &LaneRow,
    facts: &Facts,
    book: &PriceBook,
) -> LanePrices {
    let region = lane.lane.region;
    let mut prices = LanePrices {
        gib_month: book.amount(&region, &Item::GibMonth),
        public_ipv4_hour: book.amount(&region, &Item::PublicIpv4Hour),
        ..LanePrices::default()
    };
    let images = facts.get(&lane.lane.place()).map(|facts| &facts.images);
    for (number, shape) in lane.shapes.iter().enumerate() {
        for name in &shape.instance_types {
            let spot = |zone| book.quote(&region, &Item::Spot(name.clone(), zone));
            let of_type = TypePrices {
                on_demand: book.hour_at_most(&region, name),
                spot: spot(None).map(|quote| quote.amount),
                spot_in: book
                    .spot_zones(&region, name)
                    .map(|(zone, quote)| (zone.to_owned(), quote.amount))
                    .collect(),
            };
            prices.types.insert(name.clone(), of_type);
        }
        let image = images.and_then(|images| images.get(&shape.ami));
        // One that can hibernate has a root volume that holds its memory, too.
        let gib = shape
            .hibernation
            .as_ref()
            .map(|volume| volume.gib)
            .or(image.and_then(|image| image.root_gib));
        prices.gib.push(gib);
        let most = ttl_s(plan, lane, number).and_then(|ttl_s| {
            let hours = shape
                .instance_types
                .iter()
                .map(|name| book.hour_at_most(&region, name));
            let hour = hours.collect::<Option<Vec<_>>>()?.into_iter().max()?;
            let at_most = Commitment {
                hour,
                gib: gib?,
                gib_month: prices.gib_month?,
                public_ipv4_hour: prices.public_ipv4_hour?,
            };
            commitment(&at_most, ttl_s)
        });
        prices.commitments.push(most);
    }
    prices
}

/// The longest ttl of the members of a shape; of all the lane's where members may come from other lanes. `None` when one has none.
fn ttl_s(plan: &Plan, lane: &LaneRow, shape: usize) -> Option<u64> {
    if !lane.peers.is_empty() {
        let lanes = plan.lanes.iter().map(|lane| lane.ttl_s);
        return lanes.collect::<Option<Vec<_>>>()?.into_iter().max();
    }
    let mut longest = 0;
    for (member, number) in plan.members.iter().zip(&plan.shapes) {
        if member.lane == lane.lane && usize::try_from(*number) == Ok(shape) {
            longest = longest.max(member_ttl_s(plan, member)?);
        }
    }
    Some(longest)
}

fn member_ttl_s(plan: &Plan, member: &MemberRow) -> Option<u64> {
    let index = usize::try_from(member.program).ok()?;
    plan.programs.get(index)?.ttl_s
}

fn lane_of<'a>(plan: &'a Plan, member: &MemberRow) -> Option<&'a LaneRow> {
    plan.lanes.iter().find(|lane| lane.lane == member.lane)
}

/// What the members of a plan add up to under a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// What all members may cost.
    pub total: MicroDollars,
    /// For how many of them, in the order of their indices, the budget suffices.
    pub affordable: usize,
}

/// How a plan fits a budget. `None` when a price or a ttl is missing.
#[must_use]
pub fn fit(plan: &Plan, budget: MicroDollars) -> Option<Fit> {
    let mut total = MicroDollars::ZERO;
    let mut affordable = 0;
    for (number, (member, shape)) in plan.members.iter().zip(&plan.shapes).enumerate() {
        let most = at_most(plan, member, *shape)?;
        total = total.checked_add(most).unwrap_or(MicroDollars(i64::MAX));
        if total <= budget {
            affordable = number + 1;
        }
    }
    Some(Fit { total, affordable })
}

/// Checks the plan against its sweep's budget, and answers a warning when the worst case passes it. The check fails closed: what
/// is not known is not allowed.
///
/// # Errors
/// That a member could never be launched, or that the worst case cannot be told, and what to do.
pub(crate) fn check(plan: &Plan, book: Option<&PriceBook>) -> Result<Option<String>, Fault> {
    let Some(budget) = plan.sweep.budget else {
        return Ok(None);
    };
    let Some(book) = book else {
        return Err(Fault::new(
            "budget",
            "no price is known to this deployment, so a budget cannot be kept",
            "a deployment with a price book (its parameter PriceBook), or a document without `budget`",
        ));
    };
    let Some(Fit { total, affordable }) = fit(plan, budget) else {
        let because = Because {
            why: "the sweep has a budget".to_owned(),
            without: ", or a document without `budget`",
        };
        return Err(missing(plan, book, &because));
    };
    let dearest = plan
        .members
        .iter()
        .zip(&plan.shapes)
        .filter_map(|(member, shape)| {
            Some((once_at_most(plan, member, *shape)?, Reverse(member.index)))
        })
        .max();
    if let Some((most, Reverse(index))) = dearest
        && most > budget
    {
        return Err(Fault::new(
            "budget",
            format!(
                "member {index} at its full ttl may cost {most}, more than the budget of {budget}, so that it could never be launched"
            ),
            "a larger budget, a shorter ttl or cheaper types",
        ));
    }
    Ok((total > budget).then(|| {
        format!(
            "{} members at their full ttl{} may cost {total}, more than the budget of {budget}, which suffices for {affordable}: \
             the others wait for what is left when members end early, and fail when nothing is",
            plan.members.len(),
            retries_in_words(plan)
        )
    }))
}

/// What keeps a plan that must be priced from being so.
pub(super) fn missing(plan: &Plan, book: &PriceBook, because: &Because) -> Fault {
    let Because { why, without } = because;
    for member in &plan.members {
        if member_ttl_s(plan, member).is_none() {
            return Fault::new(
                "ttl",
                format!(
                    "member {} has none and can cost any amount, and {why}",
                    member.index
                ),
                format!("a ttl{without}"),
            );
        }
    }
    for lane in &plan.lanes {
        let region = lane.lane.region;
        let types = lane.shapes.iter().flat_map(|shape| &shape.instance_types);
        let items = types
            .map(|name| Item::OnDemand(name.clone()))
            .chain([Item::GibMonth, Item::PublicIpv4Hour]);
        for item in items {
            if book.quote(&region, &item).is_none() {
                let unknown = book.why_missing(&region, &item);
                let path = match item {
                    Item::OnDemand(_) | Item::Spot(..) => "instance_type",
                    Item::GibMonth | Item::PublicIpv4Hour => "budget",
                };
                return Fault::new(
                    path,
                    format!("{unknown}, and {why}"),
                    format!(
                        "a type with a price, or the price in the deployment's price book (parameter PriceBook){without}"
                    ),
                );
            }
        }
        for (shape, gib) in lane.shapes.iter().zip(&lane.prices.gib) {
            if gib.is_none() {
                return Fault::new(
                    "ami",
                    format!(
                        "EC2 does not say how large the root volume of {} is, and {why}",
                        shape.ami
                    ),
                    format!("an image with a root volume on EBS{without}"),
                );
            }
        }
    }
    Fault::new(
        "budget",
        "what the sweep may cost is beyond what can be counted",
        "a shorter ttl or fewer members",
    )
}

/// What a lane's members cost as far as is known: the first type of each shape at its expected price, for the whole ttl.
pub(crate) fn expected(
    plan: &Plan,
    lane: &LaneRow,
    book: &PriceBook,
    market: Market,
) -> Option<MicroDollars> {
    let mut sum = MicroDollars::ZERO;
    for (member, number) in plan.members.iter().zip(&plan.shapes) {
        if member.lane != lane.lane {
            continue;
        }
        let index = usize::try_from(*number).ok()?;
        let name = lane.shapes.get(index)?.instance_types.first()?;
        let prices = Commitment {
            hour: book.hour_expected(&lane.lane.region, name, market)?,
            gib: lane.prices.gib.get(index).copied().flatten()?,
            gib_month: lane.prices.gib_month?,
            public_ipv4_hour: lane.prices.public_ipv4_hour?,
        };
        sum = sum.checked_add(commitment(&prices, member_ttl_s(plan, member)?)?)?;
    }
    Some(sum)
}
