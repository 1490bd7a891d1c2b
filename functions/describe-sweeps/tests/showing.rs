//! What is shown of sweeps, members and instances.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use describe_sweeps::{Asked, Input, handle};
use serde_json::{Value, json};
use simulation::{World, sweep};
use spawn_core::clock;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger as _, Stored as _};
use spawn_core::rows::{LaneRow, MemberRow, SweepRow, Trouble, lane_key};
use spawn_core::state::{Counts, MemberState, SweepStatus};

const LANE: &str = "us-east-1.on-demand";
const START: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60_000;

fn asked(input: Value) -> Asked {
    Asked {
        input,
        execution_arn: "arn:aws:states:us-east-1:000000000000:express:spawn-status:a:b".to_owned(),
    }
}

async fn status(world: &World, input: Value, now: u64) -> Result<Value, FunctionError> {
    handle(Input::Status(asked(input)), &world.ledger, now).await
}

async fn list(world: &World, input: Value) -> Value {
    let listed = handle(Input::List(asked(input)), &world.ledger, START).await;
    listed.unwrap()
}

fn member(sweep: &SweepRow, index: u32, state: MemberState, ended_at: Option<u64>) -> MemberRow {
    let lane = ["us-east-1.spot", "eu-west-1.on-demand"][usize::from(index % 2 == 1)];
    let launched_at = START + u64::from(index) * 1000;
    MemberRow {
        state,
        name: Some(format!("point-{index}")),
        launched_at: Some(launched_at),
        ended_at,
        reason: (state == MemberState::Failed).then(|| "exit code 1".to_owned()),
        ttl_deadline: Some(launched_at + 60 * MINUTE),
        ..MemberRow::planned(sweep.sweep_id.clone(), 1, index, lane.parse().unwrap())
    }
}

/// A sweep of eight members: one failed, three completed, four running.
async fn half_done() -> World {
    use MemberState::{Completed, Failed, Running};
    let mut row = sweep(8, &["us-east-1.spot", "eu-west-1.on-demand"], None);
    row.started_at = START;
    row.status = SweepStatus::Running;
    let members: Vec<MemberRow> = (0..8)
        .map(|index| match index {
            0 => member(&row, index, Failed, Some(START + 25 * MINUTE)),
            1..4 => member(&row, index, Completed, Some(START + 25 * MINUTE)),
            _ => member(&row, index, Running, None),
        })
        .collect();
    row.counts = Counts::tally(members.iter().map(|member| member.state));
    let rows = members.iter().map(|member| member.row());
    World::of_rows(&row, std::iter::once(row.row()).chain(rows).collect()).await
}

#[tokio::test]
async fn a_sweep_is_shown_with_its_pace_its_slowest_and_its_failed_members() {
    let world = half_done().await;
    let input = json!({"sweep_id": world.sweep_id});
    let shown = status(&world, input, START + 30 * MINUTE).await.unwrap();
    assert_eq!(
        shown["counts"],
        json!({"running": 4, "completed": 3, "failed": 1})
    );
    assert_eq!(
        shown["by_region"],
        json!({
            "eu-west-1": {"running": 2, "completed": 2},
            "us-east-1": {"running": 2, "completed": 1, "failed": 1},
        })
    );
    // Four of eight ended in the last ten minutes, so the other four will take ten more.
    assert_eq!(shown["ended_per_hour"], 24);
    assert_eq!(shown["time_left_s"], 600);
    let slowest = shown["slowest"].as_array().unwrap();
    let slowest: Vec<&Value> = slowest.iter().map(|member| &member["member"]).collect();
    assert_eq!(slowest, [4, 5, 6, 7]);
    assert_eq!(shown["failed"][0]["reason"], "exit code 1");
    assert_eq!(
        shown["reasons"],
        json!([{"reason": "exit code 1", "members": 1}])
    );
    assert_eq!(
        shown["over_at_the_latest"],
        clock::format_iso(START + 7_000 + 60 * MINUTE)
    );
}

#[tokio::test]
async fn the_time_of_a_stopped_member_stands_still_and_its_sweep_has_no_end() {
    let world = half_done().await;
    let mut stopped = world.members().await.remove(5);
    stopped.state = MemberState::Stopped;
    stopped.paused_at = Some(START + 20 * MINUTE);
    let rows = vec![stopped.row().unwrap()];
    world.ledger.put_all(rows).await.unwrap();
    for minute in [30, 300] {
        let input = json!({"sweep_id": world.sweep_id, "member": 5});
        let now = START + minute * MINUTE;
        let shown = status(&world, input, now).await.unwrap();
        assert_eq!(shown["time_left_s"], 40 * 60 + 5);
        let input = json!({"sweep_id": world.sweep_id});
        let shown = status(&world, input, now).await.unwrap();
        assert_eq!(shown["over_at_the_latest"], Value::Null);
    }
}

#[tokio::test]
async fn a_lane_that_waits_says_for_what() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    let key = lane_key(&world.sweep_id, &LANE.parse().unwrap());
    let fresh: LaneRow = ledger::require(&world.ledger, key).await.unwrap();
    let dry = Trouble {
        rest_until: START + 2 * MINUTE,
        last_error: Some("EC2 has no capacity: InsufficientInstanceCapacity".to_owned()),
        ..Trouble::default()
    };
    let resting = LaneRow {
        troubles: [(0, dry.clone())].into(),
        ..fresh.clone()
    };
    let throttled = LaneRow {
        not_before: START + 5_000,
        setbacks: 2,
        ..fresh.clone()
    };
    let calls = "EC2 has throttled or not answered 2 calls in a row";
    for (lane, waits_s, because) in [
        (fresh, 0, Value::Null),
        (resting, 120, json!(dry.last_error)),
        (throttled, 5, json!(calls)),
    ] {
        let rows = vec![lane.row().unwrap()];
        world.ledger.put_all(rows).await.unwrap();
        let input = json!({"sweep_id": world.sweep_id});
        let shown = status(&world, input, START).await.unwrap();
        let shown = &shown["lanes"][0];
        assert_eq!(
            (&shown["waits_s"], &shown["waits_because"]),
            (&json!(waits_s), &because)
        );
    }
}

