//! Prices and budgets: what is not known is refused, what is known is asked for once, and a plan shows what it costs.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

mod common;

use common::{EXECUTION, Place, deployment};
use plan_sweep::Output;
use serde_json::{Value, json};
use spawn_core::budget::{BudgetRow, Period, Scope};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger as _, Stored as _};
use spawn_core::money::MicroDollars;
use spawn_core::prices::{PriceRow, price_pk};
use spawn_core::rows::{LaneRow, sweep_pk};

const HOUR: u64 = 3_600_000;
/// 2026-01-22T10:00:00Z.
const NOW: u64 = 1_769_076_000_000;

impl Place {
    fn new() -> Self {
        let place = Self::of(deployment("c5.large"));
        for (region, micros) in [("us-east-1", 85_000), ("eu-west-1", 96_000)] {
            place
                .prices
                .set(region.parse().unwrap(), "c5.large", micros);
        }
        place.prices.add_spot(
            "us-east-1".parse().unwrap(),
            "c5.large",
            "us-east-1a",
            0,
            30_000,
        );
        place
    }

    async fn plan(&self, input: Value, now: u64) -> Result<Output, FunctionError> {
        let execution = format!("{EXECUTION}-{now}");
        self.plan_of(&execution, input, now).await
    }
}

fn document(budget: &str) -> Value {
    json!({
        "name": "priced", "command": "true", "ttl": "2h", "budget": budget, "dry_run": true,
        "params": [{"x": 1}, {"x": 2}, {"x": 3}],
    })
}

#[tokio::test]
async fn a_dry_run_shows_what_the_sweep_costs_and_for_how_many_members_its_budget_suffices() {
    let place = Place::new();
    let plan = place
        .plan(document("1 USD"), NOW)
        .await
        .unwrap()
        .plan
        .unwrap();
    // 2 h of c5.large, 8 GiB at $0.08 a month of 672 h, and the address: 170000 + 1905 + 10000, three times.
    assert_eq!(plan["worst_case_cost"], "$0.545715");
    let cost = &plan["cost"];
    assert_eq!(cost["budget"]["suffices"], true);
    assert_eq!(cost["budget"]["suffices_for_members"], 3);
    assert_eq!(
        cost["sources"],
        json!(["AWS Price List", "EC2 spot price history"])
    );
    let lane = &plan["lanes"][0]["cost"];
    assert_eq!(
        lane["prices"][0]["on_demand_hour"],
        "$0.085 (AWS Price List, 0 h old)"
    );
    assert_eq!(
        lane["prices"][0]["spot_hour"],
        "$0.03 (EC2 spot price history, 0 h old)"
    );
    assert_eq!(lane["longest_ttl_hours"], "2.00");
    // Three times two hours of $0.055 an hour less.
    assert_eq!(lane["spot_saves"], "$0.33 if it were spot");
}

#[tokio::test]
async fn a_budget_with_room_for_some_is_planned_with_a_warning_and_one_with_room_for_nobody_refused()
 {
    let place = Place::new();
    let plan = place.plan(document("0.40 USD"), NOW).await.unwrap();
    let plan = plan.plan.unwrap();
    assert_eq!(plan["cost"]["budget"]["suffices"], false);
    assert_eq!(plan["cost"]["budget"]["suffices_for_members"], 2);
    let words = "3 members at their full ttl may cost $0.545715, more than the budget of $0.40, which suffices for 2";
    assert!(plan["warnings"].to_string().contains(words), "{plan}");
    let refused = place.plan(document("0.18 USD"), NOW).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("budget: member 0 at its full ttl may cost $0.181905, more than the budget of $0.18, so that it could never be launched"),
        "{text}"
    );
}

#[tokio::test]
async fn a_price_that_nobody_has_said_refuses_a_budget_by_type_and_region() {
    let place = Place::new();
    let mut input = document("100 USD");
    input["instance_type"] = json!("m5.large");
    let text = place
        .plan(input.clone(), NOW)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("instance_type: the price of m5.large on demand in us-east-1 is not known, and the sweep has a budget"),
        "{text}"
    );
    assert!(text.contains("parameter PriceBook"), "{text}");
    // Without a budget nobody is kept from launching what has no price.
    input.as_object_mut().unwrap().remove("budget");
    let plan = place.plan(input, NOW).await.unwrap().plan.unwrap();
    assert_eq!(plan["worst_case_cost"], Value::Null);
}

