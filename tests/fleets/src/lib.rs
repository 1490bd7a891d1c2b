#![doc = include_str!("../README.md")]

mod build;
mod cloud;
mod fleet;
pub mod latency;
mod ledger;
pub mod safety;
pub mod watch_cost;

pub use cloud::{Calls, FleetCloud, Shown, Truth};
pub use fleet::Fleet;
pub use ledger::{CountingLedger, Units};

/// A minute in ms.
pub const MINUTE: u64 = 60 * 1000;
/// An hour in ms.
pub const HOUR: u64 = 60 * MINUTE;

/// The region of every fleet.
fn build_region() -> spawn_core::region::Region {
    simulation::lane(build::LANE).region
}
