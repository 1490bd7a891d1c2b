//! The whole control plane under faults: some hundred seeds, and the same seed twice.

#![cfg(feature = "control-plane")]

use simulation::report::run_seeds;
use simulation::scenario::run_seed;

/// Seeds of one `cargo test`; `cargo run -p simulation -- --seeds 10000` runs more.
const SEEDS: u64 = 200;

#[test]
fn whatever_goes_wrong_nothing_leaks_nothing_runs_twice_and_everything_settles() {
    let summary = run_seeds(0, SEEDS);
    assert!(summary.violations.is_empty(), "{summary}");
    let faults: u64 = summary.faults.values().sum();
    assert!(
        faults > SEEDS * 10,
        "hardly anything went wrong:\n{summary}"
    );
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 12, 31] {
        let (first, second) = (run_seed(seed, true), run_seed(seed, true));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert!(first.trace.len() > 100, "seed {seed} does hardly anything");
    }
    assert_ne!(run_seed(3, true).hash, run_seed(12, true).hash);
}
