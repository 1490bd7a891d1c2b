//! What the drainer must know of the marked members.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use spawn_core::account::Place;
use spawn_core::dns::{GroupRow, MarkRow, NamesRow, Naming, group_key, lacks_address, names_key};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{InstanceArn, SweepId};
use spawn_core::ledger::{
    Condition, Ledger, LedgerError, Stored, TRANSACTION_ITEMS_MAX, Write, path,
};
use spawn_core::ports::{FindInstances, InAccounts};
use spawn_core::rows::{Addresses, MemberRow, SweepRow, sweep_key};

use crate::Ports;

/// A marked member.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its mark.
    pub(crate) mark: MarkRow,
    /// Its row; `None` when the ledger has forgotten it.
    pub(crate) member: Option<MemberRow>,
    /// Its records.
    pub(crate) names: NamesRow,
    /// Its records as they are stored; `None` when they are not.
    pub(crate) stored: Option<NamesRow>,
    /// Whether its mark stays: it must be looked at again.
    pub(crate) is_kept: bool,
}

/// The marked members, and their sweeps.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) units: Vec<Unit>,
    /// The labels of sweeps whose members have names.
    pub(crate) labels: BTreeMap<SweepId, String>,
    /// Who is in the sweeps' own names.
    pub(crate) groups: BTreeMap<SweepId, Group>,
}

/// Who is in a sweep's own name, as it will be and as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) now: GroupRow,
    pub(crate) stored: Option<GroupRow>,
}

impl Group {
    /// Nobody yet.
    pub(crate) fn none(sweep_id: SweepId) -> Self {
        Self {
            now: GroupRow::none(sweep_id),
            stored: None,
        }
    }
}

/// Reads what there is about marked members; asks EC2 for the addresses that are missing.
///
/// # Errors
/// When the ledger does not answer. Members whose address EC2 does not tell keep their marks.
pub(crate) async fn gather<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    marks: Vec<MarkRow>,
) -> Result<Facts, FunctionError>
where
    L: Ledger,
    E: FindInstances + InAccounts,
{
    let ledger = ports.ledger;
    let ids: BTreeSet<SweepId> = marks.iter().map(|mark| mark.sweep_id.clone()).collect();
    let sweeps: BTreeMap<SweepId, SweepRow> =
        load_each(ledger, ids.iter().map(|id| (id.clone(), sweep_key(id)))).await?;
    let groups: BTreeMap<SweepId, GroupRow> =
        load_each(ledger, ids.iter().map(|id| (id.clone(), group_key(id)))).await?;
    let member_keys = marks.iter().filter_map(|mark| {
        let sweep = sweeps.get(&mark.sweep_id)?;
        Some((place(mark), sweep.member_key(mark.index)))
    });
    let mut members: BTreeMap<(SweepId, u32), MemberRow> = load_each(ledger, member_keys).await?;
    let names_keys = marks
        .iter()
        .map(|mark| (place(mark), names_key(&mark.sweep_id, mark.index)));
    let mut names: BTreeMap<(SweepId, u32), NamesRow> = load_each(ledger, names_keys).await?;
    let untold = add_addresses(ports, naming, &mut members).await?;
    let units = marks.into_iter().map(|mark| {
        let stored = names.remove(&place(&mark));
        let none = || NamesRow::none(mark.sweep_id.clone(), mark.index);
        Unit {
            member: members.remove(&place(&mark)),
            names: stored.clone().unwrap_or_else(none),
            stored,
            is_kept: untold.contains(&place(&mark)),
            mark,
        }
    });
    Ok(Facts {
        units: units.collect(),
        labels: sweeps
            .into_iter()
            .filter_map(|(id, sweep)| Some((id, sweep.dns_label?)))
            .collect(),
        groups: groups
            .into_iter()
            .map(|(id, row)| {
                let group = Group {
                    now: row.clone(),
                    stored: Some(row),
                };
                (id, group)
            })
            .collect(),
    })
}

fn place(mark: &MarkRow) -> (SweepId, u32) {
    (mark.sweep_id.clone(), mark.index)
}

