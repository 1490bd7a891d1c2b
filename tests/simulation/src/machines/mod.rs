//! The state machines, without their interpreter: the order of their states, as code; their waits, retries and time limits,
//! read from `statemachines/*.asl.json`, so that they cannot differ.

mod asl;
mod drain;
mod lane;
mod sweep;
mod task;

pub(crate) use drain::drain;
pub(crate) use sweep::sweep;
