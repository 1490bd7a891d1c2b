//! The ledger on DynamoDB.

mod commit;
mod dynamo;
mod errors;
mod expression;
mod item;
mod listing;

pub use dynamo::DynamoLedger;
pub(crate) use item::{PK, SK};
