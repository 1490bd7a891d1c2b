//! Records, in their launchers' stead, instances that those could not record any more.

use std::collections::BTreeMap;

use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError};
use spawn_core::reap::{Action, ManagedInstance, SWEEP_TAG};
use spawn_core::rows::{BatchRow, MemberRow, SweepRow, batch_key, sweep_key};
use spawn_core::{launch, track};

use super::Acted;
use crate::pass::Looked;
use crate::{Ports, look};

/// Records the instances whose launchers could not. A sweep of which something is missing in the ledger keeps nothing else from
/// being carried out: its instances are left as they are, and the pass ends as failed.
pub(super) async fn adopt<L: Ledger, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    looked: &[Looked],
    now: u64,
    acted: &mut Acted,
) {
    let mut by_sweep: BTreeMap<&str, Vec<ManagedInstance>> = BTreeMap::new();
    for one in looked {
        let cloud = &one.subject.cloud;
        if one.decision.action == Action::Adopt
            && let Some(sweep) = cloud.tag(SWEEP_TAG)
        {
            by_sweep.entry(sweep).or_default().push(cloud.clone());
        }
    }
    for (sweep, there) in by_sweep {
        let sweep_id = SweepId::from(sweep);
        let left = match adopt_of(ports, place, &sweep_id, &there, now).await {
            // Its launcher was not gone after all.
            Ok(is_all) => !is_all,
            Err(error) => {
                tracing::error!(%sweep_id, %error, "instances could not be adopted");
                acted.failures.push(error);
                true
            }
        };
        if left {
            let ids = there.iter().map(|one| one.instance.arn.instance_id.clone());
            acted.unchanged.extend(ids);
        }
    }
}

/// Records the instances of one sweep; whether nobody else recorded them meanwhile.
async fn adopt_of<L: Ledger, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    sweep_id: &SweepId,
    there: &[ManagedInstance],
    now: u64,
) -> Result<bool, FunctionError> {
    let mut is_all = true;
    let sweep: SweepRow = ledger::require(ports.ledger, sweep_key(sweep_id)).await?;
    for attempt in look::open_attempts(ports.ledger, place, sweep_id).await? {
        let instances = look::instances_of(there, &attempt);
        let pairs = look::paired(ports.ledger, &sweep, &attempt, &instances).await?;
        if pairs.is_empty() {
            continue;
        }
        let members: Vec<MemberRow> = pairs.iter().map(|(member, _)| member.clone()).collect();
        let programs = track::programs_of(ports.ledger, &members).await?;
        let key = batch_key(sweep_id, &attempt.lane, attempt.batch);
        let batch: BatchRow = ledger::require(ports.ledger, key).await?;
        let (records, _) = launch::record(&sweep, &batch, &attempt, pairs, &programs)?;
        for writes in records {
            match ports.ledger.commit(writes).await {
                Ok(()) => {}
                Err(LedgerError::Condition { .. }) => is_all = false,
                Err(error) => return Err(error.into()),
            }
        }
        tracing::warn!(%sweep_id, attempt = attempt.number, instances = instances.len(), now, "instances were adopted");
    }
    Ok(is_all)
}
