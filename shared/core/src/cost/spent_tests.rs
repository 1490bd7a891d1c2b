use proptest::prelude::*;

use super::*;
use crate::cost::{Changes, settle};
use crate::ids::InstanceArn;

pub(super) const HOUR: u64 = 3_600_000;
pub(super) const START: u64 = 1_769_076_000_000; // 2026-01-22T10:00:00Z

pub(crate) fn spent(market: Market) -> Spent {
    Spent {
        instance_id: "i-1".to_owned(),
        instance_type: "c5.4xlarge".to_owned(),
        market,
        region: "us-east-1".parse().unwrap(),
        zone: Some("us-east-1a".to_owned()),
        launched_at: START,
        ttl_s: Some(7200),
        hour: Some(MicroDollars(match market {
            Market::Spot => 200_000,
            Market::OnDemand => 680_000,
        })),
        hour_is_fixed: false,
        on_demand_hour: Some(MicroDollars(680_000)),
        gib: Some(0),
        gib_month: Some(MicroDollars(80_000)),
        public_ipv4_hour: Some(MicroDollars(0)),
        public_ip: None,
        committed: Some(MicroDollars(1_360_000)),
        charged_to: vec!["BUDGET#owner#ann|daily#2026-01-22".to_owned()],
        runs: Vec::new(),
        minutes: 0,
        volume_to: None,
        billed: None,
        billed_to: None,
    }
}

pub(super) fn member(spent: Spent) -> MemberRow {
    let arn: InstanceArn = "arn:aws:ec2:us-east-1:000000000000:instance/i-1"
        .parse()
        .unwrap();
    MemberRow {
        state: MemberState::Launching,
        live: true,
        instance: Some(arn),
        spent: vec![spent],
        ..MemberRow::planned(
            "s-20260122-abcdef".into(),
            1,
            0,
            "us-east-1.spot".parse().unwrap(),
        )
    }
}

/// What is told of an instance by the end of which its member comes to its own.
pub(super) fn told(since: Option<u64>, state: MemberState, live: bool) -> News {
    News {
        since,
        is_gone: state.is_ended() && !live,
    }
}

/// The member in a state, and what budgets got back.
pub(super) fn moved(
    before: &MemberRow,
    state: MemberState,
    live: bool,
    now: u64,
) -> (MemberRow, Option<Release>) {
    let mut after = before.clone();
    after.state = state;
    after.live = live;
    if state == MemberState::Running && after.running_at.is_none() {
        after.running_at = Some(now);
    }
    let release = note(before, &mut after, told(Some(now), state, live), now);
    (after, release)
}

#[test]
fn an_instance_is_billed_from_running_to_its_end_and_gives_the_rest_back_once() {
    let member = member(spent(Market::OnDemand));
    let (running, release) = moved(&member, MemberState::Running, true, START + 30_000);
    assert_eq!(release, None);
    let (ended, release) = moved(
        &running,
        MemberState::Completed,
        false,
        START + 30_000 + HOUR,
    );
    let release = release.unwrap();
    assert_eq!(
        (release.committed.0, release.billed.0),
        (1_360_000, 680_000)
    );
    assert_eq!(release.charged_to.len(), 1);
    let (_, again) = moved(&ended, MemberState::Completed, false, START + 9 * HOUR);
    assert_eq!(again, None);
}

#[test]
fn a_stop_ends_a_run_and_a_start_begins_another() {
    let member = member(spent(Market::OnDemand));
    let (running, _) = moved(&member, MemberState::Running, true, START);
    let (stopped, release) = moved(&running, MemberState::Stopped, false, START + HOUR);
    assert_eq!(
        release, None,
        "it may be started again: its commitment stays"
    );
    let (again, _) = moved(&stopped, MemberState::Running, true, START + 10 * HOUR);
    let (_, release) = moved(&again, MemberState::Completed, false, START + 11 * HOUR);
    assert_eq!(release.unwrap().billed.0, 1_360_000);
}

#[test]
fn spot_that_ec2_takes_back_in_the_first_hour_gives_all_back() {
    let member = member(spent(Market::Spot));
    let (running, _) = moved(&member, MemberState::Running, true, START);
    let (lost, release) = moved(&running, MemberState::Interrupted, false, START + HOUR / 2);
    assert_eq!(release.unwrap().billed.0, 0);
    let settled = settle(&[lost], &Changes::new(), START + HOUR).unwrap();
    assert_eq!(settled.total.0, 0);
    // Half an hour on demand would have cost 0.34, two hours 1.36.
    assert_eq!(settled.saved_by_spot.0, 340_000);
    assert_eq!(settled.saved_by_early_end.0, 1_020_000);
}

