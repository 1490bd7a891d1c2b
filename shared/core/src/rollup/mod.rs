//! From the ledger to CloudWatch: what live sweeps are doing, once a minute, and never twice.
//!
//! ```text
//! stream     a sweep's row changed: its totals are noted, unless newer ones are         ROLLUP / LIVE#sweep
//! pass       once a minute: the totals of all live sweeps, beside those of the pass before, are written down ...
//!   |          a death here: the next pass sends what this one would have sent
//! publish    ... and sent to CloudWatch, part by part, each noted
//!   |          a death here: the next pass asks CloudWatch whether the part that is not noted has arrived
//! full count once an hour: members are counted one by one, and the totals corrected
//! ```
//!
//! CloudWatch adds up whatever it is sent, so a number that is sent twice is wrong for ever; therefore totals are absolute, a
//! pass is numbered by its minute, and what it sends is the difference between two passes that are written down.

mod pass;
mod totals;

pub use pass::{DATA_MAX, Datum, PassRow, Scope, next_pass, pass_key};
pub use totals::{Numbers, RollupRow, Totals, ended_key, live_key, merge};

/// The partition of all live sweeps' totals.
pub const ROLLUP_PK: &str = "ROLLUP";
/// What the sort keys of live sweeps' totals begin with.
pub const LIVE_PREFIX: &str = "LIVE#";

#[cfg(test)]
mod tests;
