//! How a member's life follows from what is observed of its instance.

use crate::cost;
use crate::ending::{self, EndCode};
use crate::ids::InstanceArn;
use crate::ports::{CloudInstance, InstanceState};
use crate::reap::{ReapReason, Reaping, deadline};
use crate::rows::{Addresses, MemberRow, OnComplete, Report};
use crate::state::{IllegalMove, MemberState, SweepStatus};

/// EC2's events tell whole seconds: what began in one began up to this much later, in ms.
pub const SECOND_REST_MS: u64 = 999;

/// The reason of a member whose spot instance EC2 took back.
const SPOT_LOSS_WORDS: &str = "EC2 took the spot instance back";

/// Something that was seen of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// EC2 shows it in this state, for this reason if EC2 gave one.
    State(InstanceState, Option<String>),
    /// EC2 has sent the event that it went into this state; such an event does not say why.
    Changed(InstanceState),
    /// EC2 does not show it any more, long after its launch.
    Gone,
    /// EC2 will take it back in two minutes.
    SpotNotice,
    /// EC2 is more likely than usual to take it back (Amazon EC2 User Guide, "EC2 instance rebalance recommendations").
    Rebalance,
    /// It has reported the end of its program; the report is in the ledger.
    Reported,
    /// EC2 shows it at these addresses.
    At(Addresses),
}

impl Observation {
    /// Whether the instance is gone, or on its way.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        use InstanceState::{ShuttingDown, Terminated};
        matches!(
            self,
            Self::State(ShuttingDown | Terminated, _)
                | Self::Changed(ShuttingDown | Terminated)
                | Self::Gone
        )
    }
}

/// An observation, with the instance that it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The instance.
    pub instance: InstanceArn,
    /// What was seen of it.
    pub what: Observation,
    /// When that began, in ms since 1970, for a state whose beginning EC2 tells. It is what is billed by: news may come late.
    pub since: Option<u64>,
    /// When EC2 said so, in ms since 1970, if it was asked: later, perhaps, than the present that a function began with, which may
    /// have waited long for the answer.
    pub seen_at: Option<u64>,
}

impl Sighting {
    /// What it tells of costs.
    #[must_use]
    pub fn news(&self) -> cost::News {
        cost::News {
            since: self.since,
            is_gone: self.what.is_gone(),
        }
    }

    /// Something that EC2 does not tell the beginning of.
    #[must_use]
    pub fn new(instance: InstanceArn, what: Observation) -> Self {
        Self {
            instance,
            what,
            since: None,
            seen_at: None,
        }
    }

    /// The state that EC2 shows an instance in. One that runs was started at its launch time, which is a new one with every
    /// start (Amazon EC2 API Reference, `Instance`).
    #[must_use]
    pub fn of_state(instance: &CloudInstance) -> Self {
        let state = instance.state;
        Self {
            instance: instance.arn.clone(),
            what: Observation::State(state, instance.state_reason.clone()),
            since: (state == InstanceState::Running).then_some(instance.launched_at),
            seen_at: Some(instance.seen_at),
        }
    }

    /// Whether this was so before what is noted of the member's instance came about: that it ran before it was stopped, or was
    /// stopped before it was started again. Functions that apply what is seen do so side by side, and events come in any order.
    ///
    /// A list that was answered later is never outdated, so what is passed over wrongly is made good by the next pass. `now` is the
    /// present that the function began with, in ms since 1970: it has asked EC2 since.
    #[must_use]
    pub fn is_outdated(&self, member: &MemberRow, now: u64) -> bool {
        let state = match &self.what {
            Observation::State(state, _) | Observation::Changed(state) => *state,
            _ => return false,
        };
        let instance = member.instance.as_ref();
        let spent = instance.and_then(|arn| cost::entry_of(member, &arn.instance_id));
        let run = spent.and_then(|spent| spent.runs.last());
        match (state, self.seen_at) {
            (InstanceState::Running, Some(seen_at)) => member
                .paused_at
                .is_some_and(|paused_at| seen_at.max(now) < paused_at),
            // Both by EC2's clock, as a rule; it tells the second that something began in.
            (InstanceState::Running, None) => {
                let began = self.since.map(|since| since + SECOND_REST_MS);
                let ended = run.and_then(|run| run.to);
                member.paused_at.is_some()
                    && began.zip(ended).is_some_and(|(began, ended)| began < ended)
            }
            (InstanceState::Stopping | InstanceState::Stopped, None) => {
                let stopped = self.since.map(|since| since + SECOND_REST_MS);
                let began = run.filter(|run| run.to.is_none()).map(|run| run.from);
                stopped
                    .zip(began)
                    .is_some_and(|(stopped, began)| stopped < began)
            }
            _ => false,
        }
    }
}