#[test]
fn what_was_stopped_and_started_has_saved_nothing_and_not_less() {
    let minute = HOUR / 60;
    let short = Spent {
        ttl_s: Some(60),
        ..spent(Market::OnDemand)
    };
    let (running, _) = moved(&member(short), MemberState::Running, true, START);
    let (stopped, _) = moved(&running, MemberState::Stopped, false, START + minute / 2);
    let (again, _) = moved(&stopped, MemberState::Running, true, START + minute);
    let (ended, _) = moved(
        &again,
        MemberState::Completed,
        false,
        START + 2 * minute - 1,
    );
    let settled = settle(&[ended], &Changes::new(), START + HOUR).unwrap();
    // Two runs are billed with a minute each, one of which the ttl holds for.
    assert_eq!(settled.total.0, 22_667);
    assert_eq!(settled.saved_by_early_end.0, 0);
    assert_eq!(settled.on_demand_to_ttl, Some(settled.total));
}

#[test]
fn one_that_was_never_seen_running_is_billed_from_its_launch() {
    let member = member(spent(Market::OnDemand));
    let (_, release) = moved(&member, MemberState::Failed, false, START + HOUR);
    assert_eq!(release.unwrap().billed.0, 680_000);
}

#[test]
fn news_that_comes_late_is_billed_by_when_it_began() {
    let member = member(spent(Market::OnDemand));
    let late = |before: &MemberRow, state, live, since, now| {
        let mut after = before.clone();
        after.state = state;
        after.live = live;
        let release = note(before, &mut after, told(since, state, live), now);
        (after, release.map(|release| release.billed.0))
    };
    let minute = HOUR / 60;
    for (since, ran_ms) in [
        // An event tells when it ran, 10 minutes before it came.
        (Some(START + minute), HOUR - minute),
        // Nothing tells it: from the launch.
        (None, HOUR),
        // EC2's clock is ahead.
        (Some(START + 2 * HOUR), HOUR - 11 * minute),
    ] {
        let running = MemberState::Running;
        let (seen, _) = late(&member, running, true, since, START + 11 * minute);
        // The end is told 5 minutes late, and happened within the second that the event tells.
        let end = START + HOUR;
        let completed = MemberState::Completed;
        let (_, billed) = late(&seen, completed, false, Some(end - 999), end + 5 * minute);
        let exact = 680_000 * i64::try_from(ran_ms).unwrap() / i64::try_from(HOUR).unwrap();
        assert!((0..=1).contains(&(billed.unwrap() - exact)), "{since:?}");
    }
}

#[test]
fn only_what_certainly_ran_for_longer_than_its_ttl_is_charged_with_more_than_its_commitment() {
    let running = {
        let member = member(spent(Market::OnDemand));
        moved(&member, MemberState::Running, true, START).0
    };
    let ended = |before: &MemberRow, since, now| {
        let mut after = before.clone();
        after.state = MemberState::Reaped;
        after.live = false;
        let news = told(since, after.state, false);
        note(before, &mut after, news, now).unwrap().billed.0
    };
    let minute = HOUR / 60;
    // Its timer ended it after two hours, which is seen ten minutes later.
    assert_eq!(ended(&running, None, START + 130 * minute), 1_360_000);
    // EC2 tells that it ended then, or spawn ended it then, long after its time.
    let late = START + 3 * HOUR;
    assert_eq!(ended(&running, Some(late), late + minute), 2_040_189);
    let mut reaped = running.clone();
    reaped.reaping = Some(crate::reap::Reaping {
        reason: crate::reap::ReapReason::Ttl,
        note: None,
        at: late,
        stops: false,
    });
    assert_eq!(ended(&reaped, None, late + minute), 2_051_334);
}

#[test]
fn a_member_that_is_tried_again_gives_back_what_its_first_try_did_not_use() {
    let member = member(spent(Market::Spot));
    let (running, _) = moved(&member, MemberState::Running, true, START);
    let mut retried = running.clone();
    retried.state = MemberState::Planned;
    retried.live = false;
    retried.instance = None;
    let release = note(
        &running,
        &mut retried,
        told(None, MemberState::Failed, false),
        START + 2 * HOUR,
    )
    .unwrap();
    assert_eq!(release.billed.0, 400_000);
    assert_eq!(retried.spent.len(), 1);
}

#[test]
fn what_has_no_price_is_told_and_is_not_nothing() {
    let mut unpriced = spent(Market::OnDemand);
    unpriced.hour = None;
    let (running, _) = moved(&member(unpriced), MemberState::Running, true, START);
    let (ended, release) = moved(&running, MemberState::Completed, false, START + HOUR);
    assert_eq!(
        release.unwrap().billed.0,
        1_360_000,
        "what cannot be billed stays charged"
    );
    let settled = settle(&[ended], &Changes::new(), START + HOUR).unwrap();
    assert!(
        settled
            .gaps()
            .unwrap()
            .contains("1 of c5.4xlarge on-demand in us-east-1")
    );
}

