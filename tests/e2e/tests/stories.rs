//! Starts the local stack and has plain AWS clients tell their stories on it.

mod beside;

use std::time::Duration;

use beside::run_python;
use local::{Mode, StackOptions};

/// Runs the stories of these files on a stack of their own.
fn tell(options: &StackOptions, files: &[&str]) {
    let pytest = [
        "-m",
        "pytest",
        "-q",
        "--maxfail=5",
        "--color=no",
        "-p",
        "no:cacheprovider",
        "--durations=5",
    ];
    run_python(options, &[&pytest, files].concat());
}

/// Members are local processes; instances come and go quickly.
#[test]
fn sweeps_on_instances_that_run_programs() {
    tell(
        &StackOptions::default(),
        &[
            "test_sweeps.py",
            "test_faults.py",
            "test_refusals.py",
            "test_choosing.py",
            "test_costs.py",
            "test_metrics.py",
            "test_instance_metrics.py",
            "test_traces.py",
            "test_page.py",
            "test_controls.py",
            "test_policies.py",
            "test_promises.py",
            "test_notify.py",
            "test_logs.py",
        ],
    );
}

/// No process runs: thousands of instances can be had.
#[test]
fn large_sweeps_on_hollow_instances() {
    let options = StackOptions {
        mode: Mode::Hollow,
        hollow_after: Duration::from_millis(500),
        ..StackOptions::default()
    };
    tell(&options, &["test_large.py"]);
}

/// A stack of its own: names cost every other story time.
#[test]
fn members_have_names() {
    let options = StackOptions {
        mode: Mode::Hollow,
        // They run until they are ended.
        hollow_after: Duration::from_secs(600),
        parameters: vec![("Domain".to_owned(), "example.com".to_owned())],
        ..StackOptions::default()
    };
    tell(&options, &["test_names.py"]);
}

/// A stack that knows of other accounts.
#[test]
fn sweeps_over_several_accounts() {
    let value = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = StackOptions {
        parameters: vec![
            value("MemberAccountIds", "111122223333,444455556666,777788889999"),
            value("ExternalId", "a secret of the two deployments"),
        ],
        ..StackOptions::default()
    };
    tell(&options, &["test_accounts.py"]);
}

/// A story that no test names would be told to nobody.
#[test]
fn every_story_is_told() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/stories");
    let named = include_str!("stories.rs");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let untold: Vec<String> = names
        .filter(|name| name.starts_with("test_") && !named.contains(&format!("\"{name}\"")))
        .collect();
    assert_eq!(untold, Vec::<String>::new());
}
