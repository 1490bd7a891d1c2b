//! Brings the prices of everything that the sweep may be launched as: the operator's, then AWS's.

use std::collections::BTreeMap;

use spawn_core::document::S3Uri;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::Ledger;
use spawn_core::plan::Facts;
use spawn_core::ports::{AskPrices, Objects};
use spawn_core::prices::{self, Needs, PriceBook};

use crate::Ports;

/// The most bytes of a price book.
const BOOK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The prices of the types that EC2 offers for the sweep. AWS is asked for what neither the operator nor the ledger has; that
/// it does not answer leaves prices missing, which only a sweep with a budget minds.
///
/// # Errors
/// When the operator's book cannot be read, or the ledger does not answer.
pub(crate) async fn book<L, E, P, O, A, Z>(
    ports: &Ports<'_, L, E, P, O, A, Z>,
    facts: &Facts,
    now: u64,
) -> Result<PriceBook, FunctionError>
where
    L: Ledger,
    O: Objects,
    A: AskPrices,
{
    let book = read(ports.objects, ports.deployment.price_book.as_deref()).await?;
    let mut needs: Needs = BTreeMap::new();
    for (place, of_place) in facts {
        let types = needs.entry(place.region).or_default();
        types.extend(
            of_place
                .types
                .values()
                .map(|one| (one.name.clone(), one.spot)),
        );
    }
    let age = ports.deployment.price_age_ms_max;
    Ok(prices::look_up(ports.ledger, ports.prices, book, &needs, now, age).await?)
}

/// The operator's price book, empty when the deployment names none. One that is named and cannot be read is an error: a sweep
/// must not be planned as if there were no rates of the operator's own.
async fn read(objects: &impl Objects, uri: Option<&str>) -> Result<PriceBook, FunctionError> {
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
