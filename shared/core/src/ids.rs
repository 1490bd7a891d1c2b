//! Names of things: sweeps, lanes, instances, client tokens. A value of these types is well formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::account::{AccountId, Place};
use crate::region::Region;

/// Hex digits of the SHA-256 of `parts`, joined by a byte that no part contains.
fn fingerprint(parts: &[&str]) -> String {
    use fmt::Write as _;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ok = write!(hex, "{byte:02x}");
        hex
    })
}

/// The id of a sweep: `NAME-YYYYMMDD-xxxxxx`, such as `hyperparam-20260122-abc123`.
///
/// It is a function of the execution that submitted the sweep, so that planning the same execution twice plans one sweep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SweepId(String);

impl SweepId {
    /// The id of the sweep called `name` that the execution `execution_arn` submitted at `started_at` (ISO 8601, as Step
    /// Functions gives it in `$states.context.Execution.StartTime`).
    #[must_use]
    pub fn new(name: &str, started_at: &str, execution_arn: &str) -> Self {
        let date: String = started_at
            .chars()
            .take(10)
            .filter(char::is_ascii_digit)
            .collect();
        let hash = fingerprint(&[name, execution_arn]);
        Self(format!("{name}-{date}-{}", &hash[..6]))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SweepId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for SweepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an instance is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// At the list price, until it is ended.
    OnDemand,
    /// At the spot price, until EC2 takes it back.
    Spot,
}

impl Market {
    /// The name as EC2 writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One (account, region, market) of a sweep. EC2's limits hold for each lane.
///
/// It is written `us-east-1.on-demand` in the home account, the one that spawn itself is deployed in, and
/// `111122223333.us-east-1.on-demand` in another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// Whose instances the lane's are; `None`: the home account's.
    pub account: Option<AccountId>,
    /// Where the lane's instances are.
    pub region: Region,
    /// How they are bought first.
    pub market: Market,
}

impl LaneId {
    /// Where the lane's instances are, however they are bought.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            account: self.account,
            region: self.region,
        }
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.place(), self.market)
    }
}

/// A text that is not the name of a lane.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a lane; a lane is written like `us-east-1.on-demand` or `111122223333.eu-west-1.spot`"
)]
pub struct LaneIdError(String);

impl FromStr for LaneId {
    type Err = LaneIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || LaneIdError(text.to_owned());
        let (place, market) = text.rsplit_once('.').ok_or_else(wrong)?;
        let market = match market {
            "on-demand" => Market::OnDemand,
            "spot" => Market::Spot,
            _ => return Err(wrong()),
        };
        let place: Place = place.parse().map_err(|_| wrong())?;
        Ok(Self {
            account: place.account,
            region: place.region,
            market,
        })
    }
}

impl Serialize for LaneId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LaneId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The ARN of an instance, the one name of it that tells its account and region too.
///
/// It is what `ec2:SourceInstanceARN` holds, so an IAM policy can tie a row of the ledger to the instance that may touch it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceArn {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The instance's region.
    pub region: Region,
    /// The 12 digits of the account that owns the instance.
    pub account: String,
    /// `i-…`.
    pub instance_id: String,
}

impl fmt::Display for InstanceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            instance_id,
        } = self;
        write!(
            f,
            "arn:{partition}:ec2:{region}:{account}:instance/{instance_id}"
        )
    }
}

/// A text that is not the ARN of an instance.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the ARN of an EC2 instance")]
pub struct InstanceArnError(String);

impl FromStr for InstanceArn {
    type Err = InstanceArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InstanceArnError(text.to_owned());
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else {
            return Err(wrong());
        };
        let instance_id = resource.strip_prefix("instance/").ok_or_else(wrong)?;
        if arn != "arn" || service != "ec2" || !instance_id.starts_with("i-") {
            return Err(wrong());
        }
        Ok(Self {
            partition: partition.to_owned(),
            region: region.parse().map_err(|_| wrong())?,
            account: account.to_owned(),
            instance_id: instance_id.to_owned(),
        })
    }
}

impl Serialize for InstanceArn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InstanceArn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// EC2's idempotency token of one launch attempt: 64 hex digits (EC2 accepts up to 64 ASCII characters).
///
/// It is a function of everything that the request holds, so that a repeat is the same request and a changed request is a
/// new token, as EC2 demands (`IdempotentParameterMismatch` otherwise).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientToken(String);

impl ClientToken {
    /// The token of the attempt that these parts describe.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self(fingerprint(parts))
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_id_names_the_sweep_the_day_and_the_execution() {
        let id = SweepId::new("hyperparam", "2026-01-22T10:00:00.000Z", "arn:one");
        assert!(id.as_str().starts_with("hyperparam-20260122-"));
        assert_eq!(id.as_str().len(), "hyperparam-20260122-abc123".len());
        assert_eq!(
            id,
            SweepId::new("hyperparam", "2026-01-22T23:59:59Z", "arn:one")
        );
        assert_ne!(
            id,
            SweepId::new("hyperparam", "2026-01-22T10:00:00.000Z", "arn:two")
        );
    }

    #[test]
    fn a_lane_reads_back_what_it_writes() {
        for text in [
            "us-east-1.on-demand",
            "eu-west-1.spot",
            "012345678901.eu-west-1.spot",
        ] {
            assert_eq!(text.parse::<LaneId>().unwrap().to_string(), text);
        }
        for text in [
            "us-east-1",
            "us-east-1.cheap",
            "mars-1.spot",
            "1234.us-east-1.spot",
            "us-east-1.us-east-1.spot",
            ".us-east-1.spot",
        ] {
            assert!(text.parse::<LaneId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_instance_arn_reads_back_what_it_writes() {
        let text = "arn:aws:ec2:us-west-2:000000000000:instance/i-0abc";
        assert_eq!(text.parse::<InstanceArn>().unwrap().to_string(), text);
        for wrong in [
            "arn:aws:ec2:us-west-2:000000000000:volume/vol-1",
            "arn:aws:s3:us-west-2:000000000000:instance/i-0abc",
            "i-0abc",
        ] {
            assert!(wrong.parse::<InstanceArn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_token_keeps_its_parts_apart() {
        assert_ne!(ClientToken::of(&["ab", "c"]), ClientToken::of(&["a", "bc"]));
        assert_eq!(ClientToken::of(&["a"]).as_str().len(), 64);
    }
}
