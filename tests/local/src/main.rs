//! The command line of the local stack.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use local::cli::Cli;
use local::show::Style;
use local::{Error, commands, signals};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match signals::catch().and_then(|()| commands::run(&cli.command)) {
        Ok(code) => code,
        Err(Error::Interrupted) => {
            tell("\nstopped");
            ExitCode::from(commands::INTERRUPTED)
        }
        Err(Error::NobodyReads) => ExitCode::SUCCESS,
        Err(error) => {
            let style = Style::of_stderr();
            tell(&format!("\n{} {error}", style.bad("error:")));
            for line in error.details().iter().flat_map(|details| details.lines()) {
                tell(&format!("  {line}"));
            }
            ExitCode::from(if matches!(error, Error::Usage(_)) {
                commands::REFUSED
            } else {
                commands::FAILED
            })
        }
    }
}

/// A line on standard error. If nobody reads it, the exit code tells.
fn tell(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or_default();
}
