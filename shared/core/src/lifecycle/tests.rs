use proptest::prelude::*;

use super::*;
use crate::ids::SweepId;

fn member() -> MemberRow {
    let lane = "us-east-1.spot".parse().unwrap();
    MemberRow {
        state: MemberState::Launching,
        live: true,
        launched_at: Some(0),
        ttl_deadline: Some(1_000_000),
        ..MemberRow::planned(SweepId::from("s"), 1, 0, lane)
    }
}

fn around(report: Option<i64>, on_complete: OnComplete) -> Circumstances {
    Circumstances {
        report: report.map(|exit_code| Report {
            exit_code,
            interrupted: false,
            result_key: None,
            at: 1,
            reason: None,
        }),
        last_words: None,
        on_complete,
        sweep: SweepStatus::Running,
        now: 10,
    }
}

fn terminated(reason: Option<&str>) -> Observation {
    Observation::State(InstanceState::Terminated, reason.map(str::to_owned))
}

#[test]
fn the_end_of_an_instance_is_judged_by_what_is_known_of_it() {
    let user = Some("Client.UserInitiatedShutdown");
    let lost = Some("Server.SpotInstanceTermination");
    let draining = |mut around: Circumstances| {
        around.sweep = SweepStatus::Draining;
        around
    };
    let late = |mut around: Circumstances| {
        around.now = 996_000;
        around
    };
    let plain = |report| around(report, OnComplete::Terminate);
    for (around, reason, state) in [
        (plain(Some(0)), user, MemberState::Completed),
        (plain(Some(1)), user, MemberState::Failed),
        (plain(None), user, MemberState::Failed),
        (plain(None), lost, MemberState::Interrupted),
        (plain(Some(0)), lost, MemberState::Completed),
        (draining(plain(None)), user, MemberState::Reaped),
        (draining(plain(Some(0))), user, MemberState::Completed),
        (late(plain(None)), user, MemberState::Reaped),
    ] {
        let after = observe(&member(), &terminated(reason), &around)
            .unwrap()
            .unwrap();
        assert_eq!(after.state, state, "{around:?} {reason:?}");
        assert_eq!(after.code.unwrap().state(), state);
        assert!(!after.live);
        assert_eq!(after.ended_at, Some(around.now));
    }
}

#[test]
fn a_report_ends_a_member_only_when_its_instance_is_to_stay() {
    for (on_complete, ends) in [
        (OnComplete::Terminate, false),
        (OnComplete::Stop, true),
        (OnComplete::None, true),
    ] {
        let after = observe(
            &member(),
            &Observation::Reported,
            &around(Some(0), on_complete),
        );
        let after = after.unwrap();
        assert_eq!(after.is_some(), ends, "{on_complete:?}");
        assert!(after.is_none_or(|member| member.live && member.state.is_ended()));
    }
}

fn seen(member: &MemberRow, state: InstanceState, now: u64) -> MemberRow {
    let around = Circumstances {
        now,
        ..around(None, OnComplete::Terminate)
    };
    let seen = observe(member, &Observation::State(state, None), &around).unwrap();
    seen.unwrap_or_else(|| member.clone())
}

#[test]
fn a_stopped_member_waits_for_its_start_and_its_time_stands_still() {
    let running = seen(&member(), InstanceState::Running, 10);
    let stopped = seen(&running, InstanceState::Stopping, 400_000);
    assert_eq!(
        (stopped.state, stopped.live, stopped.ended_at),
        (MemberState::Stopped, false, None)
    );
    // Seen again, long after its time would have been over.
    let stopped = seen(&stopped, InstanceState::Stopped, 9_000_000);
    assert_eq!(stopped.paused_at, Some(400_000));
    let resumed = seen(&stopped, InstanceState::Running, 9_400_000);
    assert_eq!((resumed.state, resumed.live), (MemberState::Running, true));
    assert_eq!(resumed.ttl_deadline, Some(10_000_000));
    assert_eq!((resumed.paused_at, resumed.reason), (None, None));
}

