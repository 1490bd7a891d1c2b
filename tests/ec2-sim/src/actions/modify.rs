//! ModifyInstanceAttribute and DescribeInstanceAttribute, for the attributes that decide how an instance ends.

use crate::model::State;
use crate::wire::{Ec2Error, Params, Xml};

use super::Call;
use super::launch_options::check_groups;
use super::launch_request::shutdown_behavior;

pub(super) const ACCEPTS: &[&str] = &[
    "Attribute",
    "DisableApiTermination",
    "GroupId",
    "InstanceId",
    "InstanceInitiatedShutdownBehavior",
    "Value",
];

/// One attribute a call, given either by its own parameter or as `Attribute` and `Value`.
pub(super) fn modify(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let id = call.params.required("InstanceId")?.to_owned();
    call.world
        .find_all(&call.place, std::slice::from_ref(&id), call.now_ms)?;
    let mut params: Params = call.params.clone();
    if let (Some(attribute), Some(value)) =
        (call.params.text("Attribute"), call.params.text("Value"))
    {
        match attribute {
            "disableApiTermination" => params.insert("DisableApiTermination.Value", value),
            "instanceInitiatedShutdownBehavior" => {
                params.insert("InstanceInitiatedShutdownBehavior.Value", value)
            }
            other => return Err(unknown(other)),
        }
    }
    let behavior = params
        .text("InstanceInitiatedShutdownBehavior.Value")
        .map(|text| shutdown_behavior(Some(text)));
    let behavior = behavior.transpose()?;
    let protect = params.flag("DisableApiTermination.Value")?;
    let groups = params.texts("GroupId");
    check_groups(call.world, &call.place, &groups)?;
    let given = usize::from(behavior.is_some())
        + usize::from(protect.is_some())
        + usize::from(!groups.is_empty());
    if given != 1 {
        return Err(Ec2Error::combination(
            "Exactly one attribute must be specified per request.",
        ));
    }
    let Some(instance) = call.world.instance_mut(&id) else {
        return Ok(());
    };
    if instance.state() == State::Terminated {
        return Err(Ec2Error::new(
            "IncorrectInstanceState",
            format!("The instance '{id}' is terminated and cannot be modified."),
        ));
    }
    if protect == Some(true) && instance.spec.market.kind() == crate::limits::MarketKind::Spot {
        return Err(Ec2Error::new(
            "UnsupportedOperation",
            "You can't enable termination protection for Spot Instances.",
        ));
    }
    instance.shutdown_behavior = behavior.unwrap_or(instance.shutdown_behavior);
    instance.termination_protected = protect.unwrap_or(instance.termination_protected);
    if !groups.is_empty() {
        instance.group_ids = groups;
    }
    xml.text("return", true);
    Ok(())
}

pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let id = call.params.required("InstanceId")?.to_owned();
    let attribute = call.params.required("Attribute")?;
    call.world
        .find_all(&call.place, std::slice::from_ref(&id), call.now_ms)?;
    let Some(instance) = call.world.instance(&id) else {
        return Ok(());
    };
    xml.text("instanceId", &id);
    let value = |xml: &mut Xml, text: &dyn std::fmt::Display| {
        xml.node(attribute, |xml| {
            xml.text("value", text);
        });
    };
    match attribute {
        "disableApiTermination" => value(xml, &instance.termination_protected),
        "instanceInitiatedShutdownBehavior" => value(xml, &instance.shutdown_behavior.as_str()),
        "instanceType" => value(xml, &instance.spec.instance_type.name),
        "userData" => match &instance.spec.user_data {
            Some(text) => value(xml, text),
            None => {
                xml.node("userData", |_| {});
            }
        },
        "groupSet" => {
            xml.list("groupSet", &instance.group_ids, |xml, id| {
                xml.text("groupId", id);
            });
        }
        other => return Err(unknown(other)),
    }
    Ok(())
}

fn unknown(attribute: &str) -> Ec2Error {
    Ec2Error::invalid_value("attribute", attribute, "ec2-sim does not model it.")
}
