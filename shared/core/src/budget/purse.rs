//! Room for more of what runs already: when the time of an instance is extended, the rest of it must fit the budgets that it was
//! launched under; and another instance in its stead must fit what the first one gives back.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::SweepId;
use crate::ledger::{self, Ledger, LedgerError, Write};
use crate::money::MicroDollars;
use crate::rows::{SweepRow, sweep_key};

use super::charges::Charges;
use super::standing::{Standing, noted};

/// A sweep's own budget, and the periods of standing ones that its instances were charged to, as they were read and with what
/// was taken of them since.
#[derive(Clone, Debug, PartialEq)]
pub struct Purse {
    sweep: SweepRow,
    /// By the keys that members note; `None`: it has no limit any more.
    standing: BTreeMap<String, Option<Standing>>,
    charges: Charges,
}

/// That a budget has no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The budget, as a message calls it.
    pub budget: String,
    /// How much was asked for, and how much there is, in words.
    pub words: String,
}

impl Purse {
    /// Reads the budgets: the sweep's, and the periods of these keys.
    ///
    /// # Errors
    /// When the ledger does not answer. Repeatable.
    pub async fn open(
        ledger: &impl Ledger,
        sweep: &SweepId,
        charged_to: BTreeSet<String>,
    ) -> Result<Self, LedgerError> {
        let sweep = ledger::require(ledger, sweep_key(sweep)).await?;
        let mut standing = BTreeMap::new();
        for key in charged_to {
            let found = noted(ledger, &key).await?;
            standing.insert(key, found);
        }
        Ok(Self {
            sweep,
            standing,
            charges: Charges::default(),
        })
    }

    /// The budgets that a launch of `sweep` counts against.
    #[must_use]
    pub fn of(sweep: &SweepRow, standing: &[Standing]) -> Self {
        let standing = standing
            .iter()
            .map(|one| (one.charged_to(), Some(one.clone())));
        Self {
            sweep: sweep.clone(),
            standing: standing.collect(),
            charges: Charges::default(),
        }
    }

    /// The keys of the periods.
    #[must_use]
    pub fn periods(&self) -> Vec<String> {
        self.standing.keys().cloned().collect()
    }

    /// Counts on `amount` to come back to the sweep and to these periods. Nothing of it is written.
    pub fn expect_back(&mut self, amount: MicroDollars, charged_to: &[String]) {
        self.sweep.charged = self.sweep.charged.saturating_sub(amount.0);
        for key in charged_to {
            if let Some(Some(one)) = self.standing.get_mut(key) {
                one.period.charged = one.period.charged.saturating_sub(amount.0);
            }
        }
    }

    /// The first budget that limits what is charged to the sweep and to these periods; `None`: nothing does.
    #[must_use]
    pub fn limited_by(&self, charged_to: &[String]) -> Option<String> {
        let own = self.sweep.budget.map(own_words);
        own.or_else(|| self.limits(charged_to).next().map(Standing::words))
    }

    fn limits<'a>(&'a self, charged_to: &'a [String]) -> impl Iterator<Item = &'a Standing> {
        charged_to
            .iter()
            .filter_map(|key| self.standing.get(key)?.as_ref())
    }

    /// Takes `amount` of the sweep's budget and of these periods, or of none.
    ///
    /// # Errors
    /// The budget that has no room for it.
    pub fn take(&mut self, amount: MicroDollars, charged_to: &[String]) -> Result<(), NoRoom> {
        let own = self
            .sweep
            .budget
            .map(|budget| (budget.0, self.sweep.charged, own_words(budget)));
        let others = self
            .limits(charged_to)
            .map(|one| (one.budget.limit.0, one.period.charged, one.words()));
        for (limit, charged, budget) in own.into_iter().chain(others) {
            if charged.saturating_add(amount.0) > limit {
                let words = format!(
                    "{budget} has no room for {amount} more: {} of it are charged",
                    MicroDollars(charged)
                );
                return Err(NoRoom { budget, words });
            }
        }
        self.sweep.charged = self.sweep.charged.saturating_add(amount.0);
        let mut limits = Vec::new();
        for key in charged_to {
            let standing = self.standing.get_mut(key).and_then(Option::as_mut);
            let limit = standing.map(|one| {
                one.period.charged = one.period.charged.saturating_add(amount.0);
                one.budget.limit
            });
            limits.push((key.clone(), limit));
        }
        self.charges.reserve_noted(amount, limits);
        Ok(())
    }

    /// Adds what was taken, on the condition that no budget is passed by it, to the writes of what it was taken for.
    #[must_use]
    pub fn into_writes(self, writes: Vec<Write>) -> Vec<Write> {
        self.charges.into_writes(&self.sweep, writes)
    }
}

fn own_words(budget: MicroDollars) -> String {
    format!("the budget of {budget}")
}
