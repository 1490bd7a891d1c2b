//! Time that passes only when everybody waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use spawn_core::ports::Clock;

use crate::faults::Faults;

#[derive(Debug, Default)]
struct State {
    now: u64,
    sleepers: Vec<(u64, Waker)>,
}

/// Virtual time. [`VirtualClock::drive`] runs a process on it, and moves it on when the process only waits.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Arc<Mutex<State>>);

impl VirtualClock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time, in ms since 1970; it never goes back.
    pub fn set(&self, now: u64) {
        let mut state = self.state();
        state.now = state.now.max(now);
    }

    /// Moves on to the next moment that somebody waits for; false when nobody waits.
    fn advance(&self) -> bool {
        let mut state = self.state();
        let Some(next) = state.sleepers.iter().map(|(time, _)| *time).min() else {
            return false;
        };
        state.now = state.now.max(next);
        let now = state.now;
        let due = state.sleepers.extract_if(.., |(time, _)| *time <= now);
        for (_, waker) in due.collect::<Vec<_>>() {
            waker.wake();
        }
        true
    }

    /// Runs a process to its end; when it dies by `faults`, it never ends.
    pub async fn drive<T>(&self, faults: &Faults, process: impl Future<Output = T>) -> T {
        let mut process = pin!(process);
        poll_fn(|context| {
            loop {
                if let Poll::Ready(value) = process.as_mut().poll(context) {
                    return Poll::Ready(value);
                }
                if faults.died() || !self.advance() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> u64 {
        self.state().now
    }

    async fn sleep_ms(&self, ms: u64) {
        let until = self.now_ms() + ms;
        poll_fn(|context| {
            let mut state = self.state();
            if state.now >= until {
                return Poll::Ready(());
            }
            state.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
