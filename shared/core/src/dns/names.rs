//! The records of one member, as the ledger owns them.

use serde::{Deserialize, Serialize};

use super::rows::{member_sk, names_pk, shard};
use crate::dns::{Action, Change, Record, RecordId};
use crate::ids::SweepId;
use crate::ledger::{Key, Stored};
use crate::rows::versioned;

/// How long after a CREATE without an answer the record may still appear.
pub(super) const LATE_MS: u64 = 60_000;

/// How long a change that was refused is not asked for again.
pub(super) const REFUSED_MS: u64 = 15 * 60_000;

/// Why nothing is made where somebody else's record is.
const NOT_AS_MADE: &str = "the zone has a record there that spawn did not make, or not so";

/// How a record of spawn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Route 53 has taken it: it is in the zone with exactly these values.
    Live,
    /// It is being made: the call was about to be made when this was written.
    Creating {
        /// When, in ms since 1970.
        at: u64,
        /// Whether an earlier call for the same record stayed without an answer.
        repeated: bool,
    },
    /// A call that was to make it stayed without an answer, and it was not there afterwards: it may still come.
    Unseen {
        /// When the call was made, in ms since 1970.
        at: u64,
    },
    /// It is being deleted.
    Deleting,
}

/// A record that spawn has made, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The record as it was given to Route 53.
    pub record: Record,
    /// How it stands.
    pub standing: Standing,
}

/// A change that Route 53 did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// Of which record.
    pub record: Record,
    /// Why.
    pub reason: String,
    /// When, in ms since 1970.
    pub at: u64,
}

/// What a refusal turned out to mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The record is spawn's own: an earlier call has made it.
    Own,
    /// There is nothing to delete any more.
    Gone,
    /// The record is not what spawn has made: it is left alone.
    Foreign,
    /// Route 53 does not take the record as it is.
    Rejected,
}

/// The records of one member (`DNS#NAMES#n` / `sweep#00042`): the ledger is their owner, and what does not stand here is not
/// touched. Written by the drainer alone, an intent before each call and its outcome after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesRow {
    /// The member's sweep.
    pub sweep_id: SweepId,
    /// The member.
    pub index: u32,
    /// Counts the changes; 0 for a row that is not stored yet.
    pub version: u64,
    /// Its records.
    pub records: Vec<Owned>,
    /// What was refused, lately.
    #[serde(default)]
    pub refused: Vec<RefusedRecord>,
}

/// The key of the row of a member's records.
#[must_use]
pub fn names_key(sweep: &SweepId, index: u32) -> Key {
    Key::new(names_pk(shard(sweep, index)), member_sk(sweep, index))
}

impl Stored for NamesRow {
    fn key(&self) -> Key {
        names_key(&self.sweep_id, self.index)
    }
}
versioned!(NamesRow);

impl NamesRow {
    /// The row of a member that has no record yet.
    #[must_use]
    pub fn none(sweep_id: SweepId, index: u32) -> Self {
        Self {
            sweep_id,
            index,
            version: 0,
            records: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.refused.is_empty()
    }

    /// The records of which it is not known whether they are in the zone.
    pub fn open(&self) -> impl Iterator<Item = &RecordId> {
        self.records
            .iter()
            .filter(|owned| owned.standing != Standing::Live)
            .map(|owned| &owned.record.id)
    }

    /// The changes that are under way: those to be sent, deletions first.
    #[must_use]
    pub fn under_way(&self) -> Vec<Change> {
        let of = |action: Action| {
            let is_one = move |owned: &&Owned| match owned.standing {
                Standing::Creating { .. } => action == Action::Create,
                Standing::Deleting => action == Action::Delete,
                Standing::Live | Standing::Unseen { .. } => false,
            };
            self.records.iter().filter(is_one).map(move |owned| Change {
                action,
                record: owned.record.clone(),
            })
        };
        of(Action::Delete).chain(of(Action::Create)).collect()
    }

    /// Begins whatever makes the member's records those that are `wanted`, at `now` (ms since 1970). Nothing may be open but
    /// what [`NamesRow::resolve`] has left.
    pub fn intend(&mut self, wanted: &[Record], now: u64) {
        let records = &self.records;
        let of_use = |record: &Record| {
            wanted.contains(record) || records.iter().any(|owned| owned.record == *record)
        };
        self.refused
            .retain(|refused| refused.at + REFUSED_MS > now && of_use(&refused.record));
        let refused: Vec<Record> = self.refused.iter().map(|r| r.record.clone()).collect();
        for owned in &mut self.records {
            let is_kept = wanted.contains(&owned.record) || refused.contains(&owned.record);
            if owned.standing == Standing::Live && !is_kept {
                owned.standing = Standing::Deleting;
            }
        }
        for record in wanted {
            let has = |standing: fn(&Standing) -> bool| {
                self.records
                    .iter()
                    .position(|owned| owned.record == *record && standing(&owned.standing))
            };
            if has(|s| matches!(s, Standing::Live)).is_some() || refused.contains(record) {
                continue;
            }
            let unseen = has(|s| matches!(s, Standing::Unseen { .. }));
            if let Some(place) = unseen {
                self.records.remove(place);
            }
            self.records.push(Owned {
                record: record.clone(),
                standing: Standing::Creating {
                    at: now,
                    repeated: unseen.is_some(),
                },
            });
        }
    }

    /// Route 53 has taken the changes that are under way.
    pub fn done(&mut self) {
        self.records
            .retain(|owned| owned.standing != Standing::Deleting);
        for owned in &mut self.records {
            if matches!(owned.standing, Standing::Creating { .. }) {
                owned.standing = Standing::Live;
            }
        }
    }

    /// The changes that are under way were not made, and no call for them is: they are taken back.
    pub fn undone(&mut self) {
        self.records.retain_mut(|owned| match owned.standing {
            Standing::Creating { at, repeated: true } => {
                owned.standing = Standing::Unseen { at };
                true
            }
            Standing::Creating { .. } => false,
            Standing::Deleting => {
                owned.standing = Standing::Live;
                true
            }
            Standing::Live | Standing::Unseen { .. } => true,
        });
    }

    /// Settles by what the zone shows what a call without an answer, or a death before it was recorded, has left open. `shown`
    /// answers the zone's record of an id. Answers the records that somebody else has changed: they are not spawn's any more.
    pub fn resolve<'a>(
        &mut self,
        shown: impl Fn(&RecordId) -> Option<&'a Record>,
        now: u64,
    ) -> Vec<Record> {
        let mut foreign = Vec::new();
        let own: Vec<Record> = self.records.iter().map(|o| o.record.clone()).collect();
        self.records.retain_mut(|owned| {
            let before = owned.standing;
            if before == Standing::Live {
                return true;
            }
            let there = shown(&owned.record.id);
            if there == Some(&owned.record) {
                owned.standing = Standing::Live;
                return true;
            }
            // What is there can be another record of this very row: the new address beside the old one.
            if let Some(there) = there
                && !own.contains(there)
            {
                foreign.push(there.clone());
            }
            match before {
                Standing::Creating { at, .. } if there.is_none() => {
                    owned.standing = Standing::Unseen { at };
                    true
                }
                Standing::Unseen { at } => there.is_none() && at + LATE_MS > now,
                Standing::Creating { .. } | Standing::Deleting | Standing::Live => false,
            }
        });
        foreign.dedup();
        foreign
    }

