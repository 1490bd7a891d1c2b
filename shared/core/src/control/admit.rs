//! Whether a control can be carried out as things are, and by which way.

use super::find::Found;
use super::input::{Request, Target};
use super::name::Control;
use crate::errors::FunctionError;
use crate::rows::SweepRow;
use crate::state::SweepStatus;

/// How a control is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The sweep is drained as a whole.
    Drain,
    /// Each place of the sweep is looked at, and what is meant there is acted on.
    Places,
    /// The sweep is submitted again, for those of its members that did not complete.
    Resume,
    /// There is nothing to do, for this reason.
    Nothing(String),
}

/// The way of a request to what it found.
///
/// # Errors
/// [`FunctionError::NotAllowed`] when the sweep's status does not allow it, with what to do instead.
pub fn admit(request: &Request, found: &Found) -> Result<Way, FunctionError> {
    let sweep = &found.sweep;
    let is_whole = matches!(request.target, Target::Sweep(_));
    let refuse = |words: &str| Err(not_allowed(request.control, sweep, words));
    if let Some(words) = found.is_former() {
        return Ok(Way::Nothing(words));
    }
    match (request.control, Phase::of(sweep.status)) {
        (Control::Cancel, Phase::Over) => Ok(Way::Nothing(over(sweep))),
        (Control::Cancel, _) => Ok(Way::Drain),
        (Control::Terminate, Phase::Planning | Phase::Live | Phase::Draining) if is_whole => {
            Ok(Way::Drain)
        }
        // What is left of a sweep that is over: instances that were to be stopped or to stay.
        (Control::Terminate, _) => Ok(Way::Places),
        (Control::Status, _) => Ok(Way::Nothing("it was only looked at".to_owned())),
        (Control::Stop | Control::Start | Control::Extend | Control::Replace, Phase::Planning) => {
            refuse("nothing of it has been launched; try again when it launches, or cancel it")
        }
        (Control::Stop, Phase::Draining) => refuse("its instances are being terminated"),
        (Control::Stop, Phase::Live | Phase::Over) => Ok(Way::Places),
        (Control::Start | Control::Extend, Phase::Live) => Ok(Way::Places),
        (Control::Start | Control::Extend, Phase::Draining) => {
            refuse("its instances are being terminated")
        }
        (Control::Start | Control::Extend, Phase::Over) => {
            refuse("what is left of its instances is only ended")
        }
        (Control::Replace, Phase::Live) => match &sweep.held {
            Some(held) => refuse(&format!("it launches nothing more, because {held}")),
            None => Ok(Way::Places),
        },
        (Control::Replace, Phase::Draining | Phase::Over) => refuse("it launches nothing more"),
        (Control::Resume, Phase::Over) => Ok(Way::Resume),
        (Control::Resume, Phase::Planning | Phase::Live) => refuse("its members still run"),
        (Control::Resume, Phase::Draining) => {
            refuse("it is being drained; resume it when it is over")
        }
    }
}

/// What matters of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Planning,
    Live,
    Draining,
    Over,
}

impl Phase {
    fn of(status: SweepStatus) -> Self {
        match status {
            SweepStatus::Planning => Self::Planning,
            SweepStatus::Launching | SweepStatus::Running => Self::Live,
            SweepStatus::Draining => Self::Draining,
            SweepStatus::Completed
            | SweepStatus::CompletedWithFailures
            | SweepStatus::Failed
            | SweepStatus::Cancelled
            | SweepStatus::OverBudget => Self::Over,
        }
    }
}

fn over(sweep: &SweepRow) -> String {
    format!(
        "sweep {} was over already: {}",
        sweep.sweep_id, sweep.status
    )
}

fn not_allowed(control: Control, sweep: &SweepRow, words: &str) -> FunctionError {
    FunctionError::NotAllowed(format!(
        "spawn-{control} cannot be done: sweep {} is {}: {words}",
        sweep.sweep_id, sweep.status
    ))
}
