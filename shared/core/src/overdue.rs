//! When a sweep should be over, as its members stand: their deadlines move when they are extended, and stand still while their
//! instances are stopped.

use crate::rows::MemberRow;

/// What ending and settling may take beside the members' own time: kill switches, the reaper and EC2 take minutes.
const MARGIN_MS: u64 = 60 * 60 * 1000;

/// How long is waited before it is asked again about what has no end that could be told.
const UNKNOWN_MS: u64 = 24 * 60 * 60 * 1000;

/// Seconds until a sweep is overdue, at `now` (ms since 1970), of which nothing is launched for the time being if it
/// `is_stopped`. `None`: it is overdue, since the time of all that could still live is over.
#[must_use]
pub fn due_in_s(is_stopped: bool, members: &[MemberRow], now: u64) -> Option<u64> {
    let is_open = |member: &&MemberRow| !member.state.is_ended();
    let left = |member: &MemberRow| match (member.ttl_deadline, member.paused_at) {
        _ if member.instance.is_none() => is_stopped.then_some(UNKNOWN_MS),
        (None, _) => Some(UNKNOWN_MS),
        (Some(deadline), Some(paused_at)) => Some(deadline.saturating_sub(paused_at) + MARGIN_MS),
        (Some(deadline), None) => (deadline + MARGIN_MS).checked_sub(now),
    };
    let longest = members.iter().filter(is_open).filter_map(left).max()?;
    (longest > 0).then(|| longest.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SweepId;
    use crate::state::MemberState;

    const HOUR_MS: u64 = 60 * 60 * 1000;

    fn member() -> MemberRow {
        let arn = "arn:aws:ec2:us-east-1:000000000000:instance/i-1";
        MemberRow {
            state: MemberState::Running,
            instance: arn.parse().ok(),
            ttl_deadline: Some(10 * HOUR_MS),
            ..MemberRow::planned(SweepId::from("s"), 1, 0, "us-east-1.spot".parse().unwrap())
        }
    }

    #[test]
    fn a_sweep_is_overdue_when_the_time_of_its_members_is_over() {
        let mut other = member();
        other.ttl_deadline = Some(12 * HOUR_MS);
        let members = [member(), other];
        assert_eq!(due_in_s(false, &members, 10 * HOUR_MS), Some(3 * 3600));
        assert_eq!(due_in_s(false, &members, 13 * HOUR_MS), None);
        let ended = MemberRow {
            state: MemberState::Failed,
            ..member()
        };
        assert_eq!(due_in_s(false, &[ended], HOUR_MS), None);
    }

    #[test]
    fn what_stands_still_or_has_no_end_is_not_overdue() {
        let stopped = MemberRow {
            state: MemberState::Stopped,
            paused_at: Some(4 * HOUR_MS),
            ..member()
        };
        assert_eq!(due_in_s(false, &[stopped], 99 * HOUR_MS), Some(7 * 3600));
        let endless = MemberRow {
            ttl_deadline: None,
            ..member()
        };
        assert_eq!(due_in_s(false, &[endless], 99 * HOUR_MS), Some(24 * 3600));
        let planned = MemberRow {
            instance: None,
            state: MemberState::Planned,
            ..member()
        };
        assert_eq!(
            due_in_s(false, std::slice::from_ref(&planned), HOUR_MS),
            None
        );
        assert_eq!(due_in_s(true, &[planned], HOUR_MS), Some(24 * 3600));
    }
}
