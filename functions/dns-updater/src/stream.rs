//! The ledger's stream: which members have changed so that their names may have to.

use std::collections::BTreeSet;

use serde_json::Value;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{Ledger, Row};
use spawn_core::ports::Clock;
use spawn_core::state::MemberState;
use spawn_core::stream::{Change, Unprocessed};

use crate::{Ports, marks};

/// The attributes of a member's row that its names depend on.
const OF_NAMES: [&str; 7] = [
    "state",
    "live",
    "instance",
    "private_ip",
    "public_ip",
    "ipv6",
    "dns_name",
];

/// Marks the members whose names may have to change. Which names follow is not read from the changes: by the time they are
/// looked at, the ledger knows better.
pub(crate) async fn note<L: Ledger, Z, E, C: Clock>(
    changes: &[Change],
    ports: &Ports<'_, L, Z, E, C>,
    random: u64,
) -> Unprocessed {
    let mut members = BTreeSet::new();
    for change in changes.iter().filter(|change| is_of_names(change)) {
        match member_of(change) {
            Some(member) => {
                members.insert(member);
            }
            // It would come back for a day and hold up all that follow.
            None => tracing::error!(pk = change.key.pk, sk = change.key.sk, "change was dropped"),
        }
    }
    match marks::put(ports.ledger, &members, ports.clock.now_ms(), random).await {
        Ok(()) => Unprocessed::none(),
        Err(error) => {
            tracing::warn!(%error, changes = changes.len(), "changes will come again");
            // From the first on: marks are put in any order, and twice does no harm.
            changes.first().map(Unprocessed::from).unwrap_or_default()
        }
    }
}

/// The member whose row has changed.
fn member_of(change: &Change) -> Option<(SweepId, u32)> {
    let (sweep, _) = change.key.pk.strip_prefix("SWEEP#")?.rsplit_once('#')?;
    let index = change.key.sk.strip_prefix("MEMBER#")?.parse().ok()?;
    Some((SweepId::from(sweep), index))
}

/// Whether a member has changed in what its names depend on. Of a repeated delivery the same is said again.
fn is_of_names(change: &Change) -> bool {
    if !change.key.sk.starts_with("MEMBER#") {
        return false;
    }
    let of = |row: &Option<Row>, name: &str| -> Option<Value> {
        row.as_ref()?.attributes.get(name).cloned()
    };
    // Plans and launches write members that have no names yet.
    let runs = Some(Value::from(MemberState::Running.as_str()));
    let is_concerned = of(&change.new, "state") == runs || of(&change.old, "state") == runs;
    let has_changed = |name: &str| of(&change.new, name) != of(&change.old, name);
    is_concerned && OF_NAMES.iter().any(|name| has_changed(name))
}
