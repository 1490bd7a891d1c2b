//! Whether a sweep can pass its budget, before anything is launched.

use crate::document::Fault;
use crate::ids::Market;
use crate::money::MicroDollars;
use crate::plan::Plan;
use crate::prices::{PriceBook, cost};
use crate::rows::{MemberRow, Shape};

/// What a plan costs at the most: every member at its full ttl, as often as it may be tried, on the dearest type of its list, at the price on demand.
/// `None` when a price or a ttl is missing.
#[must_use]
pub fn worst_case(plan: &Plan, book: &PriceBook) -> Option<MicroDollars> {
    members_at_most(plan, book)
        .ok()?
        .into_iter()
        .try_fold(MicroDollars(0), MicroDollars::checked_add)
}

/// Checks the plan against its sweep's budget. The check fails closed: what is not known is not allowed.
///
/// # Errors
/// That the worst case passes the budget, or cannot be told, and what to do.
pub(crate) fn check(plan: &Plan, book: Option<&PriceBook>) -> Result<(), Fault> {
    let Some(budget) = plan.sweep.budget else {
        return Ok(());
    };
    let Some(book) = book else {
        return Err(Fault::new(
            "budget",
            "no price is known to this deployment, so a budget cannot be kept",
            "a deployment with a price book (its parameter PriceBook), or a document without `budget`",
        ));
    };
    let mut total = MicroDollars(0);
    let mut affordable = 0_usize;
    for (number, member) in members_at_most(plan, book)?.into_iter().enumerate() {
        total = total.checked_add(member).unwrap_or(MicroDollars(i64::MAX));
        if total <= budget {
            affordable = number + 1;
        }
    }
    if total <= budget {
        return Ok(());
    }
    Err(Fault::new(
        "budget",
        format!(
            "{} members at their full ttl{} may cost {total}, more than the budget of {budget}, which suffices for {affordable}",
            plan.members.len(),
            retries_in_words(plan)
        ),
        "a larger budget, a shorter ttl, cheaper types, fewer members or fewer retries",
    ))
}

/// The retries that the worst case counts, if there are any.
fn retries_in_words(plan: &Plan) -> String {
    let spot = plan
        .sweep
        .lanes
        .iter()
        .any(|lane| lane.market == Market::Spot);
    match plan.sweep.retries.tries_at_most(spot) {
        1 => String::new(),
        tries => format!(", tried up to {tries} times each,"),
    }
}

/// What each member costs at the most.
fn members_at_most(plan: &Plan, book: &PriceBook) -> Result<Vec<MicroDollars>, Fault> {
    plan.members
        .iter()
        .zip(&plan.shapes)
        .map(|(member, shape)| member_at_most(plan, member, *shape, book))
        .collect()
}

fn member_at_most(
    plan: &Plan,
    member: &MemberRow,
    shape: u32,
    book: &PriceBook,
) -> Result<MicroDollars, Fault> {
    let program = usize::try_from(member.program)
        .ok()
        .and_then(|n| plan.programs.get(n));
    let Some(ttl_s) = program.and_then(|program| program.ttl_s) else {
        return Err(Fault::new(
            "ttl",
            format!(
                "member {} has none and can cost any amount, and the sweep has a budget",
                member.index
            ),
            "a ttl, or a document without `budget`",
        ));
    };
    let lane = plan.lanes.iter().find(|lane| lane.lane == member.lane);
    let shape: Option<&Shape> = lane.and_then(|lane| lane.shapes.get(usize::try_from(shape).ok()?));
    let mut most = MicroDollars(0);
    for name in shape.into_iter().flat_map(|shape| &shape.instance_types) {
        let region = &member.lane.region;
        let Some(hour) = book.hour_at_most(region, name) else {
            return Err(Fault::new(
                "instance_type",
                format!("the price of {name} in {region} is not known, and the sweep has a budget"),
                "a type of the price book, a price book with this type, or a document without `budget`",
            ));
        };
        let of_type = cost(hour, ttl_s).unwrap_or(MicroDollars(i64::MAX));
        most = most.max(of_type);
    }
    let tries = plan
        .sweep
        .retries
        .tries_at_most(member.lane.market == Market::Spot);
    Ok(MicroDollars(most.0.saturating_mul(i64::from(tries))))
}
