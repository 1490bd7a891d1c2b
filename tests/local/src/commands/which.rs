//! Finds the stack that a command is about.

use crate::cli::Which;
use crate::error::{Error, Result};
use crate::state_file::{self, StackState};
use crate::workspace::Workspace;

/// The port of a stack that was started without a choice.
const USUAL_PORT: u16 = 4566;

impl Which {
    /// The running stack that is meant.
    pub(super) fn find(&self) -> Result<StackState> {
        let running = state_file::running(&Workspace::find()?.local())?;
        choose(running, self.port)
    }
}

fn choose(mut running: Vec<StackState>, port: Option<u16>) -> Result<StackState> {
    let missing = |what: String| Error::Missing {
        what,
        hint: "start one with `cargo local up`".into(),
    };
    let index = match (port, running.len()) {
        (Some(port), _) => running
            .iter()
            .position(|state| state.port == port)
            .ok_or_else(|| missing(format!("no stack is running on port {port}")))?,
        (None, 0) => return Err(missing("no stack is running".into())),
        (None, 1) => 0,
        (None, _) => running
            .iter()
            .position(|state| state.port == USUAL_PORT)
            .ok_or_else(|| {
                let ports: Vec<_> = running.iter().map(|state| state.port.to_string()).collect();
                Error::Usage(format!(
                    "several stacks are running: choose one with --port ({})",
                    ports.join(", ")
                ))
            })?,
    };
    Ok(running.swap_remove(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(port: u16) -> StackState {
        StackState {
            pid: 1,
            port,
            endpoint: String::new(),
            sim_endpoint: String::new(),
            mode: String::new(),
            folder: "/".into(),
            started_at: 0,
        }
    }

    #[test]
    fn the_only_stack_or_the_usual_one_is_meant() {
        let port = |running, port| choose(running, port).map(|state| state.port).ok();
        assert_eq!(port(vec![stack(5000)], None), Some(5000));
        assert_eq!(port(vec![stack(4566), stack(5000)], None), Some(4566));
        assert_eq!(port(vec![stack(4566), stack(5000)], Some(5000)), Some(5000));
        assert_eq!(port(vec![stack(4567), stack(5000)], None), None);
        assert_eq!(port(vec![stack(4566)], Some(5000)), None);
        assert_eq!(port(vec![], None), None);
    }
}
