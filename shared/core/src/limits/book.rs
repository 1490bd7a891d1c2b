//! The buckets of the places that a step may launch in, read together and taken from together.

use std::collections::BTreeMap;

use super::{Bucket, LimitRow, QuotaRow, Size, Sizes, limit_key, quota_key};
use crate::launch::BATCH_MEMBERS_MAX;
use crate::ledger::{Key, Ledger, LedgerError, Stored, Versioned, Write};
use crate::region::Region;
use crate::rows::LaunchApi;

/// What became of a wish for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// They are taken, for a call that is made at this time (ms since 1970) and not before.
    At(u64),
    /// They are not taken: they are not there before this time.
    NotBefore(u64),
}

/// Where buckets are: an account and a region.
pub type Site = (String, Region);

#[derive(Clone, Debug)]
struct Entry {
    row: LimitRow,
    exists: bool,
    is_changed: bool,
}

/// Buckets of some places.
#[derive(Clone, Debug, Default)]
pub struct Book {
    sizes: BTreeMap<Site, Sizes>,
    entries: BTreeMap<(Site, Bucket), Entry>,
}

impl Book {
    /// Reads the buckets of `sites`. What an operator `configured` comes before what Service Quotas says, and that before
    /// EC2's defaults.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn load(
        ledger: &impl Ledger,
        configured: Sizes,
        sites: &[Site],
    ) -> Result<Self, LedgerError> {
        let keys: Vec<Key> = sites.iter().flat_map(keys_of).collect();
        let mut rows = ledger.get(&keys).await?.into_iter();
        let mut book = Self::default();
        for site in sites {
            let quotas = rows.next().flatten().map(QuotaRow::from_row).transpose()?;
            let known = quotas.map_or_else(Sizes::default, |row| row.sizes);
            book.sizes.insert(site.clone(), configured.or(known));
            for bucket in Bucket::ALL {
                let row = rows.next().flatten().map(LimitRow::from_row).transpose()?;
                let entry = Entry {
                    exists: row.is_some(),
                    row: row.unwrap_or_else(|| LimitRow::full(&site.0, site.1, bucket)),
                    is_changed: false,
                };
                book.entries.insert((site.clone(), bucket), entry);
            }
        }
        Ok(book)
    }

    /// Whether the buckets of a place were read.
    #[must_use]
    pub fn has(&self, site: &Site) -> bool {
        self.sizes.contains_key(site)
    }

    /// Adds the buckets of further places.
    pub fn join(&mut self, other: Self) {
        self.sizes.extend(other.sizes);
        self.entries.extend(other.entries);
    }

    /// The most instances of one call in a place.
    #[must_use]
    pub fn call_max(&self, site: &Site, now: u64) -> u32 {
        let throttled = self
            .entries
            .get(&(site.clone(), Bucket::Instances))
            .and_then(|entry| entry.row.call_max(now));
        self.size(site, Bucket::Instances)
            .capacity
            .min(throttled.unwrap_or(BATCH_MEMBERS_MAX))
            .min(BATCH_MEMBERS_MAX)
    }

    /// When one request of `api` and `instances` instances are there for one call, in ms since 1970.
    #[must_use]
    pub fn when(&self, site: &Site, api: LaunchApi, instances: u32, now: u64) -> u64 {
        let wishes = [
            (Bucket::of_requests(api), 1),
            (Bucket::Instances, instances),
        ];
        wishes
            .iter()
            .filter_map(|(bucket, amount)| {
                let entry = self.entries.get(&(site.clone(), *bucket))?;
                Some(entry.row.when(self.size(site, *bucket), *amount, now))
            })
            .max()
            .unwrap_or(now)
    }

    /// Takes one request of `api` and `instances` instances for one call, if both are there within `horizon_ms`.
    pub fn reserve(
        &mut self,
        site: &Site,
        api: LaunchApi,
        instances: u32,
        now: u64,
        horizon_ms: u64,
    ) -> Reserved {
        let when = self.when(site, api, instances, now);
        if when > now + horizon_ms {
            return Reserved::NotBefore(when);
        }
        let wishes = [
            (Bucket::of_requests(api), 1),
            (Bucket::Instances, instances),
        ];
        for (bucket, amount) in wishes.into_iter().filter(|(_, amount)| *amount > 0) {
            self.change(site, bucket, |row, size| row.take(size, amount, now));
        }
        Reserved::At(when)
    }

    /// Gives back the instances of a call that EC2 launched fewer by, or did not carry out.
    pub fn give_back(&mut self, site: &Site, instances: u32, now: u64) {
        self.change(site, Bucket::Instances, |row, size| {
            row.give_back(size, instances, now);
        });
    }

    /// Notes that EC2 throttled a call of `asked` instances.
    pub fn throttle(&mut self, site: &Site, api: LaunchApi, asked: u32, now: u64) {
        for bucket in [Bucket::of_requests(api), Bucket::Instances] {
            self.change(site, bucket, |row, size| row.throttle(size, asked, now));
        }
    }

    /// The writes of everything that was changed; they fail when another function was faster.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn writes(&self) -> Result<Vec<Write>, LedgerError> {
        self.entries
            .values()
            .filter(|entry| entry.is_changed)
            .map(|entry| {
                if entry.exists {
                    entry.row.clone().replace()
                } else {
                    entry.row.create()
                }
            })
            .collect()
    }

    fn size(&self, site: &Site, bucket: Bucket) -> Size {
        self.sizes.get(site).copied().unwrap_or_default().of(bucket)
    }

    fn change(&mut self, site: &Site, bucket: Bucket, change: impl FnOnce(&mut LimitRow, Size)) {
        let size = self.size(site, bucket);
        if let Some(entry) = self.entries.get_mut(&(site.clone(), bucket)) {
            change(&mut entry.row, size);
            entry.is_changed = true;
        }
    }
}

