//! What CloudWatch holds of instances: EC2's own metrics, at the period of basic monitoring.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, StatusCode,
};
use spawn_core::ports::{Ec2Error, ReadUsage};
use spawn_core::reap::Point;
use spawn_core::reap::idle::PERIOD_MS;
use spawn_core::region::Region;

use super::{Ec2, errors};
use crate::sdk::Failure;

/// Queries of one call (Amazon CloudWatch API Reference, `GetMetricData`: at most 500).
const QUERIES_MAX: usize = 500;

/// What is asked of each instance: metric and statistic (Amazon EC2 User Guide, "CloudWatch metrics that are available for
/// your instances"). The two statistics of a metric are billed as one.
const QUERIES: [(&str, &str); 6] = [
    ("CPUUtilization", "Average"),
    ("CPUUtilization", "Maximum"),
    ("NetworkIn", "Sum"),
    ("NetworkOut", "Sum"),
    ("EBSReadBytes", "Sum"),
    ("EBSWriteBytes", "Sum"),
];

impl ReadUsage for Ec2 {
    async fn usage(
        &self,
        region: &Region,
        instance_ids: &[String],
        from: u64,
        to: u64,
    ) -> Result<BTreeMap<String, Vec<Point>>, Ec2Error> {
        let client = self.cloudwatch(*region);
        let mut usage = BTreeMap::new();
        for ids in instance_ids.chunks(QUERIES_MAX / QUERIES.len()) {
            usage.extend(of_chunk(&client, ids, from, to).await?);
        }
        Ok(usage)
    }
}

async fn of_chunk(
    client: &Client,
    ids: &[String],
    from: u64,
    to: u64,
) -> Result<BTreeMap<String, Vec<Point>>, Ec2Error> {
    let queries = ids
        .iter()
        .enumerate()
        .flat_map(|(number, id)| (0..QUERIES.len()).map(move |query| (number, id, query)))
        .map(|(number, id, query)| question(number, id, query))
        .collect();
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(time(from))
        .end_time(time(to))
        .into_paginator()
        .send();
    let mut series: BTreeMap<(usize, u64), [Option<u64>; 6]> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| errors::of_failure(Failure::of(&error)))?;
        for result in page.metric_data_results() {
            take(result, &mut series)?;
        }
    }
    let mut usage: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for ((number, at), values) in series {
        if let Some(id) = ids.get(number) {
            usage.entry(id.clone()).or_default().push(point(at, values));
        }
    }
    Ok(usage)
}

fn time(ms: u64) -> DateTime {
    DateTime::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn question(number: usize, instance_id: &str, query: usize) -> MetricDataQuery {
    let (name, statistic) = QUERIES.get(query).copied().unwrap_or(QUERIES[0]);
    let dimension = Dimension::builder().name("InstanceId").value(instance_id);
    let metric = Metric::builder()
        .namespace("AWS/EC2")
        .metric_name(name)
        .dimensions(dimension.build());
    let stat = MetricStat::builder()
        .metric(metric.build())
        .period(i32::try_from(PERIOD_MS / 1000).unwrap_or(300))
        .stat(statistic);
    MetricDataQuery::builder()
        .id(format!("q{query}_{number}"))
        .metric_stat(stat.build())
        .build()
}

/// Puts the values of one answer where they belong: by instance and time, each in the place of its query.
fn take(
    result: &MetricDataResult,
    series: &mut BTreeMap<(usize, u64), [Option<u64>; 6]>,
) -> Result<(), Ec2Error> {
    if matches!(
        result.status_code(),
        Some(StatusCode::InternalError | StatusCode::Forbidden)
    ) {
        let text = "CloudWatch answered only a part of the questions".to_owned();
        return Err(Ec2Error::Transient(text));
    }
    let parsed = result
        .id()
        .and_then(|id| id.strip_prefix('q'))
        .and_then(|id| id.split_once('_'))
        .and_then(|(query, number)| Some((query.parse().ok()?, number.parse().ok()?)));
    let Some((query, number)) = parsed else {
        return Ok(());
    };
    let query: usize = query;
    for (at, value) in result.timestamps().iter().zip(result.values()) {
        let at = at.to_millis().ok().and_then(|ms| u64::try_from(ms).ok());
        let values = series.entry((number, at.unwrap_or(0))).or_default();
        if let Some(place) = values.get_mut(query) {
            // CPU in thousandths of a percent, sums in bytes.
            let scale = if query < 2 { 1000.0 } else { 1.0 };
            *place = Some(whole(*value * scale));
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "metrics of EC2 are not negative, and what is too large stays large"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

fn point(at: u64, values: [Option<u64>; 6]) -> Point {
    let [
        average,
        maximum,
        network_in,
        network_out,
        disk_read,
        disk_written,
    ] = values;
    let per_s = |one: Option<u64>, other: Option<u64>| Some((one? + other?) / (PERIOD_MS / 1000));
    Point {
        at,
        cpu_average_millipercent: average,
        cpu_maximum_millipercent: maximum,
        network_bytes_per_s: per_s(network_in, network_out),
        disk_bytes_per_s: per_s(disk_read, disk_written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_to_their_instance_time_and_signal() {
        let mut series = BTreeMap::new();
        for (id, value) in [
            ("q0_7", 1.5),
            ("q1_7", 2.0),
            ("q2_7", 300.0),
            ("q3_7", 600.0),
        ] {
            let result = MetricDataResult::builder()
                .id(id)
                .timestamps(DateTime::from_secs(600))
                .values(value)
                .build();
            take(&result, &mut series).unwrap();
        }
        let points: Vec<Point> = series
            .iter()
            .map(|((_, at), values)| point(*at, *values))
            .collect();
        let expected = Point {
            at: 600_000,
            cpu_average_millipercent: Some(1_500),
            cpu_maximum_millipercent: Some(2_000),
            network_bytes_per_s: Some(3),
            // One of two is missing: nothing is known of the disk.
            disk_bytes_per_s: None,
        };
        assert_eq!(points, [expected]);
        assert_eq!(series.keys().next(), Some(&(7, 600_000)));
    }

    #[test]
    fn a_part_of_an_answer_is_no_answer() {
        let result = MetricDataResult::builder()
            .id("q0_0")
            .status_code(StatusCode::InternalError)
            .build();
        assert!(take(&result, &mut BTreeMap::new()).is_err());
    }
}
