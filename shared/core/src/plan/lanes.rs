//! The lanes of a sweep as they grow, member by member.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::document::{Distribution, Settings, Sweep};
use crate::ids::{LaneId, Market, SweepId};
use crate::launch::BATCH_MEMBERS_MAX;
use crate::plan::candidates::Candidate;
use crate::plan::classes::Class;
use crate::plan::place::Seat;
use crate::plan::rows::ttl_of;
use crate::plan::{Classes, Options};
use crate::rows::{BatchRow, LaneRow, Shape};

/// The most shapes that lanes share: each lane's row holds them all, and a row has 400 KiB.
const SHARED_SHAPES_MAX: usize = 50;

/// The lanes of a sweep.
pub(crate) struct Lanes<'a> {
    classes: &'a Classes,
    options: &'a Options,
    is_spread: bool,
    opportunistic: bool,
    lanes: BTreeMap<LaneId, LaneDraft>,
    /// The lanes of each market that share their members, in order of preference.
    peers: BTreeMap<Market, Vec<LaneId>>,
    /// How many shapes those lanes share.
    shared: BTreeMap<Market, u32>,
    /// The shapes of a class in a place, each for so many members more.
    shapes: BTreeMap<(usize, usize), Vec<(u32, usize)>>,
}

impl<'a> Lanes<'a> {
    /// The lanes of a sweep without members yet; with the shapes that lanes share.
    pub(crate) fn new(
        sweep: &Sweep,
        classes: &'a Classes,
        options: &'a Options,
        seats: &[Seat],
    ) -> Self {
        let mut lanes = Self {
            classes,
            options,
            is_spread: sweep.distribution == Distribution::Spread,
            opportunistic: sweep.distribution == Distribution::Opportunistic,
            lanes: BTreeMap::new(),
            peers: BTreeMap::new(),
            shared: BTreeMap::new(),
            shapes: BTreeMap::new(),
        };
        if matches!(
            sweep.distribution,
            Distribution::Balanced | Distribution::Cheapest | Distribution::Opportunistic
        ) {
            lanes.share();
        }
        lanes.number_shapes(seats);
        lanes
    }

    /// Gives lanes of a market the shapes of all members that may go to any of them, under the same numbers.
    fn share(&mut self) {
        let is_open = |candidate: &Candidate| candidate.count.is_none() && !candidate.for_pinned;
        let all = self.options.candidates.all.iter().enumerate();
        let places: Vec<(usize, &Candidate)> =
            all.filter(|(_, candidate)| is_open(candidate)).collect();
        for market in [Market::OnDemand, Market::Spot] {
            let classes = self.classes.all.iter().enumerate();
            let movable: Vec<usize> = classes
                .filter(|(_, class)| class.market() == market && class.settings.region.is_none())
                .map(|(number, _)| number)
                .collect();
            if places.len() < 2 || movable.is_empty() || movable.len() > SHARED_SHAPES_MAX {
                continue;
            }
            for (place, candidate) in &places {
                let id = lane_id(candidate, market);
                let draft = self.lanes.entry(id.clone()).or_default();
                for class in &movable {
                    if let Some(choice) = self.options.choice(*class, *place) {
                        // Two classes may have one shape; each has its own number all the same, as in the other lanes.
                        draft.shapes.push(choice.shape.clone());
                    }
                }
                self.peers.entry(market).or_default().push(id);
            }
            let count = u32::try_from(movable.len()).unwrap_or(u32::MAX);
            self.shared.insert(market, count);
            for (number, class) in (0..count).zip(&movable) {
                for (place, _) in &places {
                    self.shapes
                        .insert((*class, *place), vec![(number, usize::MAX)]);
                }
            }
        }
    }

    /// Numbers the shapes of the other classes, as many of each as their members are spread over.
    fn number_shapes(&mut self, seats: &[Seat]) {
        let mut members: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (class, seat) in self.classes.of_member.iter().zip(seats) {
            if let Seat::At(place) = seat {
                *members.entry((*class, *place)).or_insert(0) += 1;
            }
        }
        for ((class, place), count) in members {
            if self.shapes.contains_key(&(class, place)) {
                continue;
            }
            let (Some(choice), Some(of_class), Some(candidate)) = (
                self.options.choice(class, place),
                self.classes.all.get(class),
                self.options.candidates.all.get(place),
            ) else {
                continue;
            };
            let draft = self
                .lanes
                .entry(lane_id(candidate, of_class.market()))
                .or_default();
            let variants = if self.is_spread {
                choice.spread(count)
            } else {
                vec![(choice.shape.clone(), count)]
            };
            let numbered = variants
                .into_iter()
                .map(|(shape, count)| (draft.shape(shape), count))
                .collect();
            self.shapes.insert((class, place), numbered);
        }
    }

