//! The ledger in memory, counting what DynamoDB would bill.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use simulation::MemoryLedger;
use spawn_core::ledger::{Attributes, Key, Ledger, LedgerError, Page, Row, Write};

/// Bytes of a strongly consistent read unit, and of a write unit (Amazon DynamoDB Developer Guide, "Read and write
/// operations").
const READ_UNIT_BYTES: usize = 4096;
const WRITE_UNIT_BYTES: usize = 1024;
/// Keys of one BatchGetItem.
const BATCH_KEYS: usize = 100;

/// What was asked of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// API calls.
    pub calls: u64,
    /// Read request units.
    pub reads: u64,
    /// Write request units; an item in a transaction takes two of each.
    pub writes: u64,
}

#[derive(Debug, Default)]
struct Count {
    units: Units,
    keys: BTreeSet<Key>,
}

/// A ledger that counts.
#[derive(Debug, Default)]
pub struct CountingLedger {
    inner: MemoryLedger,
    count: Arc<Mutex<Count>>,
}

impl CountingLedger {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked so far.
    #[must_use]
    pub fn units(&self) -> Units {
        self.count().units
    }

    /// An instance writes attributes of its own row; not counted here.
    pub fn report(&self, key: &Key, attributes: Attributes) {
        self.inner.report(key, attributes);
    }

    fn read(&self, bytes: usize, calls: usize) {
        let mut count = self.count();
        count.units.calls += wide(calls);
        count.units.reads += wide(bytes.div_ceil(READ_UNIT_BYTES).max(1));
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn bytes(attributes: &Attributes) -> usize {
    attributes
        .iter()
        .map(|(name, value)| name.len() + value.to_string().len())
        .sum()
}

impl Ledger for CountingLedger {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        let rows = self.inner.get(keys).await?;
        if !keys.is_empty() {
            // Each item is rounded up for itself.
            let units: usize = rows
                .iter()
                .map(|row| row.as_ref().map_or(0, |row| bytes(&row.attributes)))
                .map(|bytes| bytes.div_ceil(READ_UNIT_BYTES).max(1))
                .sum();
            self.read(units * READ_UNIT_BYTES, keys.len().div_ceil(BATCH_KEYS));
        }
        Ok(rows)
    }

    async fn query(&self, pk: &str, prefix: &str, _: Option<Key>) -> Result<Page, LedgerError> {
        let keys: Vec<Key> = {
            let count = self.count();
            let from = Key::new(pk, prefix);
            count
                .keys
                .range(from..)
                .take_while(|key| key.pk == pk && key.sk.starts_with(prefix))
                .cloned()
                .collect()
        };
        let rows: Vec<Row> = self.inner.get(&keys).await?.into_iter().flatten().collect();
        let total: usize = rows.iter().map(|row| bytes(&row.attributes)).sum();
        self.read(total, total.div_ceil(1 << 20).max(1));
        Ok(Page { rows, next: None })
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        {
            let mut count = self.count();
            count.units.calls += 1;
            let each = if writes.len() > 1 { 2 } else { 1 };
            for write in &writes {
                let size = match write {
                    Write::Put { row, .. } => bytes(&row.attributes),
                    Write::Update { .. } | Write::Delete { .. } => WRITE_UNIT_BYTES,
                };
                count.units.writes += wide(size.div_ceil(WRITE_UNIT_BYTES).max(1) * each);
            }
        }
        let keys: Vec<(Key, bool)> = writes
            .iter()
            .map(|write| {
                let stays = !matches!(write, Write::Delete { .. });
                (write.key().clone(), stays)
            })
            .collect();
        self.inner.commit(writes).await?;
        let mut count = self.count();
        for (key, stays) in keys {
            if stays {
                count.keys.insert(key);
            } else {
                count.keys.remove(&key);
            }
        }
        Ok(())
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<(), LedgerError> {
        self.count()
            .keys
            .extend(rows.iter().map(|row| row.key.clone()));
        self.inner.put_all(rows).await
    }

    async fn sweeps_by_status(&self, status: &str, _: Option<Key>) -> Result<Page, LedgerError> {
        let keys: Vec<Key> = {
            let count = self.count();
            let metas = count.keys.iter().filter(|key| key.sk == "META");
            metas.cloned().collect()
        };
        let mut rows: Vec<Row> = self.inner.get(&keys).await?.into_iter().flatten().collect();
        rows.retain(|row| row.attributes.get("status").and_then(|s| s.as_str()) == Some(status));
        self.read(rows.iter().map(|row| bytes(&row.attributes)).sum(), 1);
        Ok(Page { rows, next: None })
    }
}
