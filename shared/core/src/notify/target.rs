//! Who is told: an SNS topic, or a webhook whose address is a secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An SNS topic, by its ARN.
    Topic(String),
    /// A webhook, by the name of the Parameter Store parameter that holds its address. The address itself is a secret: whoever
    /// has it can write to the channel.
    Webhook(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) | Self::Webhook(name) => f.write_str(name),
        }
    }
}

/// A text that names neither a topic nor a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither the ARN of a topic nor the name of a parameter, which begins with /")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("arn:") {
            return Ok(Self::Topic(text.to_owned()));
        }
        if text.starts_with('/') {
            return Ok(Self::Webhook(text.to_owned()));
        }
        Err(TargetError(text.to_owned()))
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The address of a webhook, if a message may be sent there: by https, or on the local stack to this machine.
///
/// # Errors
/// What is wrong with it, without the address, which is a secret.
pub fn webhook_url(text: &str, is_local: bool) -> Result<&str, String> {
    let url = text.trim();
    let is_clean = url.is_ascii() && !url.contains(|c: char| c.is_whitespace() || c == '@');
    if !is_clean {
        return Err(
            "the address holds blanks, a user name, or letters that no address has".to_owned(),
        );
    }
    if let Some(rest) = url.strip_prefix("https://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty() {
            return Err("the address names no host".to_owned());
        }
        return Ok(url);
    }
    let is_here = url
        .strip_prefix("http://127.0.0.1")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']));
    if is_here && is_local {
        return Ok(url);
    }
    Err("the address does not begin with https://".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leaves_by_https_only() {
        for (url, is_local, allowed) in [
            ("https://hooks.slack.com/services/T/B/x", false, true),
            (" https://hooks.example.com:8443/x?y=1 \n", false, true),
            ("http://hooks.slack.com/services/T/B/x", false, false),
            ("http://127.0.0.1:9000/hook", true, true),
            ("http://127.0.0.1:9000/hook", false, false),
            ("http://127.0.0.1.example.com/hook", true, false),
            ("http://169.254.169.254/latest", true, false),
            ("https://user@example.com/", false, false),
            ("https:///x", false, false),
            ("ftp://example.com", true, false),
            ("", true, false),
        ] {
            assert_eq!(webhook_url(url, is_local).is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn a_target_reads_back_what_it_writes() {
        for text in [
            "arn:aws:sns:us-east-1:000000000000:team",
            "/spawn/webhooks/team",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert!("https://example.com".parse::<Target>().is_err());
    }
}
