//! Whole runs: what a seed makes of sweeps, limits and faults; and what must be true at the end.

mod after;
mod make;
mod run;

pub use make::{Scenario, Submission};
pub(crate) use run::tick;
pub use run::{Outcome, run, run_seed};
