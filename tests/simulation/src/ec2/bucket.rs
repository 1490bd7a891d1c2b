//! Token buckets, in thousandths of a token, so that nothing is lost to rounding.
//!
//! Source: "Request throttling for the Amazon EC2 API", Amazon EC2 Developer Guide.

use crate::engine::Ms;

/// How many tokens a bucket holds, and how many return each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// When full.
    pub capacity: u64,
    /// Each second.
    pub refill_per_s: u64,
}

/// A size.
pub(crate) const fn size(capacity: u64, refill_per_s: u64) -> Size {
    Size {
        capacity,
        refill_per_s,
    }
}

/// A bucket, full at first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    size: Size,
    thousandths: u64,
    at: Ms,
}

impl Bucket {
    pub(crate) fn full(size: Size, now: Ms) -> Self {
        Self {
            size,
            thousandths: size.capacity * 1_000,
            at: now,
        }
    }

    /// Whether the bucket holds so many tokens.
    pub(crate) fn has(&mut self, tokens: u64, now: Ms) -> bool {
        // A token a second is a thousandth a millisecond.
        let returned = now.saturating_sub(self.at) * self.size.refill_per_s;
        self.thousandths = (self.thousandths + returned).min(self.size.capacity * 1_000);
        self.at = now.max(self.at);
        self.thousandths >= tokens * 1_000
    }

    /// Takes tokens if there are so many; otherwise takes none.
    pub(crate) fn take(&mut self, tokens: u64, now: Ms) -> bool {
        let enough = self.has(tokens, now);
        if enough {
            self.thousandths -= tokens * 1_000;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_what_returns() {
        let mut bucket = Bucket::full(size(5, 2), 0);
        assert!(bucket.take(5, 0));
        assert!(!bucket.take(1, 499));
        assert!(bucket.take(1, 500));
        assert!(bucket.take(5, 1_000_000));
        assert!(!bucket.take(1, 1_000_000));
    }
}
