//! The scheduled pass over all live sweeps: the cloud first, then the ledger, and either is repaired.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::ledger::{self, Ledger, LedgerError};
use spawn_core::ports::{
    InAccounts, ListInstances, StopInstances, WakeExecutions, WatchExecutions,
};
use spawn_core::rows::{SweepRow, sweep_key};
use spawn_core::state::SweepStatus;
use spawn_core::track;

use crate::Ports;

/// Reconciles every live sweep. One region or sweep that cannot be reached delays no other; the pass then ends in an error,
/// so that an alarm can tell.
pub(crate) async fn all<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: InAccounts + ListInstances + StopInstances,
    W: WakeExecutions + WatchExecutions,
{
    let mut sweeps = 0_u64;
    let mut repaired = 0;
    let mut unknown = 0;
    let mut failures: Vec<FunctionError> = Vec::new();
    for sweep_id in live_sweeps(ports.ledger).await? {
        sweeps += 1;
        match one(ports, &sweep_id, now, &mut failures).await {
            Ok((members, strangers)) => {
                repaired += members;
                unknown += strangers;
            }
            Err(error) => failures.push(error),
        }
    }
    tracing::info!(
        sweeps,
        repaired,
        unknown,
        failures = failures.len(),
        "reconciled"
    );
    for error in &failures {
        tracing::error!(%error, "a part of the pass failed");
    }
    match failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(json!({"sweeps": sweeps, "repaired": repaired, "unknown": unknown})),
    }
}

/// The ids of the sweeps that are not over, as the index shows them.
async fn live_sweeps(ledger: &impl Ledger) -> Result<BTreeSet<SweepId>, LedgerError> {
    let mut ids = BTreeSet::new();
    for status in SweepStatus::LIVE {
        let mut from = None;
        loop {
            let page = ledger.sweeps_by_status(status.as_str(), from).await?;
            ids.extend(
                page.rows
                    .iter()
                    .filter_map(|row| row.key.pk.strip_prefix("SWEEP#"))
                    .map(SweepId::from),
            );
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(ids)
}

/// Reconciles one sweep; answers how many members were repaired and how many instances no row knows.
async fn one<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    sweep_id: &SweepId,
    now: u64,
    failures: &mut Vec<FunctionError>,
) -> Result<(usize, usize), FunctionError>
where
    L: Ledger,
    E: InAccounts + ListInstances,
    W: WakeExecutions + WatchExecutions,
{
    let sweep: SweepRow = ledger::require(ports.ledger, sweep_key(sweep_id)).await?;
    let places: BTreeSet<Place> = sweep.lanes.iter().map(LaneId::place).collect();
    let (mut repaired, mut unknown) = (0, 0);
    for place in places {
        match track::reconcile(ports.ledger, ports.ec2, sweep_id, place, now).await {
            Ok(found) => {
                repaired += found.repaired;
                unknown += found.unknown.len();
                for arn in &found.unknown {
                    // Either its launch is being recorded just now, or a launcher died: the lane's next step records it.
                    tracing::warn!(%sweep_id, instance = %arn, "instance is not in the ledger yet");
                }
            }
            Err(error) => failures.push(error),
        }
    }
    track::wake(ports.ledger, ports.executions, sweep_id).await?;
    drain_if_abandoned(ports, &sweep, now).await?;
    Ok((repaired, unknown))
}

/// Drains a sweep whose execution has ended without success. The event of that end starts a drain at once; it is best effort
/// (AWS Step Functions Developer Guide, "Events for Standard workflow status changes"), and this is not.
async fn drain_if_abandoned<L, E, W: WatchExecutions>(
    ports: &Ports<'_, L, E, W>,
    sweep: &SweepRow,
    now: u64,
) -> Result<(), FunctionError> {
    if sweep.status == SweepStatus::Draining {
        return Ok(());
    }
    let Some(end) = ports.executions.bad_end(&sweep.execution_arn).await? else {
        return Ok(());
    };
    tracing::warn!(sweep_id = %sweep.sweep_id, ?end, "execution has ended and its sweep lives: it is drained");
    let hour = now / (60 * 60 * 1000);
    Ok(ports
        .executions
        .start_drain(&sweep.sweep_id, end, hour)
        .await?)
}
