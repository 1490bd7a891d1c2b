//! Reports of what was spent, from the ledger at once, and the ledger against the bill.

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::clock::{self, DAY_MS};
use spawn_core::control::Reader;
use spawn_core::cost::{BillLine, Billed, Report, explain, settle};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger};
use spawn_core::rows::{LINGERING_PK, LingeringRow, SweepRow};
use spawn_core::state::SweepStatus;

use crate::read;

/// The statuses of every sweep that can have cost something.
const ALL: [SweepStatus; 8] = [
    SweepStatus::Launching,
    SweepStatus::Running,
    SweepStatus::Draining,
    SweepStatus::Completed,
    SweepStatus::CompletedWithFailures,
    SweepStatus::Failed,
    SweepStatus::Cancelled,
    SweepStatus::OverBudget,
];

/// What was spent on a day: the sum of the parts of bills that fall into it.
pub(crate) async fn report(
    ledger: &impl Ledger,
    input: &Value,
    now: u64,
) -> Result<Value, FunctionError> {
    let start = start_of_day(input, now)?;
    let day = clock::day(start);
    let end = start + DAY_MS;
    let mut report = Report::new(start, end);
    let lingering: Vec<LingeringRow> = ledger::load_all(ledger, LINGERING_PK, "").await?;
    for sweep_id in read::sweep_ids(ledger, &ALL).await? {
        let sweep = read::sweep(ledger, &sweep_id).await?;
        // An instance that was stopped at the end of its member goes on costing: no sweep that began is left out unless all that
        // it had was gone before.
        let lingers = lingering.iter().any(|row| row.sweep_id == sweep_id);
        let gone_at = gone_at(&sweep);
        if sweep.started_at >= end || !lingers && gone_at.is_some_and(|gone_at| gone_at < start) {
            continue;
        }
        let members = read::members(ledger, &sweep).await?;
        let changes = read::changes(ledger, &members).await?;
        report.add(&sweep, &members, &changes, now);
    }
    Ok(json!({"day": day, "next_day": clock::day(end), "report": report.to_output()}))
}

/// When the day begins that the input of the machine names, in UTC; without a name the day before this one. In ms since 1970.
fn start_of_day(input: &Value, now: u64) -> Result<u64, FunctionError> {
    let accepted = "a day in UTC such as 2026-01-22";
    let mut reader = Reader::new("spawn-report-daily", input, &["day"]);
    let given = reader.value("day").is_some();
    let day = reader
        .text("day", DAY_CHARS_MAX, accepted)
        .map(str::to_owned);
    let yesterday = (!given).then(|| clock::day(now.saturating_sub(DAY_MS)));
    let start = day.or(yesterday).and_then(|day| {
        let start = clock::parse_iso(&format!("{day}T00:00:00Z"));
        if start.is_none() {
            reader.fault("day", &format!("`{day}` is no day"), accepted);
        }
        start
    });
    reader.finish(start)
}

/// `2026-01-22`, and a mistake or two.
const DAY_CHARS_MAX: usize = 100;

/// Since when a sweep that has ended costs nothing more, if it does not linger.
fn gone_at(sweep: &SweepRow) -> Option<u64> {
    let lingered_until = sweep.lingered_until.unwrap_or(0);
    sweep.ended_at.map(|ended_at| ended_at.max(lingered_until))
}

/// The days that a sweep's bill is in, as Cost Explorer takes them: the end is not in the span.
pub(crate) async fn period(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    now: u64,
) -> Result<Value, FunctionError> {
    let sweep = read::sweep(ledger, sweep_id).await?;
    let lingering: Vec<LingeringRow> =
        ledger::load_all(ledger, LINGERING_PK, &format!("{sweep_id}#")).await?;
    let end = gone_at(&sweep)
        .filter(|_| lingering.is_empty())
        .unwrap_or(now);
    Ok(json!({
        "sweep_id": sweep_id,
        "start": clock::day(sweep.started_at),
        "end": clock::day(end + DAY_MS),
    }))
}

/// What the bill says.
#[derive(Clone, Debug, Deserialize)]
pub struct ReconcileInput {
    /// The sweep.
    sweep_id: SweepId,
    /// `ResultsByTime` of Cost Explorer's GetCostAndUsage, grouped by usage type.
    #[serde(default)]
    bill: Value,
}

/// Compares the ledger with the bill of a sweep, category by category.
pub(crate) async fn reconcile(
    ledger: &impl Ledger,
    request: &ReconcileInput,
    now: u64,
) -> Result<Value, FunctionError> {
    let sweep = read::sweep(ledger, &request.sweep_id).await?;
    let members = read::members(ledger, &sweep).await?;
    let changes = read::changes(ledger, &members).await?;
    let settled = settle(&members, &changes, now)
        .ok_or_else(|| FunctionError::Bug("the sum is beyond what can be counted".to_owned()))?;
    Ok(explain(&sweep, &settled, &billed(&request.bill), now))
}

/// The lines of Cost Explorer's answer.
fn billed(results: &Value) -> Billed {
    let mut billed = Billed::default();
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    for result in list(Some(results)) {
        billed.is_estimated |= result.get("Estimated").and_then(Value::as_bool) == Some(true);
        for group in list(result.get("Groups")) {
            let text = |path| group.pointer(path).and_then(Value::as_str);
            let amount = text("/Metrics/UnblendedCost/Amount").and_then(BillLine::amount);
            match amount {
                Some(amount) => billed.lines.push(BillLine {
                    usage_type: text("/Keys/0").unwrap_or_default().to_owned(),
                    amount,
                }),
                None => billed.unread += 1,
            }
        }
    }
    billed
}
