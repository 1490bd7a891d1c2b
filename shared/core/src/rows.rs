//! The rows of the ledger: what each holds, who writes it, who reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ClientToken, InstanceArn, LaneId, Market, SweepId};
use crate::ledger::{Key, Stored, Versioned};
use crate::money::MicroDollars;
use crate::ranges::Indices;
use crate::region::Region;
use crate::state::{Counts, MemberState, SweepStatus};

/// Members per partition. A partition takes 1,000 writes a second; one of 500 members cannot need more for long.
const SHARD_MEMBERS: u32 = 500;
/// The most partitions of a sweep.
const SHARDS_MAX: u32 = 64;

/// How many partitions the members of a sweep are spread over.
#[must_use]
pub fn shard_count(members: u32) -> u32 {
    members.div_ceil(SHARD_MEMBERS).clamp(1, SHARDS_MAX)
}

/// The partition key of a sweep's own rows.
#[must_use]
pub fn sweep_pk(sweep: &SweepId) -> String {
    format!("SWEEP#{sweep}")
}

/// The partition key of one shard of a sweep's members.
#[must_use]
pub fn shard_pk(sweep: &SweepId, shard: u32) -> String {
    format!("SWEEP#{sweep}#{shard:02}")
}

macro_rules! versioned {
    ($type:ty) => {
        impl Versioned for $type {
            fn version(&self) -> u64 {
                self.version
            }
            fn set_version(&mut self, version: u64) {
                self.version = version;
            }
        }
    };
}

/// Why a sweep is drained, and what it will be called afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The status at the end: failed, cancelled or over budget.
    pub status: SweepStatus,
    /// The reason in words.
    pub reason: String,
}

/// The row of a sweep (`SWEEP#id` / `META`).
///
/// Written by plan-sweep once, then changed by additions and guarded sets only: it is the row that all lanes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// The id.
    pub sweep_id: SweepId,
    /// The document's `name`.
    pub name: String,
    /// The document's `owner`.
    pub owner: String,
    /// The document's `project`.
    pub project: String,
    /// Where the sweep is in its life.
    pub status: SweepStatus,
    /// Counts the changes.
    pub version: u64,
    /// The execution that submitted it.
    pub execution_arn: String,
    /// When the execution started, in ms since 1970.
    pub started_at: u64,
    /// Until when the planner that works on it may live, in ms since 1970: no other may write its rows before.
    pub planner_until: u64,
    /// When the sweep was settled, in ms since 1970.
    pub ended_at: Option<u64>,
    /// How many members it has.
    pub members: u32,
    /// How many partitions they are spread over.
    pub shards: u32,
    /// Its lanes.
    pub lanes: Vec<LaneId>,
    /// The most instances at a time, if limited.
    pub max_concurrent: Option<u32>,
    /// The most instances at a time in each region, if limited.
    pub max_concurrent_per_region: Option<u32>,
    /// Members by state; moves in the same transaction as the members.
    pub counts: Counts,
    /// Instances that exist or are about to be asked for: the slots taken of `max_concurrent`.
    pub live: i64,
    /// The same by region.
    pub live_in: BTreeMap<Region, i64>,
    /// The token of the execution that waits for the end. Written by track-instances.
    pub completion_token: Option<String>,
    /// Why it drains, if it does.
    pub drain: Option<Drain>,
    /// The budget, if the document has one.
    pub budget: Option<MicroDollars>,
    /// The bucket that the results are in.
    pub results_bucket: String,
    /// The SNS topics to tell of the end.
    pub topics: Vec<String>,
}

/// The row of `sweep`.
#[must_use]
pub fn sweep_key(sweep: &SweepId) -> Key {
    Key::new(sweep_pk(sweep), "META")
}

impl Stored for SweepRow {
    fn key(&self) -> Key {
        sweep_key(&self.sweep_id)
    }
}
versioned!(SweepRow);

impl SweepRow {
    /// Whether every member has come to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.counts.ended() >= i64::from(self.members)
    }

    /// Whether nothing more will happen to the sweep's members: all have ended, or it is drained and none lives.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let under_way =
            self.counts.of(MemberState::Launching) + self.counts.of(MemberState::Running);
        self.is_complete() || (!self.status.may_launch() && self.live <= 0 && under_way == 0)
    }

    /// How many more instances may be launched now in `region`.
    #[must_use]
    pub fn free_slots(&self, region: &Region) -> u32 {
        let free = |limit: Option<u32>, taken: i64| {
            limit.map_or(u32::MAX, |limit| {
                u32::try_from((i64::from(limit) - taken).max(0)).unwrap_or(0)
            })
        };
        let taken = self.live_in.get(region).copied().unwrap_or(0);
        free(self.max_concurrent, self.live).min(free(self.max_concurrent_per_region, taken))
    }

    /// The key of the member `index`.
    #[must_use]
    pub fn member_key(&self, index: u32) -> Key {
        member_key(&self.sweep_id, self.shards, index)
    }
}

