//! Planning: from a checked document and what EC2 offers to the rows of the ledger.
//!
//! ```text
//! document    classes      members that are launched alike
//!             candidates   the places that they may go to
//! questions   facts        types, zones, images, parameters, groups of each place
//!             options      what is launched where
//! questions   quotas       what each place has room for
//!             plan         a place and a shape for every member, as rows
//! ```
//! A plan leaves nothing to choose: which member goes to which lane, what it is launched with, what it runs. What it needs
//! to know of EC2 it asks as [`Questions`], and gets as [`Facts`] and [`QuotaFacts`].

mod budget;
mod candidates;
mod classes;
mod facts;
mod families;
mod hibernate;
mod lanes;
mod options;
mod place;
mod priced;
mod programs;
mod quota;
mod report;
mod rooms;
mod rows;
mod shapes;
mod standing;
mod summary;
mod types;

pub use budget::{Fit, fit, worst_case};
pub use candidates::{Candidates, LeftOut, asks_for_regions, candidates};
pub use classes::Classes;
pub use facts::{Facts, Questions, QuotaFacts, RegionFacts, missing_types, questions};
pub use families::{Families, Quota, quota_of};
pub use options::{Options, able, options};
pub use quota::Shortage;
pub(crate) use quota::raise_command;
pub use report::{RegionReport, Report, TypesReport};
pub use rows::{Context, Plan, plan};
pub use standing::{Share, note_standing};
pub use summary::{member_summary, summary};

#[cfg(test)]
mod tests;
