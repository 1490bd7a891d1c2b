//! The plan as rows of the ledger.

use std::collections::BTreeMap;

use crate::account::Place;
use crate::boot;
use crate::document::{Faults, Settings, Sweep, Ttl};
use crate::ending::EndCode;
use crate::ids::{LaneId, SweepId};
use crate::instance_metrics;
use crate::ledger::{LedgerError, Row, Stored};
use crate::plan::lanes::Lanes;
use crate::plan::place::{Seat, place};
use crate::plan::programs::Programs;
use crate::plan::quota::{self, QuotaReport};
use crate::plan::report::Report;
use crate::plan::{Classes, Options, QuotaFacts, budget};
use crate::prices::PriceBook;
use crate::region::Region;
use crate::rows::{BatchRow, LanePrices, LaneRow, MemberRow, ProgramRow, SweepRow, shard_count};
use crate::state::{Counts, Ended, MemberState, SweepStatus};

/// What the deployment and the execution add to the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The sweep's id.
    pub sweep_id: SweepId,
    /// The execution that submitted it.
    pub execution_arn: String,
    /// When the execution started, in ms since 1970.
    pub started_at: u64,
    /// The deployment's bucket of results.
    pub results_bucket: String,
    /// The deployment's instance profile.
    pub instance_profile: String,
    /// The deployment's topic.
    pub notify_topic: Option<String>,
    /// The deployment's prices, if it has any.
    pub price_book: Option<PriceBook>,
}

/// A sweep, planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The sweep's row, in status planning.
    pub sweep: SweepRow,
    /// Its lanes.
    pub lanes: Vec<LaneRow>,
    /// The batches of all lanes.
    pub batches: Vec<BatchRow>,
    /// What members run.
    pub programs: Vec<ProgramRow>,
    /// Its members, by index.
    pub members: Vec<MemberRow>,
    /// The shape of every member, an index into its lane's shapes.
    pub shapes: Vec<u32>,
    /// Seconds after which the sweep's execution gives up waiting for its end.
    pub timeout_s: u64,
    /// How it came about.
    pub report: Report,
}

impl Plan {
    /// All rows but the sweep's own, which is created on its own before them.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn rows(&self) -> Result<Vec<Row>, LedgerError> {
        let lanes = self.lanes.iter().map(Stored::row);
        let batches = self.batches.iter().map(Stored::row);
        let programs = self.programs.iter().map(Stored::row);
        let members = self.members.iter().map(Stored::row);
        lanes
            .chain(batches)
            .chain(programs)
            .chain(members)
            .collect()
    }
}

/// Plans a sweep: every member gets a place, within what the quotas have room for, and a shape.
///
/// # Errors
/// That no quota has room for a single member, or that the budget does not suffice.
pub fn plan(
    sweep: &Sweep,
    classes: &Classes,
    mut options: Options,
    quotas: &BTreeMap<Place, QuotaFacts>,
    context: &Context,
) -> Result<Plan, Faults> {
    options.settle(sweep, classes, quotas);
    let placement = place(sweep, classes, &options, quotas);
    let report = QuotaReport::of(&placement.rooms);
    if placement
        .seats
        .iter()
        .all(|seat| matches!(seat, Seat::Refused(_)))
    {
        return Err(report.faults(&options));
    }
    let members_count = u32::try_from(sweep.members.len()).unwrap_or(u32::MAX);
    let shards = shard_count(members_count);
    let mut lanes = Lanes::new(sweep, classes, &options, &placement.seats);
    let mut programs = Programs::default();
    let mut members = Vec::with_capacity(sweep.members.len());
    let mut shapes = Vec::with_capacity(sweep.members.len());
    for (number, member) in sweep.members.iter().enumerate() {
        let seat = placement.seats.get(number).copied();
        let (lane, shape) = lanes.add(number, seat.unwrap_or(Seat::Refused(0)), &member.settings);
        let settings = &member.settings;
        let planned =
            MemberRow::planned(context.sweep_id.clone(), shards, member.index, lane.clone());
        let mut row = MemberRow {
            name: member.name.clone(),
            dns_name: settings.dns_name.clone(),
            params: serde_json::Value::Object(member.params.clone()).to_string(),
            program: programs.number_of(sweep, settings, &context.sweep_id),
            shape: shape.unwrap_or(0),
            ..planned
        };
        if shape.is_none() {
            // It would only be tried in vain: it ends here, with the reason.
            row.state = MemberState::Failed;
            row.code = Some(EndCode::LaunchFailed);
            row.reason = Some(report.reason(&lane.place()));
            row.ended_at = Some(context.started_at);
        }
        shapes.push(shape.unwrap_or(0));
        members.push(row);
    }
    let mut sweep_row = sweep_row(sweep, context, members_count, shards, lanes.ids());
    count_members(&mut sweep_row, &members);
    sweep_row.max_in = report.max_in();
    let timeout_s = timeout_s(sweep, &sweep_row, &members);
    let (mut lanes, batches) = lanes.rows(sweep, &context.sweep_id);
    for lane in &mut lanes {
        quota::tell(lane, &options, quotas);
    }
    let mut plan = Plan {
        report: Report::of(sweep, &options, &placement, report, &lanes),
        sweep: sweep_row,
        lanes,
        batches,
        programs: programs.rows,
        members,
        shapes,
        timeout_s,
    };
    if let Some(book) = &context.price_book {
        let prices = plan
            .lanes
            .iter()
            .map(|lane| budget::lane_prices(&plan, lane, &options.facts, book));
        let prices: Vec<LanePrices> = prices.collect();
        for (lane, prices) in plan.lanes.iter_mut().zip(prices) {
            lane.prices = prices;
        }
    }
    // The prices of lanes come first: both are needed to tell what is missing.
    let warning = budget::check(&plan, context.price_book.as_ref())?;
    plan.report.warnings.extend(warning);
    let metrics = instance_metrics::warnings(&plan);
    plan.report.warnings.extend(metrics);
    let never_idle = |one: &ProgramRow| one.hibernate_on_idle && one.idle_timeout_s.is_none();
    if plan.programs.iter().any(never_idle) {
        let words = "hibernate_on_idle without idle_timeout: nothing is ever idle for long enough to be hibernated";
        plan.report.warnings.push(words.to_owned());
    }
    Ok(plan)
}

