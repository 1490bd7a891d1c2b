//! What a sweep does about members that fail: how often they are tried again, and when enough is enough.

use serde::{Deserialize, Serialize};

/// The most retries of each kind. Each try costs up to a whole ttl.
pub const RETRIES_MAX: u32 = 10;

/// How often a member is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// After EC2 took its spot instance back.
    pub interruption: u32,
    /// After its program failed, or its instance was lost.
    pub failure: u32,
}

impl Retries {
    /// Every member is tried once.
    pub const NONE: Self = Self {
        interruption: 0,
        failure: 0,
    };

    /// How often a member may be tried in all, on spot instances or not.
    #[must_use]
    pub fn tries_at_most(self, spot: bool) -> u32 {
        let interruption = if spot { self.interruption } else { 0 };
        1 + interruption + self.failure
    }
}

impl Default for Retries {
    /// What a document gets that says nothing: an interruption is nobody's fault and rarely happens twice in a row, while a
    /// program that failed fails again.
    fn default() -> Self {
        Self {
            interruption: 1,
            failure: 0,
        }
    }
}

/// What happens once more members have failed than are tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing: every member gets its chance.
    #[default]
    Continue,
    /// Nothing more is launched; what runs, runs to its end.
    Hold,
    /// Nothing more is launched, and what runs is ended.
    Drain,
}

/// How many members may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerated {
    /// So many.
    Count(u32),
    /// So many percent of all members, rounded down.
    Percent(u8),
}

impl Tolerated {
    /// The number of members, of a sweep of `members`.
    #[must_use]
    pub fn of(self, members: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let share = u64::from(members) * u64::from(percent) / 100;
                u32::try_from(share).unwrap_or(members)
            }
        }
    }
}

impl Default for Tolerated {
    fn default() -> Self {
        Self::Count(0)
    }
}