#[tokio::test]
async fn what_standing_budgets_leave_is_in_the_plan_and_what_they_could_never_hold_refuses() {
    let place = Place::new();
    let mut input = document("1 USD");
    input.as_object_mut().unwrap().remove("budget");
    input["owner"] = json!("ann");
    let limit = async |micros: i64, version: u64| {
        let row = BudgetRow {
            scope: Scope::Owner,
            name: "ann".to_owned(),
            period: Period::Daily,
            limit: MicroDollars(micros),
            set_at: 0,
            version,
        };
        let rows = vec![row.row().unwrap()];
        place.ledger.put_all(rows).await.unwrap();
    };
    limit(400_000, 0).await;
    let plan = place.plan(input.clone(), NOW).await.unwrap().plan.unwrap();
    let shown = &plan["cost"]["standing_budgets"][0];
    assert_eq!(shown["budget"], "the daily budget of owner ann of $0.40");
    assert_eq!(shown["members"], 3);
    assert_eq!(shown["has_room_for_members"], 2);
    let words = "is charged with $0.00, which leaves room for 2 of 3 members at their full ttl";
    assert!(plan["warnings"].to_string().contains(words), "{plan}");

    let mut unpriced = input.clone();
    unpriced["instance_type"] = json!("m5.large");
    let text = place.plan(unpriced, NOW).await.unwrap_err().to_string();
    let words = "the price of m5.large on demand in us-east-1 is not known, and the sweep is charged to the daily budget of owner ann of $0.40";
    assert!(
        text.contains(words) && text.contains("parameter PriceBook"),
        "{text}"
    );

    limit(10_000, 1).await;
    let text = place.plan(input, NOW).await.unwrap_err().to_string();
    let words = "owner: member 0 at its full ttl may cost $0.181905, more than the daily budget of owner ann of $0.01, so that it could never be launched";
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn a_price_that_aws_does_not_renew_is_too_old_after_its_time() {
    let place = Place::new();
    place.plan(document("1 USD"), NOW).await.unwrap();
    let asked = place.prices.asked();
    place
        .plan(document("1 USD"), NOW + 48 * HOUR)
        .await
        .unwrap();
    assert_eq!(
        place.prices.asked(),
        asked,
        "what is young enough is not asked for again"
    );
    place.prices.fall_silent();
    let text = place
        .plan(document("1 USD"), NOW + 49 * HOUR)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("the price of c5.large on demand in us-east-1 is too old: it was asked on 2026-01-22T10:00:00Z"),
        "{text}"
    );
    assert!(
        text.contains("the Price List did not answer: timed out"),
        "{text}"
    );
}

#[tokio::test]
async fn the_operators_own_rates_come_before_the_list() {
    let mut place = Place::new();
    place.deployment.price_book = Some("s3://data/prices.json".to_owned());
    place.objects.insert(
        "data",
        "prices.json",
        r#"{"source": "our contract", "as_of": "2026-01-01", "prices": {"us-east-1": {"c5.large": {"on_demand": "0.05"}}}}"#,
    );
    let plan = place
        .plan(document("1 USD"), NOW)
        .await
        .unwrap()
        .plan
        .unwrap();
    let lane = &plan["lanes"][0]["cost"];
    assert_eq!(
        lane["prices"][0]["on_demand_hour"],
        "$0.05 (our contract, 2026-01-01)"
    );
    assert_eq!(plan["worst_case_cost"], "$0.335715");
}

#[tokio::test]
async fn lanes_keep_the_prices_that_launching_reserves_by() {
    let place = Place::new();
    let mut input = document("10 USD");
    input["dry_run"] = json!(false);
    let output = place.plan(input, NOW).await.unwrap();
    let pk = sweep_pk(&output.sweep_id);
    let lanes: Vec<LaneRow> = ledger::load_all(&place.ledger, &pk, "LANE#").await.unwrap();
    let prices = &lanes[0].prices;
    assert_eq!(prices.commitments, [Some(MicroDollars(181_905))]);
    assert_eq!(
        prices.types["c5.large"].spot_in["us-east-1a"],
        MicroDollars(30_000)
    );
    let region = "us-east-1".parse().unwrap();
    let page = place
        .ledger
        .query(&price_pk(&region), "", None)
        .await
        .unwrap();
    let keys: Vec<PriceRow> = page
        .rows
        .into_iter()
        .map(|row| PriceRow::from_row(row).unwrap())
        .collect();
    let items: Vec<&str> = keys.iter().map(|row| row.item.as_str()).collect();
    assert_eq!(
        items,
        [
            "c5.large#on-demand",
            "c5.large#spot#us-east-1a",
            "gp3#gib-month",
            "public-ipv4#hour"
        ]
    );
}

#[tokio::test]
async fn a_dry_run_shows_what_instance_metrics_cost_beside_the_budget() {
    let place = Place::new();
    let plan = async |document: Value| place.plan(document, NOW).await.unwrap().plan.unwrap();
    assert_eq!(
        plan(document("1 USD")).await["instance_metrics"],
        Value::Null
    );

    let mut wanted = document("1 USD");
    wanted["instance_metrics"] = json!(true);
    let metrics = &plan(wanted.clone()).await["instance_metrics"];
    // All but the GPU's; by type, and by sweep and type, cpu and memory; and six of all.
    assert_eq!(metrics["metrics_of_an_instance"], 6);
    assert_eq!(metrics["metrics_shared"], 10);
    // Six times $0.30 by 672 hours, and sixty calls.
    assert_eq!(metrics["instance_hour_at_most"], "$0.003279");
    // 2 h may touch three hours of the clock: nine of 3,279, and as many of the ten shared ones at 4,465.
    assert_eq!(metrics["worst_case_cost"], "$0.069696");
    assert!(
        metrics["source"]
            .as_str()
            .unwrap()
            .contains("CloudWatch Pricing")
    );

    wanted["instance_metrics"] = json!(["cpu_utilization"]);
    let some = plan(wanted.clone()).await;
    assert_eq!(some["instance_metrics"]["metrics_of_an_instance"], 1);
    let about_metrics = |plan: &Value| -> Vec<Value> {
        let warnings = plan["warnings"].as_array().unwrap().iter();
        warnings
            .filter(|words| words.as_str().unwrap().contains("instance metrics"))
            .cloned()
            .collect()
    };
    assert!(about_metrics(&some).is_empty(), "$1 has room for both");

    wanted["budget"] = json!("0.55 USD");
    wanted["instance_metrics"] = json!(true);
    assert_eq!(
        about_metrics(&plan(wanted).await),
        ["instance metrics may cost $0.069696, which the budget of $0.55 does not count"]
    );
}
