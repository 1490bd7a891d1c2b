//! Why members come to their end: codes from a fixed list, for programs; the words beside them are for people.

use crate::state::MemberState;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a member came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCode {
    /// Its program ended with exit code 0.
    Completed,
    /// Its program ended with another exit code.
    ExitCode,
    /// EC2 took its spot instance back.
    Interrupted,
    /// spawn, or the instance itself, ended it because its ttl passed.
    ReapedTtl,
    /// spawn ended it because it was idle for too long.
    ReapedIdle,
    /// spawn ended it because of a budget.
    ReapedBudget,
    /// spawn ended it because its sweep was drained.
    ReapedDrain,
    /// spawn ended it because somebody asked for it.
    ReapedByRequest,
    /// Its instance was ended by somebody or something else: a call to EC2 that is not spawn's, or a shutdown inside it.
    EndedOutside,
    /// Its instance is gone without a word, or EC2 lost it.
    Lost,
    /// Its instance failed EC2's status checks.
    Impaired,
    /// Its instance never came up.
    BootFailed,
    /// EC2 would not launch it.
    LaunchFailed,
    /// Its sweep ended before it was launched.
    NeverLaunched,
}

impl EndCode {
    /// Every code.
    pub const ALL: [Self; 14] = [
        Self::Completed,
        Self::ExitCode,
        Self::Interrupted,
        Self::ReapedTtl,
        Self::ReapedIdle,
        Self::ReapedBudget,
        Self::ReapedDrain,
        Self::ReapedByRequest,
        Self::EndedOutside,
        Self::Lost,
        Self::Impaired,
        Self::BootFailed,
        Self::LaunchFailed,
        Self::NeverLaunched,
    ];

    /// The name in the ledger and in outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ExitCode => "exit_code",
            Self::Interrupted => "interrupted",
            Self::ReapedTtl => "reaped_ttl",
            Self::ReapedIdle => "reaped_idle",
            Self::ReapedBudget => "reaped_budget",
            Self::ReapedDrain => "reaped_drain",
            Self::ReapedByRequest => "reaped_by_request",
            Self::EndedOutside => "ended_outside",
            Self::Lost => "lost",
            Self::Impaired => "impaired",
            Self::BootFailed => "boot_failed",
            Self::LaunchFailed => "launch_failed",
            Self::NeverLaunched => "never_launched",
        }
    }

    /// Whether the member did not succeed through a fault of its program or its instance, so that `retries.failure` holds.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::ExitCode
            | Self::EndedOutside
            | Self::Lost
            | Self::Impaired
            | Self::BootFailed => true,
            Self::Completed
            | Self::Interrupted
            | Self::ReapedTtl
            | Self::ReapedIdle
            | Self::ReapedBudget
            | Self::ReapedDrain
            | Self::ReapedByRequest
            | Self::LaunchFailed
            | Self::NeverLaunched => false,
        }
    }
}

impl fmt::Display for EndCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// EC2's state-reason codes of a spot instance that it took back (Amazon EC2 API Reference, StateReason).
const SPOT_LOSS: [&str; 2] = [
    "Server.SpotInstanceTermination",
    "Server.SpotInstanceShutdown",
];

/// Those of a launch that EC2 accepted and could not carry out (the same).
const NEVER_RAN: [&str; 6] = [
    "Client.InstanceTerminated",
    "Client.InternalError",
    "Client.InvalidSnapshot.NotFound",
    "Client.VolumeLimitExceeded",
    "Server.InsufficientInstanceCapacity",
    "Server.InternalError",
];

/// Those of an end that was asked for from outside spawn, and not announced to it (the same).
const OUTSIDE: [&str; 3] = [
    "Client.InstanceInitiatedShutdown",
    "Client.UserInitiatedHibernate",
    "Client.UserInitiatedShutdown",
];

/// Whether EC2's state reason says that it took a spot instance back.
#[must_use]
pub fn is_spot_loss(state_reason: &str) -> bool {
    SPOT_LOSS.contains(&state_reason)
}

impl EndCode {
    /// The state of a member that ended of this.
    #[must_use]
    pub fn state(self) -> MemberState {
        match self {
            Self::Completed => MemberState::Completed,
            Self::Interrupted => MemberState::Interrupted,
            Self::ReapedTtl
            | Self::ReapedIdle
            | Self::ReapedBudget
            | Self::ReapedDrain
            | Self::ReapedByRequest => MemberState::Reaped,
            Self::ExitCode
            | Self::EndedOutside
            | Self::Lost
            | Self::Impaired
            | Self::BootFailed
            | Self::LaunchFailed
            | Self::NeverLaunched => MemberState::Failed,
        }
    }

    /// Whether this is what is said of an end when EC2's reason for it is not known, or tells of nobody that spawn knows.
    #[must_use]
    pub fn is_unexplained(self) -> bool {
        matches!(self, Self::Lost | Self::BootFailed | Self::EndedOutside)
    }
}

/// Why an instance ended that nobody had announced the end of, by what EC2 says and whether it was ever seen running.
#[must_use]
pub fn unannounced(state_reason: Option<&str>, has_run: bool) -> EndCode {
    match state_reason {
        Some(reason) if is_spot_loss(reason) => EndCode::Interrupted,
        Some(reason) if NEVER_RAN.contains(&reason) && !has_run => EndCode::BootFailed,
        Some(reason) if OUTSIDE.contains(&reason) => EndCode::EndedOutside,
        _ => EndCode::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_are_the_names_in_words() {
        for code in EndCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn the_end_of_an_instance_is_told_by_ec2s_reason() {
        for (reason, has_run, code) in [
            (
                Some("Server.SpotInstanceTermination"),
                true,
                EndCode::Interrupted,
            ),
            (
                Some("Server.SpotInstanceShutdown"),
                false,
                EndCode::Interrupted,
            ),
            (Some("Server.InternalError"), false, EndCode::BootFailed),
            (Some("Server.InternalError"), true, EndCode::Lost),
            (
                Some("Client.UserInitiatedShutdown"),
                true,
                EndCode::EndedOutside,
            ),
            (Some("Client.SomethingNew"), true, EndCode::Lost),
            (None, true, EndCode::Lost),
        ] {
            assert_eq!(unannounced(reason, has_run), code, "{reason:?} {has_run}");
        }
    }
}
