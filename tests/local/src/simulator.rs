//! The simulator of EC2, `tests/ec2-sim`.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::agent;
use crate::error::Result;
use crate::supervised::Supervised;

/// It is up at once.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Seconds between two readings of a member's metrics, which are a minute on EC2: members here seldom live for two.
const METRICS_S: u32 = 5;

/// Time in which it may end its members in order.
const GRACE: Duration = Duration::from_secs(2);

/// What an instance is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Its boot script runs as a local process.
    Process,
    /// Nothing runs: a member reports success some time after it got its assignment.
    Hollow,
}

impl Mode {
    /// As the simulator's command line says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Hollow => "hollow",
        }
    }
}

/// How the simulator is to be run.
#[derive(Debug, Clone)]
pub struct Simulator<'a> {
    /// Its executable.
    pub program: &'a Path,
    /// The interpreter of the stack's environment, whose folder also holds the AWS CLI for members.
    pub python: &'a Path,
    /// Where logs and members' folders lie.
    pub folder: &'a Path,
    /// The port to listen on.
    pub port: u16,
    /// Where it sends events and reads assignments.
    pub gateway: &'a str,
    /// What instances are.
    pub mode: Mode,
    /// Members that run at a time.
    pub processes: usize,
    /// Time from assignment to report in hollow mode.
    pub hollow_after: Duration,
    /// Further words for its command line, such as shorter delays.
    pub arguments: &'a [String],
}

impl Simulator<'_> {
    /// Starts it and waits until it listens.
    pub fn start(&self) -> Result<Supervised> {
        let tools = agent::install(self.python, self.folder)?;
        let beside_python = self.python.parent().unwrap_or(self.folder);
        let words = [
            ("--port", self.port.to_string()),
            ("--gateway", self.gateway.to_owned()),
            ("--event-source", EVENT_SOURCE.to_owned()),
            ("--home-region", crate::HOME_REGION.to_owned()),
            ("--mode", self.mode.word().to_owned()),
            ("--processes", self.processes.to_string()),
            (
                "--hollow-after-ms",
                self.hollow_after.as_millis().to_string(),
            ),
            (
                "--work-dir",
                self.folder.join("instances").display().to_string(),
            ),
            (
                "--path-prepend",
                format!("{}:{}", tools.display(), beside_python.display()),
            ),
            ("--environment", format!("SPAWN_METRICS_S={METRICS_S}")),
            ("--table", crate::TABLE.to_owned()),
        ];
        let mut command = vec![self.program.display().to_string()];
        command.extend(
            words
                .into_iter()
                .flat_map(|(option, value)| [option.to_owned(), value]),
        );
        command.extend(self.arguments.iter().cloned());
        let mut simulator = Supervised::start("ec2-sim", self.python, self.folder, GRACE, command)?;
        simulator.wait_until(START_LIMIT, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
        })?;
        Ok(simulator)
    }
}

/// PutEvents refuses `aws.ec2`, as AWS's does, so the simulator's events have a source of their own.
pub(crate) const EVENT_SOURCE: &str = "spawn.ec2-sim";
