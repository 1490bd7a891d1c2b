//! Launch templates as answers show them (API data types LaunchTemplate, LaunchTemplateVersion, ResponseLaunchTemplateData).

use crate::clock::iso;
use crate::model::{Template, TemplateVersion};
use crate::wire::{Params, Xml};

/// Lists of the data: name in requests, name in answers.
const LISTS: [(&str, &str); 7] = [
    ("BlockDeviceMapping", "blockDeviceMappingSet"),
    ("NetworkInterface", "networkInterfaceSet"),
    ("SecurityGroup", "securityGroupSet"),
    ("SecurityGroupId", "securityGroupIdSet"),
    ("Tag", "tagSet"),
    ("TagSpecification", "tagSpecificationSet"),
    ("LicenseSpecification", "licenseSet"),
];

/// Inside a network interface the groups have another name.
const INTERFACE_GROUPS: (&str, &str) = ("SecurityGroupId", "groupSet");

pub(super) fn template(xml: &mut Xml, template: &Template) {
    xml.text("launchTemplateId", &template.id)
        .text("launchTemplateName", &template.name)
        .text("createTime", iso(template.created_ms))
        .text(
            "createdBy",
            format!("arn:aws:iam::{}:root", template.place.account),
        )
        .text("defaultVersionNumber", template.default_version)
        .text("latestVersionNumber", template.latest())
        .tags(&template.tags);
}

pub(super) fn version(xml: &mut Xml, template: &Template, version: &TemplateVersion) {
    xml.text("launchTemplateId", &template.id)
        .text("launchTemplateName", &template.name)
        .text("versionNumber", version.number)
        .opt("versionDescription", version.description.as_ref())
        .text("createTime", iso(version.created_ms))
        .text(
            "createdBy",
            format!("arn:aws:iam::{}:root", template.place.account),
        )
        .text("defaultVersion", version.number == template.default_version)
        .node("launchTemplateData", |xml| data(xml, &version.data, false));
}

/// The data as it was given, under the names that answers use: a small first letter, and lists called sets.
fn data(xml: &mut Xml, params: &Params, in_interface: bool) {
    for (name, node) in params.children() {
        if node.is_list() {
            let set = if in_interface && name == INTERFACE_GROUPS.0 {
                INTERFACE_GROUPS.1
            } else {
                LISTS
                    .iter()
                    .find(|(request, _)| *request == name)
                    .map_or(name, |(_, answer)| answer)
            };
            let items: Vec<&Params> = params.list(name);
            if items.iter().all(|item| item.value().is_some()) {
                let item = if set == INTERFACE_GROUPS.1 {
                    "groupId"
                } else {
                    "item"
                };
                xml.node(set, |xml| {
                    for text in items.iter().filter_map(|item| item.value()) {
                        xml.text(item, text);
                    }
                });
            } else {
                xml.list(set, items, |xml, item| {
                    data(xml, item, name == "NetworkInterface")
                });
            }
        } else if let Some(value) = node.value() {
            xml.text(&small(name), value);
        } else {
            xml.node(&small(name), |xml| data(xml, node, false));
        }
    }
}

fn small(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}
