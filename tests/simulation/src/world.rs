//! A sweep in the ledger, ready to be launched, and the invariants that must hold whatever happened to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use spawn_core::boot::Home;
use spawn_core::budget;
use spawn_core::drain;
use spawn_core::errors::FunctionError;
use spawn_core::ids::{InstanceArn, LaneId, SweepId};
use spawn_core::launch::{self, Chosen};
use spawn_core::ledger::{self, Ledger, LedgerError, Row, Stored, Versioned};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::money::MicroDollars;
use spawn_core::policy::{OnFailure, Retries};
use spawn_core::ports::{
    BadEnd, InAccounts, InstanceState, LaunchInstances, LaunchRequest, ServiceError,
    WakeExecutions, WatchExecutions,
};
use spawn_core::rows::{
    AttemptCosts, BatchRow, Drain, LanePrices, LaneRow, MemberRow, OnBudget, OnComplete,
    ProgramRow, RetryRow, Shape, SweepRow, TypePrices, batch_key, lane_key, program_key,
    shard_count, shard_pk, sweep_key, sweep_pk,
};
use spawn_core::state::{Counts, Ended, MemberState, SweepStatus};
use spawn_core::track;

use crate::clock::VirtualClock;
use crate::cloud::Cloud;
use crate::faults::Faults;
use crate::ledger::MemoryLedger;
use crate::objects::MemoryObjects;

#[derive(Debug, Default)]
struct Told {
    woken: Vec<String>,
    answers: Vec<Value>,
    bad_end: Option<BadEnd>,
    drains: BTreeSet<(String, u64)>,
    last_drain: Option<Drain>,
}

/// Step Functions: executions that wait for a task token, and the one that submitted the sweep.
#[derive(Debug, Default)]
pub struct Executions(Mutex<Told>);

impl Executions {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tokens that were answered, in order.
    #[must_use]
    pub fn woken(&self) -> Vec<String> {
        self.told().woken.clone()
    }

    /// What they were answered with, in the same order.
    #[must_use]
    pub fn answers(&self) -> Vec<Value> {
        self.told().answers.clone()
    }

    /// The execution that submitted the sweep ends.
    pub fn end_badly(&self, end: BadEnd) {
        self.told().bad_end = Some(end);
    }

    /// What the last drain was started for.
    #[must_use]
    pub fn last_drain(&self) -> Option<Drain> {
        self.told().last_drain.clone()
    }

    /// How many drains were started.
    #[must_use]
    pub fn drains(&self) -> usize {
        self.told().drains.len()
    }
}

impl WakeExecutions for Executions {
    async fn wake(&self, task_token: &str, answer: &Value) -> Result<(), ServiceError> {
        let mut told = self.told();
        told.woken.push(task_token.to_owned());
        told.answers.push(answer.clone());
        Ok(())
    }
}

impl WatchExecutions for Executions {
    async fn bad_end(&self, _execution_arn: &str) -> Result<Option<BadEnd>, ServiceError> {
        Ok(self.told().bad_end)
    }

    async fn start_drain(
        &self,
        sweep: &SweepRow,
        drain: &Drain,
        hour: u64,
    ) -> Result<(), ServiceError> {
        let mut told = self.told();
        told.drains.insert((sweep.sweep_id.to_string(), hour));
        told.last_drain = Some(drain.clone());
        Ok(())
    }
}

/// A world with one planned sweep.
#[derive(Debug)]
pub struct World {
    /// Counts calls and kills.
    pub faults: Arc<Faults>,
    /// The time.
    pub clock: VirtualClock,
    /// The ledger.
    pub ledger: MemoryLedger,
    /// EC2.
    pub cloud: Cloud,
    /// S3.
    pub objects: MemoryObjects,
    /// Who waits.
    pub executions: Executions,
    /// Where instances find the ledger.
    pub home: Home,
    /// The sweep.
    pub sweep_id: SweepId,
}

