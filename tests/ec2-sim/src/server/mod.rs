//! The HTTP server: one port for the EC2 API, the metadata service and the control API.

mod control;
mod imds;
mod query;
mod state_dump;

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::events::report;
use crate::sim::Sim;

/// An answer with its whole body.
type Answer = Response<Full<Bytes>>;

/// A connection that is closed without an answer.
#[derive(Debug, Error)]
enum Dropped {
    #[error("a fault wants the answer lost")]
    Fault,
    #[error("the request broke off: {0}")]
    Request(#[from] hyper::Error),
}

/// Accepts connections for ever; all of them end when this is dropped.
pub(crate) async fn serve(listener: TcpListener, sim: Arc<Sim>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it small answers wait for a delayed acknowledgement. It fails only on a closed socket.
                    let _closed = stream.set_nodelay(true);
                    let sim = Arc::clone(&sim);
                    connections.spawn(async move {
                        let service = service_fn(move |request| handle(Arc::clone(&sim), request));
                        // An error here is a client that went away or a fault that closed the connection.
                        let _gone = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
                Err(error) => {
                    report(&format!("cannot accept a connection: {error}"));
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn handle(sim: Arc<Sim>, request: Request<Incoming>) -> Result<Answer, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix("/_sim/") {
        Ok(control::handle(&sim, &parts, rest, &body))
    } else if let Some(rest) = path.strip_prefix("/imds/") {
        Ok(imds::handle(&sim, &parts, rest))
    } else {
        query::handle(&sim, &parts, &body).await
    }
}

/// Builds an answer. The parts are constants of this crate, so building cannot fail; if it did, the answer would be a bare 500.
fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(body.into()))
        .unwrap_or_else(|_: hyper::http::Error| {
            let mut bare = Response::new(Full::new(Bytes::new()));
            *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            bare
        })
}

/// The value of a header, when it is text.
fn header<'h>(parts: &'h hyper::http::request::Parts, name: &str) -> Option<&'h str> {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}