#[test]
fn a_settlement_uses_the_spot_prices_that_were_in_force() {
    let (running, _) = moved(
        &member(spent(Market::Spot)),
        MemberState::Running,
        true,
        START,
    );
    let (ended, _) = moved(&running, MemberState::Completed, false, START + 2 * HOUR);
    let key = (
        "us-east-1".parse().unwrap(),
        "c5.4xlarge#spot#us-east-1a".to_owned(),
    );
    let changed = PriceFrom {
        from: START + HOUR / 2,
        hour: MicroDollars(240_000),
    };
    let changes = Changes::from([(key, vec![changed])]);
    let settled = settle(std::slice::from_ref(&ended), &changes, START + 3 * HOUR).unwrap();
    assert_eq!(settled.total.0, 440_000);
    assert_eq!(settled.by_market["spot"].0, 440_000);
    assert_eq!(settled.per_completed, Some(MicroDollars(440_000)));

    // The operator's own price stays what it was.
    let mut fixed = ended;
    fixed
        .spent
        .iter_mut()
        .for_each(|spent| spent.hour_is_fixed = true);
    let settled = settle(&[fixed], &changes, START + 3 * HOUR).unwrap();
    assert_eq!(settled.total.0, 400_000);
}

proptest! {
    /// Functions that began at different moments write in any order, with what EC2 told them sooner or later: runs follow each
    /// other, none ends before it begins, and the price of an instance that is known stays known.
    #[test]
    fn runs_never_overlap_whatever_the_order_of_those_who_write(
        steps in proptest::collection::vec((0_usize..3, 0_u64..HOUR, proptest::option::of(0_u64..HOUR)), 1..12),
    ) {
        let mut current = member(spent(Market::OnDemand));
        for (step, at, since) in steps {
            let (state, live) = [
                (MemberState::Running, true), (MemberState::Stopped, false), (MemberState::Completed, false),
            ][step];
            if current.state.is_ended() {
                break;
            }
            let mut after = current.clone();
            (after.state, after.live) = (state, live);
            let now = START - HOUR / 2 + at;
            let release = note(&current, &mut after, told(since.map(|since| START - HOUR / 2 + since), state, live), now);
            let noted = &after.spent[0];
            for pair in noted.runs.windows(2) {
                prop_assert!(pair[0].to.is_some_and(|to| to <= pair[1].from), "{:?}", noted.runs);
            }
            prop_assert!(noted.runs.iter().all(|run| run.from >= noted.launched_at && run.to.is_none_or(|to| run.from <= to)));
            let bill = noted.bill(&[], START + 9 * HOUR);
            prop_assert!(bill.as_ref().is_ok_and(Option::is_some), "{bill:?}");
            if let Some(release) = release {
                prop_assert_eq!(Some(release.billed), bill.unwrap().map(|bill| bill.total));
            }
            current = after;
        }
    }

    /// Whatever happens in whatever order: what is given back never exceeds what was charged, sums agree, and nothing is negative.
    #[test]
    fn commitment_is_given_back_once_and_parts_add_up(
        steps in proptest::collection::vec((0_usize..6, 1_u64..HOUR), 1..12), is_spot in any::<bool>(),
    ) {
        let market = if is_spot { Market::Spot } else { Market::OnDemand };
        let mut now = START;
        let mut current = member(spent(market));
        let mut releases = 0;
        for (step, ms) in steps {
            now += ms;
            let (state, live) = [
                (MemberState::Running, true), (MemberState::Stopped, false), (MemberState::Completed, false),
                (MemberState::Interrupted, false), (MemberState::Failed, false), (MemberState::Completed, true),
            ][step];
            if current.state.is_ended() && !current.live {
                break;
            }
            let (next, release) = moved(&current, state, live, now);
            releases += usize::from(release.is_some());
            if let Some(release) = release {
                prop_assert!(release.billed.0 >= 0);
            }
            current = next;
        }
        prop_assert!(releases <= 1);
        let settled = settle(&[current], &Changes::new(), now).unwrap();
        for by in [&settled.by_region, &settled.by_type, &settled.by_market] {
            prop_assert_eq!(by.values().map(|amount| amount.0).sum::<i64>(), settled.total.0);
        }
        let parts = settled.instances_cost.0 + settled.volumes_cost.0 + settled.addresses_cost.0;
        prop_assert_eq!(parts, settled.total.0);
        let saved = settled.saved_by_spot.0 + settled.saved_by_early_end.0;
        prop_assert!(settled.saved_by_early_end.0 >= 0);
        prop_assert_eq!(settled.on_demand_to_ttl.unwrap().0, settled.total.0 + saved);
    }
}

/// The address is billed unless it is known that there is none; one that was seen is billed to the end.
#[test]
fn a_public_address_is_billed_while_nobody_knows_that_there_is_none() {
    let total = |seen: &[bool]| {
        let mut with = member(Spent {
            public_ipv4_hour: Some(MicroDollars(5_000)),
            ..spent(Market::OnDemand)
        });
        for has_one in seen {
            note_public_ip(&mut with, *has_one);
        }
        let (running, _) = moved(&with, MemberState::Running, true, START);
        let bill = running.spent[0].bill(&[], START + HOUR).unwrap().unwrap();
        bill.total.0
    };
    assert_eq!(total(&[]), 685_000);
    assert_eq!(total(&[false]), 680_000);
    assert_eq!(total(&[false, true]), 685_000);
    assert_eq!(total(&[true, false]), 685_000);
}
