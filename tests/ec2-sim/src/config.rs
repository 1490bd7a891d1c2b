//! Settings of a simulator and the command line that gives them.

use std::path::PathBuf;

use lexopt::ValueExt as _;
use thiserror::Error;

/// What a running instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It runs its user data as a local process.
    Process,
    /// No process; the simulator reports each member completed after a while.
    Hollow,
    /// Nothing: it runs until it is ended.
    Idle,
}

/// Settings of a simulator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Base URL of the gateway that takes PutEvents and DynamoDB calls; None sends nothing.
    pub gateway: Option<String>,
    /// Source of the state-change events.
    pub event_source: String,
    /// Region of the bus and the table, and of callers that name none.
    pub home_region: String,
    /// What a running instance does.
    pub mode: Mode,
    /// Processes at a time, in process mode.
    pub processes: usize,
    /// From the appearance of a member's ledger row to its report, in hollow mode.
    pub hollow_after_ms: u64,
    /// Where instances have their directories.
    pub work_dir: PathBuf,
    /// Directories put in front of PATH for instances.
    pub path_prepend: Option<String>,
    /// Further variables of instances' environment.
    pub environment: Vec<(String, String)>,
    /// Ledger table, for hollow mode.
    pub table: String,
    /// From pending to running.
    pub pending_ms: u64,
    /// From shutting-down to terminated, and from stopping to stopped.
    pub shutdown_ms: u64,
    /// How long a launching call takes to answer; it takes effect at once.
    pub launch_ms: u64,
    /// How old the view of describe calls is (eventual consistency).
    pub describe_lag_ms: u64,
    /// How much faster shutdown timers and spot notices run.
    pub time_scale: u32,
    /// Whether the token buckets throttle.
    pub throttling: bool,
    /// How long terminated instances stay visible.
    pub terminated_visible_s: u64,
    /// Accept security groups, subnets and key pairs that do not exist (a subnet then lies in a zone chosen by its id).
    pub any_network: bool,
    /// Program that answers `shim ...`; usually the simulator itself.
    pub shim_program: Option<PathBuf>,
    /// Seed of ids and probabilities; None takes the time.
    pub seed: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            gateway: None,
            event_source: "spawn.ec2-sim".to_owned(),
            home_region: "us-east-1".to_owned(),
            mode: Mode::Idle,
            processes: 4,
            hollow_after_ms: 3_000,
            work_dir: std::env::temp_dir().join("ec2-sim"),
            path_prepend: None,
            environment: Vec::new(),
            table: "spawn-sweeps".to_owned(),
            pending_ms: 500,
            shutdown_ms: 300,
            launch_ms: 200,
            describe_lag_ms: 0,
            time_scale: 1,
            throttling: true,
            // "Terminated instances remain visible after termination (for approximately one hour)": API TerminateInstances.
            terminated_visible_s: 3_600,
            any_network: false,
            shim_program: None,
            seed: None,
        }
    }
}

/// What `--help` prints.
pub const HELP: &str = "\
ec2-sim: a simulator of the EC2 Query API on 127.0.0.1

  --port N              port, 0 = a free one (0)
  --gateway URL         where PutEvents and DynamoDB calls go; `none` sends nothing (none)
  --event-source TEXT   source of EC2's events (spawn.ec2-sim)
  --home-region NAME    region of the event bus, the table, and of callers that name none (us-east-1)
  --mode MODE           process | hollow | idle (idle)
  --processes N         process mode: processes at a time (4)
  --path-prepend DIRS   process mode: put in front of PATH
  --environment N=V     process mode: a further variable for instances; may be given several times
  --work-dir DIR        process mode: instances' directories (a folder in the temporary directory)
  --hollow-after-ms N   hollow mode: from a member's row to its report (3000)
  --table NAME          hollow mode: ledger table (spawn-sweeps)
  --pending-ms N        from pending to running (500)
  --shutdown-ms N       from shutting-down to terminated, stopping to stopped (300)
  --launch-ms N         how long a launching call takes to answer (200)
  --describe-lag-ms N   how old the view of describe calls is (0)
  --time-scale N        shutdown timers and spot notices run N times faster (1)
  --terminated-visible-s N  how long terminated instances are shown (3600)
  --no-throttling       token buckets never refuse
  --any-network         accept security groups, subnets and key pairs that do not exist
  --seed N              seed of ids and probabilities (the time)

The control API is under /_sim/, see README.md.";

