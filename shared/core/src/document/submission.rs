//! What an execution is started with: a document, or where it is, and what to change in it.

use serde_json::{Map, Value};

use super::fault::{Collector, Fault, Faults, join, quoted};
use super::fields::{self, Top};
use super::read::{bool, shown, take};
use super::suggest::nearest;
use super::uri::S3Uri;

/// The longest input of an execution, in bytes (Step Functions Developer Guide, "Quotas").
pub const INPUT_BYTES_MAX: usize = 262_144;

/// Keys beside `document`.
const KEYS: [&str; 3] = ["document", "overrides", "dry_run"];

/// What Step Functions wants in the input of an execution that another one starts, to link the two in its console.
const STARTED_BY: &str = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";

/// A submitted sweep, before its texts are fetched and read.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Where the document is.
    pub source: Source,
    /// Fields that replace the document's own.
    pub overrides: Map<String, Value>,
    /// What is wrong beside the document, which can be read all the same: it is told together with the document's own faults.
    pub faults: Vec<Fault>,
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Here, as a value.
    Inline(Value),
    /// Here, as YAML or JSON text.
    Text(String),
    /// In S3.
    S3(S3Uri),
}

impl Submission {
    /// Reads the input of an execution: the document itself, its S3 URI or text, or
    /// `{"document": ..., "overrides": {...}, "dry_run": true}`.
    ///
    /// # Errors
    /// When the input is none of these, or longer than an input can be, or names no document.
    pub fn from_execution_input(input: &Value) -> Result<Self, Faults> {
        let bytes = input.to_string().len();
        if bytes > INPUT_BYTES_MAX {
            let fault = Fault::new(
                "",
                format!("the execution's input has {bytes} bytes"),
                format!("at most {INPUT_BYTES_MAX} bytes"),
            );
            let hint =
                "put the document into S3, and submit {\"document\": \"s3://bucket/sweep.yaml\"}";
            return Err(fault.hint(hint.to_owned()).into());
        }
        match input {
            Value::Object(map) if map.contains_key("document") => Self::from_envelope(map),
            Value::Object(map) => {
                let mut document = map.clone();
                document.shift_remove(STARTED_BY);
                Ok(Self {
                    source: Source::Inline(Value::Object(document)),
                    overrides: Map::new(),
                    faults: Vec::new(),
                })
            }
            Value::String(text) => Ok(Self {
                source: source(text, "")?,
                overrides: Map::new(),
                faults: Vec::new(),
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(Fault::new(
                "",
                format!("{} is not a sweep document", shown(input)),
                "an object: the document itself, or {\"document\": ...}",
            )
            .into()),
        }
    }

    fn from_envelope(map: &Map<String, Value>) -> Result<Self, Faults> {
        let mut faults = Collector::default();
        let mut overrides = Map::new();
        let mut found = None;
        for (key, value) in map {
            match (key.as_str(), value) {
                ("document", Value::Object(_)) => found = Some(Source::Inline(value.clone())),
                ("document", Value::String(text)) => {
                    found = faults.keep(source(text, "document"));
                }
                ("overrides", Value::Object(map)) => overrides.extend(map.clone()),
                ("overrides" | "dry_run", Value::Null) | (STARTED_BY, _) => {}
                // It may stand before the overrides, with which it is compared.
                ("dry_run", _) => {}
                ("document", _) => faults.add(Fault::new(
                    "document",
                    format!("{} is not a document", shown(value)),
                    "an object, YAML or JSON text, or an S3 URI",
                )),
                ("overrides", _) => faults.add(Fault::new(
                    "overrides",
                    format!("{} is not an object", shown(value)),
                    "an object of the document's fields",
                )),
                _ => faults.add(unknown(key)),
            }
        }
        let shape = fields::top(Top::DryRun).shape;
        if let Some(beside) = map.get("dry_run").filter(|value| !value.is_null())
            && take(bool(beside), "dry_run", shape, &mut faults).is_some()
        {
            let before = overrides.insert("dry_run".to_owned(), beside.clone());
            if before.is_some_and(|before| before != *beside) {
                faults.add(Fault::new(
                    join("overrides", "dry_run"),
                    "it differs from the dry_run beside the document",
                    "one of the two",
                ));
            }
        }
        let faults = faults.into_vec();
        match found {
            Some(source) => Ok(Self {
                source,
                overrides,
                faults,
            }),
            None => Err(faults.into()),
        }
    }
}

fn unknown(key: &str) -> Fault {
    let meant = nearest(key, KEYS);
    let hint = meant.map_or_else(
        || "a field that changes the document goes into overrides".to_owned(),
        |meant| format!("did you mean {meant}?"),
    );
    Fault::new(
        key,
        format!("{} is not known beside document", quoted(key)),
        KEYS.join(", "),
    )
    .hint(hint)
}

/// Where the document is that `text` is, or names.
fn source(text: &str, path: &str) -> Result<Source, Fault> {
    let trimmed = text.trim();
    if !trimmed.starts_with("s3://") {
        return Ok(Source::Text(text.to_owned()));
    }
    let refused = |why: String| {
        Fault::new(
            path,
            format!("{} {why}", quoted(trimmed)),
            "s3://bucket/key of a document",
        )
    };
    let uri: S3Uri = trimmed.parse().map_err(|error: super::uri::S3UriError| {
        refused(format!("is not an S3 URI: it {error}"))
    })?;
    if uri.is_prefix() {
        return Err(refused("names a folder".to_owned()));
    }
    Ok(Source::S3(uri))
}
