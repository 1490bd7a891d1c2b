//! What a launch asks for, after its template and its overrides were put together and checked.

use crate::catalogue::{Image, InstanceType};
use crate::limits::MarketKind;

use super::TagSpecifications;

/// What happens to the instance when its operating system shuts down
/// ("Change the instance initiated shutdown behavior", EC2 user guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownBehavior {
    Stop,
    Terminate,
}

impl ShutdownBehavior {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        }
    }
}

/// What EC2 does to a spot instance that it reclaims ("Spot Instance interruption behavior", EC2 user guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpotKind {
    /// One-time requests are always terminated.
    OneTime,
    PersistentTerminate,
    PersistentStop,
    PersistentHibernate,
}

impl SpotKind {
    /// The action that the interruption notice names.
    pub(crate) fn interruption_action(self) -> &'static str {
        match self {
            Self::OneTime | Self::PersistentTerminate => "terminate",
            Self::PersistentStop => "stop",
            Self::PersistentHibernate => "hibernate",
        }
    }
}

/// How the instance is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Market {
    OnDemand,
    Spot {
        kind: SpotKind,
        max_microusd: Option<u64>,
    },
}

impl Market {
    pub(crate) fn kind(self) -> MarketKind {
        match self {
            Self::OnDemand => MarketKind::OnDemand,
            Self::Spot { .. } => MarketKind::Spot,
        }
    }

    pub(crate) fn is_one_time_spot(self) -> bool {
        matches!(
            self,
            Self::Spot {
                kind: SpotKind::OneTime,
                ..
            }
        )
    }
}

/// Options of the instance metadata service ("Configure the Instance Metadata Service options", EC2 user guide).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataOptions {
    pub(crate) token_required: bool,
    pub(crate) hop_limit: i64,
    pub(crate) enabled: bool,
    pub(crate) tags: bool,
}

/// The root volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) device: String,
    pub(crate) size_gib: i64,
    pub(crate) kind: String,
    pub(crate) encrypted: bool,
    pub(crate) delete_on_termination: bool,
}

/// A checked launch.
#[derive(Clone, Debug)]
pub(crate) struct LaunchSpec {
    pub(crate) image: &'static Image,
    pub(crate) instance_type: &'static InstanceType,
    pub(crate) market: Market,
    pub(crate) zone: Option<String>,
    pub(crate) placement_group: Option<String>,
    /// Whether its first network interface is an Elastic Fabric Adapter.
    pub(crate) efa: bool,
    pub(crate) subnet_id: Option<String>,
    pub(crate) key_name: Option<String>,
    /// Base64, as it came.
    pub(crate) user_data: Option<String>,
    pub(crate) shutdown_behavior: ShutdownBehavior,
    pub(crate) metadata: MetadataOptions,
    pub(crate) hibernation: bool,
    pub(crate) profile_arn: Option<String>,
    pub(crate) group_ids: Vec<String>,
    pub(crate) monitoring: bool,
    pub(crate) ebs_optimized: bool,
    pub(crate) termination_protected: bool,
    pub(crate) public_address: bool,
    pub(crate) volume: Volume,
    pub(crate) tags: TagSpecifications,
}
