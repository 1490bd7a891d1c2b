//! Route 53: the hosted zone of the members' names.

use ureq::http::Method;

use super::client::Client;
use super::xml;
use crate::error::{Error, Result};

impl Client {
    /// Creates a hosted zone; answers its id.
    pub fn create_hosted_zone(&self, domain: &str) -> Result<String> {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <Name>{domain}</Name><CallerReference>{domain}</CallerReference></CreateHostedZoneRequest>"
        );
        let path = "/2013-04-01/hostedzone";
        let answer = self.rest(
            "route53",
            "CreateHostedZone",
            Method::POST,
            path,
            body.as_bytes(),
        )?;
        let answer = String::from_utf8_lossy(&answer);
        let id = xml::text(&answer, "Id").ok_or_else(|| Error::Unreadable {
            what: "the answer of CreateHostedZone".into(),
            why: "it has no Id".into(),
        })?;
        Ok(id.trim_start_matches("/hostedzone/").to_owned())
    }
}
