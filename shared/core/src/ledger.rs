//! The ledger as the domain sees it: rows, conditional writes that succeed or fail as one, and the port that carries them out.
//!
//! Two kinds of change keep the ledger right while many functions write at once. A row that one writer owns at a time is
//! read, changed and put back on the condition that its `version` is still the one that was read. A row that all write to
//! (a sweep's `META`) is changed by additions with conditions, so that writers do not undo each other.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// DynamoDB's limit of actions in one transaction (Amazon DynamoDB Developer Guide, "Service quotas").
pub const TRANSACTION_ITEMS_MAX: usize = 100;

/// The primary key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// The key of these two parts.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }
}

/// The attributes of a row without its key.
pub type Attributes = Map<String, Value>;

/// A row: its key and its attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where the row is.
    pub key: Key,
    /// What it holds.
    pub attributes: Attributes,
}

/// A type that is stored as a row.
pub trait Stored: Serialize + DeserializeOwned {
    /// Where this value is stored.
    fn key(&self) -> Key;

    /// The row of this value.
    ///
    /// # Errors
    /// When the value is not an object in JSON, or has fields called as the table's key is, which are defects of the type.
    fn row(&self) -> Result<Row, LedgerError> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut attributes)) => {
                attributes.retain(|_, value| !value.is_null());
                // The key of every row is called so; a field of that name would be lost on the way.
                if let Some(name) = ["pk", "sk"]
                    .iter()
                    .find(|name| attributes.contains_key(**name))
                {
                    return Err(LedgerError::Corrupt {
                        key: self.key(),
                        problem: format!("the field `{name}` is called as the key is"),
                    });
                }
                Ok(Row {
                    key: self.key(),
                    attributes,
                })
            }
            Ok(_) => Err(LedgerError::Corrupt {
                key: self.key(),
                problem: "not an object".to_owned(),
            }),
            Err(error) => Err(LedgerError::Corrupt {
                key: self.key(),
                problem: error.to_string(),
            }),
        }
    }

    /// The value that a row holds.
    ///
    /// # Errors
    /// When the row does not hold a value of this type.
    fn from_row(row: Row) -> Result<Self, LedgerError> {
        serde_json::from_value(Value::Object(row.attributes)).map_err(|error| {
            LedgerError::Corrupt {
                key: row.key,
                problem: error.to_string(),
            }
        })
    }
}

/// A stored type of which one writer at a time may change a row.
pub trait Versioned: Stored {
    /// The row's version, 0 when it is new.
    fn version(&self) -> u64;
    /// Sets the version.
    fn set_version(&mut self, version: u64);

    /// The write that creates the row, and fails when it is there.
    ///
    /// # Errors
    /// As [`Stored::row`].
    fn create(&self) -> Result<Write, LedgerError> {
        Ok(Write::Put {
            row: self.row()?,
            expect: Expect::Absent,
        })
    }

    /// The write that puts this changed value back, and fails when another writer was faster.
    ///
    /// # Errors
    /// As [`Stored::row`].
    fn replace(mut self) -> Result<Write, LedgerError> {
        let read = self.version();
        self.set_version(read + 1);
        Ok(Write::Put {
            row: self.row()?,
            expect: Expect::Version(read),
        })
    }
}

/// The path of an attribute: its name, and the keys of maps inside it.
pub type Path = Vec<String>;

/// A path from its parts.
#[must_use]
pub fn path(parts: &[&str]) -> Path {
    parts.iter().map(|&part| part.to_owned()).collect()
}

/// What must hold of a row for a [`Write::Put`] or [`Write::Delete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such row.
    Absent,
    /// The row's `version` is this.
    Version(u64),
}

/// What must hold of a row for a [`Write::Update`].
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The attribute is this value.
    Equals(Path, Value),
    /// The attribute is one of these values.
    In(Path, Vec<Value>),
    /// The attribute is a number no larger than this.
    AtMost(Path, i64),
    /// There is no such attribute.
    Missing(Path),
}

/// One change to one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Puts the whole row.
    Put {
        /// The new row.
        row: Row,
        /// What must hold of the old one.
        expect: Expect,
    },
    /// Changes some attributes of a row that exists, and adds 1 to its version.
    Update {
        /// The row.
        key: Key,
        /// Attributes to set.
        set: Vec<(Path, Value)>,
        /// Attributes to remove.
        remove: Vec<Path>,
        /// Numbers to add to; the attribute must exist.
        add: Vec<(Path, i64)>,
        /// What must hold, beside that the row exists.
        when: Vec<Condition>,
    },
    /// Deletes a row.
    Delete {
        /// The row.
        key: Key,
        /// What must hold of it.
        expect: Expect,
    },
}