    /// Adds a member, and answers its lane and its shape there; no shape for one that is refused.
    pub(crate) fn add(
        &mut self,
        member: usize,
        seat: Seat,
        settings: &Settings,
    ) -> (LaneId, Option<u32>) {
        let class = self.classes.of_member.get(member).copied().unwrap_or(0);
        let (Seat::At(place) | Seat::Refused(place)) = seat;
        let market = self
            .classes
            .all
            .get(class)
            .map_or(Market::OnDemand, Class::market);
        let candidate = self.options.candidates.all.get(place);
        let candidate = candidate.or_else(|| self.options.candidates.all.first());
        let Some(candidate) = candidate else {
            unreachable!("options without a place are a fault of the document");
        };
        let id = lane_id(candidate, market);
        let draft = self.lanes.entry(id.clone()).or_default();
        if let Seat::Refused(_) = seat {
            return (id, None);
        }
        draft.add_ttl(settings);
        let shapes = self.shapes.entry((class, place)).or_default();
        // The blocks of neighbours that share a zone; the last takes what is left.
        while shapes.len() > 1 && shapes.first().is_some_and(|(_, left)| *left == 0) {
            shapes.remove(0);
        }
        let number = match shapes.first_mut() {
            Some((number, left)) => {
                *left = left.saturating_sub(1);
                *number
            }
            None => 0,
        };
        let index = u32::try_from(member).unwrap_or(u32::MAX);
        draft.members.entry(number).or_default().push(index);
        (id, Some(number))
    }

    /// The lanes.
    pub(crate) fn ids(&self) -> Vec<LaneId> {
        self.lanes.keys().cloned().collect()
    }

    /// The rows of lanes and batches.
    pub(crate) fn rows(
        mut self,
        sweep: &Sweep,
        sweep_id: &SweepId,
    ) -> (Vec<LaneRow>, Vec<BatchRow>) {
        self.share_ttl();
        let mut lanes = Vec::new();
        let mut batches = Vec::new();
        for (id, draft) in self.lanes {
            let of_lane = draft.batches(sweep_id, &id);
            let market = self.peers.get(&id.market);
            let peers = market.filter(|peers| peers.contains(&id));
            let mut row = draft.row(sweep, sweep_id, id.clone(), of_lane.len());
            if let Some(peers) = peers {
                row.peers = peers.iter().filter(|peer| **peer != id).cloned().collect();
                row.movable_shapes = self.shared.get(&id.market).copied().unwrap_or(0);
                row.opportunistic = self.opportunistic;
            }
            lanes.push(row);
            batches.extend(of_lane);
        }
        (lanes, batches)
    }

    /// The kill switch of a lane must suit members of all its peers.
    fn share_ttl(&mut self) {
        for peers in self.peers.values() {
            let drafts = || peers.iter().filter_map(|peer| self.lanes.get(peer));
            let longest = drafts().map(|draft| draft.ttl_s).max().unwrap_or(0);
            let endless = drafts().any(|draft| draft.endless);
            for peer in peers {
                if let Some(draft) = self.lanes.get_mut(peer) {
                    draft.ttl_s = longest;
                    draft.endless = endless;
                }
            }
        }
    }
}

fn lane_id(candidate: &Candidate, market: Market) -> LaneId {
    LaneId {
        account: candidate.place.account,
        region: candidate.place.region,
        market,
    }
}

/// A lane as it grows.
#[derive(Default)]
struct LaneDraft {
    shapes: Vec<Shape>,
    numbers: BTreeMap<Shape, u32>,
    members: BTreeMap<u32, Vec<u32>>,
    ttl_s: u64,
    endless: bool,
}

impl LaneDraft {
    fn shape(&mut self, shape: Shape) -> u32 {
        let next = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        match self.numbers.entry(shape) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.shapes.push(entry.key().clone());
                *entry.insert(next)
            }
        }
    }

    fn add_ttl(&mut self, settings: &Settings) {
        match ttl_of(settings) {
            Some(ttl) => self.ttl_s = self.ttl_s.max(ttl),
            None => self.endless = true,
        }
    }

    fn batches(&self, sweep_id: &SweepId, lane: &LaneId) -> Vec<BatchRow> {
        let size = usize::try_from(BATCH_MEMBERS_MAX).unwrap_or(usize::MAX);
        let chunks = self
            .members
            .iter()
            .flat_map(|(shape, members)| members.chunks(size).map(move |chunk| (*shape, chunk)));
        (0..)
            .zip(chunks)
            .map(|(batch, (shape, chunk))| {
                let pending = chunk.iter().copied().collect();
                BatchRow::new(sweep_id.clone(), lane.clone(), batch, shape, pending)
            })
            .collect()
    }

    fn row(self, sweep: &Sweep, sweep_id: &SweepId, lane: LaneId, batches: usize) -> LaneRow {
        let pending: usize = self.members.values().map(Vec::len).sum();
        LaneRow {
            shapes: self.shapes,
            batches: u32::try_from(batches).unwrap_or(u32::MAX),
            pending: u32::try_from(pending).unwrap_or(u32::MAX),
            launch_delay_s: sweep.launch_delay_s,
            ttl_s: (!self.endless).then_some(self.ttl_s),
            ..LaneRow::new(sweep_id.clone(), lane)
        }
    }
}
