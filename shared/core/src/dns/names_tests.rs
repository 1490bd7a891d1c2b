//! What becomes of a member's records, whatever Route 53 says and whoever dies.

use std::slice;

use super::names::{LATE_MS, REFUSED_MS};
use super::*;
use crate::ids::SweepId;

fn record(name: &str, value: &str) -> Record {
    Record {
        id: RecordId {
            name: name.to_owned(),
            kind: RecordType::A,
            set: None,
        },
        ttl_s: 60,
        values: vec![value.to_owned()],
    }
}

fn row() -> NamesRow {
    NamesRow::none(SweepId::from("s"), 0)
}

fn told(row: &NamesRow) -> Vec<String> {
    row.under_way()
        .iter()
        .map(|change| format!("{:?} {}", change.action, change.record.values[0]))
        .collect()
}

#[test]
fn a_new_address_is_a_deletion_and_a_creation() {
    let mut row = row();
    row.intend(&[record("a", "1")], 0);
    assert_eq!(told(&row), ["Create 1"]);
    row.done();
    row.intend(&[record("a", "1")], 1);
    assert!(told(&row).is_empty());
    row.intend(&[record("a", "2")], 2);
    assert_eq!(told(&row), ["Delete 1", "Create 2"]);
    row.done();
    row.intend(&[], 3);
    assert_eq!(told(&row), ["Delete 2"]);
    row.done();
    assert!(row.is_empty());
}

/// Whatever a death or a lost answer leaves, the zone tells: what is there is live, what is not is made again.
#[test]
fn what_is_open_is_settled_by_what_the_zone_shows() {
    let (one, two) = (record("a", "1"), record("a", "2"));
    let mut moving = row();
    moving.intend(slice::from_ref(&one), 0);
    moving.done();
    moving.intend(slice::from_ref(&two), 0);
    for (shown, expected) in [
        (Some(&one), vec!["Delete 1", "Create 2"]),
        (Some(&two), vec![]),
        (None, vec!["Create 2"]),
    ] {
        let mut row = moving.clone();
        assert!(row.resolve(|_| shown, 10).is_empty());
        row.intend(slice::from_ref(&two), 10);
        assert_eq!(told(&row), expected, "{shown:?}");
    }
    let other = record("a", "9");
    let mut row = moving.clone();
    assert_eq!(row.resolve(|_| Some(&other), 10), slice::from_ref(&other));
    assert!(row.is_empty());
}

#[test]
fn a_creation_without_an_answer_is_remembered_until_it_cannot_come_any_more() {
    let one = record("a", "1");
    let mut row = row();
    row.intend(slice::from_ref(&one), 0);
    assert!(row.resolve(|_| None, 1).is_empty());
    row.intend(&[], 2);
    assert!(told(&row).is_empty() && !row.is_empty());
    // It comes late all the same, and is spawn's to delete.
    let mut late = row.clone();
    assert!(late.resolve(|_| Some(&one), 3).is_empty());
    late.intend(&[], 3);
    assert_eq!(told(&late), ["Delete 1"]);
    assert!(row.resolve(|_| None, LATE_MS).is_empty());
    assert!(row.is_empty());
}

#[test]
fn an_existing_record_is_spawns_only_if_spawn_may_have_made_it() {
    let one = record("a", "1");
    let create = Change {
        action: Action::Create,
        record: one.clone(),
    };
    let mut first = row();
    first.intend(slice::from_ref(&one), 0);
    let mut again = first.clone();
    assert_eq!(
        first.refuse(&create, Some(&one), "exists", 1),
        Refusal::Foreign
    );
    assert!(first.records.is_empty());
    assert!(again.resolve(|_| None, 1).is_empty());
    again.intend(slice::from_ref(&one), 2);
    assert_eq!(again.refuse(&create, Some(&one), "exists", 3), Refusal::Own);
    assert_eq!(again.records[0].standing, Standing::Live);
}

#[test]
fn a_record_that_was_changed_by_hand_is_let_go() {
    let (one, two, hand) = (record("a", "1"), record("a", "2"), record("a", "9"));
    let mut row = row();
    row.intend(slice::from_ref(&one), 0);
    row.done();
    row.intend(slice::from_ref(&two), 1);
    let delete = Change {
        action: Action::Delete,
        record: one.clone(),
    };
    let mut gone = row.clone();
    assert_eq!(
        row.refuse(&delete, Some(&hand), "differs", 2),
        Refusal::Foreign
    );
    assert!(row.under_way().is_empty() && row.records.is_empty());
    row.intend(slice::from_ref(&two), 3);
    assert!(row.under_way().is_empty(), "not asked for again at once");
    row.intend(slice::from_ref(&two), 2 + REFUSED_MS);
    assert_eq!(told(&row), ["Create 2"]);
    assert_eq!(gone.refuse(&delete, None, "not found", 2), Refusal::Gone);
    assert_eq!(told(&gone), ["Create 2"]);
}

#[test]
fn a_record_that_is_refused_is_not_asked_for_again_at_once() {
    let bad = record("a", "300");
    let mut row = row();
    row.intend(&[bad.clone(), record("b", "1")], 0);
    let create = Change {
        action: Action::Create,
        record: bad.clone(),
    };
    assert_eq!(
        row.refuse(&create, None, "not an address", 1),
        Refusal::Rejected
    );
    assert_eq!(told(&row), ["Create 1"]);
    row.done();
    row.intend(&[bad.clone(), record("b", "1")], 2);
    assert!(told(&row).is_empty());
    assert_eq!(row.refused[0].reason, "not an address");
}
