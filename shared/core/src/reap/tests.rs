//! The table of decisions.

use std::collections::BTreeMap;

use super::*;
use crate::clock;
use crate::ids::{InstanceArn, Market, SweepId};
use crate::ports::{CloudInstance, InstanceState};
use crate::rows::{InstanceRow, MemberRow, OnComplete, ProgramRow};
use crate::state::{MemberState, SweepStatus};

const MINUTE: u64 = 60 * 1000;
const NOW: u64 = 10_000 * MINUTE;

fn arn() -> InstanceArn {
    let text = "arn:aws:ec2:us-east-1:000000000000:instance/i-1";
    text.parse().unwrap()
}

/// A member at work: launched an hour ago, heard of a minute ago, idle timeout 30 minutes, ttl in two hours.
fn at_work() -> Subject {
    let mut row = InstanceRow::assigned(arn(), SweepId::from("s"), 0, String::new(), None);
    row.report_heartbeat_at = Some(NOW - MINUTE);
    row.report_activity = Some("busy".to_owned());
    row.report_activity_since = Some(NOW - 50 * MINUTE);
    let member = MemberRow {
        state: MemberState::Running,
        live: true,
        instance: Some(arn()),
        ttl_deadline: Some(NOW + 120 * MINUTE),
        ..MemberRow::planned(
            SweepId::from("s"),
            1,
            0,
            "us-east-1.on-demand".parse().unwrap(),
        )
    };
    let program = ProgramRow {
        sweep_id: SweepId::from("s"),
        program: 0,
        user_data: None,
        command: None,
        ttl_s: Some(3 * 3600),
        idle_timeout_s: Some(30 * 60),
        hibernate_on_idle: false,
        idle: IdleRules::default(),
        on_complete: OnComplete::Terminate,
        completion_file: None,
        completion_delay_s: 0,
        inputs: Vec::new(),
        result_file: String::new(),
        on_interruption: None,
    };
    Subject {
        cloud: ManagedInstance {
            instance: CloudInstance {
                arn: arn(),
                state: InstanceState::Running,
                instance_type: "c5.large".to_owned(),
                market: Market::OnDemand,
                availability_zone: "us-east-1a".to_owned(),
                launched_at: NOW - 60 * MINUTE,
                addresses: crate::rows::Addresses::default(),
                state_reason: None,
                seen_at: 1,
            },
            tags: BTreeMap::new(),
            can_hibernate: false,
        },
        impaired_since: None,
        sweep: Some(SweepFacts {
            status: SweepStatus::Running,
            drained_as: None,
        }),
        record: Record::Known(Box::new(Known {
            row,
            member: Some(member),
            program: Some(program),
        })),
        usage: Usage::NotAsked,
    }
}

fn with(change: impl FnOnce(&mut Subject, &mut Known)) -> Subject {
    let mut subject = at_work();
    if let Record::Known(known) = subject.record.clone() {
        let mut known = *known;
        change(&mut subject, &mut known);
        if let Record::Known(_) = subject.record {
            subject.record = Record::Known(Box::new(known));
        }
    }
    subject
}

fn member(known: &mut Known) -> &mut MemberRow {
    known.member.as_mut().unwrap()
}

fn program(known: &mut Known) -> &mut ProgramRow {
    known.program.as_mut().unwrap()
}

fn idle_since(known: &mut Known, minutes: u64) {
    known.row.report_activity = Some("idle".to_owned());
    known.row.report_activity_since = Some(NOW - minutes * MINUTE);
}

fn decided(subject: &Subject) -> Decision {
    match decide(subject, NOW) {
        Verdict::Decided(decision) => decision,
        Verdict::AskCloudWatch(from) => panic!("asks CloudWatch since {from}"),
    }
}

fn answer(subject: &Subject) -> (Action, &'static str) {
    let decision = decided(subject);
    (decision.action, decision.reason.as_str())
}

fn quiet() -> Usage {
    let points = (1..=12).map(|ago| Point {
        at: NOW - ago * idle::PERIOD_MS,
        cpu_average_millipercent: Some(100),
        cpu_maximum_millipercent: Some(200),
        network_bytes_per_s: Some(10),
        disk_bytes_per_s: Some(10),
    });
    Usage::Points(points.collect())
}

fn working() -> Usage {
    let Usage::Points(mut points) = quiet() else {
        unreachable!("quiet() has points")
    };
    points[2].cpu_average_millipercent = Some(95_000);
    Usage::Points(points)
}

