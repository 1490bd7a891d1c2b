//! The ledger in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use spawn_core::ledger::{
    Attributes, Condition, Expect, Key, Ledger, LedgerError, Page, Path, Row,
    TRANSACTION_ITEMS_MAX, Write,
};
use spawn_core::ports::{ListSweeps, Listing};

use crate::faults::Faults;

/// Rows of one page; small, so that tests meet the second page.
const PAGE_ROWS: usize = 40;

/// A ledger with the semantics that the port promises.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    rows: Mutex<BTreeMap<Key, Attributes>>,
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

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Key, Attributes>> {
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

    /// Sets attributes of a row, as an instance does with its report.
    pub fn report(&self, key: &Key, attributes: Attributes) {
        if let Some(row) = self.rows().get_mut(key) {
            row.extend(attributes);
        }
    }

    fn commit_now(&self, writes: &[Write]) -> Result<(), LedgerError> {
        if writes.len() > TRANSACTION_ITEMS_MAX {
            let text = format!("a transaction of {} actions", writes.len());
            return Err(LedgerError::Refused(text));
        }
        let mut keys: Vec<&Key> = writes.iter().map(Write::key).collect();
        keys.sort();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(LedgerError::Refused("two actions on one row".to_owned()));
        }
        let mut rows = self.rows();
        let failed: Vec<Key> = writes
            .iter()
            .filter(|write| !holds(rows.get(write.key()), write))
            .map(|write| write.key().clone())
            .collect();
        if !failed.is_empty() {
            return Err(LedgerError::Condition { failed });
        }
        // Nothing is written when one of them cannot be.
        for write in writes {
            if let (Write::Update { key, add, .. }, Some(row)) = (write, rows.get(write.key()))
                && let Some((path, _)) = add
                    .iter()
                    .find(|(path, _)| find(row, path).and_then(Value::as_i64).is_none())
            {
                let text = format!("{}/{} has no number {}", key.pk, key.sk, path.join("."));
                return Err(LedgerError::Refused(text));
            }
        }
        for write in writes {
            match write {
                Write::Put { row, .. } => {
                    rows.insert(row.key.clone(), row.attributes.clone());
                }
                Write::Delete { key, .. } => {
                    rows.remove(key);
                }
                Write::Update {
                    key,
                    set,
                    remove,
                    add,
                    ..
                } => {
                    if let Some(attributes) = rows.get_mut(key) {
                        update(attributes, set, remove, add)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn holds(row: Option<&Attributes>, write: &Write) -> bool {
    match write {
        Write::Put { expect, .. } | Write::Delete { expect, .. } => match expect {
            Expect::Absent => row.is_none(),
            Expect::Version(version) => {
                row.and_then(|row| row.get("version")) == Some(&Value::from(*version))
            }
        },
        Write::Update { when, .. } => {
            row.is_some_and(|row| when.iter().all(|condition| condition_holds(row, condition)))
        }
    }
}

fn condition_holds(row: &Attributes, condition: &Condition) -> bool {
    match condition {
        Condition::Equals(path, value) => find(row, path) == Some(value),
        Condition::In(path, values) => find(row, path).is_some_and(|v| values.contains(v)),
        Condition::AtMost(path, limit) => find(row, path)
            .and_then(Value::as_i64)
            .is_some_and(|number| number <= *limit),
        Condition::Missing(path) => find(row, path).is_none(),
    }
}

fn find<'a>(row: &'a Attributes, path: &Path) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(row.get(first)?, |value, part| value.get(part))
}

fn update(
    row: &mut Attributes,
    set: &[(Path, Value)],
    remove: &[Path],
    add: &[(Path, i64)],
) -> Result<(), LedgerError> {
    let missing = |path: &Path| LedgerError::Refused(format!("no attribute {}", path.join(".")));
    for (path, by) in add {
        let old = find(row, path)
            .and_then(Value::as_i64)
            .ok_or_else(|| missing(path))?;
        put(row, path, Value::from(old + by)).ok_or_else(|| missing(path))?;
    }
    for (path, value) in set {
        put(row, path, value.clone()).ok_or_else(|| missing(path))?;
    }
    for path in remove {
        if let [name] = &path[..] {
            row.remove(name);
        }
    }
    let version = row.get("version").and_then(Value::as_u64).unwrap_or(0);
    row.insert("version".to_owned(), Value::from(version + 1));
    Ok(())
}

fn put(row: &mut Attributes, path: &Path, value: Value) -> Option<()> {
    let (last, parents) = path.split_last()?;
    let mut map = row;
    for part in parents {
        map = map.get_mut(part)?.as_object_mut()?;
    }
    map.insert(last.clone(), value);
    Some(())
}

impl Ledger for MemoryLedger {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        self.faults
            .call(|| {
                let rows = self.rows();
                let row = |key: &Key| {
                    rows.get(key).map(|attributes| Row {
                        key: key.clone(),
                        attributes: attributes.clone(),
                    })
                };
                Ok(keys.iter().map(row).collect())
            })
            .await
    }

    async fn query(&self, pk: &str, prefix: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        self.faults
            .call(|| {
                let mut rows: Vec<Row> = self
                    .dump()
                    .into_iter()
                    .filter(|row| row.key.pk == pk && row.key.sk.starts_with(prefix))
                    .filter(|row| from.as_ref().is_none_or(|from| row.key > *from))
                    .collect();
                let more = rows.len() > PAGE_ROWS;
                rows.truncate(PAGE_ROWS);
                let next = rows.last().filter(|_| more).map(|row| row.key.clone());
                Ok(Page { rows, next })
            })
            .await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        self.faults.call(|| self.commit_now(&writes)).await
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<(), LedgerError> {
        self.faults
            .call(|| {
                let new = rows.into_iter().map(|row| (row.key, row.attributes));
                self.rows().extend(new);
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
