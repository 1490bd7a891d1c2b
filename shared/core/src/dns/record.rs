//! Records of a zone, and changes of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The types of records that spawn makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordType {
    /// An IPv4 address.
    #[serde(rename = "A")]
    A,
    /// An IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa,
}

impl RecordType {
    /// The name as DNS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}

/// What tells a record apart from all others of its zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The name, without the dot at its end.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// Tells records of one multivalue name apart; `None` for a record that has its name alone.
    pub set: Option<String>,
}

impl RecordId {
    /// By what Route 53 orders records: the name's labels backwards, then type and set (API reference of
    /// `ListResourceRecordSets`).
    fn order(&self) -> (String, &'static str, &str) {
        let backwards: Vec<&str> = self.name.split('.').rev().collect();
        (
            backwards.join(".") + ".",
            self.kind.as_str(),
            self.set.as_deref().unwrap_or_default(),
        )
    }
}

impl PartialOrd for RecordId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RecordId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind.as_str())?;
        match &self.set {
            Some(set) => write!(f, " {set}"),
            None => Ok(()),
        }
    }
}

/// A record set: everything that a DELETE must repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Which one.
    #[serde(flatten)]
    pub id: RecordId,
    /// How long resolvers may keep it, in seconds.
    pub ttl_s: u32,
    /// Its values, in the order in which they were given.
    pub values: Vec<String>,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a record that is not there.
    Create,
    /// Removes a record whose values are exactly these.
    Delete,
}

/// One change of a batch. There is no UPSERT: it counts twice, and it would overwrite what somebody else has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To which record.
    pub record: Record,
}
