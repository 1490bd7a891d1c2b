//! A function's calls to the outside: they take time, get lost, and kill.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Fault, Function, Plane, State};
use crate::engine::{Ms, Slot};
use spawn_core::account::AccountId;

/// One invocation of a function.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) function: Function,
    /// Tells that the process has died.
    pub(crate) died: Slot<()>,
    /// Its number, for the trace.
    pub(crate) number: u64,
    pub(crate) calls: AtomicU64,
}

/// The ports of one invocation.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) plane: Arc<Plane>,
    pub(crate) invocation: Arc<Invocation>,
    /// Whose EC2 it reaches; `None`: the home account's.
    pub(crate) account: Option<AccountId>,
}

/// How long a function that stands still does so.
const STALL: (Ms, Ms) = (1_000, 90_000);

impl Client {
    /// The way to the service.
    pub(crate) async fn begin(&self, name: &'static str, latency: (Ms, Ms)) {
        let plane = &self.plane;
        self.invocation.calls.fetch_add(1, Ordering::Relaxed);
        *plane
            .state()
            .stats
            .calls
            .entry((self.invocation.function, name))
            .or_insert(0) += 1;
        if plane.fault(Fault::Stall) {
            plane.clock.sleep(plane.clock.between(STALL)).await;
        }
        if plane.fault(Fault::Crash) {
            self.die().await;
        }
        let half = plane.clock.between(latency) / 2;
        plane.clock.sleep(half).await;
    }

    /// What the service does.
    pub(crate) fn effect<T>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&mut State, Ms) -> T,
    ) -> T {
        let invocation = &self.invocation;
        self.plane.note(|| {
            format!(
                "#{} {} {name}",
                invocation.number,
                invocation.function.as_str()
            )
        });
        let now = self.plane.clock.now();
        effect(&mut self.plane.state(), now)
    }

    /// The way back.
    pub(crate) async fn end(&self, latency: (Ms, Ms)) {
        let plane = &self.plane;
        if plane.fault(Fault::Crash) {
            self.die().await;
        }
        let half = plane.clock.between(latency).div_ceil(2);
        plane.clock.sleep(half).await;
    }

    async fn die(&self) {
        self.invocation.died.put(());
        pending().await
    }
}
