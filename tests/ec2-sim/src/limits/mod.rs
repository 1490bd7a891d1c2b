//! Limits on how fast and how much an account may launch: token buckets and vCPU quotas.

mod bucket;
mod quota;

pub(crate) use bucket::{Buckets, Size, instance_bucket, request_bucket};
pub(crate) use quota::{MarketKind, QuotaRule, Quotas};
