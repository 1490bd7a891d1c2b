//! Plain calls to the gateway, by AWS's own protocols. No SDK: these few calls are not worth minutes of build time.

mod client;
mod cloudformation;
mod dynamodb;
mod ec2;
mod logs;
mod route53;
mod s3;
mod states;
mod xml;

pub use client::Client;
pub use cloudformation::{StackEvent, StackStatus};
pub use dynamodb::Row;
pub use ec2::Instance;
pub use logs::LogLine;
pub use s3::parse_uri;
pub use states::Execution;
