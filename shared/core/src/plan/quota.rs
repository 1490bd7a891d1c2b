//! What the quotas mean for a sweep: where they are short, by how much, and what to do about it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::Place;
use crate::document::{Collector, Fault, Faults};
use crate::plan::rooms::{Room, Rooms};
use crate::plan::{Options, QuotaFacts};
use crate::region::Region;
use crate::rows::LaneRow;

/// A quota that a sweep draws on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// The region.
    pub region: Region,
    /// The account, unless it is the home account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<crate::account::AccountId>,
    /// The quota's code.
    pub code: &'static str,
    /// The quota's name.
    pub name: &'static str,
    /// Its value, if it is known.
    pub limit_vcpus: Option<u64>,
    /// What runs, if it is known.
    pub running_vcpus: Option<u64>,
    /// What the sweep needs at the same time, with the members that could not be placed.
    pub needed_vcpus: u64,
    /// What is missing for that.
    pub short_by_vcpus: u64,
    /// Members placed there.
    pub members: u32,
    /// Members that could be placed nowhere.
    pub members_refused: u32,
    /// The most members that run there at a time because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once_max: Option<u32>,
    /// Why something is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The command that raises it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise_with: Option<String>,
}

impl Shortage {
    fn of(room: &Room, at_once: u32) -> Self {
        let needed = room.wanted(at_once);
        let short = room.free().map_or(0, |free| needed.saturating_sub(free));
        let limit = room.limit.as_ref().ok().copied();
        let running = room.running.as_ref().ok().copied();
        let region = room.place.region;
        // What runs may be more than the quota is now.
        let desired = limit.max(running).unwrap_or(0) + short;
        let command = raise_command(room.quota.code, &desired.to_string(), &region);
        Self {
            region,
            account: room.place.account,
            code: room.quota.code,
            name: room.quota.name,
            limit_vcpus: limit,
            running_vcpus: running,
            needed_vcpus: needed,
            short_by_vcpus: short,
            members: room.members.values().sum(),
            members_refused: room.refused.values().sum(),
            at_once_max: room.at_once_max(at_once).map(|most| most.max(1)),
            unknown: unknown(room),
            raise_with: (short > 0).then_some(command),
        }
    }

    /// What is short, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let running = match self.running_vcpus {
            Some(0) => "none of them in use".to_owned(),
            Some(running) => format!("{running} of them in use"),
            None => "with an unknown number of them in use".to_owned(),
        };
        let account = self
            .account
            .map_or_else(String::new, |account| format!(" of account {account}"));
        format!(
            "the quota {} ({}) in {}{account} is {} vCPUs, {running}, and {} are needed: short by {}",
            self.code,
            self.name,
            self.region,
            self.limit_vcpus.unwrap_or(0),
            self.needed_vcpus,
            self.short_by_vcpus,
        )
    }

    fn raise(&self) -> String {
        let command = self.raise_with.as_deref().unwrap_or_default();
        format!("raise it with: {command}")
    }
}

/// The command that raises the quota `code` in `region` to `desired` vCPUs.
pub(crate) fn raise_command(code: &str, desired: &str, region: &Region) -> String {
    format!(
        "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} --desired-value {desired} --region {region}"
    )
}

/// Tells a lane what its members take up and what its quotas are, for when EC2 refuses them.
pub(crate) fn tell(lane: &mut LaneRow, options: &Options, quotas: &BTreeMap<Place, QuotaFacts>) {
    let place = lane.lane.place();
    for of_class in &options.choices {
        for (candidate, choice) in options.candidates.all.iter().zip(of_class) {
            let Some(choice) = choice.as_ref().filter(|_| candidate.place == place) else {
                continue;
            };
            let types = choice.shape.instance_types.iter().zip(&choice.needs);
            lane.vcpus
                .extend(types.map(|(name, need)| (name.clone(), need.vcpus)));
        }
    }
    if let Some(facts) = quotas.get(&place) {
        let known = facts.limits.iter();
        lane.quota_vcpus = known
            .filter_map(|(code, limit)| Some(((*code).to_owned(), *limit.as_ref().ok()?)))
            .collect();
    }
}

fn unknown(room: &Room) -> Vec<String> {
    let limit = room.limit.as_ref().err();
    let limit = limit.map(|why| format!("the quota is not known and was not checked: {why}"));
    let running = room.running.as_ref().err();
    let running =
        running.map(|why| format!("what runs is not known and was taken as nothing: {why}"));
    limit.into_iter().chain(running).collect()
}

/// All quotas that a sweep draws on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuotaReport {
    pub(crate) all: Vec<Shortage>,
}

impl QuotaReport {
    pub(crate) fn of(rooms: &Rooms) -> Self {
        let used = rooms
            .all()
            .filter(|room| !room.members.is_empty() || !room.refused.is_empty());
        Self {
            all: used.map(|room| Shortage::of(room, rooms.at_once)).collect(),
        }
    }

    /// The most members at a time in regions whose quota is short.
    pub(crate) fn max_in(&self) -> BTreeMap<Region, u32> {
        let mut limits: BTreeMap<Region, u32> = BTreeMap::new();
        for one in &self.all {
            if let Some(most) = one.at_once_max {
                let limit = limits.entry(one.region).or_insert(most);
                *limit = most.min(*limit);
            }
        }
        limits
    }

    /// Why members that were meant to go to `place` end before they began.
    pub(crate) fn reason(&self, place: &Place) -> String {
        let refusing = self.all.iter().find(|one| {
            one.members_refused > 0 && one.region == place.region && one.account == place.account
        });
        refusing.map_or_else(
            || format!("no quota of {} has room for it", place.region),
            |one| format!("{}; {}", one.words(), one.raise()),
        )
    }

    /// The faults of a sweep of which no quota has room for a single member.
    pub(crate) fn faults(&self, options: &Options) -> Faults {
        let mut faults = Collector::default();
        for one in self.all.iter().filter(|one| one.members_refused > 0) {
            let accepted = "a type, market or region whose quota has room for at least one member";
            let fault = Fault::new("instance_type", one.words(), accepted);
            faults.add(fault.hint(one.raise()));
        }
        let none = || {
            let places = options.candidates.all.len();
            Fault::new(
                "regions",
                format!("none of {places} places can take a member"),
                "",
            )
        };
        faults.finish(()).err().unwrap_or_else(|| none().into())
    }
}
