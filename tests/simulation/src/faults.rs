//! Deaths of the process at a chosen call to the outside.

use std::future::Future;
use std::sync::Mutex;

use tokio::sync::Notify;

/// When a call kills the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it takes effect.
    Before,
    /// After it took effect, before its answer arrives.
    After,
}

/// Which call kills the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The number of the call, from 0, over all ports.
    pub call: usize,
    /// Before or after its effect.
    pub when: When,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    death: Option<Death>,
    died: bool,
}

/// Counts the calls to the outside and kills the process at one of them.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
    dead: Notify,
}

impl Faults {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic in another test thread does not make the counters wrong.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts to count anew, with a death to come or none.
    pub fn arm(&self, death: Option<Death>) {
        *self.state() = State {
            death,
            ..State::default()
        };
    }

    /// How many calls were made since [`Faults::arm`].
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Whether the process died since [`Faults::arm`].
    #[must_use]
    pub fn died(&self) -> bool {
        self.state().died
    }

    /// Makes a call: `effect` happens unless the process dies before it; the answer arrives unless it dies after it.
    pub(crate) async fn call<T>(&self, effect: impl FnOnce() -> T) -> T {
        let death = {
            let mut state = self.state();
            let number = state.calls;
            state.calls += 1;
            state
                .death
                .filter(|death| death.call == number)
                .map(|death| death.when)
        };
        if death == Some(When::Before) {
            return self.die().await;
        }
        let answer = effect();
        if death == Some(When::After) {
            return self.die().await;
        }
        answer
    }

    /// Never answers, and tells the driver that the process is dead.
    async fn die<T>(&self) -> T {
        self.state().died = true;
        self.dead.notify_one();
        std::future::pending().await
    }

    /// Runs a process to its end, or to its death.
    pub async fn run<T>(&self, process: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = process => Some(answer),
            () = self.dead.notified() => None,
        }
    }
}
