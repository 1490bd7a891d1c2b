//! TerminateInstances, StopInstances, StartInstances.
//!
//! Source: the API pages of the three; "Hibernate your Amazon EC2 instance" and "Stop and start a Spot Instance", EC2 user
//! guide. One unknown id fails the whole call and changes nothing.

use crate::model::{Cause, Instance, State};
use crate::wire::{Ec2Error, Xml};

use super::{Call, instance_xml};

/// Ids in one call.
const IDS_MAX: usize = 1000;

/// The instances that a call names.
fn named(call: &mut Call<'_>) -> Result<Vec<u64>, Ec2Error> {
    let ids = call.params.texts("InstanceId");
    if ids.is_empty() {
        return Err(Ec2Error::new(
            "MissingParameter",
            "The request must contain the parameter InstanceId",
        ));
    }
    if ids.len() > IDS_MAX {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("At most {IDS_MAX} instance IDs are accepted."),
        ));
    }
    let seqs = call.world.find_all(&call.place, &ids, call.now_ms)?;
    call.take_instances(u32::try_from(seqs.len()).unwrap_or(u32::MAX))?;
    Ok(seqs)
}

fn each<'c>(call: &'c Call<'_>, seqs: &'c [u64]) -> impl Iterator<Item = &'c Instance> {
    seqs.iter().filter_map(|seq| call.world.instances.get(seq))
}

/// Carries `act` out on each and writes the states before and after.
fn change(
    call: &mut Call<'_>,
    xml: &mut Xml,
    seqs: &[u64],
    act: impl Fn(&mut crate::world::World, u64, u64),
) {
    let before: Vec<State> = each(call, seqs).map(Instance::state).collect();
    for seq in seqs {
        act(call.world, *seq, call.now_ms);
    }
    xml.list(
        "instancesSet",
        each(call, seqs).zip(before),
        |xml, (instance, before)| {
            xml.text("instanceId", &instance.id);
            instance_xml::state(xml, "currentState", instance.state());
            instance_xml::state(xml, "previousState", before);
        },
    );
}

/// A protected instance refuses for all instances of its zone; those of other zones are terminated all the same, and the
/// call fails (API TerminateInstances).
pub(super) fn terminate(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let seqs = named(call)?;
    let protected: Vec<(String, String)> = each(call, &seqs)
        .filter(|instance| instance.termination_protected && !instance.state().is_ended())
        .map(|instance| (instance.zone.clone(), instance.id.clone()))
        .collect();
    let allowed: Vec<u64> = each(call, &seqs)
        .filter(|instance| protected.iter().all(|(zone, _)| *zone != instance.zone))
        .map(|instance| instance.seq)
        .collect();
    change(call, xml, &allowed, |world, seq, now_ms| {
        world.terminate(seq, Cause::UserTerminated, now_ms)
    });
    match protected.first() {
        None => Ok(()),
        Some((_, id)) => Err(Ec2Error::new(
            "OperationNotPermitted",
            format!(
                "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
            ),
        )),
    }
}

pub(super) fn stop(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let seqs = named(call)?;
    let hibernate = call.params.flag("Hibernate")?.unwrap_or(false);
    for instance in each(call, &seqs) {
        let id = &instance.id;
        if instance.spec.market.is_one_time_spot() {
            return Err(Ec2Error::new(
                "UnsupportedOperation",
                format!(
                    "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance \
                     request. You can only stop Spot Instances associated with persistent Spot Instance requests."
                ),
            ));
        }
        if hibernate && !instance.spec.hibernation {
            return Err(Ec2Error::new(
                "UnsupportedHibernationConfiguration",
                format!(
                    "The instance '{id}' is not enabled for hibernation: it was launched without the option."
                ),
            ));
        }
        // Stopping what is stopped succeeds; what is on its way up or gone cannot be stopped.
        if matches!(
            instance.state(),
            State::Pending | State::ShuttingDown | State::Terminated
        ) {
            return Err(incorrect_state(instance, "stopped"));
        }
    }
    let cause = if hibernate {
        Cause::UserHibernated
    } else {
        Cause::UserStopped
    };
    change(call, xml, &seqs, |world, seq, now_ms| {
        world.stop(seq, cause, now_ms)
    });
    Ok(())
}

pub(super) fn start(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let seqs = named(call)?;
    for instance in each(call, &seqs) {
        if !matches!(
            instance.state(),
            State::Stopped | State::Running | State::Pending
        ) {
            return Err(incorrect_state(instance, "started"));
        }
    }
    // A start draws on the quota and on capacity as a launch does.
    let stopped: Vec<u64> = each(call, &seqs)
        .filter(|one| one.state() == State::Stopped)
        .map(|one| one.seq)
        .collect();
    for seq in stopped {
        let Some(instance) = call.world.instances.get(&seq) else {
            continue;
        };
        let (spec, zone) = (std::sync::Arc::clone(&instance.spec), instance.zone.clone());
        call.world.check_quota(&call.place, &spec, 1)?;
        if call.pool_gives(&spec, &zone, 1) == 0 {
            return Err(super::launch::no_capacity(&call.place, &spec, &zone));
        }
    }
    change(call, xml, &seqs, crate::world::World::start);
    Ok(())
}

fn incorrect_state(instance: &Instance, wanted: &str) -> Ec2Error {
    Ec2Error::new(
        "IncorrectInstanceState",
        format!(
            "The instance '{}' is not in a state from which it can be {wanted}.",
            instance.id
        ),
    )
}
