//! Members that somebody ends before they have an instance.

use std::collections::BTreeSet;

use spawn_core::control::{Outcome, Outcomes, Request};
use spawn_core::errors::FunctionError;
use spawn_core::launch::Forgone;
use spawn_core::ledger::Ledger;
use spawn_core::reap::{ReapReason, Reaping};
use spawn_core::rows::{MemberRow, SweepRow};
use spawn_core::state::SweepStatus;
use spawn_core::unlaunched;

/// What is said of a member that was ended before it had an instance.
pub(crate) const WORDS: &str = "it had no instance, and gets none";

/// Ends those of `members` that wait to be launched, and tells what came of each. Answers how many are left: they are part of a
/// call to EC2, or a launcher was faster, and the next look finds them with an instance, or waiting again.
pub(crate) async fn end(
    request: &Request,
    asked_at: u64,
    sweep: &SweepRow,
    members: &[&MemberRow],
    outcomes: &mut Outcomes,
    ledger: &impl Ledger,
    now: u64,
) -> Result<usize, FunctionError> {
    if sweep.status.is_ended() || sweep.status == SweepStatus::Draining {
        for member in members {
            let words = "its sweep launches nothing more".to_owned();
            outcomes.add(member.index, Outcome::NotLaunched, Some(words));
        }
        return Ok(0);
    }
    let reaping = Reaping {
        reason: ReapReason::Asked,
        note: request.reason.clone(),
        at: asked_at,
        stops: false,
    };
    // While it is planned its rows are not all there.
    let ended = match sweep.status {
        SweepStatus::Planning => BTreeSet::new(),
        _ => unlaunched::end(ledger, sweep, members, Forgone::Asked(&reaping), now).await?,
    };
    for member in members {
        if ended.contains(&member.index) {
            outcomes.add(member.index, Outcome::Terminated, Some(WORDS.to_owned()));
        } else {
            outcomes.add(member.index, Outcome::NotLaunched, None);
        }
    }
    Ok(members.len() - ended.len())
}
