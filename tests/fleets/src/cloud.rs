//! EC2 and CloudWatch of a fleet: what is true of each instance, and what is shown of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawn_core::account::AccountId;
use spawn_core::ids::SweepId;
use spawn_core::ports::{
    CloudInstance, Ec2Error, EndInstances, HibernateInstances, InAccounts, InstanceState,
    ListInstances, ReadUsage, StopInstances, WatchInstances,
};
use spawn_core::reap::{ManagedInstance, Point, idle::PERIOD_MS};
use spawn_core::region::Region;

use crate::MINUTE;

/// Instances of one page of DescribeInstances.
const PAGE: usize = 1000;
/// Instances of one GetMetricData of 500 queries, six for each.
const ASKED: usize = 83;
/// Metrics that are billed for each instance: processors (two statistics are one metric), network and EBS in and out.
const METRICS: usize = 5;

/// What is true of an instance.
#[derive(Clone, Debug)]
pub struct Truth {
    /// What EC2 knows.
    pub managed: ManagedInstance,
    /// Since when it does nothing; `None`: it is at work.
    pub idle_since: Option<u64>,
    /// Whether its work is on a GPU, which CloudWatch does not show.
    pub on_gpu: bool,
    /// When it was ended or stopped, and its state before the call.
    pub ended_at: Option<u64>,
}

/// How the cloud misbehaves, in percent of calls or of instances.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Calls that show instances and fail, a page that was cut off among them.
    pub failed_lists: u8,
    /// Questions to CloudWatch that fail.
    pub failed_questions: u8,
    /// Ended instances that are still shown as running.
    pub stale: u8,
    /// Instances that are left out of a list.
    pub left_out: u8,
    /// Points of CloudWatch that are missing.
    pub missing_points: u8,
}

/// Calls so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// DescribeInstances and DescribeInstanceStatus.
    pub describes: u64,
    /// TerminateInstances, StopInstances, CreateTags.
    pub changes: u64,
    /// GetMetricData.
    pub questions: u64,
    /// Metrics that GetMetricData was asked for, as they are billed.
    pub metrics: u64,
}

#[derive(Debug)]
struct State {
    now: u64,
    instances: BTreeMap<String, Truth>,
    shown: Shown,
    calls: Calls,
    random: fastrand::Rng,
}