/// Counts the members by their states, those that end with the plan included.
fn count_members(sweep: &mut SweepRow, members: &[MemberRow]) {
    sweep.counts = Counts::tally(members.iter().map(|member| member.state));
    for member in members
        .iter()
        .filter(|member| member.state == MemberState::Failed)
    {
        sweep.ended_in.entry(member.lane.region).or_default().failed += 1;
    }
}

fn sweep_row(
    sweep: &Sweep,
    context: &Context,
    members: u32,
    shards: u32,
    lanes: Vec<LaneId>,
) -> SweepRow {
    // A document that names a webhook alone wants no mail to everybody.
    let topics = if sweep.notify.topics.is_empty() && sweep.notify.webhooks.is_empty() {
        context.notify_topic.iter().cloned().collect()
    } else {
        sweep.notify.topics.clone()
    };
    SweepRow {
        sweep_id: context.sweep_id.clone(),
        name: sweep.name.clone(),
        owner: sweep.owner.clone(),
        project: sweep.project.clone(),
        status: SweepStatus::Planning,
        version: 0,
        execution_arn: context.execution_arn.clone(),
        started_at: context.started_at,
        planner_until: 0,
        ended_at: None,
        lingered_until: None,
        members,
        shards,
        max_concurrent: sweep.max_concurrent,
        max_concurrent_per_region: sweep.max_concurrent_per_region,
        max_in: BTreeMap::new(),
        counts: Counts::planned(members),
        live: 0,
        live_in: lanes.iter().map(|lane| (lane.region, 0)).collect(),
        ended_in: lanes
            .iter()
            .map(|lane| (lane.region, Ended::default()))
            .collect(),
        retrying: 0,
        retries: sweep.retries,
        on_failure: sweep.on_failure,
        tolerated_failures: sweep.tolerated_failures.of(members),
        held: None,
        stopped: None,
        results_note: None,
        lanes,
        completion_token: None,
        waiting_since: 0,
        drain: None,
        budget: sweep.budget,
        charged: 0,
        billed: 0,
        on_budget: sweep.on_budget,
        cost: None,
        results_bucket: sweep
            .results
            .bucket
            .clone()
            .unwrap_or_else(|| context.results_bucket.clone()),
        topics,
        webhooks: sweep.notify.webhooks.clone(),
        occasions: sweep.notify.occasions.clone(),
        log_group: sweep
            .logs
            .then(|| boot::log_group(context.sweep_id.as_str())),
        trace: None,
        instance_metrics: sweep.instance_metrics.clone(),
        dns_label: None,
        deadlines_changed_at: None,
    }
}

/// An execution lasts at most a year (AWS Step Functions Developer Guide, "Service quotas").
const EXECUTION_S_MAX: u64 = 365 * 24 * 3600;

/// What launching and settling may take beside the members' own time.
const MARGIN_S: u64 = 6 * 3600;

/// After this the sweep cannot be alive: every wave of members at its full ttl, as often as it may be tried, and a margin.
fn timeout_s(sweep: &Sweep, row: &SweepRow, members: &[MemberRow]) -> u64 {
    let waves = |members: usize, at_once: Option<u32>| {
        let at_once = at_once.map_or(members, |limit| usize::try_from(limit).unwrap_or(members));
        members.div_ceil(at_once.max(1)).max(1)
    };
    let mut in_region: BTreeMap<Region, usize> = BTreeMap::new();
    for member in members {
        *in_region.entry(member.lane.region).or_insert(0) += 1;
    }
    let of_regions = in_region
        .into_iter()
        .map(|(region, count)| waves(count, row.max_in_region(&region)));
    let waves = of_regions
        .max()
        .unwrap_or(1)
        .max(waves(members.len(), row.max_concurrent));
    let waves = u64::try_from(waves).unwrap_or(u64::MAX);
    let longest = sweep
        .members
        .iter()
        .map(|m| ttl_of(&m.settings))
        .try_fold(0, |longest, ttl| ttl.map(|ttl| longest.max(ttl)));
    // A year less a day: the machine must outlive the wait to drain.
    let ceiling = EXECUTION_S_MAX - 24 * 3600;
    longest.map_or(ceiling, |ttl| {
        let tries = u64::from(sweep.retries.tries_at_most(true));
        (waves.saturating_mul(ttl).saturating_mul(tries) + MARGIN_S).min(ceiling)
    })
}

pub(crate) fn ttl_of(settings: &Settings) -> Option<u64> {
    match settings.ttl {
        Ttl::Seconds(seconds) => Some(seconds),
        Ttl::None => None,
    }
}
