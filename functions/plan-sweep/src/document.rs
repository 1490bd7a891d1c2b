//! Brings the document's texts from S3 and has them read.

use serde_json::{Map, Value};
use spawn_core::document::{
    self, Fault, Faults, OperatorDefaults, S3Uri, Source, Submission, Sweep,
};
use spawn_core::errors::FunctionError;
use spawn_core::ports::{Objects, ServiceError};

/// The most bytes of a document or a table in S3: 100,000 members of 600 bytes.
const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the sweep that an execution's input submits.
///
/// # Errors
/// Every fault of the document at once, one that S3 does not have its text included.
pub(crate) async fn read(
    input: &Value,
    objects: &impl Objects,
    defaults: &OperatorDefaults,
) -> Result<Sweep, FunctionError> {
    let submission = Submission::from_execution_input(input)?;
    let read = read_document(&submission, objects, defaults).await;
    if submission.faults.is_empty() {
        return read;
    }
    let beside = Faults::from(submission.faults);
    match read {
        Ok(_) => Err(beside.into()),
        Err(FunctionError::InvalidSweep(faults)) => Err(beside.and(faults).into()),
        Err(error) => Err(error),
    }
}

async fn read_document(
    submission: &Submission,
    objects: &impl Objects,
    defaults: &OperatorDefaults,
) -> Result<Sweep, FunctionError> {
    let document = match &submission.source {
        Source::Inline(value) => value.clone(),
        Source::Text(text) => document::parse_text(text)?,
        Source::S3(uri) => document::parse_text(&fetch(objects, uri, "document").await?)?,
    };
    let table = match document::table_uri(&document, &submission.overrides) {
        Ok(Some(uri)) => Some(rows(objects, &uri).await?),
        Ok(None) => None,
        Err(faults) => Some(Err(faults)),
    };
    Ok(Sweep::from_document(
        &document,
        table,
        &submission.overrides,
        defaults,
    )?)
}

/// The rows of a table, or what is wrong with it: a fault of the document among its others.
async fn rows(
    objects: &impl Objects,
    uri: &S3Uri,
) -> Result<Result<Vec<Map<String, Value>>, Faults>, FunctionError> {
    match fetch(objects, uri, "params").await {
        Ok(text) => Ok(document::parse_table(uri, &text)),
        Err(FunctionError::InvalidSweep(faults)) => Ok(Err(faults)),
        Err(error) => Err(error),
    }
}

/// The text of an object that the document names at `path`.
async fn fetch(objects: &impl Objects, uri: &S3Uri, path: &str) -> Result<String, FunctionError> {
    let fault = |problem: String, accepted: &str| {
        FunctionError::from(Faults::from(Fault {
            path: path.to_owned(),
            problem,
            accepted: accepted.to_owned(),
            hint: None,
        }))
    };
    let readable = "the S3 URI of a text that spawn's role may read";
    let got = objects.get_object(uri.bucket(), uri.key(), DOCUMENT_BYTES_MAX);
    let bytes = match got.await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(fault(format!("there is no object {uri}"), readable)),
        Err(ServiceError::Refused { message, .. }) => {
            return Err(fault(format!("{uri} cannot be read: {message}"), readable));
        }
        Err(error) => return Err(error.into()),
    };
    String::from_utf8(bytes).map_err(|_| fault(format!("{uri} is not UTF-8 text"), readable))
}
