#![doc = include_str!("../README.md")]

mod actions;
mod catalogue;
mod clock;
mod config;
mod events;
mod faults;
mod filter;
mod gateway;
mod hollow;
mod ids;
mod lifecycle;
mod limits;
mod model;
mod peaks;
mod process;
mod server;
mod sim;
mod wire;
mod world;
#[cfg(test)]
mod world_tests;

pub use config::{ConfigError, HELP, Mode, Settings};
pub use process::{ShimError, run_shim};
pub use sim::{Simulator, StartError};
