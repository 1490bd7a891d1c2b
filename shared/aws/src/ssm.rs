//! Systems Manager: parameters that name images.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_config::{Region as AwsRegion, SdkConfig};
use aws_sdk_ssm::Client;
use spawn_core::ports::{ReadParameters, ReadSecrets, ServiceError};
use spawn_core::region::Region;

use crate::sdk::Failure;

/// There is no such parameter (API reference of `GetParameter`).
const NOT_FOUND: [&str; 2] = ["ParameterNotFound", "ParameterVersionNotFound"];

/// The parameters of every region.
#[derive(Debug)]
pub struct Parameters {
    config: SdkConfig,
    clients: Mutex<HashMap<Region, Client>>,
}

impl Parameters {
    /// Parameters, read with the credentials of `config`.
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
            let config = aws_sdk_ssm::config::Builder::from(&self.config);
            Client::from_conf(
                config
                    .region(AwsRegion::from_static(region.as_str()))
                    .build(),
            )
        });
        client.clone()
    }
}

impl ReadParameters for Parameters {
    async fn parameter(&self, region: &Region, name: &str) -> Result<Option<String>, ServiceError> {
        match self.client(*region).get_parameter().name(name).send().await {
            Ok(answer) => Ok(answer.parameter.and_then(|parameter| parameter.value)),
            Err(error) => absent_is_none(Failure::of(&error)),
        }
    }
}

/// Secrets of the home region: parameters that are decrypted.
#[derive(Clone, Debug)]
pub struct Secrets(Client);

impl Secrets {
    /// Secrets, read with the credentials of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }
}

impl ReadSecrets for Secrets {
    async fn secret(&self, name: &str) -> Result<Option<String>, ServiceError> {
        let request = self.0.get_parameter().name(name).with_decryption(true);
        match request.send().await {
            Ok(answer) => Ok(answer.parameter.and_then(|parameter| parameter.value)),
            Err(error) => absent_is_none(Failure::of(&error)),
        }
    }
}

fn absent_is_none(failure: Failure) -> Result<Option<String>, ServiceError> {
    if failure.code().is_some_and(|code| NOT_FOUND.contains(&code)) {
        return Ok(None);
    }
    Err(failure.of_service("Systems Manager"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_does_not_exist_is_none() {
        let failure = |code: &str| Failure::Answer {
            code: code.to_owned(),
            text: code.to_owned(),
            server: false,
        };
        assert_eq!(absent_is_none(failure("ParameterNotFound")), Ok(None));
        assert!(absent_is_none(failure("AccessDeniedException")).is_err());
    }
}
