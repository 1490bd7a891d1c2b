//! The plan as rows of the ledger.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::document::{self, Collector, Faults, Settings, Sweep, Ttl};
use crate::ids::{LaneId, SweepId};
use crate::launch::BATCH_MEMBERS_MAX;
use crate::ledger::{LedgerError, Row, Stored};
use crate::plan::shapes::shape_of;
use crate::plan::{Facts, Placement, RegionFacts, budget};
use crate::prices::PriceBook;
use crate::rows::{
    BatchRow, LanePrices, LaneRow, MemberRow, OnComplete, ProgramRow, Shape, SweepRow, shard_count,
};
use crate::state::{Counts, Ended, SweepStatus};

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

/// Plans a sweep whose members go where `placement` says.
///
/// # Errors
/// Everything that the document asks for and EC2 does not have, at once.
pub fn plan(
    sweep: &Sweep,
    placement: &Placement,
    facts: &Facts,
    context: &Context,
) -> Result<Plan, Faults> {
    let members_count = u32::try_from(sweep.members.len()).unwrap_or(u32::MAX);
    let shards = shard_count(members_count);
    let empty = RegionFacts::default();
    let mut faults = Collector::default();
    let mut lanes: BTreeMap<LaneId, LaneDraft> = BTreeMap::new();
    let mut programs = Programs::default();
    let mut members = Vec::with_capacity(sweep.members.len());
    let mut shapes = Vec::with_capacity(sweep.members.len());
    // When all members have the same settings, the document says them once, and not of a member.
    let uniform = sweep
        .members
        .windows(2)
        .all(|pair| Arc::ptr_eq(&pair[0].settings, &pair[1].settings));
    // Members with the same settings in the same lane have the same shape: it is worked out once.
    let mut known: BTreeMap<(*const Settings, LaneId), Option<u32>> = BTreeMap::new();
    for (member, lane_id) in sweep.members.iter().zip(placement) {
        let lane = lanes.entry(lane_id.clone()).or_default();
        let settings = &member.settings;
        let shape = match known.entry((Arc::as_ptr(settings), lane_id.clone())) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let of_region = facts.get(&lane_id.place()).unwrap_or(&empty);
                let at = if uniform {
                    String::new()
                } else {
                    format!("params[{}].", member.index)
                };
                let profile = &context.instance_profile;
                let shape = shape_of(settings, &at, lane_id, of_region, profile);
                *entry.insert(faults.keep(shape).map(|shape| lane.shape(shape)))
            }
        };
        // A fault of these settings was told with the first member that has them.
        let Some(shape) = shape else { continue };
        lane.members.entry(shape).or_default().push(member.index);
        lane.add_ttl(settings);
        shapes.push(shape);
        members.push(MemberRow {
            name: member.name.clone(),
            dns_name: settings.dns_name.clone(),
            params: serde_json::Value::Object(member.params.clone()).to_string(),
            program: programs.number_of(sweep, settings, &context.sweep_id),
            shape,
            ..MemberRow::planned(
                context.sweep_id.clone(),
                shards,
                member.index,
                lane_id.clone(),
            )
        });
    }
    faults.finish(())?;
    let sweep_row = sweep_row(sweep, context, members_count, shards, &lanes);
    let timeout_s = timeout_s(sweep, members_count);
    let mut lane_rows = Vec::new();
    let mut batches = Vec::new();
    for (lane_id, draft) in lanes {
        let of_lane = draft.batches(&context.sweep_id, &lane_id);
        lane_rows.push(draft.row(sweep, &context.sweep_id, lane_id, of_lane.len()));
        batches.extend(of_lane);
    }
    let mut plan = Plan {
        sweep: sweep_row,
        lanes: lane_rows,
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
            .map(|lane| budget::lane_prices(&plan, lane, facts, book));
        let prices: Vec<LanePrices> = prices.collect();
        for (lane, prices) in plan.lanes.iter_mut().zip(prices) {
            lane.prices = prices;
        }
    }
    // The prices of lanes come first: both are needed to tell what is missing.
    budget::check(&plan, context.price_book.as_ref())?;
    Ok(plan)
}

fn sweep_row(
    sweep: &Sweep,
    context: &Context,
    members: u32,
    shards: u32,
    lanes: &BTreeMap<LaneId, LaneDraft>,
) -> SweepRow {
    let topics = if sweep.notify.topics.is_empty() {
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
        members,
        shards,
        lanes: lanes.keys().cloned().collect(),
        max_concurrent: sweep.max_concurrent,
        max_concurrent_per_region: sweep.max_concurrent_per_region,
        max_in: BTreeMap::new(),
        counts: Counts::planned(members),
        live: 0,
        live_in: lanes.keys().map(|lane| (lane.region, 0)).collect(),
        ended_in: lanes
            .keys()
            .map(|lane| (lane.region, Ended::default()))
            .collect(),
        retrying: 0,
        retries: sweep.retries,
        on_failure: sweep.on_failure,
        tolerated_failures: sweep.tolerated_failures.of(members),
        held: None,
        completion_token: None,
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
        dns_label: None,
        deadlines_changed_at: None,
    }
}