/// A member whose instance ran from 10 s, and was seen to be stopped at 60 s by what was told of it at 61 s.
fn stopped_at_a_minute() -> MemberRow {
    let mut member = member();
    member.instance = "arn:aws:ec2:us-east-1:000000000000:instance/i-1"
        .parse()
        .ok();
    member.spent = vec![crate::cost::sample(crate::ids::Market::OnDemand)];
    let from = member.spent[0].launched_at;
    member.spent[0].runs = vec![crate::cost::Run {
        from,
        to: Some(from + 60_000),
        ended_by: crate::cost::EndedBy::User,
    }];
    member.state = MemberState::Stopped;
    member.live = false;
    member.paused_at = Some(from + 61_000);
    member
}

#[test]
fn what_ran_before_it_was_stopped_starts_no_run() {
    let stopped = stopped_at_a_minute();
    let began = stopped.spent[0].launched_at;
    let seen = |state, since, seen_at| Sighting {
        since,
        seen_at,
        ..Sighting::new(
            stopped.instance.clone().unwrap(),
            Observation::State(state, None),
        )
    };
    use InstanceState::{Running, Stopped, Terminated};
    for (state, since, seen_at, is_outdated) in [
        // A list that was answered before the stop, and is applied after it; and one that was answered later.
        (Running, Some(began), Some(began + 60_500), true),
        (Running, Some(began), Some(began + 61_000), false),
        (Running, Some(began + 90_000), Some(began + 95_000), false),
        // The event of the first start, which comes last; and that of the second.
        (Running, Some(began), None, true),
        (Running, Some(began + 90_000), None, false),
        (Running, None, None, false),
        (Terminated, Some(began), None, false),
        (Stopped, Some(began), None, false),
    ] {
        let sighting = seen(state, since, seen_at);
        assert_eq!(
            sighting.is_outdated(&stopped, began),
            is_outdated,
            "{sighting:?}"
        );
    }
    // It was started again, and the event of the stop comes once more, or late.
    let mut again = stopped.clone();
    again.state = MemberState::Running;
    again.paused_at = None;
    again.spent[0].runs.push(crate::cost::Run {
        from: began + 90_000,
        to: None,
        ended_by: crate::cost::EndedBy::User,
    });
    assert!(seen(Stopped, Some(began + 60_000), None).is_outdated(&again, began));
    assert!(!seen(Stopped, Some(began + 90_000), None).is_outdated(&again, began));
    assert!(!seen(Stopped, None, Some(began)).is_outdated(&again, began));
}

#[test]
fn a_member_that_spawn_ends_says_why() {
    let mut member = member();
    member.reaping = Some(crate::reap::Reaping {
        reason: crate::reap::ReapReason::Idle,
        note: None,
        at: 5,
        stops: false,
    });
    let after = seen(&member, InstanceState::Terminated, 10);
    assert_eq!(after.state, MemberState::Reaped);
    assert_eq!(after.reason.as_deref(), Some("it was idle for too long"));
}

#[test]
fn what_spawn_ends_before_ec2_takes_it_back_is_no_interruption() {
    let noted = |reason, stops| crate::reap::Reaping {
        reason,
        note: None,
        at: 5,
        stops,
    };
    let reaped = |stops| noted(crate::reap::ReapReason::Asked, stops);
    // Its program had ended because of the notice, and its instance was slow to go.
    let helped = noted(crate::reap::ReapReason::Completed, false);
    for (reaping, report, code) in [
        (Some(reaped(false)), None, EndCode::ReapedByRequest),
        (Some(reaped(false)), Some(143), EndCode::ReapedByRequest),
        (Some(reaped(true)), None, EndCode::Interrupted),
        (Some(helped), Some(143), EndCode::Interrupted),
        (None, None, EndCode::Interrupted),
        (None, Some(143), EndCode::Interrupted),
    ] {
        let mut member = member();
        member.reaping = reaping;
        member.spot_notice_at = Some(1);
        let around = around(report, OnComplete::Terminate);
        let after = observe(&member, &terminated(None), &around)
            .unwrap()
            .unwrap();
        assert_eq!(after.code, Some(code));
    }
}

