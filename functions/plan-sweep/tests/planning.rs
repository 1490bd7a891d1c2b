//! Planning: every member is accounted for, a plan is written once, and a cancelled one never launches.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use std::collections::BTreeMap;

use common::{EXECUTION, Place, TRACE, deployment};
use plan_sweep::{Deployment, Output};
use serde_json::{Value, json};
use simulation::{Death, When};
use spawn_core::dns::{AddressKind, NamesRow, Naming};
use spawn_core::drain;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger as _, Stored as _};
use spawn_core::rows::{BatchRow, Drain, LaneRow, SweepRow, sweep_key, sweep_pk};
use spawn_core::state::SweepStatus;

impl Place {
    fn new() -> Self {
        Self::of(Deployment {
            notify_topic: Some("arn:topic".to_owned()),
            ..deployment("t3.micro")
        })
    }

    async fn plan(&self, input: Value, now: u64) -> Result<Output, FunctionError> {
        self.plan_of(EXECUTION, input, now).await
    }

    async fn sweep(&self, output: &Output) -> SweepRow {
        ledger::require(&self.ledger, sweep_key(&output.sweep_id))
            .await
            .unwrap()
    }

    /// Whether the ledger holds nothing but prices.
    fn planned_nothing(&self) -> bool {
        self.ledger
            .dump()
            .iter()
            .all(|row| row.key.pk.starts_with("PRICE#"))
    }

    /// Every member in one batch, every lane's numbers right.
    async fn check(&self, output: &Output) {
        let pk = sweep_pk(&output.sweep_id);
        let batches: Vec<BatchRow> = ledger::load_all(&self.ledger, &pk, "BATCH#").await.unwrap();
        let lanes: Vec<LaneRow> = ledger::load_all(&self.ledger, &pk, "LANE#").await.unwrap();
        let mut placed: BTreeMap<u32, String> = BTreeMap::new();
        for batch in &batches {
            assert!(batch.pending.len() <= 100);
            for index in batch.pending.iter() {
                let twice = placed.insert(index, batch.lane.to_string());
                assert_eq!(twice, None, "member {index} is in two batches");
            }
        }
        let members = self.members();
        assert_eq!(members.len(), usize::try_from(output.members).unwrap());
        for member in &members {
            assert_eq!(placed.get(&member.index), Some(&member.lane.to_string()));
        }
        let pending: u32 = lanes.iter().map(|lane| lane.pending).sum();
        assert_eq!(pending, output.members);
        let sweep = self.sweep(output).await;
        assert_eq!(sweep.trace.as_deref(), Some(TRACE));
        assert_eq!(sweep.status, SweepStatus::Launching);
        assert_eq!(sweep.counts.total(), i64::from(output.members));
    }
}

fn document(members: u32, regions: Value) -> Value {
    json!({"name": "test", "command": "true", "ttl": "1h", "count": members, "regions": regions})
}

fn lane_sizes(place: &Place) -> BTreeMap<String, usize> {
    let mut sizes = BTreeMap::new();
    for member in place.members() {
        *sizes.entry(member.lane.to_string()).or_insert(0) += 1;
    }
    sizes
}

#[tokio::test]
async fn members_are_spread_evenly_and_none_is_lost() {
    let place = Place::new();
    let output = place
        .plan(
            document(1_003, json!(["us-east-1", "us-west-2", "eu-west-1"])),
            1,
        )
        .await
        .unwrap();
    place.check(&output).await;
    let sizes: Vec<usize> = lane_sizes(&place).into_values().collect();
    assert_eq!(sizes.iter().sum::<usize>(), 1_003);
    assert!(
        sizes.iter().all(|size| (334..=335).contains(size)),
        "{sizes:?}"
    );
    assert_eq!(place.sweep(&output).await.topics, ["arn:topic"]);
}

#[tokio::test]
async fn counts_of_regions_are_kept_to_the_member() {
    let place = Place::new();
    let regions = json!([{"us-east-1": 5}, {"us-west-2": 2}]);
    let output = place.plan(document(7, regions), 1).await.unwrap();
    place.check(&output).await;
    let sizes = lane_sizes(&place);
    assert_eq!(sizes["us-east-1.on-demand"], 5);
    assert_eq!(sizes["us-west-2.on-demand"], 2);
}

