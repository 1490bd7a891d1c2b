//! Changes of rows as requests.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use spawn_core::ledger::{Key, LedgerError, TRANSACTION_ITEMS_MAX, Write};

use super::errors;
use super::expression::{UpdateExpression, expectation, update};
use super::item::{item, key_item};
use crate::backoff;

/// How often a busy ledger is asked before the caller is told: about half a second in all, the length of the conflicts
/// that a sweep's lanes make among themselves.
const TRIES: u32 = 5;

/// Characters of `ClientRequestToken` (API reference of `TransactWriteItems`: at most 36).
const TOKEN_CHARS: usize = 32;

/// Makes all `writes` or none.
pub(super) async fn commit(
    client: &Client,
    table: &str,
    writes: Vec<Write>,
) -> Result<(), LedgerError> {
    if writes.len() > TRANSACTION_ITEMS_MAX {
        let text = format!("a transaction of {} actions, more than 100", writes.len());
        return Err(LedgerError::Refused(text));
    }
    let keys: Vec<Key> = writes.iter().map(|write| write.key().clone()).collect();
    let mut actions = Vec::with_capacity(writes.len());
    for write in writes {
        let built = action(table, write);
        actions.push(built.map_err(|error| LedgerError::Refused(error.to_string()))?);
    }
    // One token for all tries: a repeat of a transaction that took effect is answered with success.
    let token = token();
    let mut repeat = 0;
    loop {
        let result = match &actions[..] {
            [] => return Ok(()),
            [action] => alone(client, action, &keys).await,
            _ => transaction(client, &actions, &keys, &token).await,
        };
        match result {
            Err(LedgerError::Busy(reason)) if repeat + 1 < TRIES => {
                tracing::debug!(reason, repeat, "ledger was busy");
                backoff::pause(repeat).await;
                repeat += 1;
            }
            result => return result,
        }
    }
}

async fn transaction(
    client: &Client,
    actions: &[TransactWriteItem],
    keys: &[Key],
    token: &str,
) -> Result<(), LedgerError> {
    let request = client.transact_write_items();
    let request = request
        .set_transact_items(Some(actions.to_vec()))
        .client_request_token(token);
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(errors::of_transaction(&error, keys)),
    }
}

/// A single change costs half of a transaction of one.
async fn alone(
    client: &Client,
    action: &TransactWriteItem,
    keys: &[Key],
) -> Result<(), LedgerError> {
    let TransactWriteItem {
        put,
        update,
        delete,
        ..
    } = action.clone();
    if let Some(put) = put {
        let request = client
            .put_item()
            .table_name(put.table_name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_names(put.expression_attribute_names)
            .set_expression_attribute_values(put.expression_attribute_values);
        request
            .send()
            .await
            .map_err(|error| errors::of_call(&error, keys))?;
    } else if let Some(update) = update {
        let request = client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values);
        request
            .send()
            .await
            .map_err(|error| errors::of_call(&error, keys))?;
    } else if let Some(delete) = delete {
        let request = client
            .delete_item()
            .table_name(delete.table_name)
            .set_key(Some(delete.key))
            .set_condition_expression(delete.condition_expression)
            .set_expression_attribute_names(delete.expression_attribute_names)
            .set_expression_attribute_values(delete.expression_attribute_values);
        request
            .send()
            .await
            .map_err(|error| errors::of_call(&error, keys))?;
    }
    Ok(())
}

fn action(table: &str, write: Write) -> Result<TransactWriteItem, BuildError> {
    let action = TransactWriteItem::builder();
    Ok(match write {
        Write::Put { row, expect } => {
            let (condition, placeholders) = expectation(&expect);
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(item(row)))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(placeholders.names()))
                .set_expression_attribute_values(placeholders.values());
            action.put(put.build()?)
        }
        Write::Update {
            key,
            set,
            remove,
            add,
            when,
        } => {
            let UpdateExpression {
                update,
                condition,
                placeholders,
            } = update(set, &remove, &add, &when);
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key_item(&key)))
                .update_expression(update)
                .condition_expression(condition)
                .set_expression_attribute_names(Some(placeholders.names()))
                .set_expression_attribute_values(placeholders.values());
            action.update(update.build()?)
        }
        Write::Delete { key, expect } => {
            let (condition, placeholders) = expectation(&expect);
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key_item(&key)))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(placeholders.names()))
                .set_expression_attribute_values(placeholders.values());
            action.delete(delete.build()?)
        }
    }
    .build())
}

fn token() -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(TOKEN_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_fit() {
        let (one, other) = (token(), token());
        assert_ne!(one, other);
        assert!(one.len() <= 36 && one.is_ascii());
    }
}
