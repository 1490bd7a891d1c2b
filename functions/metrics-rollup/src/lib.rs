//! metrics-rollup: notes what the ledger's stream tells of sweeps, sends it to CloudWatch once a minute, and counts everything
//! again once an hour.
//!
//! Safe to run twice at once, to be killed anywhere and to be run again: see [`spawn_core::rollup`] for the protocol.

mod count;
mod publish;
mod stream;

use serde::Serialize;
use spawn_core::metrics::Measured;

pub use count::count;
pub use publish::publish;
pub use stream::note;

/// What the handler needs of the outside.
pub struct Ports<'a, L, M> {
    /// The ledger.
    pub ledger: &'a L,
    /// CloudWatch.
    pub metrics: &'a M,
}

/// What a scheduled call did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Live sweeps.
    pub sweeps: usize,
    /// Numbers sent to CloudWatch.
    pub sent: usize,
    /// Sweeps whose counts are not those of their members.
    pub disagreements: usize,
    /// Why less was done than is usual, in words.
    pub note: Option<&'static str>,
    /// What is to be logged as metrics.
    #[serde(skip)]
    pub measured: Measured,
}
