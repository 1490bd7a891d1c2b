//! The row of an instance: what it does, and what it reports.

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceArn, SweepId};
use crate::ledger::{Key, Stored};

/// From an instance to its member (`INSTANCE#arn` / `INSTANCE`), and what the instance reads. Created by launch-batch.
/// Afterwards the control plane sets `ttl_deadline` and `warning`, and the instance itself its `report_…` attributes and
/// nothing else.
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
    /// When its time is over, in ms since 1970: the member's, where its instance can read it. The boot runner asks for it
    /// every minute and sets the kill switch to it.
    pub ttl_deadline: Option<u64>,
    /// What idle-reaper has to say to whoever is logged in; the boot runner shows it once.
    pub warning: Option<String>,
    /// The exit code of its program.
    pub report_exit_code: Option<i64>,
    /// The S3 key of its result, if it left one.
    pub report_result_key: Option<String>,
    /// When it reported, in ms since 1970.
    pub report_at: Option<u64>,
    /// That it ended its program because EC2 takes it back.
    #[serde(default)]
    pub report_interrupted: Option<bool>,
    /// What it has to say beside the exit code.
    pub report_reason: Option<String>,
    /// When it was last heard of, in ms since 1970; it writes when its activity changes, and now and then in between.
    pub report_heartbeat_at: Option<u64>,
    /// Whether it is at work, by its own measure: `busy`, `idle` or `unknown`.
    pub report_activity: Option<String>,
    /// Since when, in ms since 1970.
    pub report_activity_since: Option<u64>,
    /// What it was measured by, in words.
    pub report_activity_note: Option<String>,
    /// Which of the metrics that its sweep wants of it are not sent, and why, if so.
    #[serde(default)]
    pub report_metrics_note: Option<String>,
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
    /// The row of an instance that has not said anything yet.
    #[must_use]
    pub fn assigned(
        instance: InstanceArn,
        sweep_id: SweepId,
        member_index: u32,
        assignment: String,
        ttl_deadline: Option<u64>,
    ) -> Self {
        Self {
            instance,
            sweep_id,
            member_index,
            assignment,
            ttl_deadline,
            warning: None,
            report_exit_code: None,
            report_result_key: None,
            report_at: None,
            report_interrupted: None,
            report_reason: None,
            report_heartbeat_at: None,
            report_activity: None,
            report_activity_since: None,
            report_activity_note: None,
            report_metrics_note: None,
        }
    }

    /// What the instance reported, if it did.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        Some(Report {
            exit_code: self.report_exit_code?,
            interrupted: self.report_interrupted == Some(true),
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
    /// Whether the instance ended the program because EC2 takes it back.
    pub interrupted: bool,
    /// The S3 key of the result, if there is one.
    pub result_key: Option<String>,
    /// When, in ms since 1970.
    pub at: u64,
    /// More, in words.
    pub reason: Option<String>,
}
