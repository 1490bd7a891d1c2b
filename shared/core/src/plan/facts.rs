//! What planning needs to know of EC2, place by place.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Place;
use crate::document::{Ami, InstanceTypes, PlacementGroup};
use crate::plan::classes::Class;
use crate::plan::{Candidates, Classes};
use crate::ports::{ImageFacts, RunningVcpus, TypeFacts};
use crate::region::Region;

/// What to ask of each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Instance types and patterns that the place's members may be launched as.
    pub types: BTreeSet<String>,
    /// Images by their ids.
    pub images: BTreeSet<String>,
    /// Images by SSM parameters; `{arch}` stands for an architecture.
    pub parameters: BTreeSet<String>,
    /// Placement groups that must exist.
    pub groups: BTreeSet<String>,
}

/// The questions that the sweep raises in each place that its members may go to.
#[must_use]
pub fn questions(classes: &Classes, candidates: &Candidates) -> BTreeMap<Place, Questions> {
    let mut all: BTreeMap<Place, Questions> = BTreeMap::new();
    for class in &classes.all {
        for candidate in candidates.of_class(class) {
            let of_place = all.entry(candidate.place).or_default();
            of_place.add(class, candidate.place.region);
        }
    }
    all
}

impl Questions {
    fn add(&mut self, class: &Class, region: Region) {
        for name in class.settings.instance_types.names() {
            insert(&mut self.types, name);
        }
        match &class.settings.ami {
            Some(Ami::Id(id)) => insert(&mut self.images, id),
            Some(Ami::ByRegion(images)) => {
                if let Some(id) = images.get(&region) {
                    insert(&mut self.images, id);
                }
            }
            Some(Ami::Parameter(name)) => insert(&mut self.parameters, name),
            None => {}
        }
        if let Some(PlacementGroup::Named(name)) = &class.settings.placement_group {
            insert(&mut self.groups, name);
        }
    }
}

fn insert(set: &mut BTreeSet<String>, text: &str) {
    if !set.contains(text) {
        set.insert(text.to_owned());
    }
}

/// What EC2 answered of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionFacts {
    /// Types by name.
    pub types: BTreeMap<String, TypeFacts>,
    /// The zones that offer each type.
    pub zones: BTreeMap<String, BTreeSet<String>>,
    /// Images by id. One that was asked for and is not here does not exist.
    pub images: BTreeMap<String, ImageFacts>,
    /// The image ids that SSM parameters hold, by the parameters' full names.
    pub parameters: BTreeMap<String, String>,
    /// The placement groups that were asked for and exist.
    pub groups: BTreeSet<String>,
    /// Types that were asked for and the place does not have, with regions that have them.
    pub elsewhere: BTreeMap<String, BTreeSet<Region>>,
}

/// What EC2 answered.
pub type Facts = BTreeMap<Place, RegionFacts>;

/// The types that the document names and a place does not have: who asks where they are offered can say so in the fault.
#[must_use]
pub fn missing_types(
    classes: &Classes,
    candidates: &Candidates,
    facts: &Facts,
) -> BTreeMap<Place, BTreeSet<String>> {
    let mut missing: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for class in &classes.all {
        let (InstanceTypes::Exact(names) | InstanceTypes::Pattern(names)) =
            &class.settings.instance_types
        else {
            continue;
        };
        for candidate in candidates.of_class(class).filter(|one| one.is_named) {
            let Some(known) = facts.get(&candidate.place) else {
                continue;
            };
            let exact = names.iter().filter(|name| !name.contains('*'));
            for name in exact.filter(|name| !known.types.contains_key(*name)) {
                let of_place = missing.entry(candidate.place).or_default();
                of_place.insert(name.clone());
            }
        }
    }
    missing
}

/// What Service Quotas and EC2 answered of a place: each a number, or why it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaFacts {
    /// Quotas in vCPUs, by code.
    pub limits: BTreeMap<&'static str, Result<u64, String>>,
    /// What runs.
    pub running: Result<Vec<RunningVcpus>, String>,
}
