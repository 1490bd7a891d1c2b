//! Launch templates: create, add a version, set the default, describe, delete.
//!
//! Source: API pages of the actions and "Store instance launch parameters in Amazon EC2 launch templates", EC2 user guide.

use crate::filter::{Filters, Page};
use crate::model::{Remembered, TagSpecifications, Template, TemplateVersion, TokenKey};
use crate::wire::{Ec2Error, Params, Xml};

use super::launch_request::{check_user_data, find_template};
use super::{Call, run_instances, template_xml};

/// Members of RequestLaunchTemplateData that are modelled or have no effect here.
const DATA: [&str; 26] = [
    "BlockDeviceMapping",
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceType",
    "KernelId",
    "KeyName",
    "MaintenanceOptions",
    "MetadataOptions",
    "Monitoring",
    "NetworkInterface",
    "Placement",
    "PrivateDnsNameOptions",
    "SecurityGroup",
    "SecurityGroupId",
    "TagSpecification",
    "UserData",
];

/// A name has 3 to 128 of these characters.
fn check_name(name: &str) -> Result<(), Ec2Error> {
    let fits = (3..=128).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "().-/_".contains(c));
    if fits {
        return Ok(());
    }
    Err(Ec2Error::new(
        "InvalidLaunchTemplateName.MalformedException",
        "Launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following \
         characters: - ( ) . / _.",
    ))
}

/// Reads and checks `LaunchTemplateData`. Most of it EC2 checks only at launch, so that is when it is checked here too.
fn data(params: &Params) -> Result<Params, Ec2Error> {
    let data = params
        .get("LaunchTemplateData")
        .ok_or_else(|| Ec2Error::missing("LaunchTemplateData"))?
        .clone();
    if let Some((name, _)) = data.children().find(|(name, _)| !DATA.contains(name)) {
        return Err(Ec2Error::new(
            "UnknownParameter",
            format!(
                "The parameter LaunchTemplateData.{name} is not recognized (ec2-sim does not model it)"
            ),
        ));
    }
    check_user_data(data.text("UserData"))?;
    TagSpecifications::read(
        &data,
        &[
            "instance",
            "volume",
            "network-interface",
            "spot-instances-request",
            "elastic-gpu",
        ],
    )?;
    Ok(data)
}

/// Answers a repeated call from memory; else what to remember the answer under.
fn recall(call: &Call<'_>) -> Result<(Option<TokenKey>, String, Option<String>), Ec2Error> {
    let parameters = run_instances::fingerprint(call.params, None);
    let Some(token) = call.params.text("ClientToken") else {
        return Ok((None, parameters, None));
    };
    let key = TokenKey {
        place: call.place.clone(),
        action: call.action,
        zone: None,
        token: token.to_owned(),
    };
    let answer = call
        .world
        .tokens
        .recall(&key, &parameters)?
        .and_then(|first| first.answer);
    Ok((Some(key), parameters, answer))
}

/// Remembers an answer and gives it.
fn answer(
    call: &mut Call<'_>,
    xml: &mut Xml,
    key: Option<TokenKey>,
    parameters: String,
    body: Xml,
    id: &str,
) {
    let body = body.into_string();
    if let Some(key) = key {
        let what = Remembered {
            parameters,
            resource_id: id.to_owned(),
            instance_ids: Vec::new(),
            answer: Some(body.clone()),
        };
        call.world.tokens.remember(key, what);
    }
    xml.raw(&body);
}

