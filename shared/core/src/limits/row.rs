//! The state of one token bucket.

use serde::{Deserialize, Serialize};

use super::{Bucket, Size};
use crate::ledger::{Key, Stored};
use crate::region::Region;
use crate::rows::versioned;

/// All of a rate, in thousandths.
const FULL: u32 = 1000;
/// The least share of a rate that throttling leaves: what still finds out that the throttling is over.
const SHARE_MIN: u32 = 125;
/// What a lowered rate regains in a second: a halved one is whole again after 50 s.
const SHARE_REGAINED_PER_S: u64 = 10;
/// Instances that a launch call may ask for in addition with each second after a throttled one.
const CALL_REGAINED_PER_S: u64 = 5;
/// The most ms for which tokens that had to be waited for are left in the bucket: EC2's own may have been filled up later than
/// the row says, by as much as the call that first drew on it was late: its intent, its launch template, and its way to EC2.
const MARGIN_MS_MAX: u64 = 2_000;
/// Tokens that take less time to come are left for this part of it.
const MARGIN_PART: u64 = 25;
/// Throttled calls that were under way together lower the rate once.
const THROTTLES_TOGETHER_MS: u64 = 1000;

/// The state of one of EC2's token buckets (`LIMIT#account#region` / `RUN_INSTANCES`), as all sweeps of the account believe it
/// to be. Written by launch-batch, in the transaction that begins an attempt.
///
/// It is a generic cell rate algorithm: one point in time, the bucket's theoretical arrival time, says all. Taking `n` tokens
/// moves it on by `n` times the time of one; it may be ahead of the present by the time that a full bucket takes to fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRow {
    /// The account.
    pub account: String,
    /// The region.
    pub region: Region,
    /// The bucket.
    pub bucket: Bucket,
    /// Counts the changes.
    pub version: u64,
    /// When the bucket is full again if nothing more is taken, in µs since 1970; in the past: it is full.
    pub tat_us: u64,
    /// The share of the bucket's rate that is in use, in thousandths, as of `share_at`. Halved by a throttled call; it grows
    /// back by itself.
    pub share: u32,
    /// Since when `share` grows back, in ms since 1970.
    pub share_at: u64,
    /// The most instances of one call as of `throttled_at`; `None`: no call was throttled, or long ago.
    pub call_max: Option<u32>,
    /// When EC2 last throttled a call of this bucket, in ms since 1970; 0: never.
    pub throttled_at: u64,
    /// How many calls EC2 throttled.
    pub throttles: u64,
}

/// The key of a bucket's row.
#[must_use]
pub fn limit_key(account: &str, region: &Region, bucket: Bucket) -> Key {
    Key::new(format!("LIMIT#{account}#{region}"), bucket.as_str())
}

impl Stored for LimitRow {
    fn key(&self) -> Key {
        limit_key(&self.account, &self.region, self.bucket)
    }
}
versioned!(LimitRow);

impl LimitRow {
    /// A bucket that nothing was taken from yet.
    #[must_use]
    pub fn full(account: &str, region: Region, bucket: Bucket) -> Self {
        Self {
            account: account.to_owned(),
            region,
            bucket,
            version: 0,
            tat_us: 0,
            share: FULL,
            share_at: 0,
            call_max: None,
            throttled_at: 0,
            throttles: 0,
        }
    }

    /// When `amount` tokens can be taken, in ms since 1970: `now` or later. More than the bucket holds count as all it holds.
    ///
    /// Tokens that had to be waited for are taken a little after they are there (see [`MARGIN_MS_MAX`]). That does not add up:
    /// the next wait is reckoned from the bucket, not from this call.
    #[must_use]
    pub fn when(&self, size: Size, amount: u32, now: u64) -> u64 {
        let rate = rate(size, self.share_now(now));
        let amount = tokens(amount.min(size.capacity));
        let margin_ms = (time_us(amount, rate) / 1000 / MARGIN_PART).min(MARGIN_MS_MAX);
        let need = self.backlog(size, now) + amount;
        let capacity = tokens(size.capacity);
        if need > capacity {
            // Rounded up to whole ms: never a moment too early.
            return now + time_us(need - capacity, rate).div_ceil(1000) + margin_ms;
        }
        let there_since = now.saturating_sub(time_us(capacity - need, rate) / 1000);
        if there_since > self.share_at {
            return now.max(there_since + margin_ms);
        }
        now
    }

