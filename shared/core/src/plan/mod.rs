//! Planning: from a checked document and what EC2 offers to the rows of the ledger.
//!
//! A plan leaves nothing to choose: which member goes to which lane, what it is launched with, what it runs. What it needs
//! to know of EC2 it asks as [`Questions`], and gets as [`Facts`].

mod budget;
mod distribute;
mod facts;
mod priced;
mod rows;
mod shapes;
mod summary;

pub use budget::{Fit, fit, worst_case};
pub use distribute::{Placement, place};
pub use facts::{Facts, Questions, RegionFacts, questions};
pub use rows::{Context, Plan, plan};
pub use summary::{member_summary, summary};
