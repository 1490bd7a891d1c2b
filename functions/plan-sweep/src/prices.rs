//! Brings the operator's price book from S3.

use spawn_core::document::S3Uri;
use spawn_core::errors::FunctionError;
use spawn_core::ports::Objects;
use spawn_core::prices::PriceBook;

/// The most bytes of a price book.
const BOOK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The price book that the deployment names, if it names one. One that is named and cannot be read is an error: a sweep
/// must not be planned as if there were no prices.
///
/// # Errors
/// When the book is not there, not readable, or S3 does not answer.
pub(crate) async fn read(
    objects: &impl Objects,
    uri: Option<&str>,
) -> Result<Option<PriceBook>, FunctionError> {
    let Some(uri) = uri else {
        return Ok(None);
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
    Ok(Some(book.map_err(|error| {
        FunctionError::Config(format!("{uri}: {error}"))
    })?))
}
