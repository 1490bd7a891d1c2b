//! One file for each command.

pub mod demo;
pub mod down;
pub mod list;
pub mod logs;
pub mod status;
pub mod sweep;
pub mod up;
mod which;

use std::process::ExitCode;

use crate::cli::Command;
use crate::error::Result;
use crate::show::Style;

/// A sweep completed, or a command did what it should.
pub const DONE: u8 = 0;
/// A sweep failed, or a command did.
pub const FAILED: u8 = 1;
/// A document was refused, or a command line.
pub const REFUSED: u8 = 2;
/// A sweep completed, but some of its members failed.
pub const WITH_FAILURES: u8 = 3;
/// Somebody pressed Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Carries out a command; answers its exit code.
pub fn run(command: &Command) -> Result<ExitCode> {
    let style = Style::of_stdout();
    let code = match command {
        Command::Up(up) => up::run(up, style)?,
        Command::Down(which) => down::run(which)?,
        Command::Sweep(sweep) => sweep::run(sweep, style)?,
        Command::Status(status) => status::run(status, style)?,
        Command::List(which) => list::run(which, style)?,
        Command::Logs(logs) => logs::run(logs, style)?,
        Command::Demo(demo) => demo::run(demo, style)?,
    };
    Ok(ExitCode::from(code))
}
