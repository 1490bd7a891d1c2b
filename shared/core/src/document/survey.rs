//! What a document's members would be, looked at before there are any: so that a fault that keeps members from being made
//! hides no other.

use std::collections::{BTreeMap, HashMap};

use super::check::Checked;
use super::entry::Entry;
use super::expand::{Levels, advance};
use super::fault::{Collector, Fault, quoted};
use super::grid::Values;
use super::layer::Layer;
use super::points::Points;
use super::settings::PlacementGroup;
use super::sweep::MEMBERS_MAX;
use crate::region::Region;

/// The members by where they belong.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// How many members name a region as theirs.
    pub(super) pinned: BTreeMap<Region, u128>,
    /// Whether some member names none.
    pub(super) has_unpinned: bool,
    /// Whether some member is in a cluster placement group that the sweep has to itself.
    pub(super) has_cluster: bool,
    /// Whether every member was looked at: not where the grid has more settings than a sweep may have members.
    pub(super) is_complete: bool,
}

/// Looks at every combination of settings, of which `checked` keeps what is wrong.
pub(super) fn survey(
    points: &Points,
    levels: &Levels<'_>,
    repeat: u32,
    checked: &mut Checked<'_>,
) -> Survey {
    let mut survey = Survey::default();
    let mut copies = u128::from(repeat);
    let mut axes: Vec<&[Layer]> = Vec::new();
    for axis in &points.axes {
        match &axis.values {
            Values::Params(values) => copies = copies.saturating_mul(values.len() as u128),
            Values::Settings(_, layers) => axes.push(layers),
        }
    }
    let lengths: Vec<usize> = axes.iter().map(|layers| layers.len()).collect();
    let mut looked_at = 0;
    for entry in &points.entries {
        let mut below = levels.below.clone();
        below.overlay(&entry.layer);
        let mut at = vec![0; axes.len()];
        loop {
            if looked_at == MEMBERS_MAX {
                return survey;
            }
            looked_at += 1;
            let mut layer = below.clone();
            for (layers, at) in axes.iter().zip(&at) {
                layer.overlay(&layers[*at]);
            }
            layer.overlay(levels.above);
            checked.settings(&layer, &entry.path);
            survey.add(&layer, copies);
            if !advance(&mut at, &lengths) {
                break;
            }
        }
    }
    survey.is_complete = true;
    survey
}

impl Survey {
    fn add(&mut self, layer: &Layer, copies: u128) {
        match layer.place() {
            Some(region) => {
                let pinned = self.pinned.entry(region).or_default();
                *pinned = pinned.saturating_add(copies);
            }
            None => self.has_unpinned |= layer.lost_place.is_none(),
        }
        self.has_cluster |= layer.placement_group == Some(PlacementGroup::Cluster);
    }
}

/// Checks that no two entries have one name. Those of their members differ then, too: each is an entry's with a number behind
/// it, or all are the entries' own.
pub(super) fn check_names(entries: &[Entry], faults: &mut Collector) {
    let mut seen = HashMap::new();
    for entry in entries {
        let Some(name) = &entry.name else { continue };
        if let Some(first) = seen.insert(name, &entry.path) {
            faults.add(Fault::new(
                format!("{}.name", entry.path),
                format!("{} is the name of {first}, too", quoted(name)),
                "a name of its own for each member",
            ));
        }
    }
}
