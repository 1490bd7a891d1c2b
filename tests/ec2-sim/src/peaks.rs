//! How many instances lived at once, and the most that ever did: what tests of `max_concurrent` look at.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Instance, State};

/// Now and at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Peak {
    /// Launched in all.
    pub(crate) launched: u64,
    /// Pending or running now.
    pub(crate) live: u64,
    /// The most that were pending or running at once.
    pub(crate) max_live: u64,
    /// Running now.
    pub(crate) running: u64,
    /// The most that were running at once.
    pub(crate) max_running: u64,
}

impl Peak {
    fn step(&mut self, from: Option<State>, to: State) {
        let was_live = from.is_some_and(State::is_live);
        let was_running = from == Some(State::Running);
        if from.is_none() {
            self.launched += 1;
        }
        self.live = self.live + u64::from(to.is_live()) - u64::from(was_live);
        self.running = self.running + u64::from(to == State::Running) - u64::from(was_running);
        self.max_live = self.max_live.max(self.live);
        self.max_running = self.max_running.max(self.running);
    }
}

/// Peaks in all, by region, by sweep, and by sweep and region.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Peaks {
    pub(crate) all: Peak,
    pub(crate) regions: BTreeMap<String, Peak>,
    pub(crate) sweeps: BTreeMap<String, SweepPeaks>,
}

/// Peaks of one value of the tag `spawn:sweep-id`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SweepPeaks {
    #[serde(flatten)]
    pub(crate) all: Peak,
    pub(crate) regions: BTreeMap<String, Peak>,
}

impl Peaks {
    /// Counts a change of state; `from` is None at launch.
    pub(crate) fn step(&mut self, instance: &Instance, from: Option<State>, to: State) {
        let region = instance.place.region.name;
        self.all.step(from, to);
        self.regions
            .entry(region.to_owned())
            .or_default()
            .step(from, to);
        if let Some(sweep) = &instance.sweep {
            let peaks = self.sweeps.entry(sweep.clone()).or_default();
            peaks.all.step(from, to);
            peaks
                .regions
                .entry(region.to_owned())
                .or_default()
                .step(from, to);
        }
    }
}
