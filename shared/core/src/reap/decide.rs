//! The decision about one managed instance: what is done with it, why, and when it is looked at next.

use super::ReapReason;
use super::decision::{Action, Decision, Reason, Verdict};
use super::facts::{Claim, KeptAlive, Known, ManagedInstance, Record, Subject, Usage};
use super::idle::{self, Activity, IdleRules};
use crate::ids::Market;
use crate::ports::InstanceState;
use crate::rows::OnComplete;
use crate::state::SweepStatus;

/// An instance whose program has ended shuts itself down; after this it is helped.
const COMPLETED_GRACE_MS: u64 = 60 * 1000;
/// The ledger may be ahead of the cloud for a while: an instance needs time to shut down.
const ZOMBIE_GRACE_MS: u64 = 2 * 60 * 1000;
/// An instance that is nobody's is ended so long after it was marked, by a later pass.
pub const MARK_GRACE_MS: u64 = 2 * 60 * 1000;
/// A boot runner is heard of within this time after the start, or never: cloud-init, network, role and assignment.
pub const BOOT_GRACE_MS: u64 = 15 * 60 * 1000;
/// An impaired instance has this long to recover, or to be heard of: EC2 recovers some by itself (Amazon EC2 User Guide, "Automatic
/// instance recovery"), and a monitor that works is silent for a quarter of an hour at most.
const IMPAIRED_GRACE_MS: u64 = 20 * 60 * 1000;
/// Users are warned so long before.
pub const WARNING_MS: u64 = 5 * 60 * 1000;
/// Every instance is looked at this often, whatever is known of it.
pub const LOOK_MS_MAX: u64 = 60 * 60 * 1000;
/// What could not be told is looked at again after this.
const UNKNOWN_LOOK_MS: u64 = 10 * 60 * 1000;
/// How far back CloudWatch is asked about a boot; and how long one is waited for of which it shows nothing at all.
const BOOT_SPAN_MS: u64 = 60 * 60 * 1000;

/// Decides about an instance at `now` (ms since 1970).
#[must_use]
pub fn decide(subject: &Subject, now: u64) -> Verdict {
    let instance = &subject.cloud.instance;
    if instance.state.is_ending() {
        return keep(Reason::Ending, now + LOOK_MS_MAX);
    }
    if subject.cloud.is_protected() {
        return keep(Reason::Protected, now);
    }
    if let Some(reason) = of_drain(subject) {
        return end(Action::Terminate, reason, None, now);
    }
    match subject.cloud.kept_alive() {
        // Looked at with every pass: the tag may be taken away at any time. A pass has moved the deadline to its time, unless a
        // budget has no room for that.
        KeptAlive::Until(end) if now < end && !is_overdue(subject, now) => {
            return keep(Reason::KeptAlive, now);
        }
        KeptAlive::Unreadable => {
            let note = "its tag spawn:keep-alive is no time; write it like 2026-01-22T18:00:00Z";
            return Verdict::Decided(Decision {
                action: Action::Keep,
                reason: Reason::KeptAlive,
                note: Some(note.to_owned()),
                next_look: now,
            });
        }
        KeptAlive::Until(_) | KeptAlive::No => {}
    }
    match &subject.record {
        Record::Missing(claim) => of_stranger(subject, claim, now),
        Record::Known(known) => of_known(subject, known, now),
    }
}

/// The end of an instance because its sweep is drained, or was.
fn of_drain(subject: &Subject) -> Option<ReapReason> {
    let sweep = subject.sweep.as_ref()?;
    let is_drained = sweep.status == SweepStatus::Draining
        || (sweep.status.is_ended() && sweep.drained_as.is_some());
    is_drained.then_some(match sweep.drained_as {
        Some(SweepStatus::OverBudget) => ReapReason::OverBudget,
        _ => ReapReason::Draining,
    })
}

