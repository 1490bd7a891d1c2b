//! A pass over one place: every managed instance gets a decision, and what is decided is carried out.
//!
//! ```text
//! lease     one pass at a time over a place; a pass that died holds it for two minutes
//! list      every instance with spawn's tag, all pages, or the pass ends here: nothing is concluded from a part
//! checks    which of them fail EC2's status checks: one call, in which only those are shown
//! due       those whose looks are due, that are impaired, that started anew, whose sweep drains or changed deadlines; the others are kept
//! read      their rows; CloudWatch only for those about which its answer matters
//! decide    one decision each; the breaker holds up too many ends at once
//! act       the reason into the member's row, then EC2, then a look whether the state did change
//! remember  when each is looked at next
//! ```
//!
//! A death anywhere leaves instances that are due with the next pass; every step may be repeated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use spawn_core::account::Place;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError, Stored, Versioned};
use spawn_core::metrics::{Dimension, Measured, Metric};
use spawn_core::ports::{
    EndInstances, HibernateInstances, InAccounts, ReadUsage, StopInstances, WakeExecutions,
    WatchInstances,
};
use spawn_core::reap::breaker;
use spawn_core::reap::{
    Action, Decision, Looks, ManagedInstance, Reason, SWEEP_TAG, WATCH_PREFIX, WatchRow, watch_pk,
};
use spawn_core::rows::{SweepRow, sweep_key};

use crate::act::{self, Acted};
use crate::lease::{give_back, take_lease};
use crate::{Ports, look};

/// Which place to look at.
#[derive(Clone, Debug, Deserialize)]
pub struct ReapPlace {
    /// The place, such as `us-east-1`.
    pub place: Place,
    /// Whether to decide and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// The place.
    pub place: String,
    /// Whether another pass was under way, so that this one did nothing.
    pub skipped: bool,
    /// Instances that are not gone.
    pub instances: usize,
    /// How many of them were due for a look.
    pub looked_at: usize,
    /// How many decisions there are by action and reason, such as `terminate ttl`.
    pub decisions: BTreeMap<String, usize>,
    /// Ends that the breaker held up.
    pub held: usize,
    /// Instances that EC2 showed unchanged after they were ended or stopped.
    pub unchanged: usize,
    /// Decisions other than `keep`, the first of them.
    pub acts: Vec<Told>,
}

/// A decision, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The instance.
    pub instance: String,
    /// Its sweep, if it names one.
    pub sweep_id: Option<String>,
    /// What is done.
    pub action: &'static str,
    /// Why.
    pub reason: &'static str,
    /// More, in words.
    pub note: Option<String>,
}

/// Decisions that an answer lists: a state's output holds 256 KiB, and there are places beside this one.
const ACTS_MAX: usize = 50;

/// Looks over a place.
///
/// # Errors
/// When EC2's list is not complete or the ledger does not answer: then nothing was ended. When an act failed, after all
/// others were carried out.
pub(crate) async fn reap_place<L, E, W>(
    request: &ReapPlace,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Passed, FunctionError>
where
    L: Ledger,
    E: InAccounts + WatchInstances + EndInstances + StopInstances + HibernateInstances + ReadUsage,
    W: WakeExecutions,
{
    let place = request.place;
    if request.dry_run {
        let pass = decide_all(ports, place, true, now).await?;
        return Ok(pass.passed);
    }
    let Some(lease) = take_lease(ports.ledger, place, now).await? else {
        tracing::info!(%place, "another pass is under way");
        return Ok(Passed {
            place: place.to_string(),
            skipped: true,
            ..Passed::default()
        });
    };
    let result = whole_pass(ports, place, now).await;
    give_back(ports.ledger, lease, result.is_ok().then_some(now)).await?;
    result
}

async fn whole_pass<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    now: u64,
) -> Result<Passed, FunctionError>
where
    L: Ledger,
    E: InAccounts + WatchInstances + EndInstances + StopInstances + HibernateInstances + ReadUsage,
    W: WakeExecutions,
{
    let mut pass = decide_all(ports, place, false, now).await?;
    let acted = act::carry_out(ports, place, &pass.looked, now).await?;
    pass.passed.unchanged = acted.unchanged.len();
    remember(
        ports.ledger,
        place,
        pass.looks,
        &pass.looked,
        &acted,
        &pass.there,
        now,
    )
    .await?;
    for measured in measured(&pass.passed, place, &pass.looked) {
        (ports.measure)(&measured, now);
    }
    match acted.failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(pass.passed),
    }
}

