//! More time for members whose instance a tag keeps alive for longer than its ttl: the kill switch in the instance knows nothing
//! of tags, and budgets know nothing of time beyond the ttl.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::budget::Purse;
use spawn_core::clock;
use spawn_core::control::reserve_longer;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{Ledger, LedgerError, Write, path};
use spawn_core::reap::{KEEP_ALIVE_TAG, KeptAlive, Known, Reason, deadline};
use spawn_core::rows::{MemberRow, instance_key};

use super::{Acted, known};
use crate::pass::Looked;

/// A member whose time is over before that of its instance's tag.
struct Short<'a> {
    known: &'a Known,
    member: &'a MemberRow,
    /// The time of the tag, in ms since 1970.
    end: u64,
}

/// Moves the deadlines of members whose instances are kept alive to the times of their tags, as far as budgets have room. The users
/// of an instance for which none has are told that its ttl holds. What fails is left to the next pass.
pub(super) async fn prolong(ledger: &impl Ledger, looked: &[Looked], now: u64, acted: &mut Acted) {
    let mut by_sweep: BTreeMap<&SweepId, Vec<Short<'_>>> = BTreeMap::new();
    for short in looked.iter().filter_map(short) {
        let sweep_id = &short.member.sweep_id;
        by_sweep.entry(sweep_id).or_default().push(short);
    }
    for (sweep_id, members) in by_sweep {
        if let Err(error) = of_sweep(ledger, sweep_id, &members, now).await {
            acted.failures.push(error);
        }
    }
}

fn short(looked: &Looked) -> Option<Short<'_>> {
    if looked.decision.reason != Reason::KeptAlive {
        return None;
    }
    let KeptAlive::Until(end) = looked.subject.cloud.kept_alive() else {
        return None;
    };
    let known = known(looked)?;
    let member = known.member.as_ref()?;
    // One that has ended may live on, when its sweep says so. The time of a stopped one stands still.
    let is_short = member.live
        && member.paused_at.is_none()
        && member.instance.as_ref() == Some(&looked.subject.cloud.instance.arn)
        && member.ttl_deadline.is_some_and(|deadline| deadline < end);
    is_short.then_some(Short { known, member, end })
}

/// Moves the deadlines of one sweep's members, one by one: a member that has no room leaves it to others that need less.
async fn of_sweep(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    members: &[Short<'_>],
    now: u64,
) -> Result<(), FunctionError> {
    let spent = members.iter().flat_map(|short| &short.member.spent);
    let charged_to: BTreeSet<String> = spent.flat_map(|spent| spent.charged_to.clone()).collect();
    let mut purse = Purse::open(ledger, sweep_id, charged_to.clone()).await?;
    for short in members {
        let mut longer = short.member.clone();
        let mut mine = purse.clone();
        if let Err(no_room) = reserve_longer(&mut longer, short.end, &mut mine) {
            warn(ledger, short, &no_room.budget).await?;
            continue;
        }
        let moved = deadline::change(sweep_id, vec![(longer, short.end)], now)?;
        let Some(writes) = moved.into_iter().next() else {
            continue;
        };
        match ledger.commit(mine.into_writes(writes)).await {
            Ok(()) => {
                let until = clock::format_iso(short.end);
                let member = short.member.index;
                tracing::info!(%sweep_id, member, until, "ttl was moved to the time of a tag");
            }
            // The member or a budget has changed: the next pass looks again.
            Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        purse = Purse::open(ledger, sweep_id, charged_to.clone()).await?;
    }
    Ok(())
}

/// Tells the users of an instance, once, that its ttl holds for all its tag.
async fn warn(ledger: &impl Ledger, short: &Short<'_>, budget: &str) -> Result<(), FunctionError> {
    let Short { known, member, .. } = short;
    let ttl = member
        .ttl_deadline
        .map(clock::format_iso)
        .unwrap_or_default();
    // Without amounts, which change all the time: what is new is shown to everybody on the machine.
    let words = format!(
        "spawn ends this instance at {ttl} for all its tag {KEEP_ALIVE_TAG}: {budget} has no room for more time"
    );
    if known.row.warning.as_deref() == Some(words.as_str()) {
        return Ok(());
    }
    tracing::warn!(sweep_id = %member.sweep_id, member = member.index, words, "instance is not kept alive past its ttl");
    let write = Write::Update {
        key: instance_key(&known.row.instance),
        set: vec![(path(&["warning"]), words.into())],
        remove: Vec::new(),
        add: Vec::new(),
        when: Vec::new(),
    };
    Ok(ledger.commit(vec![write]).await?)
}