#[test]
fn what_was_stopped_for_a_reason_and_ended_by_somebody_else_ends_of_that() {
    // Somebody asked for the stop; or for the end, while EC2 was still stopping it, or afterwards.
    let asked = |stops| crate::reap::Reaping {
        reason: crate::reap::ReapReason::Asked,
        note: Some("look".to_owned()),
        at: 0,
        stops,
    };
    for (stops, code) in [
        (true, EndCode::EndedOutside),
        (false, EndCode::ReapedByRequest),
    ] {
        let mut member = stopped_at_a_minute();
        member.reaping = Some(asked(stops));
        let ended = terminated(Some("Client.UserInitiatedShutdown"));
        let around = around(None, OnComplete::Terminate);
        let after = observe(&member, &ended, &around).unwrap().unwrap();
        assert_eq!(after.code, Some(code), "{stops}");
        let says_so = after.reason.unwrap().contains("(look)");
        assert_eq!(says_so, code == EndCode::ReapedByRequest);
    }
}

fn any_observation() -> impl Strategy<Value = Observation> {
    use InstanceState::{Pending, Running, ShuttingDown, Stopped, Stopping, Terminated};
    let states = prop::sample::select(vec![
        Pending,
        Running,
        Stopping,
        Stopped,
        ShuttingDown,
        Terminated,
    ]);
    prop_oneof![
        states
            .clone()
            .prop_map(|state| Observation::State(state, None)),
        states.clone().prop_map(Observation::Changed),
        Just(Observation::Gone),
        Just(Observation::SpotNotice),
        Just(Observation::Rebalance),
        Just(Observation::Reported),
        (0_u8..3).prop_map(|last| Observation::At(Addresses {
            private_ip: Some([10, 0, 0, last].into()),
            ..Addresses::default()
        })),
    ]
}

proptest! {
    /// Whatever is seen, in whatever order and however often: every move is allowed, an end is final, a freed slot stays
    /// free, and a second look at the same thing tells nothing new.
    #[test]
    fn members_only_move_forward(
        observations in prop::collection::vec(any_observation(), 0..20),
        report in prop::option::of(0_i64..3),
        on_complete in prop::sample::select(vec![OnComplete::Terminate, OnComplete::Stop, OnComplete::None]),
    ) {
        let around = around(report, on_complete);
        let mut member = member();
        for observation in observations {
            let Some(next) = observe(&member, &observation, &around).unwrap() else { continue };
            prop_assert!(next.state == member.state || member.state.may_become(next.state));
            prop_assert!(member.live || !next.live || member.state == MemberState::Stopped);
            prop_assert!(!(next.live && next.state == MemberState::Stopped));
            prop_assert_eq!(member.state.is_ended(), member.ended_at.is_some());
            prop_assert_eq!(member.state.is_ended(), member.code.is_some());
            prop_assert!(!member.state.is_ended() || member.exit_code == next.exit_code);
            prop_assert_eq!(observe(&next, &observation, &around).unwrap(), None);
            member = next;
        }
    }
}

const NOW: u64 = 10 * 60_000;

#[test]
fn whether_an_instance_has_a_public_address_is_known_once_it_has_run_for_a_while() {
    let at = |public: Option<&str>| {
        Observation::At(Addresses {
            private_ip: Some("10.0.0.1".parse().unwrap()),
            public_ip: public.map(|ip| ip.parse().unwrap()),
            ipv6: None,
        })
    };
    let running = |for_ms: u64| {
        let mut member = stopped_at_a_minute();
        member.state = MemberState::Running;
        member.paused_at = None;
        member.running_at = Some(NOW - for_ms);
        member
    };
    for (for_ms, public, known) in [
        (0, None, None),
        (59_999, None, None),
        (60_000, None, Some(false)),
        (0, Some("192.0.2.1"), Some(true)),
    ] {
        let around = Circumstances {
            now: NOW,
            ..around(None, OnComplete::Terminate)
        };
        let after = observe(&running(for_ms), &at(public), &around);
        let after = after.unwrap().unwrap();
        assert_eq!(after.spent[0].public_ip, known, "{for_ms} {public:?}");
    }
}
