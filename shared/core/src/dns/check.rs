//! Whether a sweep's members can have names, before anything is launched.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dns::{GROUP_MEMBERS_MAX, Naming, label};
use crate::document::{Collector, Fault, Faults, Sweep};
use crate::ids::SweepId;
use crate::ports::ZoneCapacity;

/// What a sweep will take of the deployment's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedNames {
    /// The sweep's own label.
    pub label: String,
    /// Every label that it takes below the deployment's suffix, its own first, each with where the document says so.
    pub claims: Vec<(String, String)>,
    /// The most records that it has at a time, IPv6 aside: one for each member that runs, one more for each that has a
    /// `dns_name`, and the places in the sweep's own name.
    pub records: u64,
}

/// What the names of the sweep's members will be, or everything that is wrong with them: a name of which no label can be
/// made, two that become the same.
///
/// # Errors
/// Every such fault.
pub fn check(sweep: &Sweep, naming: &Naming) -> Result<PlannedNames, Faults> {
    let mut faults = Collector::default();
    let own = label(&sweep.name);
    if own.is_none() {
        let problem = format!("`{}` cannot be a label in DNS", sweep.name);
        faults.add(Fault::new("name", problem, A_LABEL));
    }
    let mut members: BTreeMap<String, u32> = BTreeMap::new();
    let mut claims: BTreeMap<String, String> = BTreeMap::new();
    claims.extend(own.iter().map(|label| (label.clone(), "name".to_owned())));
    let uniform = sweep
        .members
        .windows(2)
        .all(|pair| Arc::ptr_eq(&pair[0].settings, &pair[1].settings));
    let mut with_dns_name = 0_u64;
    for member in &sweep.members {
        let at = |field: &str| format!("params[{}].{field}", member.index);
        let of_name = match &member.name {
            Some(name) => label(name),
            None => Some(member.index.to_string()),
        };
        match of_name {
            None => {
                let name = member.name.as_deref().unwrap_or_default();
                let problem = format!("`{name}` cannot be a label in DNS");
                faults.add(Fault::new(at("name"), problem, A_LABEL));
            }
            Some(label) => {
                if let Some(other) = members.insert(label.clone(), member.index) {
                    let problem = format!(
                        "in DNS the member is `{label}`, as member {other} is: case is lost, and other characters become \"-\""
                    );
                    faults.add(Fault::new(
                        at("name"),
                        problem,
                        "a name of its own in DNS, too",
                    ));
                }
            }
        }
        let Some(dns_name) = &member.settings.dns_name else {
            continue;
        };
        with_dns_name += 1;
        let path = if uniform {
            "dns_name".to_owned()
        } else {
            at("dns_name")
        };
        if let Some(taken_at) = claims.insert(dns_name.clone(), path.clone()) {
            let by = match taken_at.as_str() {
                "name" => "the sweep's own name".to_owned(),
                "dns_name" => "the dns_name of every other member".to_owned(),
                at => format!("taken by {at}"),
            };
            let problem = format!("`{dns_name}` is {by}");
            let fault = Fault::new(path, problem, "another label for each member");
            let name = own.as_deref().map(|own| naming.top(own));
            faults.add(fault.hint(name.map(|n| format!("{n} stands for all members together"))));
            if uniform {
                // All others would be told the same.
                break;
            }
        }
    }
    let at_once = u64::from(sweep.max_concurrent.unwrap_or(u32::MAX))
        .min(u64::try_from(sweep.members.len()).unwrap_or(u64::MAX));
    let in_group = at_once.min(u64::try_from(GROUP_MEMBERS_MAX).unwrap_or(u64::MAX));
    let own = own.unwrap_or_default();
    let mut all: Vec<(String, String)> = claims.into_iter().collect();
    all.sort_by_key(|(label, _)| *label != own);
    faults.finish(PlannedNames {
        label: own,
        claims: all,
        records: at_once + with_dns_name.min(at_once) + in_group,
    })
}

const A_LABEL: &str = "a name with at least one letter or digit";

impl PlannedNames {
    /// Whether the zone has room for the sweep's records.
    ///
    /// # Errors
    /// That it has not, with the number of members that it has room for.
    pub fn fit(&self, zone: &ZoneCapacity, naming: &Naming) -> Result<(), Fault> {
        let free = zone.records_max.saturating_sub(zone.records);
        if self.records <= free {
            return Ok(());
        }
        let problem = format!(
            "names take {} records of the hosted zone {}, which has room for {free}: {} of {} are in use",
            self.records, naming.zone, zone.records, zone.records_max
        );
        let group = u64::try_from(GROUP_MEMBERS_MAX).unwrap_or(u64::MAX);
        let members = if free > 2 * group {
            free - group
        } else {
            free / 2
        };
        let hint = format!(
            "fewer members at a time (max_concurrent: {members}), `naming: false`, or a higher quota of records per hosted zone from AWS"
        );
        Err(Fault::new("params", problem, "").hint(hint))
    }
}

