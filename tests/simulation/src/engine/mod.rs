//! A deterministic executor on virtual time: one seed decides every delay and every order.

mod executor;
mod slot;

pub(crate) use executor::Simulator;
pub use executor::{Clock, Stop};
pub(crate) use slot::Slot;

/// Milliseconds of virtual time.
pub type Ms = u64;
