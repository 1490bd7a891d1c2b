//! The whole stack: gateway, simulator, and the system deployed on them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::aws::Client;
use crate::deploy::Deployment;
use crate::error::{Error, Result};
use crate::narrator::{Narrator, Silent};
use crate::simulator::{Mode, Simulator};
use crate::state_file::{StackState, StateFile};
use crate::supervised::Supervised;
use crate::workspace::Workspace;
use crate::{binaries, gateway, port, python};

/// What kind of stack.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The gateway's port; any free one when there is none.
    pub port: Option<u16>,
    /// What instances are.
    pub mode: Mode,
    /// Members that run at a time in process mode.
    pub processes: usize,
    /// Time from assignment to report in hollow mode.
    pub hollow_after: Duration,
    /// Further words for the simulator's command line.
    pub sim_arguments: Vec<String>,
    /// Values of template parameters beside the usual ones.
    pub parameters: Vec<(String, String)>,
}

impl Default for StackOptions {
    /// A free port, members as processes, as many at a time as this machine has cores, at least two.
    fn default() -> Self {
        Self {
            port: None,
            mode: Mode::Process,
            processes: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .max(2),
            hollow_after: Duration::from_secs(3),
            sim_arguments: Vec::new(),
            parameters: Vec::new(),
        }
    }
}

/// A running stack. Dropping it stops everything, and so does the death of the process that holds it.
#[derive(Debug)]
pub struct Stack {
    // Fields are dropped in this order: the file that tells of the stack goes last.
    simulator: Supervised,
    gateway: Supervised,
    python: PathBuf,
    state: StackState,
    _state_file: StateFile,
    _venv_in_use: File,
}

impl Stack {
    /// Starts a stack and deploys the system on it.
    pub fn start(options: &StackOptions) -> Result<Self> {
        Self::start_narrated(options, &Silent)
    }

    /// As [`Stack::start`], and tells how far it is.
    pub fn start_narrated(options: &StackOptions, narrator: &dyn Narrator) -> Result<Self> {
        let workspace = Workspace::find()?;
        let local = workspace.local();
        let port = options.port.map_or_else(port::free, Ok)?;
        let state_file = StateFile::claim(&local, port)?;
        if !port::is_free(port) {
            return Err(Error::Missing {
                what: format!("port {port} of 127.0.0.1 is in use by another program"),
                hint: "stop it, or choose another port with `--port`".into(),
            });
        }
        if options.mode == Mode::Process {
            members_tools()?;
        }
        let sim_port = port::free()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let sim_endpoint = format!("http://127.0.0.1:{sim_port}");
        let folder = fresh_folder(&local, port)?;
        let python = python::ensure_venv_in(&workspace, narrator)?;
        let venv_in_use = python::use_venv(&workspace)?;
        crate::signals::go_on()?;

        // The gateway comes up while cargo looks at the sources.
        let mut gateway = gateway::start(&python, &folder, port, &sim_endpoint)?;
        let binaries = binaries::build(&workspace, narrator)?;

        let started = Instant::now();
        let step = "gateway";
        narrator.begins(step);
        let program = binaries.get("ec2-sim").ok_or_else(|| Error::Missing {
            what: "the workspace builds no program `ec2-sim`".into(),
            hint: "it belongs in tests/ec2-sim".into(),
        })?;
        let simulator = Simulator {
            program,
            python: &python,
            folder: &folder,
            port: sim_port,
            gateway: &endpoint,
            mode: options.mode,
            processes: options.processes,
            hollow_after: options.hollow_after,
            arguments: &options.sim_arguments,
        }
        .start()?;
        gateway::wait(&mut gateway, &endpoint)?;
        narrator.ends(step, started.elapsed());

        let started = Instant::now();
        let step = "deploy";
        narrator.begins(step);
        let deployment = Deployment {
            root: &workspace.root,
            binaries: &binaries,
            programs: folder.join("functions"),
            parameters: &options.parameters,
        };
        deployment.run(&Client::new(&endpoint))?;
        narrator.ends(step, started.elapsed());

        let state = StackState {
            pid: std::process::id(),
            port,
            endpoint,
            sim_endpoint,
            mode: options.mode.word().into(),
            folder,
            started_at: SystemTime::UNIX_EPOCH
                .elapsed()
                .unwrap_or_default()
                .as_secs(),
        };
        let mut stack = Self {
            simulator,
            gateway,
            python,
            state,
            _state_file: state_file,
            _venv_in_use: venv_in_use,
        };
        stack._state_file.publish(&stack.state)?;
        Ok(stack)
    }

    /// The address for every AWS client.
    pub fn endpoint(&self) -> &str {
        &self.state.endpoint
    }

    /// The simulator's own address, for its control API.
    pub fn sim_endpoint(&self) -> &str {
        &self.state.sim_endpoint
    }

    /// The interpreter of the stack's environment; the AWS CLI and pytest are beside it.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Where the logs of gateway and simulator lie.
    pub fn folder(&self) -> &Path {
        &self.state.folder
    }

    /// What other commands are told about it.
    pub fn state(&self) -> &StackState {
        &self.state
    }

    /// A client for it.
    pub fn client(&self) -> Client {
        Client::new(self.endpoint())
    }

    /// The variables that lead any AWS client to it.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        environment(self.endpoint())
    }

    /// An error when one of its programs has ended.
    pub fn check(&mut self) -> Result<()> {
        self.gateway.check()?;
        self.simulator.check()
    }

    /// Stops everything, and removes all but the logs.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Both at once: each takes a moment.
        self.gateway.release();
        self.simulator.release();
        self.simulator.stop();
        self.gateway.stop();
        for leftover in ["functions", "instances"] {
            drop(fs::remove_dir_all(self.state.folder.join(leftover)));
        }
    }
}

/// What the boot script of a member calls beside the AWS CLI, which the stack brings.
fn members_tools() -> Result<()> {
    const TOOLS: [&str; 5] = ["base64", "curl", "od", "realpath", "timeout"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&str| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let missing: Vec<&str> = TOOLS.into_iter().filter(|tool| !is_there(tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Missing {
        what: format!("members run as local processes, and PATH has no {}", missing.join(", ")),
        hint: "install them (on Debian and Ubuntu: `apt install curl coreutils`), or run no processes with `--hollow`".into(),
    })
}

/// The variables that lead any AWS client to a stack.
pub fn environment(endpoint: &str) -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", crate::HOME_REGION.to_owned()),
    ]
}

/// A stack's folder, without what an earlier one left.
fn fresh_folder(local: &Path, port: u16) -> Result<PathBuf> {
    let folder = local.join(format!("stack-{port}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
    Ok(folder)
}
