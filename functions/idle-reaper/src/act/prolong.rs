//! More time for members whose instance a tag keeps alive for longer than its ttl: the kill switch in the instance knows nothing
//! of tags, and budgets know nothing of time beyond the ttl.

use spawn_core::budget::Purse;
use spawn_core::clock;
use spawn_core::control::reserve_longer;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{Ledger, LedgerError, Write, path};
use spawn_core::reap::{KEEP_ALIVE_TAG, KeptAlive, Reason, deadline};
use spawn_core::rows::{MemberRow, instance_key};

use super::known;
use crate::pass::Looked;

/// Moves the deadlines of members whose instances are kept alive to the times of their tags, as far as budgets have room. The users
/// of an instance for which none has are told that its ttl holds.
pub(super) async fn prolong(
    ledger: &impl Ledger,
    looked: &[Looked],
    now: u64,
) -> Result<(), FunctionError> {
    for one in looked {
        if one.decision.reason != Reason::KeptAlive {
            continue;
        }
        let KeptAlive::Until(end) = one.subject.cloud.kept_alive() else {
            continue;
        };
        let Some(known) = known(one) else { continue };
        let Some(member) = known.member.as_ref().filter(|member| is_short(member, end)) else {
            continue;
        };
        if member.instance.as_ref() != Some(&one.subject.cloud.instance.arn) {
            continue;
        }
        let words = move_to(ledger, member, end, now).await?;
        if known.row.warning.as_deref() != words.as_deref()
            && let Some(words) = words
        {
            let write = Write::Update {
                key: instance_key(&known.row.instance),
                set: vec![(path(&["warning"]), words.into())],
                remove: Vec::new(),
                add: Vec::new(),
                when: Vec::new(),
            };
            ledger.commit(vec![write]).await?;
        }
    }
    Ok(())
}

/// Whether the member's time is over before `end`. That of a stopped one stands still.
fn is_short(member: &MemberRow, end: u64) -> bool {
    !member.state.is_ended()
        && member.paused_at.is_none()
        && member.ttl_deadline.is_some_and(|deadline| deadline < end)
}

/// Moves one deadline; answers what its users are told when no budget has room for it. A member that changes meanwhile is left
/// to the next pass.
async fn move_to(
    ledger: &impl Ledger,
    member: &MemberRow,
    end: u64,
    now: u64,
) -> Result<Option<String>, FunctionError> {
    let sweep_id = &member.sweep_id;
    let charged_to = member
        .spent
        .iter()
        .flat_map(|spent| spent.charged_to.iter().cloned());
    let mut purse = Purse::open(ledger, sweep_id, charged_to.collect()).await?;
    let mut longer = member.clone();
    if let Err(no_room) = reserve_longer(&mut longer, end, &mut purse) {
        let ttl = member
            .ttl_deadline
            .map(clock::format_iso)
            .unwrap_or_default();
        let words = format!(
            "spawn ends this instance at {ttl} for all its tag {KEEP_ALIVE_TAG}: {}",
            no_room.words
        );
        tracing::warn!(%sweep_id, member = member.index, words, "instance is not kept alive past its ttl");
        return Ok(Some(words));
    }
    let Some(writes) = deadline::change(sweep_id, vec![(longer, end)], now)?.pop() else {
        return Ok(None);
    };
    match ledger.commit(purse.into_writes(writes)).await {
        Ok(()) => {
            let until = clock::format_iso(end);
            tracing::info!(%sweep_id, member = member.index, until, "ttl was moved to the time of a tag");
            Ok(None)
        }
        Err(LedgerError::Condition { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
