//! The scheduled pass over all live sweeps: the cloud first, then the ledger, and either is repaired.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::ledger::{self, Expect, Ledger, LedgerError, Stored as _, Write, path};
use spawn_core::metrics::{Measured, Metric};
use spawn_core::ports::{
    BadEnd, CloudInstance, InAccounts, ListInstances, StopInstances, WakeExecutions,
    WatchExecutions,
};
use spawn_core::rows::{Drain, LINGERING_PK, LingeringRow, SweepRow, sweep_key};
use spawn_core::state::SweepStatus;
use spawn_core::track::{self, Reconciled, Shown};

use crate::Ports;

/// Places that are listed side by side: many that answer slowly take no longer than one.
const PLACES_AT_ONCE: usize = 16;

/// Sweeps whose members are read side by side.
const SWEEPS_AT_ONCE: usize = 4;

/// What a pass has come to.
#[derive(Default)]
struct Pass {
    repaired: usize,
    unknown: usize,
    unreachable: BTreeSet<Place>,
    failures: Vec<FunctionError>,
}

/// Reconciles every live sweep, and those that are over while instances of theirs live. One account, region or sweep that cannot be reached delays no other; the metric
/// `unreachable_places` tells.
pub(crate) async fn all<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<(Value, Measured), FunctionError>
where
    L: Ledger,
    E: InAccounts + ListInstances + StopInstances + Sync,
    W: WakeExecutions + WatchExecutions,
{
    let mut pass = Pass::default();
    let mut sweeps: Vec<SweepRow> = Vec::new();
    let lingering: Vec<LingeringRow> = ledger::load_all(ports.ledger, LINGERING_PK, "").await?;
    let mut ids = live_sweeps(ports.ledger).await?;
    ids.extend(lingering.iter().map(|row| row.sweep_id.clone()));
    for sweep_id in ids {
        match ledger::require(ports.ledger, sweep_key(&sweep_id)).await {
            Ok(sweep) => sweeps.push(sweep),
            Err(error) => pass.failures.push(error.into()),
        }
    }
    let mut by_place: BTreeMap<Place, Vec<&SweepId>> = BTreeMap::new();
    for sweep in &sweeps {
        for place in sweep
            .lanes
            .iter()
            .map(LaneId::place)
            .collect::<BTreeSet<_>>()
        {
            by_place.entry(place).or_default().push(&sweep.sweep_id);
        }
    }
    let mut gathered = Gathered::of(&by_place);
    let due: BTreeSet<SweepId> = sweeps
        .iter()
        .filter(|sweep| track::is_due(sweep, now))
        .map(|sweep| sweep.sweep_id.clone())
        .collect();
    let concluded: Vec<_> = stream::iter(by_place)
        .map(|(place, sweeps)| list(ports, place, sweeps))
        .buffer_unordered(PLACES_AT_ONCE)
        .flat_map(|listed| stream::iter(gathered.add(listed)))
        .filter(|(sweep_id, _)| std::future::ready(due.contains(*sweep_id)))
        .map(|(sweep_id, shown)| async move {
            (sweep_id, conclude(ports.ledger, sweep_id, shown, now).await)
        })
        .buffer_unordered(SWEEPS_AT_ONCE)
        .collect()
        .await;
    pass.unreachable = gathered.unreachable;
    let mut empty: BTreeSet<&SweepId> = BTreeSet::new();
    for (sweep_id, of_sweep) in concluded {
        match of_sweep {
            Ok(found) => {
                if found.there == 0 {
                    empty.insert(sweep_id);
                }
                pass.repaired += found.repaired;
                pass.unknown += found.unknown.len();
            }
            Err(error) => pass.failures.push(error),
        }
    }
    for sweep in sweeps.iter().filter(|sweep| !sweep.status.is_ended()) {
        if let Err(error) = look_after(ports, sweep, now).await {
            pass.failures.push(error);
        }
    }
    for row in lingering.iter().filter(|row| empty.contains(&row.sweep_id)) {
        if let Err(error) = forget(ports.ledger, row, now).await {
            pass.failures.push(error.into());
        }
    }
    finish(pass, sweeps.len())
}

