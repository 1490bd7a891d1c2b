//! The scheduled comparison of members, ledger and zone: whatever was lost is found, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::dns::{
    ClaimRow, GROUP_MEMBERS_MAX, GroupRow, MarkRow, NamesRow, Naming, Record, RecordId, SHARDS,
    Standing, group_key, has_names, names_pk, wanted,
};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Key, Ledger, LedgerError, Stored};
use spawn_core::ports::{ChangeRecords, Clock, FindInstances, InAccounts};
use spawn_core::rows::{MemberRow, SweepRow, shard_pk, sweep_key};
use spawn_core::state::SweepStatus;

use crate::drain::{self, Drained};
use crate::facts::{Unit, load_each};
use crate::lease::Lease;
use crate::report::Report;
use crate::{Ports, look, marks, send};

/// Foreign records that are named in the log; the others are counted.
const FOREIGN_TOLD_MAX: usize = 20;

/// Compares, and drains what it has found. While another drainer is at work only the marks are looked after.
pub(crate) async fn sweep_up<L, Z, E, C>(
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
    match compare_alone(ports, naming, random, &mut report).await {
        Ok(()) => {}
        Err(error) => return Err((error, report)),
    }
    let result = drain::drain_into(ports, naming, random, until, &mut report).await;
    report.log();
    match result {
        Ok(()) => Ok(report),
        Err(error) => Err((error, report)),
    }
}

async fn compare_alone<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    random: u64,
    report: &mut Report,
) -> Result<(), FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let Some(mut lease) = Lease::take(ports.ledger, ports.clock.now_ms()).await? else {
        return Ok(());
    };
    let compared = compare(ports, &mut lease, naming, report).await;
    let released = lease.release(ports.ledger).await;
    let marked = compared?;
    released?;
    report.leftovers += u64::try_from(marked.len()).unwrap_or(u64::MAX);
    let now = ports.clock.now_ms();
    Ok(marks::put(ports.ledger, &marked, now, random).await?)
}

/// The members that are to be looked at.
async fn compare<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    naming: &Naming,
    report: &mut Report,
) -> Result<BTreeSet<(SweepId, u32)>, FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let ledger = ports.ledger;
    // The zone first: while the lease is held, nothing is made that the rows read afterwards do not have.
    let mut shown = look::below(ports, lease, &naming.zone, &naming.suffix()).await?;
    let mut names: BTreeMap<(SweepId, u32), NamesRow> = BTreeMap::new();
    for shard in 0..SHARDS {
        for row in ledger::load_all::<NamesRow>(ledger, &names_pk(shard), "").await? {
            names.insert((row.sweep_id.clone(), row.index), row);
        }
    }
    let now = ports.clock.now_ms();
    let mut marked = compare_with_zone(ledger, &mut names, &mut shown, now, report).await?;
    tell_strangers(&shown, report);

    let of_rows: BTreeSet<SweepId> = names.keys().map(|(sweep, _)| sweep.clone()).collect();
    let live = live_sweeps(ledger).await?;
    let all = of_rows.union(&live);
    let sweeps: BTreeMap<SweepId, SweepRow> =
        load_each(ledger, all.map(|id| (id.clone(), sweep_key(id)))).await?;
    let groups: BTreeMap<SweepId, GroupRow> =
        load_each(ledger, sweeps.keys().map(|id| (id.clone(), group_key(id)))).await?;
    let members = members(ledger, &sweeps, &live, &names).await?;
    for (place, row) in &names {
        let runs = members.get(place).is_some_and(has_names);
        // A record without an instance, or of which something is open or was refused.
        if !runs || row.open().next().is_some() || !row.refused.is_empty() {
            marked.insert(place.clone());
        }
    }
    for (place, member) in members.iter().filter(|(_, member)| has_names(member)) {
        let sweep = sweeps.get(&place.0);
        let Some(label) = sweep.and_then(|sweep| sweep.dns_label.as_ref()) else {
            continue;
        };
        let is_made = |record: &Record| {
            names.get(place).is_some_and(|row| {
                let is_it = |o: &spawn_core::dns::Owned| {
                    o.record == *record && o.standing == Standing::Live
                };
                row.records.iter().any(is_it)
            })
        };
        let in_group = groups.get(&place.0).is_some_and(|group| {
            group.members.contains(&member.index) || group.members.len() < GROUP_MEMBERS_MAX
        });
        // An instance without its records, or of an address that is not theirs.
        if !wanted(member, label, in_group, naming).iter().all(is_made)
            || !names.contains_key(place)
        {
            marked.insert(place.clone());
        }
    }
    forget_ended(ledger, &names, now).await?;
    Ok(marked)
}

