//! The addresses of an instance.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The addresses at which an instance can be reached, as EC2 shows them. A public one is often given only when the instance
/// runs, and another after every stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// In its VPC; it stays for the instance's life.
    #[serde(default)]
    pub private_ip: Option<Ipv4Addr>,
    /// On the Internet, if it has one.
    #[serde(default)]
    pub public_ip: Option<Ipv4Addr>,
    /// IPv6, if its subnet has it.
    #[serde(default)]
    pub ipv6: Option<Ipv6Addr>,
}
