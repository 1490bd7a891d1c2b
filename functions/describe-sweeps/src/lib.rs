//! describe-sweeps: shows sweeps, members and instances in words and as pictures, and lists sweeps. It reads the ledger and changes
//! nothing.

mod widget;

use serde::Deserialize;
use serde_json::Value;
use spawn_core::control::{
    self, Control, ControlRow, Found, status_of_instance, status_of_member, status_of_sweep,
};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, Stored as _};
use spawn_core::ports::ListSweeps;
use spawn_core::rows::{InstanceRow, LaneRow, MemberRow, instance_key, sweep_pk};

pub use widget::Widget;

/// Who calls: a state machine with its question, or a dashboard with a widget's parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// A question.
    Asked(Input),
    /// A picture.
    Widget(Widget),
}

/// What the state machines ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Show a sweep, a member or an instance.
    Status(Asked),
    /// List sweeps.
    List(Asked),
}

/// What a person asked.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    /// The input of the execution.
    pub input: Value,
    /// The execution: it tells the account.
    pub execution_arn: String,
}

/// Answers who calls at `now` (ms since 1970); the links of pictures call `function_arn`.
///
/// # Errors
/// When the input is wrong or names nothing that there is, and when the ledger does not answer. Repeatable.
pub async fn answer<L: Ledger + ListSweeps>(
    event: Event,
    ledger: &L,
    function_arn: &str,
    now: u64,
) -> Result<Value, FunctionError> {
    match event {
        Event::Asked(input) => handle(input, ledger, now).await,
        Event::Widget(widget) => widget::draw(&widget, ledger, function_arn, now).await,
    }
}

/// Answers a question at `now` (ms since 1970).
///
/// # Errors
/// When the input is wrong or names nothing that there is, and when the ledger does not answer. Repeatable.
pub async fn handle<L: Ledger + ListSweeps>(
    input: Input,
    ledger: &L,
    now: u64,
) -> Result<Value, FunctionError> {
    match input {
        Input::Status(asked) => status(&asked, ledger, now).await,
        Input::List(asked) => control::list(ledger, &control::parse_list(&asked.input)?).await,
    }
}

async fn status<L: Ledger>(asked: &Asked, ledger: &L, now: u64) -> Result<Value, FunctionError> {
    let request = control::parse(Control::Status, &asked.input, now)?;
    let account = control::account_of(&asked.execution_arn);
    let found = control::find(ledger, &request.target, account).await?;
    let Found {
        sweep,
        members,
        instance,
    } = found;
    match (members, instance) {
        (Some(members), Some(instance)) => {
            let member = only(&members)?;
            Ok(status_of_instance(&sweep, member, &instance, now))
        }
        (Some(members), None) => {
            let member = only(&members)?;
            let instance = instance_of(ledger, member).await?;
            Ok(status_of_member(&sweep, member, instance.as_ref(), now))
        }
        (None, _) => {
            let members = control::all_members(ledger, &sweep).await?;
            let pk = sweep_pk(&sweep.sweep_id);
            let lanes: Vec<LaneRow> = ledger::load_all(ledger, &pk, "LANE#").await?;
            let controls: Vec<ControlRow> = ledger::load_all(ledger, &pk, "CONTROL#").await?;
            Ok(status_of_sweep(&sweep, &members, &lanes, &controls, now))
        }
    }
}

/// The one member that is meant.
fn only(members: &[MemberRow]) -> Result<&MemberRow, FunctionError> {
    match members {
        [member] => Ok(member),
        _ => Err(FunctionError::InvalidInput(format!(
            "{} members bear that name; accepted: the index of one: {}",
            members.len(),
            members
                .iter()
                .take(20)
                .map(|member| member.index.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// The row of a member's instance, if it has one.
async fn instance_of(
    ledger: &impl Ledger,
    member: &MemberRow,
) -> Result<Option<InstanceRow>, FunctionError> {
    let Some(arn) = &member.instance else {
        return Ok(None);
    };
    let rows = ledger.get(&[instance_key(arn)]).await?;
    let row = rows.into_iter().flatten().next();
    Ok(row.map(InstanceRow::from_row).transpose()?)
}
