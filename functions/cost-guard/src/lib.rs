//! cost-guard: what live sweeps have run up and will, what is to be done about it, and reports of what was spent. It decides
//! and answers; the state machines that call it tell people and drain sweeps.

mod budgets;
mod check;
mod decision;
mod read;
mod reports;
mod sizes;
mod standing;

use serde::Deserialize;
use serde_json::Value;
use spawn_core::control::Reader;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::Ledger;
use spawn_core::metrics::Measured;
use spawn_core::ports::{AskPrices, DescribeOffers, Objects};

/// More than the id of any sweep has.
const SWEEP_ID_CHARS_MAX: usize = 100;

/// What the state machines and the schedule ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// Assesses every live sweep. Answers the decisions that somebody has to carry out.
    Check {},
    /// Notes that people were told of a share of a sweep's budget.
    Told {
        /// The sweep.
        sweep_id: SweepId,
        /// The share in percent.
        percent: u8,
    },
    /// Notes that people were told of a share of a standing budget.
    ToldOfStanding {
        /// Its period, as members note it.
        period: String,
        /// The share in percent.
        percent: u8,
    },
    /// Asks AWS again for every price that is known, before it is too old.
    RefreshPrices {},
    /// Sets, changes or removes a standing budget.
    SetBudget(Value),
    /// What was spent in a day, by sweep, type, owner and project.
    Report(Value),
    /// The days that a sweep's bill is in: the input of spawn-reconcile-costs.
    Period(Value),
    /// The ledger against the bill.
    Reconcile(reports::ReconcileInput),
    /// The types of a sweep, and when they ran: the input of spawn-right-size.
    Types(Value),
    /// The cheaper types that would have done.
    RightSize(sizes::RightSizeInput),
}

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, O, A> {
    /// The ledger.
    pub ledger: &'a L,
    /// What EC2 offers.
    pub ec2: &'a E,
    /// S3, where the operator's prices are.
    pub objects: &'a O,
    /// AWS's prices.
    pub prices: &'a A,
    /// The S3 URI of the operator's price book, if there is one.
    pub price_book: Option<&'a str>,
    /// How old AWS's prices may be, in ms.
    pub price_age_ms_max: u64,
}

/// Does what is asked at `now` (ms since 1970): the answer, and what was measured.
///
/// # Errors
/// When the ledger, or what else is asked, does not answer, or what is asked for is not there. Repeatable.
pub async fn handle<L, E, O, A>(
    input: Input,
    ports: &Ports<'_, L, E, O, A>,
    now: u64,
) -> Result<(Value, Measured), FunctionError>
where
    L: Ledger,
    E: DescribeOffers,
    O: Objects,
    A: AskPrices,
{
    let quiet = |answer| (answer, Measured::new());
    Ok(match input {
        Input::Check {} => check::all(ports, now).await?,
        Input::Told { sweep_id, percent } => {
            quiet(decision::told(ports.ledger, &sweep_id, percent).await?)
        }
        Input::ToldOfStanding { period, percent } => {
            quiet(decision::told_of_standing(ports.ledger, &period, percent).await?)
        }
        Input::RefreshPrices {} => quiet(check::refresh(ports, now).await?),
        Input::SetBudget(request) => quiet(budgets::set(ports.ledger, &request, now).await?),
        Input::Report(input) => quiet(reports::report(ports.ledger, &input, now).await?),
        Input::Period(input) => {
            let sweep_id = sweep_of("spawn-reconcile-costs", &input)?;
            quiet(reports::period(ports.ledger, &sweep_id, now).await?)
        }
        Input::Reconcile(request) => quiet(reports::reconcile(ports.ledger, &request, now).await?),
        Input::Types(input) => {
            let sweep_id = sweep_of("spawn-right-size", &input)?;
            quiet(sizes::types(ports.ledger, &sweep_id, now).await?)
        }
        Input::RightSize(request) => quiet(sizes::right_size(ports, &request, now).await?),
    })
}

/// The sweep that the input of a machine names.
fn sweep_of(machine: &str, input: &Value) -> Result<SweepId, FunctionError> {
    let accepted = "the id of a sweep, such as hyperparam-20260122-abc123";
    let mut reader = Reader::new(machine, input, &["sweep_id"]);
    if reader.value("sweep_id").is_none() {
        reader.fault("sweep_id", "is missing", accepted);
    }
    let sweep_id = reader
        .text("sweep_id", SWEEP_ID_CHARS_MAX, accepted)
        .map(SweepId::from);
    reader.finish(sweep_id)
}
