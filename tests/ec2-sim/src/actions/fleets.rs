//! DescribeFleets and DeleteFleets, for fleets of type `instant` (API pages of both).

use crate::model::Cause;
use crate::wire::{Ec2Error, Xml};
use crate::world::Fleet;

use super::Call;

/// Instant fleets are shown only when named.
pub(super) fn describe(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let ids = call.params.texts("FleetId");
    let fleets = ids
        .iter()
        .map(|id| find(call, id).map(|fleet| (id, fleet)))
        .collect::<Result<Vec<_>, _>>()?;
    xml.list("fleetSet", fleets, |xml, (id, fleet)| {
        let tags = call
            .world
            .resource_tags
            .get(id)
            .map(|(_, tags)| tags.clone())
            .unwrap_or_default();
        xml.text("fleetId", id)
            .text("fleetState", "active")
            .text("type", "instant")
            .tags(&tags);
        xml.list(
            "fleetInstanceSet",
            &fleet.instance_ids,
            |xml, instance_id| {
                let instance = call.world.instance(instance_id);
                xml.texts("instanceIds", [instance_id])
                    .opt(
                        "instanceType",
                        instance.map(|one| one.spec.instance_type.name),
                    )
                    .opt(
                        "lifecycle",
                        instance.map(|one| one.spec.market.kind().as_str()),
                    );
            },
        );
    });
    Ok(())
}

fn find<'c>(call: &'c Call<'_>, id: &str) -> Result<&'c Fleet, Ec2Error> {
    call.world
        .fleets
        .get(id)
        .filter(|fleet| fleet.place == call.place)
        .ok_or_else(|| {
            Ec2Error::new(
                "InvalidFleetId.NotFound",
                format!("The fleet ID '{id}' does not exist"),
            )
        })
}

/// Deleting an instant fleet terminates its instances; keeping them is refused ("Delete an EC2 Fleet").
pub(super) fn delete(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let ids = call.params.texts("FleetId");
    let terminate = call
        .params
        .flag("TerminateInstances")?
        .ok_or_else(|| Ec2Error::missing("TerminateInstances"))?;
    let (known, unknown): (Vec<&String>, Vec<&String>) =
        ids.iter().partition(|id| find(call, id).is_ok());
    if !terminate && !known.is_empty() {
        return Err(Ec2Error::combination(
            "You can't delete instant fleets without terminating their instances.",
        ));
    }
    for id in &known {
        let members = call
            .world
            .fleets
            .remove(*id)
            .map(|fleet| fleet.instance_ids)
            .unwrap_or_default();
        for member in members {
            if let Some(seq) = call.world.instance(&member).map(|one| one.seq) {
                call.world
                    .terminate(seq, Cause::UserTerminated, call.now_ms);
            }
        }
    }
    xml.list("successfulFleetDeletionSet", known, |xml, id| {
        xml.text("fleetId", id)
            .text("currentFleetState", "deleted_terminating")
            .text("previousFleetState", "active");
    });
    xml.list("unsuccessfulFleetDeletionSet", unknown, |xml, id| {
        xml.text("fleetId", id).node("error", |xml| {
            xml.text("code", "fleetIdDoesNotExist")
                .text("message", format!("The fleet ID '{id}' does not exist"));
        });
    });
    Ok(())
}