/// A command line that cannot be followed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Not an option, or a value that does not parse.
    #[error("command line not understood")]
    Arguments(#[from] lexopt::Error),
    /// A value outside what is allowed.
    #[error("{option} must be {wanted}, not `{value}`")]
    Value {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is accepted.
        wanted: &'static str,
    },
}

impl Settings {
    /// Reads a command line without the program's name. `Ok(None)` means that help was asked for.
    pub fn parse(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Option<Self>, ConfigError> {
        use lexopt::Arg::{Long, Short};
        let mut settings = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("help") | Short('h') => return Ok(None),
                Long("port") => settings.port = parser.value()?.parse()?,
                Long("gateway") => {
                    let url = parser.value()?.string()?;
                    if url != "none" && !url.starts_with("http://") {
                        return Err(ConfigError::Value {
                            option: "--gateway",
                            value: url,
                            wanted: "a http:// address or `none`",
                        });
                    }
                    settings.gateway =
                        (url != "none").then(|| url.trim_end_matches('/').to_owned());
                }
                Long("event-source") => settings.event_source = parser.value()?.string()?,
                Long("home-region") => {
                    let name = parser.value()?.string()?;
                    if crate::catalogue::region(&name).is_none() {
                        return Err(ConfigError::Value {
                            option: "--home-region",
                            value: name,
                            wanted: "an AWS region",
                        });
                    }
                    settings.home_region = name;
                }
                Long("mode") => {
                    let mode = parser.value()?.string()?;
                    settings.mode = match mode.as_str() {
                        "process" => Mode::Process,
                        "hollow" => Mode::Hollow,
                        "idle" => Mode::Idle,
                        _ => {
                            return Err(ConfigError::Value {
                                option: "--mode",
                                value: mode,
                                wanted: "process, hollow or idle",
                            });
                        }
                    };
                }
                Long("processes") => settings.processes = parser.value()?.parse()?,
                Long("path-prepend") => settings.path_prepend = Some(parser.value()?.string()?),
                Long("environment") => {
                    let pair = parser.value()?.string()?;
                    let Some((name, value)) = pair.split_once('=') else {
                        return Err(ConfigError::Value {
                            option: "--environment",
                            value: pair,
                            wanted: "NAME=VALUE",
                        });
                    };
                    settings
                        .environment
                        .push((name.to_owned(), value.to_owned()));
                }
                Long("work-dir") => settings.work_dir = parser.value()?.into(),
                Long("hollow-after-ms") => settings.hollow_after_ms = parser.value()?.parse()?,
                Long("table") => settings.table = parser.value()?.string()?,
                Long("pending-ms") => settings.pending_ms = parser.value()?.parse()?,
                Long("shutdown-ms") => settings.shutdown_ms = parser.value()?.parse()?,
                Long("launch-ms") => settings.launch_ms = parser.value()?.parse()?,
                Long("describe-lag-ms") => settings.describe_lag_ms = parser.value()?.parse()?,
                Long("time-scale") => settings.time_scale = parser.value()?.parse()?,
                Long("terminated-visible-s") => {
                    settings.terminated_visible_s = parser.value()?.parse()?
                }
                Long("no-throttling") => settings.throttling = false,
                Long("any-network") => settings.any_network = true,
                Long("seed") => settings.seed = Some(parser.value()?.parse()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if settings.processes == 0 || settings.time_scale == 0 {
            return Err(ConfigError::Value {
                option: if settings.processes == 0 {
                    "--processes"
                } else {
                    "--time-scale"
                },
                value: "0".to_owned(),
                wanted: "at least 1",
            });
        }
        Ok(Some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, Settings};

    fn parse(line: &str) -> Result<Option<Settings>, super::ConfigError> {
        Settings::parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn the_command_line_of_the_local_stack_is_read() {
        let settings = parse(
            "--port 0 --gateway http://127.0.0.1:4566/ --event-source spawn.ec2-sim --home-region us-east-1 --mode process \
             --processes 4 --hollow-after-ms 3000 --work-dir w --path-prepend p --table spawn-sweeps --pending-ms 500 \
             --shutdown-ms 300 --launch-ms 200",
        )
        .unwrap()
        .unwrap();
        assert_eq!(settings.gateway.as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!((settings.mode, settings.processes), (Mode::Process, 4));
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        assert_eq!(
            parse("--mode full").unwrap_err().to_string(),
            "--mode must be process, hollow or idle, not `full`"
        );
        assert!(parse("--prot 1").is_err());
        assert!(parse("--processes 0").is_err());
        assert!(parse("--help").unwrap().is_none());
    }
}
