//! What an instance may say about itself: nothing that the ledger and EC2 do not say, too.

use std::net::IpAddr;

use serde::Deserialize;

use crate::dns::{AddressKind, Naming, has_names, wanted};
use crate::ids::InstanceArn;
use crate::ports::CloudInstance;
use crate::region::Region;
use crate::rows::{Addresses, MemberRow};

/// A request to bring the names of the instance that asks up to date.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The instance's region: its credentials do not tell.
    pub region: Region,
    /// A name that it wants; one of its own, and with none all of them.
    #[serde(default, alias = "record_name")]
    pub name: Option<String>,
    /// The address at which it wants to be reached; one of its own, and with none what EC2 shows.
    #[serde(default, alias = "ip_address")]
    pub address: Option<IpAddr>,
}

/// Who asks, as IAM has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    partition: String,
    account: String,
    instance_id: String,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The caller is not an instance with the role of members.
    #[error("`{0}` is not an instance with the role of members")]
    NotAnInstance(String),
    /// The instance works for no member, or for none that runs under a name.
    #[error("{0} has no name here: it is not the instance of a member that runs")]
    NoMember(String),
    /// The name is not one of the instance's own.
    #[error("`{name}` is not a name of {instance}; its own: {own}")]
    ForeignName {
        /// What was asked for.
        name: String,
        /// Who asked.
        instance: String,
        /// What it could have.
        own: String,
    },
    /// The address is not one of the instance's own.
    #[error("{address} is not an address of {instance}")]
    ForeignAddress {
        /// What was asked for.
        address: IpAddr,
        /// Who asked.
        instance: String,
    },
    /// The address is its own, and not of the kind that names stand for.
    #[error("names stand for {kind} addresses here, and {address} is none")]
    OtherKind {
        /// What was asked for.
        address: IpAddr,
        /// What names stand for.
        kind: AddressKind,
    },
    /// The caller has asked too often.
    #[error("too many requests; try again in {retry_after_s} s")]
    TooMany {
        /// When it may ask again.
        retry_after_s: u64,
    },
    /// The request cannot be read.
    #[error("the request is not readable: {0}")]
    Malformed(String),
}

impl RegistrationError {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::OtherKind { .. } => 400,
            Self::NotAnInstance(_)
            | Self::NoMember(_)
            | Self::ForeignName { .. }
            | Self::ForeignAddress { .. } => 403,
            Self::TooMany { .. } => 429,
        }
    }
}

