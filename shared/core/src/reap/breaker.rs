//! The breaker: a pass that would end too much at once stops, because it is more likely wrong than right.

use super::{Action, Decision, ReapReason, Reason};

/// How much of a fleet one pass may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At most so many percent of the fleet,
    pub share_percent: u64,
    /// and at least so many instances.
    pub at_least: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            share_percent: 20,
            at_least: 10,
        }
    }
}

impl Limit {
    /// The most instances that a pass over `fleet` ends.
    #[must_use]
    pub fn of(self, fleet: usize) -> usize {
        let fleet = u64::try_from(fleet).unwrap_or(u64::MAX);
        let share = fleet.saturating_mul(self.share_percent) / 100;
        usize::try_from(share.max(self.at_least)).unwrap_or(usize::MAX)
    }
}

/// Whether a ground rests on a lookup that found nothing. Many of these at once speak for a wrong lookup (another table, lost
/// rows), not for many lost instances: then none of them is ended.
fn rests_on_absence(reason: ReapReason) -> bool {
    match reason {
        ReapReason::Orphan | ReapReason::Zombie | ReapReason::BootFailed => true,
        ReapReason::Completed
        | ReapReason::Draining
        | ReapReason::OverBudget
        | ReapReason::Ttl
        | ReapReason::Idle
        | ReapReason::Impaired
        | ReapReason::Asked
        | ReapReason::Replaced => false,
    }
}

/// Ends of a drain are asked for by somebody and do not count.
fn is_counted(decision: &Decision) -> Option<ReapReason> {
    match decision.reason {
        Reason::Reap(reason)
            if decision.action.is_end()
                && !matches!(
                    reason,
                    ReapReason::Draining | ReapReason::OverBudget | ReapReason::Asked
                ) =>
        {
            Some(reason)
        }
        _ => None,
    }
}

/// Turns into `keep` what a pass over `fleet` instances may not end; answers how many those are. The grounds that leave the
/// least doubt come first.
pub fn apply(decisions: &mut [Decision], fleet: usize, limit: Limit, now: u64) -> usize {
    let most = limit.of(fleet);
    let mut counted: Vec<(ReapReason, usize)> = decisions
        .iter()
        .enumerate()
        .filter_map(|(index, decision)| Some((is_counted(decision)?, index)))
        .collect();
    if counted.len() <= most {
        return 0;
    }
    counted.sort();
    let absent = counted
        .iter()
        .filter(|(reason, _)| rests_on_absence(*reason))
        .count();
    let mut held = 0;
    let mut ended = 0;
    for (reason, index) in counted {
        let is_suspect = absent > most && rests_on_absence(reason);
        if ended < most && !is_suspect {
            ended += 1;
            continue;
        }
        held += 1;
        if let Some(decision) = decisions.get_mut(index) {
            *decision = Decision {
                action: Action::Keep,
                reason: Reason::Breaker,
                note: Some(format!("it would be ended because of {reason}")),
                next_look: now,
            };
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(reason: ReapReason) -> Decision {
        Decision {
            action: Action::Terminate,
            reason: Reason::Reap(reason),
            note: None,
            next_look: 0,
        }
    }

    fn ended(decisions: &[Decision]) -> usize {
        decisions.iter().filter(|d| d.action.is_end()).count()
    }

    #[test]
    fn a_pass_ends_its_share_and_nothing_beyond() {
        for (fleet, due, allowed) in [
            (1, 1, 1),
            (20, 20, 10),
            (1_000, 200, 200),
            (1_000, 201, 200),
            (10_000, 9_999, 2_000),
        ] {
            let mut decisions = vec![end(ReapReason::Ttl); due];
            let held = apply(&mut decisions, fleet, Limit::default(), 1);
            assert_eq!(ended(&decisions), allowed, "{fleet} {due}");
            assert_eq!(held, due - allowed);
        }
    }

    #[test]
    fn a_drain_is_not_held_up() {
        let mut decisions = vec![end(ReapReason::Draining); 500];
        decisions.extend(vec![end(ReapReason::OverBudget); 500]);
        assert_eq!(apply(&mut decisions, 1_000, Limit::default(), 1), 0);
        assert_eq!(ended(&decisions), 1_000);
    }

    #[test]
    fn when_the_ledger_seems_to_have_lost_its_rows_none_of_the_unknown_is_ended() {
        let mut decisions = vec![end(ReapReason::Orphan); 900];
        decisions.extend(vec![end(ReapReason::Completed); 5]);
        assert_eq!(apply(&mut decisions, 1_000, Limit::default(), 1), 900);
        assert_eq!(ended(&decisions), 5);
    }
}
