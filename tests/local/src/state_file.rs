//! How other commands find a running stack.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// Someone who only looks holds the lock for a moment, so one failure to take it proves nothing.
const CLAIM_ATTEMPTS: u32 = 10;

/// Between two attempts.
const CLAIM_PAUSE: Duration = Duration::from_millis(20);

/// What is written down about a stack.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StackState {
    /// The process that holds the stack.
    pub pid: u32,
    /// The gateway's port.
    pub port: u16,
    /// The gateway's address.
    pub endpoint: String,
    /// The simulator's address.
    pub sim_endpoint: String,
    /// `process` or `hollow`.
    pub mode: String,
    /// Where its logs lie.
    pub folder: PathBuf,
    /// When it came up, in seconds since 1970.
    pub started_at: u64,
}

/// The file of a stack that this process holds.
///
/// Its lock is the proof of life: the system releases it with the process, so a file whose lock can be taken tells of a
/// stack that is gone, whatever it says.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    file: File,
}

impl StateFile {
    /// Claims the file of a port. An error when another process holds it.
    pub(crate) fn claim(folder: &Path, port: u16) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
        let path = path_of(folder, port);
        let file = open(&path)?;
        let mut attempts = CLAIM_ATTEMPTS;
        while let Err(error) = file.try_lock() {
            attempts -= 1;
            match error {
                TryLockError::WouldBlock if attempts > 0 => std::thread::sleep(CLAIM_PAUSE),
                TryLockError::WouldBlock => {
                    return Err(Error::Missing {
                        what: format!("a stack is already running on port {port}"),
                        hint: "use it, stop it with `cargo local down`, or start another with `--port`".into(),
                    });
                }
                TryLockError::Error(source) => return Err(Error::io("lock", &path)(source)),
            }
        }
        file.set_len(0).map_err(Error::io("empty", &path))?;
        Ok(Self { path, file })
    }

    /// Tells everyone about the stack.
    pub(crate) fn publish(&mut self, state: &StackState) -> Result<()> {
        let text = serde_json::to_vec_pretty(state).map_err(|error| Error::Unreadable {
            what: "the stack's state".into(),
            why: error.to_string(),
        })?;
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&text))
            .map_err(Error::io("write", &self.path))
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// The stacks that run now, by port.
pub fn running(folder: &Path) -> Result<Vec<StackState>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", folder)(error)),
    };
    let mut found: Vec<StackState> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            name.starts_with("stack-") && name.ends_with(".json")
        })
        .filter_map(|path| read_if_held(&path))
        .collect();
    found.sort_by_key(|state| state.port);
    Ok(found)
}

/// Whether the stack is still held by its process.
pub fn is_running(folder: &Path, port: u16) -> bool {
    read_if_held(&path_of(folder, port)).is_some()
}

fn read_if_held(path: &Path) -> Option<StackState> {
    let mut file = File::open(path).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn path_of(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!("stack-{port}.json"))
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_found_while_its_holder_lives() {
        let folder = std::env::temp_dir().join(format!("local-state-{}", std::process::id()));
        let state = StackState {
            pid: 1,
            port: 4566,
            endpoint: "http://127.0.0.1:4566".into(),
            sim_endpoint: "http://127.0.0.1:4567".into(),
            mode: "process".into(),
            folder: folder.clone(),
            started_at: 1,
        };
        assert_eq!(running(&folder).unwrap(), []);
        let mut file = StateFile::claim(&folder, 4566).unwrap();
        assert!(matches!(
            StateFile::claim(&folder, 4566),
            Err(Error::Missing { .. })
        ));
        file.publish(&state).unwrap();
        assert_eq!(running(&folder).unwrap(), [state]);
        drop(file);
        assert!(!is_running(&folder, 4566));

        fs::write(path_of(&folder, 4570), "{}").unwrap();
        assert_eq!(
            running(&folder).unwrap(),
            [],
            "a file that nobody holds tells of nothing"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