/// What an observation is judged by, beside the member itself.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The instance's own report, if it made one.
    pub report: Option<Report>,
    /// What the instance had to say when it could not report an exit code.
    pub last_words: Option<String>,
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
    let changed;
    let observation = match observation {
        Observation::Changed(state) => {
            changed = Observation::State(*state, None);
            &changed
        }
        other => other,
    };
    let mut next = member.clone();
    match observation {
        Observation::Changed(_) => {}
        Observation::State(InstanceState::Pending, _) => {}
        Observation::State(InstanceState::Running, _) => run(&mut next, around.now)?,
        Observation::State(InstanceState::Stopping | InstanceState::Stopped, reason) => {
            stop(&mut next, reason.as_deref(), around)?;
        }
        Observation::State(InstanceState::ShuttingDown | InstanceState::Terminated, reason) => {
            next.live = false;
            end(&mut next, reason.as_deref(), around)?;
        }
        Observation::Gone => {
            next.live = false;
            end(
                &mut next,
                Some("EC2 does not show the instance any more"),
                around,
            )?;
        }
        Observation::SpotNotice => {
            if member.spot_notice_at.is_none() && !member.state.is_ended() {
                next.spot_notice_at = Some(around.now);
            }
        }
        Observation::Rebalance => {
            if member.rebalance_at.is_none() && !member.state.is_ended() {
                next.rebalance_at = Some(around.now);
            }
        }
        Observation::Reported => {
            // With `terminate` the member ends with its instance, so that "completed" means that nothing runs any more.
            if around.on_complete != OnComplete::Terminate && around.report.is_some() {
                end(&mut next, None, around)?;
            }
        }
        Observation::At(addresses) => {
            if !member.state.is_ended() && *addresses != Addresses::default() {
                next.addresses = addresses.clone();
                let has_public = addresses.public_ip.is_some();
                let is_settled = member.state == MemberState::Running
                    && member
                        .running_at
                        .is_some_and(|at| at + PUBLIC_IP_GRACE_MS <= around.now);
                if has_public || is_settled {
                    cost::note_public_ip(&mut next, has_public);
                }
            }
        }
    }
    Ok((next != *member).then_some(next))
}

/// A member's instance runs, for the first time or again.
fn run(next: &mut MemberRow, now: u64) -> Result<(), IllegalMove> {
    if let Some(paused_at) = next.paused_at.take() {
        let deadline = next.ttl_deadline;
        next.ttl_deadline = deadline.map(|d| deadline::after_pause(d, paused_at, now));
        next.reaping = None;
    }
    match next.state {
        MemberState::Launching => {
            become_state(next, MemberState::Running)?;
            next.running_at = Some(now);
        }
        MemberState::Stopped => {
            become_state(next, MemberState::Running)?;
            next.live = true;
            next.reason = None;
        }
        MemberState::Planned
        | MemberState::Running
        | MemberState::Completed
        | MemberState::Failed
        | MemberState::Interrupted
        | MemberState::Reaped => {}
    }
    Ok(())
}

