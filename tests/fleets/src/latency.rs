//! How long after it was due an instance is ended.

use std::fmt;

use crate::fleet::Fleet;
use crate::{HOUR, MINUTE, build};

/// Seconds between what was due and what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Ends because of time, in ms, ascending.
    pub ttl: Vec<u64>,
    /// Ends because of idleness, in ms, ascending.
    pub idle: Vec<u64>,
    /// Instances that were not ended.
    pub left: usize,
}

fn percentile(values: &[u64], percent: usize) -> u64 {
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or(0)
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<6} {:>9} {:>8} {:>8} {:>8}",
            "ground", "instances", "p50 s", "p99 s", "max s"
        )?;
        for (name, values) in [("ttl", &self.ttl), ("idle", &self.idle)] {
            let seconds = |ms: u64| format!("{}.{}", ms / 1000, ms % 1000 / 100);
            writeln!(
                f,
                "{name:<6} {:>9} {:>8} {:>8} {:>8}",
                values.len(),
                seconds(percentile(values, 50)),
                seconds(percentile(values, 99)),
                seconds(values.last().copied().unwrap_or(0)),
            )?;
        }
        write!(f, "{} instances were not ended", self.left)
    }
}

const BEGIN: u64 = 1_000 * HOUR;
const IDLE_TIMEOUT_MS: u64 = 30 * MINUTE;

/// For so many that end, one stays at work: the breaker holds up ends that are a large part of what is left of a fleet.
const ENDS_FOR_EACH_THAT_STAYS: u32 = 10;

/// A fleet whose kill switches have all failed: half of `instances` come to their ttl within six hours, half fall idle, at times of
/// their own; others stay at work, so that the breaker has nothing to hold up. A pass begins every minute.
pub async fn run(instances: u32, seed: u64) -> Latency {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rows = Vec::new();
    let mut truths = Vec::new();
    let mut due = std::collections::BTreeMap::new();
    let all = instances + instances / ENDS_FOR_EACH_THAT_STAYS;
    let sweep = build::sweep(0, all);
    for number in instances..all {
        let (truth, member, row) = build::pair(&sweep, number, number, BEGIN - HOUR, 100 * HOUR);
        rows.extend([build::row(&member), build::row(&row)]);
        truths.push(truth);
    }
    for number in 0..instances {
        let falls_idle = number % 2 == 0;
        let at = random.u64(HOUR..6 * HOUR);
        let ttl = if falls_idle { 100 * HOUR } else { HOUR + at };
        let (mut truth, member, row) = build::pair(&sweep, number, number, BEGIN - HOUR, ttl);
        let id = truth.managed.instance.arn.instance_id.clone();
        if falls_idle {
            truth.idle_since = Some(BEGIN + at);
            due.insert(id, (true, BEGIN + at + IDLE_TIMEOUT_MS));
        } else {
            due.insert(id, (false, BEGIN + at));
        }
        rows.push(build::row(&member));
        rows.push(build::row(&row));
        truths.push(truth);
    }
    rows.push(build::row(&build::program(
        &sweep,
        Some(IDLE_TIMEOUT_MS / 1000),
    )));
    rows.push(build::row(&sweep));
    let fleet = Fleet::new(truths, rows, seed).await;
    let phase = random.u64(0..MINUTE);
    for minute in 0..8 * 60 {
        let now = BEGIN + minute * MINUTE + phase;
        words(&fleet, now, minute);
        if let Err(error) = fleet.pass(now).await {
            panic!("a pass failed: {error}");
        }
    }
    let mut latency = Latency::default();
    for truth in fleet.cloud.truths() {
        let Some((is_idle, due)) = due.get(&truth.managed.instance.arn.instance_id) else {
            continue;
        };
        match truth.ended_at {
            Some(at) if *is_idle => latency.idle.push(at.saturating_sub(*due)),
            Some(at) => latency.ttl.push(at.saturating_sub(*due)),
            None => latency.left += 1,
        }
    }
    latency.ttl.sort_unstable();
    latency.idle.sort_unstable();
    latency
}

/// Heartbeats every quarter of an hour, and each fall into idleness once its windows agree.
fn words(fleet: &Fleet, now: u64, minute: u64) {
    for (number, truth) in fleet.cloud.truths().iter().enumerate() {
        let beats = u64::try_from(number).unwrap_or(0) % 15 == minute % 15;
        let agreed = truth.idle_since.filter(|since| now >= since + 5 * MINUTE);
        match agreed {
            Some(since) if beats || now < since + 6 * MINUTE => {
                fleet.say(truth, "idle", since, now);
            }
            None if beats || minute == 0 => fleet.say(truth, "busy", BEGIN - HOUR, now),
            Some(_) | None => {}
        }
    }
}
