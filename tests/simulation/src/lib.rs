//! The outside world in memory: a ledger, an EC2 and the executions that wait, with deaths at chosen calls. The handlers of
//! the functions run on it unchanged.
//!
//! With the feature `control-plane` all of them run together, on virtual time and with faults that a seed chooses:
//! `cargo run -p simulation -- --help`.

mod clock;
mod cloud;
mod faults;
mod ledger;
mod objects;
mod offers;
mod prices;
mod route53;
mod rows;
mod virtual_time;
mod watched;
mod world;

#[cfg(feature = "control-plane")]
pub mod bench;
#[cfg(feature = "control-plane")]
pub mod ec2;
#[cfg(feature = "control-plane")]
pub mod engine;
#[cfg(feature = "control-plane")]
pub mod explore;
#[cfg(feature = "control-plane")]
mod machines;
#[cfg(feature = "control-plane")]
pub mod plane;
#[cfg(feature = "control-plane")]
pub mod report;
#[cfg(feature = "control-plane")]
pub mod scenario;

pub use clock::VirtualClock;
pub use cloud::Cloud;
pub use faults::{Death, Faults, When};
pub use ledger::MemoryLedger;
pub use objects::MemoryObjects;
pub use offers::Offers;
pub use prices::PriceLists;
pub use route53::{Asked, Route53, Verb, ZoneFault};
pub use virtual_time::VirtualTime;
pub use world::{COMMITMENT, Executions, World, lane, sweep};

/// When a run on virtual time begins: 2026-01-01T00:00:00Z, in ms since 1970.
#[cfg(feature = "control-plane")]
pub(crate) const START_MS: u64 = 1_767_225_600_000;
