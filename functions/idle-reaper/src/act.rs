//! Carries decisions out, and looks whether they took effect.
//!
//! ```text
//! adopt     members recorded by the launch protocol, in the launcher's stead
//! warn      a tag on an instance that is nobody's; a text in the row of any other, which its boot runner shows
//! intent    the reason into the member's row, on the version that was decided on: who changed it meanwhile wins
//! end       hibernate, else stop, else terminate: EC2 is asked in bulk
//! verify    EC2 is asked again: what did not change is told, and due with the next pass
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use spawn_core::account::Place;
use spawn_core::clock;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned, Write, path};
use spawn_core::lifecycle::Sighting;
use spawn_core::ports::{
    Ec2Error, EndInstances, HibernateInstances, InAccounts, StopInstances, WakeExecutions,
    WatchInstances,
};
use spawn_core::reap::{
    Action, Known, ManagedInstance, ReapReason, Reaping, Reason, Record, SWEEP_TAG, mark_tag,
};
use spawn_core::rows::{BatchRow, MemberRow, SweepRow, batch_key, instance_key, sweep_key};
use spawn_core::{launch, track};

use crate::pass::Looked;
use crate::{Ports, look};

/// What came of carrying out.
#[derive(Debug, Default)]
pub(crate) struct Acted {
    /// Instances about which something was decided that did not take effect.
    pub(crate) unchanged: BTreeSet<String>,
    /// What failed, beside single instances.
    pub(crate) failures: Vec<FunctionError>,
}

/// An instance to be ended.
struct Ending {
    id: String,
    action: Action,
    reason: ReapReason,
    note: Option<String>,
    member: Option<MemberRow>,
}

/// Carries out what was decided about `looked`.
///
/// # Errors
/// When the ledger does not answer before anything was ended.
pub(crate) async fn carry_out<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    looked: &[Looked],
    now: u64,
) -> Result<Acted, FunctionError>
where
    L: Ledger,
    E: InAccounts + WatchInstances + EndInstances + StopInstances + HibernateInstances,
    W: WakeExecutions,
{
    let ec2 = ports.ec2.of(place.account);
    let mut acted = Acted::default();
    adopt(ports, place, looked, now, &mut acted).await;
    warn(ports.ledger, &ec2, place, looked, now, &mut acted).await?;
    forget_old_intents(ports.ledger, looked, now).await?;
    let endings = endings(looked);
    if endings.is_empty() {
        return Ok(acted);
    }
    let endings = intend(ports.ledger, endings, now, &mut acted).await?;
    end_all(ports.ledger, &ec2, place, &endings, now, &mut acted).await;
    verify(ports, &ec2, place, &endings, now, &mut acted).await?;
    Ok(acted)
}

fn known(looked: &Looked) -> Option<&Known> {
    match &looked.subject.record {
        Record::Known(known) => Some(known),
        Record::Missing(_) => None,
    }
}

fn id(looked: &Looked) -> String {
    looked.subject.cloud.instance.arn.instance_id.clone()
}

