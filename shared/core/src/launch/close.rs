//! The end of attempts.

use std::collections::BTreeMap;

use crate::budget::Releases;
use crate::launch::begin::slot_change;
use crate::launch::pools::code_of;
use crate::launch::record::rung_words;
use crate::ledger::{LedgerError, Path, Versioned, Write};
use crate::rows::{AttemptRow, AttemptState, BatchRow, LaneRow, OpenAttempt, Trouble, sweep_key};

/// The most rungs that a batch remembers: the latest ones.
const RUNGS_MAX: usize = 12;

/// An attempt that ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// The attempt, with all that was recorded of it.
    pub attempt: AttemptRow,
    /// Its batch.
    pub batch: BatchRow,
    /// EC2's error, if there was one.
    pub error: Option<String>,
}

impl Closing {
    fn open(&self) -> OpenAttempt {
        OpenAttempt {
            batch: self.attempt.batch,
            number: self.attempt.number,
        }
    }
}

/// How the lane stands afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// Not to launch in this lane before this time, in ms since 1970.
    pub not_before: u64,
    /// With `launch_delay`: not to launch before this time for what was launched now, in ms since 1970.
    pub next_launch_at: u64,
    /// Calls in a row that EC2 throttled or did not answer.
    pub setbacks: u32,
    /// What became of shapes with trouble; a shape without any has no entry.
    pub troubles: BTreeMap<u32, Trouble>,
}

/// The writes that close attempts of a lane: what was not launched goes back to the batches, and the slots with it.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn close(
    lane: &LaneRow,
    closings: Vec<Closing>,
    aftermath: Aftermath,
) -> Result<Vec<Write>, LedgerError> {
    let mut after = lane.clone();
    after.setbacks = aftermath.setbacks;
    after.not_before = aftermath.not_before;
    after.next_launch_at = after.next_launch_at.max(aftermath.next_launch_at);
    after.troubles = aftermath.troubles;
    let mut slots: BTreeMap<Path, i64> = BTreeMap::new();
    let mut batches: BTreeMap<u32, BatchRow> = BTreeMap::new();
    let mut releases = Releases::default();
    let mut writes = Vec::with_capacity(2 * closings.len() + 2);
    for closing in closings {
        let open = closing.open();
        let Closing {
            mut attempt,
            batch,
            error,
        } = closing;
        let unfilled = attempt.members.without(&attempt.recorded);
        let launched = attempt.recorded.len();
        let batch = batches.entry(batch.batch).or_insert(batch);
        batch.pending = batch.pending.union(&unfilled);
        if !unfilled.is_empty() {
            remember(batch, &attempt, error.as_deref());
            after.next_batch = after.next_batch.min(attempt.batch);
        }
        after.open_attempts.retain(|other| *other != open);
        after.pending = after.pending.saturating_sub(launched);
        attempt.costs.give_back(unfilled.len(), &mut releases);
        let region = attempt.at.region.to_string();
        for (counter, by) in slot_change(&region, -i64::from(unfilled.len())) {
            *slots.entry(counter).or_insert(0) += by;
        }
        attempt.state = if launched > 0 {
            AttemptState::Done
        } else {
            AttemptState::Failed
        };
        attempt.launched = launched;
        attempt.calling_until = None;
        attempt.error = error;
        writes.push(attempt.replace()?);
    }
    for batch in batches.into_values() {
        writes.push(batch.replace()?);
    }
    writes.push(after.replace()?);
    if !slots.is_empty() {
        writes.push(Write::Update {
            key: sweep_key(&lane.sweep_id),
            set: Vec::new(),
            remove: Vec::new(),
            add: slots.into_iter().collect(),
            when: Vec::new(),
        });
    }
    Ok(releases.into_writes(&lane.sweep_id, writes))
}

/// Notes a rung that left members over; the same one again is noted once.
fn remember(batch: &mut BatchRow, attempt: &AttemptRow, error: Option<&str>) {
    let code = error.map_or("launched fewer", code_of);
    let words = format!("{}: {code}", rung_words(attempt));
    if batch.rungs.last() != Some(&words) {
        batch.rungs.push(words);
    }
    let over = batch.rungs.len().saturating_sub(RUNGS_MAX);
    batch.rungs.drain(..over);
}
