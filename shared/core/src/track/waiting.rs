//! Executions that wait: for a free slot, for room in a budget, for the end of a sweep.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::errors::FunctionError;
use crate::ids::{LaneId, SweepId};
use crate::ledger::{self, Condition, Expect, Ledger, LedgerError, Stored as _, Write, path};
use crate::ports::WakeExecutions;
use crate::rows::{LaneRow, RetryRow, SlotRow, SweepRow, sweep_key, sweep_pk};
use crate::state::{MemberState, SweepStatus};

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitingFor {
    /// A lane, for a free slot, or until the sweep is charged with no more than so many micro-dollars.
    Slot(LaneId, Option<i64>),
    /// The sweep's execution, for the end of all members.
    Completion,
}

/// Who waits, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub kind: WaitingFor,
    /// What answers whoever waits.
    pub task_token: String,
    /// The execution of the sweep that waits, or whose lane does. One that began before executions said so has none.
    pub execution_arn: Option<String>,
}

/// Notes the task token of an execution that waits, and wakes it at once when what it waits for is there already: whoever
/// of the two, the one who waits and the one who brings it about, writes second sees the other.
///
/// An execution that another one has taken the sweep over from waits for nothing: its lanes are woken, to find that there is nothing
/// more to launch for it, and itself it is refused. Else two would wait where one token is kept, and one of them for ever.
///
/// # Errors
/// [`FunctionError::Superseded`] to such an execution. When the ledger or Step Functions does not answer; repeatable.
pub async fn register(
    ledger: &impl Ledger,
    executions: &impl WakeExecutions,
    sweep_id: &SweepId,
    waiting: Waiting,
    now: u64,
) -> Result<(), FunctionError> {
    let Waiting {
        kind,
        task_token,
        execution_arn,
    } = waiting;
    let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
    match kind {
        WaitingFor::Slot(..) if !sweep.is_of(execution_arn.as_deref()) => {
            executions.wake(&task_token, &json!({})).await?;
            return Ok(());
        }
        WaitingFor::Slot(lane, charged_at_most) => {
            let row = SlotRow {
                sweep_id: sweep_id.clone(),
                lane,
                task_token,
                charged_at_most,
                version: now,
            };
            note_slot(ledger, &row).await?;
        }
        WaitingFor::Completion => {
            sweep.check_is_of(execution_arn.as_deref())?;
            note_completion_token(ledger, &sweep, &task_token, now).await?;
            wake(ledger, executions, sweep_id).await?;
            // Last of all: a sweep is taken over only when it has ended, and from then on `wake` has answered the token, unless the
            // one who took over has thrown it away before.
            let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
            return sweep.check_is_of(execution_arn.as_deref());
        }
    }
    wake(ledger, executions, sweep_id).await
}

/// Puts the token of a lane that waits, unless a later invocation has put one: an invocation whose answer was lost may go on after
/// its repetition, and its token is nobody's any more.
async fn note_slot(ledger: &impl Ledger, row: &SlotRow) -> Result<(), LedgerError> {
    loop {
        let before: Option<SlotRow> = ledger::load(ledger, row.key()).await?;
        let expect = match before {
            Some(before) if before.version > row.version => return Ok(()),
            Some(before) => Expect::Version(before.version),
            None => Expect::Absent,
        };
        let row = row.row()?;
        match ledger.commit(vec![Write::Put { row, expect }]).await {
            // Another invocation put one meanwhile, or the lane was woken.
            Err(LedgerError::Condition { .. }) => {}
            result => return result,
        }
    }
}