    /// Takes `amount` tokens, whenever they are there.
    pub fn take(&mut self, size: Size, amount: u32, now: u64) {
        let backlog = self.backlog(size, now) + tokens(amount);
        self.put(size, backlog, now);
    }

    /// Gives back tokens that EC2 did not take.
    pub fn give_back(&mut self, size: Size, amount: u32, now: u64) {
        let backlog = self.backlog(size, now).saturating_sub(tokens(amount));
        self.put(size, backlog, now);
    }

    /// Notes that EC2 throttled a call of `asked` instances: whoever else uses the account has taken what this row believed
    /// to be there. The rate of requests is halved and they pause until the next token, that of instances is lowered by a
    /// quarter, and calls ask for half as many.
    pub fn throttle(&mut self, size: Size, asked: u32, now: u64) {
        let backlog = self.backlog(size, now);
        let share = self.share_now(now);
        let is_first = now >= self.throttled_at + THROTTLES_TOGETHER_MS || self.throttles == 0;
        let (share, backlog) = match self.bucket {
            _ if !is_first => (share, backlog),
            Bucket::RunInstances | Bucket::CreateFleet => (
                (share / 2).max(SHARE_MIN),
                backlog.max(tokens(size.capacity)),
            ),
            // Of instances the row knows more than of requests, since hardly anybody else takes them by the hundred.
            Bucket::Instances => ((share * 3 / 4).max(SHARE_MIN), backlog),
        };
        let call_max = self.call_max(now).unwrap_or(u32::MAX);
        self.call_max = Some((call_max.min(asked) / 2).max(1));
        self.throttled_at = now;
        self.throttles += 1;
        self.share = share;
        self.share_at = now;
        self.tat_us = now * 1000 + time_us(backlog, rate(size, share));
    }

    /// The most instances that one call may ask for now; `None`: any number.
    #[must_use]
    pub fn call_max(&self, now: u64) -> Option<u32> {
        let regained = now.saturating_sub(self.throttled_at) / 1000 * CALL_REGAINED_PER_S;
        let most = u64::from(self.call_max?) + regained;
        u32::try_from(most)
            .ok()
            .filter(|most| *most < crate::launch::BATCH_MEMBERS_MAX)
    }

    /// The share of the rate that is in use now, in thousandths.
    #[must_use]
    pub fn share_now(&self, now: u64) -> u32 {
        let regained = now.saturating_sub(self.share_at) * SHARE_REGAINED_PER_S / 1000;
        u32::try_from(u64::from(self.share) + regained)
            .unwrap_or(FULL)
            .min(FULL)
    }

    /// Millionths of tokens that the bucket lacks now. They have come back at the rate that was in force when they were
    /// taken, which was the lower one if the rate has grown since.
    fn backlog(&self, size: Size, now: u64) -> u64 {
        let ahead_us = self.tat_us.saturating_sub(now * 1000);
        (ahead_us.saturating_mul(rate(size, self.share))).div_ceil(1000)
    }

    fn put(&mut self, size: Size, backlog: u64, now: u64) {
        self.share = self.share_now(now);
        self.share_at = now;
        self.tat_us = now * 1000 + time_us(backlog, rate(size, self.share));
    }
}

/// Millionths of this many tokens.
fn tokens(amount: u32) -> u64 {
    u64::from(amount) * 1_000_000
}

/// Thousandths of tokens a second.
fn rate(size: Size, share: u32) -> u64 {
    (u64::from(size.refill_per_1000_s) * u64::from(share) / u64::from(FULL)).max(1)
}

