//! Standing budgets, as the machine spawn-budget sets them.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spawn_core::budget::{BudgetRow, Period, PeriodRow, Scope, budget_pk};
use spawn_core::control::{Reader, shown};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Expect, Key, Ledger, Versioned as _, Write};
use spawn_core::money::MicroDollars;

/// The machine whose input is read.
const MACHINE: &str = "spawn-budget";
const SCOPE: &str = "owner, project or account";
const PERIOD: &str = "daily or monthly";
const NAME: &str = "the owner or project of documents, or the 12 digits of an account, as text";
const LIMIT: &str = "US dollars above 0 such as 100 or \"99.50 USD\", or null to remove the budget";
const NAME_CHARS_MAX: usize = 256;

/// What is asked for: a budget, or its end.
struct Asked {
    scope: Scope,
    name: String,
    period: Period,
    /// `None` removes it.
    limit: Option<MicroDollars>,
}

/// Sets, changes or removes a standing budget. What the present period is charged with stays: a lower limit stops launches
/// until others have ended.
pub(crate) async fn set(
    ledger: &impl Ledger,
    input: &Value,
    now: u64,
) -> Result<Value, FunctionError> {
    let asked = read(input)?;
    let key = Key::new(
        budget_pk(asked.scope, &asked.name),
        asked.period.to_string(),
    );
    let period_key = Key::new(key.pk.clone(), asked.period.of(now));
    let before: Option<BudgetRow> = ledger::load(ledger, key.clone()).await?;
    let budget = |limit: MicroDollars, version: u64| BudgetRow {
        scope: asked.scope,
        name: asked.name.clone(),
        period: asked.period,
        limit,
        set_at: now,
        version,
    };
    let write = match (before, asked.limit) {
        (None, None) => None,
        (None, Some(limit)) => Some(budget(limit, 0).create()?),
        (Some(before), None) => Some(Write::Delete {
            key,
            expect: Expect::Version(before.version),
        }),
        (Some(before), Some(limit)) => Some(budget(limit, before.version).replace()?),
    };
    if let Some(write) = write {
        ledger.commit(vec![write]).await?;
    }
    let period: Option<PeriodRow> = ledger::load(ledger, period_key).await?;
    let charged = period.map_or(0, |row| row.charged);
    Ok(json!({
        "scope": asked.scope,
        "name": asked.name,
        "period": asked.period,
        "limit": asked.limit.map(|limit| limit.to_string()),
        "charged_now": MicroDollars(charged).to_string(),
    }))
}

/// Reads the input. A limit that is not there is a fault, and not the removal that `null` asks for: it may be a slip of the pen.
fn read(input: &Value) -> Result<Asked, FunctionError> {
    let mut reader = Reader::new(MACHINE, input, &["scope", "name", "period", "limit"]);
    for (name, accepted) in [("scope", SCOPE), ("name", NAME), ("period", PERIOD)] {
        if reader.value(name).is_none() {
            reader.fault(name, "is missing", accepted);
        }
    }
    let scope = one_of(&mut reader, "scope", "is no scope", SCOPE);
    let period = one_of(&mut reader, "period", "is no period", PERIOD);
    let name = reader.text("name", NAME_CHARS_MAX, NAME);
    if let Some(given) = name {
        let is_account = given.len() == 12 && given.bytes().all(|digit| digit.is_ascii_digit());
        if given.contains(['#', '|']) || (scope == Some(Scope::Account) && !is_account) {
            reader.fault("name", &format!("`{given}` names nobody"), NAME);
        }
    }
    let limit = limit(&mut reader);
    let asked = match (scope, name, period, limit) {
        (Some(scope), Some(name), Some(period), Some(limit)) => Some(Asked {
            scope,
            name: name.to_owned(),
            period,
            limit,
        }),
        _ => None,
    };
    reader.finish(asked)
}

/// A word of a fixed list.
fn one_of<T: DeserializeOwned>(
    reader: &mut Reader<'_>,
    name: &str,
    problem: &str,
    accepted: &str,
) -> Option<T> {
    let value = reader.value(name)?;
    let read = serde_json::from_value(value.clone()).ok();
    if read.is_none() {
        reader.fault(name, &format!("{} {problem}", shown(value)), accepted);
    }
    read
}

fn limit(reader: &mut Reader<'_>) -> Option<Option<MicroDollars>> {
    if !reader.has("limit") {
        reader.fault("limit", "is missing", LIMIT);
        return None;
    }
    let Some(value) = reader.value("limit") else {
        return Some(None);
    };
    let amount: Option<MicroDollars> = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    match amount.filter(|amount| amount.0 > 0) {
        Some(amount) => Some(Some(amount)),
        None => {
            reader.fault("limit", &format!("{} is no amount", shown(value)), LIMIT);
            None
        }
    }
}
