//! What is known of one managed instance when it is decided about.

use std::collections::BTreeMap;

use super::ReapReason;
use super::idle::Point;
use crate::clock;
use crate::ports::CloudInstance;
use crate::rows::{InstanceRow, MemberRow, ProgramRow};
use crate::state::SweepStatus;

/// Every instance that spawn launches bears this tag with the value `true`.
pub const MANAGED_TAG: &str = "spawn:managed";
/// The sweep of an instance.
pub const SWEEP_TAG: &str = "spawn:sweep-id";
/// The token of the attempt that launched an instance.
pub const ATTEMPT_TAG: &str = "spawn:attempt";
/// With any value but `false`: the reaper leaves the instance alone, whatever is known of it.
pub const PROTECT_TAG: &str = "spawn:protect";
/// Until the time that it holds (ISO 8601) the instance is not ended, unless its sweep is.
pub const KEEP_ALIVE_TAG: &str = "spawn:keep-alive";
/// Since when the reaper has found no row of the instance (ISO 8601). Set by the reaper.
pub const ORPHAN_TAG: &str = "spawn:orphan-since";
/// Since when its member has had another instance, or none (ISO 8601). Set by the reaper.
pub const ZOMBIE_TAG: &str = "spawn:zombie-since";

/// An instance with spawn's tag, as EC2 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedInstance {
    /// The instance.
    pub instance: CloudInstance,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it was launched with the option to hibernate.
    pub can_hibernate: bool,
}

impl ManagedInstance {
    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }

    /// Whether a person has put it beyond the reaper's reach.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.tag(PROTECT_TAG)
            .is_some_and(|value| !value.trim().eq_ignore_ascii_case("false"))
    }

    /// Until when a person keeps it alive.
    #[must_use]
    pub fn kept_alive(&self) -> KeptAlive {
        match self.tag(KEEP_ALIVE_TAG) {
            None => KeptAlive::No,
            Some(text) => {
                clock::parse_iso(text.trim()).map_or(KeptAlive::Unreadable, KeptAlive::Until)
            }
        }
    }

    /// Since when an earlier pass has marked it for this reason.
    #[must_use]
    pub fn marked(&self, reason: ReapReason) -> Option<u64> {
        clock::parse_iso(self.tag(mark_tag(reason)?)?)
    }
}

/// The tag by which an instance is marked before it is ended for this reason; `None`: it is ended at once.
#[must_use]
pub fn mark_tag(reason: ReapReason) -> Option<&'static str> {
    match reason {
        ReapReason::Orphan => Some(ORPHAN_TAG),
        ReapReason::Zombie => Some(ZOMBIE_TAG),
        ReapReason::Completed
        | ReapReason::Draining
        | ReapReason::OverBudget
        | ReapReason::Ttl
        | ReapReason::Idle
        | ReapReason::BootFailed
        | ReapReason::Impaired
        | ReapReason::Asked
        | ReapReason::Replaced => None,
    }
}

/// What the keep-alive tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptAlive {
    /// There is none.
    No,
    /// Until this time, in ms since 1970.
    Until(u64),
    /// It is there and cannot be read: whoever set it meant something.
    Unreadable,
}

/// How an instance's sweep stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFacts {
    /// Its status.
    pub status: SweepStatus,
    /// What it will be called after its drain, if it drains or was drained.
    pub drained_as: Option<SweepStatus>,
}

/// Whose an instance is that no row of the ledger knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Its attempt is under way: its launcher may be about to record it.
    Launching,
    /// Its attempt was abandoned with a member for it: it can be recorded in the launcher's stead.
    Member,
    /// A member's, whose row names it: its own row is lost.
    RowLost,
    /// Nobody's.
    Nobody,
}

/// The rows of an instance that the ledger knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its own row.
    pub row: InstanceRow,
    /// Its member; `None` when the member's row is missing.
    pub member: Option<MemberRow>,
    /// What the member runs; `None` when the row is missing.
    pub program: Option<ProgramRow>,
}

/// What the ledger says of an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// It has a row.
    Known(Box<Known>),
    /// It has none.
    Missing(Claim),
}

/// What CloudWatch was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nothing.
    NotAsked,
    /// It answered with these points.
    Points(Vec<Point>),
    /// It did not answer: nothing is concluded.
    NoAnswer,
}

/// Everything that a decision about an instance rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// What EC2 shows.
    pub cloud: ManagedInstance,
    /// Since when it fails EC2's status checks, in ms since 1970, if it does.
    pub impaired_since: Option<u64>,
    /// Its sweep; `None` when the ledger has none of that name.
    pub sweep: Option<SweepFacts>,
    /// What the ledger says.
    pub record: Record,
    /// What CloudWatch shows, if it was asked.
    pub usage: Usage,
}
