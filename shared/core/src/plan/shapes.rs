//! What a member is launched with, as far as EC2 has it; or what is wrong with what its document asks for.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{self, Ami, Fault, Settings, Spot};
use crate::ids::{Market, SweepId};
use crate::money::MicroDollars;
use crate::plan::RegionFacts;
use crate::plan::classes::Class;
use crate::plan::families::{Quota, quota_of};
use crate::plan::hibernate;
use crate::plan::types::{self, Choosing};
use crate::ports::{ImageFacts, TypeFacts};
use crate::region::Region;
use crate::rows::{Efa, PlacementGroup, Shape};

/// What members of a class are launched with in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The shape, with all zones that offer its types.
    pub(crate) shape: Shape,
    /// What each of the shape's types takes up.
    pub(crate) needs: Vec<Need>,
    /// Why these types.
    pub(crate) reason: String,
}

/// What an instance of a type takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Its vCPUs.
    pub(crate) vcpus: u32,
    /// The quota that it draws on, if that is known.
    pub(crate) quota: Option<Quota>,
    /// That of the same type on demand, for spot that may fall back on it.
    pub(crate) fallback: Option<Quota>,
    /// What an hour of it costs, as far as is known.
    pub(crate) price: Option<MicroDollars>,
}

impl Need {
    /// The same on demand, for spot that may fall back on it.
    pub(crate) fn on_demand(self) -> Option<Self> {
        Some(Self {
            quota: Some(self.fallback?),
            fallback: None,
            ..self
        })
    }
}

impl Choice {
    /// What an instance takes up: one of the first type, which is what is launched unless there is none of it.
    pub(crate) fn need(&self) -> Need {
        self.needs.first().copied().unwrap_or(Need {
            vcpus: 0,
            quota: None,
            fallback: None,
            price: None,
        })
    }

    /// Takes out the types of which the quota would not hold one even if nothing ran, unless these are all.
    pub(crate) fn without_impossible(
        &mut self,
        limits: &BTreeMap<&'static str, Result<u64, String>>,
    ) {
        let holds_one = |need: &Need| {
            let limit = need.quota.and_then(|quota| limits.get(quota.code));
            !matches!(limit, Some(Ok(limit)) if *limit < u64::from(need.vcpus))
        };
        let is_possible =
            |need: &Need| holds_one(need) || need.on_demand().is_some_and(|need| holds_one(&need));
        let keep: Vec<bool> = self.needs.iter().map(is_possible).collect();
        let dropped = keep.iter().filter(|keep| !**keep).count();
        if dropped == 0 || dropped == keep.len() {
            return;
        }
        let mut kept = keep.iter();
        self.needs.retain(|_| kept.next() == Some(&true));
        let mut kept = keep.iter();
        let types = &mut self.shape.instance_types;
        types.retain(|_| kept.next() == Some(&true));
        self.reason
            .push_str(&format!("; {dropped} left out that no quota has room for"));
    }

    /// The shapes of `members` members: one, or one for each zone or subnet that they are spread over, with the number of
    /// members that get it.
    pub(crate) fn spread(&self, members: usize) -> Vec<(Shape, usize)> {
        let shape = &self.shape;
        let variants: Vec<Shape> = if shape.subnet_ids.len() > 1 {
            let with = |subnet: &String| Shape {
                subnet_ids: vec![subnet.clone()],
                ..shape.clone()
            };
            shape.subnet_ids.iter().map(with).collect()
        } else if shape.zones.len() > 1 {
            let with = |zone: &String| Shape {
                first_zone: Some(zone.clone()),
                ..shape.clone()
            };
            shape.zones.iter().map(with).collect()
        } else {
            vec![shape.clone()]
        };
        let count = variants.len();
        let share = |number: usize| members / count + usize::from(number < members % count);
        variants
            .into_iter()
            .enumerate()
            .map(|(number, shape)| (shape, share(number)))
            .filter(|(_, share)| *share > 0)
            .collect()
    }
}

/// What a sweep and its deployment add to a class's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The sweep.
    pub(crate) sweep_id: &'a SweepId,
    /// The instance profile of members whose document names none.
    pub(crate) default_profile: &'a str,
    /// What the choice of types depends on.
    pub(crate) by: Choosing<'a>,
}

