//! Who calls, and in which region: read from the credential scope of a Signature Version 4 header.
//!
//! Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)". Signatures are not checked.

use crate::catalogue::HOME_ACCOUNT;

/// Account and region of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Scope {
    /// Reads `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, from the header or, for a presigned URL, from
    /// `X-Amz-Credential`. An access key of 12 digits is the account id; any other key means account 000000000000.
    pub(crate) fn read(
        authorization: Option<&str>,
        presigned: Option<&str>,
        default_region: &str,
    ) -> Self {
        let credential = authorization
            .and_then(|header| header.split_once("Credential="))
            .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default())
            .or(presigned)
            .unwrap_or_default();
        let mut parts = credential.split('/');
        let key = parts.next().unwrap_or_default();
        let region = parts
            .nth(1)
            .filter(|region| !region.is_empty())
            .unwrap_or(default_region);
        let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
        Self {
            account: if is_account { key } else { HOME_ACCOUNT }.to_owned(),
            region: region.to_owned(),
        }
    }
}

/// An `Authorization` header of the right form with a signature of zeros, for calls to a local gateway that routes by
/// the scope and verifies nothing.
pub(crate) fn dummy_authorization(account: &str, region: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={:064}",
        0
    )
}

#[cfg(test)]
mod tests {
    use super::{Scope, dummy_authorization};

    #[test]
    fn a_twelve_digit_key_is_the_account() {
        let header = dummy_authorization("111122223333", "eu-west-1", "ec2");
        let scope = Scope::read(Some(&header), None, "us-east-1");
        assert_eq!(
            (scope.account.as_str(), scope.region.as_str()),
            ("111122223333", "eu-west-1")
        );
    }

    #[test]
    fn other_keys_and_no_header_mean_the_home_account_and_region() {
        let header = dummy_authorization("AKIAEXAMPLE", "us-west-2", "ec2");
        assert_eq!(
            Scope::read(Some(&header), None, "us-east-1").account,
            "000000000000"
        );
        assert_eq!(Scope::read(None, None, "us-east-1").region, "us-east-1");
    }
}
