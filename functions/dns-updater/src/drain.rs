//! The drainer: marked members, batch after batch.
//!
//! ```text
//! marks -> members, records, groups -> intents in the ledger -> one call -> outcome in the ledger -> marks gone
//! ```
//!
//! A death between any two of these leaves the marks, and at most intents whose outcome the zone tells to the next drainer.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::dns::{Action, MarkRow, Naming, fitting, has_names, wanted};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{Expect, Ledger, Stored, TRANSACTION_ITEMS_MAX, Versioned, Write};
use spawn_core::ports::{ChangeRecords, Clock, FindInstances, InAccounts};

use crate::facts::{Facts, Group, Unit, gather};
use crate::lease::Lease;
use crate::report::Report;
use crate::{Ports, look, marks, send};

/// Members that are looked at together: as many as one call can serve.
const MEMBERS_MAX: usize = 1_000;

/// What came of it; with an error what was done until then.
pub(crate) type Drained = Result<Report, (FunctionError, Report)>;

/// Serves all marked members, unless another drainer is at it: that one will. Ends at `until` (ms since 1970) at the latest;
/// what is left has its marks.
pub(crate) async fn drain<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    random: u64,
    until: u64,
) -> Drained
where
    L: Ledger,
    Z: ChangeRecords,
    E: FindInstances + InAccounts,
    C: Clock,
{
    let mut report = Report::default();
    let result = drain_into(ports, naming, random, until, &mut report).await;
    report.log();
    match result {
        Ok(()) => Ok(report),
        Err(error) => Err((error, report)),
    }
}

/// The same, told in `report`.
///
/// # Errors
/// As [`drain`].
pub(crate) async fn drain_into<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    random: u64,
    until: u64,
    report: &mut Report,
) -> Result<(), FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    E: FindInstances + InAccounts,
    C: Clock,
{
    // Whoever puts a mark and finds the lease taken relies on its holder to look once more after giving it back.
    while ports.clock.now_ms() < until && !marks::some(ports.ledger, 1).await?.is_empty() {
        let Some(mut lease) = Lease::take(ports.ledger, ports.clock.now_ms()).await? else {
            return Ok(());
        };
        let drained = under_lease(ports, &mut lease, naming, random, until, report).await;
        let released = lease.release(ports.ledger).await;
        if !drained? {
            return Ok(());
        }
        released?;
    }
    Ok(())
}

/// Serves marked members until none is left; answers whether that was reached.
///
/// # Errors
/// When the ledger or Route 53 does not answer, or the lease is lost.
async fn under_lease<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    naming: &Naming,
    random: u64,
    until: u64,
    report: &mut Report,
) -> Result<bool, FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    E: FindInstances + InAccounts,
    C: Clock,
{
    while ports.clock.now_ms() < until {
        let marked = marks::some(ports.ledger, MEMBERS_MAX).await?;
        if marked.is_empty() {
            return Ok(true);
        }
        let mut facts = gather(ports, naming, marked).await?;
        resolve(ports, lease, naming, &mut facts, report).await?;
        let now = ports.clock.now_ms();
        let (mut idle, mut busy) = intend(&mut facts, naming, now);
        finish(ports.ledger, &mut idle, &mut facts.groups).await?;
        let changes: Vec<_> = busy.iter().map(|unit| unit.names.under_way()).collect();
        let count = fitting(changes.iter().map(Vec::as_slice));
        if count == 0 {
            if idle.iter().any(|unit| unit.is_kept) {
                return Ok(false);
            }
            continue;
        }
        let is_full = count < busy.len();
        busy.truncate(count);
        let cost: usize = changes.iter().take(count).map(Vec::len).sum();
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let wait = if is_full {
            lease.wait_ms(cost, now)
        } else {
            lease.wait_for_others_ms(cost, now)
        };
        if wait > 0 {
            if now + wait >= until {
                return Ok(false);
            }
            lease.sleep(ports.ledger, ports.clock, wait).await?;
            // Meanwhile others have started, and go into the same call, and some may have ended.
            continue;
        }
        store_groups(ports.ledger, &mut facts.groups).await?;
        store(ports.ledger, &mut busy).await?;
        let sent = send::send(ports, lease, naming, &mut busy, random, until, report).await;
        finish(ports.ledger, &mut busy, &mut facts.groups).await?;
        sent?;
    }
    Ok(false)
}