/// The lane of this name.
///
/// # Panics
/// When there is no such lane.
#[must_use]
pub fn lane(name: &str) -> LaneId {
    match name.parse() {
        Ok(lane) => lane,
        Err(error) => panic!("{error}"),
    }
}

/// A sweep's row as planning leaves it: `members` members, spread over `lanes` in equal blocks.
#[must_use]
pub fn sweep(members: u32, lanes: &[&str], max_concurrent: Option<u32>) -> SweepRow {
    let lanes: Vec<LaneId> = lanes.iter().map(|name| lane(name)).collect();
    SweepRow {
        sweep_id: SweepId::from("test-20260101-abcdef"),
        name: "test".to_owned(),
        owner: "somebody".to_owned(),
        project: "tests".to_owned(),
        status: SweepStatus::Launching,
        version: 0,
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:test"
            .to_owned(),
        started_at: 0,
        planner_until: 0,
        ended_at: None,
        lingered_until: None,
        members,
        shards: shard_count(members),
        live_in: lanes.iter().map(|lane| (lane.region, 0)).collect(),
        ended_in: lanes
            .iter()
            .map(|lane| (lane.region, Ended::default()))
            .collect(),
        lanes,
        max_concurrent,
        max_concurrent_per_region: None,
        max_in: BTreeMap::new(),
        counts: Counts::planned(members),
        live: 0,
        retrying: 0,
        retries: Retries::default(),
        on_failure: OnFailure::Continue,
        tolerated_failures: 0,
        held: None,
        stopped: None,
        results_note: None,
        completion_token: None,
        waiting_since: 0,
        drain: None,
        budget: None,
        charged: 0,
        billed: 0,
        on_budget: OnBudget::default(),
        cost: None,
        results_bucket: "results".to_owned(),
        topics: Vec::new(),
        webhooks: Vec::new(),
        occasions: Vec::new(),
        log_group: None,
        trace: None,
        instance_metrics: Default::default(),
        dns_label: None,
        deadlines_changed_at: None,
    }
}

impl World {
    /// A world in which `sweep` is planned.
    ///
    /// # Panics
    /// When its rows cannot be written, which is a defect.
    pub async fn new(sweep: &SweepRow) -> Self {
        Self::of_rows(sweep, planned_rows(sweep)).await
    }

    /// A world in which only these rows of `sweep` are written.
    ///
    /// # Panics
    /// When they cannot be written, which is a defect.
    pub async fn of_rows(sweep: &SweepRow, rows: Vec<Result<Row, LedgerError>>) -> Self {
        let faults = Arc::new(Faults::default());
        let clock = VirtualClock::default();
        let world = Self {
            ledger: MemoryLedger::new(Arc::clone(&faults)),
            cloud: Cloud::new(Arc::clone(&faults), clock.clone()),
            clock,
            objects: MemoryObjects::new(Arc::clone(&faults)),
            faults,
            executions: Executions::default(),
            home: Home {
                table: "spawn-sweeps".to_owned(),
                region: "us-east-1".to_owned(),
                account: "000000000000".to_owned(),
            },
            sweep_id: sweep.sweep_id.clone(),
        };
        let rows: Result<Vec<_>, _> = rows.into_iter().collect();
        match rows {
            Ok(rows) => world
                .ledger
                .put_all(rows)
                .await
                .unwrap_or_else(|e| panic!("{e}")),
            Err(error) => panic!("{error}"),
        }
        world
    }

