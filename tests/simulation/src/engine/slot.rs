//! A place for one value that a task waits for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// A place for one value. The first value that is put stays.
#[derive(Debug)]
pub(crate) struct Slot<T>(Arc<Mutex<State<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            value: None,
            waker: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value, unless there is one, and wakes who waits.
    pub(crate) fn put(&self, value: T) {
        let mut state = self.state();
        if state.value.is_none() {
            state.value = Some(value);
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Takes the value when it is there.
    pub(crate) fn take(&self) -> Take<T> {
        Take(self.clone())
    }
}

/// A wait of [`Slot::take`].
pub(crate) struct Take<T>(Slot<T>);

impl<T> Future for Take<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.state();
        match state.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
