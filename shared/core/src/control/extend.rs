//! More time for members.
//!
//! An extension by a duration must happen once, however often it is asked for. So members are extended in blocks, each in one
//! transaction with a row that names the execution: whoever comes again finds the row.

use serde::{Deserialize, Serialize};

use super::input::Extension;
use super::outcome::{Group, Outcome};
use crate::ids::{ClientToken, SweepId};
use crate::ledger::{Key, Stored};
use crate::ranges::Indices;
use crate::rows::{MemberRow, sweep_pk, versioned};

/// Members of one block: a transaction holds 100 writes. Each member has two, and charges at most six periods of standing
/// budgets that no other one charges; the sweep and the block have one each.
const BLOCK_MEMBERS: u32 = 12;

/// The block of a member.
#[must_use]
pub fn extension_block(index: u32) -> u32 {
    index / BLOCK_MEMBERS
}

/// That the members of one block have been given more time by an execution (`SWEEP#id` / `EXTENDED#execution#block`). Created
/// by the function `control`, in the transaction that moves their deadlines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The execution that asked.
    pub execution_arn: String,
    /// The block of members, and its place.
    pub block: String,
    /// The members that got more time.
    pub members: Indices,
    /// Those that got none, though they could have had it: no budget had room.
    #[serde(default)]
    pub refused: Vec<Group>,
    /// Counts the changes.
    pub version: u64,
}

/// The key of a block that an execution has extended.
#[must_use]
pub fn extension_key(sweep: &SweepId, execution_arn: &str, block: &str) -> Key {
    let token = ClientToken::of(&[execution_arn]);
    let sk = format!("EXTENDED#{}#{block}", &token.as_str()[..12]);
    Key::new(sweep_pk(sweep), sk)
}

impl Stored for ExtendedRow {
    fn key(&self) -> Key {
        extension_key(&self.sweep_id, &self.execution_arn, &self.block)
    }
}
versioned!(ExtendedRow);

/// The new deadline of a member (ms since 1970), or why it keeps the old one.
///
/// # Errors
/// The outcome of a member that cannot be given more time.
pub fn extended(member: &MemberRow, extension: Extension) -> Result<u64, Outcome> {
    if member.state.is_ended() {
        return Err(Outcome::HadEnded);
    }
    if member.instance.is_none() {
        return Err(Outcome::NotLaunched);
    }
    let Some(deadline) = member.ttl_deadline else {
        return Err(Outcome::NoTtl);
    };
    match extension {
        Extension::By(seconds) => Ok(deadline.saturating_add(seconds * 1000)),
        Extension::Until(until) if until > deadline => Ok(until),
        Extension::Until(_) => Err(Outcome::HadMoreTime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemberState;

    #[test]
    fn members_that_run_get_more_time_and_others_are_told_why_not() {
        let running = MemberRow {
            state: MemberState::Running,
            instance: "arn:aws:ec2:us-east-1:000000000000:instance/i-1"
                .parse()
                .ok(),
            ttl_deadline: Some(10_000),
            ..MemberRow::planned(SweepId::from("s"), 1, 0, "us-east-1.spot".parse().unwrap())
        };
        assert_eq!(extended(&running, Extension::By(60)), Ok(70_000));
        assert_eq!(extended(&running, Extension::Until(15_000)), Ok(15_000));
        let refused = |change: fn(&mut MemberRow), extension| {
            let mut member = running.clone();
            change(&mut member);
            extended(&member, extension).unwrap_err()
        };
        assert_eq!(
            refused(|_| {}, Extension::Until(9_000)),
            Outcome::HadMoreTime
        );
        assert_eq!(
            refused(|m| m.ttl_deadline = None, Extension::By(60)),
            Outcome::NoTtl
        );
        assert_eq!(
            refused(|m| m.instance = None, Extension::By(60)),
            Outcome::NotLaunched
        );
        let end = |m: &mut MemberRow| m.state = MemberState::Completed;
        assert_eq!(refused(end, Extension::By(60)), Outcome::HadEnded);
    }
}