impl Write {
    /// The row that this changes.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { row, .. } => &row.key,
            Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// Why the ledger could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A condition did not hold: another writer was faster, or the row's state is another. Nothing was written. Read again.
    #[error("a condition on {} did not hold", display_keys(.failed))]
    Condition {
        /// The rows whose condition failed, as far as the store tells.
        failed: Vec<Key>,
    },
    /// The store asks for fewer requests, or another transaction held a row. Nothing was written. Try again later.
    #[error("the ledger is busy: {0}")]
    Busy(String),
    /// The store did not answer, or failed. Whether the write took effect is not known. Read again.
    #[error("the ledger did not answer: {0}")]
    Unavailable(String),
    /// The store refuses this for good: no permission, no such table, too large.
    #[error("the ledger refused: {0}")]
    Refused(String),
    /// A row does not hold what it must hold.
    #[error("row {}/{} is not readable: {problem}", key.pk, key.sk)]
    Corrupt {
        /// The row.
        key: Key,
        /// What is wrong.
        problem: String,
    },
}

fn display_keys(keys: &[Key]) -> String {
    let names: Vec<String> = keys.iter().map(|k| format!("{}/{}", k.pk, k.sk)).collect();
    names.join(", ")
}

/// One page of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows in the order of their sort keys.
    pub rows: Vec<Row>,
    /// Where to go on; `None` when this was the last page.
    pub next: Option<Key>,
}

/// The store of the ledger.
///
/// Reads are strongly consistent, except [`Ledger::sweeps_by_status`]. Every call may be repeated: reads and `put_all`
/// because they change nothing the second time, `commit` because its conditions do not hold a second time.
pub trait Ledger: Send + Sync {
    /// The rows of these keys, in their order; `None` where there is none. Any number of keys.
    fn get(
        &self,
        keys: &[Key],
    ) -> impl Future<Output = Result<Vec<Option<Row>>, LedgerError>> + Send;

    /// The rows of a partition whose sort key begins with `prefix`, after `from`.
    fn query(
        &self,
        pk: &str,
        prefix: &str,
        from: Option<Key>,
    ) -> impl Future<Output = Result<Page, LedgerError>> + Send;

    /// Makes all these changes or none. At most [`TRANSACTION_ITEMS_MAX`], no two of one row.
    fn commit(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Puts all these rows without conditions, in any order, not as one. For rows that nobody else reads yet.
    fn put_all(&self, rows: Vec<Row>) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The partition keys of the sweeps in this status, from an index that may lag behind.
    fn sweeps_by_status(
        &self,
        status: &str,
        from: Option<Key>,
    ) -> impl Future<Output = Result<Page, LedgerError>> + Send;
}

/// Deletes the row of `key`, unless somebody has changed or deleted it since it had this version.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn forget(ledger: &impl Ledger, key: Key, version: u64) -> Result<(), LedgerError> {
    let delete = Write::Delete {
        key,
        expect: Expect::Version(version),
    };
    match ledger.commit(vec![delete]).await {
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The typed value of `key`, if there is one.
///
/// # Errors
/// As [`Ledger::get`], and when the row is not readable.
pub async fn load<T: Stored>(ledger: &impl Ledger, key: Key) -> Result<Option<T>, LedgerError> {
    match ledger.get(&[key]).await?.into_iter().next().flatten() {
        Some(row) => T::from_row(row).map(Some),
        None => Ok(None),
    }
}

/// The typed value of `key`, which must be there.
///
/// # Errors
/// As [`load`], and [`LedgerError::Corrupt`] when there is no such row.
pub async fn require<T: Stored>(ledger: &impl Ledger, key: Key) -> Result<T, LedgerError> {
    let mut values = require_all(ledger, vec![key.clone()]).await?;
    values.pop().ok_or_else(|| LedgerError::Corrupt {
        key,
        problem: "there is no such row".to_owned(),
    })
}

/// The typed values of `keys`, all of which must be there, in their order.
///
/// # Errors
/// As [`require`].
pub async fn require_all<T: Stored>(
    ledger: &impl Ledger,
    keys: Vec<Key>,
) -> Result<Vec<T>, LedgerError> {
    let rows = ledger.get(&keys).await?;
    keys.into_iter()
        .zip(rows)
        .map(|(key, row)| match row {
            Some(row) => T::from_row(row),
            None => Err(LedgerError::Corrupt {
                key,
                problem: "there is no such row".to_owned(),
            }),
        })
        .collect()
}

/// All typed values of a partition whose sort key begins with `prefix`, page after page.
///
/// # Errors
/// As [`Ledger::query`], and when a row is not readable.
pub async fn load_all<T: Stored>(
    ledger: &impl Ledger,
    pk: &str,
    prefix: &str,
) -> Result<Vec<T>, LedgerError> {
    let mut all = Vec::new();
    let mut from = None;
    loop {
        let page = ledger.query(pk, prefix, from).await?;
        for row in page.rows {
            all.push(T::from_row(row)?);
        }
        from = page.next;
        if from.is_none() {
            return Ok(all);
        }
    }
}
