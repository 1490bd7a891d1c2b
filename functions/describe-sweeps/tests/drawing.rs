//! Sweeps as pictures.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use describe_sweeps::{Event, answer};
use serde_json::{Value, json};
use simulation::{World, sweep};
use spawn_core::ledger::{Ledger as _, Stored as _};
use spawn_core::money::MicroDollars;
use spawn_core::rows::MemberRow;
use spawn_core::state::{Counts, MemberState};

const LANE: &str = "us-east-1.on-demand";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:spawn-describe-sweeps";
const HOUR: u64 = 3_600_000;

async fn draw(world: &World, event: Value) -> Value {
    let event: Event = serde_json::from_value(event).unwrap();
    answer(event, &world.ledger, FUNCTION, HOUR).await.unwrap()
}

/// The widget of the world's sweep, as CloudWatch asks for it.
async fn drawn(world: &World) -> String {
    let event =
        json!({"sweep_id": world.sweep_id, "widgetContext": {"dashboardName": "spawn-overview"}});
    draw(world, event).await.as_str().unwrap().to_owned()
}

/// A sweep whose members are in these states.
async fn in_states(states: &[MemberState]) -> World {
    let count = u32::try_from(states.len()).unwrap();
    let world = World::new(&sweep(count, &[LANE], None)).await;
    let mut row = world.sweep().await;
    row.counts = Counts::tally(states.iter().copied());
    let mut rows = vec![row.row().unwrap()];
    for (member, state) in world.members().await.into_iter().zip(states) {
        let member = MemberRow {
            state: *state,
            ..member
        };
        rows.push(member.row().unwrap());
    }
    world.ledger.put_all(rows).await.unwrap();
    world
}

#[tokio::test]
async fn every_member_is_a_square_in_the_colour_of_its_state() {
    use MemberState::{Completed, Failed, Running};
    let world = in_states(&[Completed, Running, Failed, Running]).await;
    let html = drawn(&world).await;
    let grid = html
        .split_once("class=\"grid\"")
        .and_then(|(_, rest)| rest.split_once("</svg>"))
        .unwrap()
        .0;
    let colours: Vec<&str> = grid
        .split("fill=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(colours, ["#29ad32", "#0972d3", "#d91515", "#0972d3"]);
    assert!(grid.contains("<title>2: failed"), "{grid}");
    for words in ["1 completed", "2 running", "1 failed"] {
        assert!(html.contains(words), "{words}: {html}");
    }
}

#[tokio::test]
async fn a_large_sweep_has_a_picture_that_a_widget_can_hold() {
    let mut states = vec![MemberState::Completed; 25_000];
    states[12_345] = MemberState::Failed;
    let html = drawn(&in_states(&states).await).await;
    // Six megabytes is what a function may answer.
    assert!(html.len() < 1_000_000, "{}", html.len());
    assert!(html.contains("members, 3 to a square"));
    let failed = html.split("fill=\"#d91515\"").count() - 1;
    assert_eq!(failed, 2, "the legend, and the one square that holds it");
}

#[tokio::test]
async fn launches_and_what_was_run_up_are_drawn_beside_the_budget() {
    let mut row = sweep(10, &[LANE], None);
    row.budget = Some(MicroDollars(20_000_000));
    let world = World::new(&row).await;
    world.run_first_batch(1_000).await;
    let html = drawn(&world).await;
    assert!(html.contains(">launched 10<"), "{html}");
    assert!(html.contains(">ended 0<"), "{html}");
    // Ten c5.large with address and volume for an hour: 850,000 + 50,000 and ten times 8 GiB at $0.08 a month.
    assert!(
        html.contains(">run up $0.90") && html.contains(">budget $20.00<"),
        "{html}"
    );
}

#[tokio::test]
async fn without_a_sweep_there_is_a_list_whose_links_call_the_function() {
    let world = in_states(&[MemberState::Running]).await;
    let html = draw(&world, json!({"widgetContext": {}})).await;
    let html = html.as_str().unwrap();
    assert!(
        html.contains(world.sweep_id.as_str()) && html.contains(FUNCTION),
        "{html}"
    );
    let page = draw(&world, json!({"is_page": true})).await;
    let page = page.as_str().unwrap();
    let link = format!("<a href=\"?sweep_id={}\">", world.sweep_id);
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains(&link),
        "{page}"
    );
}

#[tokio::test]
async fn it_says_what_it_is_and_what_there_is_not() {
    let world = in_states(&[MemberState::Running]).await;
    let described = draw(&world, json!({"describe": true, "widgetContext": {}})).await;
    assert!(described["markdown"].as_str().unwrap().contains("sweep_id"));
    let html = draw(&world, json!({"sweep_id": "<b>no-sweep</b>"})).await;
    assert!(
        html.as_str()
            .unwrap()
            .contains("There is no sweep &lt;b&gt;no-sweep&lt;/b&gt;."),
        "{html}"
    );
    // A question is still a question.
    let asked = json!({"list": {"input": {}, "execution_arn": "arn:aws:states:us-east-1:000000000000:express:spawn-list:a:b"}});
    assert!(draw(&world, asked).await["sweeps"].is_array());
}