/// The key of the member `index` of a sweep whose members are spread over `shards` partitions.
#[must_use]
pub fn member_key(sweep: &SweepId, shards: u32, index: u32) -> Key {
    Key::new(
        shard_pk(sweep, index % shards.max(1)),
        format!("MEMBER#{index:05}"),
    )
}

/// From an execution to its sweep (`EXECUTION#arn` / `EXECUTION`).
///
/// Created by plan-sweep before anything else, or by a drain that comes before the plan: whoever is second sees it, so that
/// a sweep which was cancelled while it was being planned is never launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionRow {
    /// The execution.
    pub execution_arn: String,
    /// Its sweep; `None` when the execution was cancelled before its sweep was planned.
    pub sweep_id: Option<SweepId>,
    /// Counts the changes.
    pub version: u64,
}

/// The key of an execution's row.
#[must_use]
pub fn execution_key(execution_arn: &str) -> Key {
    Key::new(format!("EXECUTION#{execution_arn}"), "EXECUTION")
}

impl Stored for ExecutionRow {
    fn key(&self) -> Key {
        execution_key(&self.execution_arn)
    }
}
versioned!(ExecutionRow);

/// What an instance needs to be launched with; members of one shape can be launched by one call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// Instance types in the order in which they are tried.
    pub instance_types: Vec<String>,
    /// The image, as resolved for the region.
    pub ami: String,
    /// The key pair, if any.
    pub key_name: Option<String>,
    /// The name of the instance profile.
    pub instance_profile: String,
    /// Security groups; none: the default group of the VPC.
    pub security_group_ids: Vec<String>,
    /// Subnets in the order in which they are tried; none: the default subnet that EC2 chooses.
    pub subnet_ids: Vec<String>,
    /// The availability zone, if the document names one.
    pub availability_zone: Option<String>,
    /// Whether to fall back to on-demand when there is no spot capacity.
    pub on_demand_fallback: bool,
}

/// The row of a lane (`SWEEP#id` / `LANE#us-east-1.spot`). Written by plan-sweep, then by the lane's launch-batch; the slot
/// token by track-instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// Counts the changes.
    pub version: u64,
    /// What its members are launched with.
    pub shapes: Vec<Shape>,
    /// How many of `shapes` have their launch template.
    pub templates: u32,
    /// How many batches it has.
    pub batches: u32,
    /// The first batch that may have members left to launch.
    pub next_batch: u32,
    /// The attempt under way, if there is one: launched or not, its members are not free.
    pub open_attempt: Option<OpenAttempt>,
    /// Not to launch before this time, in ms since 1970.
    pub not_before: u64,
    /// Calls in a row that EC2 throttled or did not answer; decides the next back-off.
    pub setbacks: u32,
    /// Why this lane launches no more, if so.
    pub stopped: Option<String>,
    /// Members not yet launched nor given up.
    pub pending: u32,
    /// Seconds between two launches, one member at a time; 0: as fast as EC2 permits.
    pub launch_delay_s: u64,
    /// The longest ttl of its members in seconds; `None` when one has none.
    pub ttl_s: Option<u64>,
}

/// Names an attempt of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAttempt {
    /// The batch.
    pub batch: u32,
    /// The number of the attempt.
    pub number: u32,
}

/// The key of a lane's row.
#[must_use]
pub fn lane_key(sweep: &SweepId, lane: &LaneId) -> Key {
    Key::new(sweep_pk(sweep), format!("LANE#{lane}"))
}

impl Stored for LaneRow {
    fn key(&self) -> Key {
        lane_key(&self.sweep_id, &self.lane)
    }
}
versioned!(LaneRow);

/// The token of a lane that waits for a free slot (`SWEEP#id` / `SLOT#lane`). Put by track-instances when the lane's machine
/// registers, deleted when the lane was woken. A row of its own, so that waiting never disturbs launching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane that waits.
    pub lane: LaneId,
    /// The task token to answer.
    pub task_token: String,
    /// Counts the changes.
    pub version: u64,
}

/// The key of the row of a waiting lane.
#[must_use]
pub fn slot_key(sweep: &SweepId, lane: &LaneId) -> Key {
    Key::new(sweep_pk(sweep), format!("SLOT#{lane}"))
}

impl Stored for SlotRow {
    fn key(&self) -> Key {
        slot_key(&self.sweep_id, &self.lane)
    }
}
versioned!(SlotRow);

