//! Python beside a local stack: stories and measurements.

use std::process::Command;

use local::{Stack, StackOptions};

/// Runs Python beside the stories, on a stack of its own.
pub(crate) fn run_python(options: &StackOptions, arguments: &[&str]) {
    let stack = match Stack::start(options) {
        Ok(stack) => stack,
        Err(error) => panic!("the local stack did not start: {error}"),
    };
    let stories = concat!(env!("CARGO_MANIFEST_DIR"), "/stories");
    let status = Command::new(stack.python())
        .args(arguments)
        .current_dir(stories)
        .envs(stack.environment())
        .env("SPAWN_SIM", stack.sim_endpoint())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status();
    let logs = stack.folder().to_owned();
    stack.stop();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => panic!("it failed; the servers' logs are in {}", logs.display()),
        Err(error) => panic!("Python did not start: {error}"),
    }
}