/// What members of a class are launched with.
///
/// # Errors
/// What EC2 does not have of what the document asks for.
pub(crate) fn choice_of(class: &Class, around: Surroundings<'_>) -> Result<Choice, Fault> {
    let settings = &class.settings;
    let by = around.by;
    let path = |field: &str| format!("{}{field}", by.at);
    let chosen = types::choose(settings, by)?;
    let able = hibernate::able(settings, chosen.types, by.at)?;
    let count = able.len();
    let (ami, types) = image_of(settings, by.region, by.facts, able, &path("ami"))?;
    let mut reason = chosen.reason;
    if types.len() < count {
        let dropped = count - types.len();
        reason.push_str(&format!(
            "; {dropped} of another architecture than the image left out"
        ));
    }
    if let Some(zone) = &settings.availability_zone
        && !zone.starts_with(by.region.as_str())
    {
        return Err(Fault::new(
            path("availability_zone"),
            format!("`{zone}` is not in {}, where the member goes", by.region),
            "a zone of the member's region, such as `us-east-1a`",
        ));
    }
    let memory_mib = types.iter().map(|one| one.memory_mib).max().unwrap_or(0);
    let image = by.facts.images.get(&ami);
    let hibernation = hibernate::volume(settings, memory_mib, image, by.at)?;
    let types = in_zone(settings, by, types, &path("availability_zone"))?;
    let placement_group = placement_group(settings, around, &path("placement_group"))?;
    // Subnets are in zones of their own, and a cluster placement group in the zone of its first instance.
    let is_free = settings.availability_zone.is_none()
        && settings.subnet_ids.is_empty()
        && placement_group.is_none();
    let zones = if is_free {
        zones_of(&types, by.facts)
    } else {
        Vec::new()
    };
    let mut subnet_ids = settings.subnet_ids.clone();
    let efa = settings.efa.then(|| Efa {
        subnet_id: (!subnet_ids.is_empty()).then(|| subnet_ids.remove(0)),
    });
    Ok(Choice {
        needs: types
            .iter()
            .map(|one| Need {
                vcpus: one.vcpus,
                quota: quota_of(&one.name, by.market),
                fallback: match settings.spot {
                    Spot::SpotThenOnDemand => quota_of(&one.name, Market::OnDemand),
                    _ => None,
                },
                price: types::price(one, by),
            })
            .collect(),
        reason,
        shape: Shape {
            instance_types: types.iter().map(|one| one.name.clone()).collect(),
            ami,
            key_name: settings.key_name.clone(),
            // An ARN ends with the name, and a launch names a profile.
            instance_profile: settings
                .iam_role
                .as_ref()
                .and_then(|role| role.rsplit('/').next())
                .unwrap_or(around.default_profile)
                .to_owned(),
            security_group_ids: settings.security_group_ids.clone(),
            subnet_ids,
            availability_zone: settings.availability_zone.clone(),
            zones,
            first_zone: None,
            hibernation,
            on_demand_fallback: settings.spot == Spot::SpotThenOnDemand,
            placement_group,
            efa,
        },
    })
}

/// The types that the document's zone offers, when it names one.
fn in_zone<'a>(
    settings: &Settings,
    by: Choosing<'_>,
    types: Vec<&'a TypeFacts>,
    path: &str,
) -> Result<Vec<&'a TypeFacts>, Fault> {
    let Some(zone) = &settings.availability_zone else {
        return Ok(types);
    };
    // A zone that no type of the region names may be one that EC2 does not tell of, such as a local zone: EC2 decides then.
    let is_known = by.facts.zones.values().any(|zones| zones.contains(zone));
    let offers = |one: &&TypeFacts| {
        let zones = by.facts.zones.get(&one.name);
        zones.is_some_and(|zones| zones.contains(zone))
    };
    let offered: Vec<&TypeFacts> = types.iter().copied().filter(offers).collect();
    if !offered.is_empty() {
        return Ok(offered);
    }
    let elsewhere = zones_of(&types, by.facts);
    if !is_known && elsewhere.is_empty() {
        return Ok(types);
    }
    let names: Vec<&str> = types.iter().map(|one| one.name.as_str()).collect();
    let fault = Fault::new(
        path,
        format!("`{zone}` does not offer {}", names.join(", ")),
        "a zone that offers the type, or none",
    );
    Err(fault.hint((!elsewhere.is_empty()).then(|| format!("offered in {}", elsewhere.join(", ")))))
}

