//! Instances that members have had before, and which stay, stopped: their volumes go on costing.

use std::collections::BTreeSet;

use super::Seen;
use crate::budget::Releases;
use crate::cost;
use crate::ledger::{LedgerError, Versioned as _, Write};
use crate::rows::{InstanceRow, MemberRow};

/// The writes that note what was seen at `now` of such instances, one for each member. What budgets are charged with is added to
/// `releases`.
pub(super) fn note(
    former: Vec<(&InstanceRow, MemberRow)>,
    seen: &Seen<'_>,
    now: u64,
    releases: &mut Releases,
) -> Result<Vec<Write>, LedgerError> {
    let mut written = BTreeSet::new();
    let mut writes = Vec::new();
    for (instance, before) in former {
        if written.contains(&before.index) {
            continue;
        }
        let mut member = before.clone();
        for one in seen.get(&instance.instance).into_iter().flatten() {
            let at = one.seen_at.unwrap_or(now).max(now);
            let id = &instance.instance.instance_id;
            let back = cost::note_former(&mut member, id, one.news(), at);
            back.iter().for_each(|back| releases.release(back));
        }
        if member != before {
            written.insert(member.index);
            writes.push(member.replace()?);
        }
    }
    Ok(writes)
}
