//! How long to wait before a repeat.

use std::time::Duration;

/// The wait before the first repeat is at most this.
const FIRST_MAX_MS: u64 = 50;
/// No wait is longer than this.
const MAX_MS: u64 = 2_000;

/// Waits before the repeat number `repeat` (from 0): a random time whose upper end doubles each time, so that callers who
/// were turned away together do not come back together.
pub(crate) async fn pause(repeat: u32) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=longest_ms(repeat)))).await;
}

fn longest_ms(repeat: u32) -> u64 {
    FIRST_MAX_MS.saturating_mul(1 << repeat.min(10)).min(MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        let waits: Vec<u64> = [0, 1, 2, 9, u32::MAX].map(longest_ms).to_vec();
        assert_eq!(waits, [50, 100, 200, 2_000, 2_000]);
    }
}
