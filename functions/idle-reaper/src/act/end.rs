//! Ends instances: first the reason into the member's row, then EC2 is asked, then it is looked whether they changed.

use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Stored as _, Versioned, Write};
use spawn_core::lifecycle::Sighting;
use spawn_core::ports::{
    Ec2Error, EndInstances, HibernateInstances, InstanceState, StopInstances, WakeExecutions,
    WatchInstances,
};
use spawn_core::reap::{Action, ReapReason, Reaping, Reason};
use spawn_core::rows::MemberRow;
use spawn_core::track;

use super::{Acted, commit_one, id, known};
use crate::Ports;
use crate::pass::Looked;

/// An instance to be ended.
pub(super) struct Ending {
    id: String,
    action: Action,
    reason: ReapReason,
    note: Option<String>,
    member: Option<MemberRow>,
}

pub(super) fn endings(looked: &[Looked]) -> Vec<Ending> {
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
pub(super) async fn intend(
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
            stops: ending.action != Action::Terminate,
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
pub(super) async fn end_all<E>(
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
        let words = "EC2 does not hibernate it: stopped";
        let noted = note_fallback(ledger, endings, &refused, Action::Stop, words, now, acted).await;
        to_stop.extend(noted);
    }
    if !to_stop.is_empty() {
        let result = ec2.stop(region, &to_stop).await;
        let refused = refused(ec2, place, &to_stop, result, acted).await;
        let words = "EC2 does not stop it: terminated";
        let noted = note_fallback(
            ledger,
            endings,
            &refused,
            Action::Terminate,
            words,
            now,
            acted,
        )
        .await;
        to_terminate.extend(noted);
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
            .filter(|one| one.instance.state == InstanceState::Running)
            .map(|one| one.instance.arn.instance_id)
            .collect(),
        Err(error) => {
            acted.failures.push(error.into());
            Vec::new()
        }
    }
}

/// How often a reason is written again when another writer was faster.
const NOTE_TRIES_MAX: usize = 4;

/// Adds to the members' reasons what EC2 refused, and what is done `instead`. Answers the instances of which that is noted: a member
/// ends of what its row says, so the others are left to the next pass.
async fn note_fallback(
    ledger: &impl Ledger,
    endings: &[Ending],
    ids: &[String],
    instead: Action,
    words: &str,
    now: u64,
    acted: &mut Acted,
) -> Vec<String> {
    let mut noted = Vec::new();
    for ending in endings.iter().filter(|ending| ids.contains(&ending.id)) {
        tracing::warn!(
            instance_id = ending.id,
            words,
            "instance is ended in another way"
        );
        let reaping = Reaping {
            reason: ending.reason,
            note: Some(words.to_owned()),
            at: now,
            stops: instead != Action::Terminate,
        };
        match note_reaping(ledger, ending, &reaping).await {
            Ok(true) => noted.push(ending.id.clone()),
            Ok(false) => drop(acted.unchanged.insert(ending.id.clone())),
            Err(error) => acted.failures.push(error.into()),
        }
    }
    noted
}

/// Notes why an instance is ended in its member's row as that is now; an instance without a member needs no note. False when others
/// write the row all the time.
async fn note_reaping(
    ledger: &impl Ledger,
    ending: &Ending,
    reaping: &Reaping,
) -> Result<bool, LedgerError> {
    let Some(member) = &ending.member else {
        return Ok(true);
    };
    for _ in 0..NOTE_TRIES_MAX {
        let mut row: MemberRow = ledger::require(ledger, member.key()).await?;
        if row.instance != member.instance || row.state.is_ended() {
            return Ok(true);
        }
        row.reaping = Some(reaping.clone());
        if commit_one(ledger, row).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks whether the instances changed, and tells the ledger what EC2 shows.
pub(super) async fn verify<L, E, W>(
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
            InstanceState::Pending | InstanceState::Running
        );
        if still {
            tracing::error!(%place, instance_id = instance.arn.instance_id, "instance did not change after it was ended");
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
