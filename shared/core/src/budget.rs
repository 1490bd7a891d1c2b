//! Budgets that several launchers share: what is committed is reserved in the same transaction that begins a launch, and given
//! back in the one that records its end. So budgets hold whoever launches at the same moment.
//!
//! A sweep's own budget is on its row. Standing ones belong to an owner, a project or an account, by the day or the month:
//!
//! ```text
//! BUDGET#owner#ann   daily               the limit, put by the machine spawn-budget
//! BUDGET#owner#ann   daily#2026-01-22    what that day is charged with
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::ids::{LaneId, SweepId};
use crate::ledger::{Condition, Key, Ledger, LedgerError, Stored, Versioned, Write, path};
use crate::money::MicroDollars;
use crate::rows::{SweepRow, sweep_key, versioned};

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
    let home = sweep.execution_arn.split(':').nth(4).unwrap_or_default();
    let account = at
        .account
        .map_or_else(|| home.to_owned(), |account| account.to_string());
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
        let period = match period {
            Some(row) => PeriodRow::from_row(row.clone())?,
            None => new_period(ledger, period_key).await?,
        };
        found.push(Standing { budget, period });
    }
    Ok(found)
}

async fn new_period(ledger: &impl Ledger, key: &Key) -> Result<PeriodRow, LedgerError> {
    let row = PeriodRow {
        budget: key.pk.clone(),
        period: key.sk.clone(),
        version: 0,
        charged: 0,
        billed: 0,
        told_percent: 0,
    };
    match ledger.commit(vec![row.create()?]).await {
        Ok(()) => Ok(row),
        // Another launcher made it.
        Err(LedgerError::Condition { .. }) => crate::ledger::require(ledger, key.clone()).await,
        Err(error) => Err(error),
    }
}

/// How many more instances budgets have room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// For so many now.
    For(u32),
    /// For none now: the sweep's own budget has room for one when it is charged with no more than this, in micro-dollars, because
    /// others of its instances have ended.
    WhenCharged(i64),
    /// For none now, but perhaps when other sweeps have ended or a new day has begun.
    Later,
    /// For none, ever: what is spent leaves less than one costs. In words.
    Never(String),
}

/// How many instances of `each` have room, of `wanted`.
#[must_use]
pub fn room(
    sweep: &SweepRow,
    standing: &[Standing],
    each: Option<MicroDollars>,
    wanted: u32,
) -> Room {
    let is_limited = sweep.budget.is_some() || !standing.is_empty();
    let Some(each) = each else {
        return if is_limited {
            Room::Never("its price or its ttl is not known, and there is a budget".to_owned())
        } else {
            Room::For(wanted)
        };
    };
    if each.0 <= 0 || !is_limited {
        return Room::For(wanted);
    }
    let own = sweep.budget.map(|budget| {
        (
            budget.0,
            sweep.charged,
            sweep.billed,
            true,
            format!("the budget of {budget}"),
        )
    });
    let others = standing.iter().map(|one| {
        let PeriodRow {
            charged, billed, ..
        } = one.period;
        (one.budget.limit.0, charged, billed, false, one.words())
    });
    let mut own_fits = i64::from(wanted);
    let mut others_fit = own_fits;
    for (limit, charged, billed, is_own, words) in own.into_iter().chain(others) {
        let free = limit.saturating_sub(charged);
        let fits = if is_own {
            &mut own_fits
        } else {
            &mut others_fit
        };
        *fits = (*fits).min(free.max(0) / each.0);
        // What is billed is spent for good; what is merely committed may come back. Another day has another budget, but
        // none in which a single instance has room.
        let for_good = if is_own {
            limit.saturating_sub(billed)
        } else {
            limit
        };
        if for_good < each.0 {
            return Room::Never(format!(
                "{words} has no room for an instance that may cost {each} to the end of its ttl ({} are spent)",
                MicroDollars(billed)
            ));
        }
    }
    match (u32::try_from(own_fits.min(others_fit)), sweep.budget) {
        (Ok(count), _) if count > 0 => Room::For(count),
        (_, Some(budget)) if others_fit > 0 => Room::WhenCharged(budget.0.saturating_sub(each.0)),
        _ => Room::Later,
    }
}

