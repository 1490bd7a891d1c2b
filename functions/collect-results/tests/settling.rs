//! Settling: results and status of sweeps that ended in every way.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use collect_results::{Input, Ports, handle};
use serde_json::{Value, json};
use simulation::{Death, When, World, sweep};
use spawn_core::errors::FunctionError;
use spawn_core::ids::InstanceArn;
use spawn_core::instance_metrics::InstanceMetric;
use spawn_core::ledger::{self, Stored as _};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::ports::InstanceState;
use spawn_core::rows::{LINGERING_PK, LingeringRow, instance_key};
use spawn_core::state::SweepStatus;
use spawn_core::track;

const LANE: &str = "us-east-1.on-demand";

async fn settle(world: &World, now: u64) -> Result<Value, FunctionError> {
    settle_for(world, None, now).await
}

async fn settle_for(
    world: &World,
    execution: Option<&str>,
    now: u64,
) -> Result<Value, FunctionError> {
    let input = Input {
        sweep_id: world.sweep_id.clone(),
        execution_arn: execution.map(str::to_owned),
    };
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &world.cloud,
        objects: &world.objects,
    };
    handle(input, &ports, now).await
}

/// Ends a member's instance, after a report with this exit code and result, if any.
async fn end(world: &World, arn: &InstanceArn, report: Option<(i64, &str)>) {
    let member = world
        .members()
        .await
        .into_iter()
        .find(|m| m.instance.as_ref() == Some(arn))
        .unwrap();
    if let Some((code, result)) = report {
        let key = format!("sweeps/{}/{}/result.json", world.sweep_id, member.index);
        world.objects.insert("results", &key, result);
        let attributes =
            json!({"report_exit_code": code, "report_at": 1, "report_result_key": key});
        world
            .ledger
            .report(&instance_key(arn), attributes.as_object().unwrap().clone());
    }
    let seen = Observation::State(InstanceState::Terminated, None);
    track::apply(&world.ledger, &[Sighting::new(arn.clone(), seen)], 5_000)
        .await
        .unwrap();
}

fn table(world: &World) -> String {
    world
        .objects
        .text("results", &format!("sweeps/{}/results.csv", world.sweep_id))
        .unwrap()
}

#[tokio::test]
async fn results_become_columns_and_the_status_tells_of_failures() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    let arns = world.launch_first_batch().await;
    end(
        &world,
        &arns[0],
        Some((0, r#"{"score": 0.10, "note": "a, \"b\""}"#)),
    )
    .await;
    end(&world, &arns[1], Some((2, "not json"))).await;
    end(&world, &arns[2], None).await;
    let output = settle(&world, 9_000).await.unwrap();
    assert_eq!(output["status"], "completed_with_failures");
    assert_eq!(output["counts"]["completed"], 1);
    assert_eq!(output["counts"]["failed"], 2);
    assert_eq!(output["duration_s"], 9);
    // Three instances for the minute that is billed at least, with volumes and addresses.
    assert_eq!(output["cost_usd"].to_string(), "0.004548");
    assert_eq!(output["cost"]["by_region"]["us-east-1"], "$0.004548");
    assert_eq!(output["cost"]["incomplete"], Value::Null);
    assert_eq!(
        table(&world),
        "index,name,param.index,state,exit_code,reason_code,cost_usd,score,note\n\
         0,,0,completed,0,completed,0.001516,0.10,\"a, \"\"b\"\"\"\n\
         1,,1,failed,2,exit_code,0.001516,,\n\
         2,,2,failed,,lost,0.001516,,\n"
    );
    let manifest = world.objects.text(
        "results",
        &format!("sweeps/{}/manifest.json", world.sweep_id),
    );
    let manifest: Value = serde_json::from_str(&manifest.unwrap()).unwrap();
    assert_eq!(manifest["members"].as_array().unwrap().len(), 3);
    assert_eq!(
        world.sweep().await.status,
        SweepStatus::CompletedWithFailures
    );
}

#[tokio::test]
async fn a_sweep_in_which_none_completes_has_failed_with_the_reasons() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    for arn in world.launch_first_batch().await {
        end(&world, &arn, Some((7, "{}"))).await;
    }
    let output = settle(&world, 9_000).await.unwrap();
    assert_eq!(output["status"], "failed");
    assert_eq!(
        output["reasons"],
        json!([{"reason": "exit code 7", "members": 3}])
    );
}

#[tokio::test]
async fn a_sweep_that_is_not_over_is_not_settled() {
    let world = World::new(&sweep(2, &[LANE], None)).await;
    let arns = world.launch_first_batch().await;
    end(&world, &arns[0], Some((0, "{}"))).await;
    assert!(matches!(
        settle(&world, 1).await,
        Err(FunctionError::Conflict(_))
    ));
    assert_eq!(world.sweep().await.status, SweepStatus::Launching);
}

