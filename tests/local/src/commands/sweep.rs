//! `local sweep`: submits a document and stays with it.

use std::io::ErrorKind;

use super::{DONE, INTERRUPTED};
use crate::aws::Client;
use crate::cli::Sweep;
use crate::error::{Error, Result};
use crate::follow::follow;
use crate::outcome::{Outcome, result_lines};
use crate::results::Results;
use crate::show::Style;
use crate::submission::submit;

/// Submits, follows, and shows results.
pub fn run(sweep: &Sweep, style: Style) -> Result<u8> {
    let state = sweep.which.find()?;
    let client = Client::new(&state.endpoint);
    let submission =
        submit(&client, &sweep.file, sweep.name.as_deref(), sweep.dry_run).map_err(as_usage)?;
    if !sweep.dry_run {
        println!("{} {}", style.dim("document "), submission.document);
        println!("{} {}", style.dim("execution"), submission.execution_arn);
    }
    if sweep.no_follow {
        return Ok(DONE);
    }
    // A plan is for programs to read: nothing else is printed with it.
    let view = (!sweep.dry_run).then_some(style);
    let followed = match follow(&client, &submission.execution_arn, view) {
        Err(Error::Interrupted) => {
            println!(
                "the sweep goes on; to end it: aws stepfunctions stop-execution --execution-arn {}",
                submission.execution_arn
            );
            return Ok(INTERRUPTED);
        }
        other => other?,
    };
    let outcome = Outcome::of(&followed.execution);
    for line in outcome.lines(style) {
        println!("{line}");
    }
    if let Some(results) = outcome.results(&client)? {
        let measure = match &sweep.best {
            Some(best) => Some(results.measure(best)?),
            None => results.guess_measure(),
        };
        print_results(&results, measure.as_ref(), style);
    }
    Ok(outcome.exit_code())
}

fn print_results(results: &Results, measure: Option<&crate::results::Measure>, style: Style) {
    println!();
    for line in result_lines(results, measure, style) {
        println!("{line}");
    }
}

/// A file that is not there is the user's slip, not a failure of the sweep.
fn as_usage(error: Error) -> Error {
    match error {
        Error::Io { doing, source } if source.kind() == ErrorKind::NotFound => {
            Error::Usage(format!("cannot {doing}: {source}"))
        }
        Error::Refused { code, message, .. }
            if code == "ExecutionAlreadyExists" || code == "InvalidName" =>
        {
            Error::Usage(format!("--name cannot be used: {message}"))
        }
        other => other,
    }
}
