//! Puts a sweep together from its document: levels, points, members, places.

mod members;
mod values;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::entry::{Entry, Place};
use super::fault::{Collector, Fault, Faults};
use super::fields::{self, Setting, Top};
use super::grid::Values;
use super::keys::{Located, TopLevel};
use super::layer::Layer;
use super::points::{Points, Table};
use super::read::{self, shown};
use super::shape::Shape;
use super::sweep::{Distribution, OperatorDefaults, RegionOrder, RegionShare, Sweep};
use super::{aws, extras, metrics, names, policy, regions};

use values::{
    check_cost_share, field, keep, launch_delay, on_budget, tolerated_failures, whole, word,
};

/// The most URIs of `inputs`: each is a line of every assignment.
const INPUTS_MAX: usize = 50;

/// What a sweep is called when nobody says.
const NAME: &str = "sweep";
const OWNER: &str = "unknown";
const PROJECT: &str = "default";

/// The levels of settings, lowest first, and the parameters of `defaults`.
struct Given {
    below: Layer,
    params: Map<String, Value>,
    above: Layer,
}

/// Reads a document. See [`Sweep::from_document`].
pub(super) fn build(
    doc: &Value,
    table: Option<Table>,
    overrides: &Map<String, Value>,
    operator: &OperatorDefaults,
) -> Result<Sweep, Faults> {
    let Value::Object(doc) = doc else {
        let problem = format!("{} is not an object", shown(doc));
        return Err(Fault::new("", problem, "an object with the fields of a sweep").into());
    };
    let mut faults = Collector::default();
    let mut top = TopLevel::read(doc, "", &mut faults);
    let over = TopLevel::read(overrides, "overrides", &mut faults);
    let results = extras::results(&top, &over, &mut faults);
    let notify = extras::notify(&top, &over, &operator.reach, &mut faults);
    let doc_defaults = top.fields.remove(&Top::Defaults);
    let regions_before = top.get(Top::Regions).cloned();
    replace_fields(&mut top, &over);
    let replaced = regions_before.filter(|before| {
        let now = top.get(Top::Regions);
        now.is_none_or(|now| now.path != before.path)
    });
    let mut levels = read_levels(&top, doc_defaults.as_ref(), &over, operator, &mut faults);
    let mut points = Points::read(&top, table, &mut faults);
    clear_overridden(&mut levels, &mut points, &over);
    let before = faults.len();
    let shares = match top.fields.get(&Top::Regions) {
        Some(found) => regions::read(found, &mut faults),
        None => Vec::new(),
    };
    let are_regions_read = faults.len() == before;
    // A failover moves members, and does not change how many there are.
    let total = regions::total(&shares).or_else(|| {
        let before = regions::read(&replaced?, &mut Collector::default());
        regions::total(&before)
    });
    let counted = members::Counted {
        is_read: are_regions_read,
        total: total.filter(|_| are_regions_read),
    };
    refuse_two_answers(&top, &levels, &shares, &mut faults);
    let one = |id, faults: &mut Collector| whole(&top, id, faults);
    let budget = top.get(Top::Budget).map_or(operator.budget, |found| {
        keep(read::money(found.value), found, Top::Budget, &mut faults)
    });
    check_cost_share(&notify, budget.is_some(), &mut faults);
    let sweep = Sweep {
        name: word(&top, Top::Name, names::name, &mut faults).unwrap_or_else(|| NAME.to_owned()),
        owner: word(&top, Top::Owner, names::tag, &mut faults)
            .or_else(|| operator.owner.clone())
            .unwrap_or_else(|| OWNER.to_owned()),
        project: word(&top, Top::Project, names::tag, &mut faults)
            .unwrap_or_else(|| PROJECT.to_owned()),
        max_concurrent: one(Top::MaxConcurrent, &mut faults),
        max_concurrent_per_region: one(Top::MaxConcurrentPerRegion, &mut faults),
        launch_delay_s: launch_delay(&top, &mut faults),
        budget,
        on_budget: on_budget(&top, &mut faults),
        results,
        inputs: top
            .get(Top::Inputs)
            .and_then(|found| {
                keep(
                    aws::s3_uris(found.value, INPUTS_MAX),
                    found,
                    Top::Inputs,
                    &mut faults,
                )
            })
            .unwrap_or_default(),
        notify,
        naming: top
            .get(Top::Naming)
            .and_then(|found| keep(read::bool(found.value), found, Top::Naming, &mut faults))
            .unwrap_or(true),
        logs: top
            .get(Top::Logs)
            .and_then(|found| keep(read::bool(found.value), found, Top::Logs, &mut faults))
            .unwrap_or(true),
        instance_metrics: field(
            &top,
            Top::InstanceMetrics,
            metrics::instance_metrics,
            &mut faults,
        )
        .unwrap_or_default(),
        accounts: field(&top, Top::Accounts, policy::accounts, &mut faults).unwrap_or_default(),
        retries: field(&top, Top::Retries, policy::retries, &mut faults).unwrap_or_default(),
        on_failure: field(&top, Top::OnFailure, policy::on_failure, &mut faults)
            .unwrap_or_default(),
        tolerated_failures: tolerated_failures(&top, &mut faults),
        dry_run: top
            .get(Top::DryRun)
            .and_then(|found| keep(read::bool(found.value), found, Top::DryRun, &mut faults))
            .unwrap_or(false),
        members: Vec::new(),
        regions: shares,
        distribution: Distribution::Balanced,
        region_order: RegionOrder::Document,
        data_buckets: Vec::new(),
    };
    let sweep = members::add(
        sweep,
        &top,
        &points,
        &levels,
        &counted,
        operator,
        &mut faults,
    );
    faults.finish(sweep)
}

