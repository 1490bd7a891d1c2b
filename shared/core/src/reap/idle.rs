//! Whether an instance is at work, as it says itself or as CloudWatch shows it.
//!
//! Nothing here guesses: a reading that is missing makes the answer `Unknown`, and what is unknown is never reaped as idle.

use serde::{Deserialize, Serialize};

use crate::rows::InstanceRow;

/// What counts as idle, per sweep (the document's `idle`). A threshold of `None` means that the signal is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdleRules {
    /// At most so much of all processors, in percent.
    pub cpu_percent: Option<u64>,
    /// At most so much in and out over the network, in KiB per second.
    pub network_kib_per_s: Option<u64>,
    /// At most so much read from and written to disks, in KiB per second.
    pub disk_kib_per_s: Option<u64>,
    /// At most so much of the busiest GPU, in percent.
    pub gpu_percent: Option<u64>,
    /// At most so many users logged in.
    pub users: Option<u64>,
    /// Seconds of one window, over which differences are taken.
    pub window_s: u64,
    /// How many windows are looked back at.
    pub windows: u64,
    /// How many of them must be idle.
    pub agree: u64,
    /// Seconds after boot in which nothing is idle.
    pub grace_s: u64,
}

impl Default for IdleRules {
    /// The documented defaults: above what a booted machine does by itself (time, logs, agents), and below any work.
    fn default() -> Self {
        Self {
            cpu_percent: Some(5),
            network_kib_per_s: Some(10),
            disk_kib_per_s: Some(20),
            gpu_percent: Some(5),
            users: Some(0),
            window_s: 60,
            windows: 5,
            agree: 4,
            grace_s: 300,
        }
    }
}

/// Whether an instance is at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It was at work at this time, in ms since 1970.
    Busy(u64),
    /// It has done nothing since then, in ms since 1970.
    Idle(u64),
    /// It cannot be told, for this reason.
    Unknown(&'static str),
    /// It has not been heard of for too long.
    Silent,
}

/// The boot runner is heard of at least so often: ms between two heartbeats.
pub const HEARTBEAT_MS: u64 = 15 * 60 * 1000;

/// One that is not heard of for so long is silent: two heartbeats may be lost.
pub const SILENT_AFTER_MS: u64 = 3 * HEARTBEAT_MS;

/// A word from the future by more than this comes from a clock that cannot be trusted.
const CLOCK_AHEAD_MS_MAX: u64 = 2 * 60 * 1000;

/// What an instance says of itself.
#[must_use]
pub fn said(row: &InstanceRow, now: u64) -> Activity {
    let Some(heard_at) = row.report_heartbeat_at else {
        return Activity::Silent;
    };
    if heard_at > now + CLOCK_AHEAD_MS_MAX {
        return Activity::Unknown("its clock is ahead");
    }
    if heard_at + SILENT_AFTER_MS < now {
        return Activity::Silent;
    }
    match row.report_activity.as_deref() {
        Some("busy") => Activity::Busy(heard_at.min(now)),
        Some("idle") => match row.report_activity_since {
            Some(since) if since <= heard_at => Activity::Idle(since.min(now)),
            _ => Activity::Unknown("its times do not fit together"),
        },
        Some(_) => Activity::Unknown("it cannot read all signals"),
        None => Activity::Unknown("it has not measured yet"),
    }
}

/// One period of CloudWatch's metrics of an instance; `None` where there is no point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// When the period began, in ms since 1970.
    pub at: u64,
    /// CPUUtilization, average, in thousandths of a percent.
    pub cpu_average_millipercent: Option<u64>,
    /// CPUUtilization, maximum, in thousandths of a percent.
    pub cpu_maximum_millipercent: Option<u64>,
    /// NetworkIn and NetworkOut together.
    pub network_bytes_per_s: Option<u64>,
    /// EBSReadBytes and EBSWriteBytes together.
    pub disk_bytes_per_s: Option<u64>,
}

/// The period of EC2's basic monitoring, in ms (Amazon EC2 User Guide, "CloudWatch metrics for your instances").
pub const PERIOD_MS: u64 = 5 * 60 * 1000;

