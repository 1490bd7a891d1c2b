#![doc = include_str!("../README.md")]

mod agent;
pub mod aws;
pub mod binaries;
pub mod cli;
pub mod commands;
mod deploy;
pub mod error;
pub mod follow;
pub mod gateway;
pub mod narrator;
pub mod outcome;
pub mod port;
pub mod python;
pub mod results;
pub mod show;
pub mod signals;
pub mod simulator;
pub mod stack;
pub mod state_file;
pub mod submission;
pub mod supervised;
mod template;
pub mod workspace;
mod zip;

pub use error::{Error, Result};
pub use python::ensure_venv;
pub use simulator::Mode;
pub use stack::{Stack, StackOptions};

/// The account of every local stack.
pub const ACCOUNT: &str = "000000000000";

/// The region in which the system is deployed.
pub const HOME_REGION: &str = "us-east-1";

/// The name of the CloudFormation stack, and the prefix of what it creates.
pub const STACK: &str = "spawn";

/// The ledger.
pub const TABLE: &str = "spawn-sweeps";
