//! Where members go: a place for each, within what the quotas have room for.
//!
//! ```text
//! target     a member's own region; else a region's count; else an even share, or with cheapest the first region
//! room?      yes: there
//! elsewhere  if the document leaves it open: the first place in order of preference that has room
//! in waves   where one fits at all: there, and no more at a time than the quota has room for
//! on demand  where spot holds none at all, and the document falls back: in the same order
//! nowhere    refused, with the quota in words
//! ```

use std::collections::BTreeMap;

use crate::account::Place;
use crate::document::{Distribution, Sweep};
use crate::plan::rooms::Rooms;
use crate::plan::shapes::{Choice, Need};
use crate::plan::{Classes, Options, QuotaFacts};
use crate::region::Region;

/// Where each member goes, by index: the number of a place, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The number of the place, or the target of a member that fits nowhere.
    pub(crate) seats: Vec<Seat>,
    /// What the quotas have room for, with all members in it.
    pub(crate) rooms: Rooms,
    /// Members that were moved because of a quota, by from and to.
    pub(crate) moved: BTreeMap<(usize, usize), u32>,
    /// Members that are launched on demand because no quota of spot holds one, by place.
    pub(crate) fallen_back: BTreeMap<usize, u32>,
}

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// It goes to this place.
    At(usize),
    /// It fits nowhere; this place is where it was meant to go.
    Refused(usize),
}

/// Places every member.
pub(crate) fn place(
    sweep: &Sweep,
    classes: &Classes,
    options: &Options,
    quotas: &BTreeMap<Place, QuotaFacts>,
) -> Placement {
    let members = u32::try_from(sweep.members.len()).unwrap_or(u32::MAX);
    let limits = [
        sweep.max_concurrent,
        sweep.max_concurrent_per_region,
        Some(members),
    ];
    let at_once = limits.into_iter().flatten().min().unwrap_or(members);
    let mut ground = Ground {
        sweep,
        classes,
        options,
        rooms: Rooms::new(quotas, at_once),
        moved: BTreeMap::new(),
        fallen_back: BTreeMap::new(),
    };
    let targets = ground.targets();
    let mut seats: Vec<Seat> = targets
        .iter()
        .map(|target| Seat::Refused(*target))
        .collect();
    // Those without a choice come first, those of them that have to wait for their turn included: only then is it known what is
    // left for the others. Each in the order of their indices.
    for is_free in [false, true] {
        let mut waiting = Vec::new();
        for (member, target) in targets.iter().enumerate() {
            if ground.is_free(member, *target) == is_free {
                match ground.seat(member, *target) {
                    Some(place) => seats[member] = Seat::At(place),
                    None => waiting.push((member, *target)),
                }
            }
        }
        for (member, target) in waiting {
            if let Some(place) = ground.seat_elsewhere(member, target) {
                seats[member] = Seat::At(place);
            }
        }
    }
    ground.exchange_back(&targets, &mut seats);
    Placement {
        seats,
        rooms: ground.rooms,
        moved: ground.moved,
        fallen_back: ground.fallen_back,
    }
}

struct Ground<'a> {
    sweep: &'a Sweep,
    classes: &'a Classes,
    options: &'a Options,
    rooms: Rooms,
    moved: BTreeMap<(usize, usize), u32>,
    fallen_back: BTreeMap<usize, u32>,
}

