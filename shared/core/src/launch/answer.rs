//! What EC2's answer to an attempt means.

use crate::launch::quota;
use crate::ports::{Ec2Error, Launched, Refusal};
use crate::rows::{AttemptRow, LaneRow, LaunchApi, Trouble};

/// How often the call of an attempt is made before what it launched is looked up and the attempt closed.
pub const CALLS_MAX: u32 = 20;

/// How many answers in a row with codes that nobody knows a step of the ladder may give.
const UNKNOWN_MAX: u32 = 3;

/// EC2's answer to the call of an attempt: at least one instance, or an error.
pub type Answer = Result<Launched, Ec2Error>;

/// What is to be done with an attempt after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Record what came, and close it: nothing more can come of it.
    Close,
    /// The same call again later: nobody knows whether it took effect.
    Unanswered,
    /// The same call again later: it did nothing, but an earlier one may have.
    Repeat,
    /// What earlier calls launched is looked up by its tag and recorded, then as [`After::Close`] if no call can take effect
    /// any more, else as [`After::Repeat`].
    LookUp,
}

/// An answer in which a fleet without instances is the error that its overrides gave; beside it what EC2 said of each of
/// them, which may be another thing of each.
pub fn judge(answer: Answer) -> (Answer, Vec<Refusal>) {
    match answer {
        Ok(mut launched) => {
            let refusals = std::mem::take(&mut launched.refusals);
            if launched.instances.is_empty() {
                (Err(worst(&refusals)), refusals)
            } else {
                (Ok(launched), refusals)
            }
        }
        Err(error) => (Err(error), Vec::new()),
    }
}

/// The error of a fleet that launched nothing. Its errors describe overrides, not instances; of several the one is told that
/// leaves most hope. Throttling comes first: a throttled fleet has not asked its pools.
fn worst(refusals: &[Refusal]) -> Ec2Error {
    let first = |is: fn(&Ec2Error) -> bool| {
        let mut errors = refusals.iter().map(|refusal| &refusal.error);
        errors.find(|error| is(error)).cloned()
    };
    first(|e| matches!(e, Ec2Error::Throttled(_)))
        .or_else(|| first(|e| matches!(e, Ec2Error::NoCapacity(_))))
        .or_else(|| first(|e| matches!(e, Ec2Error::Quota(_))))
        // The fleet's answer is final whatever happened inside it, so this is not a call without an answer.
        .or_else(|| {
            first(|e| matches!(e, Ec2Error::Transient(_) | Ec2Error::Unknown(_)))
                .map(|error| Ec2Error::Unknown(error.text().to_owned()))
        })
        .or_else(|| first(|_| true))
        .unwrap_or_else(|| {
            let text = "UnfulfillableCapacity: the fleet launched nothing and did not say why";
            Ec2Error::NoCapacity(text.to_owned())
        })
}

impl After {
    /// Judges the answer to an attempt.
    #[must_use]
    pub fn of(attempt: &AttemptRow, answer: &Answer) -> Self {
        let is_repeat = attempt.unsettled_until > 0;
        match answer {
            // A repeated RunInstances answers all that the token launched. What a repeated fleet answers is not documented.
            Ok(launched)
                if !is_repeat
                    || attempt.rung.api == LaunchApi::RunInstances
                    || launched.len() >= attempt.members.len() =>
            {
                Self::Close
            }
            Err(Ec2Error::Transient(_)) if !is_worn_out(attempt) => Self::Unanswered,
            Err(Ec2Error::Throttled(_)) if is_repeat => Self::Repeat,
            Err(Ec2Error::Transient(_)) => Self::LookUp,
            Ok(_) | Err(_) if is_repeat => Self::LookUp,
            Ok(_) | Err(_) => Self::Close,
        }
    }
}

/// Whether the call of an attempt was made often enough.
#[must_use]
pub fn is_worn_out(attempt: &AttemptRow) -> bool {
    attempt.calls >= CALLS_MAX
}

/// Until when calls of an attempt may still take effect, in ms since 1970, given the answer to the last one.
#[must_use]
pub fn settled_at(attempt: &AttemptRow, answer: &Answer) -> u64 {
    let own = match answer {
        Err(Ec2Error::Transient(_)) => attempt.calling_until.unwrap_or(0),
        Ok(_) | Err(_) => 0,
    };
    attempt.unsettled_until.max(own)
}

/// An attempt that is closed, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The attempt.
    pub attempt: &'a AttemptRow,
    /// Instances that it launched.
    pub launched: u32,
    /// EC2's error, if there was one.
    pub error: Option<&'a Ec2Error>,
    /// What a fleet said of its pools.
    pub refusals: &'a [Refusal],
    /// Instances of the sweep in the attempt's region, without its own.
    pub live: i64,
    /// The present, in ms since 1970.
    pub now: u64,
}

/// How a shape of `lane` stands after an attempt; `None`: without trouble.
#[must_use]
pub fn after_attempt(lane: &LaneRow, trouble: Trouble, ended: &Ended<'_>) -> Option<Trouble> {
    let Ended {
        attempt,
        launched,
        error,
        ..
    } = *ended;
    let asked = attempt.members.len();
    let mut after = trouble;
    let scope = quota::scope(&attempt.at, attempt.rung.market);
    let by_quota = quota::refused_by(attempt, error, ended.refusals);
    if launched > 0 {
        after = Trouble {
            refused: after.refused,
            quotas: after.quotas,
            ..Trouble::default()
        };
        match (after.quotas.remove(&scope), by_quota) {
            (before, Some(refused)) if launched < asked => {
                let asked = asked.max(2);
                let felt = quota::felt(before, asked, refused, ended.live, ended.now);
                after.quotas.insert(scope, felt);
            }
            (Some(mut before), _) => {
                before.call_max = before.call_max.saturating_mul(2);
                before.refusals = 0;
                before.rest_until = 0;
                if before.call_max < super::BATCH_MEMBERS_MAX {
                    after.quotas.insert(scope, before);
                }
            }
            (None, _) => {}
        }
        return Some(after).filter(|after| *after != Trouble::default());
    }
    let Some(error) = error else {
        return Some(after).filter(|after| *after != Trouble::default());
    };
    after.last_error = Some(error.to_string());
    // The quota may have room for fewer, whatever was said of the other pools; one member waits for it when there is no other
    // pool to ask.
    if let Some(refused) = by_quota
        && (asked > 1 || matches!(error, Ec2Error::Quota(_)))
    {
        let felt = quota::felt(
            after.quotas.remove(&scope),
            asked,
            refused,
            ended.live,
            ended.now,
        );
        after.quotas.insert(scope.clone(), felt);
    }
    match error {
        Ec2Error::NoCapacity(_) => {}
        Ec2Error::Throttled(_) => after.last_error = None,
        Ec2Error::Quota(_) => {
            if asked <= 1
                && quota::holds_none(lane, attempt, ended)
                && let Some(quota) = after.quotas.get(&scope)
            {
                let at = (attempt.at.place(), attempt.rung.market);
                let words = quota::words(lane, at, quota, lane.pending);
                after.refused.insert(attempt.step, words);
            }
        }
        Ec2Error::Refused(_) | Ec2Error::Transient(_) => {
            after.refused.insert(attempt.step, error.to_string());
        }
        Ec2Error::TokenSpent(_) | Ec2Error::Unknown(_) => {
            after.unknown += 1;
            if after.unknown >= UNKNOWN_MAX {
                after.unknown = 0;
                after.refused.insert(attempt.step, error.to_string());
            }
        }
    }
    Some(after).filter(|after| *after != Trouble::default())
}
