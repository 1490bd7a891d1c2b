//! How long a lane waits.

/// The most ms between two tries of a call that EC2 throttles or does not answer.
const BACKOFF_MS_MAX: u64 = 60_000;

/// Ms to wait after `setbacks` tries in a row (1 or more): from half a second on, doubling up to a minute, with jitter from
/// `random` so that lanes that were turned away together do not come back together.
#[must_use]
pub fn backoff_ms(setbacks: u32, random: u64) -> u64 {
    let longest = (500_u64 << setbacks.min(7)).min(BACKOFF_MS_MAX);
    longest / 2 + random % (longest / 2 + 1)
}

/// The seconds for which a state machine waits for `until` (both in ms): whole seconds, and never too long, since the rest is
/// waited for by the launcher itself. At least one.
#[must_use]
pub fn wait_s(until: u64, now: u64) -> u64 {
    (until.saturating_sub(now) / 1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_a_minute_and_is_never_the_same_for_all() {
        for setbacks in 1..100 {
            for random in [0, 1, 59, 60, u64::MAX] {
                let wait = backoff_ms(setbacks, random);
                assert!((500..=BACKOFF_MS_MAX).contains(&wait), "{setbacks} {wait}");
            }
        }
        assert!(backoff_ms(1, 500) > backoff_ms(1, 0));
        assert!(backoff_ms(6, 0) > backoff_ms(1, u64::MAX));
    }

    #[test]
    fn a_machine_wakes_a_little_early_and_never_late() {
        assert_eq!(wait_s(50_250, 0), 50);
        assert_eq!(wait_s(10, 0), 1);
        assert_eq!(wait_s(0, 10), 1);
    }
}
