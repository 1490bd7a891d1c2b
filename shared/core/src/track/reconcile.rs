//! Brings the ledger in line with what EC2 shows.

use std::collections::{BTreeMap, BTreeSet};

use super::apply;
use crate::account::Place;
use crate::cost::{self, Spent};
use crate::errors::FunctionError;
use crate::ids::{InstanceArn, SweepId};
use crate::ledger::{self, Ledger};
use crate::lifecycle::{Circumstances, Observation, Sighting, observe};
use crate::ports::{CloudInstance, InAccounts, InstanceState, ListInstances};
use crate::rows::{MemberRow, OnComplete, SweepRow, shard_pk, sweep_key};
use crate::state::{MemberState, SweepStatus};

/// How long after its launch an instance may be missing from EC2's answers: they are eventually consistent, mostly within
/// seconds (Amazon EC2 Developer Guide, "Eventual consistency").
const MISSING_GRACE_MS: u64 = 10 * 60 * 1000;

/// Members of one sweep that passes read in a minute at the most. It bounds what a member costs to look after: a sweep of many
/// members lasts long, since EC2 launches two instances a second in a region, and is passed over all the time.
const MEMBERS_A_PASS: u32 = 20_000;

/// Between two passes.
const PASS_MS: u64 = 60_000;

/// Whether the pass at `now` (ms since 1970) reads the members of a sweep: every pass does, but of sweeps with more than 20,000
/// members, which are read once in as many minutes as they have 20,000 of them. Until then the events of their instances are
/// all there is.
#[must_use]
pub fn is_due(sweep: &SweepRow, now: u64) -> bool {
    let passes = sweep.members.div_ceil(MEMBERS_A_PASS).max(1);
    // Sweeps that started at different times are not read in the same minute.
    (now.saturating_sub(sweep.started_at) / PASS_MS).is_multiple_of(u64::from(passes))
}

/// What EC2 shows of a sweep, in each place that has answered.
pub type Shown = BTreeMap<Place, Vec<CloudInstance>>;

/// What reconcile found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Members whose row was behind the cloud, and is not any more.
    pub repaired: usize,
    /// Instances of the sweep that are neither gone nor on their way.
    pub living: Vec<CloudInstance>,
    /// Those of them that no row of the ledger knows.
    pub unknown: BTreeSet<InstanceArn>,
    /// Instances that the ledger takes for alive and EC2 does not show, or not yet.
    pub unseen: BTreeSet<InstanceArn>,
    /// Instances that were there by the members' rows before, running or stopped: what costs, and will be billed.
    pub there: usize,
}

/// Brings the ledger in line with what EC2 shows of a sweep in one place. The cloud is listed first: a member that is
/// recorded meanwhile is then newer than the list, and the grace keeps it.
///
/// # Errors
/// When EC2's list is not complete or the ledger does not answer; nothing is concluded from an incomplete list.
pub async fn reconcile(
    ledger: &impl Ledger,
    cloud: &(impl ListInstances + InAccounts),
    sweep_id: &SweepId,
    place: Place,
    now: u64,
) -> Result<Reconciled, FunctionError> {
    let cloud = cloud.of(place.account);
    let instances = cloud.list(&place.region, sweep_id).await?;
    conclude(ledger, sweep_id, [(place, instances)].into(), now).await
}

