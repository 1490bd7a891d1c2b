//! The controls and their fields.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What can be asked of a sweep, a member or an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Drain a sweep.
    Cancel,
    /// Stop instances; their time stands still.
    Stop,
    /// Start stopped instances.
    Start,
    /// Terminate instances.
    Terminate,
    /// Give a member a new instance.
    Replace,
    /// Give members more time.
    Extend,
    /// Run the members of an ended sweep that did not complete.
    Resume,
    /// Show a sweep, a member or an instance.
    Status,
}

/// A field of a control's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The sweep.
    SweepId,
    /// Members of it.
    Member,
    /// An instance.
    InstanceId,
    /// Why, in words.
    Reason,
    /// Whether a protected instance is ended, too.
    Force,
    /// By how much time is extended.
    By,
    /// Until when time is extended.
    Until,
}

impl Field {
    /// The name in the input.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SweepId => "sweep_id",
            Self::Member => "member",
            Self::InstanceId => "instance_id",
            Self::Reason => "reason",
            Self::Force => "force",
            Self::By => "by",
            Self::Until => "until",
        }
    }
}

impl Control {
    /// All controls.
    pub const ALL: [Self; 8] = [
        Self::Cancel,
        Self::Stop,
        Self::Start,
        Self::Terminate,
        Self::Replace,
        Self::Extend,
        Self::Resume,
        Self::Status,
    ];

    /// The name in the ledger, and behind `spawn-` in the state machine's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Terminate => "terminate",
            Self::Replace => "replace",
            Self::Extend => "extend",
            Self::Resume => "resume",
            Self::Status => "status",
        }
    }

    /// The fields that its input may have.
    pub(super) fn fields(self) -> &'static [Field] {
        use Field::{By, Force, InstanceId, Member, Reason, SweepId, Until};
        match self {
            Self::Cancel => &[SweepId, Force, Reason],
            Self::Resume => &[SweepId, Reason],
            Self::Stop | Self::Start => &[SweepId, Member, InstanceId, Reason],
            Self::Terminate => &[SweepId, Member, InstanceId, Force, Reason],
            Self::Replace => &[SweepId, Member, InstanceId, Force, Reason],
            Self::Extend => &[SweepId, Member, InstanceId, By, Until, Reason],
            Self::Status => &[SweepId, Member, InstanceId],
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_are_the_names_in_words() {
        for control in Control::ALL {
            assert_eq!(serde_json::to_value(control).unwrap(), control.as_str());
        }
    }
}
