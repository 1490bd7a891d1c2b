//! The rows of a lane: what it launches with, where it stands, and how it is woken.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{LanePrices, SweepRow, sweep_pk, versioned};
use crate::ids::{LaneId, SweepId};
use crate::ledger::{Key, Stored};

/// What an instance needs to be launched with; members of one shape can be launched by one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// The availability zones that offer the types, in the order in which they are tried; none: whichever EC2 chooses. Given
    /// only without subnets and without a zone of the document's own, which leave no choice.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The one of `zones` that is tried before the others (`distribution: spread`).
    #[serde(default)]
    pub first_zone: Option<String>,
    /// The root volume with which instances can hibernate; `None`: they are launched without that option.
    #[serde(default)]
    pub hibernation: Option<HibernationVolume>,
    /// Whether to fall back to on-demand when there is no spot capacity.
    pub on_demand_fallback: bool,
    /// The placement group, if any.
    #[serde(default)]
    pub placement_group: Option<PlacementGroup>,
    /// Whether the instances have an Elastic Fabric Adapter.
    #[serde(default)]
    pub efa: Option<Efa>,
}

/// An encrypted root volume that holds an instance's memory beside its image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HibernationVolume {
    /// The device, such as `/dev/xvda`.
    pub device: String,
    /// Its size in GiB.
    pub gib: u32,
}

/// The placement group that instances are launched into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlacementGroup {
    /// Its name, unique in account and region.
    pub name: String,
    /// Whether it is the sweep's own: created before the first launch, with strategy cluster, and deleted at the sweep's end.
    pub is_own: bool,
}

/// An Elastic Fabric Adapter as an instance's network interface. It is part of the launch template, since EC2 takes subnet
/// and security groups either of the instance or of its interfaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Efa {
    /// The subnet; `None`: the default one. A shape with an adapter has no `subnet_ids`.
    pub subnet_id: Option<String>,
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
    /// The attempts under way: launched or not, their members are not free.
    #[serde(default)]
    pub open_attempts: Vec<OpenAttempt>,
    /// Not to launch before this time, in ms since 1970.
    pub not_before: u64,
    /// Calls in a row that EC2 throttled or did not answer; decides the next back-off.
    pub setbacks: u32,
    /// The budget that has no room for what would be launched next, in words, if that is what the lane waits for.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// How it stands with shapes that met with trouble, by their numbers.
    #[serde(default)]
    pub troubles: BTreeMap<u32, Trouble>,
    /// Members not yet launched nor given up.
    pub pending: u32,
    /// Seconds between two launches, one member at a time; 0: as fast as EC2 permits.
    pub launch_delay_s: u64,
    /// With `launch_delay_s`: when the next launch may be made, in ms since 1970. Moved with each call, also with one that is made
    /// again, and with the launch itself when that was later than planned.
    #[serde(default)]
    pub next_launch_at: u64,
    /// Seconds for which members wait for capacity when no pool has any.
    #[serde(default = "capacity_wait_s")]
    pub capacity_wait_s: u64,
    /// The longest ttl of its members in seconds; `None` when one has none.
    pub ttl_s: Option<u64>,
    /// The lanes of the same market, in order of preference, that members of this one may be launched in instead; none when
    /// the document ties members to their regions.
    #[serde(default)]
    pub peers: Vec<LaneId>,
    /// So many of the first `shapes` stand under the same number in every peer, and their members may move there. Shapes
    /// after these are tied to the lane.
    #[serde(default)]
    pub movable_shapes: u32,
    /// Whether a peer that has capacity may take members that merely wait here (`distribution: opportunistic`), and not only
    /// those that this lane has no capacity for.
    #[serde(default)]
    pub opportunistic: bool,
    /// The vCPUs of its shapes' types, as far as they are known. Written by plan-sweep.
    #[serde(default)]
    pub vcpus: BTreeMap<String, u32>,
    /// The values of the vCPU quotas of its place by their codes, as plan-sweep has read them.
    #[serde(default)]
    pub quota_vcpus: BTreeMap<String, u64>,
    /// What its instances cost. Written by plan-sweep.
    #[serde(default)]
    pub prices: LanePrices,
}

/// What members wait for capacity unless the document says otherwise: as long as a pool is taken to be empty, so that each is
/// asked twice.
const fn capacity_wait_s() -> u64 {
    180
}

