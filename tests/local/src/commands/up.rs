//! `local up`: a stack until Ctrl-C.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{DONE, FAILED};
use crate::cli::{Instances, Up};
use crate::error::{Error, Result};
use crate::narrator::Narrator;
use crate::show::{Printed, Style};
use crate::simulator::Mode;
use crate::stack::{Stack, StackOptions, environment};
use crate::state_file::{self, StackState};
use crate::workspace::Workspace;
use crate::{port, signals};

/// How often the foreground looks whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Starts a stack and stays, or leaves it to a process in the background.
pub fn run(up: &Up, style: Style) -> Result<u8> {
    if up.detach {
        return detach(up, style);
    }
    let narrator = Printed::new(style);
    let started = Instant::now();
    let mut stack = Stack::start_narrated(&options(up), &narrator)?;
    narrator.summary(started.elapsed());
    println!("{}", welcome(stack.state(), style));
    println!("\nCtrl-C stops it.");
    while !signals::asked_to_stop() {
        stack.check()?;
        std::thread::sleep(LOOK_EVERY);
    }
    println!("\nstopping");
    stack.stop();
    Ok(DONE)
}

fn options(up: &Up) -> StackOptions {
    StackOptions {
        port: (up.port != 0).then_some(up.port),
        sim_arguments: up.sim_arguments.clone(),
        parameters: up.parameters.clone(),
        ..up.instances.options()
    }
}

impl Instances {
    /// What it says about a stack.
    fn options(&self) -> StackOptions {
        let usual = StackOptions::default();
        StackOptions {
            mode: if self.hollow {
                Mode::Hollow
            } else {
                Mode::Process
            },
            processes: self.processes.map_or(usual.processes, usize::from),
            hollow_after: Duration::from_millis(self.hollow_after),
            ..usual
        }
    }
}

/// Starts `local up` in a process group of its own, and returns when its stack is up.
fn detach(up: &Up, style: Style) -> Result<u8> {
    let local = Workspace::find()?.local();
    fs::create_dir_all(&local).map_err(Error::io("make", &local))?;
    let port = if up.port == 0 { port::free()? } else { up.port };
    let log_path = local.join(format!("up-{port}.log"));
    let log = File::create(&log_path).map_err(Error::io("create", &log_path))?;
    let errors = log.try_clone().map_err(Error::io("open", &log_path))?;
    let program = std::env::current_exe().map_err(|source| Error::Io {
        doing: "find this program".into(),
        source,
    })?;
    let mut command = Command::new(program);
    command.args(foreground_words(up, port));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|source| Error::Io {
            doing: "start a process in the background".into(),
            source,
        })?;

    let narrator = Printed::new(style);
    let started = Instant::now();
    narrator.begins("stack");
    loop {
        if let Some(state) = state_file::running(&local)?
            .into_iter()
            .find(|state| state.port == port)
        {
            narrator.ends("stack", started.elapsed());
            println!("{}", welcome(&state, style));
            println!(
                "\nIt runs in the background: `cargo local down` stops it. Log: {}",
                log_path.display()
            );
            return Ok(DONE);
        }
        if !matches!(child.try_wait(), Ok(None)) {
            eprintln!(
                "\n{}",
                fs::read_to_string(&log_path).unwrap_or_default().trim_end()
            );
            return Ok(FAILED);
        }
        signals::go_on()?;
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The command line of the same stack in the foreground.
fn foreground_words(up: &Up, port: u16) -> Vec<String> {
    let mut words = vec!["up".to_owned(), format!("--port={port}")];
    if up.instances.hollow {
        words.push("--hollow".into());
    }
    words.extend(
        up.instances
            .processes
            .map(|processes| format!("--processes={processes}")),
    );
    words.push(format!("--hollow-after={}", up.instances.hollow_after));
    words.extend(up.sim_arguments.iter().map(|word| format!("--sim={word}")));
    words.extend(
        up.parameters
            .iter()
            .map(|(name, value)| format!("--parameter={name}={value}")),
    );
    words
}

fn welcome(state: &StackState, style: Style) -> String {
    let exports: Vec<String> = environment(&state.endpoint)
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!(
        "\n{ready} {endpoint} answers for every AWS service, EC2 included ({mode}).\n\n\
         {export}\n  export {exports}\n\n\
         {attempt}\n  cargo local sweep examples/hyperparameter-sweep/sweep.yaml\n  \
         aws stepfunctions list-executions --state-machine-arn arn:aws:states:{region}:{account}:stateMachine:spawn-sweep\n  \
         aws ec2 describe-instances --filters Name=tag:spawn:managed,Values=true\n\n\
         {here}\n  live     {endpoint}/_spawn in a browser\n  AWS CLI  {cli}\n  logs     {folder}, `cargo local logs`",
        ready = style.good("ready:"),
        endpoint = style.strong(&state.endpoint),
        mode = if state.mode == "hollow" {
            "hollow: no member runs a process"
        } else {
            "members run as local processes"
        },
        export = style.dim("for the AWS CLI and every SDK:"),
        exports = exports.join(" "),
        attempt = style.dim("to try:"),
        region = crate::HOME_REGION,
        account = crate::ACCOUNT,
        here = style.dim("here:"),
        cli = state
            .folder
            .with_file_name("venv")
            .join("bin/aws")
            .display(),
        folder = state.folder.display(),
    )
}
