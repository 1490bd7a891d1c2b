//! Sweeps that share a vCPU quota of which nobody told their planners: members run in waves, and none fails for it.

#![cfg(feature = "control-plane")]

use serde_json::{Value, json};
use simulation::scenario::{Outcome, Scenario, Submission, run};

/// Two sweeps at the same moment in a region whose quota has room for `quota` instances, without faults.
fn two_sweeps(seed: u64, quota: u32, change: impl Fn(&mut Value)) -> Outcome {
    let mut document = json!({
        "name": "shared",
        "count": 8,
        "regions": ["eu-west-1"],
        "instance_type": "c5.large",
        "ttl": "10m",
        "command": "./run",
    });
    change(&mut document);
    let submission = Submission {
        at: 0,
        document,
        stopped_at: None,
    };
    let mut scenario = Scenario {
        sweeps: vec![submission.clone(), submission],
        dry: Vec::new(),
        work: 3_600_000,
        ..Scenario::of_seed(seed, false)
    };
    let settings = &mut scenario.settings;
    settings.rates = simulation::plane::Rates::default();
    settings.life.fails = 0;
    settings.life.run = (5_000, 20_000);
    settings.ec2 = simulation::ec2::Settings {
        quota: Some(quota),
        ..simulation::ec2::Settings::default()
    };
    settings.is_priced = false;
    settings.account_budget = None;
    run(&scenario)
}

#[test]
fn two_sweeps_that_share_a_quota_run_in_waves_and_no_member_fails() {
    for seed in 0..8 {
        for quota in [3, 4, 7] {
            let outcome = two_sweeps(seed, quota, |_| {});
            let case = format!("seed {seed}, quota {quota}");
            assert_eq!(outcome.violations, Vec::<String>::new(), "{case}");
            assert_eq!(outcome.instances, outcome.members, "{case}: one failed");
        }
    }
}

#[test]
fn a_quota_without_room_ends_both_within_minutes() {
    let outcome = two_sweeps(1, 0, |_| {});
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert_eq!(outcome.instances, 0);
    assert!(outcome.took < 5 * 60_000, "{} ms", outcome.took);
}
