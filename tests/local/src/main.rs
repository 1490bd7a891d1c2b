//! The command line of the local stack.

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
            eprintln!("\nstopped");
            ExitCode::from(commands::INTERRUPTED)
        }
        Err(Error::NobodyReads) => ExitCode::SUCCESS,
        Err(error) => {
            let style = Style::of_stderr();
            eprintln!("\n{} {error}", style.bad("error:"));
            for line in error.details().iter().flat_map(|details| details.lines()) {
                eprintln!("  {line}");
            }
            ExitCode::from(if matches!(error, Error::Usage(_)) {
                commands::REFUSED
            } else {
                commands::FAILED
            })
        }
    }
}
