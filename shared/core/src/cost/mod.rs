//! What instances cost: bills by EC2's rules, what is committed before an instance runs, and what sweeps have cost.
//!
//! Amounts are whole micro-dollars. Each part of a bill (instance, volume, public address) is summed exactly and rounded up
//! to a micro-dollar once, at its end; a total is the sum of its parts, so nothing is lost or counted twice between them.

mod bill;
mod commitment;
mod exact;
mod guard;
mod history;
mod report;
mod settlement;
mod size;
mod spent;
mod text;

pub(crate) use bill::BILLED_MS_MIN;
pub use bill::{Bill, BillError, Line, Rule, bill};
pub use commitment::{Commitment, commitment};
pub use guard::{Assessment, Decision, LEVELS, assess, decide, message, share_words};
pub use history::{EndedBy, History, PriceFrom, Run, Volume};
pub use report::{BillLine, Billed, Report, explain};
pub use settlement::{Changes, Settlement, changes_of, settle};
pub use size::{Bound, Utilisation, apart, bound, candidates, questions, unmeasured};
#[cfg(test)]
pub(crate) use spent::tests::spent as sample;
pub use spent::{News, Release, Spent, entry_of, note, note_former, note_public_ip};
