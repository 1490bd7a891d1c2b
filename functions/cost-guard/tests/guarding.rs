//! Checks of live sweeps, standing budgets and reports.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use cost_guard::{Input, Ports, handle};
use serde_json::{Value, json};
use simulation::{Offers, PriceLists, World, sweep};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger as _, Stored as _, Versioned as _, Write, path};
use spawn_core::lifecycle::{Observation, Sighting};
use spawn_core::money::MicroDollars;
use spawn_core::ports::InstanceState;
use spawn_core::rows::{LingeringRow, OnBudget, instance_key, sweep_key};
use spawn_core::state::SweepStatus;
use spawn_core::track;

const LANE: &str = "us-east-1.on-demand";
const HOUR: u64 = 3_600_000;

async fn try_ask(world: &World, input: Value, now: u64) -> Result<Value, FunctionError> {
    let ports = Ports {
        ledger: &world.ledger,
        ec2: &Offers::default(),
        objects: &world.objects,
        prices: &PriceLists::default(),
        price_book: None,
        price_age_ms_max: 48 * HOUR,
    };
    let input: Input = serde_json::from_value(input).unwrap();
    Ok(handle(input, &ports, now).await?.0)
}

async fn ask(world: &World, input: Value, now: u64) -> Value {
    try_ask(world, input, now).await.unwrap()
}

/// Ten members that run since the first second, under a budget.
async fn running(budget: i64, on_budget: OnBudget) -> World {
    let mut row = sweep(10, &[LANE], None);
    row.budget = Some(MicroDollars(budget));
    row.on_budget = on_budget;
    row.topics = vec!["arn:aws:sns:us-east-1:000000000000:spawn-costs".to_owned()];
    let world = World::new(&row).await;
    world.run_first_batch(1_000).await;
    world
}

#[tokio::test]
async fn shares_of_a_budget_are_told_once_held_at_eighty_and_drained_at_a_hundred() {
    // An hour of ten c5.large with volumes and addresses costs about $0.91.
    let world = running(20_000_000, OnBudget::Drain).await;
    let check = async |now| ask(&world, json!({"check": {}}), now).await;
    assert_eq!(check(HOUR).await["decisions"], json!([]));
    let told = check(12 * HOUR).await;
    let decision = &told["decisions"][0];
    assert_eq!(
        (&decision["percent"], &decision["drain"]),
        (&json!(50), &json!(false))
    );
    assert!(
        decision["message"]
            .as_str()
            .unwrap()
            .contains("of the budget of $20.00 are spent"),
        "{decision}"
    );
    // Until it is noted that people were told, they are told again.
    assert_eq!(check(12 * HOUR + 1).await["decisions"][0]["percent"], 50);
    ask(
        &world,
        json!({"told": {"sweep_id": world.sweep_id, "percent": 50}}),
        12 * HOUR,
    )
    .await;
    assert_eq!(check(12 * HOUR + 2).await["decisions"], json!([]));
    assert!(world.sweep().await.held.is_none());
    assert_eq!(check(18 * HOUR).await["decisions"][0]["percent"], 80);
    assert!(
        world
            .sweep()
            .await
            .held
            .unwrap()
            .contains("of the budget of $20.00 are spent")
    );
    let drained = check(23 * HOUR).await;
    assert_eq!(drained["decisions"][0]["drain"], true);
    let cost = world.sweep().await.cost.unwrap();
    assert!(cost.accrued.0 > 20_000_000 && cost.forecast >= cost.accrued);
    assert_eq!(cost.burn_per_hour.0, 850_000);
}

/// A run is billed for a minute at least, which a young instance of a short ttl has run up and does not run up again.
#[tokio::test]
async fn the_least_that_is_billed_is_foretold_once() {
    let world = running(100_000_000, OnBudget::Notify).await;
    let mut rows = Vec::new();
    for mut member in world.members().await {
        member.ttl_deadline = Some(61_000);
        rows.push(member.row().unwrap());
    }
    world.ledger.put_all(rows).await.unwrap();
    ask(&world, json!({"check": {}}), 6_000).await;
    let young = world.sweep().await.cost.unwrap();
    ask(&world, json!({"check": {}}), 61_000).await;
    let in_the_end = world.sweep().await.cost.unwrap();
    assert_eq!(young.forecast, in_the_end.accrued);
    assert_eq!(young.accrued, young.forecast);
    assert_eq!(in_the_end.forecast, in_the_end.accrued);
}

