//! The rows of standing budgets: their limits, and what their periods are charged with.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::ledger::{Key, Stored};
use crate::money::MicroDollars;
use crate::rows::versioned;

/// What a standing budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The document's owner.
    Owner,
    /// The document's project.
    Project,
    /// The account that instances run in.
    Account,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Project => "project",
            Self::Account => "account",
        })
    }
}

/// How long a standing budget lasts, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day.
    Daily,
    /// A calendar month.
    Monthly,
}

impl Period {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Daily, Self::Monthly];

    /// The period of a moment, such as `daily#2026-01-22` or `monthly#2026-01`.
    #[must_use]
    pub fn of(self, now: u64) -> String {
        let day = clock::day(now);
        match self {
            Self::Daily => format!("{self}#{day}"),
            Self::Monthly => format!("{self}#{}", day.get(..7).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Daily => "daily",
            Self::Monthly => "monthly",
        })
    }
}

/// The limit of a standing budget (`BUDGET#scope#name` / `daily` or `monthly`). Written by cost-guard for spawn-budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// What it is for.
    pub scope: Scope,
    /// Whose.
    pub name: String,
    /// How long it lasts.
    pub period: Period,
    /// The limit in micro-dollars.
    pub limit: MicroDollars,
    /// When it was set, in ms since 1970.
    pub set_at: u64,
    /// Counts the changes.
    pub version: u64,
}

/// What one period of a standing budget is charged with (`BUDGET#scope#name` / `daily#2026-01-22`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodRow {
    /// The partition of its budget.
    pub budget: String,
    /// The period, which is its sort key.
    pub period: String,
    /// Counts the changes.
    pub version: u64,
    /// Bills of instances that are gone, and what those are committed with that are not, in micro-dollars.
    pub charged: i64,
    /// Bills of instances that are gone, in micro-dollars.
    pub billed: i64,
    /// The highest share of the limit, in percent, that somebody was told of.
    #[serde(default)]
    pub told_percent: u8,
}

/// The partition of a standing budget.
#[must_use]
pub fn budget_pk(scope: Scope, name: &str) -> String {
    format!("BUDGET#{scope}#{name}")
}

impl Stored for BudgetRow {
    fn key(&self) -> Key {
        Key::new(budget_pk(self.scope, &self.name), self.period.to_string())
    }
}

impl Stored for PeriodRow {
    fn key(&self) -> Key {
        Key::new(self.budget.clone(), self.period.clone())
    }
}
versioned!(BudgetRow);
versioned!(PeriodRow);
