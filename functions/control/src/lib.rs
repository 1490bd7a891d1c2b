//! control: does what a person asks of a sweep, a member or an instance.
//!
//! A control is checked and recorded, carried out place by place (or by a drain of the whole sweep, which is another
//! machine's), and what came of it is noted. Each of these may be repeated: the function looks at how things are and does what
//! is left to do.

mod act;
mod call;
mod check;
mod extend;
mod minutes;
mod note;
mod replace;
mod rewrite;
mod slots;
mod unlaunched;

use serde::Deserialize;
use serde_json::Value;
use spawn_core::clock;
use spawn_core::control::{self, Control, Request};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::ledger::Ledger;
use spawn_core::ports::{
    EndInstances, InAccounts, ShowInstances, StartInstances, StopInstances, WakeExecutions,
};

/// How often rows are read again when another writer was faster.
const TRIES_MAX: u32 = 8;

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, W> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// Step Functions.
    pub executions: &'a W,
}

/// What a person asked of a control's machine.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    /// The control.
    pub control: Control,
    /// The input of the execution.
    pub input: Value,
    /// The execution.
    pub execution_arn: String,
    /// When it was started, in ISO 8601.
    pub started_at: String,
}

impl Asked {
    /// When it was asked, in ms since 1970.
    fn at(&self) -> Result<u64, FunctionError> {
        clock::parse_iso(&self.started_at).ok_or_else(|| {
            FunctionError::Bug(format!("`{}` is no time of a start", self.started_at))
        })
    }

    /// What is asked, read as of the start: a time that has passed since was still to come then.
    fn request(&self) -> Result<Request, FunctionError> {
        control::parse(self.control, &self.input, self.at()?)
    }

    /// The home account.
    fn account(&self) -> &str {
        control::account_of(&self.execution_arn)
    }
}

/// One place of a sweep, named by one of its lanes: all lanes of the place are meant.
#[derive(Clone, Debug, Deserialize)]
pub struct InPlace {
    /// What was asked.
    pub asked: Asked,
    /// The place.
    pub lane: LaneId,
}

/// What came of a control everywhere.
#[derive(Clone, Debug, Deserialize)]
pub struct Done {
    /// What was asked.
    pub asked: Asked,
    /// The sweep.
    pub sweep_id: SweepId,
    /// What came of it: the answers of every place, or the output of the drain, or why there was nothing to do.
    pub outcome: Value,
}

/// What the state machines ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Check and record a request; tell how it is carried out.
    Check(Asked),
    /// Act on what is meant in one place, and tell how far that is.
    Act(InPlace),
    /// Note what came of it; answer the execution's output.
    Note(Done),
}

/// Does what is asked at `now` (ms since 1970).
///
/// # Errors
/// When the input is wrong, names nothing that there is, or cannot be done as things are; when the ledger or EC2 does not
/// answer. Repeatable.
pub async fn handle<L, E, W>(
    input: Input,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: InAccounts + ShowInstances + EndInstances + StopInstances + StartInstances,
    W: WakeExecutions,
{
    match input {
        Input::Check(asked) => check::check(&asked, ports).await,
        Input::Act(place) => act::act(&place, ports, now).await,
        Input::Note(done) => note::note(done, ports, now).await,
    }
}
