//! Lists of sweeps.

use std::future::Future;

use crate::ledger::{Key, LedgerError, Page};

/// What sweeps are listed by. Each is an index of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepsBy {
    /// Their status.
    Status,
    /// Their owner.
    Owner,
    /// Their project.
    Project,
}

impl SweepsBy {
    /// The attribute of a sweep's row.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Owner => "owner",
            Self::Project => "project",
        }
    }
}

/// One question for sweeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    /// By what they are listed.
    pub by: SweepsBy,
    /// The status, owner or project.
    pub value: &'a str,
    /// Only those that started at this time or before, in ms since 1970.
    pub until: u64,
    /// Rows of one page, at most.
    pub limit: u32,
    /// Where to go on.
    pub from: Option<Key>,
}

/// Lists sweeps.
pub trait ListSweeps: Send + Sync {
    /// A page of the rows of sweeps, the newest first, from an index that may lag behind. A page can be short or empty, and
    /// yet not the last one.
    fn newest_sweeps(
        &self,
        listing: &Listing<'_>,
    ) -> impl Future<Output = Result<Page, LedgerError>> + Send;
}
