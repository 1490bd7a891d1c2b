//! EC2's token buckets, as the ledger keeps them: how many launches may be asked for, and when.
//!
//! EC2 throttles by two buckets for each account and region, one of requests and one of instances (Amazon EC2 Developer Guide,
//! "Request throttling for the Amazon EC2 API"). All sweeps and all functions that run at the same time share one row a
//! bucket, so that together they ask for no more than EC2 gives.

mod book;
mod quotas;
mod row;
mod size;

pub use book::{Book, Reserved, Site};
pub use quotas::{QuotaCodesRow, QuotaRow, ask, quota_key, quota_names};
pub use row::{LimitRow, limit_key};
pub use size::{Bucket, Size, SizeError, Sizes};