/// An amount that is to be reserved, with the standing budgets that it counts against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    sweep: i64,
    standing: BTreeMap<String, (i64, i64)>,
}

impl Charges {
    /// Adds what instances are committed with.
    pub fn reserve(&mut self, amount: MicroDollars, standing: &[Standing]) {
        self.sweep = self.sweep.saturating_add(amount.0);
        for one in standing {
            let entry = self
                .standing
                .entry(one.charged_to())
                .or_insert((0, one.budget.limit.0));
            entry.0 = entry.0.saturating_add(amount.0);
        }
    }

    /// Adds the conditions and additions to the writes of a launch. They then fail when any budget has no room, so nothing
    /// is launched that passes one.
    #[must_use]
    pub fn into_writes(self, sweep: &SweepRow, mut writes: Vec<Write>) -> Vec<Write> {
        if self.sweep == 0 && self.standing.is_empty() {
            return writes;
        }
        let mut when = Vec::new();
        if let Some(budget) = sweep.budget {
            when.push(Condition::AtMost(
                path(&["charged"]),
                budget.0.saturating_sub(self.sweep),
            ));
        }
        change(
            &mut writes,
            sweep_key(&sweep.sweep_id),
            vec![(path(&["charged"]), self.sweep)],
            when,
        );
        for (charged_to, (amount, limit)) in self.standing {
            if let Some(key) = key_of(&charged_to) {
                let when = vec![Condition::AtMost(
                    path(&["charged"]),
                    limit.saturating_sub(amount),
                )];
                change(&mut writes, key, vec![(path(&["charged"]), amount)], when);
            }
        }
        writes
    }
}

/// What is given back when instances are gone, or were never launched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Releases {
    sweep: (i64, i64),
    standing: BTreeMap<String, (i64, i64)>,
}

impl Releases {
    /// Gives back `committed` of which `billed` is spent.
    pub fn add(&mut self, committed: MicroDollars, billed: MicroDollars, charged_to: &[String]) {
        let back = billed.0.saturating_sub(committed.0);
        let put = |entry: &mut (i64, i64)| {
            entry.0 = entry.0.saturating_add(back);
            entry.1 = entry.1.saturating_add(billed.0);
        };
        put(&mut self.sweep);
        for key in charged_to {
            put(self.standing.entry(key.clone()).or_default());
        }
    }

    /// How many rows beside the sweep's are changed.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.standing.len()
    }

    /// Adds the changes to the writes that record the end.
    #[must_use]
    pub fn into_writes(self, sweep_id: &SweepId, mut writes: Vec<Write>) -> Vec<Write> {
        let additions = |(charged, billed): (i64, i64)| {
            [("charged", charged), ("billed", billed)]
                .into_iter()
                .filter(|(_, by)| *by != 0)
                .map(|(name, by)| (path(&[name]), by))
                .collect::<Vec<_>>()
        };
        let of_sweep = additions(self.sweep);
        if !of_sweep.is_empty() {
            change(&mut writes, sweep_key(sweep_id), of_sweep, Vec::new());
        }
        for (charged_to, amounts) in self.standing {
            if let Some(key) = key_of(&charged_to) {
                change(&mut writes, key, additions(amounts), Vec::new());
            }
        }
        writes
    }
}

/// Adds to the update of a row among `writes`, or makes one: a transaction may touch a row once.
fn change(
    writes: &mut Vec<Write>,
    row: Key,
    additions: Vec<(crate::ledger::Path, i64)>,
    conditions: Vec<Condition>,
) {
    for write in writes.iter_mut() {
        if let Write::Update { key, add, when, .. } = write
            && *key == row
        {
            add.extend(additions);
            when.extend(conditions);
            return;
        }
    }
    writes.push(Write::Update {
        key: row,
        set: Vec::new(),
        remove: Vec::new(),
        add: additions,
        when: conditions,
    });
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
