//! When which instance is looked at next: an index of the reaper's own, so that a pass reads the rows of what is due and
//! of nothing else.
//!
//! It is a memory aid, never the truth: without it, everything is due. What could change a decision before its time makes an
//! instance due at once: a start (EC2 shows a later launch time), a drain of its sweep, a change of deadlines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::Place;
use crate::ledger::{Key, Stored};
use crate::rows::versioned;

/// The rows of a place: each holds a part of its instances. 10,000 instances make rows of some 7 KB.
const SHARDS: usize = 64;

/// When the instances of a part of a place were and will be looked at (`WATCH#place` / `SHARD#07`). Written by idle-reaper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRow {
    /// The place, such as `us-east-1`.
    pub place: String,
    /// The part.
    pub shard: u8,
    /// Counts the changes.
    pub version: u64,
    /// By instance id: when it was looked at and when it is next, in seconds since 1970, with a colon between them.
    pub looks: BTreeMap<String, String>,
}

impl Stored for WatchRow {
    fn key(&self) -> Key {
        Key::new(format!("WATCH#{}", self.place), shard_key(self.shard))
    }
}
versioned!(WatchRow);

fn shard_key(shard: u8) -> String {
    format!("SHARD#{shard:02}")
}

/// The partition of a place's rows.
#[must_use]
pub fn watch_pk(place: &Place) -> String {
    format!("WATCH#{place}")
}

/// The prefix of their sort keys.
pub const WATCH_PREFIX: &str = "SHARD#";

/// A look at an instance, done and to come, in ms since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When it was looked at.
    pub at: u64,
    /// When it must be again.
    pub due: u64,
}

/// The looks at all instances of a place.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    rows: BTreeMap<u8, WatchRow>,
    changed: BTreeMap<u8, WatchRow>,
}

/// Looks that are far away are due together, so that fewer rows are written: a few minutes early, never late.
const GRID_MS: u64 = 5 * 60 * 1000;

impl Looks {
    /// The looks that `rows` hold.
    #[must_use]
    pub fn new(rows: Vec<WatchRow>) -> Self {
        Self {
            rows: rows.into_iter().map(|row| (row.shard, row)).collect(),
            changed: BTreeMap::new(),
        }
    }

    fn shard_of(instance_id: &str) -> u8 {
        let sum = instance_id.bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31) + usize::from(byte)
        });
        u8::try_from(sum % SHARDS).unwrap_or(0)
    }

    /// The look at an instance, if there was one.
    #[must_use]
    pub fn of(&self, instance_id: &str) -> Option<Look> {
        let text = self
            .rows
            .get(&Self::shard_of(instance_id))?
            .looks
            .get(instance_id)?;
        let (at, due) = text.split_once(':')?;
        Some(Look {
            at: at.parse::<u64>().ok()? * 1000,
            due: due.parse::<u64>().ok()? * 1000,
        })
    }

    /// Notes that an instance was looked at `at` and is due again at `due`.
    pub fn note(&mut self, place: &Place, instance_id: &str, at: u64, due: u64) {
        let due = if due > at + 2 * GRID_MS {
            due - due % GRID_MS
        } else {
            due
        };
        // Whole seconds, so that neither a look nor its time is later than it was.
        let text = format!("{}:{}", at / 1000, due / 1000);
        self.row(place, Self::shard_of(instance_id))
            .looks
            .insert(instance_id.to_owned(), text);
    }

    /// Forgets the instances that `is_there` does not know.
    pub fn forget_all_but(&mut self, place: &Place, is_there: impl Fn(&str) -> bool) {
        let gone: Vec<(u8, String)> = self
            .rows
            .iter()
            .flat_map(|(shard, row)| row.looks.keys().map(|id| (*shard, id.clone())))
            .filter(|(_, id)| !is_there(id))
            .collect();
        for (shard, id) in gone {
            self.row(place, shard).looks.remove(&id);
        }
    }

    fn row(&mut self, place: &Place, shard: u8) -> &mut WatchRow {
        let before = self.rows.get(&shard).cloned();
        self.changed.entry(shard).or_insert_with(|| {
            before.unwrap_or_else(|| WatchRow {
                place: place.to_string(),
                shard,
                ..WatchRow::default()
            })
        })
    }

    /// The rows that changed, each with whether it is new.
    #[must_use]
    pub fn into_changed(self) -> Vec<(WatchRow, bool)> {
        let is_new = |row: &WatchRow| !self.rows.contains_key(&row.shard);
        self.changed
            .values()
            .map(|row| (row.clone(), is_new(row)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::home("us-east-1".parse().unwrap())
    }

    #[test]
    fn a_look_is_read_back_early_and_never_late() {
        let mut looks = Looks::default();
        looks.note(&place(), "i-near", 1_000_500, 1_060_700);
        looks.note(&place(), "i-far", 1_000_500, 9_000_123);
        let rows = looks.into_changed();
        assert!(rows.iter().all(|(_, is_new)| *is_new));
        let looks = Looks::new(rows.into_iter().map(|(row, _)| row).collect());
        let near = looks.of("i-near").unwrap();
        assert_eq!((near.at, near.due), (1_000_000, 1_060_000));
        let far = looks.of("i-far").unwrap();
        assert!(far.due <= 9_000_123 && far.due + GRID_MS > 9_000_123);
        assert_eq!(looks.of("i-other"), None);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut looks = Looks::default();
        for id in ["i-1", "i-2", "i-3"] {
            looks.note(&place(), id, 0, 0);
        }
        let rows = looks.into_changed().into_iter().map(|(row, _)| row);
        let mut looks = Looks::new(rows.collect());
        looks.forget_all_but(&place(), |id| id == "i-2");
        let left: Vec<String> = looks
            .into_changed()
            .into_iter()
            .flat_map(|(row, _)| row.looks.into_keys())
            .collect();
        assert!(!left.contains(&"i-1".to_owned()) && !left.contains(&"i-3".to_owned()));
    }
}
