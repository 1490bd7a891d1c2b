//! What members run.

use serde::{Deserialize, Serialize};

use super::sweep_pk;
use crate::ids::SweepId;
use crate::ledger::{Key, Stored};
use crate::reap::IdleRules;

/// What happens to the instance when its member is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnComplete {
    /// It is terminated.
    Terminate,
    /// It is stopped; its volumes stay.
    Stop,
    /// It is hibernated: stopped, with its memory kept on its root volume.
    Hibernate,
    /// It runs until something else ends it.
    None,
}

impl OnComplete {
    /// The name in documents and in assignments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Stop => "stop",
            Self::Hibernate => "hibernate",
            Self::None => "none",
        }
    }
}

/// What a member runs and for how long (`SWEEP#id` / `PROGRAM#0000`). Shared by the members whose settings are equal, so
/// that a sweep does not store its command once a member. Written by plan-sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// Its number.
    pub program: u32,
    /// A script that runs before the command.
    pub user_data: Option<String>,
    /// The command.
    pub command: Option<String>,
    /// Seconds from the launch after which the instance ends; `None`: never.
    pub ttl_s: Option<u64>,
    /// Seconds of idleness after which the instance is ended; `None`: never.
    pub idle_timeout_s: Option<u64>,
    /// Whether the instance is hibernated, rather than terminated, when it has been idle for so long.
    #[serde(default)]
    pub hibernate_on_idle: bool,
    /// What counts as idle.
    #[serde(default)]
    pub idle: IdleRules,
    /// What happens at the member's end.
    pub on_complete: OnComplete,
    /// A file whose appearance completes the member.
    pub completion_file: Option<String>,
    /// Seconds between that file and the end.
    pub completion_delay_s: u64,
    /// A shell command that saves what there is when EC2 takes the spot instance back.
    #[serde(default)]
    pub on_interruption: Option<String>,
    /// S3 URIs that are copied into the working directory.
    pub inputs: Vec<String>,
    /// The file, relative to the working directory, that holds the result.
    pub result_file: String,
}

/// The key of a program's row.
#[must_use]
pub fn program_key(sweep: &SweepId, program: u32) -> Key {
    Key::new(sweep_pk(sweep), format!("PROGRAM#{program:05}"))
}

impl Stored for ProgramRow {
    fn key(&self) -> Key {
        program_key(&self.sweep_id, self.program)
    }
}