    /// The sweep's row.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn sweep(&self) -> SweepRow {
        match ledger::require(&self.ledger, sweep_key(&self.sweep_id)).await {
            Ok(sweep) => sweep,
            Err(error) => panic!("{error}"),
        }
    }

    /// All members in the order of their indices.
    ///
    /// # Panics
    /// When they cannot be read.
    pub async fn members(&self) -> Vec<MemberRow> {
        let mut all = Vec::new();
        for shard in 0..self.sweep().await.shards {
            let pk = shard_pk(&self.sweep_id, shard);
            match ledger::load_all::<MemberRow>(&self.ledger, &pk, "MEMBER#").await {
                Ok(members) => all.extend(members),
                Err(error) => panic!("{error}"),
            }
        }
        all.sort_by_key(|member| member.index);
        all
    }

    /// Makes a batch of the sweep's first lane one of another shape.
    ///
    /// # Panics
    /// When the ledger refuses, which is a defect.
    pub async fn reshape(&self, number: u32, shape: u32) {
        let lane = self.sweep().await.lanes[0].clone();
        let key = batch_key(&self.sweep_id, &lane, number);
        let changed = async {
            let mut batch: BatchRow = ledger::require(&self.ledger, key).await?;
            batch.shape = shape;
            self.ledger.commit(vec![batch.replace()?]).await
        };
        if let Err(error) = changed.await {
            panic!("{error}");
        }
    }

    /// Marks the sweep as one that is drained and will be called `status`, because of `reason`.
    ///
    /// # Panics
    /// When the ledger refuses, which is a defect.
    pub async fn drain(&self, status: SweepStatus, reason: &str) {
        let drain = Drain {
            status,
            reason: reason.to_owned(),
        };
        if let Err(error) = drain::mark(&self.ledger, &self.sweep_id, None, &drain).await {
            panic!("{error}");
        }
    }

    /// Launches and records the first batch of the sweep's first lane, as launch-batch does; answers the instances in the
    /// order of their members.
    ///
    /// # Panics
    /// When the protocol refuses, which is a defect.
    pub async fn launch_first_batch(&self) -> Vec<InstanceArn> {
        match self.try_launch_first_batch().await {
            Ok(instances) => instances,
            Err(error) => panic!("{error}"),
        }
    }

    /// Launches the first batch of the sweep's first lane, and has all of it seen running at `now` (ms since 1970).
    ///
    /// # Panics
    /// When the launch or its record fails, which is a defect of the test.
    pub async fn run_first_batch(&self, now: u64) {
        let launched = self.launch_first_batch().await;
        let running: Vec<_> = launched
            .into_iter()
            .map(|arn| Sighting {
                since: Some(now),
                ..Sighting::new(arn, Observation::Changed(InstanceState::Running))
            })
            .collect();
        if let Err(error) = track::apply(&self.ledger, &running, now).await {
            panic!("{error}");
        }
    }

    async fn try_launch_first_batch(&self) -> Result<Vec<InstanceArn>, FunctionError> {
        let sweep = self.sweep().await;
        let lane_id = sweep.lanes[0].clone();
        let lane: LaneRow =
            ledger::require(&self.ledger, lane_key(&self.sweep_id, &lane_id)).await?;
        let key = batch_key(&self.sweep_id, &lane_id, 0);
        let batch: BatchRow = ledger::require(&self.ledger, key).await?;
        let template = launch::template_of(&sweep, &lane, 0, &self.home)
            .ok_or_else(|| FunctionError::Bug("the lane has no shape".to_owned()))?;
        let cloud = self.cloud.of(lane_id.account);
        cloud.ensure_template(&lane_id.region, &template).await?;
        let step = launch::ladder(&lane, 0, &lane.shapes[0]).remove(0);
        let standing = budget::standing(&self.ledger, &sweep, &lane_id, 1_000).await?;
        let chosen = Chosen {
            count: sweep.free_slots(&lane_id.region).min(batch.pending.len()),
            at: lane_id.clone(),
            step: 0,
            rung: launch::rung(&step, &lane.shapes[0]),
            send_at: 1_000,
            batch: batch.clone(),
            costs: AttemptCosts::of(&lane, 0, &standing),
            standing,
        };
        let (attempts, intent) = launch::begin(&sweep, &lane, &[chosen], 1_000)?;
        self.ledger.commit(intent).await?;
        let attempt = &attempts[0];
        let request = LaunchRequest {
            region: lane_id.region,
            account: "000000000000".to_owned(),
            token: attempt.token.clone(),
            template: template.name,
            rung: attempt.rung.clone(),
            count: attempt.members.len(),
            tags: vec![
                ("spawn:managed".to_owned(), "true".to_owned()),
                ("spawn:sweep-id".to_owned(), self.sweep_id.to_string()),
                (
                    "spawn:attempt".to_owned(),
                    attempt.token.as_str().to_owned(),
                ),
            ],
        };
        let instances = cloud.launch(&request).await?.instances;
        let members = self.members().await;
        let pairs = launch::pair(attempt, &members, &instances);
        let program: ProgramRow =
            ledger::require(&self.ledger, program_key(&self.sweep_id, 0)).await?;
        let programs = [(0, program)].into();
        let (records, _) = launch::record(&sweep, &batch, attempt, pairs, &programs)?;
        for writes in records {
            self.ledger.commit(writes).await?;
        }
        Ok(self
            .members()
            .await
            .into_iter()
            .filter_map(|member| member.instance)
            .collect())
    }

    /// What is wrong with the world: a leak, a double launch, counters that do not fit the rows. Empty when all is well.
    /// To be asked when no attempt is under way.
    pub async fn violations(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let sweep = self.sweep().await;
        let members = self.members().await;
        let instances = self.cloud.instances();
        let mut owners: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for member in &members {
            let earlier = member.tries.iter().filter_map(|one| one.instance.as_ref());
            for arn in member.instance.iter().chain(earlier) {
                owners.entry(arn.clone()).or_default().push(member.index);
            }
        }
        for instance in &instances {
            let owners = owners.remove(&instance.arn).unwrap_or_default();
            if owners.len() != 1 {
                wrong.push(format!("{} belongs to members {owners:?}", instance.arn));
            }
        }
        for (arn, members) in owners {
            wrong.push(format!("{arn} of members {members:?} does not exist"));
        }
        let tally = Counts::tally(members.iter().map(|member| member.state));
        if tally != sweep.counts {
            wrong.push(format!("counts are {:?}, rows are {tally:?}", sweep.counts));
        }
        for state in MemberState::ALL.into_iter().filter(|s| s.is_ended()) {
            let by_region: i64 = sweep.ended_in.values().map(|ended| ended.of(state)).sum();
            if by_region != sweep.counts.of(state) {
                wrong.push(format!(
                    "{state} are {}, by region {:?}",
                    sweep.counts.of(state),
                    sweep.ended_in
                ));
            }
        }
        let live = members.iter().filter(|member| member.live).count();
        if sweep.live != i64::try_from(live).unwrap_or(i64::MAX) {
            wrong.push(format!("live is {}, rows are {live}", sweep.live));
        }
        if sweep.live != sweep.live_in.values().sum::<i64>() {
            wrong.push(format!(
                "live is {}, by region {:?}",
                sweep.live, sweep.live_in
            ));
        }
        let batches: Vec<BatchRow> =
            ledger::load_all(&self.ledger, &sweep_pk(&self.sweep_id), "BATCH#")
                .await
                .unwrap_or_default();
        let retries: Vec<RetryRow> =
            ledger::load_all(&self.ledger, &sweep_pk(&self.sweep_id), "RETRY#")
                .await
                .unwrap_or_default();
        if sweep.retrying != i64::try_from(retries.len()).unwrap_or(i64::MAX) {
            wrong.push(format!(
                "retrying is {}, rows are {}",
                sweep.retrying,
                retries.len()
            ));
        }
        let charged: i64 = members
            .iter()
            .flat_map(|member| &member.spent)
            .filter_map(|spent| spent.billed.or(spent.committed))
            .map(|amount| amount.0)
            .sum();
        if sweep.charged != charged {
            wrong.push(format!(
                "charged is {}, bills and commitments are {charged}",
                sweep.charged
            ));
        }
        let billed: i64 = members
            .iter()
            .flat_map(|member| &member.spent)
            .filter_map(|spent| spent.billed)
            .map(|amount| amount.0)
            .sum();
        if sweep.billed != billed {
            wrong.push(format!("billed is {}, bills are {billed}", sweep.billed));
        }
        let in_batches = batches.iter().flat_map(|b| b.pending.iter());
        let waiting: Vec<u32> = in_batches.chain(retries.iter().map(|r| r.index)).collect();
        if waiting.len() != waiting.iter().collect::<BTreeSet<_>>().len() {
            wrong.push(format!("a member waits twice in {waiting:?}"));
        }
        let waiting: BTreeSet<u32> = waiting.into_iter().collect();
        let planned: BTreeSet<u32> = members
            .iter()
            .filter(|member| member.state == MemberState::Planned)
            .map(|member| member.index)
            .collect();
        if waiting != planned {
            wrong.push(format!("batches hold {waiting:?}, planned are {planned:?}"));
        }
        wrong
    }
}