/// What CloudWatch shows of an instance from `from` until now. The newest point still moves and does not count.
#[must_use]
pub fn shown(
    points: &[Point],
    rules: &IdleRules,
    from: u64,
    now: u64,
    has_accelerator: bool,
) -> Activity {
    let settled = settled(points);
    let busy = settled
        .iter()
        .filter(|point| is_busy(point, rules))
        .map(|point| point.at + PERIOD_MS)
        .max();
    if let Some(at) = busy {
        return Activity::Busy(at.min(now));
    }
    if has_accelerator && rules.gpu_percent.is_some() {
        return Activity::Unknown("CloudWatch does not show its GPU");
    }
    // Of the span, the first and the newest period may be missing or incomplete.
    let wanted = (now.saturating_sub(from) / PERIOD_MS)
        .saturating_sub(2)
        .max(1);
    if u64::try_from(settled.len()).unwrap_or(u64::MAX) < wanted {
        return Activity::Unknown("CloudWatch has too few points");
    }
    if settled.iter().any(|point| !is_complete(point, rules)) {
        return Activity::Unknown("CloudWatch does not show all signals");
    }
    Activity::Idle(from)
}

/// Whether CloudWatch contradicts an instance that says it is idle: far more than idleness allows, in any settled period.
#[must_use]
pub fn contradicts(points: &[Point], rules: &IdleRules) -> bool {
    // The machine's own measure is finer; only what no measure could call idle counts against it.
    let lenient = IdleRules {
        cpu_percent: rules.cpu_percent.map(|percent| percent * 2 + 10),
        network_kib_per_s: rules.network_kib_per_s.map(|rate| rate * 10 + 100),
        disk_kib_per_s: rules.disk_kib_per_s.map(|rate| rate * 10 + 1_000),
        ..rules.clone()
    };
    settled(points).iter().any(|point| is_busy(point, &lenient))
}

fn settled(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by_key(|point| point.at);
    points.pop();
    points
}

fn is_busy(point: &Point, rules: &IdleRules) -> bool {
    let above = |value: Option<u64>, limit: Option<u64>, scale: u64| match (value, limit) {
        (Some(value), Some(limit)) => value > limit.saturating_mul(scale),
        _ => false,
    };
    above(point.cpu_average_millipercent, rules.cpu_percent, 1000)
        || above(point.cpu_maximum_millipercent, rules.cpu_percent, 1000)
        || above(point.network_bytes_per_s, rules.network_kib_per_s, 1024)
        || above(point.disk_bytes_per_s, rules.disk_kib_per_s, 1024)
}

fn is_complete(point: &Point, rules: &IdleRules) -> bool {
    let there = |value: Option<u64>, limit: Option<u64>| limit.is_none() || value.is_some();
    there(point.cpu_average_millipercent, rules.cpu_percent)
        && there(point.cpu_maximum_millipercent, rules.cpu_percent)
        && there(point.network_bytes_per_s, rules.network_kib_per_s)
        && there(point.disk_bytes_per_s, rules.disk_kib_per_s)
}

