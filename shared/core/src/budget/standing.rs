//! Which standing budgets a launch counts against.

use crate::account::AccountId;
use crate::ids::LaneId;
use crate::ledger::{Key, Ledger, LedgerError, Stored as _, Versioned as _};
use crate::money::MicroDollars;
use crate::rows::SweepRow;

use super::rows::{BudgetRow, Period, PeriodRow, Scope, budget_pk};

/// A standing budget with what its present period is charged with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub budget: BudgetRow,
    /// The present period.
    pub period: PeriodRow,
}

impl Standing {
    /// The key of the period's row as one text, as members note it.
    #[must_use]
    pub fn charged_to(&self) -> String {
        format!("{}|{}", self.period.budget, self.period.period)
    }

    /// Whether it may be charged with so much more.
    #[must_use]
    pub fn has_room(&self, amount: MicroDollars) -> bool {
        self.period.charged.saturating_add(amount.0) <= self.budget.limit.0
    }

    /// What it is called in a message.
    #[must_use]
    pub fn words(&self) -> String {
        let BudgetRow {
            scope,
            name,
            period,
            limit,
            ..
        } = &self.budget;
        format!("the {period} budget of {scope} {name} of {limit}")
    }
}

/// The key of a period's row as a member noted it.
#[must_use]
pub fn key_of(charged_to: &str) -> Option<Key> {
    let (pk, sk) = charged_to.split_once('|')?;
    Some(Key::new(pk, sk))
}

/// The standing budget that a member noted, with that period. `None` when there is no limit any more.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn noted(
    ledger: &impl Ledger,
    charged_to: &str,
) -> Result<Option<Standing>, LedgerError> {
    let Some(key) = key_of(charged_to) else {
        return Ok(None);
    };
    let kind = key.sk.split('#').next().unwrap_or_default();
    let limit = Key::new(key.pk.clone(), kind);
    let budget = crate::ledger::load(ledger, limit).await?;
    let period = crate::ledger::load(ledger, key).await?;
    Ok(budget
        .zip(period)
        .map(|(budget, period)| Standing { budget, period }))
}

/// The standing budgets that a launch of `sweep` in the lane `at` counts against, each with its present period, whose row is
/// made if it is not there.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn standing(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    at: &LaneId,
    now: u64,
) -> Result<Vec<Standing>, LedgerError> {
    let mut found = Vec::new();
    for (budget, key, period) in limits(ledger, sweep, at.account, now).await? {
        let period = match period {
            Some(period) => period,
            None => new_period(ledger, &key).await?,
        };
        found.push(Standing { budget, period });
    }
    Ok(found)
}

/// The same for whoever only wants to know; nothing is written.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn shown(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    account: Option<AccountId>,
    now: u64,
) -> Result<Vec<Standing>, LedgerError> {
    let found = limits(ledger, sweep, account, now).await?;
    Ok(found
        .into_iter()
        .map(|(budget, key, period)| Standing {
            budget,
            period: period.unwrap_or_else(|| empty(&key)),
        })
        .collect())
}

/// The limits that hold for a sweep in an account, with the keys of their present periods, and their rows where there are any.
async fn limits(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    account: Option<AccountId>,
    now: u64,
) -> Result<Vec<(BudgetRow, Key, Option<PeriodRow>)>, LedgerError> {
    let home = sweep.execution_arn.split(':').nth(4).unwrap_or_default();
    let account = account.map_or_else(|| home.to_owned(), |account| account.to_string());
    let scopes = [
        (Scope::Owner, sweep.owner.clone()),
        (Scope::Project, sweep.project.clone()),
        (Scope::Account, account),
    ];
    let mut keys = Vec::new();
    for (scope, name) in &scopes {
        for period in Period::ALL {
            let pk = budget_pk(*scope, name);
            keys.push(Key::new(pk.clone(), period.to_string()));
            keys.push(Key::new(pk, period.of(now)));
        }
    }
    let rows = ledger.get(&keys).await?;
    let mut found = Vec::new();
    for pair in keys.iter().zip(rows).collect::<Vec<_>>().chunks_exact(2) {
        let [(_, Some(limit)), (period_key, period)] = pair else {
            continue;
        };
        let budget = BudgetRow::from_row(limit.clone())?;
        let period = period.clone().map(PeriodRow::from_row).transpose()?;
        found.push((budget, (*period_key).clone(), period));
    }
    Ok(found)
}

/// A period that nothing was charged to yet.
fn empty(key: &Key) -> PeriodRow {
    PeriodRow {
        budget: key.pk.clone(),
        period: key.sk.clone(),
        version: 0,
        charged: 0,
        billed: 0,
        told_percent: 0,
    }
}

async fn new_period(ledger: &impl Ledger, key: &Key) -> Result<PeriodRow, LedgerError> {
    let row = empty(key);
    match ledger.commit(vec![row.create()?]).await {
        Ok(()) => Ok(row),
        // Another launcher made it.
        Err(LedgerError::Condition { .. }) => crate::ledger::require(ledger, key.clone()).await,
        Err(error) => Err(error),
    }
}
