//! Which records a member is to have.

use crate::dns::{AddressKind, Naming, Record, RecordId, RecordType, label};
use crate::rows::{Addresses, MemberRow};
use crate::state::MemberState;

/// Whether a member has names: while its instance runs. One that has ended loses them, though its instance may stay: its
/// sweep may be over, and a sweep leaves no name behind.
#[must_use]
pub fn has_names(member: &MemberRow) -> bool {
    member.state == MemberState::Running && member.live && member.instance.is_some()
}

/// Whether a member is to have names and the ledger does not know the address that they stand for.
#[must_use]
pub fn lacks_address(member: &MemberRow, naming: &Naming) -> bool {
    has_names(member) && ipv4(&member.addresses, naming.address).is_none()
}

fn ipv4(addresses: &Addresses, kind: AddressKind) -> Option<std::net::Ipv4Addr> {
    match kind {
        AddressKind::Private => addresses.private_ip,
        AddressKind::Public => addresses.public_ip,
    }
}

/// The records that a member of the sweep `sweep_label` is to have: its own name, the one its document gives it, and, if
/// `in_group`, a place in the sweep's name.
#[must_use]
pub fn wanted(
    member: &MemberRow,
    sweep_label: &str,
    in_group: bool,
    naming: &Naming,
) -> Vec<Record> {
    if !has_names(member) {
        return Vec::new();
    }
    let Some(instance) = &member.instance else {
        return Vec::new();
    };
    let index = member.index.to_string();
    let own = member
        .name
        .as_deref()
        .and_then(label)
        .unwrap_or_else(|| index.clone());
    let mut names = vec![(naming.member(&own, sweep_label), None)];
    names.extend(member.dns_name.as_deref().map(|l| (naming.top(l), None)));
    if in_group {
        names.push((naming.top(sweep_label), Some(instance.instance_id.clone())));
    }
    let v4 = ipv4(&member.addresses, naming.address).map(|ip| (RecordType::A, ip.to_string()));
    let v6 = member
        .addresses
        .ipv6
        .map(|ip| (RecordType::Aaaa, ip.to_string()));
    let addresses: Vec<_> = v4.into_iter().chain(v6).collect();
    names
        .into_iter()
        .flat_map(|(name, set)| {
            addresses.iter().map(move |(kind, address)| Record {
                id: RecordId {
                    name: name.clone(),
                    kind: *kind,
                    set: set.clone(),
                },
                ttl_s: naming.ttl_s,
                values: vec![address.clone()],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SweepId;

    fn naming(address: AddressKind) -> Naming {
        Naming::new("example.com", "Z1", "123456789012", address, 60).unwrap()
    }

    fn member() -> MemberRow {
        let lane = "us-east-1.spot".parse().unwrap();
        let instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-0abc";
        MemberRow {
            state: MemberState::Running,
            live: true,
            instance: Some(instance.parse().unwrap()),
            addresses: Addresses {
                private_ip: Some([10, 0, 0, 7].into()),
                public_ip: Some([198, 51, 100, 7].into()),
                ipv6: "2001:db8::7".parse().ok(),
            },
            ..MemberRow::planned(SweepId::from("train-20260101-abcdef"), 1, 7, lane)
        }
    }

    fn told(member: &MemberRow, in_group: bool, kind: AddressKind) -> Vec<String> {
        wanted(member, "train", in_group, &naming(kind))
            .iter()
            .map(|record| format!("{} {}", record.id, record.values.join(" ")))
            .collect()
    }

    #[test]
    fn a_member_that_runs_has_its_own_name_the_documents_and_a_place_in_the_sweeps() {
        let expected = [
            "7.train.1kpqzg2c.example.com A 10.0.0.7",
            "7.train.1kpqzg2c.example.com AAAA 2001:db8::7",
        ];
        assert_eq!(told(&member(), false, AddressKind::Private), expected);
        let named = MemberRow {
            name: Some("Best_One".to_owned()),
            dns_name: Some("box".to_owned()),
            addresses: Addresses {
                ipv6: None,
                ..member().addresses
            },
            ..member()
        };
        let expected = [
            "best-one.train.1kpqzg2c.example.com A 198.51.100.7",
            "box.1kpqzg2c.example.com A 198.51.100.7",
            "train.1kpqzg2c.example.com A i-0abc 198.51.100.7",
        ];
        assert_eq!(told(&named, true, AddressKind::Public), expected);
    }

    #[test]
    fn a_member_that_does_not_run_has_no_name() {
        for state in MemberState::ALL {
            let member = MemberRow { state, ..member() };
            let has = !told(&member, true, AddressKind::Private).is_empty();
            assert_eq!(has, state == MemberState::Running, "{state}");
        }
        let stopped = MemberRow {
            live: false,
            ..member()
        };
        assert!(told(&stopped, true, AddressKind::Private).is_empty());
    }

    #[test]
    fn an_address_is_missing_only_when_it_is_the_one_that_names_stand_for() {
        let mut member = member();
        member.addresses.public_ip = None;
        assert!(lacks_address(&member, &naming(AddressKind::Public)));
        assert!(!lacks_address(&member, &naming(AddressKind::Private)));
        assert_eq!(
            told(&member, false, AddressKind::Public),
            ["7.train.1kpqzg2c.example.com AAAA 2001:db8::7"]
        );
    }
}