#[test]
fn every_ground_has_its_decision() {
    use Action::{Adopt, Hibernate, Keep, Stop, Terminate, Warn};
    let marked = |minutes: u64| clock::format_iso(NOW - minutes * MINUTE);
    let tag = |subject: &mut Subject, name: &str, value: &str| {
        subject.cloud.tags.insert(name.to_owned(), value.to_owned());
    };
    let drained = |subject: &mut Subject, status| {
        subject.sweep = Some(SweepFacts {
            status: SweepStatus::Draining,
            drained_as: Some(status),
        });
    };
    let table: Vec<(&str, Subject, Action, &str)> = vec![
        ("at work", at_work(), Keep, "at_work"),
        (
            "its time is over",
            with(|_, k| member(k).ttl_deadline = Some(NOW)),
            Terminate,
            "ttl",
        ),
        (
            "its time is nearly over",
            with(|_, k| member(k).ttl_deadline = Some(NOW + MINUTE)),
            Warn,
            "ttl",
        ),
        (
            "its time stands still",
            with(|_, k| {
                member(k).ttl_deadline = Some(NOW - MINUTE);
                member(k).paused_at = Some(NOW - 2 * MINUTE);
            }),
            Keep,
            "at_work",
        ),
        (
            "stopped",
            with(|s, _| s.cloud.instance.state = InstanceState::Stopped),
            Keep,
            "stopped",
        ),
        (
            "shutting down",
            with(|s, _| s.cloud.instance.state = InstanceState::ShuttingDown),
            Keep,
            "ending",
        ),
        (
            "idle, and may be",
            with(|_, k| idle_since(k, 5)),
            Keep,
            "idle_yet",
        ),
        (
            "idle for nearly too long",
            with(|_, k| idle_since(k, 26)),
            Warn,
            "idle",
        ),
        (
            "idle for too long",
            with(|s, k| {
                idle_since(k, 30);
                s.usage = quiet();
            }),
            Terminate,
            "idle",
        ),
        (
            "idle, with CloudWatch empty",
            with(|s, k| {
                idle_since(k, 30);
                s.usage = Usage::Points(Vec::new());
            }),
            Terminate,
            "idle",
        ),
        (
            "idle by its own word only",
            with(|s, k| {
                idle_since(k, 30);
                s.usage = working();
            }),
            Keep,
            "activity_unknown",
        ),
        (
            "idle, and CloudWatch out of reach",
            with(|s, k| {
                idle_since(k, 30);
                s.usage = Usage::NoAnswer;
            }),
            Keep,
            "activity_unknown",
        ),
        (
            "idle, to hibernate",
            with(|s, k| {
                idle_since(k, 30);
                program(k).hibernate_on_idle = true;
                s.cloud.can_hibernate = true;
                s.usage = quiet();
            }),
            Hibernate,
            "idle",
        ),
        (
            "idle, to hibernate, without the option",
            with(|s, k| {
                idle_since(k, 30);
                program(k).hibernate_on_idle = true;
                s.usage = quiet();
            }),
            Stop,
            "idle",
        ),
        (
            "idle, to hibernate, one-time spot",
            with(|s, k| {
                idle_since(k, 30);
                program(k).hibernate_on_idle = true;
                s.cloud.can_hibernate = true;
                s.cloud.instance.market = Market::Spot;
                s.usage = quiet();
            }),
            Terminate,
            "idle",
        ),
        (
            "no limit to idleness",
            with(|_, k| {
                idle_since(k, 50);
                program(k).idle_timeout_s = None;
            }),
            Keep,
            "at_work",
        ),
        (
            "a signal that cannot be read",
            with(|_, k| k.row.report_activity = Some("unknown".to_owned())),
            Keep,
            "activity_unknown",
        ),
        (
            "silent, CloudWatch shows work",
            with(|s, k| {
                k.row.report_heartbeat_at = Some(NOW - 59 * MINUTE);
                s.usage = working();
            }),
            Keep,
            "at_work",
        ),
        (
            "silent and quiet",
            with(|s, k| {
                k.row.report_heartbeat_at = Some(NOW - 59 * MINUTE);
                s.usage = quiet();
            }),
            Terminate,
            "idle",
        ),
        (
            "silent, and CloudWatch shows nothing",
            with(|s, k| {
                k.row.report_heartbeat_at = Some(NOW - 59 * MINUTE);
                s.usage = Usage::Points(Vec::new());
            }),
            Keep,
            "activity_unknown",
        ),
        (
            "silent and quiet, with a GPU",
            with(|s, k| {
                k.row.report_heartbeat_at = Some(NOW - 59 * MINUTE);
                s.cloud.instance.instance_type = "g5.xlarge".to_owned();
                s.usage = quiet();
            }),
            Keep,
            "activity_unknown",
        ),
        (
            "never heard of, still booting",
            with(|s, k| {
                k.row.report_heartbeat_at = None;
                s.cloud.instance.launched_at = NOW - MINUTE;
            }),
            Keep,
            "grace",
        ),
        (
            "never heard of",
            with(|s, k| {
                k.row.report_heartbeat_at = None;
                s.usage = Usage::Points(Vec::new());
            }),
            Terminate,
            "boot_failed",
        ),
        (
            "never heard of, and not long ago",
            with(|s, k| {
                k.row.report_heartbeat_at = None;
                s.cloud.instance.launched_at = NOW - 59 * MINUTE;
                s.usage = Usage::Points(Vec::new());
            }),
            Keep,
            "activity_unknown",
        ),
        (
            "never heard of, but at work",
            with(|s, k| {
                k.row.report_heartbeat_at = None;
                s.usage = working();
            }),
            Keep,
            "activity_unknown",
        ),
        (
            "complete, on its way out",
            with(|_, k| reported(k, 30 * 1000)),
            Keep,
            "grace",
        ),
        (
            "complete",
            with(|_, k| reported(k, MINUTE)),
            Terminate,
            "completed",
        ),
        (
            "complete, to be stopped",
            with(|_, k| {
                reported(k, MINUTE);
                program(k).on_complete = OnComplete::Stop;
            }),
            Stop,
            "completed",
        ),
        (
            "complete, to be hibernated",
            with(|s, k| {
                reported(k, MINUTE);
                program(k).on_complete = OnComplete::Hibernate;
                s.cloud.can_hibernate = true;
            }),
            Hibernate,
            "completed",
        ),
        (
            "complete, to be left as it is",
            with(|_, k| {
                reported(k, MINUTE);
                program(k).on_complete = OnComplete::None;
                member(k).state = MemberState::Completed;
            }),
            Keep,
            "at_work",
        ),
        (
            "ended in the ledger just now",
            with(|_, k| {
                member(k).state = MemberState::Reaped;
                member(k).ended_at = Some(NOW - MINUTE);
            }),
            Keep,
            "grace",
        ),
        (
            "ended in the ledger",
            with(|_, k| {
                member(k).state = MemberState::Reaped;
                member(k).ended_at = Some(NOW - 2 * MINUTE);
            }),
            Terminate,
            "zombie",
        ),
        (
            "replaced",
            with(|_, k| member(k).instance = None),
            Warn,
            "zombie",
        ),
        (
            "replaced and marked",
            with(|s, k| {
                member(k).instance = None;
                tag(s, ZOMBIE_TAG, &marked(2));
            }),
            Terminate,
            "zombie",
        ),
        (
            "a member without a row",
            with(|_, k| k.member = None),
            Keep,
            "activity_unknown",
        ),
        (
            "draining",
            with(|s, _| drained(s, SweepStatus::Cancelled)),
            Terminate,
            "draining",
        ),
        (
            "over budget",
            with(|s, _| drained(s, SweepStatus::OverBudget)),
            Terminate,
            "over_budget",
        ),
        (
            "draining, and kept alive",
            with(|s, _| {
                drained(s, SweepStatus::Cancelled);
                tag(s, KEEP_ALIVE_TAG, &clock::format_iso(NOW + MINUTE));
            }),
            Terminate,
            "draining",
        ),
        (
            "draining, and protected",
            with(|s, _| {
                drained(s, SweepStatus::Cancelled);
                tag(s, PROTECT_TAG, "");
            }),
            Keep,
            "protected",
        ),
        (
            "protected by `false`",
            with(|s, k| {
                member(k).ttl_deadline = Some(NOW);
                tag(s, PROTECT_TAG, "False");
            }),
            Terminate,
            "ttl",
        ),
        (
            "kept alive",
            with(|s, k| {
                member(k).ttl_deadline = Some(NOW + 1);
                tag(s, KEEP_ALIVE_TAG, &clock::format_iso(NOW + 1));
            }),
            Keep,
            "kept_alive",
        ),
        (
            "kept alive for longer than a budget has room for",
            with(|s, k| {
                member(k).ttl_deadline = Some(NOW);
                tag(s, KEEP_ALIVE_TAG, &clock::format_iso(NOW + 1));
            }),
            Terminate,
            "ttl",
        ),
        (
            "kept alive until now",
            with(|s, k| {
                member(k).ttl_deadline = Some(NOW);
                tag(s, KEEP_ALIVE_TAG, &clock::format_iso(NOW));
            }),
            Terminate,
            "ttl",
        ),
        (
            "kept alive until nobody knows when",
            with(|s, k| {
                member(k).ttl_deadline = Some(NOW);
                tag(s, KEEP_ALIVE_TAG, "tonight");
            }),
            Keep,
            "kept_alive",
        ),
        (
            "launching",
            with(|s, _| s.record = Record::Missing(Claim::Launching)),
            Keep,
            "launching",
        ),
        (
            "a member's, not recorded",
            with(|s, _| s.record = Record::Missing(Claim::Member)),
            Adopt,
            "not_recorded",
        ),
        (
            "a member's, its row lost",
            with(|s, _| s.record = Record::Missing(Claim::RowLost)),
            Keep,
            "activity_unknown",
        ),
        (
            "nobody's, unmarked",
            with(|s, _| s.record = Record::Missing(Claim::Nobody)),
            Warn,
            "orphan",
        ),
        (
            "nobody's, just marked",
            with(|s, _| {
                s.record = Record::Missing(Claim::Nobody);
                tag(s, ORPHAN_TAG, &marked(1));
            }),
            Keep,
            "grace",
        ),
        (
            "nobody's, marked long ago",
            with(|s, _| {
                s.record = Record::Missing(Claim::Nobody);
                tag(s, ORPHAN_TAG, &marked(2));
            }),
            Terminate,
            "orphan",
        ),
        (
            "nobody's, marked in the future",
            with(|s, _| {
                s.record = Record::Missing(Claim::Nobody);
                tag(s, ORPHAN_TAG, &clock::format_iso(NOW + MINUTE));
            }),
            Warn,
            "orphan",
        ),
    ];
    for (case, subject, action, reason) in table {
        assert_eq!(answer(&subject), (action, reason), "{case}");
    }
}

