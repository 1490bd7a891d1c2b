//! Hands a sweep in as a user of AWS would: document and inputs to a bucket, then StartExecution.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use crate::aws::Client;
use crate::error::{Error, Result};
use crate::{ACCOUNT, HOME_REGION};

/// Beyond these a folder was not meant to be uploaded.
const FILES_MAX: usize = 2_000;
const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// What never belongs to a sweep's inputs.
const LEFT_OUT: [&str; 4] = ["__pycache__", "node_modules", "target", "venv"];

/// Longest name of an execution (Step Functions API Reference, StartExecution).
const NAME_MAX: usize = 80;

/// A sweep that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The execution.
    pub execution_arn: String,
    /// Where the document lies.
    pub document: String,
    /// How many files were uploaded.
    pub files: usize,
}

/// Uploads a document with the files beside it, and starts its sweep.
pub fn submit(
    client: &Client,
    file: &Path,
    name: Option<&str>,
    is_dry_run: bool,
) -> Result<Submission> {
    let file = fs::canonicalize(file).map_err(Error::io("read", file))?;
    if !file.is_file() {
        return Err(Error::Usage(format!("{} is no file", file.display())));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    let prefix = folder.file_name().map_or_else(
        || "sweep".into(),
        |name| name.to_string_lossy().into_owned(),
    );
    let bucket = data_bucket();
    let files = files_in(folder)?;
    for path in &files {
        let content = fs::read(path).map_err(Error::io("read", path))?;
        client.put_object(&bucket, &key(&prefix, folder, path), &content)?;
    }
    let document = format!("s3://{bucket}/{}", key(&prefix, folder, &file));
    let mut input = json!({"document": document});
    if is_dry_run {
        input["overrides"] = json!({"dry_run": true});
    }
    let name = name.map_or_else(|| execution_name(&file), str::to_owned);
    let machine = format!("arn:aws:states:{HOME_REGION}:{ACCOUNT}:stateMachine:spawn-sweep");
    let execution_arn = client.start_execution(&machine, &name, &input)?;
    Ok(Submission {
        execution_arn,
        document,
        files: files.len(),
    })
}

/// The bucket of documents and inputs.
pub fn data_bucket() -> String {
    format!("spawn-data-{ACCOUNT}-{HOME_REGION}")
}

/// The bucket of results.
pub fn results_bucket() -> String {
    format!("spawn-results-{ACCOUNT}-{HOME_REGION}")
}

fn key(prefix: &str, folder: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(folder).unwrap_or(file);
    format!("{prefix}/{}", inside.display())
}

/// The folder's files, those in folders below too, without hidden and generated ones.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut unread = vec![folder.to_owned()];
    while let Some(inside) = unread.pop() {
        for entry in fs::read_dir(&inside).map_err(Error::io("list", &inside))? {
            let entry = entry.map_err(Error::io("list", &inside))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            let kind = entry
                .file_type()
                .map_err(Error::io("look at", &entry.path()))?;
            if kind.is_dir() {
                unread.push(entry.path());
            } else if let Ok(facts) = fs::metadata(entry.path())
                && facts.is_file()
            {
                bytes += facts.len();
                found.push(entry.path());
            }
            if found.len() > FILES_MAX || bytes > BYTES_MAX {
                return Err(Error::Usage(format!(
                    "{} holds more than {FILES_MAX} files or {} MB, which would all be uploaded as inputs: \
                     put the document into a folder of its own",
                    folder.display(),
                    BYTES_MAX / 1024 / 1024
                )));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `hyperparameter-sweep-18f3c2a9b40` of `hyperparameter-sweep/sweep.yaml`.
fn execution_name(file: &Path) -> String {
    let word = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let stem = word(file.file_stem());
    let name = if stem == "sweep" {
        word(file.parent().and_then(Path::file_name))
    } else {
        stem
    };
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let moment = format!(
        "-{:x}",
        SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_millis()
    );
    let kept = safe.len().min(NAME_MAX - moment.len());
    format!("{}{moment}", &safe[..kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_called_after_their_documents() {
        assert!(execution_name(Path::new("/a/my sweep/sweep.yaml")).starts_with("my-sweep-"));
        assert!(execution_name(Path::new("/a/b/grid.json")).starts_with("grid-"));
        assert_eq!(
            execution_name(Path::new(&format!("/a/{}.json", "ü".repeat(200)))).len(),
            NAME_MAX
        );
    }

    #[test]
    fn hidden_and_generated_files_stay_behind() {
        let folder = std::env::temp_dir().join(format!("local-files-{}", std::process::id()));
        for path in [
            "sweep.yaml",
            "data/a.csv",
            ".git/config",
            "__pycache__/x.pyc",
        ] {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        let keys: Vec<String> = files_in(&folder)
            .unwrap()
            .iter()
            .map(|file| key("p", &folder, file))
            .collect();
        assert_eq!(keys, ["p/data/a.csv", "p/sweep.yaml"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
