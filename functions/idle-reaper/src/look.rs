//! Reads what decisions rest on: rows of the ledger, and CloudWatch where its answer matters.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::account::Place;
use spawn_core::drain::LAUNCH_MS_MAX;
use spawn_core::errors::FunctionError;
use spawn_core::ids::{InstanceArn, SweepId};
use spawn_core::launch;
use spawn_core::ledger::{self, Key, Ledger, LedgerError, Stored};
use spawn_core::ports::{CloudInstance, ReadUsage};
use spawn_core::reap::{
    ATTEMPT_TAG, Action, Claim, Decision, Known, ManagedInstance, Reason, Record, Subject,
    SweepFacts, Usage, Verdict, decide,
};
use spawn_core::rows::{
    AttemptRow, AttemptState, InstanceRow, MemberRow, ProgramRow, SweepRow, instance_key,
    member_key, program_key, shard_pk, sweep_pk,
};

use crate::Ports;
use crate::pass::sweep_of;

/// What is known of each instance in `due`; `there` are all of the place.
///
/// # Errors
/// When the ledger does not answer: a row that cannot be read must not look like one that is missing.
pub(crate) async fn subjects<L: Ledger, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    there: &[ManagedInstance],
    due: Vec<ManagedInstance>,
    sweeps: &BTreeMap<SweepId, SweepRow>,
    now: u64,
) -> Result<Vec<Subject>, FunctionError> {
    let keys: Vec<Key> = due
        .iter()
        .map(|one| instance_key(&one.instance.arn))
        .collect();
    let rows: Result<Vec<Option<InstanceRow>>, LedgerError> = ports
        .ledger
        .get(&keys)
        .await?
        .into_iter()
        .map(|row| row.map(InstanceRow::from_row).transpose())
        .collect();
    let rows = rows?;
    let mut sweeps = sweeps.clone();
    missing_sweeps(ports.ledger, &rows, &mut sweeps).await?;
    let members = members(ports.ledger, &rows, &sweeps).await?;
    let programs = programs(ports.ledger, &members).await?;
    let strangers: Vec<&ManagedInstance> = due
        .iter()
        .zip(&rows)
        .filter(|(_, row)| row.is_none())
        .map(|(one, _)| one)
        .collect();
    let claims = claims(ports.ledger, place, there, &strangers, &sweeps, now).await?;
    let mut subjects = Vec::with_capacity(due.len());
    for (one, row) in due.into_iter().zip(rows) {
        let id = &one.instance.arn.instance_id;
        let (sweep, record) = match row {
            Some(row) => {
                let member = members
                    .get(&(row.sweep_id.clone(), row.member_index))
                    .cloned();
                let program = member
                    .as_ref()
                    .and_then(|member| programs.get(&(row.sweep_id.clone(), member.program)))
                    .cloned();
                let sweep = sweeps.get(&row.sweep_id);
                let known = Known {
                    row,
                    member,
                    program,
                };
                (sweep, Record::Known(Box::new(known)))
            }
            None => {
                let claim = claims.get(id).cloned().unwrap_or(Claim::Nobody);
                (sweep_of(&one, &sweeps), Record::Missing(claim))
            }
        };
        subjects.push(Subject {
            sweep: sweep.map(|sweep| SweepFacts {
                status: sweep.status,
                drained_as: sweep.drain.as_ref().map(|drain| drain.status),
            }),
            cloud: one,
            impaired_since: None,
            record,
            usage: Usage::NotAsked,
        });
    }
    Ok(subjects)
}

/// Sweeps of rows whose instances name another, or none: a tag can be changed, the row cannot.
async fn missing_sweeps(
    ledger: &impl Ledger,
    rows: &[Option<InstanceRow>],
    sweeps: &mut BTreeMap<SweepId, SweepRow>,
) -> Result<(), LedgerError> {
    let missing: BTreeSet<&SweepId> = rows
        .iter()
        .flatten()
        .map(|row| &row.sweep_id)
        .filter(|id| !sweeps.contains_key(id))
        .collect();
    let keys: Vec<Key> = missing
        .into_iter()
        .map(spawn_core::rows::sweep_key)
        .collect();
    if keys.is_empty() {
        return Ok(());
    }
    for row in ledger.get(&keys).await?.into_iter().flatten() {
        let sweep = SweepRow::from_row(row)?;
        sweeps.insert(sweep.sweep_id.clone(), sweep);
    }
    Ok(())
}