fn planned_rows(sweep: &SweepRow) -> Vec<Result<Row, LedgerError>> {
    let mut rows = vec![sweep.row(), program(sweep).row()];
    let lanes = u32::try_from(sweep.lanes.len()).unwrap_or(1).max(1);
    let share = sweep.members.div_ceil(lanes);
    for (number, lane) in sweep.lanes.iter().enumerate() {
        let first = share * u32::try_from(number).unwrap_or(0);
        let members = first..(first + share).min(sweep.members);
        let mut batches = 0;
        let indices: Vec<u32> = members.clone().collect();
        for chunk in indices.chunks(100) {
            rows.push(
                BatchRow::new(
                    sweep.sweep_id.clone(),
                    lane.clone(),
                    batches,
                    0,
                    chunk.iter().copied().collect(),
                )
                .row(),
            );
            batches += 1;
        }
        rows.push(
            LaneRow {
                shapes: vec![shape()],
                batches,
                pending: u32::try_from(indices.len()).unwrap_or(u32::MAX),
                ttl_s: Some(3600),
                prices: prices(),
                ..LaneRow::new(sweep.sweep_id.clone(), lane.clone())
            }
            .row(),
        );
        rows.extend(members.map(|index| member(sweep, lane, index).row()));
    }
    rows
}

