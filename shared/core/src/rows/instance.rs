//! The row of an instance: what it does, and what it reports.

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceArn, SweepId};
use crate::ledger::{Key, Stored};

/// From an instance to its member (`INSTANCE#arn` / `INSTANCE`), and what the instance reads at boot. Created by
/// launch-batch; afterwards only the instance itself writes to it, and only its `report_…` attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// The instance.
    pub instance: InstanceArn,
    /// Its sweep.
    pub sweep_id: SweepId,
    /// Its member.
    pub member_index: u32,
    /// What it does; see [`crate::boot`].
    pub assignment: String,
    /// The exit code of its program.
    pub report_exit_code: Option<i64>,
    /// The S3 key of its result, if it left one.
    pub report_result_key: Option<String>,
    /// When it reported, in ms since 1970.
    pub report_at: Option<u64>,
    /// What it has to say beside the exit code.
    pub report_reason: Option<String>,
}

/// The key of an instance's row.
#[must_use]
pub fn instance_key(instance: &InstanceArn) -> Key {
    Key::new(format!("INSTANCE#{instance}"), "INSTANCE")
}

impl Stored for InstanceRow {
    fn key(&self) -> Key {
        instance_key(&self.instance)
    }
}

impl InstanceRow {
    /// What the instance reported, if it did.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        Some(Report {
            exit_code: self.report_exit_code?,
            result_key: self.report_result_key.clone(),
            at: self.report_at?,
            reason: self.report_reason.clone(),
        })
    }
}

/// An instance's word on the end of its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The exit code; 128 + n after signal n.
    pub exit_code: i64,
    /// The S3 key of the result, if there is one.
    pub result_key: Option<String>,
    /// When, in ms since 1970.
    pub at: u64,
    /// More, in words.
    pub reason: Option<String>,
}
