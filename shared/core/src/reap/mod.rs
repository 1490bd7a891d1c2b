//! Reaping: which instance is ended, stopped or kept, and why; and the end of an instance's time.

pub mod deadline;
mod reason;

pub use reason::{ReapReason, Reaping};