    /// Judges a change of this row that Route 53 named as the reason for refusing a batch, by what the zone shows of its
    /// record. The change is not under way any more.
    pub fn refuse(
        &mut self,
        change: &Change,
        shown: Option<&Record>,
        message: &str,
        now: u64,
    ) -> Refusal {
        let Some(place) = self.place_under_way(change) else {
            return Refusal::Gone;
        };
        let record = &change.record;
        let repeated = matches!(
            self.records[place].standing,
            Standing::Creating { repeated: true, .. }
        );
        let verdict = match (change.action, shown) {
            (Action::Create, Some(there)) if there == record && repeated => Refusal::Own,
            (Action::Create, Some(there)) if self.is_unseen(there) => Refusal::Own,
            (Action::Delete, None) => Refusal::Gone,
            (Action::Delete, Some(there)) if there == record => Refusal::Rejected,
            (Action::Create | Action::Delete, Some(_)) => Refusal::Foreign,
            (Action::Create, None) => Refusal::Rejected,
        };
        match (&verdict, change.action) {
            (Refusal::Own, _) => {
                if shown != Some(record) {
                    self.records.remove(place);
                }
                for owned in &mut self.records {
                    if shown == Some(&owned.record) {
                        owned.standing = Standing::Live;
                    }
                }
            }
            (Refusal::Rejected, Action::Delete) => self.records[place].standing = Standing::Live,
            _ => {
                self.records.remove(place);
            }
        }
        match verdict {
            Refusal::Foreign => {
                let words = NOT_AS_MADE;
                // Nothing else of this name can be made either.
                let creating = |owned: &Owned| {
                    owned.record.id == record.id
                        && matches!(owned.standing, Standing::Creating { .. })
                };
                let others: Vec<Record> = self
                    .records
                    .iter()
                    .filter(|owned| creating(owned))
                    .map(|owned| owned.record.clone())
                    .collect();
                self.records.retain(|owned| !creating(owned));
                if change.action == Action::Create {
                    self.note_refused(record.clone(), words, now);
                }
                for other in others {
                    self.note_refused(other, words, now);
                }
            }
            Refusal::Rejected => self.note_refused(record.clone(), message, now),
            Refusal::Own | Refusal::Gone => {}
        }
        verdict
    }

    /// Forgets a record that the zone does not show any more.
    pub fn forget(&mut self, record: &Record) {
        self.records.retain(|owned| owned.record != *record);
    }

    /// Lets go of a record that somebody else has changed: it is not spawn's to delete, and not to be made anew beside it.
    pub fn let_go(&mut self, record: &Record, now: u64) {
        self.forget(record);
        self.note_refused(record.clone(), NOT_AS_MADE, now);
    }

    fn place_under_way(&self, change: &Change) -> Option<usize> {
        self.records.iter().position(|owned| {
            let is_under_way = match change.action {
                Action::Create => matches!(owned.standing, Standing::Creating { .. }),
                Action::Delete => owned.standing == Standing::Deleting,
            };
            is_under_way && owned.record == change.record
        })
    }

    fn is_unseen(&self, record: &Record) -> bool {
        self.records.iter().any(|owned| {
            owned.record == *record && matches!(owned.standing, Standing::Unseen { .. })
        })
    }

    fn note_refused(&mut self, record: Record, reason: &str, at: u64) {
        let reason = reason.chars().take(500).collect();
        self.refused.push(RefusedRecord { record, reason, at });
    }
}
