//! DescribeImages (API page of the same name).

use crate::catalogue::{Image, images};
use crate::filter::{Filters, Page};
use crate::wire::{Ec2Error, Xml};

use super::Call;

const FILTERS: &[&str] = &[
    "architecture",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "root-device-type",
    "state",
    "tag-key",
    "tag:",
    "virtualization-type",
];

fn values(image: &Image, name: &str) -> Vec<String> {
    let value = match name {
        "architecture" => image.architecture.as_str(),
        "image-id" => &image.id,
        "image-type" => "machine",
        "is-public" => "true",
        "name" => &image.name,
        "owner-alias" => "amazon",
        "owner-id" => Image::OWNER,
        "root-device-type" => "ebs",
        "state" => "available",
        "virtualization-type" => "hvm",
        _ => return Vec::new(),
    };
    vec![value.to_owned()]
}

pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 1, 1000)?;
    let filters = Filters::read(call.params, FILTERS)?;
    let ids = call.params.texts("ImageId");
    let region = call.place.region.name;
    let missing: Vec<&str> = ids
        .iter()
        .filter(|id| !images(region).any(|image| image.id == **id))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Ec2Error::new(
            "InvalidAMIID.NotFound",
            format!("The image id '[{}]' does not exist", missing.join(", ")),
        ));
    }
    let owners = call.params.texts("Owner");
    let shown = images(region).filter(|image| {
        (ids.is_empty() || ids.contains(&image.id))
            && (owners.is_empty()
                || owners
                    .iter()
                    .any(|owner| owner == "amazon" || owner == Image::OWNER))
            && filters.accept(|name| values(image, name))
    });
    let (shown, next) = page.cut_list(shown);
    xml.list("imagesSet", shown, |xml, image| {
        xml.text("imageId", &image.id)
            .text("imageLocation", format!("amazon/{}", image.name))
            .text("imageState", "available")
            .text("imageOwnerId", Image::OWNER)
            .text("creationDate", Image::CREATED)
            .text("isPublic", true)
            .text("architecture", image.architecture.as_str())
            .text("imageType", "machine")
            .text("imageOwnerAlias", "amazon")
            .text("name", &image.name)
            .text("description", "Amazon Linux 2023 AMI")
            .text("rootDeviceType", "ebs")
            .text("rootDeviceName", Image::ROOT_DEVICE)
            .list("blockDeviceMapping", [()], |xml, ()| {
                xml.text("deviceName", Image::ROOT_DEVICE)
                    .node("ebs", |xml| {
                        xml.text("deleteOnTermination", true)
                            .text("volumeSize", Image::ROOT_GIB)
                            .text("volumeType", "gp3")
                            .text("encrypted", false);
                    });
            })
            .text("virtualizationType", "hvm")
            .text("hypervisor", "xen")
            .text("enaSupport", true)
            .text("bootMode", "uefi-preferred")
            .text("imdsSupport", "v2.0")
            .text("platformDetails", "Linux/UNIX")
            .text("usageOperation", "RunInstances");
    });
    xml.opt("nextToken", next);
    Ok(())
}
