//! Which notices are raised and which are resolved.

use super::occasion::{Facts, holds, is_condition};
use super::row::NoticeRow;
use super::target::Target;
use crate::document::Occasion;

/// A condition that comes back within this time after it had passed is not told again until the time is over.
pub const COOL_DOWN_MS: u64 = 15 * 60 * 1000;

/// A message to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Raise {
    /// The occasion.
    pub occasion: Occasion,
    /// Who is told.
    pub target: Target,
    /// Whether it has passed.
    pub is_resolved: bool,
    /// What was told before, if anything.
    pub before: Option<NoticeRow>,
}

/// Whether a sweep has ended once more since an end was told.
fn ended_since(occasion: Occasion, facts: &Facts, told: &NoticeRow) -> bool {
    matches!(occasion, Occasion::End | Occasion::Failure)
        && facts.sweep.ended_at.is_some_and(|at| at > told.raised_at)
}

/// The messages that are due at `now` (ms since 1970), for everybody of `wanted` with the occasions that they want.
#[must_use]
pub fn decide(
    facts: &Facts,
    wanted: &[(Target, Vec<Occasion>)],
    told: &[NoticeRow],
    now: u64,
) -> Vec<Raise> {
    let mut raises = Vec::new();
    for (target, occasions) in wanted {
        for occasion in occasions {
            // Who is told of every end is not told of a bad one twice.
            if *occasion == Occasion::Failure && occasions.contains(&Occasion::End) {
                continue;
            }
            let before = told
                .iter()
                .find(|row| row.occasion == *occasion && row.target == *target);
            let is_there = holds(*occasion, facts);
            let is_resolved = match before {
                None if is_there => false,
                // It was resumed since, and has come to another end.
                Some(row) if is_there && ended_since(*occasion, facts, row) => false,
                Some(row) if !is_there && row.resolved_at.is_none() && is_condition(*occasion) => {
                    true
                }
                Some(row)
                    if is_there && row.resolved_at.is_some_and(|at| at + COOL_DOWN_MS <= now) =>
                {
                    false
                }
                _ => continue,
            };
            raises.push(Raise {
                occasion: *occasion,
                target: target.clone(),
                is_resolved,
                before: before.cloned(),
            });
        }
    }
    raises
}
