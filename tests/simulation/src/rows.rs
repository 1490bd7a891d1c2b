//! The rows of a ledger, and the semantics that the port promises of changes to them.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::Value;
use spawn_core::ledger::{
    Attributes, Condition, Expect, Key, LedgerError, Page, Path, Row, TRANSACTION_ITEMS_MAX, Write,
};

/// All rows, by key.
#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeMap<Key, Attributes>);

impl Rows {
    /// The attributes of a row.
    #[cfg(feature = "control-plane")]
    pub(crate) fn get(&self, key: &Key) -> Option<&Attributes> {
        self.0.get(key)
    }

    /// A copy of a row.
    pub(crate) fn row(&self, key: &Key) -> Option<Row> {
        self.0.get(key).map(|attributes| Row {
            key: key.clone(),
            attributes: attributes.clone(),
        })
    }

    /// Puts a row without a condition.
    pub(crate) fn put(&mut self, row: Row) {
        self.0.insert(row.key, row.attributes);
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Sets attributes of a row that exists; answers whether it does.
    pub(crate) fn set(&mut self, key: &Key, attributes: Attributes) -> bool {
        match self.0.get_mut(key) {
            Some(row) => {
                row.extend(attributes);
                true
            }
            None => false,
        }
    }

    /// All rows in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Attributes)> {
        self.0.iter()
    }

    /// Up to `page_rows` rows of a partition whose sort key begins with `prefix`, after `from`.
    pub(crate) fn query(
        &self,
        pk: &str,
        prefix: &str,
        from: Option<Key>,
        page_rows: usize,
    ) -> Page {
        let start = match from {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(Key::new(pk, prefix)),
        };
        let mut found = self
            .0
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| key.pk == pk && key.sk.starts_with(prefix));
        let rows: Vec<Row> = found
            .by_ref()
            .take(page_rows)
            .map(|(key, attributes)| Row {
                key: key.clone(),
                attributes: attributes.clone(),
            })
            .collect();
        let more = found.next().is_some();
        let next = rows.last().filter(|_| more).map(|row| row.key.clone());
        Page { rows, next }
    }

    /// Makes all changes or none.
    pub(crate) fn commit(&mut self, writes: &[Write]) -> Result<(), LedgerError> {
        check_shape(writes)?;
        let failed: Vec<Key> = writes
            .iter()
            .filter(|write| !holds(self.0.get(write.key()), write))
            .map(|write| write.key().clone())
            .collect();
        if !failed.is_empty() {
            return Err(LedgerError::Condition { failed });
        }
        // Nothing is written when one of them cannot be.
        for write in writes {
            if let (Write::Update { key, add, .. }, Some(row)) = (write, self.0.get(write.key()))
                && let Some((path, _)) = add
                    .iter()
                    .find(|(path, _)| find(row, path).and_then(Value::as_i64).is_none())
            {
                let text = format!("{}/{} has no number {}", key.pk, key.sk, path.join("."));
                return Err(LedgerError::Refused(text));
            }
        }
        for write in writes {
            self.apply(write)?;
        }
        Ok(())
    }

    fn apply(&mut self, write: &Write) -> Result<(), LedgerError> {
        match write {
            Write::Put { row, .. } => {
                self.0.insert(row.key.clone(), row.attributes.clone());
            }
            Write::Delete { key, .. } => {
                self.0.remove(key);
            }
            Write::Update {
                key,
                set,
                remove,
                add,
                ..
            } => {
                if let Some(attributes) = self.0.get_mut(key) {
                    update(attributes, set, remove, add)?;
                }
            }
        }
        Ok(())
    }
}

fn check_shape(writes: &[Write]) -> Result<(), LedgerError> {
    if writes.len() > TRANSACTION_ITEMS_MAX {
        let text = format!("a transaction of {} actions", writes.len());
        return Err(LedgerError::Refused(text));
    }
    let mut keys: Vec<&Key> = writes.iter().map(Write::key).collect();
    keys.sort();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(LedgerError::Refused("two actions on one row".to_owned()));
    }
    Ok(())
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

/// The attribute at `path`.
pub(crate) fn find<'a>(row: &'a Attributes, path: &Path) -> Option<&'a Value> {
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
