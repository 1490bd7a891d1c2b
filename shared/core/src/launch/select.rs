//! What a lane launches next: which members, where, and when.

use std::collections::BTreeMap;

use crate::account::Place;
use crate::budget::Standing;
use crate::ids::LaneId;
use crate::launch::lack::Lack;
use crate::launch::ladder::{Step, ladder, rung};
use crate::launch::{BATCH_MEMBERS_MAX, DryPools, quota};
use crate::limits::{Book, Reserved, Site};
use crate::region::Region;
use crate::rows::{AttemptCosts, BatchRow, LaneRow, LaunchApi, Rung, Shape, SweepRow, Trouble};

/// The most attempts of a lane that are begun together: EC2 answers a launch after seconds, and the next need not wait for it.
/// Ten calls of a hundred are what a full bucket of instances holds.
pub const PARALLEL_MAX: usize = 10;

/// How far ahead a launcher takes tokens, and waits for them by itself: shorter than what a turn of the state machine costs,
/// and long enough for [`PARALLEL_MAX`] requests out of a full bucket of RunInstances.
pub const HORIZON_MS: u64 = 2_600;

/// With `launch_delay`, a call is planned so long ahead that its intent is written before its time has come: calls are then as
/// far apart as the delay says, and not as their writes happen to be.
pub const LEAD_MS: u64 = 250;

/// A lane is woken so long before its time has come: waking takes a part of a second, and the rest is waited for to the ms.
const WAKE_MS: u64 = 1_000;

/// A lane that lacks slots for some members waits by the clock for others if their time comes so soon.
const SLOT_PATIENCE_MS: u64 = 30_000;

/// What is chosen for one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The batch, as it was read.
    pub batch: BatchRow,
    /// How many of its members.
    pub count: u32,
    /// The lane whose place and shape are used.
    pub at: LaneId,
    /// The step of the ladder.
    pub step: u32,
    /// The pools, without those that are known to be empty.
    pub rung: Rung,
    /// When EC2 is called, in ms since 1970.
    pub send_at: u64,
    /// What its instances cost, and what is charged for them.
    pub costs: AttemptCosts,
    /// The standing budgets that are charged.
    pub standing: Vec<Standing>,
}

/// What a lane does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Begin these attempts. Their tokens are taken in the book.
    Begin(Vec<Chosen>),
    /// Nothing before this time, in ms since 1970.
    Wait(u64),
    /// Nothing before an instance of the sweep has ended.
    AwaitSlot,
    /// These shapes have met with trouble, which is to be noted before anything else.
    Note(BTreeMap<u32, Trouble>),
    /// Nothing can be said before these places were looked at.
    Look(LaneId),
}

/// What [`select`] judges by.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The sweep.
    pub sweep: &'a SweepRow,
    /// The lane.
    pub lane: &'a LaneRow,
    /// Those of the lane's peers that were looked at.
    pub peers: &'a BTreeMap<LaneId, LaneRow>,
    /// The lane's first batches with members left.
    pub batches: &'a [BatchRow],
    /// The pools without capacity in the places that were looked at.
    pub dry: &'a DryPools,
    /// The present, in ms since 1970.
    pub now: u64,
}

impl Facts<'_> {
    /// The account and region of a lane, as [`Book`] names them.
    #[must_use]
    pub fn site(&self, at: &LaneId) -> Site {
        site(self.sweep, at)
    }

    fn shape_at(&self, at: &LaneId, number: u32) -> Option<&Shape> {
        let lane = if *at == self.lane.lane {
            self.lane
        } else {
            self.peers.get(at)?
        };
        lane.shapes.get(usize::try_from(number).ok()?)
    }
}

/// The account and region of a lane of `sweep`. The home account's id is that of the execution.
#[must_use]
pub fn site(sweep: &SweepRow, at: &LaneId) -> Site {
    let home = || sweep.execution_arn.split(':').nth(4).unwrap_or_default();
    let account = at
        .account
        .map_or_else(|| home().to_owned(), |account| account.to_string());
    (account, at.region)
}

/// Chooses the next attempts of a lane that has none under way. Takes their tokens in `book`.
#[must_use]
pub fn select(facts: &Facts<'_>, book: &mut Book) -> Selection {
    let mut search = Search {
        facts,
        sweep: facts.sweep.clone(),
        chosen: Vec::new(),
        soonest: None,
        lacks_slot: false,
        troubles: BTreeMap::new(),
    };
    let lane = facts.lane;
    if lane.launch_delay_s > 0 && lane.next_launch_at > facts.now + HORIZON_MS {
        return Selection::Wait(lane.next_launch_at - WAKE_MS);
    }
    for batch in facts.batches {
        if let Some(at) = search.choose(batch, book) {
            return Selection::Look(at);
        }
        let is_full = search.chosen.len() == PARALLEL_MAX
            || (lane.launch_delay_s > 0 && !search.chosen.is_empty());
        if is_full {
            break;
        }
    }
    if !search.troubles.is_empty() {
        return Selection::Note(search.troubles);
    }
    if !search.chosen.is_empty() {
        return Selection::Begin(search.chosen);
    }
    // Nobody tells a lane that waits for a slot that its tokens are there: it asks again after a while in any case.
    match search.soonest {
        Some(soonest) if !search.lacks_slot || soonest < facts.now + SLOT_PATIENCE_MS => {
            Selection::Wait(soonest)
        }
        Some(_) | None => Selection::AwaitSlot,
    }
}

struct Search<'a> {
    facts: &'a Facts<'a>,
    /// The sweep as it will be when what is chosen has its slots.
    sweep: SweepRow,
    chosen: Vec<Chosen>,
    soonest: Option<u64>,
    lacks_slot: bool,
    troubles: BTreeMap<u32, Trouble>,
}

