//! What is reserved and given back, as additions to the writes of a launch and of an end.

use std::collections::BTreeMap;

use crate::cost::Release;
use crate::ids::SweepId;
use crate::ledger::{Condition, Key, Path, Write, path};
use crate::money::MicroDollars;
use crate::rows::{SweepRow, sweep_key};

use super::standing::{Standing, key_of};

/// An amount that is to be reserved, with the standing budgets that it counts against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    sweep: i64,
    /// What is charged to each period, and its limit, if there is one.
    standing: BTreeMap<String, (i64, Option<i64>)>,
}

impl Charges {
    /// Adds what instances are committed with.
    pub fn reserve(&mut self, amount: MicroDollars, standing: &[Standing]) {
        let limits = standing
            .iter()
            .map(|one| (one.charged_to(), Some(one.budget.limit)));
        self.reserve_noted(amount, limits);
    }

    /// Adds what an instance is committed with beyond its launch: to the sweep, and to the periods that the launch was charged
    /// to, each with its limit as it is now.
    pub fn reserve_noted(
        &mut self,
        amount: MicroDollars,
        charged_to: impl IntoIterator<Item = (String, Option<MicroDollars>)>,
    ) {
        self.sweep = self.sweep.saturating_add(amount.0);
        for (key, limit) in charged_to {
            let limit = limit.map(|limit| limit.0);
            let entry = self.standing.entry(key).or_insert((0, limit));
            entry.0 = entry.0.saturating_add(amount.0);
        }
    }

    /// Adds the conditions and additions to the writes of a launch or an extension. They then fail when any budget has no room, so nothing
    /// is begun that passes one.
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
                let when = limit.map(|limit| {
                    Condition::AtMost(path(&["charged"]), limit.saturating_sub(amount))
                });
                let when = when.into_iter().collect();
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

    /// Adds what an end gives back.
    pub fn release(&mut self, back: &Release) {
        self.add(back.committed, back.billed, &back.charged_to);
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
    additions: Vec<(Path, i64)>,
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
