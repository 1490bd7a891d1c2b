//! An instance and the history of its states.
//!
//! Source: "Amazon EC2 instance state changes", EC2 user guide, and API data types InstanceState and StateReason.

use std::collections::HashMap;
use std::sync::Arc;

use super::{LaunchSpec, Place, ShutdownBehavior, Tags};
use crate::clock::gmt;

/// The states of API InstanceState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// Pending or running: what a sweep counts as its own, and what draws on quotas.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Shutting down or terminated: there is no way back.
    pub(crate) fn is_ended(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Launched,
    Progress,
    UserStarted,
    UserStopped,
    UserHibernated,
    UserTerminated,
    InstanceShutdown,
    SpotReclaimed,
}

impl Cause {
    /// Code of the StateReason and its message; None when the state has no reason to tell.
    pub(crate) fn reason(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Launched => Some(("pending", "pending")),
            Self::Progress | Self::UserStarted => None,
            Self::UserStopped | Self::UserTerminated => Some((
                "Client.UserInitiatedShutdown",
                "Client.UserInitiatedShutdown: User initiated shutdown",
            )),
            Self::UserHibernated => Some((
                "Client.UserInitiatedHibernate",
                "Client.UserInitiatedHibernate: User initiated hibernate",
            )),
            Self::InstanceShutdown => Some((
                "Client.InstanceInitiatedShutdown",
                "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
            )),
            Self::SpotReclaimed => Some((
                "Server.SpotInstanceTermination",
                "Server.SpotInstanceTermination: Spot instance termination",
            )),
        }
    }

    /// The StateTransitionReason: a text with the time for what a user did, else empty.
    pub(crate) fn transition_reason(self, at_ms: u64) -> String {
        match self {
            Self::UserStopped | Self::UserTerminated => format!("User initiated ({})", gmt(at_ms)),
            Self::UserHibernated => format!("User initiated hibernate ({})", gmt(at_ms)),
            Self::SpotReclaimed => "Server.SpotInstanceTermination".to_owned(),
            Self::Launched | Self::Progress | Self::UserStarted | Self::InstanceShutdown => {
                String::new()
            }
        }
    }
}

/// One step of an instance's history.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) state: State,
    pub(crate) at_ms: u64,
    pub(crate) cause: Cause,
    /// When the cause came about: the time of the call, also for the state that it ends in.
    pub(crate) caused_ms: u64,
}

/// A spot interruption that was announced.
#[derive(Clone, Debug)]
pub(crate) struct SpotNotice {
    pub(crate) action: &'static str,
    /// When the instance will be reclaimed.
    pub(crate) at_ms: u64,
}

/// An instance.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Grows with every launch: the order of lists and pages.
    pub(crate) seq: u64,
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) reservation_id: String,
    pub(crate) launch_index: u32,
    pub(crate) client_token: Option<String>,
    pub(crate) spec: Arc<LaunchSpec>,
    pub(crate) zone: String,
    pub(crate) subnet_id: String,
    pub(crate) volume_id: String,
    pub(crate) interface_id: String,
    pub(crate) spot_request_id: Option<String>,
    pub(crate) fleet_id: Option<String>,
    pub(crate) private_ip: String,
    pub(crate) public_ip: Option<String>,
    /// Of the last start.
    pub(crate) launched_ms: u64,
    pub(crate) tags: Tags,
    /// Tag `spawn:sweep-id` as it was at launch: peaks are counted under it even if the tag is changed.
    pub(crate) sweep: Option<String>,
    pub(crate) group_ids: Vec<String>,
    pub(crate) shutdown_behavior: ShutdownBehavior,
    pub(crate) termination_protected: bool,
    pub(crate) history: Vec<Change>,
    /// Grows with each change, so that timers set for an earlier state do nothing.
    pub(crate) epoch: u64,
    /// The boot timer that the operating system holds, in milliseconds since 1970, and which one it is.
    pub(crate) shutdown_at_ms: Option<u64>,
    pub(crate) shutdown_epoch: u64,
    pub(crate) hibernated: bool,
    pub(crate) notice: Option<SpotNotice>,
    pub(crate) rebalance_ms: Option<u64>,
    /// Since when its status checks fail; a start or stop ends that.
    pub(crate) impaired_ms: Option<u64>,
    /// Tokens of the metadata service with the time they expire.
    pub(crate) metadata_tokens: HashMap<String, u64>,
}

impl Instance {
    /// The last change; the history begins with the launch and is never empty.
    pub(crate) fn last(&self) -> Option<&Change> {
        self.history.last()
    }

    pub(crate) fn state(&self) -> State {
        self.last().map_or(State::Terminated, |change| change.state)
    }

    /// What an eventually consistent view shows that is as old as `at_ms`: None before the launch.
    pub(crate) fn seen_at(&self, at_ms: u64) -> Option<&Change> {
        self.history
            .iter()
            .rev()
            .find(|change| change.at_ms <= at_ms)
    }

    pub(crate) fn arn(&self) -> String {
        self.place.arn("instance", &self.id)
    }

    /// When it was first launched.
    pub(crate) fn created_ms(&self) -> u64 {
        self.history
            .first()
            .map_or(self.launched_ms, |change| change.at_ms)
    }
}
