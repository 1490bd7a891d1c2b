//! Where the sources and their build results lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The workspace that this program was built from.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// Cargo's target directory, wherever configuration or environment puts it.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(here)
            .output()
            .map_err(|source| Error::Missing {
                what: format!("cargo cannot be run: {source}"),
                hint: "install Rust (https://rustup.rs), and see that `cargo` is in PATH".into(),
            })?;
        if !output.status.success() {
            return Err(Error::Program {
                program: "cargo metadata".into(),
                what: format!("failed in {}", here.display()),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let facts: Facts =
            serde_json::from_slice(&output.stdout).map_err(|error| Error::Unreadable {
                what: "the answer of cargo metadata".into(),
                why: error.to_string(),
            })?;
        Ok(Self {
            root: facts.workspace_root,
            target: facts.target_directory,
        })
    }

    /// Where everything of the local stack lies that can be made anew at any time.
    pub fn local(&self) -> PathBuf {
        self.target.join("local")
    }
}

/// The cargo that runs this program, or the one in PATH, without what cargo tells the programs that it runs.
///
/// Build scripts that watch such variables (of TLS crates, for example) would otherwise run again, and half the
/// dependencies with them, whenever this program was started by `cargo run` instead of by hand.
pub(crate) fn cargo() -> Command {
    const OF_A_RUN: [&str; 5] = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (variable, _) in std::env::vars_os() {
        if OF_A_RUN
            .iter()
            .any(|prefix| variable.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(variable);
        }
    }
    command
}

#[derive(serde::Deserialize)]
struct Facts {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}
