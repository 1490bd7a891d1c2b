//! How much room the vCPU quotas of a place have, and how much of it the members placed there take up at the same time.

use std::collections::BTreeMap;

use crate::account::Place;
use crate::ids::Market;
use crate::plan::families::{Quota, quota_of_code};
use crate::plan::shapes::Need;
use crate::plan::{Families, QuotaFacts};

/// One quota of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// The place.
    pub(crate) place: Place,
    /// The quota.
    pub(crate) quota: Quota,
    /// Its value in vCPUs, or why that is not known.
    pub(crate) limit: Result<u64, String>,
    /// The vCPUs that run, or why that is not known.
    pub(crate) running: Result<u64, String>,
    /// Members placed there, by their vCPUs.
    pub(crate) members: BTreeMap<u32, u32>,
    /// Members that could be placed nowhere, by their vCPUs: this quota would have had to have room for them.
    pub(crate) refused: BTreeMap<u32, u32>,
}

impl Room {
    /// The vCPUs that are free, if the quota is known. What runs and is not known counts as nothing: a quota is not to block
    /// for want of knowledge.
    #[must_use]
    pub(crate) fn free(&self) -> Option<u64> {
        let limit = *self.limit.as_ref().ok()?;
        Some(limit.saturating_sub(*self.running.as_ref().unwrap_or(&0)))
    }

    /// The vCPUs of the members placed there, when at most `at_once` run at a time: the largest, to be safe.
    pub(crate) fn needed(&self, at_once: u32) -> u64 {
        largest(&self.members, at_once)
    }

    /// The same if the refused ones were there, too.
    pub(crate) fn wanted(&self, at_once: u32) -> u64 {
        let mut all = self.members.clone();
        for (vcpus, count) in &self.refused {
            *all.entry(*vcpus).or_insert(0) += count;
        }
        largest(&all, at_once)
    }

    /// Whether one more of `vcpus` would fit beside the others.
    fn has_room(&self, vcpus: u32, at_once: u32) -> bool {
        let Some(free) = self.free() else {
            return true;
        };
        let mut with = self.members.clone();
        *with.entry(vcpus).or_insert(0) += 1;
        largest(&with, at_once) <= free
    }

    /// Whether one of `vcpus` would fit alone.
    fn holds_one(&self, vcpus: u32) -> bool {
        self.free().is_none_or(|free| u64::from(vcpus) <= free)
    }

    /// The most members that fit at a time, whichever they are; `None` when all do.
    pub(crate) fn at_once_max(&self, at_once: u32) -> Option<u32> {
        let free = self.free()?;
        if self.needed(at_once) <= free {
            return None;
        }
        let mut left = free;
        let mut most = 0;
        for (vcpus, count) in self.members.iter().rev() {
            let fit = left / u64::from((*vcpus).max(1));
            let fit = u32::try_from(fit).unwrap_or(u32::MAX).min(*count);
            most += fit;
            left -= u64::from(fit) * u64::from(*vcpus);
            if fit < *count {
                break;
            }
        }
        Some(most)
    }

    /// How many times over the members fill the room, in thousandths: how many waves they would run in.
    fn filling(&self) -> u128 {
        let all: u64 = largest(&self.members, u32::MAX);
        match self.free() {
            None => 0,
            Some(free) => u128::from(all) * 1_000 / u128::from(free.max(1)),
        }
    }
}

/// The vCPUs of the `most` largest.
fn largest(members: &BTreeMap<u32, u32>, most: u32) -> u64 {
    let mut left = most;
    let mut sum = 0;
    for (vcpus, count) in members.iter().rev() {
        let taken = left.min(*count);
        sum += u64::from(taken) * u64::from(*vcpus);
        left -= taken;
    }
    sum
}

/// The quotas of all places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rooms {
    rooms: BTreeMap<(Place, &'static str), Room>,
    /// The most members of a place that run at a time.
    pub(crate) at_once: u32,
}

impl Rooms {
    /// The rooms of which `facts` tell, when at most `at_once` members of a place run at a time.
    pub(crate) fn new(facts: &BTreeMap<Place, QuotaFacts>, at_once: u32) -> Self {
        let mut rooms = BTreeMap::new();
        for (place, of_place) in facts {
            for (code, limit) in &of_place.limits {
                let Some(quota) = quota_of_code(code) else {
                    continue;
                };
                let room = Room {
                    place: *place,
                    quota,
                    limit: limit.clone(),
                    running: running(of_place, code),
                    members: BTreeMap::new(),
                    refused: BTreeMap::new(),
                };
                rooms.insert((*place, quota.code), room);
            }
        }
        Self { rooms, at_once }
    }

    fn of(&self, place: Place, need: Need) -> Option<&Room> {
        self.rooms.get(&(place, need.quota?.code))
    }

    fn of_mut(&mut self, place: Place, need: Need) -> Option<&mut Room> {
        self.rooms.get_mut(&(place, need.quota?.code))
    }

    /// Whether one more member fits beside those that are there. A quota that is not known has room.
    pub(crate) fn has_room(&self, place: Place, need: Need) -> bool {
        let room = self.of(place, need);
        room.is_none_or(|room| room.has_room(need.vcpus, self.at_once))
    }

    /// Whether a member fits at all, if need be when others have ended.
    pub(crate) fn holds_one(&self, place: Place, need: Need) -> bool {
        let room = self.of(place, need);
        room.is_none_or(|room| room.holds_one(need.vcpus))
    }

    /// How many waves the members of a place would run in, in thousandths.
    pub(crate) fn filling(&self, place: Place, need: Need) -> u128 {
        self.of(place, need).map_or(0, Room::filling)
    }

    /// Places a member.
    pub(crate) fn take(&mut self, place: Place, need: Need) {
        if let Some(room) = self.of_mut(place, need) {
            *room.members.entry(need.vcpus).or_insert(0) += 1;
        }
    }

    /// Notes a member that fits nowhere.
    pub(crate) fn refuse(&mut self, place: Place, need: Need) {
        if let Some(room) = self.of_mut(place, need) {
            *room.refused.entry(need.vcpus).or_insert(0) += 1;
        }
    }

    /// All of them, by place and code.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values()
    }
}

/// The vCPUs that run and draw on the quota `code`.
fn running(facts: &QuotaFacts, code: &str) -> Result<u64, String> {
    let running = facts.running.as_ref().map_err(Clone::clone)?;
    Ok(running
        .iter()
        .filter(|one| {
            let market = if one.spot {
                Market::Spot
            } else {
                Market::OnDemand
            };
            let families = Families::of(&one.instance_type);
            let quota = families.and_then(|families| families.quota(market));
            quota.is_some_and(|quota| quota.code == code)
        })
        .map(|one| one.vcpus)
        .sum())
}
