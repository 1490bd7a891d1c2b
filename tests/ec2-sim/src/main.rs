//! The simulator as a program: reads its command line, serves until it is told to stop. As `ec2-sim shim ...` it is the
//! `shutdown` of an instance.

use std::ffi::OsString;
use std::process::ExitCode;

use ec2_sim::{HELP, Settings, Simulator, run_shim};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = if arguments.first().is_some_and(|first| first == "shim") {
        let rest: Vec<String> = arguments
            .split_off(1)
            .into_iter()
            .map(|one| one.to_string_lossy().into_owned())
            .collect();
        run_shim(&rest).await.map_err(Into::into)
    } else {
        serve(arguments).await
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut std::io::stderr(), &describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Vec<OsString>) -> Result<(), Box<dyn std::error::Error>> {
    let Some(settings) = Settings::parse(arguments)? else {
        say(&mut std::io::stdout(), HELP);
        return Ok(());
    };
    // Listened for before anything is started, so that no signal can leave a process behind.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let simulator = Simulator::start(settings).await?;
    say(
        &mut std::io::stdout(),
        &format!("ec2-sim listening on {}", simulator.url()),
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}

/// Writes a line; a reader that has gone must not stop the simulator.
fn say(to: &mut dyn std::io::Write, line: &str) {
    let _ignored = writeln!(to, "{line}").and_then(|()| to.flush());
}

/// An error with all its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = format!("ec2-sim: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
