//! Metrics of the functions: their names, units and dimensions, and the form in which they are logged.
//!
//! Functions do not call CloudWatch: they log a line in the embedded metric format, of which CloudWatch Logs makes metrics
//! (Amazon CloudWatch User Guide, "Specification: Embedded metric format"). That costs no call and cannot fail the function.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The namespace of every metric.
pub const NAMESPACE: &str = "spawn";

/// Metrics in one line of the embedded metric format.
const METRICS_MAX: usize = 100;
/// Values of one metric in one line.
const VALUES_MAX: usize = 100;

/// What a metric's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A span of time in ms.
    Milliseconds,
    /// A share of a hundred.
    Percent,
    /// An amount in micro-dollars, published in US dollars: CloudWatch knows no unit of money.
    Dollars,
}

impl Unit {
    /// CloudWatch's name of the unit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Percent => "Percent",
            Self::Dollars => "None",
        }
    }

    /// The number that is published for `value`.
    #[must_use]
    pub fn publish(self, value: i64) -> Value {
        match self {
            Self::Count | Self::Milliseconds | Self::Percent => Value::from(value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "exact up to nine thousand million dollars"
            )]
            Self::Dollars => Value::from(value as f64 / 1e6),
        }
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $unit:ident;)*) => {
        /// Everything that functions measure. A new one is added here and nowhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in CloudWatch.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What its numbers are.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self {
                    $(Self::$variant => Unit::$unit,)*
                }
            }
        }
    };
}

metrics! {
    /// Instances that exist, or are about to.
    ActiveInstances => "active_instances", Count;
    /// Members that completed since the last time.
    CompletedInstances => "completed_instances", Count;
    /// Members that failed since the last time.
    FailedInstances => "failed_instances", Count;
    /// Members that lost their spot instance for good since the last time.
    InterruptedInstances => "interrupted_instances", Count;
    /// Members whose instance spawn ended since the last time.
    ReapedInstances => "reaped_instances", Count;
    /// What was spent since the last time.
    CostUsd => "cost_usd", Dollars;
    /// What live instances may cost at most.
    CommittedUsd => "committed_usd", Dollars;
    /// Of the live sweep with the largest share of failed members, how many of a hundred.
    MaxFailedPercent => "max_failed_percent", Percent;
    /// What the most expensive live sweep has cost so far.
    MaxSweepCostUsd => "max_sweep_cost_usd", Dollars;
    /// Sweeps that should be launching, and are not.
    StuckSweeps => "stuck_sweeps", Count;
    /// Sweeps that are not over.
    LiveSweeps => "live_sweeps", Count;
    /// Sweeps whose counts are not those of their members: a defect.
    LedgerDisagreements => "ledger_disagreements", Count;
    /// Calls that ask EC2 to launch instances.
    LaunchCalls => "launch_calls", Count;
    /// Launch calls that EC2 throttled.
    LaunchThrottles => "launch_throttles", Count;
    /// Launch calls that EC2 answered with an error code that spawn does not know.
    UnknownErrors => "unknown_errors", Count;
    /// Instances that launch calls gave.
    InstancesLaunched => "instances_launched", Count;
    /// From the start of a sweep's execution to the answer of a launch call.
    LaunchLag => "launch_lag", Milliseconds;
    /// From the launch of an instance to its being seen running.
    TimeToRunning => "time_to_running", Milliseconds;
    /// Members that are planned once more after an end without success.
    Retries => "retries", Count;
    /// Accounts and regions that a reconcile pass could not look at.
    UnreachablePlaces => "unreachable_places", Count;
    /// Pools that were found without capacity.
    PoolsDry => "pools_dry", Count;
    /// Live sweeps whose cost was assessed.
    CostChecks => "cost_checks", Count;
    /// Live sweeps whose cost could not be assessed.
    CostChecksFailed => "cost_checks_failed", Count;
    /// Sweeps that spend faster than was planned, or more than was committed.
    CostAnomalies => "cost_anomalies", Count;
    /// What budgets asked for: to tell, to hold, to drain.
    BudgetDecisions => "budget_decisions", Count;
    /// Changes of records that Route 53 has taken.
    DnsChanges => "dns_changes", Count;
    /// Calls by which it has taken them.
    DnsBatches => "dns_batches", Count;
    /// From a member's instance being seen running to its names being taken.
    DnsLag => "dns_lag", Milliseconds;
    /// Changes that Route 53 refused, and calls that failed.
    DnsFailures => "dns_failures", Count;
    /// Records of members' names that somebody else has made or changed; they are left alone.
    DnsForeignRecords => "dns_foreign_records", Count;
    /// Instances that the reaper looked at.
    ReaperLooks => "reaper_looks", Count;
    /// Instances that the reaper ended or stopped, by reason.
    ReaperEnds => "reaper_ends", Count;
    /// Ends that the reaper held up, because there were too many at once.
    ReaperBreaker => "reaper_breaker", Count;
    /// Instances that EC2 showed unchanged after the reaper ended them.
    ReaperUnchanged => "reaper_unchanged", Count;
}