/// The time in µs in which a bucket gets so many millionths of tokens.
fn time_us(millionths: u64, rate: u64) -> u64 {
    (millionths.saturating_mul(1000)).div_ceil(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: Size = Size {
        capacity: 5,
        refill_per_1000_s: 2000,
    };
    const INSTANCES: Size = Size {
        capacity: 1000,
        refill_per_1000_s: 2000,
    };

    fn row(bucket: Bucket) -> LimitRow {
        LimitRow::full("111122223333", "us-east-1".parse().unwrap(), bucket)
    }

    /// Takes as soon as possible, and answers when that was.
    fn take(row: &mut LimitRow, size: Size, amount: u32, now: u64) -> u64 {
        let at = row.when(size, amount, now);
        row.take(size, amount, now);
        at
    }

    #[test]
    fn five_requests_pass_at_once_then_two_a_second() {
        let mut row = row(Bucket::RunInstances);
        let times: Vec<u64> = (0..8)
            .map(|_| take(&mut row, REQUESTS, 1, 10_000))
            .collect();
        assert_eq!(
            times,
            [
                10_000, 10_000, 10_000, 10_000, 10_000, 10_520, 11_020, 11_520
            ]
        );
        assert_eq!(
            row.when(REQUESTS, 1, 60_000),
            60_000,
            "it fills up again, and not beyond"
        );
        let times: Vec<u64> = (0..6)
            .map(|_| take(&mut row, REQUESTS, 1, 60_000))
            .collect();
        assert_eq!(times[4..], [60_000, 60_520]);
    }

    #[test]
    fn a_thousand_instances_pass_at_once_and_the_rest_in_exactly_its_time() {
        let mut row = row(Bucket::Instances);
        for _ in 0..10 {
            assert_eq!(take(&mut row, INSTANCES, 100, 1_000), 1_000);
        }
        let mut now = 1_000;
        for _ in 0..90 {
            now = row.when(INSTANCES, 100, now);
            row.take(INSTANCES, 100, now);
        }
        assert_eq!(now, 1_000 + 4_500_000 + MARGIN_MS_MAX);
    }

    #[test]
    fn more_than_a_bucket_holds_is_taken_when_it_is_full() {
        let mut row = row(Bucket::RunInstances);
        take(&mut row, REQUESTS, 5, 0);
        assert_eq!(row.when(REQUESTS, 100, 0), 2_600);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut row = row(Bucket::Instances);
        take(&mut row, INSTANCES, 1000, 5_000);
        row.give_back(INSTANCES, 100, 5_000);
        assert_eq!(row.when(INSTANCES, 100, 5_000), 5_000);
        assert_eq!(row.when(INSTANCES, 101, 5_000), 5_500 + MARGIN_MS_MAX);
    }

    #[test]
    fn a_throttled_call_halves_the_rate_which_comes_back_by_itself() {
        let mut row = row(Bucket::RunInstances);
        row.throttle(REQUESTS, 100, 100_000);
        // The bucket is empty, and gets one token a second instead of two.
        assert_eq!(row.when(REQUESTS, 1, 100_000), 101_040);
        assert_eq!(row.share_now(100_000), 500);
        // Calls that were under way together count once.
        row.throttle(REQUESTS, 100, 100_400);
        assert_eq!(row.share_now(100_400), 504);
        for second in 1..20 {
            row.throttle(REQUESTS, 100, 100_000 + second * 2_000);
        }
        assert_eq!(row.share_now(138_000), SHARE_MIN, "it never stops");
        let shares: Vec<u32> = [0, 10_000, 50_000, 90_000, 900_000]
            .map(|ms| row.share_now(138_000 + ms))
            .to_vec();
        assert_eq!(shares, [125, 225, 625, 1000, 1000]);
    }

    #[test]
    fn a_throttled_call_is_split_and_calls_grow_again() {
        let mut row = row(Bucket::Instances);
        assert_eq!(row.call_max(0), None);
        row.throttle(INSTANCES, 100, 10_000);
        assert_eq!(row.call_max(10_000), Some(50));
        row.throttle(INSTANCES, 50, 12_000);
        assert_eq!(row.call_max(12_000), Some(25));
        row.throttle(INSTANCES, 1, 14_000);
        assert_eq!(row.call_max(14_000), Some(1));
        assert_eq!(row.call_max(24_000), Some(51));
        assert_eq!(row.call_max(60_000), None);
        // What was in the bucket stays: that calls are too many says nothing of the instances.
        assert_eq!(row.when(INSTANCES, 1000, 14_000), 14_000);
    }

    #[test]
    fn a_rate_that_changes_never_gives_more_than_its_highest() {
        let mut row = row(Bucket::Instances);
        let mut now = 0;
        let mut taken: u64 = 0;
        for round in 0..500_u64 {
            let amount = u32::try_from(round * 37 % 99 + 1).unwrap();
            now = row.when(INSTANCES, amount, now);
            row.take(INSTANCES, amount, now);
            taken += u64::from(amount);
            if round % 17 == 0 {
                row.throttle(INSTANCES, amount, now);
            }
            assert!(
                taken <= 1000 + now * 2 / 1000,
                "{taken} tokens within {now} ms"
            );
        }
    }
}