/// Refuses labels that other sweeps have which live: each with where the document gives it, and by whom it is taken.
///
/// # Errors
/// One fault for each.
pub fn refuse_taken(taken: &[(String, String, SweepId)], naming: &Naming) -> Result<(), Faults> {
    let mut faults = Collector::default();
    for (label, path, by) in taken {
        let name = naming.top(label);
        let problem = format!("the name {name} belongs to {by}, which lives");
        let fault = Fault::new(path, problem, "another name while that sweep lives");
        let hint = "naming: false launches the sweep without names in DNS";
        faults.add(fault.hint(hint.to_owned()));
    }
    faults.finish(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::AddressKind;
    use crate::document::{OperatorDefaults, parse_text};

    fn naming() -> Naming {
        Naming::new(
            "example.com",
            "Z1",
            "123456789012",
            AddressKind::Private,
            60,
        )
        .unwrap()
    }

    fn sweep(document: &str) -> Sweep {
        let text = format!("instance_type: t3.micro\nttl: 1h\n{document}");
        let value = parse_text(&text).unwrap();
        let defaults = OperatorDefaults {
            ami: None,
            instance_type: None,
            key_name: None,
            instance_profile: None,
            budget: None,
            owner: None,
            home_region: "us-east-1".parse().unwrap(),
            reach: crate::document::Reach::default(),
        };
        Sweep::from_document(&value, None, &serde_json::Map::new(), &defaults).unwrap()
    }

    fn faults(document: &str) -> String {
        match check(&sweep(document), &naming()) {
            Ok(planned) => format!("{planned:?}"),
            Err(faults) => faults.to_string(),
        }
    }

    #[test]
    fn a_sweep_takes_its_own_label_and_those_of_its_document() {
        let planned = check(
            &sweep(
                "name: My_Train\nmax_concurrent: 3\nparams: [{name: a}, {dns_name: box}, {}, {}]",
            ),
            &naming(),
        )
        .unwrap();
        assert_eq!(planned.label, "my-train");
        let claim = |label: &str, path: &str| (label.to_owned(), path.to_owned());
        assert_eq!(
            planned.claims,
            [
                claim("my-train", "name"),
                claim("box", "params[1].dns_name")
            ]
        );
        assert_eq!(planned.records, 3 + 1 + 3);
    }

    #[test]
    fn names_that_become_the_same_are_refused_all_at_once() {
        let told = faults(
            "name: __\nparams: [{name: a_b}, {name: A-b}, {name: '3'}, {}, {name: _}, {dns_name: x}, {dns_name: x}]",
        );
        for words in [
            "5 faults",
            "- name: `__` cannot be a label in DNS",
            "- params[1].name: in DNS the member is `a-b`, as member 0 is",
            "- params[3].name: in DNS the member is `3`, as member 2 is",
            "- params[4].name: `_` cannot be a label in DNS",
            "- params[6].dns_name: `x` is taken by params[5].dns_name",
        ] {
            assert!(told.contains(words), "{words} in {told}");
        }
    }

    #[test]
    fn a_dns_name_for_all_members_is_told_once() {
        let told = faults("name: s\ndns_name: box\ncount: 20");
        assert!(told.starts_with("1 fault"), "{told}");
        assert!(
            told.contains("s.1kpqzg2c.example.com stands for all members together"),
            "{told}"
        );
        assert!(faults("name: box\ncount: 1\ndns_name: box").contains("the sweep's own name"));
    }

    #[test]
    fn a_zone_without_room_refuses_with_the_way_out() {
        let planned = check(&sweep("name: s\ncount: 10000"), &naming()).unwrap();
        assert_eq!(planned.records, 10_100);
        let zone = |records, records_max| ZoneCapacity {
            records,
            records_max,
        };
        let fault = planned.fit(&zone(2, 10_000), &naming()).unwrap_err();
        let told = fault.to_string();
        assert!(told.contains("which has room for 9998"), "{told}");
        assert!(told.contains("max_concurrent: 9898"), "{told}");
        assert!(planned.fit(&zone(2, 20_000), &naming()).is_ok());
        let fewer = check(
            &sweep("name: s\ncount: 10000\nmax_concurrent: 9898"),
            &naming(),
        );
        assert!(fewer.unwrap().fit(&zone(2, 10_000), &naming()).is_ok());
    }
}
