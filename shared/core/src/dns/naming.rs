//! From names of sweeps and members to names in DNS.

use std::fmt;
use std::str::FromStr;

/// The longest label (RFC 1035, 2.3.4).
const LABEL_CHARS_MAX: usize = 63;
/// The longest domain below which every name that spawn makes stays within the 253 characters of RFC 1035: two labels of 63,
/// the account's of 8, and three dots.
const DOMAIN_CHARS_MAX: usize = 253 - 2 * LABEL_CHARS_MAX - 8 - 3;
/// Route 53's longest TTL (API reference of `ResourceRecordSet`).
const TTL_S_MAX: u32 = 2_147_483_647;

/// Which of its addresses an instance is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// That of its VPC.
    Private,
    /// That on the Internet.
    Public,
}

impl FromStr for AddressKind {
    type Err = NamingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "private" => Ok(Self::Private),
            "public" => Ok(Self::Public),
            _ => Err(NamingError(format!(
                "`{text}` is no kind of address: private or public"
            ))),
        }
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

/// What is wrong with a deployment's settings of names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NamingError(String);

/// How a deployment names its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    domain: String,
    account: String,
    /// The hosted zone that the names are in.
    pub zone: String,
    /// Which addresses they stand for.
    pub address: AddressKind,
    /// How long resolvers may keep them, in seconds.
    pub ttl_s: u32,
}

impl Naming {
    /// Names below `domain` in the hosted zone `zone`, for the account `account`.
    ///
    /// # Errors
    /// When one of them cannot be right.
    pub fn new(
        domain: &str,
        zone: &str,
        account: &str,
        address: AddressKind,
        ttl_s: u32,
    ) -> Result<Self, NamingError> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        if domain.is_empty() || !domain.split('.').all(is_label) {
            return Err(NamingError(format!("`{domain}` is not a domain")));
        }
        if domain.len() > DOMAIN_CHARS_MAX {
            let words = format!(
                "the domain has {} characters: names below it have room for {DOMAIN_CHARS_MAX}",
                domain.len()
            );
            return Err(NamingError(words));
        }
        let zone = zone.rsplit('/').next().unwrap_or_default();
        if zone.is_empty() || !zone.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(NamingError(format!(
                "`{zone}` is not the id of a hosted zone such as Z0123456789ABCDEFGHIJ"
            )));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NamingError(format!("`{account}` is not an account's id")));
        }
        if ttl_s > TTL_S_MAX {
            return Err(NamingError(format!("a TTL is at most {TTL_S_MAX} s")));
        }
        Ok(Self {
            domain,
            account: base36(account.parse().unwrap_or(0)),
            zone: zone.to_owned(),
            address,
            ttl_s,
        })
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What every name of this deployment ends with: `1kpqzg2c.example.com`. Below it, everything is spawn's to name.
    #[must_use]
    pub fn suffix(&self) -> String {
        format!("{}.{}", self.account, self.domain)
    }

    /// The name that stands for a sweep's members together, and a name that a document gives: `train.1kpqzg2c.example.com`.
    #[must_use]
    pub fn top(&self, label: &str) -> String {
        format!("{label}.{}.{}", self.account, self.domain)
    }

    /// The name of one member: `7.train.1kpqzg2c.example.com`.
    #[must_use]
    pub fn member(&self, label: &str, sweep_label: &str) -> String {
        format!("{label}.{}", self.top(sweep_label))
    }
}

/// A number in base 36, as accounts are written in names: 123456789012 is `1kpqzg2c`.
#[must_use]
pub fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        let digit = usize::try_from(number % 36).unwrap_or(0);
        digits.push(char::from(DIGITS[digit]));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// The label that a name becomes in DNS: lower-case letters, digits and inner hyphens, 63 at most. `None` when nothing of
/// the name can be said in a label.
#[must_use]
pub fn label(name: &str) -> Option<String> {
    let plain: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
            _ => '-',
        })
        .take(LABEL_CHARS_MAX)
        .collect();
    let label = plain.trim_matches('-');
    is_label(label).then(|| label.to_owned())
}

/// Whether a text is a label of a host name (RFC 1123, 2.1).
fn is_label(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=LABEL_CHARS_MAX).contains(&text.len())
        && text.chars().all(|c| is_edge(c) || c == '-')
        && text.starts_with(is_edge)
        && text.ends_with(is_edge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naming(domain: &str) -> Result<Naming, NamingError> {
        Naming::new(domain, "Z1", "123456789012", AddressKind::Private, 60)
    }

    #[test]
    fn names_are_made_of_member_sweep_account_and_domain() {
        let naming = naming("Example.com.").unwrap();
        assert_eq!(naming.member("7", "train"), "7.train.1kpqzg2c.example.com");
        assert_eq!(naming.top("box"), "box.1kpqzg2c.example.com");
        assert_eq!(naming.suffix(), "1kpqzg2c.example.com");
    }

    #[test]
    fn an_account_is_written_in_base_36() {
        for (number, text) in [
            (0, "0"),
            (35, "z"),
            (36, "10"),
            (123_456_789_012, "1kpqzg2c"),
        ] {
            assert_eq!(base36(number), text);
        }
    }

    #[test]
    fn names_become_labels() {
        for (name, expected) in [
            ("train", Some("train")),
            ("My_Sweep", Some("my-sweep")),
            ("_a_", Some("a")),
            ("a--b", Some("a--b")),
            ("___", None),
            ("", None),
        ] {
            assert_eq!(label(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn settings_that_cannot_be_right_are_refused() {
        for domain in ["", "a..b", "-a.com", "a b.com", &"a.".repeat(70)] {
            assert!(naming(domain).is_err(), "{domain}");
        }
        let new = |zone, account| Naming::new("a.com", zone, account, AddressKind::Public, 60);
        assert!(new("/hostedzone/Z1", "123456789012").is_ok());
        for (zone, account) in [("", "123456789012"), ("Z 1", "123456789012"), ("Z1", "12")] {
            assert!(new(zone, account).is_err(), "{zone} {account}");
        }
        assert!("internal".parse::<AddressKind>().is_err());
    }

    proptest! {
        /// Whatever a sweep and its members are called, the name is one that DNS takes.
        #[test]
        fn every_name_is_a_host_name(
            sweep in "[A-Za-z0-9_-]{1,60}",
            member in "\\PC{0,80}",
            domain in "([a-z0-9]{1,20}\\.){1,5}[a-z]{2,9}",
        ) {
            let naming = naming(&domain).unwrap();
            let (Some(sweep), Some(member)) = (label(&sweep), label(&member)) else { return Ok(()) };
            let name = naming.member(&member, &sweep);
            prop_assert!(name.len() <= 253, "{}", name.len());
            prop_assert!(name.split('.').all(is_label), "{}", name);
            // Labels are made once: a label's label is itself.
            prop_assert_eq!(label(&member), Some(member));
        }
    }
}
