//! Standing budgets: what live sweeps have run up on them, and what is to be done about it. A sweep's own policy says whether it
//! is held or drained for a budget that it shares with others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use spawn_core::budget::{self, Standing};
use spawn_core::cost::{Assessment, Decision, decide, share_words};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::Ledger;
use spawn_core::money::MicroDollars;
use spawn_core::rows::SweepRow;

use crate::decision;

type Assessed = (SweepRow, Assessment);

/// What the standing budgets ask for that these sweeps are charged to, and of how many it could not be told. Sweeps are held here;
/// the rest is carried out by who is answered.
pub(crate) async fn decisions(
    ledger: &impl Ledger,
    assessed: &[Assessed],
    now: u64,
) -> (Vec<Value>, i64) {
    let mut sweeps_of: BTreeMap<&str, Vec<&Assessed>> = BTreeMap::new();
    for one in assessed {
        for period in one.1.open.keys() {
            sweeps_of.entry(period).or_default().push(one);
        }
    }
    let mut decisions = Vec::new();
    let mut failed = 0;
    for (period, sweeps) in sweeps_of {
        match of_period(ledger, period, &sweeps).await {
            Ok(of_period) => decisions.extend(of_period),
            Err(error) => {
                failed += 1;
                tracing::error!(period, %error, now, "a standing budget was not assessed");
            }
        }
    }
    (decisions, failed)
}

/// What one period of a standing budget asks for.
async fn of_period(
    ledger: &impl Ledger,
    period: &str,
    sweeps: &[&Assessed],
) -> Result<Vec<Value>, FunctionError> {
    let Some(standing) = budget::noted(ledger, period).await? else {
        return Ok(Vec::new());
    };
    let spent = spent(&standing, period, sweeps).ok_or_else(|| {
        FunctionError::Bug(format!(
            "what is spent of {} is beyond what can be counted",
            standing.words()
        ))
    })?;
    let limit = standing.budget.limit;
    let words = share_words(&standing.words(), limit, spent);
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut decisions = Vec::new();
    for (sweep, assessment) in sweeps {
        let decision = decide(limit, spent, standing.period.told_percent, sweep);
        if decision == Decision::GoOn {
            continue;
        }
        if matches!(decision, Decision::Hold(_)) {
            decision::hold(ledger, &sweep.sweep_id, &words).await?;
        }
        // Sweeps that share a budget share topics as a rule, which are told once.
        let topics: Vec<String> = sweep
            .topics
            .iter()
            .filter(|topic| told.insert(topic))
            .cloned()
            .collect();
        let note = json!({"told_of_standing": {"period": period, "percent": decision::percent(&decision)}});
        let cost = &assessment.cost;
        decisions.extend(decision::carried_out(
            sweep, cost, &decision, &words, &topics, note,
        ));
    }
    Ok(decisions)
}

/// The bills of what is gone, and what that has run up which is not.
fn spent(standing: &Standing, period: &str, sweeps: &[&Assessed]) -> Option<MicroDollars> {
    let open = sweeps
        .iter()
        .filter_map(|(_, assessment)| assessment.open.get(period));
    open.copied().try_fold(
        MicroDollars(standing.period.billed),
        MicroDollars::checked_add,
    )
}