/// The cloud of a fleet.
#[derive(Clone, Debug)]
pub struct FleetCloud(Arc<Mutex<State>>);

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl FleetCloud {
    pub(crate) fn new(instances: Vec<Truth>, seed: u64) -> Self {
        let by_id = instances
            .into_iter()
            .map(|one| (one.managed.instance.arn.instance_id.clone(), one));
        Self(Arc::new(Mutex::new(State {
            now: 0,
            instances: by_id.collect(),
            shown: Shown::default(),
            calls: Calls::default(),
            random: fastrand::Rng::with_seed(seed),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time, in ms since 1970.
    pub fn set_now(&self, now: u64) {
        self.state().now = now;
    }

    /// From now on it misbehaves like this.
    pub fn misbehave(&self, shown: Shown) {
        self.state().shown = shown;
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    /// What is true of every instance.
    #[must_use]
    pub fn truths(&self) -> Vec<Truth> {
        self.state().instances.values().cloned().collect()
    }

    /// What is true of one.
    #[must_use]
    pub fn truths_of(&self, id: &str) -> Option<Truth> {
        self.state().instances.get(id).cloned()
    }
}

impl State {
    fn happens(&mut self, percent: u8) -> bool {
        percent > 0 && self.random.u8(0..100) < percent
    }

    fn list(&mut self, of: impl Fn(&Truth) -> bool) -> Result<Vec<ManagedInstance>, Ec2Error> {
        let shown = self.shown;
        let there: Vec<Truth> = self
            .instances
            .values()
            .filter(|one| of(one))
            .cloned()
            .collect();
        self.calls.describes += wide(there.len().div_ceil(PAGE).max(1));
        if self.happens(shown.failed_lists) {
            return Err(Ec2Error::Transient("a page was cut off".to_owned()));
        }
        let mut all = Vec::with_capacity(there.len());
        for truth in there {
            if self.happens(shown.left_out) {
                continue;
            }
            let mut managed = truth.managed;
            if managed.instance.state.is_ending() && self.happens(shown.stale) {
                managed.instance.state = InstanceState::Running;
            }
            all.push(managed);
        }
        Ok(all)
    }

    fn put(&mut self, ids: &[String], to: InstanceState) {
        self.calls.changes += wide(ids.len().div_ceil(100));
        let now = self.now;
        for id in ids {
            if let Some(truth) = self.instances.get_mut(id)
                && truth.managed.instance.state == InstanceState::Running
            {
                truth.managed.instance.state = to;
                truth.ended_at = Some(now);
            }
        }
    }

    fn points(&mut self, id: &str, from: u64, to: u64) -> Vec<Point> {
        let missing = self.shown.missing_points;
        let Some(truth) = self.instances.get(id).cloned() else {
            return Vec::new();
        };
        let launched_at = truth.managed.instance.launched_at;
        let mut points = Vec::new();
        for period in from.div_ceil(PERIOD_MS)..to.div_ceil(PERIOD_MS) {
            let at = period * PERIOD_MS;
            if at < launched_at || self.happens(missing) {
                continue;
            }
            let is_idle = truth.idle_since.is_some_and(|since| at >= since);
            let works = !is_idle && !truth.on_gpu;
            points.push(Point {
                at,
                cpu_average_millipercent: Some(if works { 62_000 } else { 900 }),
                cpu_maximum_millipercent: Some(if works { 99_000 } else { 1_500 }),
                network_bytes_per_s: Some(800),
                disk_bytes_per_s: Some(900),
            });
        }
        points
    }
}

impl InAccounts for FleetCloud {
    fn of(&self, _: Option<AccountId>) -> Self {
        self.clone()
    }
}

impl ListInstances for FleetCloud {
    async fn list(&self, _: &Region, sweep: &SweepId) -> Result<Vec<CloudInstance>, Ec2Error> {
        let of = |one: &Truth| one.managed.tag("spawn:sweep-id") == Some(sweep.as_str());
        let all = self.state().list(of)?;
        Ok(all.into_iter().map(|one| one.instance).collect())
    }
}

impl WatchInstances for FleetCloud {
    async fn managed(&self, _: &Region) -> Result<Vec<ManagedInstance>, Ec2Error> {
        self.state().list(|_| true)
    }

    async fn shown(&self, _: &Region, ids: &[String]) -> Result<Vec<ManagedInstance>, Ec2Error> {
        let ids: std::collections::BTreeSet<&String> = ids.iter().collect();
        self.state()
            .list(|one| ids.contains(&one.managed.instance.arn.instance_id))
    }

    /// No instance of a fleet is impaired: a call that is counted.
    async fn impaired(&self, _: &Region) -> Result<BTreeMap<String, u64>, Ec2Error> {
        self.state().calls.describes += 2;
        Ok(BTreeMap::new())
    }

    async fn mark(
        &self,
        _: &Region,
        ids: &[String],
        tag: &str,
        value: &str,
    ) -> Result<(), Ec2Error> {
        let mut state = self.state();
        state.calls.changes += 1;
        for id in ids {
            if let Some(truth) = state.instances.get_mut(id) {
                let tags = &mut truth.managed.tags;
                tags.insert(tag.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

impl EndInstances for FleetCloud {
    async fn terminate(&self, _: &Region, ids: &[String]) -> Result<(), Ec2Error> {
        self.state().put(ids, InstanceState::Terminated);
        Ok(())
    }

    async fn delete_template(&self, _: &Region, _: &str) -> Result<(), Ec2Error> {
        Ok(())
    }

    async fn delete_placement_group(&self, _: &Region, _: &str) -> Result<(), Ec2Error> {
        Ok(())
    }
}

impl StopInstances for FleetCloud {
    async fn stop(&self, _: &Region, ids: &[String]) -> Result<(), Ec2Error> {
        self.state().put(ids, InstanceState::Stopped);
        Ok(())
    }
}

impl HibernateInstances for FleetCloud {
    async fn hibernate(&self, _: &Region, ids: &[String]) -> Result<(), Ec2Error> {
        self.state().put(ids, InstanceState::Stopped);
        Ok(())
    }
}

impl ReadUsage for FleetCloud {
    async fn usage(
        &self,
        _: &Region,
        ids: &[String],
        from: u64,
        to: u64,
    ) -> Result<BTreeMap<String, Vec<Point>>, Ec2Error> {
        let mut state = self.state();
        state.calls.questions += wide(ids.len().div_ceil(ASKED));
        state.calls.metrics += wide(ids.len() * METRICS);
        let failed = state.shown.failed_questions;
        if state.happens(failed) {
            return Err(Ec2Error::Transient("CloudWatch does not answer".to_owned()));
        }
        let mut usage = BTreeMap::new();
        for id in ids {
            let points = state.points(id, from.saturating_sub(MINUTE), to);
            usage.insert(id.clone(), points);
        }
        Ok(usage)
    }
}
