//! Accounts beside the home account: spawn takes a role there, which trusts it under an external id
//! (`infra/member-account.yaml`).

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use spawn_core::account::AccountId;

/// The role that spawn takes in other accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRole {
    /// Its name, the same in every account.
    pub name: String,
    /// What the role's trust policy asks for, so that nobody else can make spawn act there (IAM User Guide, "The confused
    /// deputy problem").
    pub external_id: String,
}

/// Credentials of a role last an hour; new ones are asked for this long before the old ones end.
const RENEW_BEFORE_END: Duration = Duration::from_secs(5 * 60);

/// The setting of clients in `account`: as `home`, with the credentials of its role. They are asked for with the first call
/// and kept until shortly before they end. Without a role every call fails, and says why.
#[must_use]
pub fn config_of(home: &SdkConfig, role: Option<&MemberRole>, account: AccountId) -> SdkConfig {
    let provider = Assumed {
        home: home.clone(),
        role: role.cloned(),
        account,
    };
    home.clone()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        // A cache of its own: that of `home` holds the credentials of home.
        .identity_cache(IdentityCache::lazy().buffer_time(RENEW_BEFORE_END).build())
        .build()
}

#[derive(Debug)]
struct Assumed {
    home: SdkConfig,
    role: Option<MemberRole>,
    account: AccountId,
}

impl Assumed {
    async fn credentials(&self) -> provider::Result {
        let Some(role) = &self.role else {
            return Err(CredentialsError::invalid_configuration(format!(
                "account {} is not the home account, and this deployment has no external id for other accounts \
                 (parameter ExternalId)",
                self.account
            )));
        };
        // The partition of all regions that documents may name.
        let arn = format!("arn:aws:iam::{}:role/{}", self.account, role.name);
        AssumeRoleProvider::builder(arn)
            .configure(&self.home)
            .external_id(&role.external_id)
            .session_name("spawn")
            .build()
            .await
            .provide_credentials()
            .await
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// Why there are no credentials, when that is for good: the deployment names no role, or the account refuses it.
pub(crate) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error @ CredentialsError::InvalidConfiguration(_)) = error.downcast_ref() {
            return Some(crate::sdk::chain(error));
        }
        if let Some(refused) = error.downcast_ref::<AssumeRoleError>() {
            let code = refused.code().unwrap_or_default();
            let transient = crate::sdk::THROTTLING.contains(&code) || code.is_empty();
            let words = refused.message().unwrap_or("no words");
            return (!transient)
                .then(|| format!("the member account's role cannot be taken: {code}: {words}"));
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;

    use super::*;

    #[tokio::test]
    async fn without_an_external_id_no_other_account_is_entered() {
        let home = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let account: AccountId = "111122223333".parse().unwrap();
        let config = config_of(&home, None, account);
        let provider = config.credentials_provider().unwrap();
        let error = provider.provide_credentials().await.unwrap_err();
        let words = refusal(&error).unwrap();
        assert!(words.contains("account 111122223333"), "{words}");
        assert!(words.contains("ExternalId"), "{words}");
    }

    #[test]
    fn a_role_that_is_refused_is_not_waited_for() {
        let of = |code: &str| {
            let error = AssumeRoleError::generic(
                aws_sdk_sts::error::ErrorMetadata::builder()
                    .code(code)
                    .message("not you")
                    .build(),
            );
            refusal(&CredentialsError::provider_error(error))
        };
        let words = of("AccessDenied").unwrap();
        assert!(words.ends_with("AccessDenied: not you"), "{words}");
        assert_eq!(of("Throttling"), None);
        assert_eq!(refusal(&CredentialsError::not_loaded_no_source()), None);
    }
}
