//! Brings the prices of everything that the sweep may be launched as: the operator's, then AWS's.

use std::collections::BTreeMap;

use spawn_core::errors::FunctionError;
use spawn_core::ledger::Ledger;
use spawn_core::plan::Facts;
use spawn_core::ports::{AskPrices, Objects};
use spawn_core::prices::{self, Needs, PriceBook};

use crate::Ports;

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
    let book = prices::operators(ports.objects, ports.deployment.price_book.as_deref()).await?;
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