pub(super) fn create(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let (key, parameters, earlier) = recall(call)?;
    if let Some(earlier) = earlier {
        xml.raw(&earlier);
        return Ok(());
    }
    let name = call.params.required("LaunchTemplateName")?.to_owned();
    check_name(&name)?;
    if call
        .world
        .templates
        .iter()
        .any(|one| one.place == call.place && one.name == name)
    {
        return Err(Ec2Error::new(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    let data = data(call.params)?;
    let tags = TagSpecifications::read(call.params, &["launch-template"])?.of("launch-template");
    let template = Template {
        seq: call.world.next(),
        place: call.place.clone(),
        id: call.world.random.resource_id("lt"),
        name,
        tags,
        created_ms: call.now_ms,
        default_version: 1,
        versions: vec![TemplateVersion {
            number: 1,
            description: call
                .params
                .text("VersionDescription")
                .map(ToOwned::to_owned),
            data,
            created_ms: call.now_ms,
        }],
    };
    let mut body = Xml::new();
    body.node("launchTemplate", |xml| {
        template_xml::template(xml, &template)
    });
    let id = template.id.clone();
    call.world.templates.push(template);
    answer(call, xml, key, parameters, body, &id);
    Ok(())
}

/// The position of the template that a call names.
fn position(call: &Call<'_>) -> Result<usize, Ec2Error> {
    let id = &find_template(&call.world.templates, &call.place, call.params)?.id;
    Ok(call
        .world
        .templates
        .iter()
        .position(|one| one.id == *id)
        .unwrap_or(0))
}

pub(super) fn create_version(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let (key, parameters, earlier) = recall(call)?;
    if let Some(earlier) = earlier {
        xml.raw(&earlier);
        return Ok(());
    }
    let at = position(call)?;
    let mut new = data(call.params)?;
    let now_ms = call.now_ms;
    let description = call
        .params
        .text("VersionDescription")
        .map(ToOwned::to_owned);
    let source = call.params.text("SourceVersion").map(ToOwned::to_owned);
    let Some(template) = call.world.templates.get_mut(at) else {
        return Ok(());
    };
    if let Some(source) = source {
        // "The new version inherits the same launch parameters as the source version, except for parameters that you specify".
        new = template.version(&source)?.data.overridden_by(&new);
    }
    let version = TemplateVersion {
        number: template.latest() + 1,
        description,
        data: new,
        created_ms: now_ms,
    };
    template.versions.push(version.clone());
    let mut body = Xml::new();
    body.node("launchTemplateVersion", |xml| {
        template_xml::version(xml, template, &version)
    });
    let id = template.id.clone();
    answer(call, xml, key, parameters, body, &id);
    Ok(())
}

pub(super) fn modify(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let at = position(call)?;
    let wanted = call.params.text("SetDefaultVersion").map(ToOwned::to_owned);
    let Some(template) = call.world.templates.get_mut(at) else {
        return Ok(());
    };
    if let Some(wanted) = wanted {
        template.default_version = template.version(&wanted)?.number;
    }
    xml.node("launchTemplate", |xml| {
        template_xml::template(xml, template)
    });
    Ok(())
}

pub(super) fn delete(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let at = position(call)?;
    let template = call.world.templates.remove(at);
    xml.node("launchTemplate", |xml| {
        template_xml::template(xml, &template)
    });
    Ok(())
}

pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 1, 200)?;
    let filters = Filters::read(
        call.params,
        &["create-time", "launch-template-name", "tag-key", "tag:"],
    )?;
    let ids = call.params.texts("LaunchTemplateId");
    let names = call.params.texts("LaunchTemplateName");
    // An id or a name that is unknown is an error, as of a single template.
    for (field, wanted) in [("LaunchTemplateId", &ids), ("LaunchTemplateName", &names)] {
        for text in wanted {
            let mut one = Params::default();
            one.insert(field, text);
            find_template(&call.world.templates, &call.place, &one)?;
        }
    }
    let named = !ids.is_empty() || !names.is_empty();
    let shown = call.world.templates.iter().filter(|one| {
        one.place == call.place
            && (!named || ids.contains(&one.id) || names.contains(&one.name))
            && filters.accept(|name| match name {
                "create-time" => vec![crate::clock::iso(one.created_ms)],
                "launch-template-name" => vec![one.name.clone()],
                "tag-key" => one.tags.keys().cloned().collect(),
                tag => tag
                    .strip_prefix("tag:")
                    .and_then(|key| one.tags.get(key).cloned())
                    .into_iter()
                    .collect(),
            })
    });
    let (shown, next) = page.cut(shown.map(|one| (one.seq, one)));
    xml.list("launchTemplates", shown, template_xml::template);
    xml.opt("nextToken", next);
    Ok(())
}

pub(super) fn describe_versions(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 1, 200)?;
    let wanted = call.params.texts("LaunchTemplateVersion");
    let place = &call.place;
    let is_named = call.params.get("LaunchTemplateId").is_some()
        || call.params.get("LaunchTemplateName").is_some();
    if !is_named {
        // Without a template only `$Latest` and `$Default` make sense: of every template.
        if wanted.is_empty() || wanted.iter().any(|one| !one.starts_with('$')) {
            return Err(Ec2Error::missing("LaunchTemplateId"));
        }
        let mut all = Vec::new();
        for template in call
            .world
            .templates
            .iter()
            .filter(|one| one.place == *place)
        {
            for one in &wanted {
                all.push((template, template.version(one)?));
            }
        }
        let (shown, next) = page.cut_list(all);
        xml.list(
            "launchTemplateVersionSet",
            shown,
            |xml, (template, version)| {
                template_xml::version(xml, template, version);
            },
        );
        xml.opt("nextToken", next);
        return Ok(());
    }
    let template = find_template(&call.world.templates, place, call.params)?;
    let bound = |name: &str| {
        call.params
            .int(name)
            .map(|number| number.and_then(|number| u64::try_from(number).ok()))
    };
    let (least, most) = (
        bound("MinVersion")?.unwrap_or(0),
        bound("MaxVersion")?.unwrap_or(u64::MAX),
    );
    let mut shown: Vec<&TemplateVersion> = if wanted.is_empty() {
        template
            .versions
            .iter()
            .filter(|one| (least..=most).contains(&one.number))
            .collect()
    } else {
        wanted
            .iter()
            .map(|one| template.version(one))
            .collect::<Result<_, _>>()?
    };
    // The newest first.
    shown.sort_by_key(|one| std::cmp::Reverse(one.number));
    shown.dedup_by_key(|one| one.number);
    let (shown, next) = page.cut_list(shown);
    xml.list("launchTemplateVersionSet", shown, |xml, version| {
        template_xml::version(xml, template, version)
    });
    xml.opt("nextToken", next);
    Ok(())
}
