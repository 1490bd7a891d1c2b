//! How fast sweeps launch, and what a member takes however many there are. `cargo run -p simulation -- launch-times` and `bench`
//! measure more, and larger ones.

#![cfg(feature = "control-plane")]

use simulation::bench::{Figures, measure_launch, measure_sweep};

/// Members, regions, sweeps.
const CASES: [(u64, usize, u64); 7] = [
    (200, 2, 1),
    (200, 10, 1),
    (1_000, 1, 1),
    (1_000, 4, 1),
    (1_000, 10, 1),
    (1_000, 1, 2),
    // More than the bucket holds: 250 s of virtual time.
    (1_500, 1, 1),
];

#[test]
fn sweeps_launch_within_two_percent_of_what_ec2_allows_and_by_few_calls() {
    for (members, regions, sweeps) in CASES {
        let case = measure_launch(members, regions, sweeps);
        assert_eq!(case.missed(), Vec::<String>::new(), "{case:?}");
        assert_eq!(case.throttled, 0, "{case:?}");
    }
}

#[test]
fn two_hundred_members_over_two_regions_are_there_within_five_seconds_of_their_submission() {
    let case = measure_launch(200, 2, 1);
    assert!(case.planned_ms + case.took_ms < 5_000, "{case:?}");
    assert_eq!(case.calls, 2);
}

/// What a member takes, in thousandths.
fn of_a_member(figures: &Figures) -> [(&'static str, u64); 4] {
    let stats = &figures.stats;
    let each = |amount: u64| amount * 1_000 / figures.members;
    [
        ("rows written", each(stats.rows_written)),
        ("write units", each(stats.write_units)),
        ("rows read", each(stats.rows_read)),
        ("function calls", each(stats.invocations.values().sum())),
    ]
}

#[test]
fn a_member_takes_no_more_in_a_large_sweep_than_in_a_small_one() {
    let ten_minutes = 600_000;
    let small = of_a_member(&measure_sweep(250, 4, ten_minutes));
    let large = of_a_member(&measure_sweep(2_500, 4, ten_minutes));
    for ((what, small), (_, large)) in small.into_iter().zip(large) {
        assert!(
            large <= small * 11 / 10,
            "{what}: {small} and {large} thousandths"
        );
    }
}
