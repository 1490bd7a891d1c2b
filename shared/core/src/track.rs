//! Applies observations to the ledger, and wakes who waits for what they bring about.

mod former;
mod gone;
mod reconcile;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Place;
use crate::budget::Releases;
use crate::cost::{self, Spent};
use crate::ending::EndCode;
use crate::errors::FunctionError;
use crate::ids::{InstanceArn, SweepId};
use crate::launch::{self, slot_change};
use crate::ledger::{
    self, Ledger, LedgerError, Path, Stored, TRANSACTION_ITEMS_MAX, Versioned, Write, path,
    require_all,
};
use crate::lifecycle::{Circumstances, Observation, Sighting, observe};
use crate::reap::deadline;
use crate::retry;
use crate::rows::{
    InstanceRow, MemberRow, OnComplete, ProgramRow, SweepRow, count_move, instance_key, member_key,
    program_key, sweep_key,
};

pub use reconcile::{Reconciled, Shown, conclude, is_due, reconcile};
pub use waiting::{Waiting, WaitingFor, register, wake};

/// What came of a number of observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The instances that the ledger does not know, or not yet.
    pub unknown: BTreeSet<InstanceArn>,
    /// The sweeps of the others, changed or not.
    pub sweeps: BTreeSet<SweepId>,
    /// Instances whose member is complete and which are to be stopped.
    pub to_stop: BTreeSet<(Place, InstanceArn)>,
    /// Instances that an event says to be gone, and nothing says why: EC2's reason is to be looked up. Their members are as they
    /// were.
    pub unexplained: BTreeSet<(Place, InstanceArn)>,
    /// Moves that the states do not allow, in words. They are dropped: the ledger is ahead of the observation.
    pub illegal: Vec<String>,
    /// How many members changed.
    pub changed: usize,
    /// From launch to running, in ms, of instances that were seen running for the first time.
    pub started_ms: Vec<u64>,
    /// How many members are tried again.
    pub retried: i64,
}

/// How often a transaction is rebuilt from fresh rows when another writer was faster.
const TRIES_MAX: u32 = 8;

/// Members in one transaction: each may need a second write, to its instance's row or to be tried again, beside the row of the
/// sweep.
const MEMBERS_MAX: usize = 49;

