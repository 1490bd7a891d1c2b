//! The operator's price file, from where the deployment says that it is.

use super::book::PriceBook;
use crate::document::S3Uri;
use crate::errors::FunctionError;
use crate::ports::Objects;

/// The most bytes of a price book.
const BOOK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The operator's price book, empty when the deployment names none. One that is named and cannot be read is an error: nothing
/// must be decided as if there were no rates of the operator's own.
///
/// # Errors
/// When it is named and is not there, cannot be read or is no price book. Repeatable.
pub async fn operators(
    objects: &impl Objects,
    uri: Option<&str>,
) -> Result<PriceBook, FunctionError> {
    let Some(uri) = uri else {
        return Ok(PriceBook::default());
    };
    let uri: S3Uri = uri
        .parse()
        .map_err(|error| FunctionError::Config(format!("SPAWN_PRICE_BOOK: {error}")))?;
    let body = objects
        .get_object(uri.bucket(), uri.key(), BOOK_BYTES_MAX)
        .await?;
    let body =
        body.ok_or_else(|| FunctionError::Config(format!("there is no price book {uri}")))?;
    let book = PriceBook::parse(&body);
    book.map_err(|error| FunctionError::Config(format!("{uri}: {error}")))
}
