//! The launch protocol in every order: launchers of one lane, with deaths, lost answers, spent tokens and EC2's refusals at
//! every call.

#![cfg(feature = "control-plane")]

use simulation::explore::{Bounds, Explored, explore};

/// None of these reaches it.
const STATES_MAX: usize = 100_000;

fn explored(launchers: u32, max_concurrent: Option<u32>, switches: u32, faults: u32) -> Explored {
    let bounds = Bounds {
        launchers,
        members: 2,
        max_concurrent,
        switches,
        faults,
        states_max: STATES_MAX,
    };
    let explored = explore(bounds);
    assert_eq!(explored.violation, None, "{bounds:?}");
    assert!(explored.is_complete, "{bounds:?}: {explored:?}");
    explored
}

#[test]
fn two_launchers_with_a_fault_anywhere_launch_every_member_once() {
    let explored = explored(2, None, 1, 1);
    assert!(
        explored.states > 1_000 && explored.ends > 20,
        "{explored:?}"
    );
}

#[test]
fn a_launcher_with_two_faults_anywhere_launches_every_member_once() {
    explored(1, None, 0, 2);
}

#[test]
fn two_launchers_that_take_turns_never_pass_the_slots_together() {
    explored(2, Some(1), 2, 0);
}
