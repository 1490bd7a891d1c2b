//! DescribeVolumes: the root volumes of instances that are not terminated (API page of the same name).

use crate::clock::iso;
use crate::filter::{Filters, Page};
use crate::model::{Instance, State, Tags};
use crate::wire::{Ec2Error, Xml};

use super::Call;

const FILTERS: &[&str] = &[
    "attachment.delete-on-termination",
    "attachment.instance-id",
    "availability-zone",
    "encrypted",
    "size",
    "status",
    "tag-key",
    "tag:",
    "volume-id",
    "volume-type",
];

pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 5, 1000)?;
    let filters = Filters::read(call.params, FILTERS)?;
    let ids = call.params.texts("VolumeId");
    let none = Tags::new();
    let view_ms = call.world.view_ms(call.now_ms);
    // A volume goes with its instance, unless DeleteOnTermination was switched off.
    let rows: Vec<(&Instance, bool, &Tags)> = call
        .world
        .instances_of(&call.place)
        .filter_map(|instance| {
            let is_attached = instance.seen_at(view_ms)?.state != State::Terminated;
            let tags = call
                .world
                .resource_tags
                .get(&instance.volume_id)
                .map_or(&none, |(_, tags)| tags);
            (is_attached || !instance.spec.volume.delete_on_termination).then_some((
                instance,
                is_attached,
                tags,
            ))
        })
        .collect();
    if let Some(unknown) = ids
        .iter()
        .find(|id| rows.iter().all(|(instance, ..)| instance.volume_id != **id))
    {
        return Err(Ec2Error::new(
            "InvalidVolume.NotFound",
            format!("The volume '{unknown}' does not exist."),
        ));
    }
    let shown = rows.into_iter().filter(|(instance, is_attached, tags)| {
        let volume = &instance.spec.volume;
        (ids.is_empty() || ids.contains(&instance.volume_id))
            && filters.accept(|name| match name {
                "attachment.delete-on-termination" => {
                    vec![volume.delete_on_termination.to_string()]
                }
                "attachment.instance-id" if *is_attached => vec![instance.id.clone()],
                "availability-zone" => vec![instance.zone.clone()],
                "encrypted" => vec![volume.encrypted.to_string()],
                "size" => vec![volume.size_gib.to_string()],
                "status" => vec![if *is_attached { "in-use" } else { "available" }.to_owned()],
                "tag-key" => tags.keys().cloned().collect(),
                "volume-id" => vec![instance.volume_id.clone()],
                "volume-type" => vec![volume.kind.clone()],
                tag => tag
                    .strip_prefix("tag:")
                    .and_then(|key| tags.get(key).cloned())
                    .into_iter()
                    .collect(),
            })
    });
    let (shown, next) = page.cut(shown.map(|row| (row.0.seq, row)));
    xml.list("volumeSet", shown, |xml, (instance, is_attached, tags)| {
        let volume = &instance.spec.volume;
        xml.text("volumeId", &instance.volume_id)
            .text("size", volume.size_gib)
            .text("availabilityZone", &instance.zone)
            .text("status", if is_attached { "in-use" } else { "available" })
            .text("createTime", iso(instance.created_ms()))
            .text("volumeType", &volume.kind)
            .text("encrypted", volume.encrypted)
            .text("multiAttachEnabled", false)
            .list("attachmentSet", is_attached.then_some(()), |xml, ()| {
                xml.text("volumeId", &instance.volume_id)
                    .text("instanceId", &instance.id)
                    .text("device", &volume.device)
                    .text("status", "attached")
                    .text("attachTime", iso(instance.created_ms()))
                    .text("deleteOnTermination", volume.delete_on_termination);
            })
            .tags(tags);
    });
    xml.opt("nextToken", next);
    Ok(())
}