/// Records the instances whose launchers could not. A sweep of which something is missing in the ledger keeps nothing else from
/// being carried out: its instances are left as they are, and the pass ends as failed.
async fn adopt<L: Ledger, E, W>(
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

/// Marks the instances that are nobody's, and warns the users of the others.
async fn warn<E: WatchInstances>(
    ledger: &impl Ledger,
    ec2: &E,
    place: Place,
    looked: &[Looked],
    now: u64,
    acted: &mut Acted,
) -> Result<(), FunctionError> {
    let mut marks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in looked {
        let (Action::Warn, Reason::Reap(reason)) = (one.decision.action, one.decision.reason)
        else {
            continue;
        };
        if let Some(tag) = mark_tag(reason) {
            marks.entry(tag).or_default().push(id(one));
        } else if let Some(known) = known(one) {
            let write = Write::Update {
                key: instance_key(&known.row.instance),
                set: vec![(
                    path(&["warning"]),
                    Value::from(warning(reason, one.decision.next_look)),
                )],
                remove: Vec::new(),
                add: Vec::new(),
                when: Vec::new(),
            };
            ledger.commit(vec![write]).await?;
        }
    }
    for (tag, ids) in marks {
        if let Err(error) = ec2
            .mark(&place.region, &ids, tag, &clock::format_iso(now))
            .await
        {
            // Without its mark an instance is never ended for this: the next pass tries again.
            acted.failures.push(error.into());
        }
    }
    Ok(())
}

/// What users of an instance are told.
fn warning(reason: ReapReason, at: u64) -> String {
    let at = clock::format_iso(at);
    match reason {
        ReapReason::Idle => format!("spawn ends this instance at {at}, because it is idle"),
        _ => format!(
            "spawn ends this instance at {at}, because {}",
            reason.words()
        ),
    }
}

/// An intent that was never carried out is older than any call to EC2 takes.
const INTENT_MS_MAX: u64 = 10 * 60 * 1000;

/// Takes intents back that were not carried out and are not meant any more, so that a later end is not put down to them.
async fn forget_old_intents(
    ledger: &impl Ledger,
    looked: &[Looked],
    now: u64,
) -> Result<(), LedgerError> {
    for one in looked.iter().filter(|one| !one.decision.action.is_end()) {
        let Some(member) = known(one).and_then(|known| known.member.as_ref()) else {
            continue;
        };
        let is_old = member
            .reaping
            .as_ref()
            .is_some_and(|reaping| reaping.at + INTENT_MS_MAX < now);
        if is_old && member.paused_at.is_none() && !member.state.is_ended() {
            let mut member = member.clone();
            member.reaping = None;
            commit_one(ledger, member).await?;
        }
    }
    Ok(())
}

/// Writes one member; answers whether its row was still the one that was read.
async fn commit_one(ledger: &impl Ledger, member: MemberRow) -> Result<bool, LedgerError> {
    match ledger.commit(vec![member.replace()?]).await {
        Ok(()) => Ok(true),
        Err(LedgerError::Condition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn endings(looked: &[Looked]) -> Vec<Ending> {
    let mut endings = Vec::new();
    for one in looked.iter().filter(|one| one.decision.action.is_end()) {
        let Reason::Reap(reason) = one.decision.reason else {
            continue;
        };
        let arn = &one.subject.cloud.instance.arn;
        let member = known(one)
            .and_then(|known| known.member.clone())
            .filter(|member| member.instance.as_ref() == Some(arn) && !member.state.is_ended());
        endings.push(Ending {
            id: id(one),
            action: one.decision.action,
            reason,
            note: one.decision.note.clone(),
            member,
        });
    }
    endings
}

/// Members whose intents are written together.
const INTENTS_MAX: usize = 100;

/// Writes why each member is ended. One whose row changed since it was decided on is left to the next pass.
async fn intend(
    ledger: &impl Ledger,
    endings: Vec<Ending>,
    now: u64,
    acted: &mut Acted,
) -> Result<Vec<Ending>, FunctionError> {
    let intent = |ending: &Ending| {
        let mut member = ending.member.clone()?;
        member.reaping = Some(Reaping {
            reason: ending.reason,
            note: ending.note.clone(),
            at: now,
        });
        Some(member)
    };
    let (with_member, mut intended): (Vec<Ending>, Vec<Ending>) =
        endings.into_iter().partition(|one| one.member.is_some());
    let mut rest = with_member.into_iter().peekable();
    while rest.peek().is_some() {
        let chunk: Vec<Ending> = rest.by_ref().take(INTENTS_MAX).collect();
        let writes: Result<Vec<Write>, LedgerError> = chunk
            .iter()
            .filter_map(intent)
            .map(Versioned::replace)
            .collect();
        match ledger.commit(writes?).await {
            Ok(()) => intended.extend(chunk),
            Err(LedgerError::Condition { .. }) => {
                for ending in chunk {
                    let Some(member) = intent(&ending) else {
                        continue;
                    };
                    if commit_one(ledger, member).await? {
                        intended.push(ending);
                    } else {
                        acted.unchanged.insert(ending.id);
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(intended)
}

/// Asks EC2 to end the instances, the gentlest way first. What EC2 will not hibernate is stopped, and what it will not stop
/// is terminated: it was to cost nothing more.
async fn end_all<E>(
    ledger: &impl Ledger,
    ec2: &E,
    place: Place,
    endings: &[Ending],
    now: u64,
    acted: &mut Acted,
) where
    E: WatchInstances + EndInstances + StopInstances + HibernateInstances,
{
    let region = &place.region;
    let of = |action: Action| -> Vec<String> {
        endings
            .iter()
            .filter(|ending| ending.action == action)
            .map(|ending| ending.id.clone())
            .collect()
    };
    let mut to_stop = of(Action::Stop);
    let mut to_terminate = of(Action::Terminate);
    let hibernating = of(Action::Hibernate);
    if !hibernating.is_empty() {
        let result = ec2.hibernate(region, &hibernating).await;
        let refused = refused(ec2, place, &hibernating, result, acted).await;
        note_fallback(
            ledger,
            endings,
            &refused,
            "EC2 does not hibernate it: stopped",
            now,
        )
        .await;
        to_stop.extend(refused);
    }
    if !to_stop.is_empty() {
        let result = ec2.stop(region, &to_stop).await;
        let refused = refused(ec2, place, &to_stop, result, acted).await;
        note_fallback(
            ledger,
            endings,
            &refused,
            "EC2 does not stop it: terminated",
            now,
        )
        .await;
        to_terminate.extend(refused);
    }
    if !to_terminate.is_empty()
        && let Err(error) = ec2.terminate(region, &to_terminate).await
    {
        acted.failures.push(error.into());
    }
}

/// The instances that EC2 will not put to rest: they still run after it refused.
async fn refused<E: WatchInstances>(
    ec2: &E,
    place: Place,
    ids: &[String],
    result: Result<(), Ec2Error>,
    acted: &mut Acted,
) -> Vec<String> {
    let error = match result {
        Ok(()) => return Vec::new(),
        Err(error) => error,
    };
    if !matches!(error, Ec2Error::Refused(_)) {
        // The same again with the next pass; nothing is known about these instances.
        acted.failures.push(error.into());
        return Vec::new();
    }
    tracing::warn!(%place, %error, "EC2 does not put instances to rest");
    match ec2.shown(&place.region, ids).await {
        Ok(shown) => shown
            .into_iter()
            .filter(|one| one.instance.state == spawn_core::ports::InstanceState::Running)
            .map(|one| one.instance.arn.instance_id)
            .collect(),
        Err(error) => {
            acted.failures.push(error.into());
            Vec::new()
        }
    }
}

/// Adds to the members' reasons what EC2 refused. It says no more than the log: when it cannot be written, it is missing.
async fn note_fallback(
    ledger: &impl Ledger,
    endings: &[Ending],
    ids: &[String],
    words: &str,
    now: u64,
) {
    for ending in endings.iter().filter(|ending| ids.contains(&ending.id)) {
        tracing::warn!(
            instance = ending.id,
            words,
            "instance is ended in another way"
        );
        let Some(member) = &ending.member else {
            continue;
        };
        let row: Result<MemberRow, LedgerError> =
            ledger::require(ledger, spawn_core::ledger::Stored::key(member)).await;
        let Ok(mut row) = row else { continue };
        row.reaping = Some(Reaping {
            reason: ending.reason,
            note: Some(words.to_owned()),
            at: now,
        });
        if let Err(error) = commit_one(ledger, row).await {
            tracing::warn!(instance = ending.id, %error, "a reason was not noted");
        }
    }
}

/// Looks whether the instances changed, and tells the ledger what EC2 shows.
async fn verify<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    ec2: &E,
    place: Place,
    endings: &[Ending],
    now: u64,
    acted: &mut Acted,
) -> Result<(), FunctionError>
where
    L: Ledger,
    E: WatchInstances,
    W: WakeExecutions,
{
    let ids: Vec<String> = endings.iter().map(|ending| ending.id.clone()).collect();
    let shown = match ec2.shown(&place.region, &ids).await {
        Ok(shown) => shown,
        Err(error) => {
            // Whether they ended is not known: all are due with the next pass.
            acted.unchanged.extend(ids);
            acted.failures.push(error.into());
            return Ok(());
        }
    };
    let mut sightings = Vec::new();
    for one in shown {
        let instance = one.instance;
        let still = matches!(
            instance.state,
            spawn_core::ports::InstanceState::Pending | spawn_core::ports::InstanceState::Running
        );
        if still {
            tracing::error!(%place, instance = instance.arn.instance_id, "instance did not change after it was ended");
            acted.unchanged.insert(instance.arn.instance_id);
        } else {
            sightings.push(Sighting::of_state(&instance));
        }
    }
    let applied = track::apply(ports.ledger, &sightings, now).await?;
    for sweep in &applied.sweeps {
        track::wake(ports.ledger, ports.executions, sweep).await?;
    }
    Ok(())
}
