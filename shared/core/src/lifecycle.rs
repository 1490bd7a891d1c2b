//! How a member's life follows from what is observed of its instance.

use crate::ports::InstanceState;
use crate::rows::{MemberRow, OnComplete, Report};
use crate::state::{IllegalMove, MemberState, SweepStatus};

/// EC2's state-reason codes of a spot instance that it took back (Amazon EC2 API Reference, StateReason).
const SPOT_LOSS: [&str; 2] = [
    "Server.SpotInstanceTermination",
    "Server.SpotInstanceShutdown",
];

/// Something that was seen of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// EC2 shows it in this state, for this reason if EC2 gave one.
    State(InstanceState, Option<String>),
    /// EC2 does not show it any more, long after its launch.
    Gone,
    /// EC2 will take it back in two minutes.
    SpotNotice,
    /// It has reported the end of its program; the report is in the ledger.
    Reported,
}

/// What an observation is judged by, beside the member itself.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The instance's own report, if it made one.
    pub report: Option<Report>,
    /// What happens to the instance when the member is complete.
    pub on_complete: OnComplete,
    /// The status of the sweep.
    pub sweep: SweepStatus,
    /// The present, in ms since 1970.
    pub now: u64,
}

/// The member as it is after the observation; `None` when it tells nothing new.
///
/// # Errors
/// When the member would have to make a move that its state does not allow; it stays as it is.
pub fn observe(
    member: &MemberRow,
    observation: &Observation,
    around: &Circumstances,
) -> Result<Option<MemberRow>, IllegalMove> {
    let mut next = member.clone();
    match observation {
        Observation::State(InstanceState::Pending, _) => {}
        Observation::State(InstanceState::Running, _) => {
            if member.state == MemberState::Launching {
                become_state(&mut next, MemberState::Running)?;
                next.running_at = Some(around.now);
            }
        }
        Observation::State(InstanceState::Stopping | InstanceState::Stopped, reason) => {
            // A stopped instance runs nothing and takes no slot; its member is over unless it had reported before.
            next.live = false;
            end(&mut next, reason.as_deref(), around)?;
        }
        Observation::State(InstanceState::ShuttingDown | InstanceState::Terminated, reason) => {
            next.live = false;
            end(&mut next, reason.as_deref(), around)?;
        }
        Observation::Gone => {
            next.live = false;
            end(&mut next, Some("EC2 does not show the instance any more"), around)?;
        }
        Observation::SpotNotice => {
            if member.spot_notice_at.is_none() && !member.state.is_ended() {
                next.spot_notice_at = Some(around.now);
            }
        }
        Observation::Reported => {
            // With `terminate` the member ends with its instance, so that "completed" means that nothing runs any more.
            if around.on_complete != OnComplete::Terminate && around.report.is_some() {
                end(&mut next, None, around)?;
            }
        }
    }
    Ok((next != *member).then_some(next))
}

/// Brings a member that has not ended to its end.
fn end(
    next: &mut MemberRow,
    reason: Option<&str>,
    around: &Circumstances,
) -> Result<(), IllegalMove> {
    if next.state.is_ended() {
        return Ok(());
    }
    let (state, words) = verdict(next, reason, around);
    become_state(next, state)?;
    next.reason = words;
    next.ended_at = Some(around.now);
    if let Some(report) = &around.report {
        next.exit_code = Some(report.exit_code);
        next.result_key.clone_from(&report.result_key);
    }
    Ok(())
}

/// The state in which a member ends, and why. Its own report decides; without one, what is known of the instance.
fn verdict(
    member: &MemberRow,
    reason: Option<&str>,
    around: &Circumstances,
) -> (MemberState, Option<String>) {
    if let Some(report) = &around.report {
        if report.exit_code == 0 {
            return (MemberState::Completed, report.reason.clone());
        }
        let mut words = format!("exit code {}", report.exit_code);
        if let Some(more) = &report.reason {
            words = format!("{words}: {more}");
        }
        return (MemberState::Failed, Some(words));
    }
    if member.spot_notice_at.is_some() || reason.is_some_and(|r| SPOT_LOSS.contains(&r)) {
        let words = "EC2 took the spot instance back".to_owned();
        return (MemberState::Interrupted, Some(words));
    }
    if around.sweep == SweepStatus::Draining {
        return (MemberState::Reaped, Some("the sweep was drained".to_owned()));
    }
    if member.ttl_deadline.is_some_and(|deadline| around.now + TTL_SLACK_MS >= deadline) {
        return (MemberState::Reaped, Some("its ttl passed".to_owned()));
    }
    let words = match reason {
        Some(reason) => format!("the instance ended without a report ({reason})"),
        None => "the instance ended without a report".to_owned(),
    };
    (MemberState::Failed, Some(words))
}

/// The kill switch counts from boot in whole minutes, the deadline from the launch: an end this much before the deadline is
/// the ttl's.
const TTL_SLACK_MS: u64 = 5_000;

fn become_state(member: &mut MemberRow, to: MemberState) -> Result<(), IllegalMove> {
    if member.state.may_become(to) {
        member.state = to;
        Ok(())
    } else {
        Err(IllegalMove {
            index: member.index,
            from: member.state,
            to,
        })
    }
}
