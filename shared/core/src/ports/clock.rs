//! Time that passes while a function works.

use std::future::Future;

/// The present, and waiting. In the simulation both are virtual.
pub trait Clock: Send + Sync {
    /// The present in ms since 1970.
    fn now_ms(&self) -> u64;

    /// Waits.
    fn sleep_ms(&self, ms: u64) -> impl Future<Output = ()> + Send;
}
