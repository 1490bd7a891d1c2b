//! A hosted zone of Route 53.

use std::future::Future;

use crate::dns::{Change, Record, RecordId};

/// Why Route 53 did not do what was asked, sorted by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Too many requests or changes, or another change of the zone is not done yet: nothing was changed, the same later.
    #[error("Route 53 throttles: {0}")]
    Throttled(String),
    /// The batch cannot be made: nothing of it was. The messages name what is wrong with it, mostly.
    #[error("Route 53 refuses the batch: {}", .0.join("; "))]
    Invalid(Vec<String>),
    /// It will not work for any batch: no permission, no such zone.
    #[error("Route 53 refuses: {0}")]
    Refused(String),
    /// No answer, or a failure inside Route 53. Whether the batch took effect is not known: look.
    #[error("Route 53 did not answer: {0}")]
    Transient(String),
}

/// A part of a zone's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// Records of the types that spawn makes, in Route 53's order.
    pub records: Vec<Record>,
    /// Where to go on; `None` when the zone has no more.
    pub next: Option<RecordStart>,
}

/// Where a listing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStart {
    /// The name, as Route 53 writes it.
    pub name: String,
    /// The type.
    pub kind: Option<String>,
    /// The set.
    pub set: Option<String>,
}

impl From<&RecordId> for RecordStart {
    fn from(id: &RecordId) -> Self {
        Self {
            name: id.name.clone(),
            kind: Some(id.kind.as_str().to_owned()),
            set: id.set.clone(),
        }
    }
}

/// How full a zone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneCapacity {
    /// The records that it has.
    pub records: u64,
    /// The records that it may have.
    pub records_max: u64,
}

/// Changes and shows the records of hosted zones.
pub trait ChangeRecords: Send + Sync {
    /// Makes all these changes or none. Not repeatable: a CREATE that was made is refused the second time. The caller keeps
    /// within Route 53's limits of one request.
    fn change_records(
        &self,
        zone: &str,
        changes: &[Change],
    ) -> impl Future<Output = Result<(), ZoneError>> + Send;

    /// Up to 300 records from `start` on, in Route 53's order. What was changed by an earlier call is there.
    fn list_records(
        &self,
        zone: &str,
        start: &RecordStart,
    ) -> impl Future<Output = Result<RecordPage, ZoneError>> + Send;
}

/// Tells what a hosted zone is and how full.
pub trait InspectZones: Send + Sync {
    /// The name of a zone without the dot at its end, and how full it is.
    fn zone(
        &self,
        zone: &str,
    ) -> impl Future<Output = Result<(String, ZoneCapacity), ZoneError>> + Send;
}
