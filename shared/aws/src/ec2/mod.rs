//! EC2: launching, showing, stopping and ending instances, and what can be launched where.

mod control;
mod denial;
mod errors;
mod fleet;
mod instances;
mod launch;
mod offers;
mod quotas;
mod shutdown;
mod usage;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{Region as AwsRegion, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Builder;
use spawn_core::account::{AccountId, Place};
use spawn_core::ports::InAccounts;
use spawn_core::region::Region;

use crate::accounts::{self, MemberRole};
use crate::sdk;

/// A page of a thousand instances takes EC2 several seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// One repeat after the longest try.
const CALL_TIMEOUT: Duration = Duration::from_secs(35);

/// EC2 in every region of an account, with one client each. They share connections' settings and their account's
/// credentials, and cost nothing until used. A clone shares them, too.
#[derive(Clone, Debug)]
pub struct Ec2 {
    shared: Arc<Shared>,
    account: Option<AccountId>,
}

#[derive(Debug)]
struct Shared {
    home: SdkConfig,
    role: Option<MemberRole>,
    configs: Mutex<HashMap<AccountId, SdkConfig>>,
    clients: Mutex<HashMap<Place, Client>>,
}

impl Ec2 {
    /// EC2 of the home account, called with the credentials of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self::with_member_role(config, None)
    }

    /// The same, able to take `role` in other accounts.
    #[must_use]
    pub fn with_member_role(config: &SdkConfig, role: Option<MemberRole>) -> Self {
        let shared = Shared {
            home: config.clone(),
            role,
            configs: Mutex::default(),
            clients: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            account: None,
        }
    }

    /// The setting of this account's clients.
    fn config(&self) -> SdkConfig {
        let Some(account) = self.account else {
            return self.shared.home.clone();
        };
        let configs = &self.shared.configs;
        let mut configs = configs.lock().unwrap_or_else(PoisonError::into_inner);
        let config = configs.entry(account).or_insert_with(|| {
            accounts::config_of(&self.shared.home, self.shared.role.as_ref(), account)
        });
        config.clone()
    }

    fn client(&self, region: Region) -> Client {
        let place = Place {
            account: self.account,
            region,
        };
        let clients = &self.shared.clients;
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(place).or_insert_with(|| {
            let config = Builder::from(&self.config())
                .region(AwsRegion::from_static(region.as_str()))
                .timeout_config(sdk::timeouts(ATTEMPT_TIMEOUT, CALL_TIMEOUT));
            Client::from_conf(config.build())
        });
        client.clone()
    }
}

impl Ec2 {
    /// CloudWatch of this account. It is asked rarely, so its clients are made when they are needed.
    fn cloudwatch(&self, region: Region) -> aws_sdk_cloudwatch::Client {
        let config = aws_sdk_cloudwatch::config::Builder::from(&self.config())
            .region(AwsRegion::from_static(region.as_str()));
        aws_sdk_cloudwatch::Client::from_conf(config.build())
    }
}

impl InAccounts for Ec2 {
    fn of(&self, account: Option<AccountId>) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            account,
        }
    }
}