/// What the world's instances cost: each is committed with two dollars.
fn prices() -> LanePrices {
    let type_prices = |micros| TypePrices {
        on_demand: Some(MicroDollars(micros)),
        spot: Some(MicroDollars(micros / 4)),
        spot_in: BTreeMap::new(),
    };
    LanePrices {
        types: [("c5.large", 85_000), ("m5.large", 96_000)]
            .map(|(name, micros)| (name.to_owned(), type_prices(micros)))
            .into(),
        gib_month: Some(MicroDollars(80_000)),
        public_ipv4_hour: Some(MicroDollars(5_000)),
        gib: vec![Some(8)],
        commitments: vec![Some(COMMITMENT)],
    }
}

/// What budgets are charged with for each instance of the world.
pub const COMMITMENT: MicroDollars = MicroDollars(2_000_000);

fn shape() -> Shape {
    Shape {
        instance_types: vec!["c5.large".to_owned(), "m5.large".to_owned()],
        ami: "ami-1".to_owned(),
        instance_profile: "spawn-instance-profile".to_owned(),
        ..Shape::default()
    }
}

fn program(sweep: &SweepRow) -> ProgramRow {
    ProgramRow {
        sweep_id: sweep.sweep_id.clone(),
        program: 0,
        user_data: None,
        command: Some("true".to_owned()),
        ttl_s: Some(3600),
        idle_timeout_s: None,
        hibernate_on_idle: false,
        idle: spawn_core::reap::IdleRules::default(),
        on_complete: OnComplete::Terminate,
        completion_file: None,
        completion_delay_s: 0,
        on_interruption: None,
        inputs: Vec::new(),
        result_file: "result.json".to_owned(),
    }
}

fn member(sweep: &SweepRow, lane: &LaneId, index: u32) -> MemberRow {
    MemberRow {
        params: format!("{{\"index\":{index}}}"),
        ..MemberRow::planned(sweep.sweep_id.clone(), sweep.shards, index, lane.clone())
    }
}
