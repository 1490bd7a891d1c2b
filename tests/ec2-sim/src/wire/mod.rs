//! The EC2 Query protocol: what a request looks like on the wire and what an answer does.
//!
//! Source: "Query requests" and "Making requests to the Amazon EC2 API", Amazon EC2 API Reference.

mod credential;
mod error;
mod params;
mod xml;

pub(crate) use credential::{Scope, dummy_authorization};
pub(crate) use error::Ec2Error;
pub(crate) use params::Params;
pub(crate) use xml::{Xml, error_document, response_document};