/// What a step of the ladder has for a batch.
enum Offer {
    Taken,
    /// Nothing before this time, or before a slot is free.
    Later,
    /// No capacity before this time, in EC2's words.
    Empty(u64, String),
    /// No room in a quota before this time.
    InUse(u64),
}

impl Search<'_> {
    /// Chooses for one batch, if anything can be launched for it now. Answers a place that must be looked at first.
    fn choose(&mut self, batch: &BatchRow, book: &mut Book) -> Option<LaneId> {
        let Facts { lane, now, .. } = self.facts;
        let trouble = self
            .troubles
            .get(&batch.shape)
            .or_else(|| lane.troubles.get(&batch.shape))
            .cloned()
            .unwrap_or_default();
        if trouble.stopped.is_some() || batch.pending.is_empty() {
            return None;
        }
        if trouble.rest_until > *now {
            self.not_before(trouble.rest_until);
            return None;
        }
        let steps = match self.facts.shape_at(&lane.lane, batch.shape) {
            Some(shape) => ladder(lane, batch.shape, shape),
            None => Vec::new(),
        };
        let mut lack = Lack::default();
        let mut market = None;
        for (number, step) in (0..).zip(&steps) {
            if trouble.refused.contains_key(&number) {
                continue;
            }
            // Waiting is no reason to pay more: another market is taken only when this one has nothing.
            if market.is_some_and(|market| market != step.market) {
                break;
            }
            let place = step.at.place();
            if !book.has(&self.facts.site(&step.at))
                || !self.facts.dry.knows(&place)
                || self.facts.shape_at(&step.at, batch.shape).is_none()
            {
                return Some(step.at.clone());
            }
            match self.offer(batch, &trouble, (number, step), place, book) {
                Offer::Taken => return None,
                Offer::Later if lane.opportunistic && batch.shape < lane.movable_shapes => {
                    market = Some(step.market);
                }
                Offer::Later => return None,
                Offer::Empty(until, words) => {
                    lack.note_empty(until, words);
                }
                Offer::InUse(until) => {
                    lack.note_in_use(step, until, self.live_in(&step.at.region));
                }
            }
        }
        if market.is_none() {
            let after = lack.exhausted(lane, trouble, *now);
            self.troubles.insert(batch.shape, after);
        }
        None
    }

    /// Instances of the sweep in a region, as the ledger has them.
    fn live_in(&self, region: &Region) -> i64 {
        let live = self.facts.sweep.live_in.get(region);
        live.copied().unwrap_or(0)
    }

    fn offer(
        &mut self,
        batch: &BatchRow,
        trouble: &Trouble,
        (number, step): (u32, &Step),
        place: Place,
        book: &mut Book,
    ) -> Offer {
        let Facts { lane, now, dry, .. } = self.facts;
        let Some(shape) = self.facts.shape_at(&step.at, batch.shape) else {
            return Offer::Later;
        };
        let rung = match dry.filter(&rung(step, shape), place, *now) {
            Ok(rung) => rung,
            Err((until, words)) => return Offer::Empty(until, words),
        };
        let quota = trouble.quotas.get(&quota::scope(&step.at, step.market));
        let rests = |quota| quota::rests_until(quota, self.live_in(&step.at.region), *now);
        if let Some(until) = quota.and_then(rests) {
            return Offer::InUse(until);
        }
        // While a quota is felt for, one call at a time does.
        let is_of_shape = |one: &Chosen| one.batch.shape == batch.shape;
        if quota.is_some() && self.chosen.iter().any(is_of_shape) {
            return Offer::Later;
        }
        let site = self.facts.site(&step.at);
        let batch_max = if lane.launch_delay_s > 0 {
            1
        } else {
            BATCH_MEMBERS_MAX
        };
        let count = self
            .sweep
            .free_slots(&step.at.region)
            .min(batch.pending.len())
            .min(batch_max)
            .min(book.call_max(&site, *now))
            .min(quota.map_or(u32::MAX, |quota| quota.call_max.max(1)));
        if count == 0 {
            self.lacks_slot = true;
            return Offer::Later;
        }
        let rung = without_delay(rung, |api| book.when(&site, api, count, *now), *now);
        match book.reserve(&site, rung.api, count, *now, HORIZON_MS) {
            Reserved::NotBefore(when) => {
                self.not_before(when);
                Offer::Later
            }
            Reserved::At(when) => {
                self.sweep.live += i64::from(count);
                *self.sweep.live_in.entry(step.at.region).or_insert(0) += i64::from(count);
                let send_at = if lane.launch_delay_s > 0 {
                    when.max(lane.next_launch_at).max(now + LEAD_MS)
                } else {
                    when
                };
                self.chosen.push(Chosen {
                    batch: batch.clone(),
                    count,
                    at: step.at.clone(),
                    step: number,
                    rung,
                    send_at,
                    costs: AttemptCosts::default(),
                    standing: Vec::new(),
                });
                Offer::Taken
            }
        }
    }

    fn not_before(&mut self, when: u64) {
        self.soonest = Some(self.soonest.map_or(when, |soonest| soonest.min(when)));
    }
}

/// The same pool by a fleet, if its requests are there sooner: EC2 takes ten times as many of them at once.
fn without_delay(mut rung: Rung, when: impl Fn(LaunchApi) -> u64, now: u64) -> Rung {
    let (run, fleet) = (when(LaunchApi::RunInstances), when(LaunchApi::CreateFleet));
    if rung.api == LaunchApi::RunInstances && run > now && fleet < run {
        rung.api = LaunchApi::CreateFleet;
    }
    rung
}
