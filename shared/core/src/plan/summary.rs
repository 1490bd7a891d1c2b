//! The plan as a dry run shows it.

use serde_json::{Value, json};

use crate::boot;
use crate::ids::Market;
use crate::instance_metrics;
use crate::plan::{Plan, priced, worst_case};
use crate::prices::PriceBook;
use crate::rows::{LaneRow, MemberRow, ProgramRow, Shape};

/// Members that a dry run's answer shows in full; all of them are in the manifest. (A state's output holds 256 KiB.)
const MEMBERS_SHOWN_MAX: usize = 20;

/// What will be launched, lane by lane, and what each member gets.
///
/// # Errors
/// When a member's parameters are not readable.
pub fn summary(
    plan: &Plan,
    manifest: &str,
    book: Option<&PriceBook>,
    now: u64,
) -> Result<Value, serde_json::Error> {
    let lanes: Vec<Value> = plan
        .lanes
        .iter()
        .map(|lane| lane_summary(plan, lane, book, now))
        .collect();
    let mut shown = 0;
    let mut members = Vec::new();
    for (member, shape) in plan
        .members
        .iter()
        .zip(&plan.shapes)
        .take(MEMBERS_SHOWN_MAX)
    {
        let member = member_summary(plan, member, *shape)?;
        // Large parameters must not push the answer over the limit.
        shown += member.to_string().len();
        if shown > 100_000 {
            break;
        }
        members.push(member);
    }
    let more = plan.members.len() - members.len();
    Ok(json!({
        "sweep_id": plan.sweep.sweep_id,
        "members": plan.sweep.members,
        "max_concurrent": plan.sweep.max_concurrent,
        "max_concurrent_per_region": plan.sweep.max_concurrent_per_region,
        "retries": plan.sweep.retries,
        "on_failure": plan.sweep.on_failure,
        "tolerated_failures": plan.sweep.tolerated_failures,
        "budget": plan.sweep.budget.map(|budget| budget.to_string()),
        "lanes": lanes,
        "distribution": plan.report.distribution,
        "region_order": plan.report.region_order,
        "regions": plan.report.regions,
        "quotas": plan.report.quotas,
        "warnings": plan.report.warnings,
        "member_plans": members,
        "members_not_shown": more,
        "all_members": manifest,
        "worst_case_cost": worst_case(plan).map(|cost| cost.to_string()),
        "cost": priced::of_sweep(plan, book),
        "instance_metrics": instance_metrics::price(plan).map(|price| price.to_output()),
    }))
}

fn lane_summary(plan: &Plan, lane: &LaneRow, book: Option<&PriceBook>, now: u64) -> Value {
    let batches = plan.batches.iter().filter(|batch| batch.lane == lane.lane);
    json!({
        "lane": lane.lane,
        "members": lane.pending,
        "types": plan.report.types.iter().filter(|types| types.lane == lane.lane).collect::<Vec<_>>(),
        "takes_over_from": lane.peers,
        "takes_what_waits": lane.opportunistic,
        "launch_calls": batches.count(),
        "longest_ttl_s": lane.ttl_s,
        "shapes": lane.shapes,
        "cost": book.map(|book| priced::of_lane(plan, lane, book, now)),
    })
}

/// Everything that one member gets.
///
/// # Errors
/// When its parameters are not readable.
pub fn member_summary(
    plan: &Plan,
    member: &MemberRow,
    shape: u32,
) -> Result<Value, serde_json::Error> {
    let lane = plan.lanes.iter().find(|lane| lane.lane == member.lane);
    let shape: Option<&Shape> = usize::try_from(shape)
        .ok()
        .and_then(|index| lane.and_then(|lane| lane.shapes.get(index)));
    let program = usize::try_from(member.program)
        .ok()
        .and_then(|index| plan.programs.get(index));
    Ok(json!({
        "index": member.index,
        "name": member.name,
        "lane": member.lane,
        "params": member.params()?,
        "launched_with": shape,
        "ttl_s": program.and_then(|program| program.ttl_s),
        "idle_timeout_s": program.and_then(|program| program.idle_timeout_s),
        "on_idle": program.and_then(|program| on_idle(program, member.lane.market, shape)),
        "on_complete": program.map(|program| program.on_complete),
        "command": program.and_then(|program| program.command.clone()),
        "user_data": program.and_then(|program| program.user_data.clone()),
        "inputs": program.map(|program| program.inputs.clone()),
        "environment": boot::environment(&plan.sweep, member)?
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>(),
        "results": format!("s3://{}/{}/", plan.sweep.results_bucket,
            boot::results_prefix(plan.sweep.sweep_id.as_str(), member.index)),
    }))
}

/// What idleness will do to a member's instance, in words; `None` when nothing limits it.
fn on_idle(program: &ProgramRow, market: Market, shape: Option<&Shape>) -> Option<&'static str> {
    program.idle_timeout_s?;
    let may_be_spot = market == Market::Spot;
    let can_hibernate = shape.is_some_and(|shape| shape.hibernation.is_some());
    Some(
        match (program.hibernate_on_idle, may_be_spot, can_hibernate) {
            (false, _, _) => "terminate",
            (true, true, _) => {
                "terminate: a one-time spot instance can be neither hibernated nor stopped"
            }
            (true, false, true) => {
                "hibernate; where EC2 refuses, stop; where it refuses that, terminate"
            }
            (true, false, false) => "stop; where EC2 refuses, terminate",
        },
    )
}
