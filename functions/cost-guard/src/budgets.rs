//! Standing budgets, as the machine spawn-budget sets them.

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::budget::{BudgetRow, Period, PeriodRow, Scope, budget_pk};
use spawn_core::document::{Fault, Faults};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Expect, Key, Ledger, Versioned as _, Write};
use spawn_core::money::MicroDollars;

/// A standing budget to set. Its fields are read one by one, so that every fault is told at once.
#[derive(Clone, Debug, Deserialize)]
pub struct SetBudget {
    /// `owner`, `project` or `account`.
    #[serde(default)]
    scope: Value,
    /// Whose.
    #[serde(default)]
    name: Value,
    /// `daily` or `monthly`.
    #[serde(default)]
    period: Value,
    /// US dollars, such as `100` or `"99.50 USD"`; `null` removes the budget.
    #[serde(default)]
    limit: Value,
}

/// Sets, changes or removes a standing budget. What the present period is charged with stays: a lower limit stops launches
/// until others have ended.
pub(crate) async fn set(
    ledger: &impl Ledger,
    request: SetBudget,
    now: u64,
) -> Result<Value, FunctionError> {
    let budget = read(&request, now)?;
    let key = Key::new(
        budget_pk(budget.scope, &budget.name),
        budget.period.to_string(),
    );
    let period_key = Key::new(key.pk.clone(), budget.period.of(now));
    let before: Option<BudgetRow> = ledger::load(ledger, key.clone()).await?;
    let write = match (before, request.limit.is_null()) {
        (None, true) => None,
        (None, false) => Some(budget.create()?),
        (Some(before), true) => Some(Write::Delete {
            key,
            expect: Expect::Version(before.version),
        }),
        (Some(before), false) => {
            let version = before.version;
            Some(
                BudgetRow {
                    version,
                    ..budget.clone()
                }
                .replace()?,
            )
        }
    };
    if let Some(write) = write {
        ledger.commit(vec![write]).await?;
    }
    let period: Option<PeriodRow> = ledger::load(ledger, period_key).await?;
    let charged = period.map_or(0, |row| row.charged);
    Ok(json!({
        "scope": budget.scope,
        "name": budget.name,
        "period": budget.period,
        "limit": (!request.limit.is_null()).then(|| budget.limit.to_string()),
        "charged_now": MicroDollars(charged).to_string(),
    }))
}

fn read(request: &SetBudget, now: u64) -> Result<BudgetRow, FunctionError> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, problem: String, accepted: &str| {
        faults.push(Fault {
            path: path.to_owned(),
            problem,
            accepted: accepted.to_owned(),
            hint: None,
        });
    };
    let scope: Option<Scope> = serde_json::from_value(request.scope.clone()).ok();
    if scope.is_none() {
        fault(
            "scope",
            format!("{} is no scope", request.scope),
            "owner, project or account",
        );
    }
    let period: Option<Period> = serde_json::from_value(request.period.clone()).ok();
    if period.is_none() {
        fault(
            "period",
            format!("{} is no period", request.period),
            "daily or monthly",
        );
    }
    let name = request.name.as_str().unwrap_or_default().trim();
    let is_plain = !name.is_empty() && name.len() <= 256 && !name.contains(['#', '|']);
    let is_account = name.len() == 12 && name.bytes().all(|digit| digit.is_ascii_digit());
    if !is_plain || (scope == Some(Scope::Account) && !is_account) {
        fault(
            "name",
            format!("{} names nobody", request.name),
            "the owner or project of documents, or the 12 digits of an account, as text",
        );
    }
    let limit: Option<MicroDollars> = match &request.limit {
        Value::Null => Some(MicroDollars::ZERO),
        Value::String(text) => text.parse().ok().filter(|limit: &MicroDollars| limit.0 > 0),
        Value::Number(number) => number
            .to_string()
            .parse()
            .ok()
            .filter(|limit: &MicroDollars| limit.0 > 0),
        _ => None,
    };
    if limit.is_none() {
        fault(
            "limit",
            format!("{} is no amount", request.limit),
            "US dollars above 0 such as 100 or \"99.50 USD\", or null to remove the budget",
        );
    }
    match (scope, period, limit) {
        (Some(scope), Some(period), Some(limit)) if faults.is_empty() => Ok(BudgetRow {
            scope,
            name: name.to_owned(),
            period,
            limit,
            set_at: now,
            version: 0,
        }),
        _ => Err(FunctionError::from(Faults::from(faults))),
    }
}
