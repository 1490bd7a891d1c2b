//! A guard that ends all instances when the simulator dies without a chance to do so itself.
//!
//! It is a shell that reads the process groups from a pipe. When the simulator goes, however it goes, the pipe ends, and
//! the guard kills what is left. No unsafe code and nothing specific to one system is needed for that.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::reaper::RUN_VARIABLE;

/// `$1` is the entry of the environment that marks this run's processes.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=' '
while read -r verb group; do
    case "$verb" in
        add) groups="$groups$group " ;;
        del)
            left=' '
            for one in $groups; do [ "$one" = "$group" ] || left="$left$one "; done
            groups=$left
            ;;
    esac
done
for group in $groups; do kill -9 -- "-$group" 2>/dev/null; done
for pass in 1 2 3; do
    found=
    for file in /proc/[0-9]*/environ; do
        [ -r "$file" ] || continue
        if tr '\000' '\n' <"$file" 2>/dev/null | grep -qxF "$1"; then
            pid=${file#/proc/}
            kill -9 "${pid%/environ}" 2>/dev/null && found=1
        fi
    done
    [ -n "$found" ] || break
done
"#;

/// The guard; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    pipe: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Watchdog {
    pub(super) fn start(run: &str) -> io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "ec2-sim-watchdog"])
            .arg(format!("{RUN_VARIABLE}={run}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            pipe: Mutex::new(child.stdin.take()),
            child: Mutex::new(child),
        })
    }

    pub(super) fn add(&self, group: i32) {
        self.write(&format!("add {group}\n"));
    }

    pub(super) fn remove(&self, group: i32) {
        self.write(&format!("del {group}\n"));
    }

    fn write(&self, line: &str) {
        if let Some(pipe) = self
            .pipe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            // Without the guard the simulator still ends its processes itself.
            let _gone = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(
            self.pipe
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        // It makes one last round and ends; waiting keeps it from outliving the simulator.
        let _status = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}
