//! What a run counts.

use std::collections::BTreeMap;

use super::faults::Fault;
use super::lambda::Function;

/// Calls and units, as AWS bills them.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Faults that happened.
    pub faults: BTreeMap<Fault, u64>,
    /// Calls to the outside, by function and name.
    pub calls: BTreeMap<(Function, &'static str), u64>,
    /// Invocations by function.
    pub invocations: BTreeMap<Function, u64>,
    /// Milliseconds by function.
    pub function_ms: BTreeMap<Function, u64>,
    /// State transitions by machine.
    pub transitions: BTreeMap<&'static str, u64>,
    /// Write request units of the ledger.
    pub write_units: u64,
    /// Read request units of the ledger, in halves.
    pub read_half_units: u64,
    /// Rows written.
    pub rows_written: u64,
    /// Rows read.
    pub rows_read: u64,
    /// Requests of the queue.
    pub queue_requests: u64,
    /// Events that members put on the bus.
    pub member_events: u64,
    /// Requests to S3 that put, and that get.
    pub objects_put: u64,
    /// Requests to S3 that get.
    pub objects_got: u64,
}

impl Stats {
    /// Counts the units of writing a row of so many bytes; a transaction writes twice.
    pub(crate) fn write(&mut self, bytes: usize, transaction: bool) {
        let units = u64::try_from(bytes.div_ceil(1_024).max(1)).unwrap_or(u64::MAX);
        self.write_units += units * if transaction { 2 } else { 1 };
        self.rows_written += 1;
    }

    /// Counts the units of a strongly consistent read of so many bytes.
    pub(crate) fn read(&mut self, bytes: usize, rows: usize) {
        self.read_half_units += 2 * u64::try_from(bytes.div_ceil(4_096).max(1)).unwrap_or(u64::MAX);
        self.rows_read += u64::try_from(rows).unwrap_or(0);
    }
}