/// Applies `sightings` in their order. Repeating them changes nothing.
///
/// # Errors
/// When the ledger does not answer, or other writers were faster too often. What was applied by then stays applied.
pub async fn apply(
    ledger: &impl Ledger,
    sightings: &[Sighting],
    now: u64,
) -> Result<Applied, FunctionError> {
    let mut applied = Applied::default();
    let arns: Vec<InstanceArn> = sightings
        .iter()
        .map(|one| one.instance.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut seen = Seen::new();
    for one in sightings {
        seen.entry(&one.instance).or_default().push(one);
    }
    let mut by_sweep: BTreeMap<SweepId, Vec<InstanceRow>> = BTreeMap::new();
    let keys: Vec<_> = arns.iter().map(instance_key).collect();
    for (arn, row) in arns.into_iter().zip(ledger.get(&keys).await?) {
        match row.map(InstanceRow::from_row).transpose()? {
            Some(row) => by_sweep.entry(row.sweep_id.clone()).or_default().push(row),
            None => {
                applied.unknown.insert(arn);
            }
        }
    }
    for (sweep, instances) in by_sweep {
        let mut waiting: Vec<&[InstanceRow]> = instances.chunks(MEMBERS_MAX).rev().collect();
        while let Some(chunk) = waiting.pop() {
            let is_done = apply_chunk(ledger, &sweep, chunk, &seen, now, &mut applied).await?;
            if !is_done {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                waiting.extend([second, first]);
            }
        }
        applied.sweeps.insert(sweep);
    }
    Ok(applied)
}

/// What was observed of each instance, in its order.
type Seen<'a> = BTreeMap<&'a InstanceArn, Vec<&'a Sighting>>;

/// Applies what was observed of some instances of one sweep, in one transaction. Answers whether it did: so many standing
/// budgets may get something back that it would be too large, and nothing is written then. That of one member never is.
async fn apply_chunk(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    instances: &[InstanceRow],
    seen: &Seen<'_>,
    now: u64,
    applied: &mut Applied,
) -> Result<bool, FunctionError> {
    for _ in 0..TRIES_MAX {
        let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
        let keys: Vec<_> = instances
            .iter()
            .map(|row| member_key(sweep_id, sweep.shards, row.member_index))
            .collect();
        let mut writes = Vec::new();
        let mut changes = Changes::default();
        let mut to_stop = Vec::new();
        let mut unexplained = BTreeSet::new();
        let mut gone = Vec::new();
        let mut former = Vec::new();
        let mut written = BTreeSet::new();
        let mut started_ms = Vec::new();
        let mut changed = 0;
        let mut releases = Releases::default();
        let members = require_all::<MemberRow>(ledger, keys).await?;
        let on_complete = on_complete(ledger, &members).await?;
        for (instance, before) in instances.iter().zip(members) {
            // The member may have another instance by now; what is seen of the old one concerns its costs and nothing else.
            if before.instance.as_ref() != Some(&instance.instance) {
                former.push((instance, before));
                continue;
            }
            let on_complete = on_complete
                .get(&before.program)
                .copied()
                .unwrap_or(OnComplete::Terminate);
            let mut around = Circumstances {
                report: instance.report(),
                last_words: instance.report_reason.clone(),
                on_complete,
                sweep: sweep.status,
                now,
            };
            let mut after = before.clone();
            for one in seen.get(&instance.instance).into_iter().flatten() {
                if one.is_outdated(&after, now) {
                    continue;
                }
                around.now = one.seen_at.unwrap_or(now).max(now);
                let id = &instance.instance.instance_id;
                match observe(&after, &one.what, &around) {
                    Ok(Some(next)) if is_unexplained(&after, &next, &one.what) => {
                        unexplained.insert((before.lane.place(), instance.instance.clone()));
                    }
                    Ok(next) => {
                        let is_due = |spent: &Spent| spent.is_due(one.what.is_gone(), around.now);
                        if next.is_none() && !cost::entry_of(&after, id).is_some_and(is_due) {
                            continue;
                        }
                        let mut next = next.unwrap_or_else(|| after.clone());
                        let back = cost::note(&after, &mut next, one.news(), around.now);
                        back.iter().for_each(|back| releases.release(back));
                        after = next;
                    }
                    Err(illegal) => applied.illegal.push(format!("{sweep_id}: {illegal}")),
                }
            }
            if matches!(on_complete, OnComplete::Stop | OnComplete::Hibernate)
                && after.live
                && after.state.is_ended()
            {
                to_stop.push((before.lane.place(), instance.instance.clone()));
            }
            gone.extend(gone::of(&before, &after));
            if (retry::is_left(&after, sweep.retries) || retry::is_replaced(&after))
                && !before.state.is_ended()
                && sweep.goes_on()
            {
                // Whether a try is left is decided in the transaction that ends this one, so it is decided once.
                after = retry::planned_again(&after);
                writes.push(retry::row_of(&after).create()?);
            }
            if after != before {
                changed += 1;
                written.insert(after.index);
                started_ms.extend(time_to_running(&before, &after));
                changes.add(&before, &after);
                if let Some(deadline) = after.ttl_deadline
                    && before.ttl_deadline != after.ttl_deadline
                {
                    writes.push(deadline::tell_instance(&instance.instance, deadline));
                }
                writes.push(after.replace()?);
            }
        }
        // A transaction writes a row once; what else was seen of its member the next pass sees again.
        former.retain(|(_, member)| !written.contains(&member.index));
        let of_former = former::note(former, seen, now, &mut releases)?;
        changed += of_former.len();
        writes.extend(of_former);
        let retried = changes.retried;
        writes.extend(changes.write(sweep_id));
        let writes = releases.into_writes(sweep_id, writes);
        if writes.len() > TRANSACTION_ITEMS_MAX && instances.len() > 1 {
            return Ok(false);
        }
        if !writes.is_empty() {
            match ledger.commit(writes).await {
                Ok(()) => {}
                Err(LedgerError::Condition { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        gone.iter().for_each(|one| one.log(sweep.trace.as_deref()));
        applied.changed += changed;
        applied.started_ms.extend(started_ms);
        applied.retried += retried;
        applied.to_stop.extend(to_stop);
        applied.unexplained.extend(unexplained);
        return Ok(true);
    }
    Err(FunctionError::Conflict(format!(
        "the members of {sweep_id} changed {TRIES_MAX} times while they were written"
    )))
}

/// Whether a member would come to its end by an event alone, and nothing says of what.
fn is_unexplained(before: &MemberRow, after: &MemberRow, observation: &Observation) -> bool {
    matches!(observation, Observation::Changed(_))
        && before.code.is_none()
        && after.code.is_some_and(EndCode::is_unexplained)
}

/// How long an instance took to run, if it was seen running just now for the first time.
fn time_to_running(before: &MemberRow, after: &MemberRow) -> Option<u64> {
    let is_first = before.running_at.is_none();
    let running_at = after.running_at.filter(|_| is_first)?;
    Some(running_at.saturating_sub(after.launched_at?))
}

/// What happens to the members' instances at their end, by program.
async fn on_complete(
    ledger: &impl Ledger,
    members: &[MemberRow],
) -> Result<BTreeMap<u32, OnComplete>, FunctionError> {
    let programs = programs_of(ledger, members).await?;
    Ok(programs
        .into_iter()
        .map(|(number, program)| (number, program.on_complete))
        .collect())
}

/// What members of one sweep run, by number.
///
/// # Errors
/// When the ledger does not answer, or a program is missing.
pub async fn programs_of(
    ledger: &impl Ledger,
    members: &[MemberRow],
) -> Result<BTreeMap<u32, ProgramRow>, LedgerError> {
    let keys = members
        .iter()
        .map(|member| program_key(&member.sweep_id, member.program))
        .collect::<BTreeSet<_>>();
    let programs: Vec<ProgramRow> = require_all(ledger, keys.into_iter().collect()).await?;
    Ok(programs
        .into_iter()
        .map(|program| (program.program, program))
        .collect())
}

/// How a sweep's counters change with its members.
#[derive(Default)]
struct Changes {
    counters: BTreeMap<Path, i64>,
    retried: i64,
}

impl Changes {
    fn add(&mut self, before: &MemberRow, after: &MemberRow) {
        if before.state != after.state {
            for (counter, by) in count_move(&after.lane.region, before.state, after.state, 1) {
                self.by(counter, by);
            }
        }
        if retry::is_retry(before, after) {
            self.retried += 1;
        }
        // A member that is started again takes its slot back, free or not: its instance runs.
        let slots = i64::from(after.live) - i64::from(before.live);
        for (counter, by) in slot_change(after.lane.region.as_str(), slots) {
            self.by(counter, by);
        }
    }

    fn by(&mut self, counter: Path, by: i64) {
        *self.counters.entry(counter).or_insert(0) += by;
    }

    /// The write to the sweep's row. Members are tried again only while it goes on: a drain or a hold that came meanwhile
    /// makes the transaction fail, and what was seen is judged anew.
    fn write(mut self, sweep_id: &SweepId) -> Option<Write> {
        let mut when = Vec::new();
        if self.retried > 0 {
            self.by(path(&["retrying"]), self.retried);
            when = launch::while_going_on();
        }
        let changed = self.counters.into_iter().filter(|(_, by)| *by != 0);
        let add: Vec<(Path, i64)> = changed.collect();
        (!add.is_empty()).then(|| Write::Update {
            key: sweep_key(sweep_id),
            set: Vec::new(),
            remove: Vec::new(),
            add,
            when,
        })
    }
}