/// Whether an instance type has processors that CPU metrics do not show: GPUs, Trainium, Inferentia, FPGAs, and the like
/// (Amazon EC2 Instance Types guide, "Accelerated computing").
#[must_use]
pub fn has_accelerator(instance_type: &str) -> bool {
    const FAMILIES: [&str; 9] = ["p", "g", "gr", "dl", "trn", "inf", "vt", "f", "u-dl"];
    let family: String = instance_type
        .chars()
        .take_while(|c| !c.is_ascii_digit())
        .collect();
    FAMILIES.contains(&family.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 100 * PERIOD_MS;

    fn row(activity: Option<&str>, heard_at: Option<u64>, since: Option<u64>) -> InstanceRow {
        let arn = "arn:aws:ec2:us-east-1:000000000000:instance/i-1";
        let mut row =
            InstanceRow::assigned(arn.parse().unwrap(), "s".into(), 0, String::new(), None);
        row.report_activity = activity.map(str::to_owned);
        row.report_heartbeat_at = heard_at;
        row.report_activity_since = since;
        row
    }

    #[test]
    fn only_a_fresh_and_consistent_word_of_idleness_counts() {
        for (row, expected) in [
            (row(None, None, None), Activity::Silent),
            (
                row(Some("busy"), Some(NOW - 5), None),
                Activity::Busy(NOW - 5),
            ),
            (
                row(Some("idle"), Some(NOW - 5), Some(NOW - 9)),
                Activity::Idle(NOW - 9),
            ),
            (
                row(Some("idle"), Some(NOW - 5), None),
                Activity::Unknown("its times do not fit together"),
            ),
            (
                row(Some("idle"), Some(NOW - 9), Some(NOW - 5)),
                Activity::Unknown("its times do not fit together"),
            ),
            (
                row(Some("unknown"), Some(NOW), Some(NOW)),
                Activity::Unknown("it cannot read all signals"),
            ),
            (
                row(Some("idle"), Some(NOW + HEARTBEAT_MS), Some(0)),
                Activity::Unknown("its clock is ahead"),
            ),
            (
                row(Some("idle"), Some(NOW - SILENT_AFTER_MS - 1), Some(0)),
                Activity::Silent,
            ),
        ] {
            assert_eq!(said(&row, NOW), expected, "{row:?}");
        }
    }

    fn point(periods_ago: u64, cpu: u64) -> Point {
        Point {
            at: NOW - periods_ago * PERIOD_MS,
            cpu_average_millipercent: Some(cpu),
            cpu_maximum_millipercent: Some(cpu),
            network_bytes_per_s: Some(0),
            disk_bytes_per_s: Some(0),
        }
    }

    fn seen(points: &[Point]) -> Activity {
        let from = NOW - 6 * PERIOD_MS;
        shown(points, &IdleRules::default(), from, NOW, false)
    }

    #[test]
    fn cloudwatch_must_show_every_signal_of_the_whole_span() {
        let quiet: Vec<Point> = (1..=6).map(|ago| point(ago, 100)).collect();
        assert_eq!(seen(&quiet), Activity::Idle(NOW - 6 * PERIOD_MS));
        assert!(matches!(seen(&quiet[..3]), Activity::Unknown(_)));
        assert!(matches!(seen(&[]), Activity::Unknown(_)));
        let mut gap = quiet.clone();
        gap[3].disk_bytes_per_s = None;
        assert!(matches!(seen(&gap), Activity::Unknown(_)));
        let mut worked = quiet.clone();
        worked[3].cpu_maximum_millipercent = Some(90_000);
        assert_eq!(seen(&worked), Activity::Busy(NOW - 3 * PERIOD_MS));
        // The newest point still moves, up or down.
        let mut newest = quiet;
        newest[0].cpu_average_millipercent = Some(90_000);
        assert_eq!(seen(&newest), Activity::Idle(NOW - 6 * PERIOD_MS));
    }

    #[test]
    fn a_gpu_that_nobody_reads_is_unknown_not_idle() {
        let quiet: Vec<Point> = (1..=6).map(|ago| point(ago, 100)).collect();
        let from = NOW - 6 * PERIOD_MS;
        let rules = IdleRules::default();
        assert!(matches!(
            shown(&quiet, &rules, from, NOW, true),
            Activity::Unknown(_)
        ));
        let without = IdleRules {
            gpu_percent: None,
            ..rules
        };
        assert_eq!(
            shown(&quiet, &without, from, NOW, true),
            Activity::Idle(from)
        );
    }

    #[test]
    fn types_with_accelerators_are_known_by_their_family() {
        for name in [
            "p3.2xlarge",
            "g4dn.xlarge",
            "gr6.4xlarge",
            "inf2.xlarge",
            "trn1.2xlarge",
            "dl1.24xlarge",
        ] {
            assert!(has_accelerator(name), "{name}");
        }
        for name in [
            "t3.micro",
            "c5.large",
            "m7g.large",
            "hpc7a.96xlarge",
            "im4gn.large",
            "x2gd.large",
        ] {
            assert!(!has_accelerator(name), "{name}");
        }
    }
}