/// Compares the records that spawn has made with what the zone shows, and takes them out of `shown`. One that is not there
/// any more is made again, if it is wanted; one that is not as it was made is let go.
async fn compare_with_zone(
    ledger: &impl Ledger,
    names: &mut BTreeMap<(SweepId, u32), NamesRow>,
    shown: &mut BTreeMap<RecordId, Record>,
    now: u64,
    report: &mut Report,
) -> Result<BTreeSet<(SweepId, u32)>, FunctionError> {
    let mut marked = BTreeSet::new();
    let mut changed: Vec<Unit> = Vec::new();
    for (place, row) in names.iter_mut() {
        let stored = row.clone();
        let mark = MarkRow {
            sweep_id: row.sweep_id.clone(),
            index: row.index,
            version: 0,
        };
        for owned in &stored.records {
            let there = shown.remove(&owned.record.id);
            match there {
                _ if owned.standing != Standing::Live => {}
                Some(there) if there == owned.record => {}
                None => {
                    tracing::warn!(
                        sweep_id = %mark.sweep_id,
                        member = mark.index,
                        record = %owned.record.id,
                        "a record of spawn is gone from the zone"
                    );
                    row.forget(&owned.record);
                    marked.insert(place.clone());
                }
                Some(there) => {
                    send::tell_foreign(&mark, &there, report);
                    row.let_go(&owned.record, now);
                }
            }
        }
        if *row != stored {
            changed.push(Unit {
                mark,
                member: None,
                names: row.clone(),
                stored: Some(stored),
                is_kept: true,
            });
        }
    }
    drain::store(ledger, &mut changed).await?;
    for unit in changed {
        let place = (unit.mark.sweep_id.clone(), unit.mark.index);
        if unit.names.is_empty() {
            names.remove(&place);
        } else {
            names.insert(place, unit.names);
        }
    }
    Ok(marked)
}

/// Tells of records below the suffix that are nobody's here.
fn tell_strangers(shown: &BTreeMap<RecordId, Record>, report: &mut Report) {
    report.foreign += u64::try_from(shown.len()).unwrap_or(u64::MAX);
    for record in shown.values().take(FOREIGN_TOLD_MAX) {
        tracing::warn!(
            record = %record.id,
            values = record.values.join(" "),
            "a record that spawn did not make stands among its names and is left alone"
        );
    }
}

/// The ids of the sweeps that are not over, as the index shows them.
async fn live_sweeps(ledger: &impl Ledger) -> Result<BTreeSet<SweepId>, LedgerError> {
    let mut ids = BTreeSet::new();
    for status in SweepStatus::LIVE {
        let mut from = None;
        loop {
            let page = ledger.sweeps_by_status(status.as_str(), from).await?;
            let pks = page.rows.iter().map(|row| row.key.pk.as_str());
            ids.extend(pks.filter_map(|pk| pk.strip_prefix("SWEEP#").map(SweepId::from)));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(ids)
}

/// All members of live sweeps whose members have names, and of the others those that have records.
async fn members(
    ledger: &impl Ledger,
    sweeps: &BTreeMap<SweepId, SweepRow>,
    live: &BTreeSet<SweepId>,
    names: &BTreeMap<(SweepId, u32), NamesRow>,
) -> Result<BTreeMap<(SweepId, u32), MemberRow>, LedgerError> {
    let has_all = |sweep: &SweepRow| live.contains(&sweep.sweep_id) && sweep.dns_label.is_some();
    let mut members = BTreeMap::new();
    for sweep in sweeps.values().filter(|sweep| has_all(sweep)) {
        for shard in 0..sweep.shards {
            let pk = shard_pk(&sweep.sweep_id, shard);
            for member in ledger::load_all::<MemberRow>(ledger, &pk, "MEMBER#").await? {
                members.insert((member.sweep_id.clone(), member.index), member);
            }
        }
    }
    let others = names.keys().filter_map(|place| {
        let sweep = sweeps.get(&place.0).filter(|sweep| !has_all(sweep))?;
        Some((place.clone(), sweep.member_key(place.1)))
    });
    members.extend(load_each::<_, MemberRow>(ledger, others).await?);
    Ok(members)
}

/// Gives back the labels, and forgets the places, of sweeps that are over and have no record left.
async fn forget_ended(
    ledger: &impl Ledger,
    names: &BTreeMap<(SweepId, u32), NamesRow>,
    now: u64,
) -> Result<(), FunctionError> {
    let claims: Vec<ClaimRow> = ledger::load_all(ledger, "DNS#CLAIM", "").await?;
    let groups: Vec<GroupRow> = ledger::load_all(ledger, "DNS#GROUP", "").await?;
    let ids: BTreeSet<SweepId> = claims
        .iter()
        .map(|claim| &claim.sweep_id)
        .chain(groups.iter().map(|group| &group.sweep_id))
        .cloned()
        .collect();
    let sweeps: BTreeMap<SweepId, SweepRow> = load_each(
        ledger,
        ids.into_iter().map(|id| (id.clone(), sweep_key(&id))),
    )
    .await?;
    let is_over = |id: &SweepId| {
        let has_records = names.keys().any(|(sweep, _)| sweep == id);
        !has_records && sweeps.get(id).is_none_or(|sweep| sweep.status.is_ended())
    };
    let claims = claims
        .into_iter()
        // A sweep that is being planned has its labels before its row.
        .filter(|claim| is_over(&claim.sweep_id) && claim.held_until < now)
        .map(|claim| (claim.key(), claim.version));
    let groups = groups
        .into_iter()
        .filter(|group| is_over(&group.sweep_id))
        .map(|group| (group.key(), group.version));
    let ended: Vec<(Key, u64)> = claims.chain(groups).collect();
    for (key, version) in ended {
        // Unless another sweep has taken the label meanwhile.
        ledger::forget(ledger, key, version).await?;
    }
    Ok(())
}