#[tokio::test]
async fn nothing_is_foretold_before_the_first_end() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    world.launch_first_batch().await;
    let input = json!({"sweep_id": world.sweep_id});
    let shown = status(&world, input, 2_000).await.unwrap();
    assert_eq!(shown["time_left_s"], Value::Null);
    assert_eq!(shown["ended_per_hour"], Value::Null);
    assert_eq!(shown["counts"], json!({"launching": 3}));
}

#[tokio::test]
async fn a_member_is_shown_by_its_index_or_its_name() {
    let world = half_done().await;
    for name in [json!(5), json!("5"), json!("point-5")] {
        let input = json!({"sweep_id": world.sweep_id, "member": name});
        let shown = status(&world, input, START + 45 * MINUTE).await.unwrap();
        assert_eq!(shown["index"], 5);
        assert_eq!(shown["state"], "running");
        assert_eq!(shown["time_left_s"], 15 * 60 + 5);
    }
}

#[tokio::test]
async fn an_instance_is_shown_by_its_id_alone_with_its_member_and_its_report() {
    let world = World::new(&sweep(3, &[LANE], None)).await;
    let instances = world.launch_first_batch().await;
    let report = json!({"report_exit_code": 3, "report_at": 7_000});
    let key = spawn_core::rows::instance_key(&instances[1]);
    world
        .ledger
        .report(&key, report.as_object().unwrap().clone());
    for name in [instances[1].instance_id.clone(), instances[1].to_string()] {
        let shown = status(&world, json!({"instance_id": name}), 8_000).await;
        let shown = shown.unwrap();
        assert_eq!(shown["member"]["index"], 1);
        assert_eq!(shown["is_the_members_instance"], true);
        assert_eq!(shown["report"]["exit_code"], 3);
        assert_eq!(shown["sweep"]["sweep_id"], json!(world.sweep_id));
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is() {
    let world = half_done().await;
    let id = &world.sweep_id;
    for (input, part) in [
        (json!({"sweep_id": "gone"}), "there is no sweep `gone`"),
        (
            json!({"sweep_id": id, "member": 8}),
            "has no member 8; accepted: 0 to 7",
        ),
        (
            json!({"sweep_id": id, "member": "point-9"}),
            "is called `point-9`",
        ),
        (
            json!({"instance_id": "i-01234567"}),
            "knows no instance i-01234567",
        ),
    ] {
        let error = status(&world, input, START).await.unwrap_err();
        assert_eq!(error.error_type(), "NotFound");
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// A hundred sweeps of two owners, some of the same age.
async fn hundred() -> World {
    let world = World::new(&sweep(1, &[LANE], None)).await;
    let rows = (0..100_u64).map(|number| {
        let mut row = sweep(1, &[LANE], None);
        row.sweep_id = SweepId::from(format!("s{number:03}").as_str());
        row.started_at = START + number / 7;
        row.owner = ["ada", "bob"][usize::from(number % 3 == 0)].to_owned();
        row.project = format!("p{}", number % 2);
        if number % 5 == 0 {
            row.status = SweepStatus::Completed;
        }
        row.row().unwrap()
    });
    world.ledger.put_all(rows.collect()).await.unwrap();
    world
}

/// The ids of all pages.
async fn pages(world: &World, mut input: Value) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = list(world, input.clone()).await;
        let sweeps = page["sweeps"].as_array().unwrap();
        let limit = input["limit"].as_u64().unwrap_or(20);
        assert!(sweeps.len() <= usize::try_from(limit).unwrap());
        ids.extend(
            sweeps
                .iter()
                .map(|s| s["sweep_id"].as_str().unwrap().to_owned()),
        );
        match page.get("next") {
            Some(next) => input["next"] = next.clone(),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn every_sweep_is_on_one_page_of_the_list_and_the_newest_come_first() {
    let world = hundred().await;
    for limit in [1, 7, 10, 100] {
        let ids = pages(&world, json!({"limit": limit})).await;
        let mut expected: Vec<u64> = (0..100).collect();
        expected.sort_by_key(|number| (std::cmp::Reverse(number / 7), *number));
        let mut expected: Vec<String> = expected.iter().map(|n| format!("s{n:03}")).collect();
        // The world's own sweep is the oldest.
        expected.push(world.sweep_id.to_string());
        assert_eq!(ids, expected, "{limit} a page");
    }
}

#[tokio::test]
async fn sweeps_are_listed_by_owner_project_and_status_together() {
    let world = hundred().await;
    let input = json!({"owner": "bob", "project": "p1", "status": ["completed"], "limit": 2});
    assert_eq!(pages(&world, input).await, ["s075", "s045", "s015"]);
    let project = pages(&world, json!({"project": "p0"})).await;
    assert_eq!(project.len(), 50);
    let live = pages(&world, json!({"status": "live"})).await;
    assert_eq!(live.len(), 81);
}
