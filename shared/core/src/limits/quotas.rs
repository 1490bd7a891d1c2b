//! The sizes of token buckets that Service Quotas tells.
//!
//! The Amazon EC2 Developer Guide ("Request throttling for the Amazon EC2 API", "View your current API limits") names two
//! quotas for each API's requests. Of the instances that RunInstances may launch it names none: that bucket's size is EC2's
//! default, or what an operator has set. Codes stand in no guide, so they are looked up by name and kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bucket, Size, Sizes};
use crate::account::Place;
use crate::ledger::{Key, Stored};
use crate::ports::ReadQuotas;
use crate::region::Region;

/// How old what Service Quotas said of a place may be, in ms: its own figures are up to a day old (ibid.).
const QUOTA_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// How long the codes of quotas are kept, in ms: AWS changes none, but may give one to a quota that had none.
const CODES_AGE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// The buckets whose sizes are quotas.
const TOLD: [Bucket; 2] = [Bucket::RunInstances, Bucket::CreateFleet];

/// The sizes of an account's buckets in a region as Service Quotas tells them (`LIMIT#account#region` / `QUOTAS`). Put by
/// plan-sweep; without an answer an older one stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// The account.
    pub account: String,
    /// The region.
    pub region: Region,
    /// What the service knows.
    pub sizes: Sizes,
    /// When it was read, in ms since 1970.
    pub read_at: u64,
}

/// The key of the row of an account's quotas in a region.
#[must_use]
pub fn quota_key(account: &str, region: &Region) -> Key {
    Key::new(format!("LIMIT#{account}#{region}"), "QUOTAS")
}

impl Stored for QuotaRow {
    fn key(&self) -> Key {
        quota_key(&self.account, &self.region)
    }
}

impl QuotaRow {
    /// Whether the service is to be asked again at `now` (ms since 1970).
    #[must_use]
    pub fn is_stale(&self, now: u64) -> bool {
        self.read_at + QUOTA_AGE_MS_MAX <= now
    }
}

/// The codes of the quotas of buckets by their names (`LIMIT#EC2` / `QUOTA_CODES`). They are the same in every account and
/// region. Put by plan-sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaCodesRow {
    /// The codes, such as `L-8EEB235C`, by name; a name that the service does not have is missing.
    pub codes: BTreeMap<String, String>,
    /// When they were looked up, in ms since 1970.
    pub read_at: u64,
}

impl QuotaCodesRow {
    /// The row's key.
    #[must_use]
    pub fn its_key() -> Key {
        Key::new("LIMIT#EC2", "QUOTA_CODES")
    }

    /// Whether they are to be looked up again at `now` (ms since 1970).
    #[must_use]
    pub fn is_stale(&self, now: u64) -> bool {
        self.read_at + CODES_AGE_MS_MAX <= now
    }
}

impl Stored for QuotaCodesRow {
    fn key(&self) -> Key {
        Self::its_key()
    }
}

/// The names of a bucket's quotas: of what it holds, and of what it gets a second.
fn names_of(bucket: Bucket) -> Option<[String; 2]> {
    let api = match bucket {
        Bucket::RunInstances => "RunInstances",
        Bucket::CreateFleet => "CreateFleet",
        Bucket::Instances => return None,
    };
    Some([
        format!("{api} request bucket maximum capacity"),
        format!("{api} request bucket refill rate"),
    ])
}

/// The names of all quotas that are the size of a bucket.
#[must_use]
pub fn quota_names() -> Vec<String> {
    TOLD.into_iter().filter_map(names_of).flatten().collect()
}

/// The sizes of the buckets of `place`, as far as Service Quotas has values for them: where it has one of a bucket's two, the
/// other is EC2's default, as for every quota that was never changed.
///
/// # Errors
/// In words, when the service does not answer or may not be asked. Nothing is known then.
pub async fn ask(
    service: &impl ReadQuotas,
    place: &Place,
    codes: &BTreeMap<String, String>,
) -> Result<Sizes, String> {
    let mut sizes = Sizes::default();
    for bucket in TOLD {
        let mut told = [None; 2];
        for (value, name) in told.iter_mut().zip(names_of(bucket).into_iter().flatten()) {
            if let Some(code) = codes.get(&name) {
                *value = service.quota_thousandths(&place.region, code).await?;
            }
        }
        *sizes.slot(bucket) = size(bucket, told);
    }
    Ok(sizes)
}

/// A bucket's size by the values of its quotas, both in thousandths; `None` where neither is told, or one cannot be.
fn size(bucket: Bucket, [capacity, refill]: [Option<u64>; 2]) -> Option<Size> {
    if capacity.is_none() && refill.is_none() {
        return None;
    }
    let default = Sizes::DEFAULTS.of(bucket);
    let size = Size {
        capacity: match capacity {
            Some(thousandths) => u32::try_from(thousandths / 1000).ok()?,
            None => default.capacity,
        },
        refill_per_1000_s: match refill {
            Some(thousandths) => u32::try_from(thousandths).ok()?,
            None => default.refill_per_1000_s,
        },
    };
    size.is_sound().then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quotas_of_requests_have_the_names_of_the_guide() {
        assert_eq!(
            quota_names(),
            [
                "RunInstances request bucket maximum capacity",
                "RunInstances request bucket refill rate",
                "CreateFleet request bucket maximum capacity",
                "CreateFleet request bucket refill rate",
            ]
        );
    }

    #[test]
    fn a_size_is_what_the_service_says_and_else_ec2s_default() {
        let told = |values| size(Bucket::RunInstances, values).map(|size| size.to_string());
        assert_eq!(
            told([Some(15_000), Some(6_500)]).as_deref(),
            Some("15+6.5/s")
        );
        assert_eq!(told([None, Some(6_000)]).as_deref(), Some("5+6/s"));
        assert_eq!(told([Some(10_000), None]).as_deref(), Some("10+2/s"));
        assert_eq!(told([None, None]), None);
        // Nothing launches by a bucket that holds nothing: such a value is no size.
        assert_eq!(told([Some(0), Some(2_000)]), None);
        assert_eq!(told([Some(5_000), Some(u64::MAX)]), None);
    }

    #[test]
    fn an_answer_is_good_for_a_day() {
        let row = QuotaRow {
            account: "111122223333".to_owned(),
            region: "us-east-1".parse().unwrap(),
            sizes: Sizes::default(),
            read_at: 1_000,
        };
        assert!(!row.is_stale(QUOTA_AGE_MS_MAX));
        assert!(row.is_stale(1_000 + QUOTA_AGE_MS_MAX));
    }
}
