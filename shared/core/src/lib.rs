//! The domain of spawn: what a sweep is and what should happen to it. No AWS crate, no I/O, no clock.
pub mod document;