fn keys_of(site: &Site) -> Vec<Key> {
    let (account, region) = site;
    let buckets = Bucket::ALL.map(|bucket| limit_key(account, region, bucket));
    [quota_key(account, region)]
        .into_iter()
        .chain(buckets)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        ("111122223333".to_owned(), "us-east-1".parse().unwrap())
    }

    fn book(sizes: Sizes) -> Book {
        let mut book = Book::default();
        book.sizes.insert(site(), sizes);
        for bucket in Bucket::ALL {
            let entry = Entry {
                row: LimitRow::full(&site().0, site().1, bucket),
                exists: false,
                is_changed: false,
            };
            book.entries.insert((site(), bucket), entry);
        }
        book
    }

    #[test]
    fn a_call_needs_both_a_request_and_its_instances() {
        let mut book = book(Sizes::default());
        let api = LaunchApi::RunInstances;
        let mut call = |instances| book.reserve(&site(), api, instances, 0, 2_600);
        let times: Vec<Reserved> = (0..10).map(|_| call(100)).collect();
        assert_eq!(times[..5], [Reserved::At(0); 5]);
        assert_eq!(times[5], Reserved::At(520));
        assert_eq!(times[9], Reserved::At(2_520));
        // No instances are left: 50 s for a hundred, and a little more.
        assert_eq!(call(100), Reserved::NotBefore(52_000));
        // What is not taken stays for a smaller call.
        assert_eq!(call(1), Reserved::NotBefore(3_020), "the requests");
    }

    #[test]
    fn fleets_have_requests_of_their_own_and_the_same_instances() {
        let mut book = book(Sizes::default());
        let fleet = |book: &mut Book, n| book.reserve(&site(), LaunchApi::CreateFleet, n, 0, 0);
        for _ in 0..9 {
            assert_eq!(fleet(&mut book, 100), Reserved::At(0));
        }
        let run = book.reserve(&site(), LaunchApi::RunInstances, 100, 0, 0);
        assert_eq!(run, Reserved::At(0));
        assert_eq!(fleet(&mut book, 1), Reserved::NotBefore(520));
    }

    #[test]
    fn a_repeat_takes_a_request_and_no_instances() {
        let mut book = book("instances=1+1/s".parse().unwrap());
        let api = LaunchApi::RunInstances;
        assert_eq!(book.reserve(&site(), api, 1, 0, 0), Reserved::At(0));
        assert_eq!(book.reserve(&site(), api, 0, 0, 0), Reserved::At(0));
    }

    #[test]
    fn a_call_is_no_larger_than_the_bucket_nor_than_throttling_leaves() {
        assert_eq!(book(Sizes::default()).call_max(&site(), 0), 100);
        assert_eq!(
            book("instances=30+1/s".parse().unwrap()).call_max(&site(), 0),
            30
        );
        let mut throttled = book(Sizes::default());
        throttled.throttle(&site(), LaunchApi::RunInstances, 80, 1_000);
        assert_eq!(throttled.call_max(&site(), 1_000), 40);
    }
}
