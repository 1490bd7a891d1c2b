//! CreateTags, DeleteTags, DescribeTags ("Tag your Amazon EC2 resources", EC2 user guide, and the API pages).

use std::collections::BTreeSet;

use crate::filter::{Filters, Page};
use crate::model::{Tags, check_tags, read_tags};
use crate::wire::{Ec2Error, Params, Xml};

use super::Call;

/// Resources in one call.
const RESOURCES_MAX: usize = 1000;

/// The type of a resource by the prefix of its id.
fn resource_type(id: &str) -> &'static str {
    match id.split('-').next().unwrap_or_default() {
        "i" => "instance",
        "vol" => "volume",
        "lt" => "launch-template",
        "fleet" => "fleet",
        "sir" => "spot-instances-request",
        _ => "unknown",
    }
}

impl Call<'_> {
    /// The tags of a resource here.
    fn tags_of(&mut self, id: &str) -> Result<&mut Tags, Ec2Error> {
        let (place, view_ms) = (self.place.clone(), self.world.view_ms(self.now_ms));
        let missing = match resource_type(id) {
            "instance" => Ec2Error::instances_not_found(&[id.to_owned()]),
            "volume" => Ec2Error::new(
                "InvalidVolume.NotFound",
                format!("The volume '{id}' does not exist."),
            ),
            "launch-template" => Ec2Error::new(
                "InvalidLaunchTemplateId.NotFound",
                format!("The launch template ID '{id}' does not exist"),
            ),
            _ => Ec2Error::new("InvalidID", format!("The ID '{id}' is not valid")),
        };
        let world = &mut *self.world;
        let found = match resource_type(id) {
            "instance" => world
                .instance_mut(id)
                .filter(|one| one.place == place && one.seen_at(view_ms).is_some())
                .map(|one| &mut one.tags),
            "launch-template" => world
                .templates
                .iter_mut()
                .find(|one| one.id == id && one.place == place)
                .map(|one| &mut one.tags),
            _ => world
                .resource_tags
                .get_mut(id)
                .filter(|(at, _)| *at == place)
                .map(|(_, tags)| tags),
        };
        found.ok_or(missing)
    }
}

fn resources(call: &Call<'_>) -> Result<Vec<String>, Ec2Error> {
    let ids = call.params.texts("ResourceId");
    if ids.is_empty() {
        return Err(Ec2Error::missing("resourceIdSet"));
    }
    if ids.len() > RESOURCES_MAX {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("At most {RESOURCES_MAX} resources are accepted."),
        ));
    }
    Ok(ids)
}

pub(super) fn create(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let ids = resources(call)?;
    let tags = read_tags(call.params)?;
    if tags.is_empty() {
        return Err(Ec2Error::missing("Tag"));
    }
    // First all checks, then all changes: a call that fails tags nothing.
    for id in &ids {
        let mut merged: Tags = call
            .tags_of(id)?
            .iter()
            .filter(|(key, _)| !key.starts_with("aws:"))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        merged.extend(tags.clone());
        check_tags(&merged)?;
    }
    for id in &ids {
        call.tags_of(id)?.extend(tags.clone());
    }
    xml.text("return", true);
    Ok(())
}

/// Without tags all of a resource's own tags go; a tag with a value goes only if it has that value.
pub(super) fn delete(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let ids = resources(call)?;
    let wanted: Vec<(String, Option<String>)> = call
        .params
        .list("Tag")
        .into_iter()
        .filter_map(|tag| {
            Some((
                tag.text("Key")?.to_owned(),
                tag.get("Value")
                    .and_then(Params::value)
                    .map(ToOwned::to_owned),
            ))
        })
        .collect();
    for id in &ids {
        call.tags_of(id)?;
    }
    for id in &ids {
        call.tags_of(id)?.retain(|key, value| {
            let is_wanted = wanted.is_empty()
                || wanted.iter().any(|(name, only)| {
                    name == key && only.as_ref().is_none_or(|only| only == value)
                });
            key.starts_with("aws:") || !is_wanted
        });
    }
    xml.text("return", true);
    Ok(())
}

pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 5, 1000)?;
    let filters = Filters::read(
        call.params,
        &["key", "resource-id", "resource-type", "tag:", "value"],
    )?;
    let mut rows: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut add = |id: &str, tags: &Tags| {
        rows.extend(
            tags.iter()
                .map(|(key, value)| (id.to_owned(), key.clone(), value.clone())),
        );
    };
    for instance in call.world.instances_of(&call.place) {
        add(&instance.id, &instance.tags);
    }
    for template in call
        .world
        .templates
        .iter()
        .filter(|one| one.place == call.place)
    {
        add(&template.id, &template.tags);
    }
    for (id, (_, tags)) in call
        .world
        .resource_tags
        .iter()
        .filter(|(_, (place, _))| *place == call.place)
    {
        add(id, tags);
    }
    let shown = rows.into_iter().filter(|(id, key, value)| {
        filters.accept(|name| match name {
            "key" => vec![key.clone()],
            "value" => vec![value.clone()],
            "resource-id" => vec![id.clone()],
            "resource-type" => vec![resource_type(id).to_owned()],
            tag => {
                if tag.strip_prefix("tag:") == Some(key) {
                    vec![value.clone()]
                } else {
                    Vec::new()
                }
            }
        })
    });
    let (shown, next) = page.cut_list(shown);
    xml.list("tagSet", shown, |xml, (id, key, value)| {
        xml.text("resourceId", &id)
            .text("resourceType", resource_type(&id))
            .text("key", key)
            .text("value", value);
    });
    xml.opt("nextToken", next);
    Ok(())
}
