//! What an instance is to be: the settings of a member, after all levels of the document are laid over each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::requirements::Requirements;
use crate::reap::IdleRules;
use crate::region::Region;

/// How a member is run. Members with equal settings share one value, so that 100,000 of them stay small.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The region that the member is pinned to; `None` leaves it to the sweep's regions.
    pub region: Option<Region>,
    /// The availability zone that it is pinned to; it lies in `region`, which is then given.
    pub availability_zone: Option<String>,
    /// The instance types that will do.
    pub instance_types: InstanceTypes,
    /// On which market it is bought.
    pub spot: Spot,
    /// The image that it boots.
    pub ami: Option<Ami>,
    /// The key pair to log in with.
    pub key_name: Option<String>,
    /// The name or ARN of the role or instance profile that it gets.
    pub iam_role: Option<String>,
    /// Its security groups; none means the default one of its network.
    pub security_group_ids: Vec<String>,
    /// The subnets that it may stand in; none means the default ones.
    pub subnet_ids: Vec<String>,
    /// The placement group that it is launched into.
    pub placement_group: Option<PlacementGroup>,
    /// Whether it has an Elastic Fabric Adapter.
    pub efa: bool,
    /// A script that runs at boot, before the command.
    pub user_data: Option<String>,
    /// The program to run, as a shell command.
    pub command: Option<String>,
    /// How long it may live.
    pub ttl: Ttl,
    /// How long it may be idle; `None` for ever.
    pub idle_timeout_s: Option<u64>,
    /// What counts as idle.
    pub idle: IdleRules,
    /// Whether it hibernates, rather than ends, when it has been idle for too long.
    pub hibernate_on_idle: bool,
    /// What becomes of the instance when its work is done.
    pub on_complete: OnComplete,
    /// A file whose appearance says that the work is done, beside the end of the command.
    pub completion_file: Option<String>,
    /// How long the instance stays up once its work is done.
    pub completion_delay_s: u64,
    /// A shell command that saves what there is when the spot instance is taken back.
    pub on_interruption: Option<String>,
    /// A label of its own in DNS, beside its index or name.
    pub dns_name: Option<String>,
}

/// The instance types that will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceTypes {
    /// Types in order of preference, at least one.
    Exact(Vec<String>),
    /// Types and patterns (`c5.*`) in order of preference, at least one of them a pattern.
    Pattern(Vec<String>),
    /// Whatever type meets these.
    Requirements(Box<Requirements>),
}

impl InstanceTypes {
    /// The types and patterns that EC2 is asked for; of requirements those that can meet them at all.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Exact(names) | Self::Pattern(names) => names.iter().map(String::as_str).collect(),
            Self::Requirements(requirements) => requirements.patterns(),
        }
    }
}

/// The placement group of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementGroup {
    /// One of strategy cluster that the sweep has to itself in each region (`placement_group: cluster`).
    Cluster,
    /// One that exists, by its name.
    Named(String),
}

/// On which market an instance is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// On demand (`spot: false`).
    OnDemand,
    /// On the spot market, or not at all (`spot: true`).
    Spot,
    /// On the spot market, and on demand where that has no capacity (`spot: fallback`).
    SpotThenOnDemand,
}

/// The image that an instance boots.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ami {
    /// One image. Images belong to a region: with several regions use one of the other two.
    Id(String),
    /// An image for each region.
    ByRegion(BTreeMap<Region, String>),
    /// The name of an SSM public parameter, looked up in each region; `{arch}` in it stands for `x86_64` or `arm64`.
    Parameter(String),
}

/// How long an instance may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ttl {
    /// At most so many seconds.
    Seconds(u64),
    /// As long as it likes, because the document says so (`ttl: none`).
    None,
}

/// What becomes of an instance when its work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnComplete {
    /// It is terminated.
    Terminate,
    /// It is stopped.
    Stop,
    /// It is hibernated.
    Hibernate,
    /// It stays as it is until its ttl.
    None,
}