/// Ten members that run since the first second, and an owner whose day has this limit.
async fn charged_to_its_owner(limit: &str, on_budget: OnBudget) -> World {
    let mut row = sweep(10, &[LANE], None);
    row.on_budget = on_budget;
    row.topics = vec!["arn:aws:sns:us-east-1:000000000000:spawn-costs".to_owned()];
    let world = World::new(&row).await;
    let budget =
        json!({"scope": "owner", "name": row.owner, "period": "daily", "limit": "1000 USD"});
    ask(&world, json!({ "set_budget": budget }), 0).await;
    world.run_first_batch(1_000).await;
    let budget = json!({"scope": "owner", "name": row.owner, "period": "daily", "limit": limit});
    ask(&world, json!({ "set_budget": budget }), HOUR).await;
    world
}

#[tokio::test]
async fn shares_of_a_standing_budget_are_told_once_and_hold_and_drain_its_sweeps() {
    let world = charged_to_its_owner("18 USD", OnBudget::Drain).await;
    let check = async |now| ask(&world, json!({"check": {}}), now).await["decisions"].clone();
    assert_eq!(check(HOUR).await, json!([]));
    let decision = check(10 * HOUR).await[0].clone();
    let note = json!({"told_of_standing": {"period": "BUDGET#owner#somebody|daily#1970-01-01", "percent": 50}});
    assert_eq!(
        (&decision["note"], &decision["drain"]),
        (&note, &json!(false))
    );
    let words = "of the daily budget of owner somebody of $18.00 are spent";
    assert!(
        decision["message"].as_str().unwrap().contains(words),
        "{decision}"
    );
    ask(&world, note, 10 * HOUR).await;
    assert_eq!(check(10 * HOUR + 1).await, json!([]));
    assert_eq!(world.sweep().await.held, None);
    assert_eq!(check(16 * HOUR).await[0]["percent"], 80);
    assert!(world.sweep().await.held.unwrap().contains(words));
    // Decided again until the sweep drains, whoever was told.
    for _ in 0..2 {
        let decision = check(20 * HOUR).await[0].clone();
        assert_eq!(decision["drain"], true);
        ask(&world, decision["note"].clone(), 20 * HOUR).await;
    }
    world.drain(SweepStatus::OverBudget, "over budget").await;
    assert_eq!(check(20 * HOUR + 1).await, json!([]));
}

