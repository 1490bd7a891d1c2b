//! Messages to topics and webhooks.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use spawn_core::ports::{PostWebhooks, PublishTopics, ServiceError};

use crate::sdk::Failure;

/// A webhook that does not take a connection in this time is tried again later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Nor does one help that answers later than this.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The topics of the home region.
#[derive(Clone, Debug)]
pub struct Topics(Client);

impl Topics {
    /// Topics, published to with the credentials of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }
}

impl PublishTopics for Topics {
    async fn publish(
        &self,
        topic_arn: &str,
        subject: &str,
        message: &str,
    ) -> Result<(), ServiceError> {
        let request = self
            .0
            .publish()
            .topic_arn(topic_arn)
            .subject(subject)
            .message(message);
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| Failure::of(&error).of_service("SNS"))
    }
}

/// Webhooks, by the HTTP client that carries the SDK's own calls: one TLS stack, and nothing more to link.
#[derive(Clone, Debug, Default)]
pub struct Webhooks;

impl PostWebhooks for Webhooks {
    async fn post(&self, url: &str, body: String) -> Result<(), ServiceError> {
        let refused = |message: String| ServiceError::Refused {
            service: "the webhook",
            message,
        };
        let transient = |message: String| ServiceError::Transient {
            service: "the webhook",
            message,
        };
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        let sleep = aws_smithy_async::rt::sleep::default_async_sleep();
        let connector = default_connector(&settings, sleep)
            .ok_or_else(|| refused("this build has no HTTP client".to_owned()))?;
        let mut request = HttpRequest::new(SdkBody::from(body));
        // The address is a secret: no error repeats it.
        request
            .set_method("POST")
            .and_then(|()| request.set_uri(url))
            .map_err(|_| refused("the address is no URL".to_owned()))?;
        request
            .headers_mut()
            .insert("content-type", "application/json");
        let answer = connector
            .call(request)
            .await
            .map_err(|error| transient(kind_of(&error).to_owned()))?;
        judge(answer.status()).map_err(|is_transient| {
            let words = format!("it answered with HTTP status {}", answer.status().as_u16());
            if is_transient {
                transient(words)
            } else {
                refused(words)
            }
        })
    }
}

fn kind_of(error: &aws_smithy_runtime_api::client::result::ConnectorError) -> &'static str {
    if error.is_timeout() {
        "it took too long"
    } else if error.is_io() {
        "it could not be reached"
    } else {
        "it did not answer"
    }
}

/// Whether the other side has taken the message; if not, whether it may take it later.
fn judge(status: StatusCode) -> Result<(), bool> {
    match status.as_u16() {
        200..=299 => Ok(()),
        // Asked to wait, or at fault itself.
        408 | 425 | 429 | 500..=599 => Err(true),
        _ => Err(false),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with `status`, and gives back what was asked.
    fn server(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&asked).contains("\r\n\r\n{") {
                let read = stream.read(&mut buffer).unwrap();
                asked.extend_from_slice(&buffer[..read]);
            }
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked).into_owned()
        });
        (url, thread)
    }

    #[tokio::test]
    async fn a_webhook_gets_the_message_as_json() {
        let (url, server) = server("200 OK");
        let body = r#"{"text":"hello"}"#.to_owned();
        Webhooks.post(&url, body).await.unwrap();
        let asked = server.join().unwrap();
        assert!(asked.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("content-type: application/json"), "{asked}");
        assert!(asked.ends_with(r#"{"text":"hello"}"#), "{asked}");
    }

    #[tokio::test]
    async fn a_webhook_that_refuses_is_not_asked_again_and_no_error_tells_its_address() {
        for (status, is_transient) in [
            ("503 Service Unavailable", true),
            ("429 Too Many Requests", true),
            ("404 Not Found", false),
            ("302 Found", false),
        ] {
            let (url, server) = server(status);
            let error = Webhooks.post(&url, "{}".to_owned()).await.unwrap_err();
            server.join().unwrap();
            let transient = matches!(error, ServiceError::Transient { .. });
            assert_eq!(transient, is_transient, "{status}");
            assert!(!error.to_string().contains("127.0.0.1"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_webhook_that_nobody_serves_is_tried_later() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = Webhooks.post(&url, "{}".to_owned()).await.unwrap_err();
        assert!(matches!(error, ServiceError::Transient { .. }), "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}
