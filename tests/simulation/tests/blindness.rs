//! A simulation that finds nothing proves nothing: with a broken EC2 it must find something.

#![cfg(feature = "control-plane")]

use simulation::scenario::{Scenario, run};

#[test]
fn an_ec2_that_forgets_its_tokens_is_noticed() {
    let found = (0..60).any(|seed| {
        let mut scenario = Scenario::of_seed(seed, false);
        scenario.settings.ec2.forgets_tokens = true;
        !run(&scenario).violations.is_empty()
    });
    assert!(found, "instances were launched twice, and nobody noticed");
}

#[test]
fn a_ledger_that_forgets_limits_is_noticed() {
    let found = (0..200).any(|seed| {
        let mut scenario = Scenario::of_seed(seed, false);
        scenario.settings.ignores_budgets = true;
        let is_of_money = |what: &String| what.contains("charged") || what.contains("budget");
        scenario.settings.is_priced && run(&scenario).violations.iter().any(is_of_money)
    });
    assert!(found, "a budget was passed, and nobody noticed");
}