/// Sets the token, and the status to `running` while the sweep is not drained: all that will be launched has been. An invocation that
/// began before the one whose token is there leaves it, for the same reason; and so does one whose execution has lost the sweep since
/// it was read.
async fn note_completion_token(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    token: &str,
    now: u64,
) -> Result<(), FunctionError> {
    let since = path(&["waiting_since"]);
    let not_before = Condition::AtMost(since.clone(), i64::try_from(now).unwrap_or(i64::MAX));
    let execution = Value::from(sweep.execution_arn.as_str());
    let same_execution = Condition::Equals(path(&["execution_arn"]), execution);
    let status = path(&["status"]);
    let running = (status.clone(), Value::from(SweepStatus::Running.as_str()));
    let launching = Condition::Equals(status, Value::from(SweepStatus::Launching.as_str()));
    for (also_set, also_when) in [(Some(running), Some(launching)), (None, None)] {
        let mut set = vec![
            (path(&["completion_token"]), Value::from(token)),
            (since.clone(), Value::from(now)),
        ];
        set.extend(also_set);
        let mut when = vec![not_before.clone(), same_execution.clone()];
        when.extend(also_when);
        let update = Write::Update {
            key: sweep_key(&sweep.sweep_id),
            set,
            remove: Vec::new(),
            add: Vec::new(),
            when,
        };
        match ledger.commit(vec![update]).await {
            // It is not launching, somebody began to wait later, or the sweep was taken over.
            Err(LedgerError::Condition { .. }) => {}
            result => return Ok(result?),
        }
    }
    Ok(())
}

/// Wakes the executions of a sweep whose waiting is over. Called after every change, and again by reconcile, so that a death
/// between a change and its wake-up is made good.
///
/// # Errors
/// When the ledger or Step Functions does not answer. Repeatable.
pub async fn wake(
    ledger: &impl Ledger,
    executions: &impl WakeExecutions,
    sweep_id: &SweepId,
) -> Result<(), FunctionError> {
    let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
    if let Some(token) = &sweep.completion_token
        && let Some(answer) = completion(ledger, &sweep).await?
    {
        executions.wake(token, &answer).await?;
        forget_completion_token(ledger, sweep_id, token).await?;
    }
    let is_limited = sweep.max_concurrent.is_some()
        || sweep.max_concurrent_per_region.is_some()
        || !sweep.max_in.is_empty()
        || sweep.budget.is_some();
    if !is_limited {
        return Ok(());
    }
    let slots: Vec<SlotRow> = ledger::load_all(ledger, &sweep_pk(sweep_id), "SLOT#").await?;
    for slot in slots {
        if slot.may_go_on(&sweep) {
            executions.wake(&slot.task_token, &json!({})).await?;
            // Unless the lane waits again already, with a new token.
            ledger::forget(ledger, slot.key(), slot.version).await?;
        }
    }
    Ok(())
}

/// What the execution that waits for the end of a sweep is told: that it has come, or which lanes are to launch again first.
/// `None` while it has to wait.
async fn completion(ledger: &impl Ledger, sweep: &SweepRow) -> Result<Option<Value>, LedgerError> {
    if sweep.is_over() {
        return Ok(Some(json!({"relaunch": false})));
    }
    let planned = sweep.counts.of(MemberState::Planned);
    if planned <= 0 || !sweep.may_launch() {
        return Ok(None);
    }
    let pk = sweep_pk(&sweep.sweep_id);
    let mut lanes = BTreeSet::new();
    if sweep.retrying > 0 {
        let rows: Vec<RetryRow> = ledger::load_all(ledger, &pk, "RETRY#").await?;
        lanes.extend(rows.into_iter().map(|row| row.lane));
    }
    // Who waits for the end has seen every lane end: those with members left ended because the sweep was stopped, and it
    // has been started again.
    if planned > sweep.retrying {
        let rows: Vec<LaneRow> = ledger::load_all(ledger, &pk, "LANE#").await?;
        let left = rows.into_iter().filter(|lane| lane.pending > 0);
        lanes.extend(left.map(|row| row.lane));
    }
    // None when a launcher has taken them all meanwhile.
    Ok((!lanes.is_empty()).then(|| json!({"relaunch": true, "lanes": lanes})))
}

/// Removes the token that was answered: the events that follow the end of a sweep must not answer it again and again.
async fn forget_completion_token(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    token: &str,
) -> Result<(), LedgerError> {
    let attribute = path(&["completion_token"]);
    let write = Write::Update {
        key: sweep_key(sweep_id),
        set: Vec::new(),
        remove: vec![attribute.clone()],
        add: Vec::new(),
        when: vec![Condition::Equals(attribute, Value::from(token))],
    };
    match ledger.commit(vec![write]).await {
        // Forgotten already, or another execution waits now.
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
