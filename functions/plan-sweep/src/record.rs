//! Writes a plan into the ledger so that it is written once, whatever repeats.
//!
//! ```text
//! execution -> sweep, sweep: planning     (one transaction; a drain that came first has left its mark, and this fails)
//! lanes, batches, programs, members       (in any order; nobody reads them yet)
//! sweep: launching                        (only from planning: a drain that came meanwhile stays)
//! ```

use serde_json::Value;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Condition, Ledger, LedgerError, Versioned, Write, path};
use spawn_core::plan::Plan;
use spawn_core::rows::{ExecutionRow, SweepRow, execution_key, sweep_key};
use spawn_core::state::SweepStatus;

/// How long a planner may work: the function's time limit. Until it is over no other planner writes the sweep's rows, since
/// they are put without conditions.
pub(crate) const PLANNER_MS_MAX: u64 = 5 * 60 * 1000;

/// Writes the plan. A plan that is written already stays as it is.
///
/// # Errors
/// When the execution was cancelled, another planner may be at work, or the ledger does not answer. Repeatable.
pub(crate) async fn record(
    ledger: &impl Ledger,
    plan: &Plan,
    now: u64,
) -> Result<(), FunctionError> {
    let mut sweep = plan.sweep.clone();
    sweep.planner_until = now + PLANNER_MS_MAX;
    let execution = ExecutionRow {
        execution_arn: sweep.execution_arn.clone(),
        sweep_id: Some(sweep.sweep_id.clone()),
        version: 0,
    };
    match ledger
        .commit(vec![execution.create()?, sweep.create()?])
        .await
    {
        Ok(()) => {}
        Err(LedgerError::Condition { .. }) => match begun_before(ledger, &sweep, now).await? {
            Before::Planned => return Ok(()),
            Before::Abandoned => {}
        },
        Err(error) => return Err(error.into()),
    }
    ledger.put_all(plan.rows()?).await?;
    open(ledger, &sweep).await
}

/// What an earlier planner of the same execution left.
enum Before {
    /// The whole plan.
    Planned,
    /// A part of it.
    Abandoned,
}

async fn begun_before(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    now: u64,
) -> Result<Before, FunctionError> {
    let key = execution_key(&sweep.execution_arn);
    let execution: ExecutionRow = ledger::require(ledger, key).await?;
    if execution.sweep_id.is_none() {
        return Err(FunctionError::Config(
            "the execution was cancelled before its sweep was planned".to_owned(),
        ));
    }
    let mut earlier: SweepRow = ledger::require(ledger, sweep_key(&sweep.sweep_id)).await?;
    match earlier.status {
        SweepStatus::Planning => {}
        SweepStatus::Draining | SweepStatus::Cancelled => return Err(drained(&earlier)),
        _ => return Ok(Before::Planned),
    }
    if earlier.planner_until > now {
        return Err(FunctionError::Conflict(format!(
            "another planner of {} may be at work for {} s more",
            sweep.sweep_id,
            (earlier.planner_until - now).div_ceil(1000)
        )));
    }
    earlier.planner_until = now + PLANNER_MS_MAX;
    ledger.commit(vec![earlier.replace()?]).await?;
    Ok(Before::Abandoned)
}

/// Opens the sweep for launching, unless it was drained meanwhile.
async fn open(ledger: &impl Ledger, sweep: &SweepRow) -> Result<(), FunctionError> {
    let status = path(&["status"]);
    let write = Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: vec![(status.clone(), Value::from(SweepStatus::Launching.as_str()))],
        remove: Vec::new(),
        add: Vec::new(),
        when: vec![Condition::Equals(
            status,
            Value::from(SweepStatus::Planning.as_str()),
        )],
    };
    match ledger.commit(vec![write]).await {
        Ok(()) => Ok(()),
        Err(LedgerError::Condition { .. }) => {
            let sweep: SweepRow = ledger::require(ledger, sweep_key(&sweep.sweep_id)).await?;
            if sweep.status.may_launch() {
                return Ok(());
            }
            Err(drained(&sweep))
        }
        Err(error) => Err(error.into()),
    }
}

fn drained(sweep: &SweepRow) -> FunctionError {
    let reason = sweep
        .drain
        .as_ref()
        .map_or("", |drain| drain.reason.as_str());
    FunctionError::Config(format!(
        "sweep {} was drained while it was planned: {reason}",
        sweep.sweep_id
    ))
}
