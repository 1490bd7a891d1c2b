//! How large EC2's token buckets are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rows::LaunchApi;

/// A token bucket of EC2 that launches draw on, in each account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Requests of RunInstances.
    RunInstances,
    /// Requests of CreateFleet.
    CreateFleet,
    /// Instances, whichever call launches them: CreateFleet draws on the bucket of RunInstances.
    Instances,
}

impl Bucket {
    /// Every bucket.
    pub const ALL: [Self; 3] = [Self::RunInstances, Self::CreateFleet, Self::Instances];

    /// The bucket of an API's requests.
    #[must_use]
    pub fn of_requests(api: LaunchApi) -> Self {
        match api {
            LaunchApi::RunInstances => Self::RunInstances,
            LaunchApi::CreateFleet => Self::CreateFleet,
        }
    }

    /// The name in keys of the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunInstances => "RUN_INSTANCES",
            Self::CreateFleet => "CREATE_FLEET",
            Self::Instances => "INSTANCES",
        }
    }

    /// The name in settings.
    fn setting(self) -> &'static str {
        match self {
            Self::RunInstances => "RunInstances",
            Self::CreateFleet => "CreateFleet",
            Self::Instances => "instances",
        }
    }
}

/// The size of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Tokens that it holds.
    pub capacity: u32,
    /// Tokens that it gets in 1,000 s, so that rates below one a second are whole numbers, too.
    pub refill_per_1000_s: u32,
}

impl Size {
    /// A bucket of `capacity` tokens that gets `refill` a second.
    const fn per_second(capacity: u32, refill: u32) -> Self {
        Self {
            capacity,
            refill_per_1000_s: refill * 1000,
        }
    }

    /// Whether a bucket can have this size: one that never fills up, or overflows what is reckoned with, is a mistake.
    pub(super) fn is_sound(self) -> bool {
        (1..=1_000_000).contains(&self.capacity)
            && (1..=10_000_000).contains(&self.refill_per_1000_s)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.refill_per_1000_s / 1000, self.refill_per_1000_s % 1000);
        write!(f, "{}+{whole}", self.capacity)?;
        if thousandths > 0 {
            write!(f, "{}", format!(".{thousandths:03}").trim_end_matches('0'))?;
        }
        f.write_str("/s")
    }
}

/// A text that is not the size of a bucket, or does not name one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a launch limit; limits are written like `RunInstances=5+2/s, CreateFleet=50+5/s, instances=1000+2/s`, each a bucket's tokens (1 to 1000000) and what it gets a second (0.001 to 10000)"
)]
pub struct SizeError(String);

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| SizeError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Size> {
    let (capacity, refill) = text.trim().strip_suffix("/s")?.split_once('+')?;
    let (whole, fraction) = refill.split_once('.').unwrap_or((refill, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(capacity) || !digits(whole) || fraction.len() > 3 {
        return None;
    }
    if refill.contains('.') && !digits(fraction) {
        return None;
    }
    let thousandths: u32 = format!("{fraction:0<3}").parse().ok()?;
    let size = Size {
        capacity: capacity.parse().ok()?,
        refill_per_1000_s: whole.parse::<u32>().ok()?.checked_mul(1000)? + thousandths,
    };
    size.is_sound().then_some(size)
}

/// The sizes of the buckets that launches draw on, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Requests of RunInstances.
    #[serde(default)]
    pub run_instances: Option<Size>,
    /// Requests of CreateFleet.
    #[serde(default)]
    pub create_fleet: Option<Size>,
    /// Instances.
    #[serde(default)]
    pub instances: Option<Size>,
}

impl Sizes {
    /// What every account has from the start (Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API";
    /// CreateFleet is among the mutating actions without a limit of their own).
    pub const DEFAULTS: Self = Self {
        run_instances: Some(Size::per_second(5, 2)),
        create_fleet: Some(Size::per_second(50, 5)),
        instances: Some(Size::per_second(1000, 2)),
    };

    /// The size of one bucket: what is known here, else EC2's default.
    #[must_use]
    pub fn of(&self, bucket: Bucket) -> Size {
        let pick = |sizes: &Self| match bucket {
            Bucket::RunInstances => sizes.run_instances,
            Bucket::CreateFleet => sizes.create_fleet,
            Bucket::Instances => sizes.instances,
        };
        pick(self)
            .or_else(|| pick(&Self::DEFAULTS))
            .unwrap_or(Size::per_second(1, 1))
    }

    /// Where the size of a bucket stands.
    pub(super) fn slot(&mut self, bucket: Bucket) -> &mut Option<Size> {
        match bucket {
            Bucket::RunInstances => &mut self.run_instances,
            Bucket::CreateFleet => &mut self.create_fleet,
            Bucket::Instances => &mut self.instances,
        }
    }

    /// These sizes, and where one is not known that of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            run_instances: self.run_instances.or(other.run_instances),
            create_fleet: self.create_fleet.or(other.create_fleet),
            instances: self.instances.or(other.instances),
        }
    }
}

impl FromStr for Sizes {
    type Err = SizeError;

    /// Reads `RunInstances=5+2/s, CreateFleet=50+5/s, instances=1000+2/s`, of which each part may be missing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut sizes = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let wrong = || SizeError(part.to_owned());
            let (name, size) = part.split_once('=').ok_or_else(wrong)?;
            let bucket = Bucket::ALL
                .into_iter()
                .find(|bucket| bucket.setting() == name.trim())
                .ok_or_else(wrong)?;
            *sizes.slot(bucket) = Some(size.parse().map_err(|_| wrong())?);
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_the_buckets_that_differ_from_ec2s_defaults() {
        let sizes: Sizes = "RunInstances=10+4/s, instances=2000+2.5/s".parse().unwrap();
        assert_eq!(sizes.of(Bucket::RunInstances).to_string(), "10+4/s");
        assert_eq!(sizes.of(Bucket::CreateFleet).to_string(), "50+5/s");
        assert_eq!(sizes.of(Bucket::Instances).to_string(), "2000+2.5/s");
        assert_eq!("".parse(), Ok(Sizes::default()));
    }

    #[test]
    fn a_wrong_setting_is_told_with_an_example() {
        for wrong in [
            "RunInstances",
            "RunInstances=5",
            "RunInstances=5+2",
            "RunInstances=0+2/s",
            "RunInstances=5+0/s",
            "RunInstances=5+0.0001/s",
            "RunInstances=5+1./s",
            "RunInstances=-5+1/s",
            "Instances=5+1/s",
            "instances=5+99999999/s",
        ] {
            let error = wrong.parse::<Sizes>().unwrap_err().to_string();
            assert!(error.contains("instances=1000+2/s"), "{error}");
            assert!(error.contains(wrong), "{error}");
        }
    }
}
