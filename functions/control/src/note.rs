//! The last step: what came of it.

use serde_json::{Value, json};
use spawn_core::control::{ControlRow, Group, Outcomes, control_key};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};

use crate::{Done, Ports};

/// Notes what came of a control in its record, and answers the output of its execution.
pub(crate) async fn note<L: Ledger, E, W>(
    done: Done,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Value, FunctionError> {
    let key = control_key(&done.sweep_id, done.asked.at()?, &done.asked.execution_arn);
    let row: ControlRow = ledger::require(ports.ledger, key.clone()).await?;
    let outcome = match &done.outcome {
        Value::Array(places) => of_places(places),
        other => other.clone(),
    };
    let output = json!({
        "control": row.control,
        "sweep_id": row.sweep_id,
        "of": row.target,
        "outcome": outcome,
    });
    if row.done_at.is_none() {
        let sweep_id = row.sweep_id.clone();
        let mut noted = row;
        noted.outcome = Some(outcome);
        noted.done_at = Some(now);
        match ports.ledger.commit(vec![noted.replace()?]).await {
            Ok(()) => tracing::info!(%sweep_id, control = %done.asked.control, "control is done"),
            // Noted by a call before this one, whose answer was lost.
            Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(output)
}

/// The outcomes of all places together.
fn of_places(places: &[Value]) -> Value {
    let mut outcomes = Outcomes::default();
    for place in places {
        let groups = place.get("outcomes").cloned().unwrap_or_default();
        let groups: Vec<Group> = serde_json::from_value(groups).unwrap_or_default();
        for group in groups {
            outcomes.add_group(group);
        }
    }
    outcomes.shown()
}
