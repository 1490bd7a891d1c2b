//! The port [`Ledger`] on a DynamoDB table.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use spawn_core::ledger::{Key, Ledger, LedgerError, Page, Row, Write};

use super::item::{Item, PK, SK, item, key_item, key_of, row};
use super::{commit, errors};
use crate::backoff;

/// Keys of one BatchGetItem (API reference of `BatchGetItem`).
const GET_KEYS_MAX: usize = 100;
/// Rows of one BatchWriteItem (API reference of `BatchWriteItem`).
const PUT_ROWS_MAX: usize = 25;
/// Batches under way at the same time: enough to hide the round trips, few enough for the smallest function.
const BATCHES_AT_ONCE: usize = 8;
/// How often the part of a batch that DynamoDB left undone is sent again, as long as nothing of it gets done.
const BATCH_TRIES: u32 = 10;

/// The index of sweeps by status.
const STATUS_INDEX: &str = "by-status";
/// Its sort key, which a sweep keeps for life.
pub(super) const STARTED_AT: &str = "started_at";

/// The ledger on a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoLedger {
    pub(super) client: Client,
    pub(super) table: String,
}

impl DynamoLedger {
    /// The ledger in `table`, in the region of `config`.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self::from_client(Client::new(config), table)
    }

    /// The ledger in `table`, through `client`.
    pub fn from_client(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    async fn get_one(&self, key: &Key) -> Result<Option<Row>, LedgerError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let answer = request.set_key(Some(key_item(key))).send().await;
        let answer = answer.map_err(|error| errors::of_call(&error, std::slice::from_ref(key)))?;
        answer.item.map(row).transpose()
    }

    /// The rows that there are of at most [`GET_KEYS_MAX`] different keys.
    async fn get_batch(&self, keys: Vec<Key>) -> Result<Vec<Row>, LedgerError> {
        let mut left: Vec<Item> = keys.iter().map(key_item).collect();
        let mut rows = Vec::with_capacity(left.len());
        let mut repeat = 0;
        while !left.is_empty() {
            let count = left.len();
            let wanted = KeysAndAttributes::builder()
                .consistent_read(true)
                .set_keys(Some(left));
            let wanted = wanted
                .build()
                .map_err(|error| LedgerError::Refused(error.to_string()))?;
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted);
            let answer = request
                .send()
                .await
                .map_err(|error| errors::of_call(&error, &keys))?;
            for item in answer
                .responses
                .unwrap_or_default()
                .remove(&self.table)
                .unwrap_or_default()
            {
                rows.push(row(item)?);
            }
            let undone = answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table);
            left = undone.map(|undone| undone.keys).unwrap_or_default();
            pause_for_undone(&mut repeat, count, left.len()).await?;
        }
        Ok(rows)
    }

    /// Puts at most [`PUT_ROWS_MAX`] rows of different keys.
    async fn put_batch(&self, items: Vec<Item>) -> Result<(), LedgerError> {
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|error| LedgerError::Refused(error.to_string()))?;
            left.push(WriteRequest::builder().put_request(put).build());
        }
        let mut repeat = 0;
        while !left.is_empty() {
            let count = left.len();
            let request = self
                .client
                .batch_write_item()
                .request_items(&self.table, left);
            let answer = request
                .send()
                .await
                .map_err(|error| errors::of_call(&error, &[]))?;
            let undone = answer
                .unprocessed_items
                .unwrap_or_default()
                .remove(&self.table);
            left = undone.unwrap_or_default();
            pause_for_undone(&mut repeat, count, left.len()).await?;
        }
        Ok(())
    }

    /// Where the index goes on after `from`: the index's own key belongs to it.
    pub(super) async fn index_start(
        &self,
        attribute: &str,
        value: &str,
        from: &Key,
    ) -> Result<Item, LedgerError> {
        let started_at = match self.get_one(from).await? {
            Some(row) => row.attributes.get(STARTED_AT).map(ToString::to_string),
            None => None,
        };
        let started_at = started_at.ok_or_else(|| LedgerError::Corrupt {
            key: from.clone(),
            problem: format!("the listing cannot go on from a row without {STARTED_AT}"),
        })?;
        let mut start = key_item(from);
        start.insert(attribute.to_owned(), AttributeValue::S(value.to_owned()));
        start.insert(STARTED_AT.to_owned(), AttributeValue::N(started_at));
        Ok(start)
    }
}

/// Waits before the `left` undone of `sent` parts are sent again. Progress starts the count of tries anew.
async fn pause_for_undone(repeat: &mut u32, sent: usize, left: usize) -> Result<(), LedgerError> {
    if left == 0 {
        return Ok(());
    }
    if left < sent {
        *repeat = 0;
    }
    if *repeat + 1 >= BATCH_TRIES {
        return Err(LedgerError::Busy(format!(
            "{left} parts of a batch stayed undone"
        )));
    }
    backoff::pause(*repeat).await;
    *repeat += 1;
    Ok(())
}

pub(super) fn page(items: Option<Vec<Item>>, last: Option<Item>) -> Result<Page, LedgerError> {
    Ok(Page {
        rows: items
            .unwrap_or_default()
            .into_iter()
            .map(row)
            .collect::<Result<_, _>>()?,
        next: last.as_ref().map(key_of).transpose()?,
    })
}

impl Ledger for DynamoLedger {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        if let [key] = keys {
            return Ok(vec![self.get_one(key).await?]);
        }
        // BatchGetItem refuses a key that comes twice.
        let mut different = keys.to_vec();
        different.sort();
        different.dedup();
        let batches: Vec<Vec<Key>> = different
            .chunks(GET_KEYS_MAX)
            .map(<[Key]>::to_vec)
            .collect();
        let batches: Vec<Vec<Row>> = stream::iter(batches)
            .map(|batch| self.get_batch(batch))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_collect()
            .await?;
        let found: HashMap<Key, Row> = batches
            .into_iter()
            .flatten()
            .map(|row| (row.key.clone(), row))
            .collect();
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn query(&self, pk: &str, prefix: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .set_exclusive_start_key(from.as_ref().map(key_item));
        // DynamoDB refuses an empty value of a key, so an empty prefix is left out.
        let request = if prefix.is_empty() {
            request.key_condition_expression("#pk = :pk")
        } else {
            request
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
        };
        let answer = request
            .send()
            .await
            .map_err(|error| errors::of_call(&error, &[]))?;
        page(answer.items, answer.last_evaluated_key)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        commit::commit(&self.client, &self.table, writes).await
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<(), LedgerError> {
        // BatchWriteItem refuses a key that comes twice; the last row of a key is the one that stays.
        let different: HashMap<Key, Row> =
            rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        let items: Vec<Item> = different.into_values().map(item).collect();
        let batches: Vec<Vec<Item>> = items.chunks(PUT_ROWS_MAX).map(<[Item]>::to_vec).collect();
        stream::iter(batches)
            .map(|batch| self.put_batch(batch))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn sweeps_by_status(&self, status: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        let start = match &from {
            Some(from) => Some(self.index_start("status", status, from).await?),
            None => None,
        };
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(STATUS_INDEX)
            .key_condition_expression("#status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", AttributeValue::S(status.to_owned()))
            .set_exclusive_start_key(start);
        let answer = request
            .send()
            .await
            .map_err(|error| errors::of_call(&error, &[]))?;
        page(answer.items, answer.last_evaluated_key)
    }
}
