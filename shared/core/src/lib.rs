//! The domain of spawn: what a sweep is and what should happen to it.
//!
//! No AWS crate, no I/O, no clock and no randomness of its own: facts, time and random numbers come in as values, decisions
//! and writes go out. What it needs of the outside stands in [`ports`] and [`ledger`] as traits.

pub mod account;
pub mod boot;
pub mod budget;
pub mod clock;
pub mod control;
pub mod cost;
pub mod distance;
pub mod dns;
pub mod document;
pub mod drain;
pub mod ending;
pub mod errors;
pub mod failure;
pub mod ids;
pub mod instance_metrics;
pub mod launch;
pub mod ledger;
pub mod lifecycle;
pub mod limits;
pub mod metrics;
pub mod money;
pub mod notify;
pub mod overdue;
pub mod page;
pub mod pattern;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod prices;
pub mod ranges;
pub mod reap;
pub mod region;
pub mod result_file;
pub mod retry;
pub mod rollup;
pub mod rows;
pub mod settle;
pub mod state;
pub mod stream;
pub mod track;
pub mod unlaunched;
