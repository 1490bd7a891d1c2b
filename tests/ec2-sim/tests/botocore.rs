//! Every action is checked against botocore's own service model: boto3 calls the simulator and parses what it answers.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter that is asked for, else that of the local stack, which is made if it is not there.
fn python() -> PathBuf {
    match std::env::var_os("SPAWN_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => local::ensure_venv().unwrap_or_else(|error| panic!("{error}")),
    }
}

#[test]
fn every_answer_parses_in_boto3() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/botocore_contract.py");
    let output = Command::new(python())
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