fn reported(known: &mut Known, ms_ago: u64) {
    known.row.report_exit_code = Some(0);
    known.row.report_at = Some(NOW - ms_ago);
}

#[test]
fn cloudwatch_is_asked_only_when_its_answer_matters() {
    let silent = with(|_, k| k.row.report_heartbeat_at = Some(NOW - 59 * MINUTE));
    assert_eq!(
        decide(&silent, NOW),
        Verdict::AskCloudWatch(NOW - 30 * MINUTE)
    );
    let idle = with(|_, k| idle_since(k, 31));
    assert_eq!(
        decide(&idle, NOW),
        Verdict::AskCloudWatch(NOW - 31 * MINUTE)
    );
    let unheard = with(|_, k| k.row.report_heartbeat_at = None);
    assert!(matches!(decide(&unheard, NOW), Verdict::AskCloudWatch(_)));
}

#[test]
fn one_seen_busy_is_looked_at_again_when_it_could_be_idle_for_too_long() {
    let decision = decided(&at_work());
    // In the five minutes before it said so its windows may have been idle, without agreeing yet.
    assert_eq!(decision.next_look, NOW - MINUTE - 5 * MINUTE + 30 * MINUTE);
    // Nothing comes later than the warning before the end of its time.
    let ending = with(|_, k| member(k).ttl_deadline = Some(NOW + 20 * MINUTE));
    assert_eq!(decided(&ending).next_look, NOW + 15 * MINUTE);
}