/// A member's instance is stopped or hibernated: it runs nothing and takes no slot, and its time stands still. Its member
/// is over if it had reported, or if EC2 took a spot instance back; else it waits for its start.
fn stop(
    next: &mut MemberRow,
    reason: Option<&str>,
    around: &Circumstances,
) -> Result<(), IllegalMove> {
    next.live = false;
    // EC2 gives the public address to others (Amazon EC2 User Guide, "Public IPv4 addresses").
    next.addresses.public_ip = None;
    if next.paused_at.is_none() {
        next.paused_at = Some(around.now);
    }
    let is_lost = next.spot_notice_at.is_some() || reason.is_some_and(ending::is_spot_loss);
    if around.report.is_some() || is_lost {
        return end(next, reason, around);
    }
    if matches!(next.state, MemberState::Launching | MemberState::Running) {
        become_state(next, MemberState::Stopped)?;
        next.reason = Some(match (&next.reaping, reason) {
            (Some(reaping), _) => format!("stopped: {}", reaping.words()),
            (None, Some(code)) => format!("stopped ({code})"),
            (None, None) => "stopped".to_owned(),
        });
    }
    Ok(())
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
    let (code, words) = verdict(next, reason, around);
    become_state(next, code.state())?;
    next.code = Some(code);
    next.reason = words;
    next.ended_at = Some(around.now);
    if let Some(report) = &around.report {
        next.exit_code = Some(report.exit_code);
        next.result_key.clone_from(&report.result_key);
    }
    Ok(())
}

/// Why a member ends, as a code and in words. Its own report decides; without one, what is known of the instance.
fn verdict(
    member: &MemberRow,
    reason: Option<&str>,
    around: &Circumstances,
) -> (EndCode, Option<String>) {
    let report = around.report.as_ref();
    if let Some(report) = report.filter(|one| one.exit_code == 0 && !one.interrupted) {
        return (EndCode::Completed, report.reason.clone());
    }
    // Whoever ends what EC2 would take back in a moment does not want it tried again.
    let is_noticed =
        member.spot_notice_at.is_some() || report.is_some_and(|report| report.interrupted);
    // What was stopped for one reason, and is drained or ended by somebody else later, does not end for that reason; nor does a
    // member for which its instance was only helped down after its program had ended.
    let is_why = |reaping: &&Reaping| !reaping.stops && reaping.reason != ReapReason::Completed;
    if let Some(reaping) = member.reaping.as_ref().filter(is_why)
        && (report.is_none() || is_noticed)
    {
        return (reaping.reason.end_code(), Some(reaping.words()));
    }
    if let Some(report) = report {
        if is_noticed {
            // Programs that are told to save themselves rarely end with 0.
            let words = format!("{SPOT_LOSS_WORDS} (exit code {})", report.exit_code);
            return (EndCode::Interrupted, Some(words));
        }
        let mut words = format!("exit code {}", report.exit_code);
        if let Some(more) = &report.reason {
            words = format!("{words}: {more}");
        }
        return (EndCode::ExitCode, Some(words));
    }
    if is_noticed || reason.is_some_and(ending::is_spot_loss) {
        return (EndCode::Interrupted, Some(SPOT_LOSS_WORDS.to_owned()));
    }
    if around.sweep == SweepStatus::Draining {
        return (
            EndCode::ReapedDrain,
            Some("the sweep was drained".to_owned()),
        );
    }
    if member
        .ttl_deadline
        .filter(|_| member.paused_at.is_none())
        .is_some_and(|deadline| around.now + TTL_SLACK_MS >= deadline)
    {
        return (EndCode::ReapedTtl, Some("its ttl passed".to_owned()));
    }
    let details: Vec<&str> = [reason, around.last_words.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    let words = if details.is_empty() {
        "the instance ended without a report".to_owned()
    } else {
        format!(
            "the instance ended without a report ({})",
            details.join("; ")
        )
    };
    (
        ending::unannounced(reason, member.running_at.is_some()),
        Some(words),
    )
}

/// EC2's lists may be behind by some seconds: an instance that has run for so long and shows no public address has none.
const PUBLIC_IP_GRACE_MS: u64 = 60_000;

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
#[cfg(test)]
mod tests;
