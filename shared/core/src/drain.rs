//! Draining: a sweep launches nothing more, and all that lives of it is ended.

use serde_json::Value;

use crate::ids::SweepId;
use crate::ledger::{self, Condition, Ledger, LedgerError, Versioned, Write, path};
use crate::rows::{
    AttemptRow, BatchRow, Drain, ExecutionRow, LaneRow, MemberRow, SweepRow, attempt_key,
    batch_key, execution_key, sweep_key,
};
use crate::state::SweepStatus;
use crate::{errors::FunctionError, launch};

/// The sweep that an execution planned. When it has planned none yet, it never will: a mark is left that planning meets.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn sweep_of_execution(
    ledger: &impl Ledger,
    execution_arn: &str,
) -> Result<Option<SweepId>, LedgerError> {
    let row = ExecutionRow {
        execution_arn: execution_arn.to_owned(),
        sweep_id: None,
        version: 0,
    };
    match ledger.commit(vec![row.create()?]).await {
        Ok(()) => Ok(None),
        Err(LedgerError::Condition { .. }) => {
            let row: ExecutionRow = ledger::require(ledger, execution_key(execution_arn)).await?;
            Ok(row.sweep_id)
        }
        Err(error) => Err(error),
    }
}

/// Marks a sweep as draining, unless it is so already or over. Answers its row, or `None` when there is no such sweep.
///
/// # Errors
/// When the ledger does not answer. Repeatable; the first reason stays.
pub async fn mark(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    drain: &Drain,
) -> Result<Option<SweepRow>, FunctionError> {
    let drain = serde_json::to_value(drain).map_err(|e| FunctionError::Bug(e.to_string()))?;
    let before = [
        SweepStatus::Planning,
        SweepStatus::Launching,
        SweepStatus::Running,
    ];
    let status = path(&["status"]);
    let write = Write::Update {
        key: sweep_key(sweep_id),
        set: vec![
            (status.clone(), Value::from(SweepStatus::Draining.as_str())),
            (path(&["drain"]), drain),
        ],
        remove: Vec::new(),
        add: Vec::new(),
        when: vec![Condition::In(
            status,
            before.iter().map(|s| Value::from(s.as_str())).collect(),
        )],
    };
    match ledger.commit(vec![write]).await {
        // Not there, draining or over: the row tells.
        Ok(()) | Err(LedgerError::Condition { .. }) => {
            Ok(ledger::load(ledger, sweep_key(sweep_id)).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// How long a launch may be on its way: a launcher's own time limit and EC2's time until it shows an instance. An attempt
/// that is older has no launcher any more.
pub const LAUNCH_MS_MAX: u64 = 3 * 60 * 1000;

/// The attempt that a draining lane has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// None.
    No,
    /// One that its launcher may still record, or EC2 may still show.
    Yes,
}

/// Closes the attempt of a draining lane whose launcher is gone, so that its slots are free and the count of the living is
/// right. Its call is not repeated: it might launch. What it did launch is found by its tags and terminated.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn close_abandoned_attempt(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    lane: &LaneRow,
    now: u64,
) -> Result<InFlight, FunctionError> {
    let Some(open) = lane.open_attempt else {
        return Ok(InFlight::No);
    };
    let key = attempt_key(&lane.sweep_id, &lane.lane, open);
    let attempt: AttemptRow = ledger::require(ledger, key).await?;
    if attempt.created_at + LAUNCH_MS_MAX > now {
        return Ok(InFlight::Yes);
    }
    let batch: BatchRow =
        ledger::require(ledger, batch_key(&lane.sweep_id, &lane.lane, open.batch)).await?;
    let keys = attempt
        .members
        .iter()
        .map(|i| sweep.member_key(i))
        .collect();
    let members: Vec<MemberRow> = ledger::require_all(ledger, keys).await?;
    let closing = launch::Closing {
        launched: launch::launched(&members, &attempt),
        error: Some("its launcher was gone when the sweep was drained".to_owned()),
        not_before: now,
        stop: None,
    };
    match ledger
        .commit(launch::close(lane, &batch, &attempt, closing)?)
        .await
    {
        Ok(()) => Ok(InFlight::No),
        // Its launcher was not gone after all.
        Err(LedgerError::Condition { .. }) => Ok(InFlight::Yes),
        Err(error) => Err(error.into()),
    }
}