/// The zones that offer all of the types, or, where there is none, those that offer any.
fn zones_of(types: &[&TypeFacts], facts: &RegionFacts) -> Vec<String> {
    let of_types: Vec<&BTreeSet<String>> = types
        .iter()
        .filter_map(|one| facts.zones.get(&one.name))
        .collect();
    let any: BTreeSet<&String> = of_types.iter().copied().flatten().collect();
    let all: Vec<String> = any
        .iter()
        .filter(|zone| of_types.iter().all(|zones| zones.contains(**zone)))
        .map(|zone| (*zone).clone())
        .collect();
    if all.is_empty() {
        any.into_iter().cloned().collect()
    } else {
        all
    }
}

fn placement_group(
    settings: &Settings,
    around: Surroundings<'_>,
    path: &str,
) -> Result<Option<PlacementGroup>, Fault> {
    match &settings.placement_group {
        None => Ok(None),
        Some(document::PlacementGroup::Cluster) => Ok(Some(PlacementGroup {
            name: own_group_name(around.sweep_id),
            is_own: true,
        })),
        Some(document::PlacementGroup::Named(name)) => {
            if around.by.facts.groups.contains(name) {
                return Ok(Some(PlacementGroup {
                    name: name.clone(),
                    is_own: false,
                }));
            }
            Err(Fault::new(
                path,
                format!(
                    "there is no placement group `{name}` in {}",
                    around.by.region
                ),
                "cluster, or the name of a placement group that exists in every region of the sweep",
            ))
        }
    }
}

/// The name of the placement group that a sweep has to itself in a region.
#[must_use]
pub(crate) fn own_group_name(sweep_id: &SweepId) -> String {
    format!("spawn-{sweep_id}")
}

/// The image of the member, and those of its types that can boot it.
fn image_of<'a>(
    settings: &Settings,
    region: Region,
    facts: &RegionFacts,
    types: Vec<&'a TypeFacts>,
    path: &str,
) -> Result<(String, Vec<&'a TypeFacts>), Fault> {
    let accepted =
        "an image id of the region, a map from region to image id, or the name of an SSM parameter";
    let id = match &settings.ami {
        Some(Ami::Id(id)) => id.clone(),
        Some(Ami::ByRegion(images)) => images
            .get(&region)
            .cloned()
            .ok_or_else(|| Fault::new(path, format!("no image is given for {region}"), accepted))?,
        Some(Ami::Parameter(name)) => {
            // Types of one launch share an image, so the first type's architecture decides.
            let architecture = types
                .first()
                .and_then(|t| t.architectures.first())
                .map_or("x86_64", String::as_str);
            let name = name.replace("{arch}", architecture);
            facts.parameters.get(&name).cloned().ok_or_else(|| {
                let problem = format!("the SSM parameter `{name}` does not exist in {region}");
                Fault::new(path, problem, accepted)
            })?
        }
        None => {
            let problem = "no image is given, and the deployment has no default";
            return Err(Fault::new(path, problem, accepted));
        }
    };
    let image: &ImageFacts = facts.images.get(&id).ok_or_else(|| {
        Fault::new(
            path,
            format!("the image `{id}` does not exist in {region}"),
            accepted,
        )
    })?;
    if !image.available {
        let problem = format!("the image `{id}` in {region} is not available");
        return Err(Fault::new(path, problem, accepted));
    }
    let fits = |t: &&TypeFacts| t.architectures.contains(&image.architecture);
    let fitting: Vec<&TypeFacts> = types.iter().copied().filter(fits).collect();
    if fitting.is_empty() {
        let with_architecture =
            |t: &&TypeFacts| format!("{} ({})", t.name, t.architectures.join(", "));
        let names: Vec<String> = types.iter().map(with_architecture).collect();
        return Err(Fault::new(
            path,
            format!(
                "the image `{id}` is for {}, and {} cannot boot it",
                image.architecture,
                names.join(", ")
            ),
            "an image of the instance type's architecture",
        ));
    }
    Ok((id, fitting))
}
