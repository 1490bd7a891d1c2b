//! The occasions, and whether they are there.

use crate::document::Occasion;
use crate::rows::{MemberRow, SweepRow};
use crate::state::{MemberState, SweepStatus};

/// A member is overdue when it lives so long after its time: the kill switch and the reaper have had theirs.
pub const OVERDUE_MS: u64 = 5 * 60 * 1000;

/// What is known of a sweep when it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Its row.
    pub sweep: SweepRow,
    /// How much of its budget is spent, in percent; `None` when it has none, or the cost is not known.
    pub spent_percent: Option<u64>,
    /// Members that live after their time.
    pub overdue: Vec<u32>,
    /// Whether its drain has failed, so that instances may be left.
    pub drain_failed: bool,
}

/// The members of a sweep that live although their time was over [`OVERDUE_MS`] ago.
#[must_use]
pub fn overdue(members: &[MemberRow], now: u64) -> Vec<u32> {
    members
        .iter()
        .filter(|member| member.live && member.paused_at.is_none())
        .filter(|member| {
            member
                .ttl_deadline
                .is_some_and(|end| end + OVERDUE_MS < now)
        })
        .map(|member| member.index)
        .collect()
}

/// The name of an occasion in a notice's key.
#[must_use]
pub fn key_of(occasion: Occasion) -> String {
    match occasion {
        Occasion::End => "end".to_owned(),
        Occasion::Failure => "failure".to_owned(),
        Occasion::FirstFailure => "first_failure".to_owned(),
        Occasion::CostShare(percent) => format!("cost_share_{percent}"),
        Occasion::Overdue => "overdue".to_owned(),
    }
}

/// Whether an occasion is there.
#[must_use]
pub fn holds(occasion: Occasion, facts: &Facts) -> bool {
    let sweep = &facts.sweep;
    match occasion {
        Occasion::End => sweep.status.is_ended() || facts.drain_failed,
        Occasion::Failure => {
            facts.drain_failed
                || (sweep.status.is_ended() && sweep.status != SweepStatus::Completed)
        }
        Occasion::FirstFailure => sweep.counts.of(MemberState::Failed) > 0,
        Occasion::CostShare(percent) => facts
            .spent_percent
            .is_some_and(|spent| spent >= u64::from(percent)),
        Occasion::Overdue => !facts.overdue.is_empty(),
    }
}

/// Whether an occasion can pass, so that its end is told, too.
#[must_use]
pub fn is_condition(occasion: Occasion) -> bool {
    match occasion {
        Occasion::Overdue => true,
        // What has been spent stays spent, what has failed has failed.
        Occasion::End | Occasion::Failure | Occasion::FirstFailure | Occasion::CostShare(_) => {
            false
        }
    }
}
