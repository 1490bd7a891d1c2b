//! The Python environment of the stack: MiniStack, the AWS CLI, and what the tests use.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::narrator::{Narrator, Silent};
use crate::workspace::Workspace;

/// What is installed, with exact versions. Compiled in: this program and its environment belong together.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// MiniStack's own floor.
const VERSION_MIN: (u32, u32) = (3, 10);

/// Names under which a sufficient Python may be found, the machine's own choice first.
const NAMES: [&str; 7] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python",
];

/// The environment's interpreter; makes the environment when it is missing or other versions are pinned now.
///
/// Safe when several programs call it at once: one makes it, the others wait.
pub fn ensure_venv() -> Result<PathBuf> {
    ensure_venv_in(&Workspace::find()?, &Silent)
}

/// As [`ensure_venv`], and tells what it does.
pub fn ensure_venv_in(workspace: &Workspace, narrator: &dyn Narrator) -> Result<PathBuf> {
    let local = workspace.local();
    let venv = local.join("venv");
    let interpreter = venv.join("bin/python");
    let stamp = venv.join("made-from.txt");
    fs::create_dir_all(&local).map_err(Error::io("make", &local))?;

    let lock_path = local.join("venv.lock");
    let lock = File::create(&lock_path).map_err(Error::io("open", &lock_path))?;
    lock.lock().map_err(Error::io("lock", &lock_path))?;

    // The stamp is written last, so an environment with the right one is whole. The path is part of it: an environment
    // cannot be moved. A base interpreter that was removed leaves a dangling link.
    let wanted = format!("{}\n{REQUIREMENTS}", venv.display());
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) && interpreter.exists()
    {
        return Ok(interpreter);
    }

    let started = Instant::now();
    let step = "python";
    narrator.begins(step);
    let base = Base::find()?;
    narrator.tells(
        step,
        &format!(
            "making {} with Python {} (once, about a minute)",
            venv.display(),
            base.version()
        ),
    );
    if venv.exists() {
        refuse_if_used(&local)?;
        fs::remove_dir_all(&venv).map_err(Error::io("remove", &venv))?;
    }
    base.make_environment(&venv)?;
    let requirements = local.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(Error::io("write", &requirements))?;
    run(base.pip(&interpreter).args(["install", "--quiet", "--no-input", "--disable-pip-version-check", "-r"]).arg(&requirements))
        .map_err(|error| with_advice(error, "see that this machine reaches a Python package index (`pip config list`, PIP_INDEX_URL)"))?;
    fs::write(&stamp, wanted).map_err(Error::io("write", &stamp))?;
    narrator.ends(step, started.elapsed());
    Ok(interpreter)
}

/// Marks the environment as used until the file is dropped: nobody removes it meanwhile.
pub(crate) fn use_venv(workspace: &Workspace) -> Result<File> {
    let (path, file) = users(&workspace.local())?;
    file.lock_shared().map_err(Error::io("lock", &path))?;
    Ok(file)
}

/// A running stack would lose its programs under its feet.
fn refuse_if_used(local: &Path) -> Result<()> {
    let (path, file) = users(local)?;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Missing {
            what: "the Python environment has to be made anew, but a running stack uses it".into(),
            hint: "stop that stack first: `cargo local down`".into(),
        }),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
    }
}

fn users(local: &Path) -> Result<(PathBuf, File)> {
    let path = local.join("venv-users.lock");
    let file = File::create(&path).map_err(Error::io("open", &path))?;
    Ok((path, file))
}

/// A Python of the machine.
#[derive(Debug, Clone)]
struct Base {
    program: String,
    version: (u32, u32),
    /// Debian splits `ensurepip` off; pip itself can then stand in for it.
    has_ensurepip: bool,
}