/// What metrics are told apart by. Values come from bounded sets: each combination is a metric of its own, and paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// An AWS region.
    Region,
    /// `on-demand` or `spot`.
    Market,
    /// Why something was done, from a fixed list.
    Reason,
}

impl Dimension {
    /// The name in CloudWatch.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Region => "Region",
            Self::Market => "Market",
            Self::Reason => "Reason",
        }
    }
}

/// Measurements of one moment that share their dimensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    dimensions: BTreeMap<Dimension, String>,
    values: BTreeMap<Metric, Vec<i64>>,
    properties: BTreeMap<&'static str, String>,
}

impl Measured {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a dimension. The metrics are published with all dimensions, and once more without any.
    #[must_use]
    pub fn by(mut self, dimension: Dimension, value: impl ToString) -> Self {
        self.dimensions.insert(dimension, value.to_string());
        self
    }

    /// With a value of a metric; several of one metric are kept apart.
    #[must_use]
    pub fn with(mut self, metric: Metric, value: i64) -> Self {
        self.values.entry(metric).or_default().push(value);
        self
    }

    /// With a property of the line, for queries of logs: an id is never a dimension.
    #[must_use]
    pub fn property(mut self, name: &'static str, value: impl ToString) -> Self {
        self.properties.insert(name, value.to_string());
        self
    }

    /// The lines of the embedded metric format, at `now` (ms since 1970); none when nothing was measured.
    #[must_use]
    pub fn lines(&self, now: u64) -> Vec<Value> {
        let chunks: Vec<(Metric, &[i64])> = self
            .values
            .iter()
            .flat_map(|(metric, values)| values.chunks(VALUES_MAX).map(|chunk| (*metric, chunk)))
            .collect();
        let mut lines = Vec::new();
        let mut left = chunks.as_slice();
        while !left.is_empty() {
            // A line names a metric once.
            let mut line: BTreeMap<Metric, &[i64]> = BTreeMap::new();
            let mut taken = 0;
            for (metric, values) in left.iter().take(METRICS_MAX) {
                if line.contains_key(metric) {
                    break;
                }
                line.insert(*metric, values);
                taken += 1;
            }
            lines.push(self.line(&line, now));
            left = left.get(taken..).unwrap_or_default();
        }
        lines
    }

    fn line(&self, values: &BTreeMap<Metric, &[i64]>, now: u64) -> Value {
        let names: Vec<&str> = self.dimensions.keys().map(|d| d.name()).collect();
        let mut sets = vec![names];
        if !self.dimensions.is_empty() {
            sets.push(Vec::new());
        }
        let metrics: Vec<Value> = values
            .keys()
            .map(|metric| json!({"Name": metric.name(), "Unit": metric.unit().as_str()}))
            .collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now,
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": sets, "Metrics": metrics}],
            }),
        );
        for (name, value) in &self.properties {
            line.insert((*name).to_owned(), Value::from(value.as_str()));
        }
        for (dimension, value) in &self.dimensions {
            line.insert(dimension.name().to_owned(), Value::from(value.as_str()));
        }
        for (metric, values) in values {
            let unit = metric.unit();
            let mut published: Vec<Value> = values.iter().map(|v| unit.publish(*v)).collect();
            let value = match published.len() {
                1 => published.remove(0),
                _ => Value::from(published),
            };
            line.insert(metric.name().to_owned(), value);
        }
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let lines = Measured::new()
            .by(Dimension::Region, "us-east-1")
            .with(Metric::LaunchCalls, 2)
            .with(Metric::PoolsDry, 1)
            .with(Metric::PoolsDry, 3)
            .property("sweep_id", "a-20260101-abcdef")
            .lines(1_769_000_000_000);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_769_000_000_000_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "spawn",
                    "Dimensions": [["Region"], []],
                    "Metrics": [{"Name": "launch_calls", "Unit": "Count"}, {"Name": "pools_dry", "Unit": "Count"}],
                }],
            },
            "sweep_id": "a-20260101-abcdef",
            "Region": "us-east-1",
            "launch_calls": 2,
            "pools_dry": [1, 3],
        });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn more_values_than_a_line_holds_go_into_further_lines() {
        let mut measured = Measured::new();
        for value in 0..250 {
            measured = measured.with(Metric::LaunchCalls, value);
        }
        let lines = measured.lines(0);
        let told: Vec<i64> = lines
            .iter()
            .flat_map(|line| line["launch_calls"].as_array().unwrap().clone())
            .map(|value| value.as_i64().unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(told, (0..250).collect::<Vec<_>>());
        assert!(Measured::new().lines(0).is_empty());
    }

    #[test]
    fn money_is_published_in_dollars() {
        assert_eq!(Unit::Dollars.publish(1_250_000), json!(1.25));
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