type OfSweep<T> = BTreeMap<(SweepId, u32), T>;

async fn members(
    ledger: &impl Ledger,
    rows: &[Option<InstanceRow>],
    sweeps: &BTreeMap<SweepId, SweepRow>,
) -> Result<OfSweep<MemberRow>, LedgerError> {
    let keys: BTreeSet<Key> = rows
        .iter()
        .flatten()
        .filter_map(|row| {
            let sweep = sweeps.get(&row.sweep_id)?;
            Some(member_key(&row.sweep_id, sweep.shards, row.member_index))
        })
        .collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    let mut members = BTreeMap::new();
    for row in ledger.get(&keys).await?.into_iter().flatten() {
        let member = MemberRow::from_row(row)?;
        members.insert((member.sweep_id.clone(), member.index), member);
    }
    Ok(members)
}

async fn programs(
    ledger: &impl Ledger,
    members: &OfSweep<MemberRow>,
) -> Result<OfSweep<ProgramRow>, LedgerError> {
    let keys: BTreeSet<Key> = members
        .values()
        .map(|member| program_key(&member.sweep_id, member.program))
        .collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    let mut programs = BTreeMap::new();
    for row in ledger.get(&keys).await?.into_iter().flatten() {
        let program = ProgramRow::from_row(row)?;
        programs.insert((program.sweep_id.clone(), program.program), program);
    }
    Ok(programs)
}

/// Whose the instances are that no row knows, by instance id.
async fn claims(
    ledger: &impl Ledger,
    place: Place,
    there: &[ManagedInstance],
    strangers: &[&ManagedInstance],
    sweeps: &BTreeMap<SweepId, SweepRow>,
    now: u64,
) -> Result<BTreeMap<String, Claim>, LedgerError> {
    let mut claims = BTreeMap::new();
    let of: BTreeSet<&SweepId> = strangers
        .iter()
        .filter_map(|one| sweep_of(one, sweeps))
        .map(|sweep| &sweep.sweep_id)
        .collect();
    for sweep in of.into_iter().filter_map(|id| sweeps.get(id)) {
        for attempt in open_attempts(ledger, place, &sweep.sweep_id).await? {
            let instances = instances_of(there, &attempt);
            let launched_at = instances.iter().map(|one| one.launched_at).max();
            let begun = attempt.created_at.max(launched_at.unwrap_or(0));
            let with_member = paired(ledger, sweep, &attempt, &instances).await?;
            for instance in &instances {
                let claim = if begun + LAUNCH_MS_MAX > now {
                    Claim::Launching
                } else if with_member
                    .iter()
                    .any(|(_, paired)| paired.arn == instance.arn)
                {
                    Claim::Member
                } else {
                    Claim::Nobody
                };
                claims.insert(instance.arn.instance_id.clone(), claim);
            }
        }
        // Before anything is taken for nobody's, every member is asked: rare, and cheap beside a wrong end.
        let strange = |one: &&&ManagedInstance| {
            let claim = claims.get(&one.instance.arn.instance_id);
            matches!(claim, None | Some(Claim::Nobody))
                && sweep_of(one, sweeps).is_some_and(|own| own.sweep_id == sweep.sweep_id)
        };
        let strange: Vec<InstanceArn> = strangers
            .iter()
            .filter(strange)
            .map(|one| one.instance.arn.clone())
            .collect();
        if strange.is_empty() {
            continue;
        }
        let owned = owned(ledger, sweep).await?;
        for arn in strange.iter().filter(|arn| owned.contains(arn)) {
            claims.insert(arn.instance_id.clone(), Claim::RowLost);
        }
    }
    Ok(claims)
}

