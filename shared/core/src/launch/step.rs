//! What a lane does next.

use crate::launch::BATCH_MEMBERS_MAX;
use crate::rows::{BatchRow, LaneRow, OpenAttempt, SweepRow};

/// The next step of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more to launch, or no longer allowed to.
    Done,
    /// Finish the attempt that is under way.
    Resume(OpenAttempt),
    /// Give up members that will not be launched, those of this batch first.
    GiveUp,
    /// Come back in so many seconds.
    Wait(u64),
    /// Come back when an instance of the sweep has ended.
    AwaitSlot,
    /// Begin an attempt for so many members of the batch.
    Begin(u32),
}

/// Decides the next step of `lane`, whose first batch with members left is `batch` (`None`: there is none).
#[must_use]
pub fn next_step(sweep: &SweepRow, lane: &LaneRow, batch: Option<&BatchRow>, now: u64) -> Step {
    // An attempt under way is finished even when the sweep drains: what it launched must be in the ledger to be reaped.
    if let Some(attempt) = lane.open_attempt {
        return Step::Resume(attempt);
    }
    let Some(batch) = batch else {
        return Step::Done;
    };
    if !sweep.may_launch() {
        return Step::Done;
    }
    if lane.stopped.is_some() {
        return Step::GiveUp;
    }
    if lane.not_before > now {
        return Step::Wait((lane.not_before - now).div_ceil(1000));
    }
    let free = sweep.free_slots(&lane.lane.region);
    if free == 0 {
        return Step::AwaitSlot;
    }
    let batch_max = if lane.launch_delay_s > 0 {
        1
    } else {
        BATCH_MEMBERS_MAX
    };
    Step::Begin(free.min(batch_max).min(batch.pending.len()))
}

/// The most seconds between two tries of a call that EC2 throttles or does not answer.
const BACKOFF_S_MAX: u64 = 60;

/// Seconds to wait after `setbacks` tries in a row (1 or more): doubling from 1 to [`BACKOFF_S_MAX`], with jitter from
/// `random` so that lanes that were throttled together do not come back together.
#[must_use]
pub fn backoff_s(setbacks: u32, random: u64) -> u64 {
    let ceiling = 1_u64
        .checked_shl(setbacks.min(6))
        .unwrap_or(BACKOFF_S_MAX)
        .min(BACKOFF_S_MAX);
    1 + random % ceiling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_a_minute_and_never_is_zero() {
        for setbacks in 1..100 {
            for random in [0, 1, 59, 60, u64::MAX] {
                let wait = backoff_s(setbacks, random);
                assert!((1..=BACKOFF_S_MAX).contains(&wait), "{setbacks} {wait}");
            }
        }
        assert!((0..100).map(|r| backoff_s(6, r)).max() > (0..100).map(|r| backoff_s(1, r)).max());
    }
}
