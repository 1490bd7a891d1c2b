//! What EC2's answer to an attempt means.

use crate::ports::{Ec2Error, Launched, Refusal};
use crate::rows::{AttemptRow, LaunchApi, Trouble};

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
        // The fleet's answer is final whatever happened inside it, so this is not a call without an answer.
        .or_else(|| {
            first(|e| matches!(e, Ec2Error::Transient(_) | Ec2Error::Unknown(_)))
                .map(|error| Ec2Error::Unknown(error.text().to_owned()))
        })
        .or_else(|| first(|e| matches!(e, Ec2Error::Quota(_))))
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

/// How a shape stands after an attempt that `launched` so many was closed with `error`, and with `refusals` if a fleet's
/// overrides were refused; `None`: without trouble.
#[must_use]
pub fn after_attempt(
    trouble: Trouble,
    attempt: &AttemptRow,
    launched: u32,
    error: Option<&Ec2Error>,
    refusals: &[Refusal],
) -> Option<Trouble> {
    let mut after = trouble;
    let asked = attempt.members.len();
    // The quota may have room for fewer, whatever else was said of the other pools.
    let is_over_quota = launched < asked
        && asked > 1
        && refusals
            .iter()
            .any(|refusal| matches!(refusal.error, Ec2Error::Quota(_)));
    if launched > 0 {
        let call_max = if is_over_quota {
            Some(asked / 2)
        } else {
            after.call_max.map(|most| most.saturating_mul(2))
        };
        after = Trouble {
            refused: after.refused,
            call_max,
            ..Trouble::default()
        };
        after.call_max = after
            .call_max
            .filter(|most| *most < super::BATCH_MEMBERS_MAX);
        return Some(after).filter(|after| *after != Trouble::default());
    }
    let Some(error) = error else {
        return Some(after).filter(|after| *after != Trouble::default());
    };
    after.last_error = Some(error.to_string());
    if is_over_quota {
        after.call_max = Some(asked / 2);
    }
    match error {
        Ec2Error::NoCapacity(_) => {}
        Ec2Error::Throttled(_) => after.last_error = None,
        // The quota may have room for fewer.
        Ec2Error::Quota(_) if asked > 1 => after.call_max = Some(asked / 2),
        Ec2Error::Quota(_) | Ec2Error::Refused(_) | Ec2Error::Transient(_) => {
            after.call_max = None;
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
