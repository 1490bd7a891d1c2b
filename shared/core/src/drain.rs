//! Draining: a sweep launches nothing more, and all that lives of it is ended.

use serde_json::Value;

use crate::ids::SweepId;
use crate::ledger::{self, Condition, Ledger, LedgerError, Versioned, Write, path};
use crate::rows::{
    AttemptRow, BatchRow, Drain, ExecutionRow, LaneRow, MemberRow, OpenAttempt, SweepRow,
    attempt_key, batch_key, execution_key, sweep_key,
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

/// Marks a sweep as draining, unless it is so already or over. Answers its row, or `None` when there is no such sweep, or it is not
/// that of `execution_arn`: another execution has resumed it.
///
/// # Errors
/// When the ledger does not answer. Repeatable; the first reason stays.
pub async fn mark(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    execution_arn: Option<&str>,
    drain: &Drain,
) -> Result<Option<SweepRow>, FunctionError> {
    let drain = serde_json::to_value(drain).map_err(|e| FunctionError::Bug(e.to_string()))?;
    let before = [
        SweepStatus::Planning,
        SweepStatus::Launching,
        SweepStatus::Running,
    ];
    let status = path(&["status"]);
    let mut when = vec![Condition::In(
        status.clone(),
        before.iter().map(|s| Value::from(s.as_str())).collect(),
    )];
    when.extend(
        execution_arn.map(|arn| Condition::Equals(path(&["execution_arn"]), Value::from(arn))),
    );
    let write = Write::Update {
        key: sweep_key(sweep_id),
        set: vec![
            (status, Value::from(SweepStatus::Draining.as_str())),
            (path(&["drain"]), drain),
        ],
        remove: Vec::new(),
        add: Vec::new(),
        when,
    };
    match ledger.commit(vec![write]).await {
        // Not there, draining, over or another execution's: the row tells.
        Ok(()) | Err(LedgerError::Condition { .. }) => {
            let sweep: Option<SweepRow> = ledger::load(ledger, sweep_key(sweep_id)).await?;
            let is_its = |row: &SweepRow| execution_arn.is_none_or(|arn| row.execution_arn == arn);
            Ok(sweep.filter(is_its))
        }
        Err(error) => Err(error.into()),
    }
}

/// How long EC2 may take until it shows what a call launched.
const SHOWN_MS_MAX: u64 = 30 * 1000;

/// How long a launch may be on its way: its call, and EC2's time until it shows an instance. An attempt that is older has no
/// launcher any more.
pub const LAUNCH_MS_MAX: u64 = launch::CALL_MS_MAX + SHOWN_MS_MAX;

/// The attempts that a lane has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// None.
    No,
    /// One that its launcher may still record, or EC2 may still show.
    Yes,
}

async fn open_attempts(
    ledger: &impl Ledger,
    lane: &LaneRow,
) -> Result<Vec<AttemptRow>, LedgerError> {
    let key_of = |open: &OpenAttempt| attempt_key(&lane.sweep_id, &lane.lane, *open);
    let keys = lane.open_attempts.iter().map(key_of).collect();
    ledger::require_all(ledger, keys).await
}

/// Until when an attempt may launch, or EC2 show what it launched (ms since 1970).
fn in_flight_until(attempt: &AttemptRow) -> u64 {
    let calls = attempt.calling_until.unwrap_or(0);
    calls.max(attempt.unsettled_until).max(attempt.created_at) + SHOWN_MS_MAX
}

/// Whether a lane has attempts under way that may still launch.
///
/// # Errors
/// When the ledger does not answer.
pub async fn in_flight(
    ledger: &impl Ledger,
    lane: &LaneRow,
    now: u64,
) -> Result<InFlight, LedgerError> {
    let attempts = open_attempts(ledger, lane).await?;
    Ok(
        match attempts.iter().any(|one| in_flight_until(one) > now) {
            true => InFlight::Yes,
            false => InFlight::No,
        },
    )
}

/// Closes the attempts of a draining lane whose launcher is gone, so that their slots are free and the count of the living is
/// right. Their calls are not repeated: they might launch. What they did launch is found by its tags and terminated.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn close_abandoned_attempts(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    lane: &LaneRow,
    now: u64,
) -> Result<InFlight, FunctionError> {
    if lane.open_attempts.is_empty() {
        return Ok(InFlight::No);
    }
    let mut attempts = open_attempts(ledger, lane).await?;
    if attempts.iter().any(|one| in_flight_until(one) > now) {
        return Ok(InFlight::Yes);
    }
    for attempt in &mut attempts {
        let indices = attempt.members.iter();
        let keys = indices.map(|index| sweep.member_key(index)).collect();
        let members: Vec<MemberRow> = ledger::require_all(ledger, keys).await?;
        attempt.recorded = launch::recorded(attempt, &members);
    }
    let keys = attempts
        .iter()
        .map(|one| batch_key(&lane.sweep_id, &lane.lane, one.batch))
        .collect();
    let batches: Vec<BatchRow> = ledger::require_all(ledger, keys).await?;
    let closings = attempts
        .into_iter()
        .zip(batches)
        .map(|(attempt, batch)| launch::Closing {
            attempt,
            batch,
            error: Some("its launcher was gone when the sweep was drained".to_owned()),
        })
        .collect();
    let aftermath = launch::Aftermath {
        not_before: now,
        next_launch_at: lane.next_launch_at,
        setbacks: lane.setbacks,
        troubles: lane.troubles.clone(),
    };
    match ledger
        .commit(launch::close(lane, closings, aftermath)?)
        .await
    {
        Ok(()) => Ok(InFlight::No),
        // Its launcher was not gone after all.
        Err(LedgerError::Condition { .. }) => Ok(InFlight::Yes),
        Err(error) => Err(error.into()),
    }
}
