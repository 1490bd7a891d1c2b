//! Executions of Step Functions that wait, and how they end.

use std::future::Future;

use serde_json::Value;

use super::ServiceError;
use crate::rows::{Drain, SweepRow};

/// Wakes executions that wait for a task token.
pub trait WakeExecutions: Send + Sync {
    /// Answers a token with `answer`, the output of the state that waits. A token that was answered before, timed out or belongs to an ended execution is no error: there is
    /// nobody to wake.
    fn wake(
        &self,
        task_token: &str,
        answer: &Value,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// How an execution ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEnd {
    /// Somebody stopped it.
    Aborted,
    /// It failed, or ran out of time.
    Failed,
}

/// Looks after the executions that submitted sweeps.
pub trait WatchExecutions: Send + Sync {
    /// How the execution ended, if it has ended without success. One that is not known any more is `None`: nothing is
    /// concluded from what cannot be looked up.
    fn bad_end(
        &self,
        execution_arn: &str,
    ) -> impl Future<Output = Result<Option<BadEnd>, ServiceError>> + Send;

    /// Starts to drain a sweep, unless another execution has resumed it since `sweep` was read. Asked again within the same `hour`
    /// (since 1970), for the same execution of the sweep, it starts nothing more.
    fn start_drain(
        &self,
        sweep: &SweepRow,
        drain: &Drain,
        hour: u64,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}