/// An instance that no row knows.
fn of_stranger(subject: &Subject, claim: &Claim, now: u64) -> Verdict {
    match claim {
        Claim::Launching => keep(Reason::Launching, now),
        Claim::Member => decided(Action::Adopt, Reason::NotRecorded, None, now),
        Claim::RowLost => unknown("its own row is lost, its member's is not", now),
        Claim::Nobody => mark_first(ReapReason::Orphan, &subject.cloud, now),
    }
}

/// An instance that is nobody's, or nobody's any more: one pass marks it, and a later one ends it.
fn mark_first(reason: ReapReason, cloud: &ManagedInstance, now: u64) -> Verdict {
    // A mark from the future is no mark.
    match cloud.marked(reason).filter(|since| *since <= now) {
        None => {
            let note = "marked; a later pass ends it".to_owned();
            decided(Action::Warn, Reason::Reap(reason), Some(note), now)
        }
        Some(since) if now < since + MARK_GRACE_MS => keep(Reason::Grace, now),
        Some(_) => end(Action::Terminate, reason, None, now),
    }
}

/// An instance that has a row.
fn of_known(subject: &Subject, known: &Known, now: u64) -> Verdict {
    let cloud = &subject.cloud.instance;
    if matches!(
        cloud.state,
        InstanceState::Stopping | InstanceState::Stopped
    ) {
        return keep(Reason::Stopped, now + LOOK_MS_MAX);
    }
    let (Some(member), Some(program)) = (&known.member, &known.program) else {
        // Its member was there when it was launched; that a row is missing is no reason to end work.
        return unknown("a row of its member is missing", now);
    };
    let has_reported = known.row.report().is_some();
    if member.instance.as_ref() != Some(&cloud.arn) {
        // The member has another instance, or waits for one; a spot instance may still be saving its work.
        return mark_first(ReapReason::Zombie, &subject.cloud, now);
    }
    if has_reported && program.on_complete != OnComplete::None {
        let reported_at = known.row.report_at.unwrap_or(now).min(now);
        if now < reported_at + COMPLETED_GRACE_MS {
            return keep(Reason::Grace, reported_at + COMPLETED_GRACE_MS);
        }
        let (action, note) = match program.on_complete {
            OnComplete::Hibernate => softest(subject, true),
            OnComplete::Stop => softest(subject, false),
            OnComplete::Terminate | OnComplete::None => (Action::Terminate, None),
        };
        return end(action, ReapReason::Completed, note, now);
    }
    if member.state.is_ended() && !has_reported {
        return after(
            ReapReason::Zombie,
            member.ended_at.unwrap_or(now) + ZOMBIE_GRACE_MS,
            now,
        );
    }
    if is_overdue(subject, now) {
        return end(Action::Terminate, ReapReason::Ttl, None, now);
    }
    let verdict = match of_impairment(subject, known, &program.idle, now) {
        Some(verdict) => verdict,
        None => of_activity(subject, known, now),
    };
    warned_of_ttl(verdict, known, now)
}

/// Whether the time of the instance's member is over.
fn is_overdue(subject: &Subject, now: u64) -> bool {
    let Record::Known(known) = &subject.record else {
        return false;
    };
    known.member.as_ref().is_some_and(|member| {
        member.instance.as_ref() == Some(&subject.cloud.instance.arn)
            && member.paused_at.is_none()
            && member.ttl_deadline.is_some_and(|deadline| deadline <= now)
    })
}

/// An instance that fails EC2's status checks. They look at its system and its network from outside and know nothing of its
/// work: it is ended when it has not been heard of since, for longer than its monitor is ever silent, and CloudWatch does not
/// show it at work either.
fn of_impairment(subject: &Subject, known: &Known, rules: &IdleRules, now: u64) -> Option<Verdict> {
    let since = subject.impaired_since?.min(now);
    let heard_at = known.row.report_heartbeat_at.max(known.row.report_at);
    if heard_at.is_some_and(|heard_at| heard_at > since) {
        return None;
    }
    let due = since + IMPAIRED_GRACE_MS;
    if now < due {
        return Some(keep(Reason::Grace, due));
    }
    Some(match &subject.usage {
        Usage::NotAsked => Verdict::AskCloudWatch(since),
        Usage::NoAnswer => unknown("CloudWatch did not answer", now),
        Usage::Points(points) if idle::contradicts(points, rules) => unknown(
            "it fails EC2's status checks, and CloudWatch shows it at work",
            now,
        ),
        Usage::Points(_) => end(Action::Terminate, ReapReason::Impaired, None, now),
    })
}

