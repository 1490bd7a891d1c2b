//! Fleets small enough for every test run; the commands run them large.

#[tokio::test]
async fn nothing_that_works_is_ever_ended_and_all_the_rest_is() {
    for seed in 0..6 {
        let safety = fleets::safety::run(1_000, seed).await;
        assert_eq!(
            safety.violations(),
            Vec::<String>::new(),
            "seed {seed}\n{safety}"
        );
        assert!(safety.failed > 0, "no fault struck: {safety}");
    }
}

#[tokio::test]
async fn what_is_due_is_ended_by_the_next_pass() {
    let latency = fleets::latency::run(600, 1).await;
    assert_eq!(latency.left, 0, "{latency}");
    let minute = fleets::MINUTE;
    assert!(
        latency.ttl.last().is_some_and(|ms| *ms <= minute),
        "{latency}"
    );
    assert!(
        latency.idle.last().is_some_and(|ms| *ms <= minute),
        "{latency}"
    );
}

#[tokio::test]
async fn watching_by_due_times_is_twenty_times_cheaper_than_asking_for_all() {
    let comparison = fleets::watch_cost::run(1_000, 2).await;
    assert!(comparison.factor() >= 20, "{comparison}");
}
