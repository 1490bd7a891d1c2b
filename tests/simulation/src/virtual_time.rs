//! Time that passes only while everybody waits for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use spawn_core::ports::Clock;

#[derive(Debug, Default)]
struct State {
    now: u64,
    next: u64,
    sleepers: BTreeMap<(u64, u64), ()>,
}

/// A clock whose hours take no time: it jumps to the next moment for which somebody waits.
#[derive(Clone, Debug, Default)]
pub struct VirtualTime(Arc<Mutex<State>>);

impl VirtualTime {
    /// A clock that shows `now` (ms since 1970).
    #[must_use]
    pub fn starting_at(now: u64) -> Self {
        let time = Self::default();
        time.state().now = now;
        time
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.state().now += ms;
    }

    /// Runs tasks that wait for nothing but this clock, all at once; answers what those say that come to an end.
    pub fn run<'a, T>(&self, tasks: Vec<Pin<Box<dyn Future<Output = T> + 'a>>>) -> Vec<Option<T>> {
        let mut context = Context::from_waker(Waker::noop());
        let mut answers: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
        let mut tasks: Vec<_> = tasks.into_iter().map(Some).collect();
        loop {
            for (task, answer) in tasks.iter_mut().zip(&mut answers) {
                let Some(running) = task else { continue };
                if let Poll::Ready(value) = running.as_mut().poll(&mut context) {
                    *answer = Some(value);
                    *task = None;
                }
            }
            if tasks.iter().all(Option::is_none) {
                return answers;
            }
            let mut state = self.state();
            let Some((&(at, _), ())) = state.sleepers.first_key_value() else {
                // Who waits now waits for ever: its process is dead.
                return answers;
            };
            state.now = state.now.max(at);
        }
    }

    /// Runs one task to its end; `None` when it dies.
    pub fn run_one<T>(&self, task: impl Future<Output = T>) -> Option<T> {
        let task = pin!(task);
        let task: Pin<&mut (dyn Future<Output = T> + '_)> = task;
        let mut answers = self.run(vec![Box::pin(task)]);
        answers.pop().flatten()
    }
}

impl Clock for VirtualTime {
    fn now_ms(&self) -> u64 {
        self.state().now
    }

    async fn sleep_ms(&self, ms: u64) {
        let key = {
            let mut state = self.state();
            state.next += 1;
            let key = (state.now + ms, state.next);
            state.sleepers.insert(key, ());
            key
        };
        Sleep {
            time: self.clone(),
            key,
        }
        .await;
    }
}

struct Sleep {
    time: VirtualTime,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.time.now_ms() >= self.key.0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.state().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_while_all_wait() {
        let time = VirtualTime::starting_at(100);
        let order = Mutex::new(Vec::new());
        let task = |ms: u64| {
            let (time, order) = (time.clone(), &order);
            Box::pin(async move {
                time.sleep_ms(ms).await;
                order.lock().unwrap().push((ms, time.now_ms()));
            }) as Pin<Box<dyn Future<Output = ()>>>
        };
        time.run(vec![task(50), task(20), task(0)]);
        assert_eq!(*order.lock().unwrap(), [(0, 100), (20, 120), (50, 150)]);
    }

    #[test]
    fn who_waits_for_nothing_is_dead() {
        let time = VirtualTime::default();
        assert_eq!(time.run_one(std::future::pending::<()>()), None);
        assert_eq!(time.run_one(async { 7 }), Some(7));
    }
}
