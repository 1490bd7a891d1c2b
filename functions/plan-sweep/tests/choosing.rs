//! Choosing: types by requirements, regions by pattern and price, and what quotas have room for.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use std::collections::BTreeMap;

use common::{EXECUTION, Place, deployment};
use plan_sweep::{Deployment, Output};
use serde_json::{Value, json};
use spawn_core::errors::FunctionError;
use spawn_core::ledger;
use spawn_core::limits::{QuotaRow, quota_key};
use spawn_core::ports::{Ec2Error, RunningVcpus};
use spawn_core::region::Region;
use spawn_core::rows::{BatchRow, LaneRow, MemberRow, SweepRow, sweep_key, sweep_pk};
use spawn_core::state::MemberState;

const DAY_MS: u64 = 24 * 3_600_000;

const STANDARD: &str = "L-1216C47A";
const G: &str = "L-DB2E81BA";

const BOOK: &str = r#"{"source": "test", "as_of": "2026-01-22", "prices": {
    "us-east-1": {"c5.large": {"on_demand": "0.085"}, "c5.xlarge": {"on_demand": "0.17"}, "m5.large": {"on_demand": "0.08"}},
    "us-west-2": {"c5.large": {"on_demand": "0.075"}, "c5.xlarge": {"on_demand": "0.15"}},
    "eu-west-1": {"c5.large": {"on_demand": "0.095"}, "c5.xlarge": {"on_demand": "0.19"}}
}}"#;

impl Place {
    fn new() -> Self {
        let place = Self::of(Deployment {
            price_book: Some("s3://data/prices.json".to_owned()),
            ..deployment("c5.large")
        });
        place.objects.insert("data", "prices.json", BOOK);
        place
    }

    fn quota(mut self, region: &str, code: &str, vcpus: u64) -> Self {
        let key = (region.parse().unwrap(), code.to_owned());
        self.offers.quotas.insert(key, vcpus);
        self
    }

    async fn plan(&self, input: Value) -> Result<Output, FunctionError> {
        self.plan_of(EXECUTION, input, 1).await
    }

    /// Plans a sweep of an execution of its own at `now`, in ms since 1970.
    async fn plan_at(&self, input: Value, now: u64) -> Result<Output, FunctionError> {
        self.plan_of(&format!("{EXECUTION}-{now}"), input, now)
            .await
    }

    /// The plan of a dry run.
    async fn dry(&self, mut input: Value) -> Value {
        input["dry_run"] = json!(true);
        self.plan(input).await.unwrap().plan.unwrap()
    }

    async fn refusal(&self, input: Value) -> String {
        self.plan(input).await.unwrap_err().to_string()
    }

    async fn rows(&self, output: &Output) -> (SweepRow, Vec<LaneRow>, Vec<BatchRow>) {
        let pk = sweep_pk(&output.sweep_id);
        let sweep = ledger::require(&self.ledger, sweep_key(&output.sweep_id));
        (
            sweep.await.unwrap(),
            ledger::load_all(&self.ledger, &pk, "LANE#").await.unwrap(),
            ledger::load_all(&self.ledger, &pk, "BATCH#").await.unwrap(),
        )
    }
}

fn document(members: u32) -> Value {
    json!({"name": "test", "command": "true", "ttl": "1h", "count": members})
}

