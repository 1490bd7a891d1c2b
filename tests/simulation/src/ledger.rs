//! The ledger in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use spawn_core::ledger::{Attributes, Key, Ledger, LedgerError, Page, Row, Write};
use spawn_core::ports::{ListSweeps, Listing};

use crate::faults::Faults;
use crate::rows::Rows;

/// Rows of one page; small, so that tests meet the second page.
const PAGE_ROWS: usize = 40;

/// A ledger with the semantics that the port promises.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    rows: Mutex<Rows>,
    faults: Arc<Faults>,
}

impl MemoryLedger {
    /// An empty ledger whose calls `faults` counts.
    #[must_use]
    pub fn new(faults: Arc<Faults>) -> Self {
        Self {
            rows: Mutex::default(),
            faults,
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows, for a test to look at.
    #[must_use]
    pub fn dump(&self) -> Vec<Row> {
        let row = |(key, attributes): (&Key, &Attributes)| Row {
            key: key.clone(),
            attributes: attributes.clone(),
        };
        self.rows().iter().map(row).collect()
    }

    /// Takes a row out, as DynamoDB does with one that has expired.
    pub fn forget(&self, key: &Key) {
        self.rows().remove(key);
    }

    /// Sets attributes of a row, as an instance does with its report.
    pub fn report(&self, key: &Key, attributes: Attributes) {
        self.rows().set(key, attributes);
    }
}

impl Ledger for MemoryLedger {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        self.faults
            .call(|| {
                let rows = self.rows();
                Ok(keys.iter().map(|key| rows.row(key)).collect())
            })
            .await
    }

    async fn query(&self, pk: &str, prefix: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        self.faults
            .call(|| Ok(self.rows().query(pk, prefix, from, PAGE_ROWS)))
            .await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        self.faults.call(|| self.rows().commit(&writes)).await
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<(), LedgerError> {
        self.faults
            .call(|| {
                let mut ledger = self.rows();
                rows.into_iter().for_each(|row| ledger.put(row));
                Ok(())
            })
            .await
    }

    async fn sweeps_by_status(&self, status: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        self.faults
            .call(|| {
                let rows = self
                    .dump()
                    .into_iter()
                    .filter(|row| row.key.sk == "META")
                    .filter(|row| row.attributes.get("status") == Some(&Value::from(status)))
                    .filter(|row| from.as_ref().is_none_or(|from| row.key > *from))
                    .collect();
                Ok(Page { rows, next: None })
            })
            .await
    }
}

impl ListSweeps for MemoryLedger {
    async fn newest_sweeps(&self, listing: &Listing<'_>) -> Result<Page, LedgerError> {
        self.faults
            .call(|| {
                let attribute = listing.by.attribute();
                let started = |row: &Row| row.attributes.get("started_at").and_then(Value::as_u64);
                let mut rows: Vec<Row> = self
                    .dump()
                    .into_iter()
                    .filter(|row| row.key.sk == "META")
                    .filter(|row| {
                        row.attributes.get(attribute) == Some(&Value::from(listing.value))
                    })
                    .filter(|row| started(row).is_some_and(|at| at <= listing.until))
                    .collect();
                rows.sort_by(|a, b| started(b).cmp(&started(a)).then(b.key.cmp(&a.key)));
                if let Some(from) = &listing.from {
                    let seen = rows.iter().position(|row| row.key == *from);
                    rows.drain(..seen.map_or(0, |seen| seen + 1));
                }
                let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
                let more = rows.len() > limit;
                rows.truncate(limit);
                let next = rows.last().filter(|_| more).map(|row| row.key.clone());
                Ok(Page { rows, next })
            })
            .await
    }
}
