//! The search: depth first, each state once.

use std::collections::BTreeSet;

use super::state::{Choice, Running};

/// How much is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Launchers of the same lane, at the same time.
    pub launchers: u32,
    /// Members of the lane.
    pub members: u32,
    /// The most instances at a time, if limited.
    pub max_concurrent: Option<u32>,
    /// How often in one run a launcher that could go on stands still while another one goes on.
    pub switches: u32,
    /// Faults in one run.
    pub faults: u32,
    /// States after which the search gives up: a bound on its time, never reached by the bounds that are tested.
    pub states_max: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Runs from the start to an end, or to a state that was met before.
    pub runs: usize,
    /// Ends: worlds in which every launcher had ended or died.
    pub ends: usize,
    /// Whether every state was met.
    pub is_complete: bool,
    /// What did not hold, and the choices that led there. The search stops at the first.
    pub violation: Option<(Vec<String>, Vec<String>)>,
}

/// Explores every order within `bounds`.
#[must_use]
pub fn explore(bounds: Bounds) -> Explored {
    let mut explored = Explored {
        is_complete: true,
        ..Explored::default()
    };
    let mut met = BTreeSet::new();
    // Paths that were found and not taken yet.
    let mut paths: Vec<Vec<Choice>> = vec![Vec::new()];
    while let Some(mut path) = paths.pop() {
        explored.runs += 1;
        let mut running = Running::new(bounds);
        for choice in &path {
            running.take(*choice);
        }
        loop {
            if !met.insert(running.fingerprint()) {
                break;
            }
            let wrong = running.violations_now(bounds);
            if !wrong.is_empty() {
                explored.violation = Some((wrong, told(&path)));
                return explored;
            }
            if met.len() > bounds.states_max {
                explored.is_complete = false;
                explored.states = met.len();
                return explored;
            }
            let choices = running.choices();
            let Some((first, others)) = choices.split_first() else {
                explored.ends += 1;
                let wrong = running.violations_at_the_end();
                if !wrong.is_empty() {
                    explored.violation = Some((wrong, told(&path)));
                    return explored;
                }
                break;
            };
            for other in others {
                let mut branch = path.clone();
                branch.push(*other);
                paths.push(branch);
            }
            path.push(*first);
            running.take(*first);
        }
        explored.states = met.len();
    }
    explored
}

fn told(path: &[Choice]) -> Vec<String> {
    path.iter().map(|choice| format!("{choice:?}")).collect()
}