/// The instances that members of a sweep name as theirs.
async fn owned(
    ledger: &impl Ledger,
    sweep: &SweepRow,
) -> Result<BTreeSet<InstanceArn>, LedgerError> {
    let mut owned = BTreeSet::new();
    for shard in 0..sweep.shards {
        let pk = shard_pk(&sweep.sweep_id, shard);
        let members: Vec<MemberRow> = ledger::load_all(ledger, &pk, "MEMBER#").await?;
        owned.extend(members.into_iter().filter_map(|member| member.instance));
    }
    Ok(owned)
}

/// The attempts of a sweep in a place whose launches are not recorded yet.
pub(crate) async fn open_attempts(
    ledger: &impl Ledger,
    place: Place,
    sweep: &SweepId,
) -> Result<Vec<AttemptRow>, LedgerError> {
    let attempts: Vec<AttemptRow> = ledger::load_all(ledger, &sweep_pk(sweep), "ATTEMPT#").await?;
    Ok(attempts
        .into_iter()
        .filter(|attempt| attempt.state == AttemptState::Intended && attempt.at.place() == place)
        .collect())
}

/// The instances that an attempt launched, of those that EC2 shows.
pub(crate) fn instances_of(there: &[ManagedInstance], attempt: &AttemptRow) -> Vec<CloudInstance> {
    there
        .iter()
        .filter(|one| one.tag(ATTEMPT_TAG) == Some(attempt.token.as_str()))
        .map(|one| one.instance.clone())
        .collect()
}

/// The members of an attempt that have no instance yet, each with one of its instances.
pub(crate) async fn paired<'a>(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    attempt: &AttemptRow,
    instances: &'a [CloudInstance],
) -> Result<Vec<(MemberRow, &'a CloudInstance)>, LedgerError> {
    let keys = attempt
        .members
        .iter()
        .map(|index| sweep.member_key(index))
        .collect();
    let members: Vec<MemberRow> = ledger::require_all(ledger, keys).await?;
    Ok(launch::pair(attempt, &members, instances))
}

/// Instances of one question to CloudWatch: its answer must fit a function's memory.
const ASK_MAX: usize = 500;

/// A decision about each subject, CloudWatch asked where that matters. One that does not answer decides nothing.
pub(crate) async fn decided(
    ec2: &impl ReadUsage,
    place: Place,
    subjects: Vec<Subject>,
    now: u64,
) -> Vec<(Subject, Decision)> {
    let mut done = Vec::with_capacity(subjects.len());
    let mut asking = Vec::new();
    for subject in subjects {
        match decide(&subject, now) {
            Verdict::Decided(decision) => done.push((subject, decision)),
            Verdict::AskCloudWatch(from) => asking.push((from, subject)),
        }
    }
    for chunk in asking.chunks(ASK_MAX) {
        let ids: Vec<String> = chunk
            .iter()
            .map(|(_, subject)| subject.cloud.instance.arn.instance_id.clone())
            .collect();
        let from = chunk.iter().map(|(from, _)| *from).min().unwrap_or(now);
        let answer = ec2.usage(&place.region, &ids, from, now).await;
        if let Err(error) = &answer {
            tracing::warn!(%place, %error, instances = ids.len(), "CloudWatch did not answer");
        }
        for (from, subject) in chunk {
            let id = &subject.cloud.instance.arn.instance_id;
            let usage = match &answer {
                Ok(points) => {
                    let points = points.get(id).into_iter().flatten();
                    Usage::Points(points.filter(|point| point.at >= *from).copied().collect())
                }
                Err(_) => Usage::NoAnswer,
            };
            let subject = Subject {
                usage,
                ..subject.clone()
            };
            let decision = match decide(&subject, now) {
                Verdict::Decided(decision) => decision,
                // Asked already: nothing more can be learnt, and nothing is done.
                Verdict::AskCloudWatch(_) => Decision {
                    action: Action::Keep,
                    reason: Reason::ActivityUnknown,
                    note: None,
                    next_look: now,
                },
            };
            done.push((subject, decision));
        }
    }
    done
}
