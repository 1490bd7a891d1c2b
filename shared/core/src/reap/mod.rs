//! Reaping: which instance is ended, stopped or kept, and why; and the end of an instance's time.
//!
//! ```text
//! EC2's list, rows of the ledger, CloudWatch's points -- Subject --> decide --> Decision { action, reason, next look }
//!                                                       all of a place --> breaker --> what this pass may do
//!                                                                         Looks  <-- when each is looked at next
//! ```

pub mod breaker;
pub mod deadline;
mod decide;
mod decision;
mod facts;
pub mod idle;
mod place;
mod reason;
mod watch;

#[cfg(test)]
mod tests;

pub use decide::{BOOT_GRACE_MS, LOOK_MS_MAX, MARK_GRACE_MS, WARNING_MS, decide};
pub use decision::{Action, Decision, Reason, Verdict};
pub use facts::{
    ATTEMPT_TAG, Claim, KEEP_ALIVE_TAG, KeptAlive, Known, MANAGED_TAG, ManagedInstance, ORPHAN_TAG,
    PROTECT_TAG, Record, SWEEP_TAG, Subject, SweepFacts, Usage, ZOMBIE_TAG, mark_tag,
};
pub use idle::{IdleRules, Point};
pub use place::{PlaceRow, Which, place_key, places};
pub use reason::{ReapReason, Reaping};
pub use watch::{Look, Looks, WATCH_PREFIX, WatchRow, watch_pk};