/// Settles by the zone what earlier calls have left open.
async fn resolve<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    naming: &Naming,
    facts: &mut Facts,
    report: &mut Report,
) -> Result<(), FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let open: BTreeSet<_> = facts
        .units
        .iter()
        .flat_map(|unit| unit.names.open().cloned())
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let shown = look::shown(ports, lease, &naming.zone, &open).await?;
    let now = ports.clock.now_ms();
    for unit in &mut facts.units {
        let foreign = unit.names.resolve(|id| shown.get(id), now);
        for record in foreign {
            send::tell_foreign(&unit.mark, &record, report);
        }
    }
    store(ports.ledger, &mut facts.units).await
}

/// Works out what is to change; answers the members of which nothing is, and the others.
fn intend(facts: &mut Facts, naming: &Naming, now: u64) -> (Vec<Unit>, Vec<Unit>) {
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    for mut unit in std::mem::take(&mut facts.units) {
        let label = facts.labels.get(&unit.mark.sweep_id);
        let wanted = match (&unit.member, label) {
            (Some(member), Some(label)) if has_names(member) => {
                let sweep = unit.mark.sweep_id.clone();
                let group = facts.groups.entry(sweep.clone());
                let group = group.or_insert_with(|| Group::none(sweep));
                wanted(member, label, group.now.join(member.index), naming)
            }
            _ => Vec::new(),
        };
        // Without the word of EC2 nothing is concluded.
        if !unit.is_kept {
            unit.names.intend(&wanted, now);
        }
        if unit.names.under_way().is_empty() {
            idle.push(unit);
        } else {
            busy.push(unit);
        }
    }
    // Deletions first: in a full zone they make room.
    busy.sort_by_key(|unit| {
        let changes = unit.names.under_way();
        changes.iter().any(|change| change.action == Action::Create)
    });
    (idle, busy)
}

/// Writes the rows of those members' records that are not as they are stored. Nobody else writes them: a row that has
/// changed meanwhile says that the lease was lost.
///
/// # Errors
/// When the ledger does not answer, or the lease was lost.
pub(crate) async fn store(ledger: &impl Ledger, units: &mut [Unit]) -> Result<(), FunctionError> {
    for chunk in units.chunks_mut(TRANSACTION_ITEMS_MAX) {
        let mut writes = Vec::new();
        for unit in chunk.iter() {
            match (&unit.stored, unit.names.is_empty()) {
                (None, true) => {}
                (None, false) => writes.push(unit.names.create()?),
                (Some(stored), true) => writes.push(Write::Delete {
                    key: stored.key(),
                    expect: Expect::Version(stored.version),
                }),
                (Some(stored), false) if *stored == unit.names => {}
                (Some(_), false) => writes.push(unit.names.clone().replace()?),
            }
        }
        if writes.is_empty() {
            continue;
        }
        ledger.commit(writes).await?;
        for unit in chunk {
            if unit.names.is_empty() {
                unit.names.version = 0;
                unit.stored = None;
                continue;
            }
            if unit
                .stored
                .as_ref()
                .is_some_and(|stored| *stored != unit.names)
            {
                unit.names.version += 1;
            }
            unit.stored = Some(unit.names.clone());
        }
    }
    Ok(())
}

/// Writes who is in the sweeps' own names, where that has changed.
async fn store_groups(
    ledger: &impl Ledger,
    groups: &mut BTreeMap<SweepId, Group>,
) -> Result<(), FunctionError> {
    for group in groups.values_mut() {
        let write = match &group.stored {
            None if group.now.members.is_empty() => continue,
            None => group.now.create()?,
            Some(stored) if *stored == group.now => continue,
            Some(_) => group.now.clone().replace()?,
        };
        ledger.commit(vec![write]).await?;
        group.now.version += u64::from(group.stored.is_some());
        group.stored = Some(group.now.clone());
    }
    Ok(())
}

/// Records what came of members' changes, gives back their places, and takes their marks away. In this order: as long as a
/// member has its mark, everything is looked at once more.
async fn finish(
    ledger: &impl Ledger,
    units: &mut [Unit],
    groups: &mut BTreeMap<SweepId, Group>,
) -> Result<(), FunctionError> {
    store(ledger, units).await?;
    for unit in units.iter() {
        let has_names = unit.member.as_ref().is_some_and(has_names);
        let is_in_group = unit.names.records.iter().any(|o| o.record.id.set.is_some());
        if !has_names
            && !is_in_group
            && let Some(group) = groups.get_mut(&unit.mark.sweep_id)
        {
            group.now.members.remove(&unit.mark.index);
        }
    }
    store_groups(ledger, groups).await?;
    let done: Vec<MarkRow> = units
        .iter()
        .filter(|unit| !unit.is_kept)
        .map(|unit| unit.mark.clone())
        .collect();
    Ok(marks::delete(ledger, &done).await?)
}
