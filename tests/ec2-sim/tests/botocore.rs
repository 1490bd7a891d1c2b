//! Every action is checked against botocore's own service model: boto3 calls the simulator and parses what it answers.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An interpreter that has boto3: the one that is asked for, else that of the local stack.
fn python() -> Option<PathBuf> {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/local/venv/bin/python");
    std::env::var_os("SPAWN_PYTHON")
        .map(PathBuf::from)
        .or(Some(local))
        .filter(|program| program.exists())
}

#[test]
fn every_answer_parses_in_boto3() {
    let Some(python) = python() else {
        panic!(
            "no Python with boto3: run `cargo local up` once, which makes target/local/venv, or name an interpreter that \
             has boto3 in SPAWN_PYTHON"
        );
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/botocore_contract.py");
    let output = Command::new(python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_ec2-sim"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
