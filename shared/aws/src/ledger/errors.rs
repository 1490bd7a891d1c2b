//! DynamoDB's errors, sorted by what to do about them. By code, never by words.
//!
//! The codes are those of the Amazon DynamoDB Developer Guide, "Error handling with DynamoDB", and of the API reference of
//! `TransactWriteItems` ("Cancellation reasons").

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;
use spawn_core::ledger::{Key, LedgerError};

use crate::sdk::Failure;

/// The code of a condition that did not hold, of a call.
const CONDITION: &str = "ConditionalCheckFailedException";
/// The same as a reason of a cancelled transaction.
const CONDITION_REASON: &str = "ConditionalCheckFailed";

/// Another transaction holds the row, or the table or the account asks for fewer requests.
const BUSY: [&str; 3] = [
    "LimitExceededException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The same as reasons of a cancelled transaction.
const BUSY_REASONS: [&str; 4] = [
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
];

/// Reasons that will be the same next time.
const REFUSED_REASONS: [&str; 5] = [
    "AccessDenied",
    "DuplicateItem",
    "ItemCollectionSizeLimitExceeded",
    "ResourceNotFound",
    "ValidationError",
];

/// The error of a call about `keys`.
pub(super) fn of_call<E>(error: &SdkError<E>, keys: &[Key]) -> LedgerError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    of_failure(Failure::of(error), keys)
}

fn of_failure(failure: Failure, keys: &[Key]) -> LedgerError {
    let busy = failure.is_throttling() || failure.code().is_some_and(|code| BUSY.contains(&code));
    match failure {
        Failure::Invalid(text) => LedgerError::Refused(text),
        Failure::NoAnswer(text) => LedgerError::Unavailable(text),
        Failure::Answer { code, .. } if code == CONDITION => LedgerError::Condition {
            failed: keys.to_vec(),
        },
        Failure::Answer { text, .. } if busy => LedgerError::Busy(text),
        Failure::Answer {
            text, server: true, ..
        } => LedgerError::Unavailable(text),
        Failure::Answer { text, .. } => LedgerError::Refused(text),
    }
}

/// The error of a transaction whose actions are about `keys`, in this order.
pub(super) fn of_transaction(
    error: &SdkError<TransactWriteItemsError>,
    keys: &[Key],
) -> LedgerError {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            of_reasons(cancelled.cancellation_reasons(), keys)
        }
        _ => of_call(error, keys),
    }
}

/// Each action has a reason, in the order of the actions; `None` is the code of one that is not at fault.
fn of_reasons(reasons: &[CancellationReason], keys: &[Key]) -> LedgerError {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let failed: Vec<Key> = reasons
        .iter()
        .zip(keys)
        .filter(|(reason, _)| code(reason) == CONDITION_REASON)
        .map(|(_, key)| key.clone())
        .collect();
    if !failed.is_empty() {
        return LedgerError::Condition { failed };
    }
    let texts = |codes: &[&str]| -> Vec<String> {
        reasons
            .iter()
            .zip(keys)
            .filter(|(reason, _)| codes.contains(&code(reason).as_str()))
            .map(|(reason, key)| {
                let message = reason.message().unwrap_or("no message");
                format!("{}/{}: {}: {message}", key.pk, key.sk, code(reason))
            })
            .collect()
    };
    let refused = texts(&REFUSED_REASONS);
    if let Some(first) = refused.first() {
        return LedgerError::Refused(first.clone());
    }
    if let Some(first) = texts(&BUSY_REASONS).first() {
        return LedgerError::Busy(first.clone());
    }
    let codes: Vec<String> = reasons.iter().map(code).collect();
    LedgerError::Unavailable(format!(
        "the transaction was cancelled: {}",
        codes.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Key> {
        vec![Key::new("a", "1"), Key::new("b", "2")]
    }

    fn reasons(codes: [&str; 2]) -> Vec<CancellationReason> {
        codes
            .map(|code| {
                CancellationReason::builder()
                    .code(code)
                    .message("words")
                    .build()
            })
            .to_vec()
    }

    fn kind(error: &LedgerError) -> &'static str {
        match error {
            LedgerError::Condition { .. } => "condition",
            LedgerError::Busy(_) => "busy",
            LedgerError::Unavailable(_) => "unavailable",
            LedgerError::Refused(_) => "refused",
            LedgerError::Corrupt { .. } => "corrupt",
        }
    }

    #[test]
    fn the_codes_of_calls_are_sorted() {
        for (code, server, expected) in [
            ("ConditionalCheckFailedException", false, "condition"),
            ("TransactionConflictException", false, "busy"),
            ("TransactionInProgressException", false, "busy"),
            ("ProvisionedThroughputExceededException", false, "busy"),
            ("RequestLimitExceeded", false, "busy"),
            ("ThrottlingException", false, "busy"),
            ("InternalServerError", true, "unavailable"),
            ("ServiceUnavailable", true, "unavailable"),
            ("AccessDeniedException", false, "refused"),
            ("ResourceNotFoundException", false, "refused"),
            ("ValidationException", false, "refused"),
            ("IdempotentParameterMismatchException", false, "refused"),
        ] {
            let failure = Failure::Answer {
                code: code.to_owned(),
                text: String::new(),
                server,
            };
            assert_eq!(kind(&of_failure(failure, &keys())), expected, "{code}");
        }
        assert_eq!(
            kind(&of_failure(Failure::NoAnswer(String::new()), &[])),
            "unavailable"
        );
    }

    #[test]
    fn the_reasons_of_a_cancelled_transaction_are_sorted() {
        for (codes, expected) in [
            (["None", "ConditionalCheckFailed"], "condition"),
            (
                ["TransactionConflict", "ConditionalCheckFailed"],
                "condition",
            ),
            (["TransactionConflict", "None"], "busy"),
            (["None", "ThrottlingError"], "busy"),
            (["None", "ProvisionedThroughputExceeded"], "busy"),
            (["None", "RequestLimitExceeded"], "busy"),
            (["TransactionConflict", "ValidationError"], "refused"),
            (["None", "AccessDenied"], "refused"),
            (["None", "ResourceNotFound"], "refused"),
            (["None", "SomethingNew"], "unavailable"),
        ] {
            let error = of_reasons(&reasons(codes), &keys());
            assert_eq!(kind(&error), expected, "{codes:?}");
        }
    }

    #[test]
    fn a_failed_condition_names_its_row() {
        let error = of_reasons(&reasons(["None", "ConditionalCheckFailed"]), &keys());
        let failed = vec![Key::new("b", "2")];
        assert_eq!(error, LedgerError::Condition { failed });
    }
}
