//! Placement groups: CreatePlacementGroup, DescribePlacementGroups, DeletePlacementGroup (API pages of the same names;
//! "Placement groups for your Amazon EC2 instances", EC2 user guide).

use crate::catalogue::InstanceType;
use crate::filter::Filters;
use crate::model::{Place, TagSpecifications, Tags};
use crate::wire::{Ec2Error, Params, Xml};
use crate::world::World;

use super::Call;

/// How a group places its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Cluster,
    Partition,
    Spread,
}

impl Strategy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Partition => "partition",
            Self::Spread => "spread",
        }
    }

    fn read(text: Option<&str>) -> Result<Self, Ec2Error> {
        match text {
            None | Some("cluster") => Ok(Self::Cluster),
            Some("partition") => Ok(Self::Partition),
            Some("spread") => Ok(Self::Spread),
            Some(other) => Err(Ec2Error::invalid_value(
                "strategy",
                other,
                "Valid values are: cluster, partition, spread.",
            )),
        }
    }
}

/// A placement group.
#[derive(Clone, Debug)]
pub(crate) struct PlacementGroup {
    pub(crate) place: Place,
    pub(crate) name: String,
    id: String,
    strategy: Strategy,
    tags: Tags,
}

/// Whether a type can be launched into a cluster placement group: "current generation instances, except for burstable
/// performance instances and Mac1 instances".
pub(crate) fn can_cluster(one: &InstanceType) -> bool {
    !one.burstable
}

pub(super) fn create(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let name = call.params.required("GroupName")?;
    if !name.is_ascii() || name.len() > 255 {
        return Err(Ec2Error::invalid_value(
            "groupName",
            name,
            "It must have up to 255 ASCII characters.",
        ));
    }
    let strategy = Strategy::read(call.params.text("Strategy"))?;
    if call.world.placement_group(&call.place, name).is_some() {
        return Err(Ec2Error::new(
            "InvalidPlacementGroup.Duplicate",
            format!("The Placement Group '{name}' already exists."),
        ));
    }
    let tags = TagSpecifications::read(call.params, &["placement-group"])?.of("placement-group");
    let group = PlacementGroup {
        place: call.place.clone(),
        name: name.to_owned(),
        id: call.world.random.resource_id("pg"),
        strategy,
        tags,
    };
    xml.node("placementGroup", |xml| write(xml, &group));
    call.world.placement_groups.push(group);
    Ok(())
}

pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let filters = Filters::read(
        call.params,
        &["group-name", "state", "strategy", "tag-key", "tag:"],
    )?;
    let names = call.params.texts("GroupName");
    if let Some(unknown) = names
        .iter()
        .find(|name| call.world.placement_group(&call.place, name).is_none())
    {
        return Err(unknown_group(unknown));
    }
    let shown = call.world.placement_groups.iter().filter(|group| {
        group.place == call.place
            && (names.is_empty() || names.contains(&group.name))
            && filters.accept(|name| match name {
                "group-name" => vec![group.name.clone()],
                "state" => vec!["available".to_owned()],
                "strategy" => vec![group.strategy.as_str().to_owned()],
                "tag-key" => group.tags.keys().cloned().collect(),
                _ => name
                    .strip_prefix("tag:")
                    .and_then(|key| group.tags.get(key))
                    .into_iter()
                    .cloned()
                    .collect(),
            })
    });
    xml.list("placementGroupSet", shown, write);
    Ok(())
}

pub(super) fn delete(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let name = call.params.required("GroupName")?;
    if call.world.placement_group(&call.place, name).is_none() {
        return Err(unknown_group(name));
    }
    let in_use = call.world.instances_of(&call.place).any(|instance| {
        instance.spec.placement_group.as_deref() == Some(name) && !instance.state().is_ended()
    });
    if in_use {
        return Err(Ec2Error::new(
            "InvalidPlacementGroup.InUse",
            format!("The placement group '{name}' is in use and may not be deleted."),
        ));
    }
    let place = call.place.clone();
    call.world
        .placement_groups
        .retain(|group| group.place != place || group.name != name);
    xml.text("return", true);
    Ok(())
}

fn write(xml: &mut Xml, group: &PlacementGroup) {
    xml.text("groupName", &group.name)
        .text("groupId", &group.id)
        .text("groupArn", group.place.arn("placement-group", &group.name))
        .text("strategy", group.strategy.as_str())
        .text("state", "available")
        .tags(&group.tags);
}

fn unknown_group(name: &str) -> Ec2Error {
    Ec2Error::new(
        "InvalidPlacementGroup.Unknown",
        format!("The Placement Group '{name}' is unknown."),
    )
}

/// Reads the group of a launch and checks that the type goes with it.
pub(super) fn of_launch(
    world: &World,
    place: &Place,
    params: &Params,
    instance_type: &InstanceType,
) -> Result<Option<String>, Ec2Error> {
    let Some(name) = params
        .text("Placement.GroupName")
        .filter(|name| !name.is_empty())
    else {
        return Ok(None);
    };
    let group = world
        .placement_group(place, name)
        .ok_or_else(|| unknown_group(name))?;
    if group.strategy == Strategy::Cluster && !can_cluster(instance_type) {
        return Err(Ec2Error::combination(format!(
            "Placement groups may not be used with instances of type '{}'.",
            instance_type.name
        )));
    }
    Ok(Some(name.to_owned()))
}

impl World {
    fn placement_group(&self, place: &Place, name: &str) -> Option<&PlacementGroup> {
        let mut groups = self.placement_groups.iter();
        groups.find(|group| group.place == *place && group.name == name)
    }

    /// The zone of a cluster placement group's instances: "A cluster placement group can't span multiple Availability Zones".
    pub(crate) fn zone_of_group(&self, place: &Place, name: Option<&str>) -> Option<String> {
        let group = self.placement_group(place, name?)?;
        if group.strategy != Strategy::Cluster {
            return None;
        }
        let mut instances = self.instances_of(place);
        let found = instances.find(|instance| {
            instance.spec.placement_group.as_deref() == name && !instance.state().is_ended()
        });
        found.map(|instance| instance.zone.clone())
    }
}
