//! The ledger's stream as its consumers see it.

use serde::Serialize;

use crate::ledger::{Key, Row};

/// One change of one row. The changes of a row arrive in their order; each may arrive more than once.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where the change is in its shard of the stream.
    pub sequence_number: String,
    /// The row.
    pub key: Key,
    /// The row before; `None` when it is new.
    pub old: Option<Row>,
    /// The row after; `None` when it was deleted.
    pub new: Option<Row>,
    /// About when it was made, in ms since 1970.
    pub at: u64,
}

/// What a consumer of the stream answers: from the first of these changes on, the batch is delivered again (AWS Lambda
/// Developer Guide, "Configuring partial batch response with DynamoDB and Lambda").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unprocessed {
    batch_item_failures: Vec<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Unprocessed {
    /// Everything was taken.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// This change, and what follows it in its batch, is to be delivered again.
    #[must_use]
    pub fn from(change: &Change) -> Self {
        Self {
            batch_item_failures: vec![Failure {
                item_identifier: change.sequence_number.clone(),
            }],
        }
    }

    /// Whether everything was taken.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_what_lambda_reads() {
        let change = Change {
            sequence_number: "4421584500000000017450439091".to_owned(),
            key: Key::new("SWEEP#a", "META"),
            old: None,
            new: None,
            at: 0,
        };
        assert_eq!(
            serde_json::to_string(&Unprocessed::from(&change)).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"4421584500000000017450439091"}]}"#
        );
        assert!(Unprocessed::none().is_none());
    }
}
