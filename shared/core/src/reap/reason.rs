//! Why an instance is ended or stopped: a fixed list, so that reasons can be counted and tested.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ending::EndCode;

/// Why spawn ends or stops an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReapReason {
    /// Its program has ended, and it still runs.
    Completed,
    /// Its sweep is drained, or was.
    Draining,
    /// Its sweep has passed its budget.
    OverBudget,
    /// Its time is over, and its own kill switch did not end it.
    Ttl,
    /// It did nothing for too long.
    Idle,
    /// The ledger says that it has ended, and EC2 that it runs.
    Zombie,
    /// It never said a word after its launch.
    BootFailed,
    /// It fails EC2's status checks, and neither it nor CloudWatch shows that it works.
    Impaired,
    /// It bears spawn's tags and no row of the ledger knows it.
    Orphan,
    /// A person asked for it.
    Asked,
    /// A person asked for another one for its member.
    Replaced,
}

impl ReapReason {
    /// All reasons, those that leave the least doubt first.
    pub const ALL: [Self; 11] = [
        Self::Completed,
        Self::Draining,
        Self::OverBudget,
        Self::Ttl,
        Self::Idle,
        Self::Zombie,
        Self::BootFailed,
        Self::Impaired,
        Self::Orphan,
        Self::Asked,
        Self::Replaced,
    ];

    /// The name in the ledger, in logs and as a metric's dimension.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Draining => "draining",
            Self::OverBudget => "over_budget",
            Self::Ttl => "ttl",
            Self::Idle => "idle",
            Self::Zombie => "zombie",
            Self::BootFailed => "boot_failed",
            Self::Impaired => "impaired",
            Self::Orphan => "orphan",
            Self::Asked => "asked",
            Self::Replaced => "replaced",
        }
    }

    /// The code of a member that ends of it. A member ends of its own program's end, not of the first; the instances of orphans and
    /// zombies have none that is still to end.
    #[must_use]
    pub fn end_code(self) -> EndCode {
        match self {
            Self::Ttl => EndCode::ReapedTtl,
            Self::Idle => EndCode::ReapedIdle,
            Self::OverBudget => EndCode::ReapedBudget,
            Self::Draining => EndCode::ReapedDrain,
            Self::BootFailed => EndCode::BootFailed,
            Self::Impaired => EndCode::Impaired,
            Self::Completed | Self::Zombie | Self::Orphan | Self::Asked | Self::Replaced => {
                EndCode::ReapedByRequest
            }
        }
    }

    /// What a member's row says of it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Completed => "its program had ended",
            Self::Draining => "the sweep was drained",
            Self::OverBudget => "the sweep passed its budget",
            Self::Ttl => "its ttl passed",
            Self::Idle => "it was idle for too long",
            Self::Zombie => "the ledger had it as ended",
            Self::BootFailed => "it never reported after its launch",
            Self::Impaired => "it failed EC2's status checks",
            Self::Orphan => "no row of the ledger knew it",
            Self::Asked => "a person asked for it",
            Self::Replaced => "a person asked for another one",
        }
    }
}

impl fmt::Display for ReapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// That spawn is ending or stopping a member's instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaping {
    /// Why.
    pub reason: ReapReason,
    /// More, in words, when there is something to say.
    pub note: Option<String>,
    /// Since when, in ms since 1970.
    pub at: u64,
    /// Whether it is only stopped or hibernated: then this is not the reason of its end, whatever ends it.
    #[serde(default)]
    pub stops: bool,
}

impl Reaping {
    /// What a member's row says of it.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.note {
            Some(note) => format!("{} ({note})", self.reason.words()),
            None => self.reason.words().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_are_the_names_in_words() {
        for reason in ReapReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