/// Puts the fields of the overrides in place of the document's; those that hold other fields are merged elsewhere.
fn replace_fields<'a>(top: &mut TopLevel<'a>, over: &TopLevel<'a>) {
    top.meant.extend(&over.meant);
    for (id, found) in &over.fields {
        match id {
            Top::Results | Top::ResultBucket | Top::ResultFile | Top::Notify | Top::Defaults => {}
            _ if found.value.is_null() => {
                top.fields.remove(id);
            }
            _ => {
                top.fields.insert(*id, found.clone());
            }
        }
    }
    // One region or zone for all members leaves the document's list without a say.
    let is_place = |(id, found): &(Setting, Located<'_>)| {
        matches!(id, Setting::Region | Setting::AvailabilityZone) && !found.value.is_null()
    };
    if over.settings.iter().any(is_place) && !over.fields.contains_key(&Top::Regions) {
        top.fields.remove(&Top::Regions);
    }
}

fn read_levels(
    top: &TopLevel<'_>,
    doc_defaults: Option<&Located<'_>>,
    over: &TopLevel<'_>,
    operator: &OperatorDefaults,
    faults: &mut Collector,
) -> Given {
    let mut below = operator_layer(operator, faults);
    let mut of_document = Layer::default();
    let at_top = read_settings(top, faults);
    let mut params = Map::new();
    let over_defaults = over.fields.get(&Top::Defaults);
    of_document.overlay(&at_top);
    for found in [doc_defaults, over_defaults].into_iter().flatten() {
        let entry = read_defaults(found, faults);
        of_document.overlay(&entry.layer);
        params.extend(entry.params);
    }
    let above = read_settings(over, faults);
    below.overlay(&of_document);
    Given {
        below,
        params,
        above,
    }
}

/// A region or zone for all members, and regions to distribute them over, are two answers to one question.
fn refuse_two_answers(
    top: &TopLevel<'_>,
    levels: &Given,
    shares: &[RegionShare],
    faults: &mut Collector,
) {
    let (Some(found), Some(region)) = (top.get(Top::Regions), levels.below.place()) else {
        return;
    };
    if shares.iter().any(|share| share.region != region) {
        let (id, place) = match (&levels.below.region, &levels.below.availability_zone) {
            (None, Some((zone, _))) => (Setting::AvailabilityZone, zone.as_str()),
            _ => (Setting::Region, region.as_str()),
        };
        let name = fields::setting(id).name;
        let fault = Fault::new(
            found.path.as_str(),
            format!("the document gives regions, and {place} as the {name} of all members"),
            "one of the two",
        );
        faults.add(fault.hint(format!(
            "leave {name} out: members are distributed over regions"
        )));
    }
}

fn read_settings(top: &TopLevel<'_>, faults: &mut Collector) -> Layer {
    let mut layer = Layer::default();
    for (id, found) in &top.settings {
        layer.read(*id, found.value, &found.path, faults);
    }
    layer
}

fn read_defaults(found: &Located<'_>, faults: &mut Collector) -> Entry {
    match found.value {
        Value::Object(map) => Entry::read(
            map,
            &found.path,
            Place::Defaults,
            &mut HashSet::new(),
            faults,
        ),
        Value::Null => Entry::default(),
        value => {
            let problem = format!("{} is not an object", shown(value));
            faults.add(Fault::new(
                found.path.as_str(),
                problem,
                Shape::Defaults.accepted(),
            ));
            Entry::default()
        }
    }
}

fn operator_layer(operator: &OperatorDefaults, faults: &mut Collector) -> Layer {
    let mut layer = Layer::default();
    let texts = [
        (Setting::Ami, &operator.ami),
        (Setting::InstanceType, &operator.instance_type),
        (Setting::KeyName, &operator.key_name),
        (Setting::IamRole, &operator.instance_profile),
    ];
    for (id, text) in texts {
        if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
            let path = format!("the operator's default of {}", fields::setting(id).name);
            layer.read(id, &Value::from(text), &path, faults);
        }
    }
    layer
}

/// Takes out of the lower levels what the overrides clear, and where members stand when the overrides move them.
fn clear_overridden(levels: &mut Given, points: &mut Points, over: &TopLevel<'_>) {
    let mut cleared: Vec<Setting> = over
        .settings
        .iter()
        .filter(|(_, found)| found.value.is_null())
        .map(|(id, _)| *id)
        .collect();
    let moves = over.get(Top::Regions).is_some()
        || levels.above.region.is_some()
        || levels.above.availability_zone.is_some();
    if moves {
        cleared.extend([Setting::Region, Setting::AvailabilityZone]);
    }
    for id in cleared {
        levels.below.clear(id);
        for entry in &mut points.entries {
            entry.layer.clear(id);
        }
        for axis in &mut points.axes {
            if let Values::Settings(_, layers) = &mut axis.values {
                layers.iter_mut().for_each(|layer| layer.clear(id));
            }
        }
    }
}
