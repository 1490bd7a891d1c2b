//! The row of a member.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Addresses, shard_pk, versioned};
use crate::cost::Spent;
use crate::ending::EndCode;
use crate::ids::{ClientToken, InstanceArn, LaneId, Market, SweepId};
use crate::ledger::{Key, Stored};
use crate::reap::Reaping;
use crate::state::MemberState;

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
    /// The label that the document wants for it in DNS, beside its index or name.
    #[serde(default)]
    pub dns_name: Option<String>,
    /// Counts the changes.
    pub version: u64,
    /// Where it is in its life.
    pub state: MemberState,
    /// Why it came to its end, if it did.
    #[serde(default)]
    pub code: Option<EndCode>,
    /// Why it is there, in words, when there is something to say.
    pub reason: Option<String>,
    /// Its parameters as JSON text: DynamoDB's numbers would not keep `0.10` as it was written.
    pub params: String,
    /// What it runs.
    pub program: u32,
    /// Its lane.
    pub lane: LaneId,
    /// What it is launched with, an index into the lane's `shapes`.
    #[serde(default)]
    pub shape: u32,
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
    /// Where its instance can be reached. Written with the launch, and again when EC2 shows something else.
    #[serde(flatten)]
    pub addresses: Addresses,
    /// The token of the attempt that launched it.
    pub attempt: Option<ClientToken>,
    /// What was tried to launch it, oldest first, in words: the rungs of the ladder that had nothing, and the one that had.
    #[serde(default)]
    pub rungs: Vec<String>,
    /// When EC2 launched its instance, in ms since 1970.
    pub launched_at: Option<u64>,
    /// When its instance was first seen running, in ms since 1970.
    pub running_at: Option<u64>,
    /// When its time is over, in ms since 1970: counted from the launch, moved on by the time that its instance is stopped,
    /// and by who extends it. While `paused_at` is set it does not pass.
    pub ttl_deadline: Option<u64>,
    /// Since when its instance is stopped or hibernated, in ms since 1970. Set and removed by who applies observations.
    pub paused_at: Option<u64>,
    /// That spawn is ending or stopping its instance, and why. Written by idle-reaper and the controls before they call EC2,
    /// so that whoever sees the instance end knows the reason.
    pub reaping: Option<Reaping>,
    /// When a spot interruption warning came, in ms since 1970.
    pub spot_notice_at: Option<u64>,
    /// When EC2 recommended to replace its spot instance, in ms since 1970.
    #[serde(default)]
    pub rebalance_at: Option<u64>,
    /// When it came to its end, in ms since 1970.
    pub ended_at: Option<u64>,
    /// The exit code of its program.
    pub exit_code: Option<i64>,
    /// The S3 key of its result.
    pub result_key: Option<String>,
    /// How its earlier tries ended, the first one first. All else in this row is of the try that is under way, or the last.
    #[serde(default)]
    pub tries: Vec<Try>,
    /// What its instances cost, those of earlier tries first. Written when a launch is recorded, and by who applies observations.
    #[serde(default)]
    pub spent: Vec<Spent>,
}

/// A try of a member that is over, after which it was tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The state in which it ended.
    pub state: MemberState,
    /// Why, as a code.
    pub code: EndCode,
    /// Why, in words.
    pub reason: Option<String>,
    /// Its instance.
    pub instance: Option<InstanceArn>,
    /// The type of its instance.
    pub instance_type: Option<String>,
    /// How its instance was bought.
    pub market: Option<Market>,
    /// Where its instance was.
    pub availability_zone: Option<String>,
    /// The token of the attempt that launched it.
    pub attempt: Option<ClientToken>,
    /// When EC2 launched its instance, in ms since 1970.
    pub launched_at: Option<u64>,
    /// When its instance was first seen running, in ms since 1970.
    pub running_at: Option<u64>,
    /// When it ended, in ms since 1970.
    pub ended_at: Option<u64>,
    /// The exit code of its program.
    pub exit_code: Option<i64>,
    /// The S3 key of its result: an older version of what later tries wrote there.
    pub result_key: Option<String>,
}

/// The key of the member `index` of a sweep whose members are spread over `shards` partitions.
#[must_use]
pub fn member_key(sweep: &SweepId, shards: u32, index: u32) -> Key {
    Key::new(
        shard_pk(sweep, index % shards.max(1)),
        format!("MEMBER#{index:05}"),
    )
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
            dns_name: None,
            version: 0,
            state: MemberState::Planned,
            code: None,
            reason: None,
            params: "{}".to_owned(),
            program: 0,
            lane,
            shape: 0,
            live: false,
            instance: None,
            instance_type: None,
            market: None,
            availability_zone: None,
            addresses: Addresses::default(),
            attempt: None,
            rungs: Vec::new(),
            launched_at: None,
            running_at: None,
            ttl_deadline: None,
            paused_at: None,
            reaping: None,
            spot_notice_at: None,
            rebalance_at: None,
            ended_at: None,
            exit_code: None,
            result_key: None,
            tries: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// The number of the try that is under way, or the last, from 1.
    #[must_use]
    pub fn try_number(&self) -> u32 {
        u32::try_from(self.tries.len() + 1).unwrap_or(u32::MAX)
    }

    /// Whether an instance is, or was, the member's.
    #[must_use]
    pub fn has_had(&self, instance: &InstanceArn) -> bool {
        self.instance.as_ref() == Some(instance)
            || self
                .tries
                .iter()
                .any(|t| t.instance.as_ref() == Some(instance))
    }

    /// Whether the attempt of this token launched the member, now or for an earlier try.
    #[must_use]
    pub fn was_launched_by(&self, token: &ClientToken) -> bool {
        self.attempt.as_ref() == Some(token)
            || self.tries.iter().any(|t| t.attempt.as_ref() == Some(token))
    }

    /// The parameters.
    ///
    /// # Errors
    /// When the row does not hold a JSON object.
    pub fn params(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_str(&self.params)
    }
}