#[tokio::test]
async fn a_standing_budget_that_was_removed_asks_for_nothing() {
    let world = charged_to_its_owner("18 USD", OnBudget::Drain).await;
    let gone = json!({"scope": "owner", "name": "somebody", "period": "daily", "limit": null});
    ask(&world, json!({ "set_budget": gone }), 19 * HOUR).await;
    let checked = ask(&world, json!({"check": {}}), 20 * HOUR).await;
    assert_eq!(checked["decisions"], json!([]));
    assert_eq!(
        (&checked["checked"], &checked["failed"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_sweep_that_only_wants_to_be_told_is_neither_held_nor_drained() {
    let world = running(20_000_000, OnBudget::Notify).await;
    let checked = ask(&world, json!({"check": {}}), 30 * HOUR).await;
    assert_eq!(checked["decisions"][0]["drain"], false);
    assert_eq!(world.sweep().await.held, None);
}

#[tokio::test]
async fn a_day_that_is_none_is_refused_and_never_taken_for_another() {
    let world = running(20_000_000, OnBudget::Notify).await;
    for (input, words) in [
        (json!({"day": 20_260_122}), "day: 20260122 is no text"),
        (json!({"day": "22.1.2026"}), "day: `22.1.2026` is no day"),
        (json!({"dya": "2026-01-22"}), "dya: "),
    ] {
        let asked = json!({"report": input});
        let error = try_ask(&world, asked, 1).await.unwrap_err();
        assert_eq!(error.error_type(), "InvalidInput");
        assert!(error.to_string().contains(words), "{error}");
    }
    let none = ask(&world, json!({"report": {}}), 30 * HOUR).await;
    assert_eq!(none["day"], "1970-01-01");
}

#[tokio::test]
async fn the_parts_of_days_add_up_to_what_was_spent() {
    let world = running(100_000_000, OnBudget::Drain).await;
    let day = async |day: &str, now| {
        ask(&world, json!({"report": {"day": day}}), now).await["report"]["total"].clone()
    };
    let amount = |text: Value| text.as_str().unwrap().parse::<MicroDollars>().unwrap().0;
    let now = 36 * HOUR;
    let (first, second) = (day("1970-01-01", now).await, day("1970-01-02", now).await);
    ask(&world, json!({"check": {}}), now).await;
    let accrued = world.sweep().await.cost.unwrap().accrued.0;
    assert_eq!(amount(first) + amount(second), accrued);
}

/// Instances that their document stops at the end go on costing in the days after it.
#[tokio::test]
async fn a_volume_is_in_the_reports_of_the_days_after_the_end_of_its_sweep() {
    let world = running(100_000_000, OnBudget::Drain).await;
    for member in world.members().await {
        let arn = member.instance.unwrap();
        let report = json!({"report_exit_code": 0, "report_at": 1});
        let key = instance_key(&arn);
        world
            .ledger
            .report(&key, report.as_object().unwrap().clone());
        let stopped = Observation::State(InstanceState::Stopped, None);
        let seen = Sighting::new(arn, stopped);
        track::apply(&world.ledger, &[seen], HOUR).await.unwrap();
    }
    let set = |what: Vec<(ledger::Path, Value)>| Write::Update {
        key: sweep_key(&world.sweep_id),
        set: what,
        remove: Vec::new(),
        add: Vec::new(),
        when: Vec::new(),
    };
    let ended = vec![
        (path(&["status"]), json!("completed")),
        (path(&["ended_at"]), json!(HOUR)),
    ];
    let lingering = LingeringRow {
        sweep_id: world.sweep_id.clone(),
        ended_at: HOUR,
        version: 0,
    };
    let writes = vec![set(ended), lingering.create().unwrap()];
    world.ledger.commit(writes).await.unwrap();
    let day = async |day: &str| {
        ask(&world, json!({"report": {"day": day}}), 90 * HOUR).await["report"]["total"].clone()
    };
    // Ten times 8 GiB at $0.08 for 24 of 744 hours are $0.20645, of the third day as of the second.
    let third = day("1970-01-03").await;
    assert!(third.as_str().unwrap().starts_with("$0.2064"), "{third}");
    let span = ask(
        &world,
        json!({"period": {"sweep_id": world.sweep_id}}),
        90 * HOUR,
    )
    .await;
    assert_eq!(span["end"], "1970-01-05", "{span}");
    // Nothing is there any more since the third day: its report stays what it is.
    let gone = set(vec![(path(&["lingered_until"]), json!(60 * HOUR))]);
    let forget = Write::Delete {
        key: lingering.key(),
        expect: ledger::Expect::Version(0),
    };
    world.ledger.commit(vec![gone, forget]).await.unwrap();
    assert_eq!(day("1970-01-03").await, third);
    assert_eq!(day("1970-01-04").await, "$0.00");
    let span = ask(
        &world,
        json!({"period": {"sweep_id": world.sweep_id}}),
        90 * HOUR,
    )
    .await;
    assert_eq!(span["end"], "1970-01-04", "{span}");
}

#[tokio::test]
async fn a_standing_budget_is_set_changed_and_removed_and_every_fault_is_told() {
    let world = running(100_000_000, OnBudget::Notify).await;
    let budget = |limit: Value| json!({"set_budget": {"scope": "owner", "name": "ann", "period": "daily", "limit": limit}});
    assert_eq!(
        ask(&world, budget(json!("100 USD")), 1).await["limit"],
        "$100.00"
    );
    assert_eq!(ask(&world, budget(json!(50)), 2).await["limit"], "$50.00");
    assert_eq!(
        ask(&world, budget(Value::Null), 3).await["limit"],
        Value::Null
    );
    let wrong =
        json!({"set_budget": {"scope": "team", "name": "", "period": "yearly", "limit": -1}});
    let error = try_ask(&world, wrong, 1).await.unwrap_err();
    assert_eq!(error.error_type(), "InvalidInput");
    for path in ["scope", "name", "period", "limit"] {
        assert!(
            error.to_string().contains(&format!("- {path}: ")),
            "{error}"
        );
    }
    // A slip of the pen removes nothing.
    ask(&world, budget(json!(5)), 4).await;
    let slip = json!({"set_budget": {"scope": "owner", "name": "ann", "period": "daily", "limt": "50 USD"}});
    let error = try_ask(&world, slip, 5).await.unwrap_err().to_string();
    assert!(
        error.starts_with("2 faults in the input of spawn-budget:")
            && error.contains("did you mean limit?")
            && error.contains("- limit: is missing"),
        "{error}"
    );
    let key = ("BUDGET#owner#ann", "daily");
    let key = spawn_core::ledger::Key::new(key.0, key.1);
    let kept: spawn_core::budget::BudgetRow = spawn_core::ledger::require(&world.ledger, key)
        .await
        .unwrap();
    assert_eq!(kept.limit, MicroDollars(5_000_000));
}

/// A sweep that begins, or is resumed, when people were told of the share already.
#[tokio::test]
async fn a_sweep_is_held_whoever_was_told_of_the_share_before() {
    let own = running(20_000_000, OnBudget::Hold).await;
    let shared = charged_to_its_owner("18 USD", OnBudget::Hold).await;
    for world in [own, shared] {
        let check = async |now| ask(&world, json!({"check": {}}), now).await["decisions"].clone();
        let decision = check(18 * HOUR).await[0].clone();
        assert_eq!(decision["percent"], 80);
        ask(&world, decision["note"].clone(), 18 * HOUR).await;
        assert_eq!(check(18 * HOUR + 1).await, json!([]), "told, and held");
        let mut sweep = world.sweep().await;
        sweep.held = None;
        world
            .ledger
            .put_all(vec![sweep.row().unwrap()])
            .await
            .unwrap();
        let decision = check(18 * HOUR + 2).await[0].clone();
        assert_eq!(decision["percent"], 80);
        let text = decision["message"].as_str().unwrap();
        assert!(text.contains("nothing more is launched"), "{text}");
        assert!(world.sweep().await.held.is_some());
        assert_eq!(check(18 * HOUR + 3).await, json!([]));
    }
}

#[tokio::test]
async fn a_reconcile_says_why_ledger_and_bill_differ() {
    let world = running(100_000_000, OnBudget::Notify).await;
    let bill = json!([{"Estimated": true, "Groups": [
        {"Keys": ["BoxUsage:c5.large"], "Metrics": {"UnblendedCost": {"Amount": "0.8499999999", "Unit": "USD"}}},
        {"Keys": ["DataTransfer-Out-Bytes"], "Metrics": {"UnblendedCost": {"Amount": "0.25", "Unit": "USD"}}},
    ]}]);
    let request = json!({"reconcile": {"sweep_id": world.sweep_id, "bill": bill}});
    let answer = ask(&world, request, HOUR + 1_000).await;
    let categories = answer["categories"].as_array().unwrap();
    let why = |name: &str| {
        categories
            .iter()
            .find(|one| one["category"] == name)
            .unwrap()["why"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(why("instances"), "equal");
    assert!(why("volumes").starts_with("not billed yet"));
    assert!(why("data_transfer").starts_with("not in the ledger"));
}
