//! The ledger on DynamoDB.

mod commit;
mod dynamo;
mod errors;
mod expression;
mod item;

pub use dynamo::DynamoLedger;
pub(crate) use item::{PK, SK};
