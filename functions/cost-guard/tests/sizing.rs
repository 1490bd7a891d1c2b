//! Which cheaper types would have done, for sweeps that are over.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use cost_guard::{Input, Ports, handle};
use serde_json::{Value, json};
use simulation::{Offers, PriceLists, World, sweep};
use spawn_core::errors::FunctionError;
use spawn_core::instance_metrics::InstanceMetric;
use spawn_core::ports::Ec2Error;
use spawn_core::region::Region;

const ON_DEMAND: &str = "us-east-1.on-demand";
const BOOK: &str = "s3://data/prices.json";
const HOUR: u64 = 3_600_000;

/// Somewhere that a sweep of c5.large has run.
struct Place {
    world: World,
    offers: Offers,
    prices: PriceLists,
    price_book: Option<&'static str>,
}

impl Place {
    async fn new(lane: &str, metrics: &[InstanceMetric]) -> Self {
        let mut row = sweep(2, &[lane], None);
        row.instance_metrics = metrics.iter().copied().collect();
        let world = World::new(&row).await;
        world.run_first_batch(1_000).await;
        let prices = PriceLists::default();
        let region: Region = "us-east-1".parse().unwrap();
        for (name, micros) in [
            ("c5.large", 85_000),
            ("c5.xlarge", 170_000),
            ("c5n.18xlarge", 3_888_000),
            ("c7g.large", 72_500),
            ("m5.large", 96_000),
            ("t3.micro", 10_400),
        ] {
            prices.set(region, name, micros);
        }
        Self {
            world,
            offers: Offers::default(),
            prices,
            price_book: None,
        }
    }

    async fn try_ask(&self, measured: Value) -> Result<Value, FunctionError> {
        let ports = Ports {
            ledger: &self.world.ledger,
            ec2: &self.offers,
            objects: &self.world.objects,
            prices: &self.prices,
            price_book: self.price_book,
            price_age_ms_max: 48 * HOUR,
        };
        let request =
            json!({"right_size": {"sweep_id": self.world.sweep_id, "measured": [measured]}});
        let input: Input = serde_json::from_value(request).unwrap();
        Ok(handle(input, &ports, HOUR).await?.0["types"][0].clone())
    }

    async fn row(&self, name: &str, cpu: Option<f64>, memory: Option<f64>) -> Value {
        let measured = json!({"instance_type": name, "region": "us-east-1", "cpu_percent": cpu, "memory_percent": memory});
        self.try_ask(measured).await.unwrap()
    }

