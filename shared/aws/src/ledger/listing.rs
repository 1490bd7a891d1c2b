//! The port [`ListSweeps`] on the indices of the ledger's table.

use aws_sdk_dynamodb::types::AttributeValue;
use spawn_core::ledger::{LedgerError, Page};
use spawn_core::ports::{ListSweeps, Listing, SweepsBy};

use super::DynamoLedger;
use super::dynamo::{STARTED_AT, page};
use super::errors;

fn index(by: SweepsBy) -> &'static str {
    match by {
        SweepsBy::Status => "by-status",
        SweepsBy::Owner => "by-owner",
        SweepsBy::Project => "by-project",
    }
}

impl ListSweeps for DynamoLedger {
    async fn newest_sweeps(&self, listing: &Listing<'_>) -> Result<Page, LedgerError> {
        let attribute = listing.by.attribute();
        let start = match &listing.from {
            Some(from) => Some(self.index_start(attribute, listing.value, from).await?),
            None => None,
        };
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index(listing.by))
            .key_condition_expression("#by = :value AND #started_at <= :until")
            .expression_attribute_names("#by", attribute)
            .expression_attribute_names("#started_at", STARTED_AT)
            .expression_attribute_values(":value", AttributeValue::S(listing.value.to_owned()))
            .expression_attribute_values(":until", AttributeValue::N(listing.until.to_string()))
            .scan_index_forward(false)
            .limit(i32::try_from(listing.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        let answer = request
            .send()
            .await
            .map_err(|error| errors::of_call(&error, &[]))?;
        page(answer.items, answer.last_evaluated_key)
    }
}
