//! Brings the prices that a decision needs: from the ledger, and from AWS where the ledger has none that is young enough.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{Item, PriceBook};
use super::row::{PriceRow, price_pk};
use crate::cost::PriceFrom;
use crate::ledger::{self, Ledger, LedgerError, Stored};
use crate::ports::{AskPrices, ServiceError};
use crate::region::Region;

/// The types whose prices are needed, by region; spot prices too, where `true`.
pub type Needs = BTreeMap<Region, BTreeMap<String, bool>>;

/// How far back a first look at spot prices goes: the longest that most sweeps run.
const FIRST_LOOK_MS: u64 = 24 * 3_600_000;

/// Adds to `book` the prices that `needs` names, with those of volumes and addresses, and keeps what AWS says in the ledger.
/// AWS is asked only for what the ledger has not, or has from longer ago than `age_ms_max`. That AWS does not answer is no
/// error: the price is missing then, and the book knows why.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn look_up(
    ledger: &impl Ledger,
    aws: &impl AskPrices,
    mut book: PriceBook,
    needs: &Needs,
    now: u64,
    age_ms_max: u64,
) -> Result<PriceBook, LedgerError> {
    for (region, types) in needs {
        let rows: Vec<PriceRow> = ledger::load_all(ledger, &price_pk(region), "").await?;
        for row in &rows {
            book.add_row(row, now, age_ms_max);
        }
        let missing = Missing::of(&book, region, types);
        if missing.is_nothing() {
            continue;
        }
        let (fetched, problem) = missing.ask(aws, region, &rows, now).await;
        for row in &fetched {
            book.add_row(row, now, age_ms_max);
        }
        put(ledger, fetched).await?;
        if let Some(problem) = problem {
            book.note_unanswered(*region, problem.to_string());
        }
    }
    Ok(book)
}

/// Asks AWS again for every price of a region that the ledger knows and that is older than `age_ms`, so that plans find them
/// young. Answers how many were renewed, and why AWS did not answer, if it did not.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn refresh(
    ledger: &impl Ledger,
    aws: &impl AskPrices,
    region: &Region,
    now: u64,
    age_ms: u64,
) -> Result<(usize, Option<ServiceError>), LedgerError> {
    let rows: Vec<PriceRow> = ledger::load_all(ledger, &price_pk(region), "").await?;
    let mut missing = Missing::default();
    for row in &rows {
        if now.saturating_sub(row.fetched_at) < age_ms {
            continue;
        }
        match Item::of_key(&row.item) {
            Some(Item::OnDemand(name)) => {
                missing.on_demand.insert(name);
            }
            Some(Item::Spot(name, _)) => {
                missing.spot.insert(name);
            }
            Some(Item::GibMonth) => missing.gib_month = true,
            Some(Item::PublicIpv4Hour) => missing.public_ipv4_hour = true,
            None => {}
        }
    }
    if missing.is_nothing() {
        return Ok((0, None));
    }
    let (fetched, problem) = missing.ask(aws, region, &rows, now).await;
    let renewed = fetched.len();
    put(ledger, fetched).await?;
    Ok((renewed, problem))
}

async fn put(ledger: &impl Ledger, rows: Vec<PriceRow>) -> Result<(), LedgerError> {
    let rows: Result<Vec<_>, _> = rows.iter().map(Stored::row).collect();
    ledger.put_all(rows?).await
}

/// What AWS has to be asked for in a region.
#[derive(Default)]
struct Missing {
    on_demand: BTreeSet<String>,
    spot: BTreeSet<String>,
    gib_month: bool,
    public_ipv4_hour: bool,
}

impl Missing {
    fn of(book: &PriceBook, region: &Region, types: &BTreeMap<String, bool>) -> Self {
        let lacks = |item: &Item| book.quote(region, item).is_none();
        Self {
            on_demand: types
                .keys()
                .filter(|name| lacks(&Item::OnDemand((*name).clone())))
                .cloned()
                .collect(),
            spot: types
                .iter()
                .filter(|(name, spot)| **spot && book.spot(region, name, None).is_none())
                .map(|(name, _)| name.clone())
                .collect(),
            gib_month: lacks(&Item::GibMonth),
            public_ipv4_hour: lacks(&Item::PublicIpv4Hour),
        }
    }

    fn is_nothing(&self) -> bool {
        self.on_demand.is_empty()
            && self.spot.is_empty()
            && !self.gib_month
            && !self.public_ipv4_hour
    }

    /// What AWS answers, as far as it does. The last thing that went wrong is told; one question's failure keeps no other
    /// from being asked.
    async fn ask(
        &self,
        aws: &impl AskPrices,
        region: &Region,
        known: &[PriceRow],
        now: u64,
    ) -> (Vec<PriceRow>, Option<ServiceError>) {
        let mut rows = Vec::new();
        let mut problem = None;
        let mut list = |item: Item, amount| {
            rows.push(PriceRow::of_list(*region, &item, amount, now));
        };
        if !self.on_demand.is_empty() {
            let types: Vec<String> = self.on_demand.iter().cloned().collect();
            match aws.on_demand_hours(region, &types).await {
                Ok(hours) => {
                    for (name, amount) in hours {
                        list(Item::OnDemand(name), amount);
                    }
                }
                Err(error) => problem = Some(error),
            }
        }
        if self.gib_month {
            match aws.gib_month(region).await {
                Ok(Some(amount)) => list(Item::GibMonth, amount),
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        if self.public_ipv4_hour {
            match aws.public_ipv4_hour(region).await {
                Ok(Some(amount)) => list(Item::PublicIpv4Hour, amount),
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        if !self.spot.is_empty() {
            match self.ask_spot(aws, region, known, now).await {
                Ok(spot) => rows.extend(spot),
                Err(error) => problem = Some(error),
            }
        }
        (rows, problem)
    }

    async fn ask_spot(
        &self,
        aws: &impl AskPrices,
        region: &Region,
        known: &[PriceRow],
        now: u64,
    ) -> Result<Vec<PriceRow>, ServiceError> {
        let types: Vec<String> = self.spot.iter().cloned().collect();
        let before: BTreeMap<&str, &PriceRow> =
            known.iter().map(|row| (row.item.as_str(), row)).collect();
        // From the oldest look on, so that no change in between is missed.
        let since = known
            .iter()
            .filter(|row| {
                matches!(Item::of_key(&row.item), Some(Item::Spot(name, _)) if self.spot.contains(&name))
            })
            .map(|row| row.fetched_at)
            .min()
            .unwrap_or(now)
            .min(now.saturating_sub(FIRST_LOOK_MS));
        let mut pools: BTreeMap<(String, String), Vec<PriceFrom>> = BTreeMap::new();
        for seen in aws.spot_prices(region, &types, since).await? {
            pools
                .entry((seen.instance_type, seen.availability_zone))
                .or_default()
                .push(seen.price);
        }
        let rows = pools.into_iter().filter_map(|((name, zone), changes)| {
            let item = Item::Spot(name, Some(zone));
            let earlier = before
                .get(item.key().as_str())
                .map_or(&[][..], |row| &row.changes);
            PriceRow::of_spot(*region, &item, earlier, changes, now)
        });
        Ok(rows.collect())
    }
}
