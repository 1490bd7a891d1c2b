//! Laws of planning: whatever the document and the quotas, every member is accounted for, and no quota is passed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::account::Place;
use crate::document::{OperatorDefaults, Sweep};
use crate::ids::SweepId;
use crate::plan::rooms::Rooms;
use crate::ports::{ImageFacts, RunningVcpus, TypeFacts};
use crate::region::Region;
use crate::state::MemberState;

const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
const STANDARD: &str = "L-1216C47A";

fn place_of(region: &str) -> Place {
    Place {
        account: None,
        region: region.parse().unwrap(),
    }
}

fn sweep(document: &Value) -> Sweep {
    let operator = OperatorDefaults {
        ami: Some("ami-0000000000000000a".to_owned()),
        instance_type: Some("c5.large".to_owned()),
        key_name: None,
        instance_profile: None,
        budget: None,
        owner: None,
        home_region: "us-east-1".parse().unwrap(),
        reach: crate::document::Reach::default(),
    };
    Sweep::from_document(document, None, &Map::new(), &operator)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

fn context() -> Context {
    Context {
        sweep_id: SweepId::from("s"),
        execution_arn: "arn".to_owned(),
        started_at: 1,
        results_bucket: "results".to_owned(),
        instance_profile: "profile".to_owned(),
        notify_topic: None,
        price_book: None,
    }
}

/// Two types and an image.
fn facts_of(region: &str) -> RegionFacts {
    let one = |name: &str, vcpus| TypeFacts {
        name: name.to_owned(),
        architectures: vec!["x86_64".to_owned()],
        vcpus,
        on_demand: true,
        spot: true,
        ..TypeFacts::default()
    };
    let zones: BTreeSet<String> = ["a", "b"].map(|zone| format!("{region}{zone}")).into();
    let types = [one("c5.large", 2), one("c5.xlarge", 4)];
    RegionFacts {
        zones: types
            .iter()
            .map(|one| (one.name.clone(), zones.clone()))
            .collect(),
        types: types.map(|one| (one.name.clone(), one)).into(),
        images: [(
            "ami-0000000000000000a".to_owned(),
            ImageFacts {
                id: "ami-0000000000000000a".to_owned(),
                architecture: "x86_64".to_owned(),
                available: true,
                root_gib: Some(8),
                root_device: Some("/dev/xvda".to_owned()),
            },
        )]
        .into(),
        ..RegionFacts::default()
    }
}

/// A quota of so many vCPUs, or one that is not known, with so many in use.
fn quotas(limits: &[(Option<u64>, u64)]) -> BTreeMap<Place, QuotaFacts> {
    let of_region = |(region, (limit, used)): (&&str, &(Option<u64>, u64))| {
        let limit = limit.ok_or_else(|| "not known".to_owned());
        let running = RunningVcpus {
            instance_type: "m5.large".to_owned(),
            spot: false,
            vcpus: *used,
        };
        let facts = QuotaFacts {
            limits: [(STANDARD, limit)].into(),
            running: Ok(vec![running]),
        };
        (place_of(region), facts)
    };
    REGIONS.iter().zip(limits).map(of_region).collect()
}

fn planned(
    document: &Value,
    quotas: &BTreeMap<Place, QuotaFacts>,
) -> Result<Plan, crate::document::Faults> {
    let sweep = sweep(document);
    let candidates = candidates(&sweep, "000000000000".parse().unwrap(), None, &[]).unwrap();
    let classes = Classes::of(&sweep);
    let facts = REGIONS.map(|region| (place_of(region), facts_of(region)));
    let options = options(&sweep, &classes, candidates, &facts.into(), &context()).unwrap();
    plan(&sweep, &classes, options, quotas, &context())
}

/// A document of up to 60 members of two types, some of them with a region of their own.
fn documents() -> impl Strategy<Value = Value> {
    let member = (any::<bool>(), prop::option::weighted(0.2, 0..REGIONS.len()));
    let words = ["balanced", "cheapest", "spread", "opportunistic"];
    (
        prop::collection::vec(member, 1..60),
        prop::sample::select(words.to_vec()),
        prop::option::of(1_u32..40),
        prop::option::of(1_u32..20),
    )
        .prop_map(|(members, distribution, at_once, per_region)| {
            let member = |(large, region): (bool, Option<usize>)| {
                json!({
                    "instance_type": if large { "c5.xlarge" } else { "c5.large" },
                    "region": region.map(|at| REGIONS[at]),
                })
            };
            let params: Vec<Value> = members.into_iter().map(member).collect();
            json!({
                "ttl": "1h", "params": params, "regions": REGIONS, "distribution": distribution,
                "max_concurrent": at_once, "max_concurrent_per_region": per_region,
            })
        })
}

fn limits() -> impl Strategy<Value = Vec<(Option<u64>, u64)>> {
    prop::collection::vec((prop::option::weighted(0.8, 0_u64..160), 0_u64..40), 3)
}

proptest! {
    #[test]
    fn members_always_sum_up_and_quotas_are_never_passed(document in documents(), limits in limits()) {
        let quotas = quotas(&limits);
        let members = document["params"].as_array().unwrap().len();
        let at_once = ["max_concurrent", "max_concurrent_per_region"]
            .iter()
            .filter_map(|key| document[*key].as_u64())
            .min();
        let free = |region: Region| {
            let at = REGIONS.iter().position(|name| *name == region.as_str()).unwrap();
            limits[at].0.map(|limit| limit.saturating_sub(limits[at].1))
        };
        let Ok(plan) = planned(&document, &quotas) else {
            // Refused as a whole: no region that any member may go to has room for one.
            let smallest = document["params"].as_array().unwrap().iter().map(|member| {
                let vcpus = if member["instance_type"] == "c5.xlarge" { 4 } else { 2 };
                (vcpus, member["region"].as_str().map(str::to_owned))
            });
            for (vcpus, own) in smallest {
                for region in REGIONS.iter().filter(|region| own.as_deref().is_none_or(|own| own == **region)) {
                    prop_assert!(free(region.parse().unwrap()).is_some_and(|free| free < vcpus));
                }
            }
            return Ok(());
        };
        // Every member is in one batch of its lane, or has failed with a reason.
        prop_assert_eq!(plan.members.len(), members);
        let mut batched: BTreeMap<u32, String> = BTreeMap::new();
        for batch in &plan.batches {
            for index in batch.pending.iter() {
                prop_assert_eq!(batched.insert(index, batch.lane.to_string()), None);
            }
        }
        for member in &plan.members {
            match member.state {
                MemberState::Planned => {
                    prop_assert_eq!(batched.get(&member.index), Some(&member.lane.to_string()));
                }
                state => {
                    prop_assert_eq!(state, MemberState::Failed);
                    prop_assert!(member.reason.as_ref().is_some_and(|reason| reason.contains(STANDARD)));
                    prop_assert!(!batched.contains_key(&member.index));
                }
            }
        }
        let pending: u32 = plan.lanes.iter().map(|lane| lane.pending).sum();
        let counts = &plan.sweep.counts;
        prop_assert_eq!(counts.of(MemberState::Planned), i64::from(pending));
        prop_assert_eq!(counts.total(), i64::try_from(members).unwrap());
        let told: u32 = plan.report.regions.iter().map(|region| region.members).sum();
        prop_assert_eq!(told, pending);
        // The largest members that may run at a time in a region fit its quota.
        let mut over = false;
        for region in REGIONS.map(|name| name.parse::<Region>().unwrap()) {
            let mut sizes: Vec<u64> = plan
                .members
                .iter()
                .zip(&plan.shapes)
                .filter(|(member, _)| member.lane.region == region && member.state == MemberState::Planned)
                .map(|(member, shape)| {
                    let lane = plan.lanes.iter().find(|lane| lane.lane == member.lane).unwrap();
                    let shape = &lane.shapes[usize::try_from(*shape).unwrap()];
                    if shape.instance_types == ["c5.xlarge"] { 4 } else { 2 }
                })
                .collect();
            sizes.sort_unstable_by(|one, two| two.cmp(one));
            let held = plan.sweep.max_in.get(&region).map(|most| u64::from(*most));
            over |= held.is_some();
            let most = at_once.into_iter().chain(held).min().unwrap_or(u64::MAX);
            let needed: u64 = sizes.iter().take(usize::try_from(most).unwrap_or(usize::MAX)).sum();
            if let Some(free) = free(region) {
                prop_assert!(needed <= free, "{needed} of {free} in {region}");
            }
        }
        // A region is held back only if no other had room for a member that was free to go there.
        if over && at_once.is_none() {
            let has_free_member = plan.members.iter().any(|member| {
                let given = &document["params"][usize::try_from(member.index).unwrap()];
                given["region"].is_null() && plan.sweep.max_in.contains_key(&member.lane.region)
            });
            let is_open = |name: &str| {
                let region: Region = name.parse().unwrap();
                let taken: u64 = plan.report.quotas.iter().filter(|quota| quota.region == region).map(|quota| quota.needed_vcpus).sum();
                free(region).is_none_or(|free| free >= taken + 4)
            };
            prop_assert!(!has_free_member || !REGIONS.iter().any(|name| is_open(name)));
        }
    }

    #[test]
    fn a_plan_is_the_same_for_the_same_facts(document in documents(), limits in limits()) {
        let quotas = quotas(&limits);
        prop_assert_eq!(planned(&document, &quotas).ok(), planned(&document, &quotas).ok());
    }
}

#[test]
fn the_most_at_a_time_is_by_the_largest() {
    let mut rooms = Rooms::new(&quotas(&[(Some(11), 0), (None, 0), (None, 0)]), 100);
    let need = |vcpus| shapes::Need {
        vcpus,
        quota: quota_of("c5.large", crate::ids::Market::OnDemand),
        fallback: None,
        price: None,
    };
    let place = place_of("us-east-1");
    for vcpus in [4, 4, 4, 2, 2] {
        rooms.take(place, need(vcpus));
    }
    let room = rooms.all().find(|room| room.place == place).unwrap();
    assert_eq!(room.at_once_max(100), Some(2));
    assert_eq!(room.at_once_max(2), None);
    assert!(!rooms.has_room(place, need(2)));
    assert!(rooms.holds_one(place, need(8)));
    assert!(!rooms.holds_one(place, need(12)));
}