/// One instance that was due, and what was decided about it.
pub(crate) struct Looked {
    /// What is known of it.
    pub(crate) subject: spawn_core::reap::Subject,
    /// What was decided.
    pub(crate) decision: Decision,
}

/// A pass before anything is done.
struct Pass {
    looked: Vec<Looked>,
    looks: Looks,
    there: BTreeSet<String>,
    passed: Passed,
}

/// Lists, reads and decides.
async fn decide_all<L, E, W>(
    ports: &Ports<'_, L, E, W>,
    place: Place,
    is_dry_run: bool,
    now: u64,
) -> Result<Pass, FunctionError>
where
    L: Ledger,
    E: InAccounts + WatchInstances + ReadUsage,
{
    // The cloud first: what is recorded meanwhile is newer than the list.
    let ec2 = ports.ec2.of(place.account);
    let listed = ec2.managed(&place.region).await?;
    let there: Vec<ManagedInstance> = listed
        .into_iter()
        .filter(|one| !one.instance.state.is_ending())
        .collect();
    let impaired = if there.is_empty() {
        BTreeMap::new()
    } else {
        impaired(&ec2, place).await
    };
    let sweeps = sweeps_of(ports.ledger, &there).await?;
    let rows: Vec<WatchRow> =
        ledger::load_all(ports.ledger, &watch_pk(&place), WATCH_PREFIX).await?;
    let looks = Looks::new(rows);
    let (due, rest): (Vec<_>, Vec<_>) = there.iter().cloned().partition(|one| {
        let is_impaired = impaired.contains_key(&one.instance.arn.instance_id);
        is_impaired || is_due(one, &sweeps, &looks, now)
    });
    let mut subjects = look::subjects(ports, place, &there, due, &sweeps, now).await?;
    for subject in &mut subjects {
        let id = &subject.cloud.instance.arn.instance_id;
        subject.impaired_since = impaired.get(id).copied();
    }
    let (subjects, mut decisions): (Vec<_>, Vec<_>) = look::decided(&ec2, place, subjects, now)
        .await
        .into_iter()
        .unzip();
    let held = breaker::apply(&mut decisions, there.len(), ports.limit, now);
    if held > 0 {
        tracing::error!(%place, held, fleet = there.len(), "the reaper's breaker holds up ends");
    }
    let looked: Vec<Looked> = subjects
        .into_iter()
        .zip(decisions)
        .map(|(subject, decision)| Looked { subject, decision })
        .collect();
    let mut passed = Passed {
        place: place.to_string(),
        instances: there.len(),
        looked_at: looked.len(),
        held,
        ..Passed::default()
    };
    if !rest.is_empty() {
        let not_due = format!("{} {}", Action::Keep.as_str(), Reason::NotDue.as_str());
        passed.decisions.insert(not_due, rest.len());
    }
    for one in &looked {
        tell(place, one, is_dry_run, &mut passed);
    }
    Ok(Pass {
        looked,
        looks,
        there: there
            .into_iter()
            .map(|one| one.instance.arn.instance_id)
            .collect(),
        passed,
    })
}

/// The instances that fail EC2's status checks. When EC2 does not tell, none does: every other ground holds without.
async fn impaired(ec2: &impl WatchInstances, place: Place) -> BTreeMap<String, u64> {
    match ec2.impaired(&place.region).await {
        Ok(impaired) => impaired,
        Err(error) => {
            tracing::warn!(%place, %error, "status checks were not looked at");
            BTreeMap::new()
        }
    }
}