/// The rows of these keys that there are, each under its own name.
pub(crate) async fn load_each<K: Ord, T: Stored>(
    ledger: &impl Ledger,
    keys: impl Iterator<Item = (K, spawn_core::ledger::Key)>,
) -> Result<BTreeMap<K, T>, LedgerError> {
    let (names, keys): (Vec<K>, Vec<_>) = keys.unzip();
    let rows = ledger.get(&keys).await?;
    names
        .into_iter()
        .zip(rows)
        .filter_map(|(name, row)| Some((name, row?)))
        .map(|(name, row)| Ok((name, T::from_row(row)?)))
        .collect()
}

/// Asks EC2 where members are that run and whose address the ledger does not know: a public one is often given only then.
/// The answer is written into their rows. Answers the members of which EC2 did not tell.
async fn add_addresses<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    naming: &Naming,
    members: &mut BTreeMap<(SweepId, u32), MemberRow>,
) -> Result<BTreeSet<(SweepId, u32)>, FunctionError>
where
    L: Ledger,
    E: FindInstances + InAccounts,
{
    let mut by_place: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for member in members.values() {
        if let Some(arn) = member
            .instance
            .as_ref()
            .filter(|_| lacks_address(member, naming))
        {
            let of_place = by_place.entry(member.lane.place()).or_default();
            of_place.push(arn.instance_id.clone());
        }
    }
    let mut told: BTreeMap<InstanceArn, Addresses> = BTreeMap::new();
    let mut failed = BTreeSet::new();
    for (place, ids) in by_place {
        let ec2 = ports.ec2.of(place.account);
        match ec2.find_instances(&place.region, &ids).await {
            Ok(instances) => told.extend(instances.into_iter().map(|i| (i.arn, i.addresses))),
            Err(error) => {
                tracing::warn!(%error, %place, instances = ids.len(), "addresses are looked up later");
                failed.insert(place);
            }
        }
    }
    let mut untold = BTreeSet::new();
    let mut found = Vec::new();
    for (place, member) in members.iter() {
        let Some(arn) = member
            .instance
            .as_ref()
            .filter(|_| lacks_address(member, naming))
        else {
            continue;
        };
        if failed.contains(&member.lane.place()) {
            untold.insert(place.clone());
        }
        if let Some(addresses) = told.get(arn).filter(|there| **there != member.addresses) {
            found.push((place.clone(), addresses.clone()));
        }
    }
    for chunk in found.chunks(TRANSACTION_ITEMS_MAX) {
        let write = |(place, addresses): &(_, Addresses)| {
            let member = members.get(place)?;
            Some(addresses_write(member, addresses))
        };
        match ports
            .ledger
            .commit(chunk.iter().filter_map(write).collect())
            .await
        {
            Ok(()) => {
                for (place, addresses) in chunk {
                    if let Some(member) = members.get_mut(place) {
                        member.addresses = addresses.clone();
                    }
                }
            }
            // One of them has moved on. All are looked at again.
            Err(LedgerError::Condition { .. }) => {
                untold.extend(chunk.iter().map(|(place, _)| place.clone()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(untold)
}

/// Notes where a member's instance is, if the member is where it was. The row's change comes back through the stream, and
/// finds nothing more to do.
pub(crate) fn addresses_write(member: &MemberRow, addresses: &Addresses) -> Write {
    let mut set = Vec::new();
    let mut remove = Vec::new();
    let texts = [
        ("private_ip", addresses.private_ip.map(|ip| ip.to_string())),
        ("public_ip", addresses.public_ip.map(|ip| ip.to_string())),
        ("ipv6", addresses.ipv6.map(|ip| ip.to_string())),
    ];
    for (name, text) in texts {
        match text {
            Some(text) => set.push((path(&[name]), Value::from(text))),
            None => remove.push(path(&[name])),
        }
    }
    let of = |name: &str, value: Value| Condition::Equals(path(&[name]), value);
    let instance = member.instance.as_ref().map(ToString::to_string);
    Write::Update {
        key: member.key(),
        set,
        remove,
        add: Vec::new(),
        when: vec![
            of("instance", Value::from(instance)),
            of("state", Value::from(member.state.as_str())),
        ],
    }
}
