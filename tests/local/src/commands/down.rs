//! `local down`: asks the process that holds a stack to stop it.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{DONE, FAILED};
use crate::cli::Which;
use crate::error::{Error, Result};
use crate::state_file;
use crate::workspace::Workspace;

/// Longer than every grace of a stack's programs together.
const LIMIT: Duration = Duration::from_secs(30);

/// Stops the stack and waits until it is gone.
pub fn run(which: &Which) -> Result<u8> {
    let state = which.find()?;
    let pid = i32::try_from(state.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Error::Unreadable {
            what: "the stack's state".into(),
            why: format!("{} is no process id", state.pid),
        })?;
    kill_process(pid, Signal::TERM).map_err(|error| Error::Io {
        doing: format!("signal process {}", state.pid),
        source: error.into(),
    })?;
    let local = Workspace::find()?.local();
    let started = Instant::now();
    while state_file::is_running(&local, state.port) {
        if started.elapsed() > LIMIT {
            eprintln!(
                "process {} did not stop its stack within {} s",
                state.pid,
                LIMIT.as_secs()
            );
            return Ok(FAILED);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!(
        "the stack on port {} has stopped; its logs: {}",
        state.port,
        state.folder.display()
    );
    Ok(DONE)
}