#[test]
fn why_it_is_not_hibernated_is_told() {
    let spot = with(|s, k| {
        idle_since(k, 30);
        program(k).hibernate_on_idle = true;
        s.cloud.instance.market = Market::Spot;
        s.usage = quiet();
    });
    let note = decided(&spot).note.unwrap();
    assert!(note.contains("one-time spot"), "{note}");
}

#[test]
fn nothing_is_idle_before_its_grace_after_boot_is_over() {
    let fresh = with(|s, k| {
        idle_since(k, 31);
        program(k).idle.grace_s = 3600;
        s.cloud.instance.launched_at = NOW - 40 * MINUTE;
    });
    assert_eq!(answer(&fresh), (Action::Keep, "idle_yet"));
}

/// At work an hour long, impaired since so many minutes, heard of so many minutes ago.
fn impaired(since: u64, heard: u64, usage: Usage) -> Subject {
    with(|subject, known| {
        subject.impaired_since = Some(NOW - since * MINUTE);
        known.row.report_heartbeat_at = Some(NOW - heard * MINUTE);
        program(known).idle_timeout_s = None;
        subject.usage = usage;
    })
}

#[test]
fn an_impaired_instance_ends_when_neither_it_nor_cloudwatch_shows_that_it_works() {
    let ended = decided(&impaired(20, 21, Usage::Points(Vec::new())));
    assert_eq!(
        (ended.action, ended.reason),
        (Action::Terminate, Reason::Reap(ReapReason::Impaired))
    );
    let asks = decide(&impaired(20, 21, Usage::NotAsked), NOW);
    assert_eq!(asks, Verdict::AskCloudWatch(NOW - 20 * MINUTE));
    let waits = decided(&impaired(19, 21, Usage::NotAsked));
    assert_eq!(
        (waits.reason, waits.next_look),
        (Reason::Grace, NOW + MINUTE)
    );
    // Heard of since, so that its network works; or CloudWatch says nothing.
    assert_eq!(
        decided(&impaired(20, 19, Usage::NotAsked)).reason,
        Reason::AtWork
    );
    let silent = decided(&impaired(20, 21, Usage::NoAnswer));
    assert_eq!(
        (silent.action, silent.reason),
        (Action::Keep, Reason::ActivityUnknown)
    );
}
