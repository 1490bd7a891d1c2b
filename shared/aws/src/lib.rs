#![doc = include_str!("../README.md")]

pub mod accounts;
mod backoff;
pub mod clock;
pub mod config;
pub mod ec2;
pub mod lambda;
pub mod ledger;
pub mod metrics;
pub mod notices;
pub mod prices;
pub mod route53;
pub mod s3;
pub mod sdk;
pub mod sfn;
pub mod ssm;
pub mod stream;
pub mod telemetry;
mod xray;
