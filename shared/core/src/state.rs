//! The states of members and sweeps, and which may follow which.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a member is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// In the ledger, without an instance.
    Planned,
    /// Its instance exists and is not known to run yet.
    Launching,
    /// Its instance runs.
    Running,
    /// Its instance is stopped or hibernated, and can be started again.
    Stopped,
    /// Its program ended with exit code 0.
    Completed,
    /// Its program failed, its instance was lost, or it could not be launched.
    Failed,
    /// EC2 took its spot instance back.
    Interrupted,
    /// spawn ended its instance: time, idleness, budget, or a drain.
    Reaped,
}

impl MemberState {
    /// All states, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Launching,
        Self::Running,
        Self::Stopped,
        Self::Completed,
        Self::Failed,
        Self::Interrupted,
        Self::Reaped,
    ];

    /// The name in the ledger and in outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Reaped => "reaped",
        }
    }

    /// Whether the member has come to its end.
    #[must_use]
    pub fn is_ended(self) -> bool {
        match self {
            Self::Planned | Self::Launching | Self::Running | Self::Stopped => false,
            Self::Completed | Self::Failed | Self::Interrupted | Self::Reaped => true,
        }
    }

    /// Whether a member may go from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            // A planned member fails when its lane cannot launch.
            Self::Planned => matches!(next, Self::Launching | Self::Failed),
            // A `running` event may be lost, so every end is open to a launching member, too.
            Self::Launching => matches!(next, Self::Running | Self::Stopped) || next.is_ended(),
            Self::Running => next == Self::Stopped || next.is_ended(),
            Self::Stopped => next == Self::Running || next.is_ended(),
            // The one way back: another try.
            Self::Interrupted | Self::Failed | Self::Reaped => next == Self::Planned,
            Self::Completed => false,
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A move that the states do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("member {index} cannot go from {from} to {to}")]
pub struct IllegalMove {
    /// The member.
    pub index: u32,
    /// Its state.
    pub from: MemberState,
    /// The state that was asked for.
    pub to: MemberState,
}

/// Where a sweep is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepStatus {
    /// Its rows are being written.
    Planning,
    /// Its lanes launch.
    Launching,
    /// All that will be launched has been; members run.
    Running,
    /// Nothing more is launched, and what lives is ended.
    Draining,
    /// Every member completed.
    Completed,
    /// Some members completed, and some did not.
    CompletedWithFailures,
    /// No member completed, or the sweep was drained because of an error.
    Failed,
    /// The user cancelled it.
    Cancelled,
    /// It was drained because of its budget.
    OverBudget,
}

impl SweepStatus {
    /// All, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Planning,
        Self::Launching,
        Self::Running,
        Self::Draining,
        Self::Completed,
        Self::CompletedWithFailures,
        Self::Failed,
        Self::Cancelled,
        Self::OverBudget,
    ];

    /// Those of a sweep that is not over, which reconcile looks after.
    pub const LIVE: [Self; 4] = [
        Self::Planning,
        Self::Launching,
        Self::Running,
        Self::Draining,
    ];

    /// The name in the ledger and in outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Completed => "completed",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::OverBudget => "over_budget",
        }
    }

    /// Whether the sweep is over.
    #[must_use]
    pub fn is_ended(self) -> bool {
        !Self::LIVE.contains(&self)
    }

    /// Whether instances may be launched for the sweep.
    #[must_use]
    pub fn may_launch(self) -> bool {
        matches!(self, Self::Launching | Self::Running)
    }
}

impl fmt::Display for SweepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many members are in each state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<MemberState, i64>);

impl Counts {
    /// The counts of a sweep of `members` members of which none was launched.
    #[must_use]
    pub fn planned(members: u32) -> Self {
        let mut counts: BTreeMap<_, _> = MemberState::ALL.iter().map(|&s| (s, 0)).collect();
        counts.insert(MemberState::Planned, i64::from(members));
        Self(counts)
    }

    /// The number of members in `state`.
    #[must_use]
    pub fn of(&self, state: MemberState) -> i64 {
        self.0.get(&state).copied().unwrap_or(0)
    }

    /// The number of members that have come to their end.
    #[must_use]
    pub fn ended(&self) -> i64 {
        self.0
            .iter()
            .filter(|(state, _)| state.is_ended())
            .map(|(_, count)| count)
            .sum()
    }

    /// The number of members in all.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }

    /// Counts the states of `members`.
    pub fn tally(states: impl IntoIterator<Item = MemberState>) -> Self {
        let mut counts = Self::planned(0);
        for state in states {
            *counts.0.entry(state).or_insert(0) += 1;
        }
        counts
    }
}

/// How many members have come to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Members whose program ended with exit code 0.
    pub completed: i64,
    /// Members whose program failed, whose instance was lost, or that could not be launched.
    pub failed: i64,
    /// Members whose spot instance EC2 took back.
    pub interrupted: i64,
    /// Members whose instance spawn ended.
    pub reaped: i64,
}

impl Ended {
    /// Counts a member in `state`, if that is an end.
    pub fn add(&mut self, state: MemberState) {
        match state {
            MemberState::Completed => self.completed += 1,
            MemberState::Failed => self.failed += 1,
            MemberState::Interrupted => self.interrupted += 1,
            MemberState::Reaped => self.reaped += 1,
            _ => {}
        }
    }

    /// The number of members in `state`, if that is an end.
    #[must_use]
    pub fn of(&self, state: MemberState) -> i64 {
        match state {
            MemberState::Planned
            | MemberState::Launching
            | MemberState::Running
            | MemberState::Stopped => 0,
            MemberState::Completed => self.completed,
            MemberState::Failed => self.failed,
            MemberState::Interrupted => self.interrupted,
            MemberState::Reaped => self.reaped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_member_that_did_not_complete_comes_back_from_its_end() {
        for from in MemberState::ALL.into_iter().filter(|s| s.is_ended()) {
            for to in MemberState::ALL {
                let allowed = from != MemberState::Completed && to == MemberState::Planned;
                assert_eq!(from.may_become(to), allowed, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn no_state_follows_itself() {
        for state in MemberState::ALL {
            assert!(!state.may_become(state), "{state}");
        }
    }

    #[test]
    fn names_in_json_are_the_names_in_words() {
        for state in MemberState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
