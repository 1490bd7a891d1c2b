//! When enough members of a sweep have failed: holding it, or draining it.

use serde_json::Value;

use crate::errors::FunctionError;
use crate::ids::SweepId;
use crate::launch::while_going_on;
use crate::ledger::{self, Ledger, LedgerError, Write, path};
use crate::policy::OnFailure;
use crate::ports::WatchExecutions;
use crate::rows::{Drain, SweepRow, sweep_key};
use crate::state::SweepStatus;

/// What to do about a sweep of which too many members have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enough {
    /// Whether what runs is ended, too.
    pub drain: bool,
    /// Why, in words.
    pub reason: String,
}

/// Whether more members of the sweep have ended without success than are tolerated, and something follows from it.
///
/// It is a function of the sweep's counts alone, so whoever asks after a death is told the same.
#[must_use]
pub fn decide(sweep: &SweepRow) -> Option<Enough> {
    let drain = match sweep.on_failure {
        OnFailure::Continue => return None,
        OnFailure::Hold => false,
        OnFailure::Drain => true,
    };
    let failures = sweep.failures();
    let tolerated = sweep.tolerated_failures;
    let is_enough = failures > i64::from(tolerated);
    // Nothing is left to keep from launching, or to end.
    (is_enough && sweep.status.may_launch() && !sweep.is_complete()).then(|| Enough {
        drain,
        reason: format!(
            "{failures} of {} members ended without success, and {tolerated} are tolerated",
            sweep.members
        ),
    })
}

/// Does what [`decide`] says of a sweep: keeps it from launching at once, and starts its drain if it is to be drained.
///
/// A death between the two is made good by the next call, which reconcile makes for every live sweep: the decision stays the
/// same until the drain has begun.
///
/// # Errors
/// When the ledger or Step Functions does not answer. Repeatable.
pub async fn enforce(
    ledger: &impl Ledger,
    executions: &impl WatchExecutions,
    sweep_id: &SweepId,
    now: u64,
) -> Result<Option<Enough>, FunctionError> {
    let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
    let Some(enough) = decide(&sweep) else {
        return Ok(None);
    };
    if sweep.held.is_none() {
        let hold = Write::Update {
            key: sweep_key(sweep_id),
            set: vec![(path(&["held"]), Value::from(enough.reason.as_str()))],
            remove: Vec::new(),
            add: Vec::new(),
            when: while_going_on(),
        };
        match ledger.commit(vec![hold]).await {
            // Held already, or drained.
            Ok(()) | Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if enough.drain {
        let drain = Drain {
            status: SweepStatus::Failed,
            reason: enough.reason.clone(),
        };
        let hour = now / (60 * 60 * 1000);
        executions.start_drain(&sweep, &drain, hour).await?;
    }
    Ok(Some(enough))
}
