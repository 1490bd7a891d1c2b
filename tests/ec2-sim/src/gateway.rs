//! Calls to other services through the local gateway: AWS JSON over plain HTTP.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use thiserror::Error;

use crate::catalogue::HOME_ACCOUNT;
use crate::wire::dummy_authorization;

/// A call that takes longer is lost.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call failed.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    #[error("the request cannot be built")]
    Request(#[from] hyper::http::Error),
    #[error("the gateway cannot be reached: {0}")]
    Connect(#[from] hyper_util::client::legacy::Error),
    #[error("the answer broke off: {0}")]
    Body(#[from] hyper::Error),
    #[error("no answer in {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("status {status}: {body}")]
    Refused { status: u16, body: String },
}

/// The gateway, called in the home region as the home account.
#[derive(Debug)]
pub(crate) struct Gateway {
    url: String,
    region: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Gateway {
    pub(crate) fn new(url: &str, region: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            url: format!("{url}/"),
            region: region.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Calls an operation of an AWS JSON service.
    pub(crate) async fn call(
        &self,
        service: &str,
        target: &str,
        json_version: &str,
        body: &Value,
    ) -> Result<Value, GatewayError> {
        let request = Request::post(&self.url)
            .header(
                "Content-Type",
                format!("application/x-amz-json-{json_version}"),
            )
            .header("X-Amz-Target", target)
            .header("X-Amz-Date", "20260101T000000Z")
            .header(
                "Authorization",
                dummy_authorization(HOME_ACCOUNT, &self.region, service),
            )
            .body(Full::new(Bytes::from(body.to_string())))?;
        let exchange = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let bytes = response.into_body().collect().await?.to_bytes();
            if !status.is_success() {
                return Err(GatewayError::Refused {
                    status: status.as_u16(),
                    body: String::from_utf8_lossy(&bytes).chars().take(300).collect(),
                });
            }
            if bytes.is_empty() {
                Ok(Value::Null)
            } else {
                Ok(serde_json::from_slice(&bytes)?)
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, exchange)
            .await
            .map_err(|_| GatewayError::Timeout)?
    }
}