#[tokio::test]
async fn a_drained_sweep_keeps_the_results_it_has_and_the_name_of_its_end() {
    let world = World::new(&sweep(3, &[LANE], Some(2))).await;
    let arns = world.launch_first_batch().await;
    end(&world, &arns[0], Some((0, r#"{"score": 1}"#))).await;
    world.drain(SweepStatus::Cancelled, "stopped").await;
    end(&world, &arns[1], None).await;
    let output = settle(&world, 9_000).await.unwrap();
    assert_eq!(output["status"], "cancelled");
    assert_eq!(output["drained_because"], "stopped");
    assert_eq!(output["counts"]["completed"], 1);
    assert_eq!(output["counts"]["reaped"], 1);
    assert_eq!(output["counts"]["planned"], 1);
    assert!(table(&world).contains("0,,0,completed,0,completed,0.001516,1\n"));
}

#[tokio::test]
async fn a_member_that_is_not_tried_again_ends_as_its_last_try_did() {
    let mut wanted = sweep(3, &[LANE], Some(2));
    wanted.retries.failure = 1;
    let world = World::new(&wanted).await;
    let arns = world.launch_first_batch().await;
    end(&world, &arns[0], Some((0, "{}"))).await;
    end(&world, &arns[1], Some((3, r#"{"step": 7}"#))).await;
    assert_eq!(world.sweep().await.retrying, 1);
    world.drain(SweepStatus::Cancelled, "stopped").await;
    let output = settle(&world, 9_000).await.unwrap();
    let counts = &output["counts"];
    assert_eq!(
        (&counts["completed"], &counts["failed"], &counts["planned"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let told = [("exit code 3", 1), ("never launched", 1)];
    let told = told.map(|(reason, members)| json!({"reason": reason, "members": members}));
    assert_eq!(output["reasons"], json!(told));
    let table = table(&world);
    assert!(
        table.contains("1,,1,failed,3,exit_code,0.001516,7\n"),
        "{table}"
    );
    assert!(
        table.contains("2,,2,planned,,never_launched,,\n"),
        "{table}"
    );
    assert_eq!(world.sweep().await.retrying, 0);
    assert_eq!(world.violations().await, Vec::<String>::new());
    assert_eq!(settle(&world, 99_000).await.unwrap(), output);
}

#[tokio::test]
async fn members_that_a_planner_did_not_come_to_are_counted() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    let last = world.members().await.remove(2);
    ledger::forget(&world.ledger, last.key(), last.version)
        .await
        .unwrap();
    world.drain(SweepStatus::Cancelled, "stopped").await;
    let output = settle(&world, 9_000).await.unwrap();
    assert_eq!(output["counts"]["planned"], 3);
}

/// The row by which its lane would have heard of the next try goes in the transaction that ends the member.
#[tokio::test]
async fn a_settlement_that_died_anywhere_ends_what_is_not_tried_again_once() {
    for call in 0..40 {
        for when in [When::Before, When::After] {
            let mut wanted = sweep(2, &[LANE], None);
            wanted.retries.failure = 1;
            let world = World::new(&wanted).await;
            for arn in world.launch_first_batch().await {
                end(&world, &arn, Some((3, "{}"))).await;
            }
            world.drain(SweepStatus::Cancelled, "stopped").await;
            world.faults.arm(Some(Death { call, when }));
            world.faults.run(settle(&world, 9_000)).await;
            world.faults.arm(None);
            let output = settle(&world, 9_000).await.unwrap();
            assert_eq!(output["counts"]["failed"], 2, "{when:?} {call}");
            assert_eq!(world.sweep().await.retrying, 0);
            assert_eq!(world.violations().await, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn results_that_cannot_be_read_are_told_and_what_json_has_no_word_for_is_read() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    let arns = world.launch_first_batch().await;
    end(&world, &arns[0], Some((0, r#"{"loss": NaN, "lr": 0.1}"#))).await;
    end(&world, &arns[1], Some((0, "[1, 2]"))).await;
    end(&world, &arns[2], Some((0, ""))).await;
    let output = settle(&world, 9_000).await.unwrap();
    let table = table(&world);
    assert!(
        table.contains(",loss,lr\n0,,0,completed,0,completed,0.001516,NaN,0.1\n"),
        "{table}"
    );
    assert_eq!(
        output["results_note"],
        "results without columns: 2, the first of them that of member 1: it is a list, not an object; the manifest has every one \
         under result_note"
    );
    let key = format!("sweeps/{}/manifest.json", world.sweep_id);
    let manifest = world.objects.text("results", &key).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let notes: Vec<&Value> = (0..3)
        .map(|i| &manifest["members"][i]["result_note"])
        .collect();
    assert_eq!(
        notes,
        [
            &Value::Null,
            &json!("it is a list, not an object"),
            &json!("it is empty")
        ]
    );
    assert_eq!(settle(&world, 99_000).await.unwrap(), output);
}

#[tokio::test]
async fn an_execution_that_has_lost_the_sweep_settles_nothing() {
    let world = World::new(&sweep(1, &[LANE], None)).await;
    let arns = world.launch_first_batch().await;
    end(&world, &arns[0], Some((0, "{}"))).await;
    let refused = settle_for(&world, Some("arn:of:another"), 9_000).await;
    assert!(matches!(refused, Err(FunctionError::Superseded(_))));
    assert!(!world.sweep().await.status.is_ended());
    let own = world.sweep().await.execution_arn;
    let output = settle_for(&world, Some(&own), 9_000).await.unwrap();
    assert_eq!(output["status"], "completed");
}

#[tokio::test]
async fn settling_again_answers_the_same_and_writes_nothing() {
    let world = World::new(&sweep(1, &[LANE], None)).await;
    let arns = world.launch_first_batch().await;
    end(&world, &arns[0], Some((0, "{}"))).await;
    let first = settle(&world, 9_000).await.unwrap();
    let key = format!("sweeps/{}/results.csv", world.sweep_id);
    world.objects.insert("results", &key, "untouched");
    assert_eq!(settle(&world, 99_000).await.unwrap(), first);
    assert_eq!(world.objects.text("results", &key).unwrap(), "untouched");
}

#[tokio::test]
async fn a_death_at_any_call_is_made_good_by_the_next_settlement() {
    for call in 0..40 {
        for when in [When::Before, When::After] {
            let world = World::new(&sweep(2, &[LANE], None)).await;
            for arn in world.launch_first_batch().await {
                end(&world, &arn, Some((0, r#"{"score": 1}"#))).await;
            }
            world.faults.arm(Some(Death { call, when }));
            world.faults.run(settle(&world, 9_000)).await;
            world.faults.arm(None);
            let output = settle(&world, 9_000).await.unwrap();
            assert_eq!(output["status"], "completed", "{when:?} {call}");
            assert!(table(&world).contains("1,,1,completed,0,completed,0.001516,1\n"));
        }
    }
}

/// The key of a result is the instance's word: one that points elsewhere is not read.
#[tokio::test]
async fn a_result_key_outside_the_sweep_is_not_followed() {
    let world = World::new(&sweep(1, &[LANE], None)).await;
    let arns = world.launch_first_batch().await;
    world
        .objects
        .insert("results", "sweeps/other/0/result.json", r#"{"secret": 1}"#);
    let attributes = json!({"report_exit_code": 0, "report_at": 1, "report_result_key": "sweeps/other/0/result.json"});
    world.ledger.report(
        &instance_key(&arns[0]),
        attributes.as_object().unwrap().clone(),
    );
    end(&world, &arns[0], None).await;
    settle(&world, 9_000).await.unwrap();
    assert!(!table(&world).contains("secret"));
}

#[tokio::test]
async fn what_instance_metrics_have_cost_at_most_is_told_beside_the_bill() {
    let mut wanted = sweep(3, &[LANE], None);
    wanted.instance_metrics = InstanceMetric::ALL.into();
    let world = World::new(&wanted).await;
    for arn in &world.launch_first_batch().await {
        end(&world, arn, Some((0, "{}"))).await;
    }
    let output = settle(&world, 9_000).await.unwrap();
    // Three instances in an hour of the clock each: six metrics at 300,000 by 672, and sixty calls.
    assert_eq!(output["instance_metrics_cost_at_most"], "$0.009837");
    assert_eq!(output["cost_usd"].to_string(), "0.004548");
}

/// Its instance is stopped when its member ends, and its volume goes on costing: passes look after the sweep until it is gone.
#[tokio::test]
async fn a_sweep_is_looked_after_while_an_instance_of_it_is_stopped() {
    for (state, lingers) in [
        (InstanceState::Stopped, true),
        (InstanceState::Terminated, false),
    ] {
        let world = World::new(&sweep(1, &[LANE], None)).await;
        let arns = world.launch_first_batch().await;
        let attributes = json!({"report_exit_code": 0, "report_at": 1});
        let attributes = attributes.as_object().unwrap().clone();
        world.ledger.report(&instance_key(&arns[0]), attributes);
        let seen = Sighting::new(arns[0].clone(), Observation::State(state, None));
        track::apply(&world.ledger, &[seen], 5_000).await.unwrap();
        assert_eq!(world.sweep().await.live, 0);
        let output = settle(&world, 9_000).await.unwrap();
        assert_eq!(output["status"], "completed", "{state:?}");
        let rows: Vec<LingeringRow> = ledger::load_all(&world.ledger, LINGERING_PK, "")
            .await
            .unwrap();
        assert_eq!(rows.len(), usize::from(lingers), "{state:?}");
    }
}
