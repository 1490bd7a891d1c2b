//! The outside world in memory: a ledger, an EC2 and the executions that wait, on virtual time, with deaths at chosen
//! calls. The handlers of the functions run on it unchanged.

mod cloud;
mod faults;
mod ledger;
mod objects;
mod offers;
mod world;

pub use cloud::Cloud;
pub use faults::{Death, Faults, When};
pub use ledger::MemoryLedger;
pub use objects::MemoryObjects;
pub use offers::Offers;
pub use world::{Executions, World, lane, sweep};
