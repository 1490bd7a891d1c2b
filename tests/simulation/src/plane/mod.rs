//! The whole control plane on virtual time: the real handlers, driven by state machines, events and schedules, against a
//! ledger, EC2 and instances that behave as AWS documents it, with faults.

mod checks;
mod client;
mod executions;
mod faults;
mod instances;
mod lambda;
mod ledger;
mod money;
mod offers;
mod ports;
mod queue;
mod settings;
mod stats;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawn_core::boot::Home;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::Key;

pub use faults::{Fault, Rates};
pub use lambda::Function;
pub(crate) use lambda::TaskError;
pub(crate) use money::hour_micros;
pub use settings::{Latencies, MemberLife, Settings};
pub use stats::Stats;

use crate::ec2::Ec2;
use crate::engine::{Clock, Ms};
use crate::rows::Rows;
use checks::Tally;
use executions::Executions;
use queue::Queue;

/// All that is outside of the handlers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rows: Rows,
    /// Rows that a transaction holds just now.
    pub(crate) held: BTreeSet<Key>,
    /// The status of each sweep, and since when: the index shows it late.
    pub(crate) statuses: BTreeMap<String, Vec<(Ms, String)>>,
    pub(crate) ec2: Ec2,
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) executions: Executions,
    pub(crate) queue: Queue,
    pub(crate) stats: Stats,
    pub(crate) tally: Tally,
    /// Which instance works on which member just now.
    pub(crate) at_work: BTreeMap<(String, u32), InstanceArn>,
    /// When the last launch call was answered.
    pub(crate) last_launch: Ms,
    /// When the first lane began.
    pub(crate) lanes_began: Option<Ms>,
    pub(crate) violations: Vec<String>,
}

/// The control plane and its world.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) home: Home,
    state: Mutex<State>,
}

impl Plane {
    pub(crate) fn new(clock: Clock, settings: Settings) -> Arc<Self> {
        let ec2 = Ec2::new(settings.ec2.clone());
        Arc::new(Self {
            clock,
            settings,
            home: Home {
                table: "spawn-sweeps".to_owned(),
                region: "us-east-1".to_owned(),
                account: "000000000000".to_owned(),
            },
            state: Mutex::new(State {
                rows: Rows::default(),
                held: BTreeSet::new(),
                statuses: BTreeMap::new(),
                ec2,
                objects: BTreeMap::new(),
                executions: Executions::default(),
                queue: Queue::default(),
                stats: Stats::default(),
                tally: Tally::default(),
                at_work: BTreeMap::new(),
                last_launch: 0,
                lanes_began: None,
                violations: Vec::new(),
            }),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a fault of this kind happens now; counts it if so.
    pub(crate) fn fault(&self, fault: Fault) -> bool {
        let rate = self.settings.rates.of(fault);
        if rate == 0 || self.clock.now() >= self.settings.faults_until || !self.clock.happens(rate)
        {
            return false;
        }
        self.count(fault);
        true
    }

    /// Counts a fault that happened.
    pub(crate) fn count(&self, fault: Fault) {
        *self.state().stats.faults.entry(fault).or_insert(0) += 1;
        self.note(|| format!("fault {}", fault.as_str()));
    }

    /// Notes something for the trace.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if self.settings.notes {
            self.clock.note(what);
        }
    }

    /// Notes that an invariant does not hold.
    pub(crate) fn violated(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.state().violate(self.clock.now(), what);
    }
}

impl State {
    /// Notes that an invariant does not hold.
    pub(crate) fn violate(&mut self, now: Ms, what: String) {
        // The first ones tell; a broken run could tell for ever.
        if self.violations.len() < 20 {
            let at = now.saturating_sub(crate::START_MS);
            self.violations
                .push(format!("after {}.{:03} s: {what}", at / 1_000, at % 1_000));
        }
    }
}
