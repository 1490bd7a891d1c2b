//! The end of an instance's time: counted from its launch, standing still while the instance is stopped, and moved by who
//! extends it.
//!
//! It stands in two rows: the member's, which the control plane judges by, and the instance's own, which the boot runner
//! reads every minute to set the kill switch. Both move in one transaction.

use serde_json::Value;

use crate::ids::SweepId;
use crate::ledger::{LedgerError, TRANSACTION_ITEMS_MAX, Versioned, Write, path};
use crate::rows::{MemberRow, instance_key, sweep_key};

/// When the time of a member that stood still since `paused_at` is over, now that it goes on.
#[must_use]
pub fn after_pause(deadline: u64, paused_at: u64, now: u64) -> u64 {
    deadline.saturating_add(now.saturating_sub(paused_at))
}

/// Milliseconds that are left of a member's time; `None` when it has no end.
#[must_use]
pub fn left(member: &MemberRow, now: u64) -> Option<u64> {
    let present = member.paused_at.unwrap_or(now);
    Some(member.ttl_deadline?.saturating_sub(present))
}

/// The write that tells an instance the end of its time; what its users were told of another end is no longer true.
///
/// The boot runner moves its kill switch within a minute or two; when it cannot read the row, the old deadline holds.
#[must_use]
pub fn tell_instance(instance: &crate::ids::InstanceArn, deadline: u64) -> Write {
    Write::Update {
        key: instance_key(instance),
        set: vec![(path(&["ttl_deadline"]), Value::from(deadline))],
        remove: vec![path(&["warning"])],
        add: Vec::new(),
        when: Vec::new(),
    }
}

/// Members in one transaction: two writes each, and one for the sweep's row.
const MEMBERS_MAX: usize = (TRANSACTION_ITEMS_MAX - 1) / 2;

/// The transactions that give `members` new deadlines (ms since 1970), in their rows and in their instances'. Members that
/// have no instance are left alone: their time is counted when they are launched.
///
/// The sweep's row notes that deadlines have changed, so that the reaper looks at its instances again.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn change(
    sweep: &SweepId,
    members: Vec<(MemberRow, u64)>,
    now: u64,
) -> Result<Vec<Vec<Write>>, LedgerError> {
    let mut transactions = Vec::new();
    let with_instance: Vec<_> = members
        .into_iter()
        .filter_map(|(member, deadline)| Some((member.instance.clone()?, member, deadline)))
        .collect();
    for chunk in with_instance.chunks(MEMBERS_MAX) {
        let mut writes = Vec::with_capacity(2 * chunk.len() + 1);
        for (instance, member, deadline) in chunk {
            let mut member = member.clone();
            member.ttl_deadline = Some(*deadline);
            writes.push(member.replace()?);
            writes.push(tell_instance(instance, *deadline));
        }
        writes.push(Write::Update {
            key: sweep_key(sweep),
            set: vec![(path(&["deadlines_changed_at"]), Value::from(now))],
            remove: Vec::new(),
            add: Vec::new(),
            when: Vec::new(),
        });
        transactions.push(writes);
    }
    Ok(transactions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(index: u32) -> MemberRow {
        let instance = format!("arn:aws:ec2:us-east-1:000000000000:instance/i-{index}");
        MemberRow {
            instance: Some(instance.parse().unwrap()),
            ttl_deadline: Some(10_000),
            ..MemberRow::planned(
                SweepId::from("s"),
                1,
                index,
                "us-east-1.spot".parse().unwrap(),
            )
        }
    }

    #[test]
    fn time_stands_still_during_a_pause() {
        let mut member = member(0);
        assert_eq!(left(&member, 4_000), Some(6_000));
        member.paused_at = Some(4_000);
        assert_eq!(left(&member, 9_000), Some(6_000));
        let deadline = after_pause(10_000, 4_000, 9_000);
        assert_eq!(deadline, 15_000);
        member.paused_at = None;
        member.ttl_deadline = Some(deadline);
        assert_eq!(left(&member, 9_000), Some(6_000));
    }

    #[test]
    fn both_rows_of_a_member_move_in_one_transaction() {
        let members = (0..120).map(|index| (member(index), 20_000)).collect();
        let transactions = change(&SweepId::from("s"), members, 1).unwrap();
        assert_eq!(transactions.len(), 3);
        for writes in &transactions {
            assert!(writes.len() <= TRANSACTION_ITEMS_MAX);
            assert_eq!(writes.len() % 2, 1);
        }
    }

    #[test]
    fn a_member_that_was_never_launched_keeps_its_time_for_its_launch() {
        let mut planned = member(0);
        planned.instance = None;
        let transactions = change(&SweepId::from("s"), vec![(planned, 20_000)], 1).unwrap();
        assert!(transactions.is_empty());
    }
}
