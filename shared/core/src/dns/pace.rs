//! Token buckets, and the two of them that Route 53 has.

use serde::{Deserialize, Serialize};

/// How fast a bucket lets things through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What a full bucket holds.
    pub burst: u64,
    /// The ms after which one token is back.
    pub token_ms: u64,
}

/// Route 53's changes of records: 1,500 at once, 100 a second; CREATE and DELETE count one, UPSERT two (Amazon Route 53
/// Developer Guide, "Throttling for Amazon Route 53 API requests").
pub const CHANGES: Pace = Pace {
    burst: 1_500,
    token_ms: 10,
};
/// Route 53's requests: 50 at once, 10 a second, of an account together and of each action (the same page).
pub const REQUESTS: Pace = Pace {
    burst: 50,
    token_ms: 100,
};
/// An instance's requests to register its addresses. They change when it is started or its address is moved, seldom more
/// than once a minute.
pub const REGISTRATIONS: Pace = Pace {
    burst: 5,
    token_ms: 60_000,
};

/// A token bucket, as the time at which it will be full again (the generic cell rate algorithm): a new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// The ms from `now` (since 1970) until `cost` tokens are there. More than a full bucket holds are never there; then the
    /// bucket must be full.
    #[must_use]
    pub fn wait_ms(self, pace: Pace, cost: u64, now: u64) -> u64 {
        let cost = cost.min(pace.burst);
        let missing = self.full_at.saturating_sub(now);
        let allowed = (pace.burst - cost) * pace.token_ms;
        missing.saturating_sub(allowed)
    }

    /// Takes `cost` tokens, whether they are there or not: what was sent was sent.
    pub fn take(&mut self, pace: Pace, cost: u64, now: u64) {
        self.full_at = self.full_at.max(now) + cost * pace.token_ms;
    }

    /// Empties the bucket: somebody else has taken the tokens, as a throttled call tells.
    pub fn drain(&mut self, pace: Pace, now: u64) {
        self.full_at = self.full_at.max(now + pace.burst * pace.token_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_thousand_changes_take_85_seconds() {
        let (mut bucket, mut now) = (Bucket::default(), 0);
        for _ in 0..10 {
            now += bucket.wait_ms(CHANGES, 1_000, now);
            bucket.take(CHANGES, 1_000, now);
        }
        assert_eq!(now, 85_000);
    }

    #[test]
    fn a_drained_bucket_fills_again() {
        let mut bucket = Bucket::default();
        bucket.drain(CHANGES, 1_000);
        assert_eq!(bucket.wait_ms(CHANGES, 1, 1_000), 10);
        assert_eq!(bucket.wait_ms(CHANGES, 1_500, 1_000), 15_000);
        assert_eq!(bucket.wait_ms(CHANGES, 9_999, 1_000), 15_000);
    }

    proptest! {
        /// Who waits as long as told never takes more than the burst and what has come back since.
        #[test]
        fn a_bucket_is_never_overdrawn(costs in prop::collection::vec((1_u64..1_500, 0_u64..5_000), 1..40)) {
            let (mut bucket, mut now, mut taken) = (Bucket::default(), 0, 0);
            for (cost, pause) in costs {
                now += pause;
                now += bucket.wait_ms(CHANGES, cost, now);
                bucket.take(CHANGES, cost, now);
                taken += cost;
                prop_assert!(taken <= CHANGES.burst + now / CHANGES.token_ms);
            }
        }
    }
}
