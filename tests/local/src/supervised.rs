//! A program of the stack, which never outlives it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Error, Result};

/// The program that sees to it. Compiled in, so that a test binary brings it along.
const SUPERVISOR: &str = include_str!("../supervisor.py");

/// Beyond a program's own grace: the time in which the supervisor kills what is left.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Lines of a log that are shown when its program ended.
const LINES_SHOWN: usize = 25;

/// A running program, in a process group of its own, under `supervisor.py`.
///
/// The supervisor watches a pipe whose other end is held here. It closes when this value is dropped, or when this
/// process ends in whatever way, SIGKILL included; then the program and all its descendants are ended.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    child: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
    stopped: bool,
}

impl Supervised {
    /// Starts a program that may take `grace` to end in order when asked to.
    ///
    /// Its output goes to `<folder>/<name>.log`. It sees nothing of the user's AWS settings and proxies.
    pub fn start<S: AsRef<OsStr>>(
        name: &str,
        python: &Path,
        folder: &Path,
        grace: Duration,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let supervisor = folder.join("supervisor.py");
        // Once for all programs of a folder: it must not be empty for a moment while another program's Python reads it.
        if fs::read_to_string(&supervisor).ok().as_deref() != Some(SUPERVISOR) {
            fs::write(&supervisor, SUPERVISOR).map_err(Error::io("write", &supervisor))?;
        }
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).map_err(Error::io("create", &log))?;
        let errors = output.try_clone().map_err(Error::io("open", &log))?;

        let mut supervised = Command::new(python);
        supervised
            .args(["-I", "-S"])
            .arg(&supervisor)
            .arg(grace.as_secs_f32().to_string())
            .args(command);
        for (variable, _) in std::env::vars_os() {
            if is_foreign(&variable.to_string_lossy()) {
                supervised.env_remove(variable);
            }
        }
        let mut child = supervised
            .current_dir(folder)
            // Small files of its own, all gone with the folder.
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C is for us: we stop the stack in order.
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Io {
                doing: format!("start {name}"),
                source,
            })?;
        let lifeline = child.stdin.take();
        Ok(Self {
            name: name.into(),
            child,
            lifeline,
            log,
            stopped: false,
        })
    }

    /// An error with the end of the log once the program has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Error::Program {
                program: self.name.clone(),
                what: format!("ended ({status}); its log is {}", self.log.display()),
                output: last_lines(&self.log),
            }),
            Err(source) => Err(Error::Io {
                doing: format!("look after {}", self.name),
                source,
            }),
        }
    }

    /// Waits until `ready` says so. An error when the program ends before, or takes too long.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        /// Short enough not to be felt in a start of a second.
        const PAUSE: Duration = Duration::from_millis(15);
        let started = Instant::now();
        while !ready() {
            self.check()?;
            crate::signals::go_on()?;
            if started.elapsed() > limit {
                return Err(Error::Program {
                    program: self.name.clone(),
                    what: format!(
                        "is not ready after {} s; its log is {}",
                        limit.as_secs(),
                        self.log.display()
                    ),
                    output: last_lines(&self.log),
                });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Asks it to end, without waiting.
    pub fn release(&mut self) {
        drop(self.lifeline.take());
    }

    /// Ends it and all it started. Returns when nothing of it is left.
    pub fn stop(&mut self) {
        self.release();
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let started = Instant::now();
        while started.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // The supervisor itself hangs. Its group holds at least itself.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may just have ended.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        drop(self.child.wait());
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Variables that would lead a program to another cloud, or through a proxy to this one.
fn is_foreign(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    upper.starts_with("AWS_")
        || matches!(upper.as_str(), "HTTP_PROXY" | "HTTPS_PROXY" | "ALL_PROXY" | "PYTHONHOME" | "PYTHONPATH")
        // MiniStack reads these; ours are set by the launcher.
        || ["MINISTACK_", "LOCALSTACK_", "SFN_", "LAMBDA_", "S3_"].iter().any(|prefix| upper.starts_with(prefix))
        || matches!(upper.as_str(), "SERVICES" | "AUTH" | "EDGE_PORT" | "LOG_LEVEL" | "USE_SSL")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_cloud_settings_stay_outside() {
        for variable in [
            "AWS_PROFILE",
            "AWS_ENDPOINT_URL_EC2",
            "https_proxy",
            "LAMBDA_EXECUTOR",
        ] {
            assert!(is_foreign(variable), "{variable}");
        }
        for variable in ["PATH", "HOME", "NO_PROXY", "LANG"] {
            assert!(!is_foreign(variable), "{variable}");
        }
    }
}