/// The same for several places that were listed before. Every member is read once, and nothing else of those of which EC2 shows
/// what their rows say: most passes find nothing new.
///
/// # Errors
/// When the ledger does not answer.
pub async fn conclude(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    shown: Shown,
    now: u64,
) -> Result<Reconciled, FunctionError> {
    let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
    let instances: BTreeMap<&InstanceArn, &CloudInstance> =
        shown.values().flatten().map(|i| (&i.arn, i)).collect();
    let mut unclaimed: BTreeSet<&InstanceArn> = instances.keys().copied().collect();
    let mut sightings = Vec::new();
    let mut unseen = BTreeSet::new();
    let mut there = 0;
    for shard in 0..sweep.shards {
        let members: Vec<MemberRow> =
            ledger::load_all(ledger, &shard_pk(sweep_id, shard), "MEMBER#").await?;
        for member in members {
            there += member.spent.iter().filter(|one| one.is_there()).count();
            // What is seen of the instances of earlier tries concerns the member's costs and nothing else.
            for arn in member.tries.iter().filter_map(|t| t.instance.as_ref()) {
                unclaimed.remove(arn);
                let is_asked = shown.contains_key(&member.lane.place());
                let news = of_former(&member, arn, instances.get(arn).copied(), now);
                sightings.extend(news.into_iter().filter(|_| is_asked));
            }
            let Some(arn) = &member.instance else {
                continue;
            };
            if let Some(instance) = instances.get(arn) {
                unclaimed.remove(arn);
                let news = seen(instance).into_iter();
                sightings.extend(news.filter(|seen| may_change(&member, &seen.what, now)));
            } else if has_instance(&member) && shown.contains_key(&member.lane.place()) {
                if member.launched_at.unwrap_or(now) + MISSING_GRACE_MS < now {
                    sightings.push(Sighting::new(arn.clone(), Observation::Gone));
                } else {
                    unseen.insert(arn.clone());
                }
            }
        }
    }
    for arn in unclaimed {
        sightings.extend(instances.get(arn).into_iter().flat_map(|i| seen(i)));
    }
    let applied = apply(ledger, &sightings, now).await?;
    let living: Vec<CloudInstance> = shown
        .into_values()
        .flatten()
        .filter(|instance| !instance.state.is_ending())
        .collect();
    let unknown = living
        .iter()
        .map(|instance| instance.arn.clone())
        .filter(|arn| applied.unknown.contains(arn))
        .collect();
    Ok(Reconciled {
        repaired: applied.changed,
        living,
        unknown,
        unseen,
        there,
    })
}

/// Whether a member's instance must be among those that EC2 shows.
fn has_instance(member: &MemberRow) -> bool {
    let mut stopped = member.instance.iter();
    member.live
        || member.state == MemberState::Stopped
        || stopped.any(|arn| cost::entry_of(member, &arn.instance_id).is_some_and(Spent::is_there))
}

/// What EC2's list tells of an instance that a member had before, if it is to be noted: `shown` as EC2 shows it, if it does.
fn of_former(
    member: &MemberRow,
    arn: &InstanceArn,
    shown: Option<&CloudInstance>,
    now: u64,
) -> Option<Sighting> {
    let sighting = match shown {
        Some(instance) => Sighting::of_state(instance),
        None => Sighting::new(arn.clone(), Observation::Gone),
    };
    let spent = cost::entry_of(member, &arn.instance_id)?;
    let is_old = spent.launched_at + MISSING_GRACE_MS < now;
    let is_due = spent.is_due(sighting.what.is_gone(), now) && (shown.is_some() || is_old);
    is_due.then_some(sighting)
}

/// What EC2's list tells of an instance.
fn seen(instance: &CloudInstance) -> [Sighting; 2] {
    let addresses = Observation::At(instance.addresses.clone());
    [
        Sighting::new(instance.arn.clone(), addresses),
        Sighting::of_state(instance),
    ]
}

/// Whether an observation may change a member. What the end of an instance means depends on rows that are not read here, so every
/// end of a member that has not ended may.
fn may_change(member: &MemberRow, seen: &Observation, now: u64) -> bool {
    let lives = matches!(
        seen,
        Observation::At(_) | Observation::State(InstanceState::Pending | InstanceState::Running, _)
    );
    if !lives && !member.state.is_ended() {
        return true;
    }
    let spent = member.instance.as_ref();
    let spent = spent.and_then(|arn| cost::entry_of(member, &arn.instance_id));
    if member.state.is_ended() && spent.is_some_and(|spent| spent.is_due(seen.is_gone(), now)) {
        return true;
    }
    let around = Circumstances {
        report: None,
        last_words: None,
        on_complete: OnComplete::Terminate,
        sweep: SweepStatus::Running,
        now,
    };
    observe(member, seen, &around) != Ok(None)
}