/// An execution lasts at most a year (AWS Step Functions Developer Guide, "Service quotas").
const EXECUTION_S_MAX: u64 = 365 * 24 * 3600;

/// What launching and settling may take beside the members' own time.
const MARGIN_S: u64 = 6 * 3600;

/// After this the sweep cannot be alive: every wave of members at its full ttl, as often as it may be tried, and a margin.
fn timeout_s(sweep: &Sweep, members: u32) -> u64 {
    let at_once = sweep
        .max_concurrent
        .unwrap_or(members)
        .clamp(1, members.max(1));
    let waves = u64::from(members.div_ceil(at_once).max(1));
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

fn ttl_of(settings: &Settings) -> Option<u64> {
    match settings.ttl {
        Ttl::Seconds(seconds) => Some(seconds),
        Ttl::None => None,
    }
}

/// A lane as it grows.
#[derive(Default)]
struct LaneDraft {
    shapes: Vec<Shape>,
    numbers: BTreeMap<Shape, u32>,
    members: BTreeMap<u32, Vec<u32>>,
    ttl_s: u64,
    endless: bool,
}

impl LaneDraft {
    fn shape(&mut self, shape: Shape) -> u32 {
        let next = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        match self.numbers.entry(shape) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.shapes.push(entry.key().clone());
                *entry.insert(next)
            }
        }
    }

    fn add_ttl(&mut self, settings: &Settings) {
        match ttl_of(settings) {
            Some(ttl) => self.ttl_s = self.ttl_s.max(ttl),
            None => self.endless = true,
        }
    }

    fn batches(&self, sweep_id: &SweepId, lane: &LaneId) -> Vec<BatchRow> {
        let size = usize::try_from(BATCH_MEMBERS_MAX).unwrap_or(usize::MAX);
        let chunks = self
            .members
            .iter()
            .flat_map(|(shape, members)| members.chunks(size).map(move |chunk| (*shape, chunk)));
        (0..)
            .zip(chunks)
            .map(|(batch, (shape, chunk))| BatchRow {
                sweep_id: sweep_id.clone(),
                lane: lane.clone(),
                batch,
                version: 0,
                shape,
                pending: chunk.iter().copied().collect(),
                attempts: 0,
                rung: 0,
                rounds: 0,
            })
            .collect()
    }

    fn row(self, sweep: &Sweep, sweep_id: &SweepId, lane: LaneId, batches: usize) -> LaneRow {
        let pending: usize = self.members.values().map(Vec::len).sum();
        LaneRow {
            sweep_id: sweep_id.clone(),
            lane,
            version: 0,
            shapes: self.shapes,
            templates: 0,
            batches: u32::try_from(batches).unwrap_or(u32::MAX),
            next_batch: 0,
            open_attempt: None,
            not_before: 0,
            setbacks: 0,
            stopped: None,
            pending: u32::try_from(pending).unwrap_or(u32::MAX),
            launch_delay_s: sweep.launch_delay_s,
            ttl_s: (!self.endless).then_some(self.ttl_s),
            peers: Vec::new(),
            movable_shapes: 0,
            opportunistic: false,
            prices: LanePrices::default(),
        }
    }
}

/// The programs of a sweep, one for each kind of settings.
#[derive(Default)]
struct Programs {
    rows: Vec<ProgramRow>,
    numbers: BTreeMap<*const Settings, u32>,
}

impl Programs {
    fn number_of(&mut self, sweep: &Sweep, settings: &Arc<Settings>, sweep_id: &SweepId) -> u32 {
        if let Some(number) = self.numbers.get(&Arc::as_ptr(settings)) {
            return *number;
        }
        let number = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let mut row = ProgramRow {
            sweep_id: sweep_id.clone(),
            program: number,
            user_data: settings.user_data.clone(),
            command: settings.command.clone(),
            ttl_s: ttl_of(settings),
            idle_timeout_s: settings.idle_timeout_s,
            on_complete: match settings.on_complete {
                document::OnComplete::Terminate => OnComplete::Terminate,
                // Hibernation needs more at launch than spawn sets up yet; documents that ask for it are refused.
                document::OnComplete::Stop | document::OnComplete::Hibernate => OnComplete::Stop,
                document::OnComplete::None => OnComplete::None,
            },
            completion_file: settings.completion_file.clone(),
            completion_delay_s: settings.completion_delay_s,
            on_interruption: settings.on_interruption.clone(),
            inputs: sweep.inputs.iter().map(ToString::to_string).collect(),
            result_file: sweep.results.file.clone(),
        };
        // Settings that differ only in where the member runs have the same program.
        let same = self.rows.iter().find(|other| {
            row.program = other.program;
            row == **other
        });
        let number = match same {
            Some(other) => other.program,
            None => {
                row.program = number;
                self.rows.push(row);
                number
            }
        };
        self.numbers.insert(Arc::as_ptr(settings), number);
        number
    }
}
