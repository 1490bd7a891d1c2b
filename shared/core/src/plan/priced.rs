//! The prices of a plan, as a dry run shows them.

use serde_json::{Value, json};

use crate::ids::Market;
use crate::money::MicroDollars;
use crate::plan::Plan;
use crate::plan::budget::{at_most, expected, fit, worst_case};
use crate::prices::{Item, PriceBook};
use crate::rows::LaneRow;

/// Types of one lane whose prices are shown.
const TYPES_SHOWN_MAX: usize = 20;

/// What a lane costs: its prices with source and age, hours, expected cost and worst case, and what spot would save.
pub(crate) fn of_lane(plan: &Plan, lane: &LaneRow, book: &PriceBook, now: u64) -> Value {
    let region = lane.lane.region;
    let market = lane.lane.market;
    let types: Vec<&String> = lane.prices.types.keys().take(TYPES_SHOWN_MAX).collect();
    let prices: Vec<Value> = types
        .iter()
        .map(|name| {
            let on_demand = book.quote(&region, &Item::OnDemand((*name).clone()));
            let spot = book.spot(&region, name, None);
            let words = |quote: Option<&crate::prices::Quote>| quote.map(|quote| quote.words(now));
            json!({
                "instance_type": name,
                "on_demand_hour": words(on_demand).unwrap_or_else(|| book.why_missing(&region, &Item::OnDemand((*name).clone()))),
                "spot_hour": words(spot),
            })
        })
        .collect();
    let hours = lane.ttl_s.map(hours_words);
    let cost = expected(plan, lane, book, market);
    let with_spot = expected(plan, lane, book, Market::Spot);
    let on_demand = expected(plan, lane, book, Market::OnDemand);
    // A price that is not known as spot falls back to the price on demand, and saves nothing.
    let saved = on_demand
        .zip(with_spot)
        .and_then(|(all, less)| all.checked_sub(less))
        .filter(|saved| saved.0 > 0);
    json!({
        "prices": prices,
        "root_volume_gib_month": book.quote(&region, &Item::GibMonth).map(|quote| quote.words(now)),
        "public_ipv4_hour": book.quote(&region, &Item::PublicIpv4Hour).map(|quote| quote.words(now)),
        "longest_ttl_hours": hours,
        "expected_cost": cost.map(|cost| cost.to_string()),
        "worst_case_cost": lane_worst_case(plan, lane).map(|cost| cost.to_string()),
        "spot_saves": saved.map(|saved| match market {
            Market::OnDemand => format!("{saved} if it were spot"),
            Market::Spot => format!("{saved} against on demand"),
        }),
    })
}

fn lane_worst_case(plan: &Plan, lane: &LaneRow) -> Option<MicroDollars> {
    let of_lane = plan
        .members
        .iter()
        .zip(&plan.shapes)
        .filter(|(member, _)| member.lane == lane.lane);
    let mut sum = MicroDollars::ZERO;
    for (member, shape) in of_lane {
        sum = sum.checked_add(at_most(plan, member, *shape)?)?;
    }
    Some(sum)
}

/// `1.50` hours of 5400 seconds.
fn hours_words(seconds: u64) -> String {
    let hundredths = seconds.saturating_mul(100).div_ceil(3600);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// What the whole plan costs, whether a budget suffices and for how many members, and where it would be cheapest.
pub(crate) fn of_sweep(plan: &Plan, book: Option<&PriceBook>) -> Value {
    let Some(book) = book else {
        return json!({"prices": "no price is known to this deployment"});
    };
    let lanes = plan
        .lanes
        .iter()
        .map(|lane| expected(plan, lane, book, lane.lane.market));
    let expected = lanes.collect::<Option<Vec<_>>>().and_then(|lanes| {
        lanes
            .into_iter()
            .try_fold(MicroDollars::ZERO, MicroDollars::checked_add)
    });
    let budget = plan.sweep.budget.map(|budget| match fit(plan, budget) {
        Some(fit) => json!({
            "budget": budget.to_string(),
            "suffices": fit.total <= budget,
            "suffices_for_members": fit.affordable,
            "on_budget": plan.sweep.on_budget,
        }),
        None => json!({"budget": budget.to_string(), "suffices": null}),
    });
    let first = plan
        .lanes
        .first()
        .and_then(|lane| lane.shapes.first())
        .and_then(|shape| shape.instance_types.first());
    let cheapest: Vec<Value> = first
        .map(|name| book.regions_of(name))
        .unwrap_or_default()
        .into_iter()
        .map(|(region, hour)| {
            let name = first.map(String::as_str).unwrap_or_default();
            json!({
                "region": region,
                "instance_type": name,
                "on_demand_hour": hour.to_string(),
                "spot_hour": book.spot(&region, name, None).map(|quote| quote.amount.to_string()),
            })
        })
        .collect();
    json!({
        "sources": book.sources(),
        "expected_cost": expected.map(|cost| cost.to_string()),
        "worst_case_cost": worst_case(plan).map(|cost| cost.to_string()),
        "budget": budget,
        "standing_budgets": plan.report.standing,
        "regions_by_price": cheapest,
    })
}