/// Members of one lane and shape (`SWEEP#id` / `BATCH#lane#0003`). Written by plan-sweep, then by the lane's launch-batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// The number of the batch in its lane.
    pub batch: u32,
    /// Counts the changes.
    pub version: u64,
    /// The shape, an index into the lane's `shapes`.
    pub shape: u32,
    /// The members not yet launched and in no open attempt.
    pub pending: Indices,
    /// How many attempts were begun.
    pub attempts: u32,
    /// The step of the ladder that the next attempt takes.
    pub rung: u32,
    /// How many times the whole ladder found no capacity.
    pub rounds: u32,
}

/// The key of a batch's row.
#[must_use]
pub fn batch_key(sweep: &SweepId, lane: &LaneId, batch: u32) -> Key {
    Key::new(sweep_pk(sweep), format!("BATCH#{lane}#{batch:04}"))
}

impl Stored for BatchRow {
    fn key(&self) -> Key {
        batch_key(&self.sweep_id, &self.lane, self.batch)
    }
}
versioned!(BatchRow);

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// EC2 may have been asked; what it answered is not recorded.
    Intended,
    /// All that EC2 launched is recorded.
    Done,
    /// EC2 launched nothing.
    Failed,
}

/// One numbered try at a batch (`SWEEP#id` / `ATTEMPT#lane#batch#n`): the intent, written before EC2 is called, that makes
/// a repeat the same call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
    /// The batch.
    pub batch: u32,
    /// The number of the attempt at the batch.
    pub number: u32,
    /// Counts the changes.
    pub version: u64,
    /// EC2's idempotency token, and the value of the tag `spawn:attempt`.
    pub token: ClientToken,
    /// The members that the attempt launches.
    pub members: Indices,
    /// The shape, an index into the lane's `shapes`.
    pub shape: u32,
    /// The step of the ladder: type, place, market.
    pub rung: Rung,
    /// What became of it.
    pub state: AttemptState,
    /// EC2's error code and message, when it failed.
    pub error: Option<String>,
    /// How many instances EC2 launched.
    pub launched: u32,
    /// When it was begun, in ms since 1970.
    pub created_at: u64,
}

/// One step of the ladder of a shape: a pool of EC2 capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// The instance type.
    pub instance_type: String,
    /// How it is bought.
    pub market: Market,
    /// The subnet, if the document names subnets.
    pub subnet_id: Option<String>,
    /// The availability zone, if the document names one.
    pub availability_zone: Option<String>,
}

/// The key of an attempt's row.
#[must_use]
pub fn attempt_key(sweep: &SweepId, lane: &LaneId, attempt: OpenAttempt) -> Key {
    Key::new(
        sweep_pk(sweep),
        format!("ATTEMPT#{lane}#{:04}#{:03}", attempt.batch, attempt.number),
    )
}

impl Stored for AttemptRow {
    fn key(&self) -> Key {
        let attempt = OpenAttempt {
            batch: self.batch,
            number: self.number,
        };
        attempt_key(&self.sweep_id, &self.lane, attempt)
    }
}
versioned!(AttemptRow);

/// What happens to the instance when its member is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnComplete {
    /// It is terminated.
    Terminate,
    /// It is stopped; its volumes stay.
    Stop,
    /// It runs until something else ends it.
    None,
}

impl OnComplete {
    /// The name in documents and in assignments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Stop => "stop",
            Self::None => "none",
        }
    }
}

/// What a member runs and for how long (`SWEEP#id` / `PROGRAM#0000`). Shared by the members whose settings are equal, so
/// that a sweep does not store its command once a member. Written by plan-sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// Its number.
    pub program: u32,
    /// A script that runs before the command.
    pub user_data: Option<String>,
    /// The command.
    pub command: Option<String>,
    /// Seconds from the launch after which the instance ends; `None`: never.
    pub ttl_s: Option<u64>,
    /// Seconds of idleness after which the instance is ended; `None`: never.
    pub idle_timeout_s: Option<u64>,
    /// What happens at the member's end.
    pub on_complete: OnComplete,
    /// A file whose appearance completes the member.
    pub completion_file: Option<String>,
    /// Seconds between that file and the end.
    pub completion_delay_s: u64,
    /// S3 URIs that are copied into the working directory.
    pub inputs: Vec<String>,
    /// The file, relative to the working directory, that holds the result.
    pub result_file: String,
}

/// The key of a program's row.
#[must_use]
pub fn program_key(sweep: &SweepId, program: u32) -> Key {
    Key::new(sweep_pk(sweep), format!("PROGRAM#{program:05}"))
}

