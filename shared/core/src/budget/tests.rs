use proptest::prelude::*;

use super::*;
use crate::clock;
use crate::ledger::{Condition, Write, path};
use crate::money::MicroDollars;
use crate::rows::{SweepRow, sweep_key};

fn sweep(budget: i64, charged: i64, billed: i64) -> SweepRow {
    let row = serde_json::json!({
        "sweep_id": "s-20260122-abcdef", "name": "s", "owner": "ann", "project": "ml", "status": "launching", "version": 0,
        "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:spawn-sweep:x", "started_at": 1, "planner_until": 0,
        "members": 9, "shards": 1, "lanes": [], "counts": crate::state::Counts::planned(9), "live": 0, "live_in": {},
        "ended_in": {}, "budget": budget, "charged": charged, "billed": billed, "results_bucket": "r", "topics": [],
    });
    serde_json::from_value(row).unwrap()
}

fn day(limit: i64, charged: i64) -> Standing {
    let pk = budget_pk(Scope::Owner, "ann");
    Standing {
        budget: BudgetRow {
            scope: Scope::Owner,
            name: "ann".to_owned(),
            period: Period::Daily,
            limit: MicroDollars(limit),
            set_at: 0,
            version: 0,
        },
        period: PeriodRow {
            budget: pk,
            period: "daily#2026-01-22".to_owned(),
            version: 0,
            charged,
            billed: 0,
            told_percent: 0,
        },
    }
}

const EACH: Option<MicroDollars> = Some(MicroDollars(10));

#[test]
fn as_many_fit_as_the_smallest_budget_has_room_for() {
    assert_eq!(room(&sweep(100, 55, 0), &[], EACH, 50), Room::For(4));
    assert_eq!(
        room(&sweep(100, 55, 0), &[day(100, 75)], EACH, 50),
        Room::For(2)
    );
    assert_eq!(
        room(&sweep(100, 55, 0), &[day(1000, 0)], EACH, 3),
        Room::For(3)
    );
}

#[test]
fn what_is_merely_committed_may_come_back_and_what_is_spent_does_not() {
    assert_eq!(
        room(&sweep(100, 95, 0), &[], EACH, 5),
        Room::WhenCharged(90)
    );
    let Room::Never(words) = room(&sweep(100, 95, 95), &[], EACH, 5) else {
        panic!("there is no room")
    };
    assert!(
        words.contains("has no room for an instance that may cost $0.00001"),
        "{words}"
    );
    // Tomorrow has another budget; but not one that is too small for a single instance.
    assert_eq!(
        room(&sweep(100, 0, 0), &[day(100, 100)], EACH, 5),
        Room::Later
    );
    assert!(matches!(
        room(&sweep(100, 0, 0), &[day(9, 0)], EACH, 5),
        Room::Never(_)
    ));
}

#[test]
fn without_a_budget_everything_fits_and_without_a_price_nothing_does_that_has_one() {
    let mut free = sweep(1, 0, 0);
    assert!(matches!(room(&free, &[], None, 5), Room::Never(_)));
    free.budget = None;
    assert_eq!(room(&free, &[], None, 5), Room::For(5));
    assert!(matches!(room(&free, &[day(9, 0)], None, 5), Room::Never(_)));
}

#[test]
fn a_period_is_a_day_or_a_month_in_utc() {
    let now = clock::parse_iso("2026-01-31T23:59:59Z").unwrap();
    assert_eq!(Period::Daily.of(now), "daily#2026-01-31");
    assert_eq!(Period::Monthly.of(now), "monthly#2026-01");
    assert_eq!(Period::Daily.of(now + 1000), "daily#2026-02-01");
}

#[test]
fn a_transaction_touches_each_row_once() {
    let sweep = sweep(100, 0, 0);
    let mut charges = Charges::default();
    charges.reserve(MicroDollars(10), &[day(100, 0)]);
    charges.reserve(MicroDollars(20), &[day(100, 0)]);
    let slots = Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add: vec![(path(&["live"]), 3)],
        when: Vec::new(),
    };
    let writes = charges.into_writes(&sweep, vec![slots]);
    assert_eq!(writes.len(), 2);
    let Write::Update { add, when, .. } = &writes[0] else {
        panic!("an update")
    };
    assert_eq!(add, &[(path(&["live"]), 3), (path(&["charged"]), 30)]);
    assert_eq!(when, &[Condition::AtMost(path(&["charged"]), 70)]);
}

proptest! {
    #[test]
    fn what_fits_never_passes_a_budget(
        budget in 0_i64..10_000, charged in 0_i64..10_000, limit in 0_i64..10_000, of_day in 0_i64..10_000,
        each in 1_i64..500, wanted in 1_u32..200,
    ) {
        let standing = [day(limit, of_day)];
        if let Room::For(count) = room(&sweep(budget, charged, 0), &standing, Some(MicroDollars(each)), wanted) {
            prop_assert!(count >= 1 && count <= wanted);
            prop_assert!(charged + i64::from(count) * each <= budget);
            prop_assert!(of_day + i64::from(count) * each <= limit);
        }
    }
}
