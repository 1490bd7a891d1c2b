//! What a denial of EC2 says. EC2 encodes it, because its details are not for everybody who is denied something.

use aws_config::Region as AwsRegion;
use serde_json::Value;
use spawn_core::ports::Ec2Error;
use spawn_core::region::Region;

use super::Ec2;

/// What stands before the encoded details in EC2's words.
const ENCODED: &str = "Encoded authorization failure message: ";

/// How to read a denial that was not decoded. It stands before the encoded details, which are long: a reason that is cut keeps it.
const HINT: &str =
    "(Who may, reads the encoded message with `aws sts decode-authorization-message`.)";

/// EC2's words of a denial, with what to do about the encoded part.
pub(super) fn readable(text: &str) -> String {
    match text.split_once(ENCODED) {
        Some((before, encoded)) => format!("{before}{HINT} {ENCODED}{encoded}"),
        None => text.to_owned(),
    }
}

impl Ec2 {
    /// An error with a denial in words, where the caller may read them (`sts:DecodeAuthorizationMessage`).
    pub(super) async fn explain(&self, region: Region, error: Ec2Error) -> Ec2Error {
        let Ec2Error::Refused(text) = &error else {
            return error;
        };
        let Some((before, encoded)) = text.split_once(ENCODED) else {
            return error;
        };
        let encoded = encoded.split_whitespace().next().unwrap_or_default();
        let region = AwsRegion::from_static(region.as_str());
        let config = self.config().into_builder().region(region).build();
        let decoded = aws_sdk_sts::Client::new(&config)
            .decode_authorization_message()
            .encoded_message(encoded)
            .send()
            .await;
        match decoded {
            Ok(answer) => {
                let words = answer.decoded_message().and_then(words);
                let before = before.trim_end().trim_end_matches(HINT).trim_end();
                words.map_or(error.clone(), |words| {
                    Ec2Error::Refused(format!("{before} {words}"))
                })
            }
            Err(failure) => {
                tracing::debug!(error = %failure, "denial was not decoded");
                error
            }
        }
    }
}

/// A decoded denial in a sentence (AWS STS API Reference, DecodeAuthorizationMessage).
fn words(decoded: &str) -> Option<String> {
    let denial: Value = serde_json::from_str(decoded).ok()?;
    let context = denial.get("context")?;
    let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let principal = context
        .get("principal")
        .and_then(|principal| text(principal, "arn"))
        .unwrap_or_else(|| "the caller".to_owned());
    let action = text(context, "action")?;
    let resource = text(context, "resource").unwrap_or_else(|| "it".to_owned());
    let is_explicit = denial.get("explicitDeny").and_then(Value::as_bool) == Some(true);
    let why = if is_explicit {
        "a policy denies it explicitly"
    } else {
        "no policy allows it"
    };
    Some(format!(
        "{principal} may not {action} on {resource}: {why}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_denial_says_how_to_read_it_before_anything_long() {
        let text = "UnauthorizedOperation: no. Encoded authorization failure message: abc";
        let readable = readable(text);
        let hint = readable.find("aws sts decode-authorization-message");
        assert!(hint < readable.find("abc"), "{readable}");
        assert!(readable.ends_with("Encoded authorization failure message: abc"));
        assert_eq!(
            super::readable("UnauthorizedOperation: no."),
            "UnauthorizedOperation: no."
        );
    }

    #[test]
    fn a_denial_says_who_may_not_do_what() {
        let decoded = r#"{"allowed":false,"explicitDeny":false,"matchedStatements":{"items":[]},"context":{
            "principal":{"id":"AROA:spawn","arn":"arn:aws:sts::111122223333:assumed-role/launch/spawn"},
            "action":"ec2:RunInstances","resource":"arn:aws:ec2:us-east-1:111122223333:instance/*","conditions":{"items":[]}}}"#;
        assert_eq!(
            words(decoded).unwrap(),
            "arn:aws:sts::111122223333:assumed-role/launch/spawn may not ec2:RunInstances on \
             arn:aws:ec2:us-east-1:111122223333:instance/*: no policy allows it."
        );
        assert_eq!(words("{}"), None);
    }
}
