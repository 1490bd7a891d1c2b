//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The deployed system on one machine: every AWS API at one local endpoint, EC2 simulated, no Docker.
#[derive(Debug, Parser)]
#[command(
    name = "local",
    bin_name = "cargo local",
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts a stack, deploys the system on it, and stays until Ctrl-C.
    Up(Up),
    /// Stops a stack.
    Down(Which),
    /// Submits a sweep document, follows the sweep, and shows its results.
    Sweep(Sweep),
    /// Shows how the stack, a sweep or an instance stands.
    Status(Status),
    /// Lists all sweeps.
    List(Which),
    /// Shows what the functions logged.
    Logs(Logs),
    /// Runs the example sweep on a stack of its own, shows its results, and stops everything.
    Demo(Demo),
}

/// Which of several running stacks.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// The stack's port [default: the stack that runs, 4566 when several do]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// What instances are.
#[derive(Debug, Clone, Args)]
pub struct Instances {
    /// Run no processes: members report success after a while. For thousands of instances
    #[arg(long)]
    pub hollow: bool,
    /// How many members run at a time [default: one per core, at least 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub processes: Option<u16>,
    /// How long a hollow member seems to work
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    pub hollow_after: u64,
}

/// `local up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The port of the endpoint; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub port: u16,
    /// What instances are.
    #[command(flatten)]
    pub instances: Instances,
    /// Return when the stack is up; stop it with `cargo local down`
    #[arg(long)]
    pub detach: bool,
    /// Further words for ec2-sim, such as `--sim=--pending-ms=50`
    #[arg(long = "sim", value_name = "WORD", allow_hyphen_values = true)]
    pub sim_arguments: Vec<String>,
    /// A template parameter, such as `--parameter DefaultBudget="5 USD"`
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
}

/// `local sweep`.
#[derive(Debug, Args)]
pub struct Sweep {
    /// The sweep document; the files beside it are uploaded as inputs
    pub file: PathBuf,
    /// The execution's name [default: from the file's name and the time]
    #[arg(long, value_name = "EXECUTION")]
    pub name: Option<String>,
    /// Return as soon as it is submitted
    #[arg(long)]
    pub no_follow: bool,
    /// Stay until it has ended (the default)
    #[arg(long, conflicts_with = "no_follow")]
    pub follow: bool,
    /// Show the plan, and launch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The result field to sort members by, as `accuracy` or `loss:min`
    #[arg(long, value_name = "FIELD[:min|max]")]
    pub best: Option<String>,
    /// Which stack.
    #[command(flatten)]
    pub which: Which,
}

/// `local status`.
#[derive(Debug, Args)]
pub struct Status {
    /// A sweep's or an instance's id [default: the stack itself]
    pub id: Option<String>,
    /// Which stack.
    #[command(flatten)]
    pub which: Which,
}

/// `local logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// A function, such as `launch-batch`, or `gateway` or `ec2-sim` [default: all functions]
    pub function: Option<String>,
    /// Stay, and show what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Which stack.
    #[command(flatten)]
    pub which: Which,
}

/// `local demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// How many members run at a time [default: one per core, at least 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub processes: Option<u16>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(std::iter::once("local").chain(line.split(' '))).map(|cli| cli.command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_stack_is_on_port_4566_unless_told_otherwise() {
        let Ok(Command::Up(up)) = parse("up") else {
            panic!()
        };
        assert_eq!(
            (up.port, up.instances.hollow, up.instances.processes),
            (4566, false, None)
        );
        let Ok(Command::Up(up)) =
            parse("up --port 0 --hollow --hollow-after 50 --sim --pending-ms=5 --parameter A=b=c")
        else {
            panic!()
        };
        assert_eq!(
            (up.port, up.instances.hollow, up.instances.hollow_after),
            (0, true, 50)
        );
        assert_eq!(up.sim_arguments, ["--pending-ms=5"]);
        assert_eq!(up.parameters, [("A".into(), "b=c".into())]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "up --processes 0",
            "sweep",
            "sweep a.yaml --follow --no-follow",
            "up --parameter x",
            "fly",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