#[tokio::test]
async fn members_with_a_region_or_market_of_their_own_get_it() {
    let place = Place::new();
    let input = json!({
        "name": "test", "command": "true", "ttl": "1h", "regions": ["us-east-1", "us-west-2"],
        "params": [{"region": "us-west-2"}, {"spot": true}, {"instance_type": "c7g.large"}, {"ttl": "2h", "x": 1}],
    });
    let output = place.plan(input, 1).await.unwrap();
    place.check(&output).await;
    let members = place.members();
    assert_eq!(members[0].lane.region.as_str(), "us-west-2");
    assert!(members[1].lane.to_string().ends_with(".spot"));
    let pk = sweep_pk(&output.sweep_id);
    let lanes: Vec<LaneRow> = ledger::load_all(&place.ledger, &pk, "LANE#").await.unwrap();
    let shapes: Vec<_> = lanes.iter().flat_map(|lane| &lane.shapes).collect();
    let arm = shapes
        .iter()
        .find(|shape| shape.instance_types == ["c7g.large"])
        .unwrap();
    assert_eq!(arm.ami, "ami-0000000b", "the image fits the architecture");
}

#[tokio::test]
async fn ten_thousand_members_are_planned_without_trouble() {
    let place = Place::new();
    let output = place
        .plan(document(10_000, json!(["us-east-1", "eu-west-1"])), 1)
        .await
        .unwrap();
    place.check(&output).await;
    let answer = serde_json::to_string(&output).unwrap();
    assert!(
        answer.len() < 2_000,
        "the answer holds ids and counts: {} bytes",
        answer.len()
    );
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_writes_nothing_to_the_ledger() {
    let place = Place::new();
    let mut input = document(500, json!(["us-east-1"]));
    input["dry_run"] = json!(true);
    let output = place.plan(input, 1).await.unwrap();
    assert!(place.planned_nothing());
    let plan = output.plan.unwrap();
    assert_eq!(plan["members"], 500);
    assert_eq!(plan["lanes"][0]["launch_calls"], 5);
    assert_eq!(
        plan["member_plans"][0]["launched_with"]["ami"],
        "ami-0000000a"
    );
    let key = output.manifest.strip_prefix("s3://results/").unwrap();
    let whole: Value = serde_json::from_str(&place.objects.text("results", key).unwrap()).unwrap();
    assert_eq!(whole["members"].as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn a_table_that_is_missing_or_broken_hides_no_other_fault() {
    let place = Place::new();
    place.objects.insert("data", "broken.csv", "a,a\n1,2\n");
    for (table, words) in [
        (
            "s3://data/none.csv",
            "there is no object s3://data/none.csv",
        ),
        ("s3://data/broken.csv", "the column \"a\" stands twice"),
        ("s3://data/", "is not the S3 URI of an object"),
    ] {
        let input = json!({"naem": 1, "regions": ["mars"], "params": table});
        let error = place.plan(input, 1).await.unwrap_err();
        assert_eq!(error.error_type(), "InvalidSweep");
        let text = error.to_string();
        for words in [
            "4 faults",
            words,
            "naem: ",
            "regions[0]: ",
            "ttl: it is missing",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[tokio::test]
async fn a_fault_beside_the_document_hides_none_in_it() {
    let place = Place::new();
    let input = json!({
        "document": {"naem": 1, "command": "true"}, "dry_run": "yes", "overides": {}, "overrides": {"spot": 5},
    });
    let text = place.plan(input, 1).await.unwrap_err().to_string();
    for words in [
        "5 faults",
        "- dry_run: \"yes\" is text",
        "- overides: ",
        "- naem: ",
        "- overrides.spot: ",
        "- ttl: it is missing",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("overrides.dry_run"), "{text}");
    let good = json!({"document": {"ttl": "1h", "command": "true"}, "overides": {}});
    let error = place.plan(good, 1).await.unwrap_err();
    assert_eq!(error.error_type(), "InvalidSweep");
    assert!(place.planned_nothing());
}

#[tokio::test]
async fn a_table_that_overrides_replace_is_not_read() {
    let place = Place::new();
    let document = json!({"ttl": "1h", "command": "true", "params": "s3://data/none.csv"});
    for (overrides, members) in [
        (json!({"params": [{"a": 1}, {"a": 2}]}), 2),
        (json!({"parameters": [{"a": 1}]}), 1),
        (json!({"params": null, "count": 3}), 3),
    ] {
        let input = json!({"document": document, "overrides": overrides, "dry_run": true});
        assert_eq!(place.plan(input, 1).await.unwrap().members, members);
    }
}

#[tokio::test]
async fn what_ec2_does_not_have_is_told_with_path_and_region_all_at_once() {
    let place = Place::new();
    let input = json!({
        "name": "test", "command": "true", "ttl": "1h", "regions": ["us-east-1"],
        "params": [
            {"instance_type": "c5.47xlarge"},
            {"instance_type": "c7g.large", "ami": "ami-0000000a"},
            {"ami": "ami-0000000c"},
            {"instance_type": "u-3tb1.56xlarge", "spot": true},
        ],
    });
    let error = place.plan(input, 1).await.unwrap_err();
    assert_eq!(error.error_type(), "InvalidSweep");
    let text = error.to_string();
    for words in [
        "4 faults",
        "params[0].instance_type",
        "c5.47xlarge",
        "params[1].ami",
        "is for x86_64",
        "params[2].ami",
        "does not exist in us-east-1",
        "params[3].instance_type",
        "as spot",
    ] {
        assert!(text.contains(words), "`{words}` is missing in: {text}");
    }
    assert!(place.planned_nothing());
}

#[tokio::test]
async fn a_fault_of_what_all_members_share_is_told_where_the_document_says_it() {
    let mut input = document(3, json!(["us-east-1"]));
    input["instance_type"] = json!("c5.47xlarge");
    let text = Place::new().plan(input, 1).await.unwrap_err().to_string();
    assert!(
        text.contains("\n- instance_type: `c5.47xlarge` is no"),
        "{text}"
    );
}

#[tokio::test]
async fn documents_and_tables_come_from_s3_and_missing_ones_are_told() {
    let place = Place::new();
    place.objects.insert(
        "data",
        "sweep.yaml",
        "name: test\ncommand: 'true'\nttl: 1h\nparams: s3://data/members.jsonl\n",
    );
    place
        .objects
        .insert("data", "members.jsonl", "{\"x\": 0.10}\n{\"x\": 1e-3}\n");
    let input = json!({"document": "s3://data/sweep.yaml"});
    let output = place.plan(input, 1).await.unwrap();
    place.check(&output).await;
    let params: Vec<String> = place
        .members()
        .into_iter()
        .map(|member| member.params)
        .collect();
    assert_eq!(params, [r#"{"x":0.10}"#, r#"{"x":1e-3}"#]);
    let missing = Place::new()
        .plan(json!({"document": "s3://data/none.yaml"}), 1)
        .await
        .unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("there is no object s3://data/none.yaml"),
        "{missing}"
    );
}

#[tokio::test]
async fn the_same_execution_plans_one_sweep_however_often_it_is_asked() {
    let place = Place::new();
    let first = place
        .plan(document(150, json!(["us-east-1"])), 1)
        .await
        .unwrap();
    let rows = place.ledger.dump();
    let second = place
        .plan(document(150, json!(["us-east-1"])), 2)
        .await
        .unwrap();
    assert_eq!(second, first);
    assert_eq!(place.ledger.dump(), rows);
}

/// A planner that dies leaves a part of a plan; the next one waits until the first cannot live any more, and writes it all.
#[tokio::test]
async fn a_death_at_any_call_is_made_good_by_the_next_planner() {
    for call in 0..40 {
        for when in [When::Before, When::After] {
            let place = Place::new();
            place.faults.arm(Some(Death { call, when }));
            place
                .faults
                .run(place.plan(document(120, json!(["us-east-1"])), 1_000))
                .await;
            place.faults.arm(None);
            let mut now = 2_000;
            let output = loop {
                match place.plan(document(120, json!(["us-east-1"])), now).await {
                    Ok(output) => break output,
                    Err(FunctionError::Conflict(_)) => now += 60_000,
                    Err(error) => panic!("{when:?} {call}: {error}"),
                }
                assert!(now < 600_000, "{when:?} {call}");
            };
            place.check(&output).await;
        }
    }
}

#[tokio::test]
async fn a_sweep_that_was_cancelled_before_it_was_planned_is_never_launched() {
    let place = Place::new();
    assert_eq!(
        drain::sweep_of_execution(&place.ledger, EXECUTION)
            .await
            .unwrap(),
        None
    );
    let error = place
        .plan(document(3, json!(["us-east-1"])), 1)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
    assert!(place.members().is_empty());
}

#[tokio::test]
async fn a_sweep_that_is_drained_while_it_is_planned_stays_drained() {
    // The planner dies before its last write, the drain comes, the next planner finds it.
    for call in 5..40 {
        let place = Place::new();
        place.faults.arm(Some(Death {
            call,
            when: When::Before,
        }));
        place
            .faults
            .run(place.plan(document(3, json!(["us-east-1"])), 1_000))
            .await;
        place.faults.arm(None);
        let Some(sweep_id) = drain::sweep_of_execution(&place.ledger, EXECUTION)
            .await
            .unwrap()
        else {
            continue;
        };
        let reason = Drain {
            status: SweepStatus::Cancelled,
            reason: "stopped".to_owned(),
        };
        let sweep = drain::mark(&place.ledger, &sweep_id, None, &reason)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(sweep.status, SweepStatus::Draining);
        let error = place
            .plan(document(3, json!(["us-east-1"])), 900_000)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("drained"), "{error}");
        let sweep: SweepRow = ledger::require(&place.ledger, sweep_key(&sweep_id))
            .await
            .unwrap();
        assert_eq!(sweep.status, SweepStatus::Draining);
    }
}

/// A deployment that gives names.
fn naming(place: &mut Place) {
    let naming = Naming::new(
        "example.com",
        "Z1",
        "123456789012",
        AddressKind::Private,
        60,
    );
    place.deployment.naming = naming.ok();
}

async fn planned_as(place: &Place, execution: &str, document: Value) -> Result<String, String> {
    match place.plan_of(execution, document, 0).await {
        Ok(output) => Ok(output.sweep_id.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_results_bucket_that_is_not_there_refuses_the_document() {
    let place = Place::new();
    let mut input = document(2, json!(["us-east-1"]));
    input["results"] = json!({"bucket": "no-such-bucket"});
    let error = place.plan(input, 0).await.unwrap_err();
    assert_eq!(error.error_type(), "InvalidSweep");
    let text = error.to_string();
    assert!(
        text.contains("results.bucket: nothing can be written to no-such-bucket: NoSuchBucket"),
        "{text}"
    );
    assert!(place.planned_nothing());
}

#[tokio::test]
async fn two_sweeps_that_live_never_share_a_name() {
    let mut place = Place::new();
    naming(&mut place);
    let document = |name: &str, label: &str| json!({"name": name, "ttl": "1h", "command": "true", "dns_name": label});
    let first = planned_as(&place, "arn:1", document("Train", "box"))
        .await
        .unwrap();
    let sweep: SweepRow = ledger::require(&place.ledger, sweep_key(&SweepId::from(first.as_str())))
        .await
        .unwrap();
    assert_eq!(sweep.dns_label.as_deref(), Some("train"));
    // The same execution again is the same sweep.
    assert_eq!(
        planned_as(&place, "arn:1", document("Train", "box")).await,
        Ok(first.clone())
    );
    let refused = planned_as(&place, "arn:2", document("train", "box"))
        .await
        .unwrap_err();
    for words in [
        "2 faults",
        &format!("- name: the name train.1kpqzg2c.example.com belongs to {first}, which lives"),
        &format!("- dns_name: the name box.1kpqzg2c.example.com belongs to {first}, which lives"),
        "naming: false",
    ] {
        assert!(refused.contains(words), "{words} in {refused}");
    }
    // A dry run tells the same, and takes nothing.
    let mut dry = document("other", "box");
    dry["dry_run"] = json!(true);
    assert!(planned_as(&place, "arn:3", dry.clone()).await.is_err());
    dry["dns_name"] = json!("free");
    planned_as(&place, "arn:3", dry).await.unwrap();
    planned_as(&place, "arn:4", document("other", "free"))
        .await
        .unwrap();
    // Without names nobody is in anybody's way.
    let mut without = document("train", "box");
    without["naming"] = json!(false);
    let id = planned_as(&place, "arn:5", without).await.unwrap();
    let sweep: SweepRow = ledger::require(&place.ledger, sweep_key(&SweepId::from(id.as_str())))
        .await
        .unwrap();
    assert_eq!(sweep.dns_label, None);
}

#[tokio::test]
async fn the_name_of_a_sweep_that_is_over_is_free_once_its_records_are_gone() {
    let mut place = Place::new();
    naming(&mut place);
    let document = json!({"name": "train", "ttl": "1h", "command": "true"});
    let first = planned_as(&place, "arn:1", document.clone()).await.unwrap();
    let first = SweepId::from(first.as_str());
    let mut sweep: SweepRow = ledger::require(&place.ledger, sweep_key(&first))
        .await
        .unwrap();
    sweep.status = SweepStatus::Completed;
    let names = NamesRow::none(first, 0);
    let rows = vec![sweep.row().unwrap(), names.row().unwrap()];
    place.ledger.put_all(rows).await.unwrap();
    let waits = planned_as(&place, "arn:2", document.clone())
        .await
        .unwrap_err();
    assert!(waits.contains("are still being deleted"), "{waits}");
    place.ledger.forget(&names.key());
    planned_as(&place, "arn:2", document).await.unwrap();
}

#[tokio::test]
async fn a_full_zone_and_every_other_fault_are_told_at_once() {
    let mut place = Place::new();
    naming(&mut place);
    let document = json!({"name": "large", "ttl": "1h", "command": "true", "count": 10_000, "instance_type": "c99.large"});
    let refused = planned_as(&place, "arn:1", document).await.unwrap_err();
    for words in ["2 faults", "which has room for 9998", "c99.large"] {
        assert!(refused.contains(words), "{words} in {refused}");
    }
}