    async fn advice(&self, name: &str, cpu: Option<f64>, memory: Option<f64>) -> String {
        let row = self.row(name, cpu, memory).await;
        row["advice"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_highest_of_any_member_decides_and_the_average_is_shown_beside_it() {
    let place = Place::new(ON_DEMAND, &[]).await;
    let measured = json!({
        "instance_type": "c5.xlarge", "region": "us-east-1",
        "cpu_percent": 9.2, "cpu_average_percent": 4.0, "memory_percent": 100.0, "memory_average_percent": 19.0,
    });
    let row = place.try_ask(measured).await.unwrap();
    assert_eq!(
        (&row["cpu_percent"], &row["memory_percent"]),
        (&json!(10), &json!(100))
    );
    assert_eq!(
        (&row["cpu_average_percent"], &row["memory_average_percent"]),
        (&json!(4), &json!(19))
    );
    assert_eq!(row["bound_by"], "memory");
    // A c5.large has half of the memory; an m5.large has as much, and half the processors.
    assert_eq!(
        row["advice"],
        "m5.large at $0.096 an hour would have done, 43 % less"
    );
    let idle = place.advice("c5.xlarge", Some(10.0), Some(19.0)).await;
    assert_eq!(
        idle,
        "c5.large at $0.085 an hour would have done, 50 % less"
    );
    let busy = place.advice("c5.xlarge", Some(100.0), Some(19.0)).await;
    assert!(busy.starts_with("it fits: "), "{busy}");
}

#[tokio::test]
async fn the_prices_of_the_operator_come_first() {
    let mut place = Place::new(ON_DEMAND, &[]).await;
    place.price_book = Some(BOOK);
    let book = |price: &str| {
        let body = json!({"source": "our contract", "as_of": "2026-01-01",
            "prices": {"us-east-1": {"c5.xlarge": {"on_demand": price}}}});
        place
            .world
            .objects
            .insert("data", "prices.json", &body.to_string());
    };
    book("0.10");
    let row = place.row("c5.xlarge", Some(10.0), Some(10.0)).await;
    assert_eq!(row["hour"], "$0.10");
    assert_eq!(
        row["advice"],
        "c5.large at $0.085 an hour would have done, 15 % less"
    );
    book("0.08");
    let row = place.row("c5.xlarge", Some(10.0), Some(10.0)).await;
    assert!(
        row["advice"].as_str().unwrap().starts_with("it fits: "),
        "{row}"
    );
}

#[tokio::test]
async fn a_price_book_that_is_named_and_not_there_is_no_reason_to_compare_by_others() {
    let mut place = Place::new(ON_DEMAND, &[]).await;
    place.price_book = Some(BOOK);
    let measured = json!({"instance_type": "c5.xlarge", "region": "us-east-1"});
    let error = place.try_ask(measured).await.unwrap_err();
    assert_eq!(error.error_type(), "Spawn.Config");
    assert!(error.to_string().contains(BOOK), "{error}");
}

#[tokio::test]
async fn spot_is_compared_by_prices_on_demand_and_says_so() {
    let place = Place::new("us-east-1.spot", &[]).await;
    let ran = place.advice("c5.large", Some(10.0), Some(10.0)).await;
    assert!(
        ran.starts_with("it fits: ")
            && ran.ends_with("; prices on demand are compared, though it ran as spot"),
        "{ran}"
    );
    let on_demand = Place::new(ON_DEMAND, &[]).await;
    let ran = on_demand.advice("c5.large", Some(10.0), Some(10.0)).await;
    assert!(!ran.contains("spot"), "{ran}");
}

#[tokio::test]
async fn what_is_missing_for_an_advice_is_named() {
    let place = Place::new(ON_DEMAND, &[InstanceMetric::CpuUtilization]).await;
    for (name, memory, expected) in [
        (
            "c5.xlarge",
            None,
            "memory was not measured: ask for `memory_utilization` in the document's `instance_metrics`",
        ),
        (
            "c5n.18xlarge",
            None,
            "it is not of a family that is compared: it is chosen for its network, of which neither CPU nor memory tells",
        ),
        (
            "g5.xlarge",
            Some(1.0),
            "it is not of a family that is compared: it is chosen for its accelerators, of which neither CPU nor memory tells",
        ),
        (
            "p2.xlarge",
            Some(1.0),
            "it is compared with none: EC2 offers no p2.xlarge in us-east-1 now",
        ),
        (
            "u-3tb1.56xlarge",
            Some(1.0),
            "the price of u-3tb1.56xlarge on demand in us-east-1 is not known",
        ),
        (
            "t3.micro",
            Some(1.0),
            "it fits: nothing that is compared has room for what was used at a price that is known to be lower",
        ),
        // There is a c5.large for $0.085, of another architecture.
        (
            "c7g.large",
            Some(1.0),
            "it fits: nothing that is compared has room for what was used at a price that is known to be lower",
        ),
    ] {
        assert_eq!(place.advice(name, Some(1.0), memory).await, expected);
    }
}

#[tokio::test]
async fn an_ec2_that_does_not_answer_is_asked_again_and_one_that_refuses_is_told() {
    let mut place = Place::new(ON_DEMAND, &[]).await;
    let measured = json!({"instance_type": "c5.xlarge", "region": "us-east-1"});
    for (error, kind) in [
        (Ec2Error::Throttled("wait".to_owned()), "Spawn.Throttled"),
        (Ec2Error::Transient("hm".to_owned()), "Spawn.Transient"),
    ] {
        place.offers.refusal = Some(error);
        let error = place.try_ask(measured.clone()).await.unwrap_err();
        assert_eq!(error.error_type(), kind);
    }
    place.offers.refusal = Some(Ec2Error::Refused("AuthFailure".to_owned()));
    let told = place.advice("c5.xlarge", Some(1.0), Some(1.0)).await;
    assert_eq!(
        told,
        "it is compared with none: EC2 does not tell what us-east-1 offers (AuthFailure)"
    );
}
