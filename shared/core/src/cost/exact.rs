//! Sums of prices over spans of time, exact until they are rounded.

use crate::money::MicroDollars;

/// Milliseconds in an hour.
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// An amount as a fraction of micro-dollars. Its parts share a denominator, so that adding them rounds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    numerator: i128,
}

/// The common denominator: an hour in ms, times a number that the hours of every month divide.
const DENOMINATOR: i128 = 3_600_000 * MONTH_HOURS_MULTIPLE;

/// The least common multiple of 672, 696, 720, 744 and 730.
pub(crate) const MONTH_HOURS_MULTIPLE: i128 = 661_520_160;

impl Exact {
    /// `price` for every hour of `ms`.
    pub(crate) fn per_hour(price: MicroDollars, ms: u64) -> Option<Self> {
        let numerator = i128::from(price.0)
            .checked_mul(i128::from(ms))?
            .checked_mul(MONTH_HOURS_MULTIPLE)?;
        Some(Self { numerator })
    }

    /// `price` for every GiB and month of `hours`, during `ms`. `None` when the sum does not fit, or such a month is none.
    pub(crate) fn per_month(price: MicroDollars, gib: u32, hours: u32, ms: u64) -> Option<Self> {
        let hours = i128::from(hours);
        if hours == 0 || MONTH_HOURS_MULTIPLE % hours != 0 {
            return None;
        }
        let numerator = i128::from(price.0)
            .checked_mul(i128::from(gib))?
            .checked_mul(i128::from(ms))?
            .checked_mul(MONTH_HOURS_MULTIPLE / hours)?;
        Some(Self { numerator })
    }

    /// The sum.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let numerator = self.numerator.checked_add(other.numerator)?;
        Some(Self { numerator })
    }

    /// The amount, rounded up to a micro-dollar. `None` past the largest amount.
    pub(crate) fn rounded_up(self) -> Option<MicroDollars> {
        let up = i128::from(self.numerator.rem_euclid(DENOMINATOR) > 0);
        let micros = self.numerator.div_euclid(DENOMINATOR) + up;
        i64::try_from(micros).ok().map(MicroDollars)
    }
}