impl Base {
    fn find() -> Result<Self> {
        let found: Vec<Self> = NAMES.iter().filter_map(|name| Self::ask(name)).collect();
        let enough = |base: &&Self| base.version >= VERSION_MIN;
        if let Some(base) = found
            .iter()
            .find(|base| enough(base) && (base.has_ensurepip || has_pip(base)))
        {
            return Ok(base.clone());
        }
        Err(match (found.iter().find(enough), found.first()) {
            (Some(base), _) => Error::Missing {
                what: format!("{} ({}) has neither `ensurepip` nor `pip`", base.program, base.version()),
                hint: "install the part of Python that makes environments (on Debian and Ubuntu: `apt install python3-venv`)".into(),
            },
            (None, Some(base)) => Error::Missing {
                what: format!("Python 3.10 or later is needed; {} is {}", base.program, base.version()),
                hint: "install a newer Python beside it (it may be called python3.12 or the like), with its venv module".into(),
            },
            (None, None) => Error::Missing {
                what: "Python 3.10 or later is needed; no python3 is in PATH".into(),
                hint: "install Python with its venv module (on Debian and Ubuntu: `apt install python3 python3-venv`)".into(),
            },
        })
    }

    fn ask(program: &str) -> Option<Self> {
        const QUESTION: &str = "import sys, importlib.util as u; print(*sys.version_info[:2], int(u.find_spec('ensurepip') is not None and u.find_spec('venv') is not None))";
        let output = Command::new(program)
            .args(["-I", "-c", QUESTION])
            .output()
            .ok()?;
        if !output.status.success() {
            return None;
        }
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = answer.split_whitespace().map(str::parse::<u32>);
        let mut next = || words.next()?.ok();
        Some(Self {
            program: program.into(),
            version: (next()?, next()?),
            has_ensurepip: next()? == 1,
        })
    }

    fn version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    fn make_environment(&self, venv: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["-m", "venv"]);
        if !self.has_ensurepip {
            command.arg("--without-pip");
        }
        run(command.arg(venv)).map_err(|error| {
            with_advice(
                error,
                "on Debian and Ubuntu `apt install python3-venv` brings what is missing",
            )
        })
    }

    /// The pip that installs into the environment.
    fn pip(&self, interpreter: &Path) -> Command {
        let mut command;
        if self.has_ensurepip {
            command = Command::new(interpreter);
            command.args(["-m", "pip"]);
        } else {
            command = Command::new(&self.program);
            command.args(["-m", "pip", "--python"]).arg(interpreter);
        }
        command
    }
}

fn has_pip(base: &Base) -> bool {
    Command::new(&base.program)
        .args(["-m", "pip", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| Error::Io {
        doing: format!("run {program}"),
        source,
    })?;
    crate::signals::go_on()?;
    if output.status.success() {
        return Ok(());
    }
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    Err(Error::Program {
        program: format!("{program} {}", words.join(" ")),
        what: format!("failed ({})", output.status),
        output: [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat(),
    })
}

fn with_advice(error: Error, advice: &str) -> Error {
    match error {
        Error::Program {
            program,
            what,
            output,
        } => Error::Program {
            program,
            what,
            output: format!("{}\n{advice}", output.trim_end()),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned_exactly() {
        for line in REQUIREMENTS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let requirement = line.split(';').next().unwrap_or(line);
            assert!(requirement.contains("=="), "{line}");
        }
    }

    #[test]
    fn an_environment_in_use_is_not_removed() {
        let root = std::env::temp_dir().join(format!("local-venv-users-{}", std::process::id()));
        let workspace = Workspace {
            root: root.clone(),
            target: root.clone(),
        };
        fs::create_dir_all(workspace.local()).unwrap();
        let user = use_venv(&workspace).unwrap();
        let other = use_venv(&workspace).unwrap();
        assert!(matches!(
            refuse_if_used(&workspace.local()),
            Err(Error::Missing { .. })
        ));
        drop((user, other));
        refuse_if_used(&workspace.local()).unwrap();
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_program_that_is_no_python_is_passed_over() {
        assert!(Base::ask("true").is_none());
        assert!(Base::ask("no-such-python").is_none());
    }
}
