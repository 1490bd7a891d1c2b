//! Seeds that once failed, each named after the faults that it meets.

#![cfg(feature = "control-plane")]

use simulation::scenario::run_seed;

#[track_caller]
fn holds(seed: u64) {
    assert_eq!(run_seed(seed, false).violations, Vec::<String>::new());
}

/// Functions that go on after their answers are lost, beside a ledger that answers late or not at all.
#[test]
fn seed_1242_launchers_go_on_in_the_dark() {
    holds(1_242);
}

/// Functions that stand still, doubled and late events, and pools that run dry.
#[test]
fn seed_1444_functions_stand_still_beside_a_dry_pool() {
    holds(1_444);
}

/// An invocation that notes a task token goes on after its repetition, and has the older token.
#[test]
fn seeds_7397_8965_and_9712_an_older_token_never_replaces_a_newer_one() {
    for seed in [7_397, 8_965, 9_712] {
        holds(seed);
    }
}

/// The answer of a launch is lost, and its instances are known to run only minutes later.
#[test]
fn seed_3089_what_was_seen_late_is_billed_from_its_beginning() {
    holds(3_089);
}

/// Functions wait long for EC2's answers, and what an answer shows happened after they began.
#[test]
fn seeds_3570_and_9041_what_a_slow_answer_shows_is_billed_to_its_end() {
    for seed in [3_570, 9_041] {
        holds(seed);
    }
}

/// Instances end themselves when their time is over, and their events are lost: their ends are seen a minute later.
#[test]
fn seed_14925_a_late_look_passes_no_budget() {
    holds(14_925);
}

/// Members complete, their instances are to be stopped, and the event that one was is lost after the sweep is over.
#[test]
fn seeds_616_2081_and_2536_what_stops_after_the_end_gives_its_slot_back() {
    for seed in [616, 2_081, 2_536] {
        holds(seed);
    }
}

/// The last event of an instance is lost, and its sweep is over when the ledger is compared with EC2.
#[test]
fn seed_7099_what_is_over_has_nothing_alive() {
    holds(7_099);
}
