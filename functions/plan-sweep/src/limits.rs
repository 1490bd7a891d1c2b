//! Keeps what the ledger knows of EC2's launch limits up to date, for the launchers of every sweep.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use spawn_core::account::{AccountId, Place};
use spawn_core::ledger::{self, Key, Ledger, LedgerError, Stored as _};
use spawn_core::limits::{self, QuotaCodesRow, QuotaRow};
use spawn_core::ports::{InAccounts, ReadQuotas};
use spawn_core::region::Region;

/// Places that are asked at a time: Service Quotas throttles, too, and a sweep may span every region.
const PLACES_AT_ONCE: usize = 5;

/// Asks Service Quotas for the launch limits of `places`, unless the ledger has an answer of the last day. That the service does
/// not answer is no fault of a sweep: launches go on by what was known before, or by EC2's defaults.
///
/// # Errors
/// When the ledger does not answer.
pub(crate) async fn refresh(
    ledger: &impl Ledger,
    ec2: &(impl ReadQuotas + InAccounts),
    home: (AccountId, Region),
    places: BTreeSet<Place>,
    now: u64,
) -> Result<(), LedgerError> {
    let (account, region) = home;
    let account_of = |place: &Place| place.account.unwrap_or(account).to_string();
    let places: Vec<Place> = places.into_iter().collect();
    let keys: Vec<Key> = places
        .iter()
        .map(|place| limits::quota_key(&account_of(place), &place.region))
        .collect();
    let mut stale = Vec::new();
    for (place, row) in places.into_iter().zip(ledger.get(&keys).await?) {
        let known = row.map(QuotaRow::from_row).transpose()?;
        if known.is_none_or(|row| row.is_stale(now)) {
            stale.push(place);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let Some(codes) = codes(ledger, &ec2.of(None), &region, now).await? else {
        return Ok(());
    };
    let codes = &codes;
    let asked = stale.into_iter().map(|place| async move {
        let told = limits::ask(&ec2.of(place.account), &place, codes).await;
        (place, told)
    });
    let mut answers = stream::iter(asked).buffer_unordered(PLACES_AT_ONCE);
    let mut rows = Vec::new();
    while let Some((place, told)) = answers.next().await {
        match told {
            Ok(sizes) => {
                let row = QuotaRow {
                    account: account_of(&place),
                    region: place.region,
                    sizes,
                    read_at: now,
                };
                rows.push(row.row()?);
            }
            Err(words) => not_told(&place.region, &words),
        }
    }
    drop(answers);
    ledger.put_all(rows).await
}

/// The codes of the quotas of launch limits; `None`: the service does not tell them.
async fn codes(
    ledger: &impl Ledger,
    service: &impl ReadQuotas,
    region: &Region,
    now: u64,
) -> Result<Option<BTreeMap<String, String>>, LedgerError> {
    let known: Option<QuotaCodesRow> = ledger::load(ledger, QuotaCodesRow::its_key()).await?;
    if let Some(known) = &known
        && !known.is_stale(now)
    {
        return Ok(Some(known.codes.clone()));
    }
    match service.quota_codes(region, &limits::quota_names()).await {
        Ok(codes) => {
            let row = QuotaCodesRow {
                codes: codes.clone(),
                read_at: now,
            };
            ledger.put_all(vec![row.row()?]).await?;
            Ok(Some(codes))
        }
        Err(words) => {
            not_told(region, &words);
            Ok(known.map(|known| known.codes))
        }
    }
}

fn not_told(region: &Region, error: &str) {
    tracing::warn!(%region, error, "launch limits are not known from Service Quotas");
}