/// Tells what the pass has come to.
fn finish(pass: Pass, sweeps: usize) -> Result<(Value, Measured), FunctionError> {
    tracing::info!(
        sweeps,
        repaired = pass.repaired,
        unknown = pass.unknown,
        unreachable = pass.unreachable.len(),
        failures = pass.failures.len(),
        "reconciled"
    );
    for error in &pass.failures {
        tracing::error!(%error, "a part of the pass failed");
    }
    let unreachable: Vec<String> = pass.unreachable.iter().map(Place::to_string).collect();
    let count = i64::try_from(unreachable.len()).unwrap_or(i64::MAX);
    let measured = Measured::new().with(Metric::UnreachablePlaces, count);
    // A place that does not answer has its metric and alarm; to try all again at once would only take longer.
    match pass.failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok((
            json!({"sweeps": sweeps, "repaired": pass.repaired, "unknown": pass.unknown, "unreachable": unreachable}),
            measured,
        )),
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

/// Forgets a sweep that is over and of which nothing is there any more. Its row says until when something was: what it cost after its
/// end is in reports of those days.
async fn forget(ledger: &impl Ledger, row: &LingeringRow, now: u64) -> Result<(), LedgerError> {
    let sweep: SweepRow = ledger::require(ledger, sweep_key(&row.sweep_id)).await?;
    if sweep.live > 0 {
        return Ok(());
    }
    let note = Write::Update {
        key: sweep.key(),
        set: vec![(path(&["lingered_until"]), Value::from(now))],
        remove: Vec::new(),
        add: Vec::new(),
        when: Vec::new(),
    };
    let delete = Write::Delete {
        key: row.key(),
        expect: Expect::Version(row.version),
    };
    match ledger.commit(vec![note, delete]).await {
        // Another pass was faster.
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What places have shown of each sweep so far. A sweep is concluded as soon as each of its places has answered or failed, so that
/// its members are read once, and a slow place holds up no sweep that has nothing there.
struct Gathered<'a> {
    waiting: BTreeMap<&'a SweepId, (usize, Shown)>,
    unreachable: BTreeSet<Place>,
}

impl<'a> Gathered<'a> {
    fn of(by_place: &BTreeMap<Place, Vec<&'a SweepId>>) -> Self {
        let mut waiting: BTreeMap<&SweepId, (usize, Shown)> = BTreeMap::new();
        for sweep_id in by_place.values().flatten() {
            waiting.entry(sweep_id).or_default().0 += 1;
        }
        Self {
            waiting,
            unreachable: BTreeSet::new(),
        }
    }

    /// Adds what a place has shown, and answers the sweeps whose last place it was. One that no place has shown is left alone.
    fn add(&mut self, listed: Listed<'a>) -> Vec<(&'a SweepId, Shown)> {
        if !listed.is_reachable {
            self.unreachable.insert(listed.place);
        }
        for (sweep_id, instances) in listed.sweeps {
            if let Some((_, shown)) = self.waiting.get_mut(sweep_id) {
                shown.insert(listed.place, instances);
            }
        }
        let mut complete = Vec::new();
        for sweep_id in listed.asked {
            if let Some((left, _)) = self.waiting.get_mut(sweep_id) {
                *left = left.saturating_sub(1);
                if *left == 0
                    && let Some((_, shown)) = self.waiting.remove(sweep_id)
                    && !shown.is_empty()
                {
                    complete.push((sweep_id, shown));
                }
            }
        }
        complete
    }
}

/// What a place shows of sweeps.
struct Listed<'a> {
    place: Place,
    /// All that it was asked about.
    asked: Vec<&'a SweepId>,
    is_reachable: bool,
    sweeps: Vec<(&'a SweepId, Vec<CloudInstance>)>,
}

/// Lists what a place shows of the sweeps that have a lane there, one after the other: a place that does not answer once is left
/// alone until the next pass.
async fn list<'a, L, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    sweeps: Vec<&'a SweepId>,
) -> Listed<'a>
where
    E: InAccounts + ListInstances + Sync,
{
    let ec2 = ports.ec2.of(place.account);
    let mut listed = Listed {
        place,
        asked: sweeps.clone(),
        is_reachable: true,
        sweeps: Vec::new(),
    };
    for sweep_id in sweeps {
        match ec2.list(&place.region, sweep_id).await {
            Ok(instances) => listed.sweeps.push((sweep_id, instances)),
            Err(error) => {
                tracing::warn!(%sweep_id, %place, %error, "place was not reconciled");
                listed.is_reachable = false;
                break;
            }
        }
    }
    listed
}

async fn conclude(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    shown: Shown,
    now: u64,
) -> Result<Reconciled, FunctionError> {
    let found = track::conclude(ledger, sweep_id, shown, now).await?;
    for arn in &found.unknown {
        // Either its launch is being recorded just now, or a launcher died: the lane's next step records it.
        tracing::warn!(%sweep_id, instance = %arn, "instance is not in the ledger yet");
    }
    Ok(found)
}

/// What else a live sweep needs: an end to its launches when too many members failed, whoever waits woken, a drain when its
/// execution is gone.
async fn look_after<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    sweep: &SweepRow,
    now: u64,
) -> Result<(), FunctionError>
where
    L: Ledger,
    W: WakeExecutions + WatchExecutions,
{
    crate::enforce(&sweep.sweep_id, ports, now).await?;
    track::wake(ports.ledger, ports.executions, &sweep.sweep_id).await?;
    drain_if_abandoned(ports, sweep, now).await
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
    let (status, word) = match end {
        BadEnd::Aborted => (SweepStatus::Cancelled, "stopped"),
        BadEnd::Failed => (SweepStatus::Failed, "ended by an error"),
    };
    let drain = Drain {
        status,
        reason: format!("its execution was {word}"),
    };
    let hour = now / (60 * 60 * 1000);
    Ok(ports.executions.start_drain(sweep, &drain, hour).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_waits_for_its_own_places_only() {
        let (near, far): (Place, Place) =
            ("us-east-1".parse().unwrap(), "eu-west-1".parse().unwrap());
        let (one, both) = (SweepId::from("one"), SweepId::from("both"));
        let by_place = BTreeMap::from([(near, vec![&one, &both]), (far, vec![&both])]);
        let mut gathered = Gathered::of(&by_place);
        let listed = |place, asked: &[&'static str], is_reachable| Listed {
            place,
            asked: asked
                .iter()
                .map(|name| if *name == "one" { &one } else { &both })
                .collect(),
            is_reachable,
            sweeps: Vec::new(),
        };
        let mut first = listed(near, &["one", "both"], true);
        first.sweeps = vec![(&one, Vec::new()), (&both, Vec::new())];
        let ids = |complete: Vec<(&SweepId, Shown)>| -> Vec<String> {
            complete.iter().map(|(id, _)| id.to_string()).collect()
        };
        assert_eq!(ids(gathered.add(first)), ["one"]);
        // A place that fails is not waited for; what the others have shown is concluded.
        assert_eq!(ids(gathered.add(listed(far, &["both"], false))), ["both"]);
        assert_eq!(gathered.unreachable, BTreeSet::from([far]));
    }
}
