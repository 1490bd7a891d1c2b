//! What AWS charges in us-east-1, in millionths of a millionth of a dollar, so that a single call can be told.
//!
//! Sources: the pricing pages of the services, as of 2026-08; the free tiers are not counted.

/// AWS Step Functions, a state transition of a Standard workflow: $0.025 a thousand.
pub(super) const TRANSITION: u64 = 25_000_000;
/// AWS Lambda, a request: $0.20 a million.
pub(super) const INVOCATION: u64 = 200_000;
/// AWS Lambda on arm64, a GB-second: $0.0000133334.
pub(super) const ARM_GB_SECOND: u64 = 13_333_400;
/// AWS Lambda on x86, a GB-second: $0.0000166667.
pub(super) const X86_GB_SECOND: u64 = 16_666_700;
/// Amazon DynamoDB on demand, a write request unit: $0.625 a million.
pub(super) const WRITE_UNIT: u64 = 625_000;
/// Amazon DynamoDB on demand, a read request unit: $0.125 a million.
pub(super) const READ_UNIT: u64 = 125_000;
/// Amazon SQS, a request: $0.40 a million.
pub(super) const QUEUE_REQUEST: u64 = 400_000;
/// Amazon EventBridge, a custom event: $1.00 a million. Events of AWS services are free.
pub(super) const CUSTOM_EVENT: u64 = 1_000_000;
/// Amazon S3 Standard, a PUT: $0.005 a thousand.
pub(super) const OBJECT_PUT: u64 = 5_000_000;
/// Amazon S3 Standard, a GET: $0.0004 a thousand.
pub(super) const OBJECT_GET: u64 = 400_000;
/// Amazon CloudWatch Logs, a byte: $0.50 a GB.
pub(super) const LOG_BYTE: u64 = 500;
/// A dollar.
pub(super) const DOLLAR: u64 = 1_000_000_000_000;
