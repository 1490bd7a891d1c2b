//! Metrics that are sent, rather than logged.

use std::future::Future;

use super::ServiceError;
use crate::rollup::Datum;

/// Sends numbers to CloudWatch, and looks whether they arrived.
pub trait PublishMetrics: Send + Sync {
    /// Sends at most [`crate::rollup::DATA_MAX`] numbers in one call. Not repeatable: what is sent twice counts twice.
    fn send(&self, data: &[Datum]) -> impl Future<Output = Result<(), ServiceError>> + Send;

    /// Whether CloudWatch has a number of this metric and scope in this minute. One that was sent less than two minutes ago
    /// may not be shown yet.
    fn has(&self, datum: &Datum) -> impl Future<Output = Result<bool, ServiceError>> + Send;
}
