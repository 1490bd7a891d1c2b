//! `ec2-sim shim CONTROL-URL COMMAND ARGUMENTS..`: an instance's own `shutdown`, `poweroff` and `halt`.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

use super::shutdown_command::parse;

/// Why the command failed.
#[derive(Debug, Error)]
pub enum ShimError {
    /// Not called by the shim scripts.
    #[error("usage: ec2-sim shim CONTROL-URL shutdown|poweroff|halt [ARGUMENTS]")]
    Usage,
    /// Arguments that the command does not have.
    #[error("{0}")]
    Arguments(String),
    /// The simulator did not do it.
    #[error("the simulator refused: {0}")]
    Refused(String),
}

/// Minutes since midnight, UTC.
fn minute_of_day() -> u64 {
    crate::clock::now_ms() / 60_000 % (24 * 60)
}

/// Runs the command; `arguments` are those after `shim`.
pub async fn run_shim(arguments: &[String]) -> Result<(), ShimError> {
    let [control, name, arguments @ ..] = arguments else {
        return Err(ShimError::Usage);
    };
    let Some(request) = parse(name, arguments, minute_of_day()).map_err(ShimError::Arguments)?
    else {
        return Ok(());
    };
    let refused = |error: &dyn std::fmt::Display| ShimError::Refused(error.to_string());
    let body = serde_json::to_vec(&request).map_err(|error| refused(&error))?;
    let request = Request::post(format!("{control}/shutdown"))
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| refused(&error))?;
    let exchange = Client::builder(TokioExecutor::new())
        .build_http()
        .request(request);
    let response = tokio::time::timeout(Duration::from_secs(10), exchange)
        .await
        .map_err(|_| refused(&"no answer in 10 s"))?
        .map_err(|error| refused(&error))?;
    if response.status().is_success() {
        return Ok(());
    }
    let text = response
        .into_body()
        .collect()
        .await
        .map_err(|error| refused(&error))?
        .to_bytes();
    Err(refused(&String::from_utf8_lossy(&text)))
}
