//! Ports of 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, Result};

/// A port that nobody listens on now. It is not kept: who gets it should bind it soon.
pub fn free() -> Result<u16> {
    let listener = bind(0)?;
    let address = listener.local_addr().map_err(|source| Error::Io {
        doing: "find a free port".into(),
        source,
    })?;
    Ok(address.port())
}

/// Whether a server could listen on the port.
pub fn is_free(port: u16) -> bool {
    bind(port).is_ok()
}

fn bind(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| Error::Io {
        doing: format!("listen on 127.0.0.1:{port}"),
        source,
    })
}
