//! What is committed before an instance runs: the most that it can cost until its time is over.

use super::bill::BILLED_MS_MIN;
use super::exact::Exact;
use crate::money::MicroDollars;

/// The hours of the shortest month, in which a volume costs most.
const MONTH_HOURS_MIN: u32 = 672;

/// What one instance may run up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// The price of an hour at the most.
    pub hour: MicroDollars,
    /// The size of its volume in GiB.
    pub gib: u32,
    /// The price of a GiB for a month.
    pub gib_month: MicroDollars,
    /// The price of an hour of its public IPv4 address.
    pub public_ipv4_hour: MicroDollars,
}

/// The most that an instance can cost in `seconds` of running without a stop. Never below its bill for as long. `None` past the largest amount.
#[must_use]
pub fn commitment(prices: &Commitment, seconds: u64) -> Option<MicroDollars> {
    let ms = seconds.checked_mul(1000)?.max(BILLED_MS_MIN);
    let parts = [
        Exact::per_hour(prices.hour, ms)?,
        Exact::per_month(prices.gib_month, prices.gib, MONTH_HOURS_MIN, ms)?,
        Exact::per_hour(prices.public_ipv4_hour, ms)?,
    ];
    parts.iter().try_fold(MicroDollars::ZERO, |sum, part| {
        sum.checked_add(part.rounded_up()?)
    })
}