impl Ground<'_> {
    fn choice(&self, member: usize, place: usize) -> Option<&Choice> {
        let class = *self.classes.of_member.get(member)?;
        self.options.choices.get(class)?.get(place)?.as_ref()
    }

    fn need(&self, member: usize, place: usize) -> Option<Need> {
        self.choice(member, place).map(Choice::need)
    }

    fn place(&self, number: usize) -> Option<Place> {
        let candidate = self.options.candidates.all.get(number)?;
        Some(candidate.place)
    }

    fn own_region(&self, member: usize) -> Option<Region> {
        self.sweep.members.get(member)?.settings.region
    }

    /// Whether the document leaves it open where the member goes.
    fn is_free(&self, member: usize, target: usize) -> bool {
        let candidate = self.options.candidates.all.get(target);
        self.own_region(member).is_none()
            && self.sweep.distribution != Distribution::Explicit
            && candidate.is_some_and(|candidate| candidate.count.is_none())
    }

    /// Seats a member at its target, if there is room.
    fn seat(&mut self, member: usize, target: usize) -> Option<usize> {
        let (place, need) = (self.place(target)?, self.need(member, target)?);
        self.rooms.has_room(place, need).then(|| {
            self.rooms.take(place, need);
            target
        })
    }

    /// Seats a member whose target has no room: where there is some, else where it can wait for its turn.
    fn seat_elsewhere(&mut self, member: usize, target: usize) -> Option<usize> {
        let region = self.place(target)?.region;
        let is_free = self.is_free(member, target);
        let mut open: Vec<(usize, Place, Need)> = Vec::new();
        for (number, candidate) in self.options.candidates.all.iter().enumerate() {
            let is_open = candidate.place.region == region
                || is_free && candidate.count.is_none() && !candidate.for_pinned;
            if is_open && let Some(need) = self.need(member, number) {
                open.push((number, candidate.place, need));
            }
        }
        let of_market = self.best(&open, target);
        let on_demand = || {
            let needs = open.iter().copied();
            let needs =
                needs.filter_map(|(number, at, need)| Some((number, at, need.on_demand()?)));
            self.best(&needs.collect::<Vec<_>>(), target)
        };
        let falls_back = of_market.is_none();
        match of_market.or_else(on_demand) {
            Some((number, place, need)) => {
                self.rooms.take(place, need);
                if number != target {
                    *self.moved.entry((target, number)).or_insert(0) += 1;
                }
                if falls_back {
                    *self.fallen_back.entry(number).or_insert(0) += 1;
                }
                Some(number)
            }
            None => {
                let (place, need) = (self.place(target)?, self.need(member, target)?);
                self.rooms.refuse(place, need);
                None
            }
        }
    }

    /// Gives members that were moved in both directions between two places back to their own: it is as full as before.
    fn exchange_back(&mut self, targets: &[usize], seats: &mut [Seat]) {
        // By class, and from where to where: members of a class take up the same everywhere.
        let mut moved: BTreeMap<(usize, usize, usize), Vec<usize>> = BTreeMap::new();
        let classes = self.classes.of_member.iter();
        for (member, ((target, seat), class)) in
            targets.iter().zip(&*seats).zip(classes).enumerate()
        {
            match seat {
                Seat::At(place) if place != target => {
                    moved
                        .entry((*class, *target, *place))
                        .or_default()
                        .push(member);
                }
                Seat::At(_) | Seat::Refused(_) => {}
            }
        }
        for ((class, from, to), there) in &moved {
            let back = moved.get(&(*class, *to, *from)).filter(|_| from < to);
            for (one, other) in there.iter().zip(back.into_iter().flatten()) {
                seats[*one] = Seat::At(*from);
                seats[*other] = Seat::At(*to);
                for way in [(*from, *to), (*to, *from)] {
                    if let Some(count) = self.moved.get_mut(&way) {
                        *count -= 1;
                    }
                }
            }
        }
        self.moved.retain(|_, count| *count > 0);
    }

    /// The first of these places that has room; else the one in which a member waits for the fewest others.
    fn best(&self, open: &[(usize, Place, Need)], target: usize) -> Option<(usize, Place, Need)> {
        let with_room = open
            .iter()
            .find(|(_, place, need)| self.rooms.has_room(*place, *need));
        let in_waves = || {
            let able = open
                .iter()
                .filter(|(_, place, need)| self.rooms.holds_one(*place, *need));
            able.min_by_key(|(number, place, need)| {
                (
                    self.rooms.filling(*place, *need),
                    *number != target,
                    *number,
                )
            })
        };
        with_room.or_else(in_waves).copied()
    }

    /// Where each member goes if nothing is in the way. Members with a region of their own go there; a region's count is
    /// filled first, pinned members included; the rest is spread as evenly as it goes, in blocks of neighbours.
    fn targets(&self) -> Vec<usize> {
        let regions = self.regions();
        let mut room = self.shares(&regions);
        let mut targets: Vec<Option<usize>> = vec![None; self.sweep.members.len()];
        let mut pinned: BTreeMap<Region, usize> = BTreeMap::new();
        for (member, target) in targets.iter_mut().enumerate() {
            let Some(region) = self.own_region(member) else {
                continue;
            };
            // Members of a region are spread over its accounts in turn.
            let places = self.places_of(region);
            let turn = pinned.entry(region).or_insert(0);
            *target = places.get(*turn % places.len().max(1)).copied();
            *turn += 1;
            if let Some((_, room)) = room.iter_mut().find(|(name, _)| *name == region) {
                *room = room.saturating_sub(1);
            }
        }
        let mut free = room.into_iter().flat_map(|(region, room)| {
            let places = self.places_of(region);
            let accounts = places.len().max(1);
            places
                .into_iter()
                .enumerate()
                .flat_map(move |(number, place)| {
                    let one_more = usize::from(number < room % accounts);
                    std::iter::repeat_n(place, room / accounts + one_more)
                })
        });
        targets
            .into_iter()
            // The document's check has seen to it that the shares hold all members; the first place is where one would go
            // that they do not.
            .map(|target| target.or_else(|| free.next()).unwrap_or(0))
            .collect()
    }

    /// The regions to distribute over, in order of preference, with their counts.
    fn regions(&self) -> Vec<(Region, Option<u32>)> {
        let mut regions: Vec<(Region, Option<u32>)> = Vec::new();
        for candidate in &self.options.candidates.all {
            let region = candidate.place.region;
            let is_new = regions.iter().all(|(known, _)| *known != region);
            if is_new && !candidate.for_pinned {
                regions.push((region, candidate.count));
            }
        }
        regions
    }

    fn places_of(&self, region: Region) -> Vec<usize> {
        let candidates = self.options.candidates.all.iter().enumerate();
        candidates
            .filter(|(_, candidate)| candidate.place.region == region)
            .map(|(number, _)| number)
            .collect()
    }

    /// How many members each region takes, pinned ones included.
    fn shares(&self, regions: &[(Region, Option<u32>)]) -> Vec<(Region, usize)> {
        let mut pinned: BTreeMap<Region, usize> = BTreeMap::new();
        for member in &self.sweep.members {
            if let Some(region) = member.settings.region {
                *pinned.entry(region).or_insert(0) += 1;
            }
        }
        let pinned_in = |region: &Region| pinned.get(region).copied().unwrap_or(0);
        let mut counted = 0;
        let mut open = 0;
        for (region, count) in regions {
            match count {
                Some(count) => counted += to_usize(*count).saturating_sub(pinned_in(region)),
                None => open += 1,
            }
        }
        let free = self.sweep.members.len() - pinned.values().sum::<usize>();
        let mut rest = free.saturating_sub(counted);
        if self.sweep.distribution == Distribution::Cheapest {
            // All to the first: what it has no room for goes on from there.
            let share = |(region, count): &(Region, Option<u32>)| {
                let room =
                    count.map_or_else(|| std::mem::take(&mut rest) + pinned_in(region), to_usize);
                (*region, room)
            };
            return regions.iter().map(share).collect();
        }
        let mut extra = if open == 0 { 0 } else { rest % open };
        regions
            .iter()
            .map(|(region, count)| {
                let room = match count {
                    Some(count) => to_usize(*count),
                    None => {
                        let one = usize::from(extra > 0);
                        extra -= one;
                        rest / open + one + pinned_in(region)
                    }
                };
                (*region, room)
            })
            .collect()
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
