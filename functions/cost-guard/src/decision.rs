//! Decisions as the state machine carries them out, and what is noted of them.

use serde_json::{Value, json};
use spawn_core::budget;
use spawn_core::cost::{Assessment, Decision, message};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{Condition, Key, Ledger, LedgerError, Write, path};
use spawn_core::rows::{CostSoFar, SweepRow, sweep_key};
use spawn_core::state::SweepStatus;

/// What the assessment of a sweep asks for. `None` when nobody has anything to do.
pub(crate) fn of_sweep(sweep: &SweepRow, assessment: &Assessment) -> Option<Value> {
    let words = assessment.words.as_deref()?;
    let Assessment { cost, decision, .. } = assessment;
    let note = json!({"told": {"sweep_id": sweep.sweep_id, "percent": percent(decision)}});
    carried_out(sweep, cost, decision, words, &sweep.topics, note)
}

/// A decision of a sweep because of `words`, told to `topics`; `note` is what the function is asked for when they were told.
pub(crate) fn carried_out(
    sweep: &SweepRow,
    cost: &CostSoFar,
    decision: &Decision,
    words: &str,
    topics: &[String],
    note: Value,
) -> Option<Value> {
    let drains = matches!(decision, Decision::Drain(_));
    if drains && sweep.status == SweepStatus::Draining {
        return None;
    }
    let (subject, text) = message(sweep, cost, decision, words);
    Some(json!({
        "sweep_id": sweep.sweep_id,
        "percent": percent(decision),
        "drain": drains,
        "reason": words,
        "topics": topics,
        "subject": subject.chars().take(100).collect::<String>(),
        "message": text,
        // A drain of the same sweep within the same hour is the same drain.
        "drain_name": format!("cost-{}-{}", sweep.sweep_id, cost.at / 3_600_000),
        "note": note,
    }))
}

/// The share that a decision is because of.
pub(crate) fn percent(decision: &Decision) -> u8 {
    match decision {
        Decision::GoOn => 0,
        Decision::Tell(percent) | Decision::Hold(percent) | Decision::Drain(percent) => *percent,
    }
}

/// Keeps a sweep from launching more, and says why on its row. One that is held already stays so for its first reason.
pub(crate) async fn hold(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    words: &str,
) -> Result<(), LedgerError> {
    let set = vec![(path(&["held"]), Value::from(words))];
    let when = vec![Condition::Missing(path(&["held"]))];
    update(ledger, sweep_key(sweep_id), set, when).await
}

/// Notes that people were told of a share of a sweep's budget. A share that was told is never told again; one that was told and
/// not noted is told once more.
pub(crate) async fn told(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    percent: u8,
) -> Result<Value, FunctionError> {
    let told = path(&["cost", "told_percent"]);
    let when = vec![Condition::AtMost(told.clone(), i64::from(percent))];
    let set = vec![(told, Value::from(percent))];
    update(ledger, sweep_key(sweep_id), set, when).await?;
    Ok(json!({"sweep_id": sweep_id, "percent": percent}))
}

/// Notes that people were told of a share of a standing budget, in the same way.
pub(crate) async fn told_of_standing(
    ledger: &impl Ledger,
    period: &str,
    percent: u8,
) -> Result<Value, FunctionError> {
    let key = budget::key_of(period)
        .ok_or_else(|| FunctionError::Config(format!("`{period}` is no period of a budget")))?;
    let told = path(&["told_percent"]);
    let when = vec![Condition::AtMost(told.clone(), i64::from(percent))];
    update(ledger, key, vec![(told, Value::from(percent))], when).await?;
    Ok(json!({"period": period, "percent": percent}))
}

/// An update that somebody else was faster with, or that is not needed any more, is as good as made.
async fn update(
    ledger: &impl Ledger,
    key: Key,
    set: Vec<(spawn_core::ledger::Path, Value)>,
    when: Vec<Condition>,
) -> Result<(), LedgerError> {
    let write = Write::Update {
        key,
        set,
        remove: Vec::new(),
        add: Vec::new(),
        when,
    };
    match ledger.commit(vec![write]).await {
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
