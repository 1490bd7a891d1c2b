//! What a definition says of a state.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

/// A retrier of a task.
#[derive(Clone, Debug)]
pub(crate) struct Retrier {
    errors: Vec<String>,
    interval_ms: u64,
    backoff: u64,
    delay_ms_max: u64,
    pub(crate) attempts: u32,
}

impl Retrier {
    fn of(value: &Value) -> Self {
        let seconds = |name: &str| value[name].as_u64().map(|seconds| seconds * 1_000);
        let delay_ms_max = seconds("MaxDelaySeconds").unwrap_or(u64::MAX);
        Self {
            errors: texts(&value["ErrorEquals"]),
            interval_ms: seconds("IntervalSeconds").unwrap_or(1_000),
            backoff: value["BackoffRate"].as_u64().unwrap_or(2),
            delay_ms_max,
            attempts: value["MaxAttempts"]
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(3),
        }
    }

    pub(crate) fn matches(&self, error: &str) -> bool {
        self.errors
            .iter()
            .any(|name| name == error || name == "States.ALL")
    }

    /// The longest delay before the retry number `retry` (from 0). Jitter is full: from 0 to this.
    pub(crate) fn delay_ms(&self, retry: u32) -> u64 {
        self.backoff
            .saturating_pow(retry)
            .saturating_mul(self.interval_ms)
            .min(self.delay_ms_max)
    }
}

/// A task's retries and time limit.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) retriers: Vec<Retrier>,
    pub(crate) timeout_ms: Option<u64>,
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// A state machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    states: BTreeMap<String, Value>,
}

impl Machine {
    fn read(name: &'static str, text: &str) -> Self {
        let definition: Value = match serde_json::from_str(text) {
            Ok(definition) => definition,
            Err(error) => panic!("{name}: {error}"),
        };
        let mut states = BTreeMap::new();
        collect(&definition, &mut states);
        Self { name, states }
    }

    fn state(&self, name: &str) -> &Value {
        match self.states.get(name) {
            Some(state) => state,
            None => panic!(
                "{} has no state `{name}` any more: the simulation must follow",
                self.name
            ),
        }
    }

    /// A task of this machine.
    pub(crate) fn task(&self, name: &str) -> Task {
        let state = self.state(name);
        let retriers = state["Retry"].as_array().into_iter().flatten();
        Task {
            retriers: retriers.map(Retrier::of).collect(),
            timeout_ms: state["TimeoutSeconds"].as_u64().map(|s| s * 1_000),
        }
    }

    /// Whether the machine has a state of this name; a wrong name is a defect of the simulation.
    pub(crate) fn check(&self, name: &str) {
        self.state(name);
    }
}

/// All states, those inside of Maps too: names are unique in a machine.
fn collect(definition: &Value, states: &mut BTreeMap<String, Value>) {
    for (name, state) in definition["States"].as_object().into_iter().flatten() {
        collect(&state["ItemProcessor"], states);
        states.insert(name.clone(), state.clone());
    }
}

/// `spawn-sweep`.
pub(crate) static SWEEP: LazyLock<Machine> = LazyLock::new(|| {
    Machine::read(
        "spawn-sweep",
        include_str!("../../../../statemachines/sweep.asl.json"),
    )
});

/// `spawn-lane`.
pub(crate) static LANE: LazyLock<Machine> = LazyLock::new(|| {
    Machine::read(
        "spawn-lane",
        include_str!("../../../../statemachines/lane.asl.json"),
    )
});

/// `spawn-drain`.
pub(crate) static DRAIN: LazyLock<Machine> = LazyLock::new(|| {
    Machine::read(
        "spawn-drain",
        include_str!("../../../../statemachines/drain.asl.json"),
    )
});
