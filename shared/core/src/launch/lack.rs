//! When no step of a ladder has anything: how long a shape rests, and when its members are given up.

use crate::account::Place;
use crate::ids::{LaneId, Market};
use crate::launch::ladder::Step;
use crate::launch::quota;
use crate::rows::{LaneRow, Trouble};

/// What a ladder lacks of which no step has anything.
#[derive(Default)]
pub(crate) struct Lack {
    /// When the first of the empty pools may have capacity again, in ms since 1970, and what EC2 said of it.
    empty: Option<(u64, String)>,
    /// The places and markets whose quotas are in use, and when the first of them is asked again.
    in_use: Vec<(Place, Market)>,
    quota_until: Option<u64>,
    /// Whether instances of the sweep live where a quota is in use: their ends make room.
    is_own: bool,
}

impl Lack {
    /// Notes pools without capacity before `until`, in EC2's words.
    pub(crate) fn note_empty(&mut self, until: u64, words: String) {
        let soonest = self.empty.as_ref().map(|(soonest, _)| *soonest);
        if soonest.is_none_or(|soonest| until < soonest) {
            self.empty = Some((until, words));
        }
    }

    /// Notes a step whose quota is not asked before `until`, where `live` instances of the sweep live.
    pub(crate) fn note_in_use(&mut self, step: &Step, until: u64, live: i64) {
        let at = (step.at.place(), step.market);
        if !self.in_use.contains(&at) {
            self.in_use.push(at);
        }
        self.quota_until = Some(self.quota_until.map_or(until, |soonest| soonest.min(until)));
        self.is_own |= live > 0;
    }

    fn until(&self) -> Option<u64> {
        let empty = self.empty.as_ref().map(|(until, _)| *until);
        empty.into_iter().chain(self.quota_until).min()
    }

    /// The trouble of a shape for which no step of the ladder has anything: it rests until a pool may have capacity or a quota room
    /// again, and not for ever; or, when EC2 refuses every step for good, it is given up at once.
    pub(crate) fn exhausted(&self, lane: &LaneRow, mut trouble: Trouble, now: u64) -> Trouble {
        let refusals = refusals(&trouble);
        let Some(until) = self.until() else {
            trouble.stopped =
                Some(refusals.unwrap_or_else(|| "there is nothing to launch it with".to_owned()));
            return trouble;
        };
        // Members in waves are no failure: patience is for what the sweep's own instances will not bring about.
        if trouble.rounds == 0 || self.is_own {
            trouble.dry_since = now;
        }
        trouble.rounds += 1;
        trouble.rest_until = until;
        // At least twice, so that what one look missed is not held against a whole sweep.
        if trouble.rounds > 1 && now >= trouble.dry_since + lane.capacity_wait_s * 1000 {
            let minutes = (now - trouble.dry_since).div_ceil(60_000);
            let also = refusals.map_or_else(String::new, |words| format!("; elsewhere {words}"));
            trouble.stopped = Some(format!("{}{also}", self.in_vain(lane, &trouble, minutes)));
        }
        trouble
    }

    /// What members waited for in vain.
    fn in_vain(&self, lane: &LaneRow, trouble: &Trouble, minutes: u64) -> String {
        let mut words = Vec::new();
        if let Some((_, empty)) = &self.empty {
            let last = trouble
                .last_error
                .clone()
                .unwrap_or_else(|| format!("EC2 has no capacity: {empty}"));
            words.push(format!(
                "no pool that the document allows had capacity within {minutes} min; last: {last}"
            ));
        }
        for (place, market) in &self.in_use {
            let at = LaneId {
                account: place.account,
                region: place.region,
                market: *market,
            };
            if let Some(in_use) = trouble.quotas.get(&quota::scope(&at, *market)) {
                let told = quota::words(lane, (*place, *market), in_use, lane.pending);
                words.push(format!("no room came free within {minutes} min: {told}"));
            }
        }
        words.join("; ")
    }
}

/// What EC2 refused for good, each word once.
fn refusals(trouble: &Trouble) -> Option<String> {
    let mut words: Vec<&str> = trouble.refused.values().map(String::as_str).collect();
    words.dedup();
    (!words.is_empty()).then(|| words.join("; "))
}
