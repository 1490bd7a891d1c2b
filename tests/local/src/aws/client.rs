//! One client for all services of the gateway.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request};

use super::xml;
use crate::error::{Error, Result};

/// Longer than any call that a stack on one machine takes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Largest answer that is read: a log or a results file.
const ANSWER_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Calls one endpoint in one region.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    endpoint: String,
    region: String,
}

impl Client {
    /// A client for the stack's home region.
    pub fn new(endpoint: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        Self {
            agent,
            endpoint: endpoint.trim_end_matches('/').into(),
            region: crate::HOME_REGION.into(),
        }
    }

    /// The same for another region.
    pub fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.into(),
            ..self.clone()
        }
    }

    /// Where it calls.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Calls an operation of a JSON protocol, such as `AWSStepFunctions.StartExecution`.
    pub fn json(&self, service: &str, target: &str, input: &Value) -> Result<Value> {
        let request = Request::builder()
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0");
        let answer = self.call(
            service,
            target,
            Method::POST,
            "/",
            request,
            input.to_string().as_bytes(),
        )?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|error| Error::Unreadable {
            what: format!("the answer to {target}"),
            why: error.to_string(),
        })
    }

    /// Calls an operation of the query protocol; answers its XML.
    pub fn query(
        &self,
        service: &str,
        action: &str,
        version: &str,
        parameters: &[(String, String)],
    ) -> Result<String> {
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            body += &format!("&{}={}", encoded(name, false), encoded(value, false));
        }
        let request = Request::builder().header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        let answer = self.call(service, action, Method::POST, "/", request, body.as_bytes())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Calls a REST operation.
    pub(super) fn rest(
        &self,
        service: &str,
        operation: &str,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<Vec<u8>> {
        self.call(service, operation, method, path, Request::builder(), body)
    }

    /// Asks something that needs no credentials, such as the simulator's control API.
    pub fn plain(&self, path: &str) -> Result<Value> {
        let answer = self.rest("none", path, Method::GET, path, &[])?;
        serde_json::from_slice(&answer).map_err(|error| Error::Unreadable {
            what: format!("the answer of {path}"),
            why: error.to_string(),
        })
    }

    fn call(
        &self,
        service: &str,
        operation: &str,
        method: Method,
        path: &str,
        request: ureq::http::request::Builder,
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let no_answer = |error: ureq::Error| Error::NoAnswer {
            operation: operation.into(),
            endpoint: self.endpoint.clone(),
            why: error.to_string(),
        };
        let request = request
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            // The gateway reads service and region from the credential scope and checks no signature.
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=test/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=0",
                    self.region
                ),
            )
            .body(body)
            .map_err(|error| no_answer(error.into()))?;
        let mut answer = self.agent.run(request).map_err(no_answer)?;
        let status = answer.status();
        let content = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(no_answer)?;
        if status.is_success() {
            return Ok(content);
        }
        let (code, message) = fault(&content).unwrap_or_else(|| {
            (
                status.to_string(),
                String::from_utf8_lossy(&content).into_owned(),
            )
        });
        Err(Error::Refused {
            operation: operation.into(),
            code,
            message,
        })
    }
}

/// Code and message of an error answer, whichever protocol it has.
fn fault(content: &[u8]) -> Option<(String, String)> {
    if let Ok(value) = serde_json::from_slice::<Value>(content) {
        let text = |keys: [&str; 2]| {
            keys.iter()
                .find_map(|key| value[key].as_str())
                .map(str::to_owned)
        };
        let code = text(["__type", "code"])?;
        let code = code.rsplit('#').next().unwrap_or(&code).to_owned();
        return Some((code, text(["message", "Message"]).unwrap_or_default()));
    }
    let text = String::from_utf8_lossy(content);
    Some((
        xml::text(&text, "Code")?,
        xml::text(&text, "Message").unwrap_or_default(),
    ))
}

/// Percent-encodes what is neither letter, digit nor `-._~`; a path keeps its slashes.
pub(super) fn encoded(text: &str, is_path: bool) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut done, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    done.push(char::from(byte))
                }
                b'/' if is_path => done.push('/'),
                _ => done += &format!("%{byte:02X}"),
            }
            done
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_both_protocols_are_read() {
        let json = br#"{"__type":"com.amazonaws.states#StateMachineDoesNotExist","message":"no such machine"}"#;
        assert_eq!(
            fault(json),
            Some(("StateMachineDoesNotExist".into(), "no such machine".into()))
        );
        let xml = b"<Response><Errors><Error><Code>InternalError</Code><Message>a &amp; b</Message></Error></Errors></Response>";
        assert_eq!(fault(xml), Some(("InternalError".into(), "a & b".into())));
        assert_eq!(fault(b"nginx"), None);
    }

    #[test]
    fn only_safe_characters_stay_as_they_are() {
        assert_eq!(encoded("a b/ü~", true), "a%20b/%C3%BC~");
        assert_eq!(encoded("a/b", false), "a%2Fb");
    }
}