/// Logs a decision and counts it.
fn tell(place: Place, looked: &Looked, is_dry_run: bool, passed: &mut Passed) {
    let Looked { subject, decision } = looked;
    let instance = subject.cloud.instance.arn.instance_id.as_str();
    let sweep_id = subject.cloud.tag(SWEEP_TAG);
    let (action, reason) = (decision.action.as_str(), decision.reason.as_str());
    let message = if is_dry_run {
        "reaper would decide"
    } else {
        "reaper decided"
    };
    tracing::info!(
        %place,
        instance_id = instance,
        sweep_id,
        action,
        reason,
        note = decision.note,
        "{message}"
    );
    *passed
        .decisions
        .entry(format!("{action} {reason}"))
        .or_insert(0) += 1;
    if decision.action != Action::Keep && passed.acts.len() < ACTS_MAX {
        passed.acts.push(Told {
            instance: instance.to_owned(),
            sweep_id: sweep_id.map(str::to_owned),
            action,
            reason,
            note: decision.note.clone(),
        });
    }
}

/// The rows of the sweeps that instances name.
async fn sweeps_of(
    ledger: &impl Ledger,
    there: &[ManagedInstance],
) -> Result<BTreeMap<SweepId, SweepRow>, LedgerError> {
    let ids: BTreeSet<&str> = there.iter().filter_map(|one| one.tag(SWEEP_TAG)).collect();
    let keys: Vec<_> = ids
        .iter()
        .map(|id| sweep_key(&SweepId::from(*id)))
        .collect();
    let rows = ledger.get(&keys).await?;
    let sweeps: Result<Vec<SweepRow>, _> =
        rows.into_iter().flatten().map(SweepRow::from_row).collect();
    Ok(sweeps?
        .into_iter()
        .map(|sweep| (sweep.sweep_id.clone(), sweep))
        .collect())
}

/// The sweep that an instance names, if the ledger has it.
pub(crate) fn sweep_of<'a>(
    one: &ManagedInstance,
    sweeps: &'a BTreeMap<SweepId, SweepRow>,
) -> Option<&'a SweepRow> {
    sweeps.get(&SweepId::from(one.tag(SWEEP_TAG)?))
}

/// Whether an instance must be looked at now.
fn is_due(
    one: &ManagedInstance,
    sweeps: &BTreeMap<SweepId, SweepRow>,
    looks: &Looks,
    now: u64,
) -> bool {
    let Some(look) = looks.of(&one.instance.arn.instance_id) else {
        return true;
    };
    let Some(sweep) = sweep_of(one, sweeps) else {
        return true;
    };
    let deadlines_changed = sweep
        .deadlines_changed_at
        .is_some_and(|changed| look.at <= changed);
    look.due <= now
        || look.at <= one.instance.launched_at
        || sweep.drain.is_some()
        || deadlines_changed
}

/// Notes when each instance is looked at next.
async fn remember(
    ledger: &impl Ledger,
    place: Place,
    mut looks: Looks,
    looked: &[Looked],
    acted: &Acted,
    there: &BTreeSet<String>,
    now: u64,
) -> Result<(), FunctionError> {
    looks.forget_all_but(&place, |id| there.contains(id));
    for one in looked {
        let id = one.subject.cloud.instance.arn.instance_id.as_str();
        // What was not done is due again at once.
        let due = if acted.unchanged.contains(id) {
            now
        } else {
            one.decision.next_look
        };
        looks.note(&place, id, now, due);
    }
    for (row, is_new) in looks.into_changed() {
        let write = if is_new {
            row.create()?
        } else {
            row.replace()?
        };
        match ledger.commit(vec![write]).await {
            // Another pass has looked, too: then these are looked at once more.
            Ok(()) | Err(LedgerError::Condition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The metrics of a pass.
fn measured(passed: &Passed, place: Place, looked: &[Looked]) -> Vec<Measured> {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let here = || Measured::new().by(Dimension::Region, place.region);
    let mut all = vec![
        here()
            .with(Metric::ReaperLooks, count(passed.looked_at))
            .with(Metric::ReaperBreaker, count(passed.held))
            .with(Metric::ReaperUnchanged, count(passed.unchanged)),
    ];
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for one in looked.iter().filter(|one| one.decision.action.is_end()) {
        *ends.entry(one.decision.reason.as_str()).or_insert(0) += 1;
    }
    all.extend(ends.into_iter().map(|(reason, number)| {
        Measured::new()
            .by(Dimension::Reason, reason)
            .with(Metric::ReaperEnds, count(number))
    }));
    all
}
