//! The rows of the ledger about names: what is to be looked at, what spawn has made, who works on it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::dns::Bucket;
use crate::ids::SweepId;
use crate::ledger::{Key, Stored};
use crate::rows::versioned;

/// Partitions that marks, and rows of names, are spread over: ten thousand members that start at once are as many writes.
pub const SHARDS: u32 = 8;

/// Members in a sweep's own name at most: Route 53 keeps 100 multivalue answer records of one name and type (Amazon Route 53
/// Developer Guide, "Quotas", "Quotas on records") and answers a query with eight of them.
pub const GROUP_MEMBERS_MAX: usize = 100;

pub(super) fn shard(sweep: &SweepId, index: u32) -> u32 {
    let of_sweep: u32 = sweep.as_str().bytes().map(u32::from).sum();
    (of_sweep + index) % SHARDS
}

/// The partition of one shard of the marks.
#[must_use]
pub fn mark_pk(shard: u32) -> String {
    format!("DNS#MARK#{shard}")
}

/// The partition of one shard of the members' records.
#[must_use]
pub fn names_pk(shard: u32) -> String {
    format!("DNS#NAMES#{shard}")
}

pub(super) fn member_sk(sweep: &SweepId, index: u32) -> String {
    format!("{sweep}#{index:05}")
}

/// A member whose names may have to change (`DNS#MARK#n` / `sweep#00042`). Put by whoever sees a reason, over an older one;
/// deleted by the drainer when it has looked at the member, unless it was put anew meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRow {
    /// The member's sweep.
    pub sweep_id: SweepId,
    /// The member.
    pub index: u32,
    /// Different in every mark.
    pub version: u64,
}

/// The key of a member's mark.
#[must_use]
pub fn mark_key(sweep: &SweepId, index: u32) -> Key {
    Key::new(mark_pk(shard(sweep, index)), member_sk(sweep, index))
}

impl Stored for MarkRow {
    fn key(&self) -> Key {
        mark_key(&self.sweep_id, self.index)
    }
}

/// Who is in a sweep's own name (`DNS#GROUP` / sweep). Written by the drainer alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// Its members that have a place.
    pub members: BTreeSet<u32>,
    /// Counts the changes; 0 for a row that is not stored yet.
    pub version: u64,
}

/// The key of the row of a sweep's own name.
#[must_use]
pub fn group_key(sweep: &SweepId) -> Key {
    Key::new("DNS#GROUP", sweep.as_str())
}

impl Stored for GroupRow {
    fn key(&self) -> Key {
        group_key(&self.sweep_id)
    }
}
versioned!(GroupRow);

impl GroupRow {
    /// Nobody yet.
    #[must_use]
    pub fn none(sweep_id: SweepId) -> Self {
        Self {
            sweep_id,
            members: BTreeSet::new(),
            version: 0,
        }
    }

    /// Gives a member a place if there is one; answers whether it has one.
    pub fn join(&mut self, index: u32) -> bool {
        if self.members.len() < GROUP_MEMBERS_MAX {
            self.members.insert(index);
        }
        self.members.contains(&index)
    }
}

/// A label below the deployment's suffix that a sweep has taken (`DNS#CLAIM` / label), for itself or for a `dns_name`. Created
/// by plan-sweep; free again when the sweep is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// The label.
    pub label: String,
    /// Whose it is.
    pub sweep_id: SweepId,
    /// Until when it holds though its sweep is not in the ledger yet, in ms since 1970.
    pub held_until: u64,
    /// Counts the changes.
    pub version: u64,
}

/// The key of a label's claim.
#[must_use]
pub fn claim_key(label: &str) -> Key {
    Key::new("DNS#CLAIM", label)
}

impl Stored for ClaimRow {
    fn key(&self) -> Key {
        claim_key(&self.label)
    }
}
versioned!(ClaimRow);

/// Who drains, and what is left of Route 53's buckets (`DNS#DRAINER` / `DRAINER`). One at a time works on the zone: whoever
/// holds the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainerRow {
    /// Counts the changes; 0 for a row that is not stored yet.
    pub version: u64,
    /// Until when the lease holds, in ms since 1970; 0: it is free.
    pub leased_until: u64,
    /// Changes of records.
    pub changes: Bucket,
    /// Requests.
    pub requests: Bucket,
    /// When changes were sent last, in ms since 1970.
    pub sent_at: u64,
}

/// The key of the drainer's row.
#[must_use]
pub fn drainer_key() -> Key {
    Key::new("DNS#DRAINER", "DRAINER")
}

impl Stored for DrainerRow {
    fn key(&self) -> Key {
        drainer_key()
    }
}
versioned!(DrainerRow);

/// How often an instance has asked lately (`DNS#TURN#caller` / `TURN`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRow {
    /// Who asks.
    pub caller: String,
    /// Its requests.
    pub requests: Bucket,
    /// When DynamoDB may delete the row, in s since 1970.
    pub expires_at: u64,
    /// Counts the changes; 0 for a row that is not stored yet.
    pub version: u64,
}

/// The key of a caller's row.
#[must_use]
pub fn turn_key(caller: &str) -> Key {
    Key::new(format!("DNS#TURN#{caller}"), "TURN")
}

impl Stored for TurnRow {
    fn key(&self) -> Key {
        turn_key(&self.caller)
    }
}
versioned!(TurnRow);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweeps_own_name_has_room_for_so_many_members() {
        let mut group = GroupRow::none(SweepId::from("s"));
        assert!((0..100).all(|index| group.join(index)));
        assert!(!group.join(100) && group.join(7));
        group.members.remove(&7);
        assert!(group.join(100));
    }
}