fn with(mut document: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

/// Members by region, as a dry run tells them.
fn by_region(plan: &Value) -> BTreeMap<String, u64> {
    let regions = plan["regions"].as_array().unwrap().iter();
    regions
        .filter(|region| region["members"] != 0)
        .map(|region| {
            let name = region["region"].as_str().unwrap().to_owned();
            (name, region["members"].as_u64().unwrap())
        })
        .collect()
}

fn regions(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs
        .iter()
        .map(|(name, members)| ((*name).to_owned(), *members))
        .collect()
}

fn warnings(plan: &Value) -> String {
    plan["warnings"].to_string()
}

#[tokio::test]
async fn requirements_are_met_by_the_cheapest_types_with_the_reason() {
    let place = Place::new();
    let wanted = json!({"instance_requirements": {
        "vcpu_count": {"min": 2, "max": 4}, "memory": {"min": "4 GiB"}, "workload": "cpu",
    }});
    let plan = place.dry(with(document(3), wanted)).await;
    let types = &plan["lanes"][0]["types"][0];
    // c5.xlarge costs twice as much: more than 20 % over the cheapest.
    assert_eq!(types["instance_types"], json!(["c5.large"]));
    assert_eq!(types["price_per_hour"], "$0.085");
    let reason = types["reason"].as_str().unwrap();
    assert!(
        reason.contains("2 of 4 types meet the requirements"),
        "{reason}"
    );
    let wide = json!({"instance_requirements": {
        "memory_gib": {"max": 8}, "on_demand_max_price_percentage_over_lowest_price": 200,
    }});
    let plan = place.dry(with(document(3), wide)).await;
    let types = &plan["lanes"][0]["types"][0]["instance_types"];
    assert_eq!(*types, json!(["m5.large", "c5.large", "c5.xlarge"]));
    let gpu = json!({"instance_requirements": {"gpu_count": {"min": 1}, "gpu_name": "a10g"}});
    let plan = place.dry(with(document(1), gpu)).await;
    assert_eq!(
        plan["lanes"][0]["types"][0]["instance_types"],
        json!(["g5.xlarge"])
    );
    let arm = json!({"instance_requirements": {"cpu_architecture": "arm64"}});
    let plan = place.dry(with(document(1), arm)).await;
    let shape = &plan["lanes"][0]["shapes"][0];
    assert_eq!(shape["instance_types"], json!(["c7g.large"]));
    assert_eq!(shape["ami"], "ami-0000000b");
}

#[tokio::test]
async fn requirements_that_nothing_meets_name_the_one_that_leaves_nothing() {
    let wanted = json!({"instance_requirements": {"workload": "cpu", "vcpu_count": {"min": 100}}});
    let text = Place::new().refusal(with(document(1), wanted)).await;
    let words = "instance_requirements: no type of us-east-1 meets them: of 3 types that meet those before it, none has at least 100 vCPUs";
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn a_type_that_a_region_does_not_offer_is_told_with_regions_that_do() {
    let mut place = Place::new();
    for region in Region::all().filter(|region| region.as_str() != "eu-west-1") {
        place.offers.missing.insert((region, "c5.large".to_owned()));
    }
    let text = place.refusal(document(1)).await;
    assert!(
        text.contains("no instance type that EC2 offers in us-east-1"),
        "{text}"
    );
    assert!(text.contains("it is offered in eu-west-1"), "{text}");
    // Regions of a pattern that lack it are left out, with the reason.
    let plan = place.dry(with(document(4), json!({"regions": "eu"}))).await;
    assert_eq!(by_region(&plan), regions(&[("eu-west-1", 4)]));
    let left_out = plan["regions"].as_array().unwrap().iter();
    let left_out = left_out.filter(|region| region["left_out"].is_string());
    assert_eq!(left_out.count(), 7);
}

#[tokio::test]
async fn an_opt_in_region_counts_only_if_it_is_enabled() {
    let text = Place::new()
        .refusal(with(document(1), json!({"regions": ["af-south-1"]})))
        .await;
    assert!(
        text.contains("regions: af-south-1: the account has not enabled it"),
        "{text}"
    );
    assert!(
        text.contains("aws account enable-region --region-name af-south-1"),
        "{text}"
    );
    let plan = Place::new()
        .dry(with(document(8), json!({"regions": "eu"})))
        .await;
    assert_eq!(by_region(&plan).len(), 5);
}

#[tokio::test]
async fn cheapest_fills_the_cheapest_region_and_goes_on_as_its_quota_ends() {
    let cheapest = json!({
        "distribution": "cheapest", "regions": ["us-east-1", "us-west-2", "eu-west-1", "eu-north-1"],
    });
    let plan = Place::new().dry(with(document(10), cheapest.clone())).await;
    assert_eq!(by_region(&plan), regions(&[("us-west-2", 10)]));
    let order: Vec<&str> = plan["regions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["region"].as_str())
        .collect();
    assert_eq!(order, ["us-west-2", "us-east-1", "eu-west-1", "eu-north-1"]);
    let place = Place::new()
        .quota("us-west-2", STANDARD, 8)
        .quota("us-east-1", STANDARD, 6);
    let plan = place.dry(with(document(10), cheapest)).await;
    let expected = regions(&[("us-west-2", 4), ("us-east-1", 3), ("eu-west-1", 3)]);
    assert_eq!(by_region(&plan), expected);
    assert!(
        warnings(&plan).contains("3 members go from us-west-2 to us-east-1"),
        "{plan:#}"
    );
}

/// Both regions are short, and each would take what the other one has too many of.
#[tokio::test]
async fn members_are_not_exchanged_between_regions_for_nothing() {
    let place = Place::new()
        .quota("us-east-1", STANDARD, 5)
        .quota("us-west-2", STANDARD, 5);
    let input = with(document(10), json!({"regions": ["us-east-1", "us-west-2"]}));
    let plan = place.dry(input).await;
    assert_eq!(
        by_region(&plan),
        regions(&[("us-east-1", 5), ("us-west-2", 5)])
    );
    assert!(
        !warnings(&plan).contains(" from us-"),
        "{}",
        warnings(&plan)
    );
}

#[tokio::test]
async fn what_comes_to_nothing_is_told() {
    let place = Place::new();
    let input = with(
        document(1),
        json!({"hibernate_on_idle": true, "instance_type": "c5.large"}),
    );
    let plan = place.dry(input).await;
    assert!(
        warnings(&plan).contains("hibernate_on_idle without idle_timeout"),
        "{plan:#}"
    );
}

#[tokio::test]
async fn distance_is_measured_from_the_data() {
    let near = json!({
        "regions": ["us-east-1", "us-west-2", "eu-west-1"], "region_order": "distance",
        "inputs": ["s3://data-eu-central-1/x"],
    });
    let plan = Place::new().dry(with(document(4), near.clone())).await;
    assert_eq!(plan["regions"][0]["region"], "eu-west-1");
    assert_eq!(plan["regions"][0]["members"], 2);
    assert!(plan["regions"][0]["distance_km"].as_u64().unwrap() < 1_500);
    let unknown = with(
        document(4),
        with(near, json!({"inputs": ["s3://somewhere/x"]})),
    );
    let text = Place::new().refusal(unknown).await;
    assert!(
        text.contains("region_order: S3 does not tell the region of somewhere"),
        "{text}"
    );
}

#[tokio::test]
async fn members_that_a_quota_has_no_room_for_move_where_the_document_lets_them() {
    let mut place = Place::new()
        .quota("us-east-1", STANDARD, 16)
        .quota("us-west-2", STANDARD, 100);
    place.offers.running.insert(
        "us-east-1".parse().unwrap(),
        vec![RunningVcpus {
            instance_type: "m5.large".to_owned(),
            spot: false,
            vcpus: 12,
        }],
    );
    let input = with(document(20), json!({"regions": ["us-east-1", "us-west-2"]}));
    let plan = place.dry(input.clone()).await;
    assert_eq!(
        by_region(&plan),
        regions(&[("us-east-1", 2), ("us-west-2", 18)])
    );
    let quota = &plan["quotas"][0];
    assert_eq!(quota["code"], STANDARD);
    assert_eq!(
        (
            quota["limit_vcpus"].as_u64(),
            quota["running_vcpus"].as_u64()
        ),
        (Some(16), Some(12))
    );
    assert_eq!(quota["short_by_vcpus"], 0);
    let output = place.plan(input).await.unwrap();
    let (sweep, lanes, _) = place.rows(&output).await;
    assert!(sweep.max_in.is_empty());
    assert_eq!(lanes.iter().map(|lane| lane.pending).sum::<u32>(), 20);
}

#[tokio::test]
async fn what_is_too_much_for_all_quotas_runs_in_waves_and_is_told_with_the_command() {
    let place = Place::new().quota("us-east-1", STANDARD, 9);
    let output = place.plan(document(100)).await.unwrap();
    let (sweep, _, _) = place.rows(&output).await;
    let region: Region = "us-east-1".parse().unwrap();
    assert_eq!(sweep.max_in.get(&region), Some(&4));
    assert_eq!(sweep.free_slots(&region), 4);
    // 25 waves of an hour, each member tried up to twice, and the margin.
    assert_eq!(output.timeout_s, 2 * 25 * 3600 + 6 * 3600);
    let plan = place.dry(document(100)).await;
    let quota = &plan["quotas"][0];
    assert_eq!(quota["short_by_vcpus"], 191);
    assert_eq!(
        quota["raise_with"],
        "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 200 --region us-east-1"
    );
    let words = warnings(&plan);
    assert!(
        words.contains("short by 191; 4 of 100 members run there at a time"),
        "{words}"
    );
    // What the document itself keeps below the quota needs no more of it.
    let plan = place
        .dry(with(document(100), json!({"max_concurrent": 4})))
        .await;
    assert_eq!(plan["quotas"][0]["short_by_vcpus"], 0);
    assert_eq!(plan["warnings"], json!([]));
}

/// Accounts begin with no spot quota for many families: what may fall back does.
#[tokio::test]
async fn a_spot_quota_of_nothing_is_no_fault_of_a_sweep_that_falls_back() {
    const SPOT: &str = "L-34B43A08";
    let of = |spot: u64, on_demand: u64| {
        let place = Place::new().quota("us-east-1", SPOT, spot);
        place.quota("us-east-1", STANDARD, on_demand)
    };
    let input = |spot: Value| with(document(3), json!({"spot": spot, "regions": ["us-east-1"]}));
    let plan = of(0, 100).dry(input(json!("fallback"))).await;
    let warnings = plan["warnings"].to_string();
    let words = "3 members are launched on demand in us-east-1, since no spot quota holds one";
    assert!(warnings.contains(words), "{warnings}");
    // As long as one fits, waiting is no reason to pay more.
    let plan = of(2, 100).dry(input(json!("fallback"))).await;
    let warnings = plan["warnings"].to_string();
    assert!(
        warnings.contains("1 of 3 members run there at a time"),
        "{warnings}"
    );
    for (spot, fits) in [(json!(true), 100), (json!("fallback"), 1)] {
        let words = of(0, fits).refusal(input(spot)).await;
        assert!(words.contains("is 0 vCPUs"), "{words}");
    }
}

#[tokio::test]
async fn a_quota_of_nothing_ends_its_members_with_the_reason_and_the_others_go_on() {
    let place = Place::new().quota("us-west-2", STANDARD, 0);
    let input = with(
        document(7),
        json!({"regions": {"us-east-1": 4, "us-west-2": 3}}),
    );
    let output = place.plan(input).await.unwrap();
    let (sweep, lanes, batches) = place.rows(&output).await;
    assert_eq!(sweep.counts.of(MemberState::Failed), 3);
    assert_eq!(sweep.counts.of(MemberState::Planned), 4);
    assert_eq!(
        sweep.ended_in[&"us-west-2".parse::<Region>().unwrap()].failed,
        3
    );
    assert_eq!(lanes.iter().map(|lane| lane.pending).sum::<u32>(), 4);
    assert_eq!(
        batches.iter().map(|batch| batch.pending.len()).sum::<u32>(),
        4
    );
    let members = place.members();
    let failed: Vec<&MemberRow> = members
        .iter()
        .filter(|m| m.state == MemberState::Failed)
        .collect();
    assert_eq!(failed.len(), 3);
    let reason = failed[0].reason.as_deref().unwrap();
    assert!(
        reason.contains("L-1216C47A") && reason.contains("in us-west-2 is 0 vCPUs"),
        "{reason}"
    );
    assert!(
        reason.contains("aws service-quotas request-service-quota-increase"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_sweep_that_no_quota_has_room_for_is_refused() {
    let place = Place::new().quota("us-east-1", STANDARD, 1);
    let text = place.refusal(document(7)).await;
    assert!(
        text.contains("short by 13") && text.contains("raise it with: aws service-quotas"),
        "{text}"
    );
    assert!(place.members().is_empty());
    // A type of other families will do where the list has one.
    let place = Place::new().quota("us-east-1", G, 0);
    let plan = place
        .dry(with(
            document(2),
            json!({"instance_type": ["g5.xlarge", "c5.large"]}),
        ))
        .await;
    assert_eq!(
        plan["lanes"][0]["types"][0]["instance_types"],
        json!(["c5.large"])
    );
}

#[tokio::test]
async fn a_quota_that_is_not_known_is_said_to_be_and_does_not_block() {
    let plan = Place::new().dry(document(500)).await;
    let words = warnings(&plan);
    assert!(
        words.contains("the quota is not known and was not checked"),
        "{words}"
    );
    assert_eq!(plan["quotas"][0]["limit_vcpus"], Value::Null);
}

#[tokio::test]
async fn lanes_share_their_shapes_under_the_same_numbers_where_members_may_move() {
    let place = Place::new();
    let input = json!({
        "name": "test", "command": "true", "ttl": "1h", "distribution": "opportunistic",
        "regions": ["us-east-1", "us-west-2"],
        "params": [{"x": 1}, {"instance_type": "c5.xlarge"}, {"region": "us-west-2", "instance_type": "m5.large", "ttl": "3h"}],
    });
    let output = place.plan(input).await.unwrap();
    let (_, lanes, _) = place.rows(&output).await;
    let types = |lane: &LaneRow| -> Vec<String> {
        lane.shapes
            .iter()
            .flat_map(|shape| shape.instance_types.clone())
            .collect()
    };
    assert_eq!(types(&lanes[0]), ["c5.large", "c5.xlarge"]);
    assert_eq!(types(&lanes[1]), ["c5.large", "c5.xlarge", "m5.large"]);
    for (lane, peer) in [(0, 1), (1, 0)] {
        assert_eq!(lanes[lane].movable_shapes, 2);
        assert_eq!(lanes[lane].peers, [lanes[peer].lane.clone()]);
        assert!(lanes[lane].opportunistic);
        assert_eq!(
            lanes[lane].ttl_s,
            Some(3 * 3600),
            "one kill switch suits whoever comes"
        );
    }
    let input = with(
        document(4),
        json!({"regions": {"us-east-1": 2, "us-west-2": 2}}),
    );
    let place = Place::new();
    let output = place.plan(input).await.unwrap();
    let (_, lanes, _) = place.rows(&output).await;
    assert!(
        lanes
            .iter()
            .all(|lane| lane.peers.is_empty() && lane.movable_shapes == 0)
    );
}

#[tokio::test]
async fn spread_gives_each_zone_its_share() {
    let place = Place::new();
    let output = place
        .plan(with(document(8), json!({"distribution": "spread"})))
        .await
        .unwrap();
    let (_, lanes, batches) = place.rows(&output).await;
    let zones: Vec<_> = lanes[0]
        .shapes
        .iter()
        .map(|shape| shape.first_zone.clone().unwrap())
        .collect();
    assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"]);
    let shares: Vec<u32> = batches.iter().map(|batch| batch.pending.len()).collect();
    assert_eq!(shares, [3, 3, 2]);
    assert_eq!(
        lanes[0].shapes[0].zones.len(),
        3,
        "the other zones stay as a way out"
    );
}

#[tokio::test]
async fn placement_groups_and_adapters_are_checked_and_planned() {
    let place = Place::new();
    let input = json!({"placement_group": "cluster", "efa": true, "instance_type": ["c5.large", "c5n.18xlarge"], "subnet_ids": "subnet-00000001"});
    let plan = place.dry(with(document(2), input)).await;
    let shape = &plan["lanes"][0]["shapes"][0];
    assert_eq!(shape["instance_types"], json!(["c5n.18xlarge"]));
    assert_eq!(shape["efa"], json!({"subnet_id": "subnet-00000001"}));
    assert_eq!(shape["subnet_ids"], json!([]));
    assert_eq!(shape["placement_group"]["is_own"], true);
    assert_eq!(
        shape["zones"],
        json!([]),
        "a cluster is in one zone, that of its first instance"
    );
    for (fields, words) in [
        (
            json!({"efa": true}),
            "efa: `c5.large` cannot have an Elastic Fabric Adapter in us-east-1",
        ),
        (
            json!({"placement_group": "cluster", "instance_type": "t3.micro"}),
            "placement_group: `t3.micro` cannot be launched into a cluster placement group",
        ),
        (
            json!({"placement_group": "loose"}),
            "there is no placement group `loose` in us-east-1",
        ),
        (
            json!({"availability_zone": "us-east-1f"}),
            "availability_zone: `us-east-1f` does not offer c5.large",
        ),
        (
            json!({"instance_type": "c7g.large", "ami": "ami-0000000a"}),
            "the image `ami-0000000a` is for x86_64, and c7g.large (arm64) cannot boot it",
        ),
    ] {
        let text = place.refusal(with(document(2), fields)).await;
        assert!(text.contains(words), "{text}");
    }
    let plan = place
        .dry(with(document(2), json!({"placement_group": "tight"})))
        .await;
    assert_eq!(
        plan["lanes"][0]["shapes"][0]["placement_group"]["is_own"],
        false
    );
}

#[tokio::test]
async fn a_budget_takes_types_with_a_price_and_counts_the_dearest_region_that_may_take_over() {
    let place = Place::new();
    let fields =
        json!({"instance_type": "c*.*large", "regions": ["us-east-1", "eu-west-1"], "budget": 100});
    let plan = place.dry(with(document(2), fields)).await;
    let types = &plan["lanes"][0]["types"][0];
    assert_eq!(types["instance_types"], json!(["c5.large", "c5.xlarge"]));
    assert!(
        types["reason"]
            .as_str()
            .unwrap()
            .contains("without a known price left out")
    );
    // Two hours of a c5.xlarge in eu-west-1, its volume and address beside.
    let most = plan["worst_case_cost"].as_str().unwrap();
    assert!(("$0.38".."$0.40").contains(&most), "{most}");
}

#[tokio::test]
async fn launch_limits_are_read_from_service_quotas_once_a_day() {
    let rate = |name: &str, thousandths: u64| {
        let region: Region = "us-east-1".parse().unwrap();
        let name = format!("RunInstances request bucket {name}");
        ((region, name), thousandths)
    };
    let mut place = Place::new();
    place.offers.rates = [rate("maximum capacity", 12_000), rate("refill rate", 4_500)].into();
    let document = document(2);
    let known = async |place: &Place| -> Option<QuotaRow> {
        let key = quota_key("000000000000", &"us-east-1".parse().unwrap());
        ledger::load(&place.ledger, key).await.unwrap()
    };
    place.dry(document.clone()).await;
    assert_eq!(known(&place).await, None, "a dry run writes nothing");
    place.plan(document.clone()).await.unwrap();
    let row = known(&place).await.unwrap();
    let run = row.sizes.run_instances.map(|size| size.to_string());
    assert_eq!(run.as_deref(), Some("12+4.5/s"));
    // Service Quotas has no applied values of these: EC2's defaults hold.
    assert_eq!(row.sizes.create_fleet, None);
    assert_eq!(row.sizes.instances, None);

    let raised = [rate("maximum capacity", 24_000), rate("refill rate", 9_000)];
    place.offers.rates = raised.into();
    place.plan_at(document.clone(), DAY_MS).await.unwrap();
    assert_eq!(
        known(&place).await.unwrap(),
        row,
        "it is not asked again so soon"
    );
    place.plan_at(document.clone(), DAY_MS + 1).await.unwrap();
    let row = known(&place).await.unwrap();
    let run = row.sizes.run_instances.map(|size| size.to_string());
    assert_eq!(run.as_deref(), Some("24+9/s"));

    // A service that does not answer leaves what was known.
    place.offers.rates.clear();
    place.offers.rate_refusal = Some("AccessDeniedException".to_owned());
    place.plan_at(document, 3 * DAY_MS).await.unwrap();
    assert_eq!(known(&place).await.unwrap(), row);
}

/// A policy of the organisation closes regions, and patterns bring them in all the same.
#[tokio::test]
async fn a_region_that_is_closed_or_silent_is_left_out_unless_the_document_names_it() {
    let denied = Ec2Error::Refused("UnauthorizedOperation: You are not authorized".to_owned());
    let silent = Ec2Error::Transient("EC2 did not answer".to_owned());
    let mut place = Place::new();
    let west: Region = "us-west-2".parse().unwrap();
    for error in [denied.clone(), silent.clone()] {
        place.offers.silent.insert(west, error);
        let input =
            json!({"name": "a", "ttl": "1h", "command": "x", "count": 2, "regions": ["us-*"]});
        let plan = place.dry(input).await;
        let regions = plan["regions"].as_array().unwrap();
        let left_out = regions.iter().find(|one| one["region"] == "us-west-2");
        let why = left_out.unwrap()["left_out"].as_str().unwrap();
        assert!(
            why.contains("EC2 refuses: UnauthorizedOperation") || why.contains("did not answer"),
            "{why}"
        );
        let lanes = plan["lanes"].to_string();
        assert!(!lanes.contains("us-west-2"), "{lanes}");
    }
    let named =
        json!({"name": "a", "ttl": "1h", "command": "x", "regions": ["us-west-2", "us-east-1"]});
    let words = place.refusal(named.clone()).await;
    assert!(
        words.contains("us-west-2: EC2 did not answer") || words.contains("us-west-2: "),
        "{words}"
    );
    place.offers.silent.insert(west, denied.clone());
    let words = place.refusal(named).await;
    assert!(words.contains("- regions: us-west-2: "), "{words}");
    assert!(words.contains("You are not authorized"), "{words}");
    for region in Region::all() {
        place.offers.silent.insert(region, denied.clone());
    }
    let none = json!({"name": "a", "ttl": "1h", "command": "x", "count": 2, "regions": ["us-*"]});
    let words = place.refusal(none).await;
    assert!(
        words.contains("- regions: none of them can be used"),
        "{words}"
    );
}
