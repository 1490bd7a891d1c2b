//! Controls of the same member: what a control has asked EC2 for already, and which later ones go before it.
//!
//! Two controls that want the opposite would undo each other's work at every look, for as long as both look on. So the one that
//! was asked for last holds: an earlier one that still waits ends when it sees it. And EC2 is asked once for each instance of a
//! control: what it was asked for stands in a row.

use serde::{Deserialize, Serialize};

use super::act::{Decision, Step};
use super::name::Control;
use super::outcome::{Group, Outcome};
use super::record::{ControlRow, control_key};
use crate::account::Place;
use crate::ids::{ClientToken, SweepId};
use crate::ledger::{Key, Ledger, LedgerError, Stored};
use crate::ranges::Indices;
use crate::rows::{sweep_pk, versioned};

/// The controls of a sweep that were asked for after another one, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Later(Vec<ControlRow>);

impl Later {
    /// Those after the control of the execution that started at `at` (ms since 1970). Of two that started in the same
    /// millisecond one is the later, the same for whoever asks.
    ///
    /// # Errors
    /// When the ledger does not answer. Repeatable.
    pub async fn than(
        ledger: &impl Ledger,
        sweep: &SweepId,
        at: u64,
        execution_arn: &str,
    ) -> Result<Self, LedgerError> {
        let mut later = Vec::new();
        let mut from = Some(control_key(sweep, at, execution_arn));
        while from.is_some() {
            let page = ledger.query(&sweep_pk(sweep), "CONTROL#", from).await?;
            for row in page.rows {
                later.push(ControlRow::from_row(row)?);
            }
            from = page.next;
        }
        Ok(Self(later))
    }

    /// The last one that goes before `control` for a member.
    #[must_use]
    pub fn over(&self, control: Control, index: u32) -> Option<Control> {
        let is_of = |row: &&ControlRow| match &row.members {
            None => true,
            Some(members) => members.contains(index),
        };
        let rows = self.0.iter().rev().filter(is_of);
        rows.map(|row| row.control)
            .find(|later| goes_before(*later, control))
    }

    /// The last one that goes before `control` for the whole sweep.
    #[must_use]
    pub fn over_sweep(&self, control: Control) -> Option<&ControlRow> {
        let is_whole = |row: &&ControlRow| row.members.is_none();
        let mut rows = self.0.iter().rev().filter(is_whole);
        rows.find(|row| goes_before(row.control, control))
    }

    /// The last one that stops or starts the whole sweep.
    #[must_use]
    pub fn last_hold(&self) -> Option<&ControlRow> {
        let holds = |row: &&ControlRow| {
            row.members.is_none() && matches!(row.control, Control::Stop | Control::Start)
        };
        self.0.iter().rev().find(holds)
    }
}

/// Whether a later control ends an earlier one of the same member that still waits. What ends an instance cannot be undone by
/// stopping or starting it.
fn goes_before(later: Control, earlier: Control) -> bool {
    use Control::{Cancel, Replace, Start, Stop, Terminate};
    match earlier {
        Stop => matches!(later, Start | Terminate | Replace | Cancel),
        Start => matches!(later, Stop | Terminate | Replace | Cancel),
        Replace => matches!(later, Terminate | Cancel),
        Terminate => later == Replace,
        Cancel | Control::Extend | Control::Resume | Control::Status => false,
    }
}

/// What EC2 was asked for in one place by an execution (`SWEEP#id` / `CALLED#execution#place`). Written by the function
/// `control` when EC2 has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The execution.
    pub execution_arn: String,
    /// The place.
    pub place: String,
    /// The members with whose instances EC2 does it.
    pub members: Indices,
    /// Those with whose instances it does not, with its words.
    pub refused: Vec<Group>,
    /// When it was asked last, in ms since 1970.
    pub at: u64,
    /// Counts the changes.
    pub version: u64,
}

/// The key of what an execution has asked EC2 for in a place.
#[must_use]
pub fn called_key(sweep: &SweepId, execution_arn: &str, place: &Place) -> Key {
    key_of(sweep, execution_arn, &place.to_string())
}

fn key_of(sweep: &SweepId, execution_arn: &str, place: &str) -> Key {
    let token = ClientToken::of(&[execution_arn]);
    let sk = format!("CALLED#{}#{place}", &token.as_str()[..12]);
    Key::new(sweep_pk(sweep), sk)
}

impl Stored for CalledRow {
    fn key(&self) -> Key {
        key_of(&self.sweep_id, &self.execution_arn, &self.place)
    }
}
versioned!(CalledRow);

impl CalledRow {
    /// That nothing was asked for yet.
    #[must_use]
    pub fn new(sweep_id: SweepId, execution_arn: &str, place: &Place) -> Self {
        Self {
            sweep_id,
            execution_arn: execution_arn.to_owned(),
            place: place.to_string(),
            members: Indices::default(),
            refused: Vec::new(),
            at: 0,
            version: 0,
        }
    }

    /// What EC2 refused of a member.
    #[must_use]
    pub fn refusal(&self, index: u32) -> Option<&Group> {
        self.refused.iter().find(|one| one.members.contains(index))
    }

    /// The decision about a member after EC2 was asked: it is asked once. Only an end is asked for again, should EC2 have lost
    /// it: nothing undoes one.
    #[must_use]
    pub fn once(&self, control: Control, index: u32, decision: Decision, now: u64) -> Decision {
        if decision.step != Step::Call || !self.members.contains(index) {
            return decision;
        }
        let waits = Decision {
            step: Step::Wait,
            ..decision
        };
        if now.saturating_sub(self.at) < BEHIND_MS {
            return waits;
        }
        match control {
            Control::Stop | Control::Start => Decision {
                step: Step::Done,
                outcome: Outcome::Undone,
            },
            _ => decision,
        }
    }
}

/// How far EC2's answers may be behind, in ms: an instance that it shows after that as if it had not been asked is in that state
/// because of somebody else.
const BEHIND_MS: u64 = 120_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opposite_goes_before_and_an_end_before_both() {
        use Control::{Cancel, Extend, Replace, Start, Stop, Terminate};
        for (earlier, later, is_over) in [
            (Stop, Start, true),
            (Start, Stop, true),
            (Stop, Stop, false),
            (Stop, Terminate, true),
            (Start, Cancel, true),
            (Terminate, Start, false),
            (Terminate, Replace, true),
            (Replace, Terminate, true),
            (Replace, Stop, false),
            (Extend, Cancel, false),
            (Stop, Extend, false),
        ] {
            assert_eq!(goes_before(later, earlier), is_over, "{earlier} {later}");
        }
    }

    #[test]
    fn ec2_is_asked_once_except_for_an_end_that_it_may_have_lost() {
        let place = "us-east-1.spot".parse::<crate::ids::LaneId>().unwrap();
        let mut row = CalledRow::new(SweepId::from("s"), "arn", &place.place());
        row.at = 1_000;
        row.members = [1].into_iter().collect();
        let call = Decision {
            step: Step::Call,
            outcome: Outcome::Stopping,
        };
        let step = |control, index, now| row.once(control, index, call, now).step;
        assert_eq!(step(Control::Stop, 0, 2_000), Step::Call);
        assert_eq!(step(Control::Stop, 1, 2_000), Step::Wait);
        assert_eq!(step(Control::Terminate, 1, 2_000), Step::Wait);
        assert_eq!(step(Control::Terminate, 1, 121_000), Step::Call);
        let undone = row.once(Control::Start, 1, call, 121_000);
        assert_eq!(undone.outcome, Outcome::Undone);
    }
}
