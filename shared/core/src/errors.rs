//! The error of a function: what the state machines can tell apart and act on.

use crate::account::Place;
use crate::document::Faults;
use crate::ledger::LedgerError;
use crate::ports::{Ec2Error, ServiceError, ZoneError};

/// Why a function failed. [`FunctionError::error_type`] is the name that `ErrorEquals` in a state machine matches.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The user's document is at fault; every fault is listed.
    #[error(transparent)]
    InvalidSweep(#[from] Faults),
    /// What a control was asked for is not understood; every fault is listed.
    #[error("{0}")]
    InvalidInput(String),
    /// There is no such sweep, member or instance.
    #[error("{0}")]
    NotFound(String),
    /// What a control was asked for cannot be done as things are: the sweep is over, the instance is protected.
    #[error("{0}")]
    NotAllowed(String),
    /// Another execution has taken the sweep over. The one that asks has no part in it any more, and ends.
    #[error("{0}")]
    Superseded(String),
    /// A service asks for fewer requests. Try again later.
    #[error("throttled: {0}")]
    Throttled(String),
    /// Another writer was faster, again and again. Try again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A service did not answer. Try again.
    #[error("no answer: {0}")]
    Transient(String),
    /// The deployment is at fault: a permission, a missing table, a wrong setting. An operator must act.
    #[error("configuration: {0}")]
    Config(String),
    /// spawn is at fault.
    #[error("defect: {0}")]
    Bug(String),
}

impl FunctionError {
    /// The same, with the place that it is about, where a service that was asked there is to blame.
    #[must_use]
    pub fn at(self, place: &Place) -> Self {
        let with = |text: String| format!("{place}: {text}");
        match self {
            Self::Throttled(text) => Self::Throttled(with(text)),
            Self::Transient(text) => Self::Transient(with(text)),
            Self::Config(text) => Self::Config(with(text)),
            other => other,
        }
    }

    /// The stable name of the error's kind.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::InvalidSweep(_) => "InvalidSweep",
            Self::InvalidInput(_) => "InvalidInput",
            Self::NotFound(_) => "NotFound",
            Self::NotAllowed(_) => "NotAllowed",
            Self::Superseded(_) => "Superseded",
            Self::Throttled(_) => "Spawn.Throttled",
            Self::Conflict(_) => "Spawn.Conflict",
            Self::Transient(_) => "Spawn.Transient",
            Self::Config(_) => "Spawn.Config",
            Self::Bug(_) => "Spawn.Bug",
        }
    }
}

impl From<LedgerError> for FunctionError {
    fn from(error: LedgerError) -> Self {
        let text = error.to_string();
        match error {
            LedgerError::Condition { .. } => Self::Conflict(text),
            LedgerError::Busy(_) => Self::Throttled(text),
            LedgerError::Unavailable(_) => Self::Transient(text),
            LedgerError::Refused(_) => Self::Config(text),
            LedgerError::Corrupt { .. } => Self::Bug(text),
        }
    }
}

impl From<Ec2Error> for FunctionError {
    fn from(error: Ec2Error) -> Self {
        let text = error.to_string();
        match error {
            Ec2Error::Throttled(_) => Self::Throttled(text),
            Ec2Error::Transient(_) | Ec2Error::NoCapacity(_) => Self::Transient(text),
            Ec2Error::Quota(_) | Ec2Error::Refused(_) => Self::Config(text),
            Ec2Error::Unknown(_) => Self::Transient(text),
            Ec2Error::TokenSpent(_) => Self::Bug(text),
        }
    }
}

impl From<ServiceError> for FunctionError {
    fn from(error: ServiceError) -> Self {
        let text = error.to_string();
        match error {
            ServiceError::Transient { .. } => Self::Transient(text),
            ServiceError::Refused { .. } => Self::Config(text),
        }
    }
}

impl From<ZoneError> for FunctionError {
    fn from(error: ZoneError) -> Self {
        let text = error.to_string();
        match error {
            ZoneError::Throttled(_) => Self::Throttled(text),
            ZoneError::Transient(_) => Self::Transient(text),
            ZoneError::Refused(_) => Self::Config(text),
            ZoneError::Invalid(_) => Self::Bug(text),
        }
    }
}
