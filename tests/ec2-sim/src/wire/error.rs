//! EC2's errors. Codes and their classes come from "Error codes for the Amazon EC2 API", Amazon EC2 API Reference.

use std::borrow::Cow;

/// An error answer: EC2's code, its words, and the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ec2Error {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) status: u16,
}

impl Ec2Error {
    /// An error with the HTTP status that the class of its code has: client errors 400, server errors 500 or 503.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let code = code.into();
        let status = match code.as_ref() {
            // 412 is what EC2 sends on the wire for a dry run that would have succeeded.
            "DryRunOperation" => 412,
            "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
            "InsufficientInstanceCapacity"
            | "InternalError"
            | "InternalFailure"
            | "InsufficientHostCapacity"
            | "InsufficientVolumeCapacity" => 500,
            _ => 400,
        };
        Self {
            code,
            message: message.into(),
            status,
        }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        )
    }

    pub(crate) fn invalid_value(parameter: &str, value: &str, wanted: &str) -> Self {
        Self::new(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {parameter} is invalid. {wanted}"),
        )
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    /// "API throttling": both a spent request bucket and a spent instance bucket answer this.
    pub(crate) fn throttled() -> Self {
        Self::new("RequestLimitExceeded", "Request limit exceeded.")
    }

    pub(crate) fn instances_not_found(ids: &[String]) -> Self {
        let message = match ids {
            [id] => format!("The instance ID '{id}' does not exist"),
            ids => format!("The instance IDs '{}' do not exist", ids.join(", ")),
        };
        Self::new("InvalidInstanceID.NotFound", message)
    }
}
