//! The stand-in of the CloudWatch agent that members find on their `PATH`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The program, compiled in so that a test binary brings it along.
const PROGRAM: &str = include_str!("../cloudwatch_agent.py");

/// What the boot runner calls.
const CONTROL: &str = "amazon-cloudwatch-agent-ctl";

/// Writes it below the stack's folder, and answers the directory for the members' `PATH`.
pub(crate) fn install(python: &Path, folder: &Path) -> Result<PathBuf> {
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).map_err(Error::io("make", &tools))?;
    let program = folder.join("cloudwatch_agent.py");
    fs::write(&program, PROGRAM).map_err(Error::io("write", &program))?;
    let control = tools.join(CONTROL);
    let text = format!(
        "#!/bin/sh\nexec '{}' '{}' \"$@\"\n",
        python.display(),
        program.display()
    );
    fs::write(&control, text).map_err(Error::io("write", &control))?;
    fs::set_permissions(&control, fs::Permissions::from_mode(0o755))
        .map_err(Error::io("make executable", &control))?;
    Ok(tools)
}
