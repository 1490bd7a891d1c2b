//! What an invocation did.

use serde_json::{Value, json};
use spawn_core::metrics::{Measured, Metric};

/// What was done, and what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Changes that Route 53 has taken.
    pub changes: u64,
    /// Calls by which it has.
    pub batches: u64,
    /// For each member that got its names: ms since its instance was seen running.
    pub lags_ms: Vec<u64>,
    /// Changes that were refused, and calls that failed.
    pub failures: u64,
    /// Records that somebody else has made or changed.
    pub foreign: u64,
    /// Members that were marked because ledger, zone and members did not agree.
    pub leftovers: u64,
}

impl Report {
    /// As metrics.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let as_value = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let counts = [
            (Metric::DnsChanges, self.changes),
            (Metric::DnsBatches, self.batches),
            (Metric::DnsFailures, self.failures),
            (Metric::DnsForeignRecords, self.foreign),
        ];
        let mut measured = Measured::new();
        for (metric, count) in counts {
            if count > 0 {
                measured = measured.with(metric, as_value(count));
            }
        }
        for lag in &self.lags_ms {
            measured = measured.with(Metric::DnsLag, as_value(*lag));
        }
        measured
    }

    /// For the answer to a schedule.
    #[must_use]
    pub fn summary(&self) -> Value {
        json!({
            "changes": self.changes,
            "batches": self.batches,
            "failures": self.failures,
            "foreign_records": self.foreign,
            "leftovers": self.leftovers,
        })
    }

    /// One line, when something was done.
    pub fn log(&self) {
        if *self != Self::default() {
            tracing::info!(
                changes = self.changes,
                batches = self.batches,
                failures = self.failures,
                foreign_records = self.foreign,
                leftovers = self.leftovers,
                "names brought up to date"
            );
        }
    }
}
