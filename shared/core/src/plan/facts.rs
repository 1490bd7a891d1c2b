//! What planning needs to know of EC2, place by place.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Place;
use crate::document::{Ami, Sweep};
use crate::plan::Placement;
use crate::ports::{ImageFacts, TypeFacts};

/// What to ask of each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Instance types and patterns that the place's members may be launched as.
    pub types: BTreeSet<String>,
    /// Images by their ids.
    pub images: BTreeSet<String>,
    /// Images by SSM parameters; `{arch}` stands for an architecture.
    pub parameters: BTreeSet<String>,
}

/// The questions that the sweep raises in each place.
#[must_use]
pub fn questions(sweep: &Sweep, placement: &Placement) -> BTreeMap<Place, Questions> {
    let mut all: BTreeMap<Place, Questions> = BTreeMap::new();
    for (member, lane) in sweep.members.iter().zip(placement) {
        let of_place = match all.get_mut(&lane.place()) {
            Some(questions) => questions,
            None => all.entry(lane.place()).or_default(),
        };
        for name in member.settings.instance_types.names() {
            if !of_place.types.contains(name) {
                of_place.types.insert(name.clone());
            }
        }
        match &member.settings.ami {
            Some(Ami::Id(id)) => insert(&mut of_place.images, id),
            Some(Ami::ByRegion(images)) => {
                if let Some(id) = images.get(&lane.region) {
                    insert(&mut of_place.images, id);
                }
            }
            Some(Ami::Parameter(name)) => insert(&mut of_place.parameters, name),
            None => {}
        }
    }
    all
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
    /// Images by id. One that was asked for and is not here does not exist.
    pub images: BTreeMap<String, ImageFacts>,
    /// The image ids that SSM parameters hold, by the parameters' full names.
    pub parameters: BTreeMap<String, String>,
}

/// What EC2 answered.
pub type Facts = BTreeMap<Place, RegionFacts>;
