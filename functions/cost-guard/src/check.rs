//! The scheduled look at every live sweep.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use spawn_core::cost::{Assessment, Decision, assess};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{Market, SweepId};
use spawn_core::ledger::{self, Condition, Ledger, LedgerError, Write, path};
use spawn_core::metrics::{Measured, Metric};
use spawn_core::ports::AskPrices;
use spawn_core::prices;
use spawn_core::region::Region;
use spawn_core::rows::{LaneRow, MemberRow, SweepRow, sweep_key, sweep_pk};
use spawn_core::state::SweepStatus;

use crate::{Ports, decision, read, standing};

/// A spot price that an instance runs at is asked for again after this: EC2 moves them gradually.
const SPOT_AGE_MS: u64 = 3_600_000;

/// A price is renewed after half of the time that it may be used for.
const RENEW_PART: u64 = 2;

/// Assesses every live sweep. One that cannot be assessed keeps no other from being so; it is logged, and looked at again by
/// the next check.
pub(crate) async fn all<L: Ledger, E, O, A: AskPrices>(
    ports: &Ports<'_, L, E, O, A>,
    now: u64,
) -> Result<(Value, Measured), FunctionError> {
    let statuses = [
        SweepStatus::Launching,
        SweepStatus::Running,
        SweepStatus::Draining,
    ];
    let mut decisions = Vec::new();
    let mut measured = Measured::new();
    let (mut failed, mut anomalies) = (0, 0);
    let mut assessed = Vec::new();
    let mut asked = BTreeSet::new();
    for sweep_id in read::sweep_ids(ports.ledger, &statuses).await? {
        match one(ports, &sweep_id, &mut asked, now).await {
            Ok(Some((sweep, assessment))) => {
                anomalies += i64::from(assessment.cost.is_anomalous);
                tracing::info!(
                    %sweep_id,
                    accrued = assessment.cost.accrued.0,
                    forecast = assessment.cost.forecast.0,
                    action = ?assessment.decision,
                    "sweep's cost assessed"
                );
                decisions.extend(decision::of_sweep(&sweep, &assessment));
                assessed.push((sweep, assessment));
            }
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                tracing::error!(%sweep_id, %error, "sweep's cost was not assessed");
            }
        }
    }
    let (of_budgets, failed_budgets) = standing::decisions(ports.ledger, &assessed, now).await;
    decisions.extend(of_budgets);
    failed += failed_budgets;
    let checked = i64::try_from(assessed.len()).unwrap_or(i64::MAX);
    measured = measured
        .with(Metric::CostChecks, checked)
        .with(Metric::CostChecksFailed, failed)
        .with(Metric::CostAnomalies, anomalies)
        .with(
            Metric::BudgetDecisions,
            i64::try_from(decisions.len()).unwrap_or(i64::MAX),
        );
    Ok((
        json!({"checked": checked, "failed": failed, "decisions": decisions}),
        measured,
    ))
}

/// Assesses one sweep and notes what it costs on its row. `None` when it is over meanwhile.
async fn one<L: Ledger, E, O, A: AskPrices>(
    ports: &Ports<'_, L, E, O, A>,
    sweep_id: &SweepId,
    asked: &mut BTreeSet<Region>,
    now: u64,
) -> Result<Option<(SweepRow, Assessment)>, FunctionError> {
    let sweep = read::sweep(ports.ledger, sweep_id).await?;
    if sweep.status.is_ended() || sweep.status == SweepStatus::Planning {
        return Ok(None);
    }
    let members = read::members(ports.ledger, &sweep).await?;
    for region in spot_regions(&members) {
        // Spot is re-read while it runs; once a check is enough for all sweeps of a region.
        if asked.insert(region) {
            let renewed =
                prices::refresh(ports.ledger, ports.prices, &region, now, SPOT_AGE_MS).await?;
            if let (_, Some(problem)) = renewed {
                tracing::warn!(%region, %problem, "prices were not renewed");
            }
        }
    }
    let pk = sweep_pk(sweep_id);
    let lanes: Vec<LaneRow> = ledger::load_all(ports.ledger, &pk, "LANE#").await?;
    let changes = read::changes(ports.ledger, &members).await?;
    let assessment = assess(&sweep, &lanes, &members, &changes, now).ok_or_else(|| {
        FunctionError::Bug(format!(
            "the cost of {sweep_id} is beyond what can be counted"
        ))
    })?;
    note(ports.ledger, &sweep, &assessment).await?;
    Ok(Some((sweep, assessment)))
}

/// The regions in which spot instances of these members run.
fn spot_regions(members: &[MemberRow]) -> BTreeSet<Region> {
    members
        .iter()
        .flat_map(|member| &member.spent)
        .filter(|spent| spent.market == Market::Spot && spent.billed.is_none())
        .map(|spent| spent.region)
        .collect()
}

/// Puts the assessment on the sweep's row, and holds the sweep if that was decided. Another check that was faster has done
/// the same.
async fn note(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    assessment: &Assessment,
) -> Result<(), FunctionError> {
    let cost = serde_json::to_value(&assessment.cost)
        .map_err(|error| FunctionError::Bug(error.to_string()))?;
    let before = match &sweep.cost {
        Some(cost) => Condition::Equals(path(&["cost", "at"]), Value::from(cost.at)),
        None => Condition::Missing(path(&["cost"])),
    };
    let write = Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: vec![(path(&["cost"]), cost)],
        remove: Vec::new(),
        add: Vec::new(),
        when: vec![before],
    };
    match ledger.commit(vec![write]).await {
        Ok(()) | Err(LedgerError::Condition { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if let (Decision::Hold(_), Some(words)) = (&assessment.decision, &assessment.words) {
        decision::hold(ledger, &sweep.sweep_id, words).await?;
    }
    Ok(())
}

/// Asks AWS again for the prices that are known, region by region.
pub(crate) async fn refresh<L: Ledger, E, O, A: AskPrices>(
    ports: &Ports<'_, L, E, O, A>,
    now: u64,
) -> Result<Value, FunctionError> {
    let mut renewed = 0;
    let mut problems = Vec::new();
    for region in Region::all() {
        let age = ports.price_age_ms_max / RENEW_PART;
        let (count, problem) =
            prices::refresh(ports.ledger, ports.prices, &region, now, age).await?;
        renewed += count;
        if let Some(problem) = problem {
            tracing::warn!(%region, %problem, "prices were not renewed");
            problems.push(format!("{region}: {problem}"));
        }
    }
    Ok(json!({"renewed": renewed, "problems": problems}))
}