impl LaneRow {
    /// Why it is not known what an instance of a shape may cost, and what to do, for a launch that a budget must have room for.
    #[must_use]
    pub fn why_unpriced(&self, shape: u32) -> String {
        let index = usize::try_from(shape).unwrap_or(usize::MAX);
        let region = self.lane.region;
        let types = self
            .shapes
            .get(index)
            .into_iter()
            .flat_map(|shape| &shape.instance_types);
        let has_hour = |name: &String| {
            let of_type = self.prices.types.get(name);
            of_type.is_some_and(|prices| prices.on_demand.is_some())
        };
        let mut missing: Vec<String> = types
            .filter(|name| !has_hour(name))
            .map(|name| format!("an hour of {name} on demand"))
            .collect();
        if self.prices.gib_month.is_none() {
            missing.push("a GiB-month of its volume".to_owned());
        }
        if self.prices.public_ipv4_hour.is_none() {
            missing.push("an hour of a public IPv4 address".to_owned());
        }
        if missing.is_empty() {
            return "its ttl or the size of its root volume is not known, and there is a budget: give it a ttl and an image with a root volume on EBS"
                .to_owned();
        }
        format!(
            "the price of {} in {region} is not known, and there is a budget: give it in the deployment's price book (parameter PriceBook), or take a \
             type with a price",
            missing.join(", ")
        )
    }

    /// A lane that has launched nothing yet and has no members.
    #[must_use]
    pub fn new(sweep_id: SweepId, lane: LaneId) -> Self {
        Self {
            sweep_id,
            lane,
            version: 0,
            shapes: Vec::new(),
            templates: 0,
            batches: 0,
            next_batch: 0,
            open_attempts: Vec::new(),
            not_before: 0,
            setbacks: 0,
            waits_for: None,
            troubles: BTreeMap::new(),
            pending: 0,
            launch_delay_s: 0,
            next_launch_at: 0,
            capacity_wait_s: capacity_wait_s(),
            ttl_s: None,
            peers: Vec::new(),
            movable_shapes: 0,
            opportunistic: false,
            vcpus: BTreeMap::new(),
            quota_vcpus: BTreeMap::new(),
            prices: LanePrices::default(),
        }
    }

    /// Why shapes of this lane are launched no more, each reason once; `None`: all are.
    #[must_use]
    pub fn stopped_because(&self) -> Option<String> {
        let stopped = self
            .troubles
            .values()
            .filter_map(|trouble| trouble.stopped.as_deref());
        let reasons: BTreeSet<&str> = stopped.collect();
        (!reasons.is_empty()).then(|| reasons.into_iter().collect::<Vec<_>>().join("; "))
    }
}

/// What stands in the way of launching one shape of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Steps of the ladder that EC2 refuses for good, with its words.
    #[serde(default)]
    pub refused: BTreeMap<u32, String>,
    /// How many times in a row the whole ladder had no capacity, or no room in quotas.
    #[serde(default)]
    pub rounds: u32,
    /// Since when, in ms since 1970; while instances of the sweep use a quota that its members wait for: since the last look.
    #[serde(default)]
    pub dry_since: u64,
    /// Not to be tried before this time, in ms since 1970.
    #[serde(default)]
    pub rest_until: u64,
    /// Quotas that calls were too much for, by place and market (`us-east-1 on-demand`).
    #[serde(default)]
    pub quotas: BTreeMap<String, QuotaInUse>,
    /// Answers in a row that nobody knows the meaning of.
    #[serde(default)]
    pub unknown: u32,
    /// EC2's last error.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Why the shape is launched no more, if so.
    #[serde(default)]
    pub stopped: Option<String>,
}

/// What is known of a quota that is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaInUse {
    /// The most members of one call: half of the last one that was too much, and more again with each that was not.
    pub call_max: u32,
    /// How many times in a row it had no room for a single member.
    #[serde(default)]
    pub refusals: u32,
    /// Not to be asked before this time, in ms since 1970, unless an instance of the sweep ends in its region.
    #[serde(default)]
    pub rest_until: u64,
    /// The sweep's instances in its region when it was asked last.
    #[serde(default)]
    pub live: i64,
    /// The instance type that was refused.
    pub instance_type: String,
    /// EC2's words.
    pub words: String,
}

/// Names an attempt of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// The token of a lane that waits for a free slot, or for room in the sweep's budget (`SWEEP#id` / `SLOT#lane`). Put by track-instances when the lane's machine
/// registers, deleted when the lane was woken. A row of its own, so that waiting never disturbs launching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane that waits.
    pub lane: LaneId,
    /// The task token to answer.
    pub task_token: String,
    /// It goes on when the sweep is charged with no more than this, in micro-dollars; `None`: when a slot is free.
    #[serde(default)]
    pub charged_at_most: Option<i64>,
    /// Counts the changes.
    pub version: u64,
}

impl SlotRow {
    /// Whether the lane need not wait any more: it has what it waits for, or nothing more is launched.
    #[must_use]
    pub fn may_go_on(&self, sweep: &SweepRow) -> bool {
        // What is billed is spent for good: once that alone is too much, there is never room again, and the lane has to tell so.
        let has_room = self
            .charged_at_most
            .is_none_or(|most| sweep.charged <= most || sweep.billed > most);
        !sweep.may_launch()
            || sweep.is_complete()
            || (has_room && sweep.free_slots(&self.lane.region) > 0)
    }
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