impl Stored for ProgramRow {
    fn key(&self) -> Key {
        program_key(&self.sweep_id, self.program)
    }
}

/// The row of a member (`SWEEP#id#nn` / `MEMBER#00042`). Written by plan-sweep, launch-batch, and whoever applies what was
/// observed of its instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// How many partitions the sweep's members are spread over: the row's own key depends on it.
    pub shards: u32,
    /// The member's index from 0.
    pub index: u32,
    /// The member's name, if the document gives one.
    pub name: Option<String>,
    /// Counts the changes.
    pub version: u64,
    /// Where it is in its life.
    pub state: MemberState,
    /// Why it is there, in words, when there is something to say.
    pub reason: Option<String>,
    /// Its parameters as JSON text: DynamoDB's numbers would not keep `0.10` as it was written.
    pub params: String,
    /// What it runs.
    pub program: u32,
    /// Its lane.
    pub lane: LaneId,
    /// Whether its instance takes a slot: from the record of the launch until EC2 shows it ending.
    pub live: bool,
    /// Its instance.
    pub instance: Option<InstanceArn>,
    /// The type of its instance.
    pub instance_type: Option<String>,
    /// How its instance was bought.
    pub market: Option<Market>,
    /// Where its instance is.
    pub availability_zone: Option<String>,
    /// The token of the attempt that launched it.
    pub attempt: Option<ClientToken>,
    /// When EC2 launched its instance, in ms since 1970.
    pub launched_at: Option<u64>,
    /// When its instance was first seen running, in ms since 1970.
    pub running_at: Option<u64>,
    /// When its time is over, in ms since 1970.
    pub ttl_deadline: Option<u64>,
    /// When a spot interruption warning came, in ms since 1970.
    pub spot_notice_at: Option<u64>,
    /// When it came to its end, in ms since 1970.
    pub ended_at: Option<u64>,
    /// The exit code of its program.
    pub exit_code: Option<i64>,
    /// The S3 key of its result.
    pub result_key: Option<String>,
}

impl Stored for MemberRow {
    fn key(&self) -> Key {
        member_key(&self.sweep_id, self.shards, self.index)
    }
}
versioned!(MemberRow);

impl MemberRow {
    /// A member that nothing has happened to yet, without parameters.
    #[must_use]
    pub fn planned(sweep_id: SweepId, shards: u32, index: u32, lane: LaneId) -> Self {
        Self {
            sweep_id,
            shards,
            index,
            name: None,
            version: 0,
            state: MemberState::Planned,
            reason: None,
            params: "{}".to_owned(),
            program: 0,
            lane,
            live: false,
            instance: None,
            instance_type: None,
            market: None,
            availability_zone: None,
            attempt: None,
            launched_at: None,
            running_at: None,
            ttl_deadline: None,
            spot_notice_at: None,
            ended_at: None,
            exit_code: None,
            result_key: None,
        }
    }

    /// The parameters.
    ///
    /// # Errors
    /// When the row does not hold a JSON object.
    pub fn params(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_str(&self.params)
    }
}

/// From an instance to its member (`INSTANCE#arn` / `INSTANCE`), and what the instance reads at boot. Created by
/// launch-batch; afterwards only the instance itself writes to it, and only its `report_…` attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// The instance.
    pub instance: InstanceArn,
    /// Its sweep.
    pub sweep_id: SweepId,
    /// Its member.
    pub member_index: u32,
    /// What it does; see [`crate::boot`].
    pub assignment: String,
    /// The exit code of its program.
    pub report_exit_code: Option<i64>,
    /// The S3 key of its result, if it left one.
    pub report_result_key: Option<String>,
    /// When it reported, in ms since 1970.
    pub report_at: Option<u64>,
    /// What it has to say beside the exit code.
    pub report_reason: Option<String>,
}

/// The key of an instance's row.
#[must_use]
pub fn instance_key(instance: &InstanceArn) -> Key {
    Key::new(format!("INSTANCE#{instance}"), "INSTANCE")
}

impl Stored for InstanceRow {
    fn key(&self) -> Key {
        instance_key(&self.instance)
    }
}

impl InstanceRow {
    /// What the instance reported, if it did.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        Some(Report {
            exit_code: self.report_exit_code?,
            result_key: self.report_result_key.clone(),
            at: self.report_at?,
            reason: self.report_reason.clone(),
        })
    }
}

/// An instance's word on the end of its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The exit code; 128 + n after signal n.
    pub exit_code: i64,
    /// The S3 key of the result, if there is one.
    pub result_key: Option<String>,
    /// When, in ms since 1970.
    pub at: u64,
    /// More, in words.
    pub reason: Option<String>,
}
