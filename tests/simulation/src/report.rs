//! Many runs, and what is told of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::plane::Fault;
use crate::scenario::{Outcome, run_seed};

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many.
    pub seeds: u64,
    /// Members of all of them.
    pub members: u64,
    /// Instances.
    pub instances: u64,
    /// Virtual time of all of them, in ms.
    pub virtual_ms: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// Calls of functions to the outside.
    pub calls: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Seeds whose runs broke an invariant, and which.
    pub violations: BTreeMap<u64, Vec<String>>,
    /// The seed that took longest to settle after its faults had stopped, and how long, in ms.
    pub slowest: (u64, u64),
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.members += outcome.members;
        self.instances += outcome.instances;
        self.virtual_ms += outcome.took;
        self.invocations += outcome.stats.invocations.values().sum::<u64>();
        self.calls += outcome.stats.calls.values().sum::<u64>();
        outcome.add_faults(&mut self.faults);
        if (outcome.after_faults, outcome.seed) > (self.slowest.1, self.slowest.0) {
            self.slowest = (outcome.seed, outcome.after_faults);
        }
        if !outcome.violations.is_empty() {
            self.violations.insert(outcome.seed, outcome.violations);
        }
    }
}

/// Runs `seeds` seeds from `from` on, on all processors.
#[must_use]
pub fn run_seeds(from: u64, seeds: u64) -> Summary {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(from);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(seeds) {
                        return;
                    }
                    let outcome = run_seed(seed, false);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.add(outcome);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The command that shows a seed's run.
fn replay(seed: u64) -> String {
    format!("cargo run -p simulation -- --seed {seed} --trace")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<28} {value:>14}");
        row("seeds", self.seeds.to_string())?;
        row("members", self.members.to_string())?;
        row("instances", self.instances.to_string())?;
        row(
            "hours of virtual time",
            (self.virtual_ms / 3_600_000).to_string(),
        )?;
        row("calls of functions", self.invocations.to_string())?;
        row("calls to the outside", self.calls.to_string())?;
        for fault in Fault::ALL {
            let count = self.faults.get(&fault).copied().unwrap_or(0);
            row(&format!("fault: {}", fault.as_str()), count.to_string())?;
        }
        let faults: u64 = self.faults.values().sum();
        row("faults in all", faults.to_string())?;
        row("invariant violations", self.violations.len().to_string())?;
        writeln!(
            f,
            "slowest: settled {} s after its faults had stopped: {}",
            self.slowest.1 / 1_000,
            replay(self.slowest.0)
        )?;
        for (seed, violations) in &self.violations {
            writeln!(f, "\nseed {seed} fails; {}", replay(*seed))?;
            for violation in violations {
                writeln!(f, "  {violation}")?;
            }
        }
        Ok(())
    }
}

/// What is told of one run.
#[must_use]
pub fn of_one(outcome: &Outcome) -> String {
    let faults: Vec<String> = outcome
        .stats
        .faults
        .iter()
        .map(|(fault, count)| format!("{} {count}", fault.as_str()))
        .collect();
    let mut text = format!(
        "seed {}: {} members, {} instances, settled after {} s, {} s after the faults; hash {:016x}\n  {}\n",
        outcome.seed,
        outcome.members,
        outcome.instances,
        outcome.took / 1_000,
        outcome.after_faults / 1_000,
        outcome.hash,
        faults.join(", "),
    );
    for violation in &outcome.violations {
        text.push_str("  VIOLATION ");
        text.push_str(violation);
        text.push('\n');
    }
    text
}
