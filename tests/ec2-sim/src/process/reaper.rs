//! Signals to process groups, and finding strays by their environment.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// In the environment of every process of a run.
pub(super) const RUN_VARIABLE: &str = "EC2_SIM_RUN";
/// In the environment of every process of an instance.
pub(super) const INSTANCE_VARIABLE: &str = "EC2_SIM_INSTANCE";

/// Passes over /proc at most: a process may fork while it is looked for.
const PASSES_MAX: usize = 20;

/// Signals a process group; one that is gone is no error.
pub(super) fn signal_group(group: i32, signal: Signal) {
    // 0 and 1 would mean our own group and everybody.
    if let Some(group) = Pid::from_raw(group).filter(|_| group > 1) {
        let _gone = kill_process_group(group, signal);
    }
}

/// Entries of an environment by which processes are known.
#[derive(Debug)]
pub(super) struct Mark(Vec<Vec<u8>>);

impl Mark {
    /// All processes of a run.
    pub(super) fn run(run: &str) -> Self {
        Self(vec![format!("{RUN_VARIABLE}={run}").into_bytes()])
    }

    /// The processes of one instance.
    pub(super) fn instance(run: &str, instance_id: &str) -> Self {
        let mut mark = Self::run(run);
        mark.0
            .push(format!("{INSTANCE_VARIABLE}={instance_id}").into_bytes());
        mark
    }

    /// Processes that carry the mark. Empty where there is no /proc: there the group is all that can be had.
    fn find(&self) -> Vec<Pid> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| {
                let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
                let carries = |wanted: &Vec<u8>| {
                    environment
                        .split(|byte| *byte == 0)
                        .any(|entry| entry == wanted)
                };
                self.0
                    .iter()
                    .all(carries)
                    .then(|| Pid::from_raw(pid))
                    .flatten()
            })
            .collect()
    }

    /// Signals all of them once.
    pub(super) fn signal(&self, signal: Signal) {
        for pid in self.find() {
            let _gone = kill_process(pid, signal);
        }
    }

    /// Kills all of them, and what they have started meanwhile.
    pub(super) fn kill(&self) {
        for _ in 0..PASSES_MAX {
            let found = self.find();
            if found.is_empty() {
                return;
            }
            for pid in found {
                let _gone = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}
