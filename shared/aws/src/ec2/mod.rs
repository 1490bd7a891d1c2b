//! EC2: launching, showing, stopping and ending instances, and what can be launched where.

mod errors;
mod instances;
mod launch;
mod offers;
mod shutdown;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::{Region as AwsRegion, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Builder;
use spawn_core::region::Region;

use crate::sdk;

/// A page of a thousand instances takes EC2 several seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// One repeat after the longest try.
const CALL_TIMEOUT: Duration = Duration::from_secs(35);

/// EC2 in every region, with one client each. They share connections' settings and credentials, and cost nothing until used.
#[derive(Debug)]
pub struct Ec2 {
    config: SdkConfig,
    clients: Mutex<HashMap<Region, Client>>,
}

impl Ec2 {
    /// EC2, called with the credentials of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            config: config.clone(),
            clients: Mutex::default(),
        }
    }

    fn client(&self, region: Region) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region).or_insert_with(|| {
            let config = Builder::from(&self.config)
                .region(AwsRegion::from_static(region.as_str()))
                .timeout_config(sdk::timeouts(ATTEMPT_TIMEOUT, CALL_TIMEOUT));
            Client::from_conf(config.build())
        });
        client.clone()
    }
}