/// The instance that calls, by the ARN that IAM gives for it. EC2 is the only one that may assume the role of members, and it
/// names each session after the instance (Amazon EC2 User Guide, "Instance profiles"), so that a session speaks for one
/// instance.
///
/// # Errors
/// When it is anybody else.
pub fn caller_of(user_arn: &str, member_role: &str) -> Result<Caller, RegistrationError> {
    let not_one = || RegistrationError::NotAnInstance(user_arn.chars().take(200).collect());
    let parts: Vec<&str> = user_arn.splitn(6, ':').collect();
    let ["arn", partition, "sts", "", account, resource] = parts[..] else {
        return Err(not_one());
    };
    let names: Vec<&str> = resource.split('/').collect();
    let ["assumed-role", role, session] = names[..] else {
        return Err(not_one());
    };
    let is_instance = session.strip_prefix("i-").is_some_and(|id| {
        (8..=17).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if role != member_role || !is_instance {
        return Err(not_one());
    }
    Ok(Caller {
        partition: partition.to_owned(),
        account: account.to_owned(),
        instance_id: session.to_owned(),
    })
}

impl Caller {
    /// The instance that calls, if it is in `region`.
    #[must_use]
    pub fn arn(&self, region: Region) -> InstanceArn {
        InstanceArn {
            partition: self.partition.clone(),
            region,
            account: self.account.clone(),
            instance_id: self.instance_id.clone(),
        }
    }

    /// What its requests are counted by.
    #[must_use]
    pub fn counted_as(&self) -> String {
        format!("{}#{}", self.account, self.instance_id)
    }
}

/// Whether the instance `shown`, which asks, may have what it asks for; answers the addresses that it has. `member` is the
/// member that the ledger has it work for, in the sweep `sweep_label`.
///
/// # Errors
/// When the name or the address is not its own.
pub fn judge(
    request: &Request,
    shown: &CloudInstance,
    member: &MemberRow,
    sweep_label: &str,
    naming: &Naming,
) -> Result<Addresses, RegistrationError> {
    let instance = shown.arn.instance_id.clone();
    if member.instance.as_ref() != Some(&shown.arn) || !has_names(member) || shown.state.is_ending()
    {
        return Err(RegistrationError::NoMember(instance));
    }
    if let Some(name) = &request.name {
        let asked = name.trim_end_matches('.').to_ascii_lowercase();
        let there = MemberRow {
            addresses: shown.addresses.clone(),
            ..member.clone()
        };
        let mut own: Vec<String> = wanted(&there, sweep_label, false, naming)
            .into_iter()
            .map(|record| record.id.name)
            .collect();
        own.dedup();
        if !own.contains(&asked) {
            return Err(RegistrationError::ForeignName {
                name: name.chars().take(255).collect(),
                instance,
                own: own.join(", "),
            });
        }
    }
    if let Some(address) = request.address {
        let Addresses {
            private_ip,
            public_ip,
            ipv6,
        } = &shown.addresses;
        let v4 = [*private_ip, *public_ip].map(|ip| ip.map(IpAddr::V4));
        let v6 = ipv6.map(IpAddr::V6);
        if !v4.contains(&Some(address)) && v6 != Some(address) {
            return Err(RegistrationError::ForeignAddress { address, instance });
        }
        let kind = naming.address;
        let of_kind = match kind {
            AddressKind::Private => v4[0],
            AddressKind::Public => v4[1],
        };
        if of_kind != Some(address) && v6 != Some(address) {
            return Err(RegistrationError::OtherKind { address, kind });
        }
    }
    Ok(shown.addresses.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Market, SweepId};
    use crate::ports::InstanceState;
    use crate::state::MemberState;

    const ROLE: &str = "spawn-instance-role";

    #[test]
    fn only_a_session_of_an_instance_is_one() {
        let arn = "arn:aws:sts::123456789012:assumed-role/spawn-instance-role/i-0123456789abcdef0";
        let caller = caller_of(arn, ROLE).unwrap();
        assert_eq!(
            caller.arn("eu-west-1".parse().unwrap()).to_string(),
            "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0"
        );
        for other in [
            "arn:aws:sts::123456789012:assumed-role/other/i-0123456789abcdef0",
            "arn:aws:sts::123456789012:assumed-role/spawn-instance-role/somebody",
            "arn:aws:sts::123456789012:assumed-role/spawn-instance-role/i-",
            "arn:aws:sts::123456789012:assumed-role/spawn-instance-role/i-0123456789abcdef0/x",
            "arn:aws:iam::123456789012:user/spawn-instance-role/i-0123456789abcdef0",
            "arn:aws:iam::123456789012:root",
            "",
        ] {
            assert!(caller_of(other, ROLE).is_err(), "{other}");
        }
    }

    fn shown() -> CloudInstance {
        let arn = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0";
        CloudInstance {
            arn: arn.parse().unwrap(),
            state: InstanceState::Running,
            instance_type: "t3.micro".to_owned(),
            market: Market::OnDemand,
            availability_zone: "us-east-1a".to_owned(),
            launched_at: 0,
            addresses: Addresses {
                private_ip: Some([10, 0, 0, 7].into()),
                public_ip: Some([198, 51, 100, 7].into()),
                ipv6: None,
            },
            state_reason: None,
            seen_at: 1,
        }
    }

    fn member() -> MemberRow {
        let lane = "us-east-1.on-demand".parse().unwrap();
        MemberRow {
            state: MemberState::Running,
            live: true,
            instance: Some(shown().arn),
            dns_name: Some("box".to_owned()),
            ..MemberRow::planned(SweepId::from("s"), 1, 7, lane)
        }
    }

    fn asked(name: Option<&str>, address: Option<&str>) -> Result<Addresses, RegistrationError> {
        let naming = Naming::new("example.com", "Z1", "123456789012", AddressKind::Public, 60);
        let request = Request {
            region: "us-east-1".parse().unwrap(),
            name: name.map(str::to_owned),
            address: address.map(|text| text.parse().unwrap()),
        };
        judge(&request, &shown(), &member(), "s", &naming.unwrap())
    }

    #[test]
    fn an_instance_may_have_its_own_names_and_addresses_and_no_others() {
        for name in [
            None,
            Some("7.s.1kpqzg2c.example.com"),
            Some("7.S.1kpqzg2c.example.com."),
            Some("box.1kpqzg2c.example.com"),
        ] {
            assert_eq!(asked(name, Some("198.51.100.7")), Ok(shown().addresses));
        }
        for name in [
            "8.s.1kpqzg2c.example.com",
            "7.other.1kpqzg2c.example.com",
            "s.1kpqzg2c.example.com",
            "example.com",
            "*.s.1kpqzg2c.example.com",
        ] {
            let error = asked(Some(name), None).unwrap_err();
            assert!(
                matches!(error, RegistrationError::ForeignName { .. }),
                "{error}"
            );
            assert_eq!(error.status(), 403);
        }
        for address in ["198.51.100.8", "10.0.0.8", "2001:db8::1"] {
            let error = asked(None, Some(address)).unwrap_err();
            assert!(
                matches!(error, RegistrationError::ForeignAddress { .. }),
                "{error}"
            );
        }
        let error = asked(None, Some("10.0.0.7")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "names stand for public addresses here, and 10.0.0.7 is none"
        );
    }

    #[test]
    fn an_instance_that_ends_or_works_for_nobody_has_no_name() {
        let request = Request {
            region: "us-east-1".parse().unwrap(),
            name: None,
            address: None,
        };
        let naming = Naming::new("a.com", "Z1", "123456789012", AddressKind::Private, 60).unwrap();
        let other = MemberRow {
            instance: None,
            ..member()
        };
        let ended = MemberRow {
            state: MemberState::Completed,
            ..member()
        };
        let ending = CloudInstance {
            state: InstanceState::ShuttingDown,
            ..shown()
        };
        for (shown, member) in [(shown(), other), (shown(), ended), (ending, member())] {
            let error = judge(&request, &shown, &member, "s", &naming).unwrap_err();
            assert!(matches!(error, RegistrationError::NoMember(_)), "{error}");
        }
    }
}
