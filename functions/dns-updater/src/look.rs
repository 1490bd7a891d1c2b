//! Looking at records of the zone.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::dns::{Record, RecordId};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::Ledger;
use spawn_core::ports::{ChangeRecords, Clock, RecordStart, ZoneError};

use crate::Ports;
use crate::lease::Lease;

/// How often a page is asked for that Route 53 throttles or does not answer.
const TRIES_MAX: u32 = 6;

/// The records of these ids that the zone shows. Ids that lie together come in pages of 300.
///
/// # Errors
/// When Route 53 or the ledger does not answer.
pub(crate) async fn shown<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    zone: &str,
    ids: &BTreeSet<RecordId>,
) -> Result<BTreeMap<RecordId, Record>, FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let mut found = BTreeMap::new();
    // Where the last page began and ended: what lies between and was not shown is not there.
    let mut seen: Option<(RecordId, Option<RecordId>)> = None;
    for id in ids {
        let is_seen = seen
            .as_ref()
            .is_some_and(|(from, to)| from <= id && to.as_ref().is_none_or(|to| id <= to));
        if is_seen {
            continue;
        }
        let page = page(ports, lease, zone, &RecordStart::from(id)).await?;
        let last = page.records.last().map(|record| record.id.clone());
        // A page without a record of spawn's types tells of no other id.
        let to = page.next.map(|_| last.unwrap_or_else(|| id.clone()));
        seen = Some((id.clone(), to));
        for record in page.records {
            if ids.contains(&record.id) {
                found.insert(record.id.clone(), record);
            }
        }
    }
    Ok(found)
}

/// All records below the deployment's suffix.
///
/// # Errors
/// As [`shown`].
pub(crate) async fn below<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    zone: &str,
    suffix: &str,
) -> Result<BTreeMap<RecordId, Record>, FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let mut found = BTreeMap::new();
    let is_below = |name: &str| {
        name.strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let mut start = Some(RecordStart {
        name: suffix.to_owned(),
        kind: None,
        set: None,
    });
    while let Some(from) = start {
        let page = page(ports, lease, zone, &from).await?;
        for record in page.records {
            if is_below(&record.id.name) {
                found.insert(record.id.clone(), record);
            }
        }
        start = page
            .next
            .filter(|next| is_below(next.name.trim_end_matches('.')));
    }
    Ok(found)
}

async fn page<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    zone: &str,
    start: &RecordStart,
) -> Result<spawn_core::ports::RecordPage, FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let mut tries = 0;
    loop {
        let wait = lease.wait_ms(0, ports.clock.now_ms());
        lease.sleep(ports.ledger, ports.clock, wait).await?;
        lease.charge(ports.ledger, 0, ports.clock.now_ms()).await?;
        match ports.zones.list_records(zone, start).await {
            Ok(page) => return Ok(page),
            Err(ZoneError::Throttled(_) | ZoneError::Transient(_)) if tries < TRIES_MAX => {
                tries += 1;
                let wait = crate::send::back_off_ms(tries, 0);
                lease.sleep(ports.ledger, ports.clock, wait).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
