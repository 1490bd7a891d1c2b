//! What instances cost: bills by EC2's rules, and what is committed before an instance runs.
//!
//! Amounts are whole micro-dollars. Each part of a bill (instance, volume, public address) is summed exactly and rounded up
//! to a micro-dollar once, at its end; a total is the sum of its parts, so nothing is lost or counted twice between them.

mod bill;
mod commitment;
mod exact;
mod history;
mod text;

pub use bill::{Bill, BillError, Line, Rule, bill};
pub use commitment::{Commitment, commitment};
pub use history::{EndedBy, History, PriceFrom, Run, Volume};