/// A decision that is overtaken by the end of the member's time: the warning before it, and the look at it.
fn warned_of_ttl(verdict: Verdict, known: &Known, now: u64) -> Verdict {
    let Some(member) = known.member.as_ref().filter(|m| m.paused_at.is_none()) else {
        return verdict;
    };
    let (Verdict::Decided(decision), Some(deadline)) = (&verdict, member.ttl_deadline) else {
        return verdict;
    };
    if decision.action != Action::Keep {
        return verdict;
    }
    let warn_at = deadline.saturating_sub(WARNING_MS);
    let mut decision = decision.clone();
    if now < warn_at {
        decision.next_look = decision.next_look.min(warn_at);
    } else {
        decision.next_look = decision.next_look.min(deadline);
        if known.row.warning.is_none() {
            decision.action = Action::Warn;
            decision.reason = Reason::Reap(ReapReason::Ttl);
        }
    }
    Verdict::Decided(decision)
}

/// A member's running instance, by what it does.
fn of_activity(subject: &Subject, known: &Known, now: u64) -> Verdict {
    let cloud = &subject.cloud.instance;
    let Some(program) = &known.program else {
        return unknown("a row of its member is missing", now);
    };
    let said = idle::said(&known.row, now);
    let never_heard = known.row.report_heartbeat_at.is_none() && known.row.report_at.is_none();
    if never_heard {
        let boot_ends = cloud.launched_at + BOOT_GRACE_MS;
        if now < boot_ends {
            return keep(Reason::Grace, boot_ends);
        }
        return of_failed_boot(subject, &program.idle, now);
    }
    let Some(timeout_ms) = program.idle_timeout_s.map(|seconds| seconds * 1000) else {
        return keep(Reason::AtWork, now + LOOK_MS_MAX);
    };
    match said {
        Activity::Busy(at) => {
            // It may have fallen idle in the windows that are looked back at, which did not agree yet.
            let at = at.saturating_sub(program.idle.windows * program.idle.window_s * 1000);
            keep(Reason::AtWork, soonest(at + timeout_ms, now))
        }
        Activity::Unknown(why) => unknown(why, now),
        Activity::Idle(since) => of_idleness(subject, known, since, timeout_ms, now),
        Activity::Silent => {
            let from = now.saturating_sub(timeout_ms).max(cloud.launched_at);
            let points = match &subject.usage {
                Usage::NotAsked => return Verdict::AskCloudWatch(from),
                Usage::NoAnswer => return unknown("CloudWatch did not answer", now),
                Usage::Points(points) => points,
            };
            let accelerator = idle::has_accelerator(&cloud.instance_type);
            match idle::shown(points, &program.idle, from, now, accelerator) {
                Activity::Busy(at) => keep(Reason::AtWork, soonest(at + timeout_ms, now)),
                Activity::Idle(since) => of_idleness(subject, known, since, timeout_ms, now),
                Activity::Unknown(why) => unknown(why, now),
                Activity::Silent => unknown("it is silent", now),
            }
        }
    }
}

/// The next look at an instance that may be idle at `due`, never in the past.
fn soonest(due: u64, now: u64) -> u64 {
    due.clamp(now + 1, now + LOOK_MS_MAX)
}

