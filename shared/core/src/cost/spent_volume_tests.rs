//! What a stopped instance costs: its volume, until it is gone.

use proptest::prelude::*;

use super::tests::{HOUR, START, member, moved, spent};
use super::*;
use crate::cost::{Changes, settle};

/// 8 GiB for an hour of January at $0.08 are 860.2 micro-dollars.
fn with_volume(market: Market) -> Spent {
    Spent {
        gib: Some(8),
        ..spent(market)
    }
}

/// What is seen of an instance that is stopped, or gone.
fn seen(
    before: &MemberRow,
    state: MemberState,
    is_gone: bool,
    now: u64,
) -> (MemberRow, Option<Release>) {
    let mut after = before.clone();
    (after.state, after.live) = (state, false);
    let news = News {
        since: None,
        is_gone,
    };
    let release = note(before, &mut after, news, now);
    (after, release)
}

fn volumes(member: &MemberRow, at: u64) -> i64 {
    let settled = settle(std::slice::from_ref(member), &Changes::new(), at).unwrap();
    settled.volumes_cost.0
}

#[test]
fn a_stopped_instance_pays_for_its_volume_until_it_is_gone() {
    let (running, _) = moved(
        &member(with_volume(Market::OnDemand)),
        MemberState::Running,
        true,
        START,
    );
    let (stopped, release) = seen(&running, MemberState::Stopped, false, START + HOUR);
    assert_eq!(release, None);
    assert_eq!(volumes(&stopped, START + HOUR), 861);
    assert_eq!(volumes(&stopped, START + 5 * HOUR), 4_302);
    // It was terminated by somebody, after five hours of which it ran one.
    let (ended, release) = seen(&stopped, MemberState::Failed, true, START + 5 * HOUR);
    assert_eq!(release.unwrap().billed.0, 680_000 + 4_302);
    assert_eq!(volumes(&ended, START + 9 * HOUR), 4_302);
    assert!(!ended.spent[0].is_there());
    // Seen once more, it tells nothing.
    assert_eq!(
        seen(&ended, MemberState::Failed, true, START + 9 * HOUR),
        (ended, None)
    );
}

#[test]
fn a_volume_that_outlives_its_member_is_charged_as_it_costs() {
    let (running, _) = moved(
        &member(with_volume(Market::OnDemand)),
        MemberState::Running,
        true,
        START,
    );
    let (stopped, release) = seen(&running, MemberState::Completed, false, START + HOUR);
    let release = release.unwrap();
    assert_eq!(
        (release.committed.0, release.billed.0),
        (1_360_000, 680_861)
    );
    assert!(stopped.spent[0].is_there());
    // Within the hour nothing is due; then what it has cost is.
    let soon = START + HOUR + HOUR / 2;
    assert!(!stopped.spent[0].is_due(false, soon) && stopped.spent[0].is_due(true, soon));
    let (later, more) = seen(&stopped, MemberState::Completed, false, START + 5 * HOUR);
    let more = more.unwrap();
    assert_eq!((more.committed.0, more.billed.0), (0, 4_302 - 861));
    assert_eq!(volumes(&later, START + 6 * HOUR), 5_162);
    let (gone, last) = seen(&later, MemberState::Completed, true, START + 6 * HOUR);
    assert_eq!(last.unwrap().billed.0, 5_162 - 4_302);
    assert_eq!(gone.spent[0].billed, Some(MicroDollars(680_000 + 5_162)));
    assert_eq!(volumes(&gone, START + 9 * HOUR), 5_162);
    assert_eq!(
        seen(&gone, MemberState::Completed, true, START + 9 * HOUR).1,
        None
    );
}

#[test]
fn an_instance_that_a_member_had_before_is_billed_while_it_stays() {
    let (running, _) = moved(
        &member(with_volume(Market::OnDemand)),
        MemberState::Running,
        true,
        START,
    );
    let (mut again, _) = seen(&running, MemberState::Failed, false, START + HOUR);
    again.instance = None;
    let news = |is_gone| News {
        since: None,
        is_gone,
    };
    let more = note_former(&mut again, "i-1", news(false), START + 5 * HOUR);
    assert_eq!(more.unwrap().billed.0, 4_302 - 861);
    assert!(note_former(&mut again, "i-1", news(true), START + 6 * HOUR).is_some());
    assert!(!again.spent[0].is_there());
    assert_eq!(
        note_former(&mut again, "i-1", news(true), START + 7 * HOUR),
        None
    );
    assert_eq!(
        note_former(&mut again, "i-2", news(true), START + 7 * HOUR),
        None
    );
}

proptest! {
    /// However often a volume that outlives its member is looked at: what budgets are charged with in all is its bill in the end.
    #[test]
    fn what_a_stopped_instance_is_charged_with_adds_up_to_its_bill(
        stopped_after in 1_u64..HOUR, looks in proptest::collection::vec(1_u64..40 * HOUR, 1..9),
    ) {
        let (running, _) = moved(&member(with_volume(Market::OnDemand)), MemberState::Running, true, START);
        let mut now = START + stopped_after;
        let (mut current, release) = seen(&running, MemberState::Completed, false, now);
        let mut charged = release.unwrap().billed.0;
        let last = looks.len() - 1;
        for (number, after) in looks.into_iter().enumerate() {
            now += after;
            let (next, more) = seen(&current, MemberState::Completed, number == last, now);
            charged += more.map_or(0, |more| more.billed.0 - more.committed.0);
            prop_assert_eq!(next.spent[0].billed, Some(MicroDollars(charged)));
            current = next;
        }
        let bill = current.spent[0].bill(&[], now + HOUR).unwrap().unwrap();
        prop_assert_eq!(bill.total.0, charged);
    }
}
