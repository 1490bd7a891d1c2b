//! Process mode: an instance's user data runs as a local process, in a directory and a process group of its own.
//!
//! Source: "Run commands when you launch an EC2 instance with user data input", EC2 user guide: user data that begins with
//! `#!` is run once, at the first boot.

mod boot;
mod machine;
mod meter;
mod reaper;
mod shim;
mod shutdown_command;
mod watchdog;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use crate::config::Settings;
use crate::ids::Random;
use crate::world::Boot;

pub use shim::{ShimError, run_shim};

use machine::{Command, run_machine};
use reaper::Mark;
use watchdog::Watchdog;

/// How long all processes may take to be gone when the simulator stops.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// The console of an instance.
pub(crate) fn console_path(work_dir: &Path, instance_id: &str) -> PathBuf {
    work_dir.join(instance_id).join("console.log")
}

/// What all machines share.
#[derive(Debug)]
struct Host {
    work_dir: PathBuf,
    url: String,
    gateway: Option<String>,
    path_prepend: Option<String>,
    environment: Vec<(String, String)>,
    shim_program: PathBuf,
    /// A name in the environment of every process of this run, by which strays are found.
    run: String,
    slots: Arc<Semaphore>,
    watchdog: Watchdog,
    /// Process groups that may be alive.
    groups: Mutex<HashMap<String, i32>>,
}

impl Host {
    fn groups(&self) -> MutexGuard<'_, HashMap<String, i32>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_group(&self, instance_id: &str, group: i32) {
        self.groups().insert(instance_id.to_owned(), group);
        self.watchdog.add(group);
    }

    fn remove_group(&self, instance_id: &str) {
        if let Some(group) = self.groups().remove(instance_id) {
            self.watchdog.remove(group);
        }
    }
}

/// All machines.
#[derive(Debug)]
pub(crate) struct Processes {
    host: Arc<Host>,
    machines: Mutex<HashMap<String, mpsc::UnboundedSender<Command>>>,
}

impl Processes {
    pub(crate) fn new(settings: &Settings, url: &str) -> io::Result<Self> {
        let shim_program = match &settings.shim_program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let run =
            Random::new(crate::clock::now_ms() ^ (u64::from(std::process::id()) << 32)).uuid();
        let host = Host {
            work_dir: settings.work_dir.clone(),
            url: url.to_owned(),
            gateway: settings.gateway.clone(),
            path_prepend: settings.path_prepend.clone(),
            environment: settings.environment.clone(),
            shim_program,
            watchdog: Watchdog::start(&run)?,
            run,
            slots: Arc::new(Semaphore::new(settings.processes)),
            groups: Mutex::new(HashMap::new()),
        };
        Ok(Self {
            host: Arc::new(host),
            machines: Mutex::new(HashMap::new()),
        })
    }

    fn machines(&self) -> MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<Command>>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boots an instance as soon as a slot is free; until then it is running and silent.
    pub(crate) fn boot(&self, boot: Boot) {
        let (commands, queue) = mpsc::unbounded_channel();
        self.machines().insert(boot.instance_id.clone(), commands);
        tokio::spawn(run_machine(Arc::clone(&self.host), boot, queue));
    }

    fn command(&self, instance_id: &str, command: Command) {
        let machines = self.machines();
        if let Some(commands) = machines.get(instance_id) {
            // A machine that has ended needs no command.
            let _ended = commands.send(command);
        }
    }

    /// Asks the operating system to end.
    pub(crate) fn stop(&self, instance_id: &str) {
        self.command(instance_id, Command::Terminate);
    }

    /// Ends everything of the instance.
    pub(crate) fn kill(&self, instance_id: &str) {
        self.command(instance_id, Command::Kill);
        self.machines().remove(instance_id);
    }

    /// Freezes the processes.
    pub(crate) fn freeze(&self, instance_id: &str) {
        self.command(instance_id, Command::Freeze);
    }

    /// Lets frozen processes go on.
    pub(crate) fn thaw(&self, instance_id: &str) {
        self.command(instance_id, Command::Thaw);
    }

    /// Ends all machines and waits until nothing of them is left.
    pub(crate) async fn end_all(&self) {
        let all: Vec<String> = self.machines().keys().cloned().collect();
        for instance_id in all {
            self.kill(&instance_id);
        }
        let gone = async {
            while !self.host.groups().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // What is left after the time is killed below all the same.
        let _timeout = tokio::time::timeout(END_TIMEOUT, gone).await;
        self.kill_all_now();
    }

    /// Kills whatever is left, without waiting.
    pub(crate) fn kill_all_now(&self) {
        for group in self.host.groups().values() {
            reaper::signal_group(*group, rustix::process::Signal::KILL);
        }
        Mark::run(&self.host.run).kill();
    }
}
