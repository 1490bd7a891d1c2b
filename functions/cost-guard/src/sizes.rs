//! The types of a finished sweep with what they used, and the cheaper ones that would have done.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::clock;
use spawn_core::cost::{Utilisation, bound, candidates, settle};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::Ledger;
use spawn_core::ports::AskPrices;
use spawn_core::prices::{self, Needs, PriceBook};

use crate::{Ports, read};

/// Types of one sweep that are looked at.
const TYPES_MAX: usize = 40;

/// The types of a sweep by region, and the span in which they ran.
pub(crate) async fn types(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    now: u64,
) -> Result<Value, FunctionError> {
    let sweep = read::sweep(ledger, sweep_id).await?;
    let members = read::members(ledger, &sweep).await?;
    let pairs: BTreeSet<(String, String)> = members
        .iter()
        .flat_map(|member| &member.spent)
        .map(|spent| (spent.instance_type.clone(), spent.region.to_string()))
        .collect();
    let types: Vec<Value> = pairs
        .into_iter()
        .take(TYPES_MAX)
        .map(|(name, region)| json!({"instance_type": name, "region": region}))
        .collect();
    let end = sweep.ended_at.unwrap_or(now).max(sweep.started_at + 60_000);
    // CloudWatch answers 1,440 points at the most, in whole minutes.
    let period = ((end - sweep.started_at) / 1000)
        .div_ceil(1_440)
        .div_ceil(60)
        .max(1)
        * 60;
    Ok(json!({
        "sweep_id": sweep_id,
        "types": types,
        "start": clock::format_iso(sweep.started_at),
        "end": clock::format_iso(end),
        "period_s": period,
    }))
}

/// What was measured of each type.
#[derive(Clone, Debug, Deserialize)]
pub struct RightSizeInput {
    /// The sweep.
    sweep_id: SweepId,
    /// By type and region.
    measured: Vec<MeasuredType>,
}

/// What was measured of one type.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct MeasuredType {
    instance_type: String,
    region: spawn_core::region::Region,
    /// The highest average of a period, in percent; `null` when nothing was measured.
    #[serde(default)]
    cpu_percent: Option<f64>,
    /// The same of the memory.
    #[serde(default)]
    memory_percent: Option<f64>,
}

impl MeasuredType {
    fn utilisation(&self) -> Utilisation {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to a percentage"
        )]
        let whole = |percent: f64| percent.clamp(0.0, 100.0).ceil() as u64;
        Utilisation {
            instance_type: self.instance_type.clone(),
            region: self.region,
            cpu_percent: self.cpu_percent.map(whole),
            memory_percent: self.memory_percent.map(whole),
        }
    }
}

/// The table: each type with its utilisation, what it cost, and the cheapest type with room for what was used.
pub(crate) async fn right_size<L: Ledger, A: AskPrices>(
    ports: &Ports<'_, L, A>,
    request: &RightSizeInput,
    now: u64,
) -> Result<Value, FunctionError> {
    let sweep = read::sweep(ports.ledger, &request.sweep_id).await?;
    let members = read::members(ports.ledger, &sweep).await?;
    let changes = read::changes(ports.ledger, &members).await?;
    let spent = settle(&members, &changes, now).unwrap_or_default();
    let mut needs: Needs = BTreeMap::new();
    for one in &request.measured {
        let types = needs.entry(one.region).or_default();
        types.insert(one.instance_type.clone(), false);
        types.extend(
            candidates(&one.utilisation())
                .into_iter()
                .map(|name| (name, false)),
        );
    }
    let age = ports.price_age_ms_max;
    let book = prices::look_up(
        ports.ledger,
        ports.prices,
        PriceBook::default(),
        &needs,
        now,
        age,
    )
    .await?;
    let table: Vec<Value> = request.measured.iter().map(|one| row(one, &book)).collect();
    Ok(json!({
        "sweep_id": request.sweep_id,
        "types": table,
        "cost_by_type": spent.to_output()["by_type"],
    }))
}

fn row(one: &MeasuredType, book: &PriceBook) -> Value {
    let used = one.utilisation();
    let hour = book.hour_at_most(&one.region, &one.instance_type);
    // A candidate whose price is not known is no candidate: nothing is guessed.
    let best = candidates(&used)
        .into_iter()
        .filter_map(|name| Some((book.hour_at_most(&one.region, &name)?, name)))
        .min();
    let advice = match (hour, best, bound(&used)) {
        (_, _, None) => {
            "nothing was measured: ask for `instance_metrics` in the document".to_owned()
        }
        (Some(hour), Some((less, name)), Some(_)) if less < hour && name != one.instance_type => {
            let percent = (hour.0 - less.0).saturating_mul(100) / hour.0.max(1);
            format!("{name} at {less} an hour would have done, {percent} % less")
        }
        (None, _, Some(_)) => "its price is not known".to_owned(),
        (Some(_), None, Some(_)) => {
            "no type of the families C, M and R compares with it".to_owned()
        }
        (Some(_), Some(_), Some(_)) => "it fits".to_owned(),
    };
    json!({
        "instance_type": one.instance_type,
        "region": one.region,
        "cpu_percent": used.cpu_percent,
        "memory_percent": used.memory_percent,
        "bound_by": bound(&used),
        "hour": hour.map(|hour| hour.to_string()),
        "advice": advice,
    })
}