/// An instance that is idle since `since`.
fn of_idleness(subject: &Subject, known: &Known, since: u64, timeout_ms: u64, now: u64) -> Verdict {
    let Some(program) = &known.program else {
        return unknown("a row of its member is missing", now);
    };
    let grace_ends = subject.cloud.instance.launched_at + program.idle.grace_s * 1000;
    let due = since.max(grace_ends) + timeout_ms;
    let warn_at = due.saturating_sub(WARNING_MS.min(timeout_ms / 2));
    if now < warn_at {
        return keep(Reason::IdleYet, warn_at);
    }
    if now < due {
        if known.row.warning.is_none() {
            return decided(Action::Warn, Reason::Reap(ReapReason::Idle), None, due);
        }
        return keep(Reason::IdleYet, due);
    }
    // The instance's word is not enough to end it while CloudWatch shows work.
    match &subject.usage {
        Usage::NotAsked => return Verdict::AskCloudWatch(since.min(now)),
        Usage::NoAnswer => return unknown("CloudWatch did not answer", now),
        Usage::Points(points) if idle::contradicts(points, &program.idle) => {
            return unknown("CloudWatch shows it at work", now);
        }
        Usage::Points(_) => {}
    }
    let (action, note) = if program.hibernate_on_idle {
        softest(subject, true)
    } else {
        (Action::Terminate, None)
    };
    end(action, ReapReason::Idle, note, now)
}

/// An instance that was never heard of: ended unless CloudWatch shows that it works.
fn of_failed_boot(subject: &Subject, rules: &IdleRules, now: u64) -> Verdict {
    match &subject.usage {
        Usage::NotAsked => Verdict::AskCloudWatch(now.saturating_sub(BOOT_SPAN_MS)),
        Usage::NoAnswer => unknown("CloudWatch did not answer", now),
        Usage::Points(points) if idle::contradicts(points, rules) => {
            unknown("it never reported, and CloudWatch shows it at work", now)
        }
        Usage::Points(points)
            if points.len() < 2 && now < subject.cloud.instance.launched_at + BOOT_SPAN_MS =>
        {
            unknown("it never reported, and CloudWatch shows too little", now)
        }
        Usage::Points(_) => end(Action::Terminate, ReapReason::BootFailed, None, now),
    }
}

/// How an instance that is to be kept for later is put to rest: hibernated if `hibernate` and EC2 can, else stopped, else
/// terminated; and why it is not the first.
fn softest(subject: &Subject, hibernate: bool) -> (Action, Option<String>) {
    let cloud = &subject.cloud;
    if cloud.instance.market == Market::Spot {
        // spawn's spot requests are one-time (Amazon EC2 User Guide, "Stop and start a Spot Instance").
        let note = "a one-time spot instance can be neither hibernated nor stopped";
        return (Action::Terminate, Some(note.to_owned()));
    }
    match (hibernate, cloud.can_hibernate) {
        (true, true) => (Action::Hibernate, None),
        (true, false) => {
            let note = "it was launched without the option to hibernate";
            (Action::Stop, Some(note.to_owned()))
        }
        (false, _) => (Action::Stop, None),
    }
}

fn after(reason: ReapReason, due: u64, now: u64) -> Verdict {
    if now < due {
        keep(Reason::Grace, due)
    } else {
        end(Action::Terminate, reason, None, now)
    }
}

fn end(action: Action, reason: ReapReason, note: Option<String>, now: u64) -> Verdict {
    decided(action, Reason::Reap(reason), note, now)
}

fn keep(reason: Reason, next_look: u64) -> Verdict {
    decided(Action::Keep, reason, None, next_look)
}

fn unknown(why: &str, now: u64) -> Verdict {
    decided(
        Action::Keep,
        Reason::ActivityUnknown,
        Some(why.to_owned()),
        now + UNKNOWN_LOOK_MS,
    )
}

fn decided(action: Action, reason: Reason, note: Option<String>, next_look: u64) -> Verdict {
    Verdict::Decided(Decision {
        action,
        reason,
        note,
        next_look,
    })
}
