//! `launch_delay` as EC2 sees it: never less between two launches of a lane, whatever goes wrong with the calls.

#![cfg(feature = "control-plane")]

use serde_json::json;
use simulation::plane::{Fault, Rates};
use simulation::scenario::{Scenario, Submission, run};

#[test]
fn launches_keep_their_distance_when_calls_are_late_lost_or_made_again() {
    for seed in 0..25 {
        let document = json!({
            "name": "apart",
            "count": 6,
            "regions": ["us-east-1", "us-west-2"],
            "instance_type": "c5.large",
            "ttl": "20m",
            "command": "./run",
            "launch_delay": "3s",
        });
        let submission = Submission {
            at: 0,
            document,
            stopped_at: None,
        };
        let mut scenario = Scenario {
            sweeps: vec![submission],
            dry: Vec::new(),
            work: 3_600_000,
            ..Scenario::of_seed(seed, false)
        };
        let faults = [
            (Fault::Stall, 300),
            (Fault::Crash, 300),
            (Fault::Ec2Unanswered, 2_000),
            (Fault::Ec2AnswerLost, 2_000),
            (Fault::LedgerBusy, 1_000),
        ];
        let settings = &mut scenario.settings;
        settings.rates = Rates(faults.into());
        settings.ec2 = simulation::ec2::Settings::default();
        settings.is_priced = false;
        settings.account_budget = None;
        // The invariant is one of the simulation's own.
        let violations = run(&scenario).violations;
        assert_eq!(violations, Vec::<String>::new(), "seed {seed}");
    }
}
