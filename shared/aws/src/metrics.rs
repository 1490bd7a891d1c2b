//! Metrics that are sent to CloudWatch.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, Statistic};
use spawn_core::metrics::{NAMESPACE, Unit};
use spawn_core::ports::{PublishMetrics, ServiceError};
use spawn_core::rollup::{Datum, Scope};

use crate::sdk::{self, Failure};

/// A thousand numbers, compressed, take a second at most.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The period of a number.
const MINUTE_S: i32 = 60;

/// CloudWatch's metrics.
#[derive(Debug)]
pub struct CloudWatch {
    /// Sends, and never a second time by itself: what is sent twice counts twice.
    sender: Client,
    reader: Client,
}

impl CloudWatch {
    /// A client of these settings.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        let once = aws_sdk_cloudwatch::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(sdk::timeouts(SEND_TIMEOUT, SEND_TIMEOUT))
            .build();
        Self {
            sender: Client::from_conf(once),
            reader: Client::new(sdk),
        }
    }
}

impl PublishMetrics for CloudWatch {
    async fn send(&self, data: &[Datum]) -> Result<(), ServiceError> {
        self.sender
            .put_metric_data()
            .namespace(NAMESPACE)
            .set_metric_data(Some(data.iter().map(datum).collect()))
            .send()
            .await
            .map_err(|error| Failure::of(&error).of_service("CloudWatch"))?;
        Ok(())
    }

    async fn has(&self, datum: &Datum) -> Result<bool, ServiceError> {
        let start = DateTime::from_secs(seconds(datum));
        let answer = self
            .reader
            .get_metric_statistics()
            .namespace(NAMESPACE)
            .metric_name(datum.metric.name())
            .set_dimensions(Some(dimensions(&datum.scope)))
            .start_time(start)
            .end_time(DateTime::from_secs(seconds(datum) + i64::from(MINUTE_S)))
            .period(MINUTE_S)
            .statistics(Statistic::SampleCount)
            .send()
            .await
            .map_err(|error| Failure::of(&error).of_service("CloudWatch"))?;
        Ok(!answer.datapoints().is_empty())
    }
}

fn seconds(datum: &Datum) -> i64 {
    i64::try_from(datum.at / 1000).unwrap_or(i64::MAX)
}

fn datum(datum: &Datum) -> MetricDatum {
    let unit = match datum.metric.unit() {
        Unit::Count => StandardUnit::Count,
        Unit::Milliseconds => StandardUnit::Milliseconds,
        Unit::Percent => StandardUnit::Percent,
        Unit::Dollars => StandardUnit::None,
    };
    MetricDatum::builder()
        .metric_name(datum.metric.name())
        .set_dimensions(Some(dimensions(&datum.scope)))
        .timestamp(DateTime::from_secs(seconds(datum)))
        .set_value(datum.metric.unit().publish(datum.value).as_f64())
        .unit(unit)
        .build()
}

fn dimensions(scope: &Scope) -> Vec<Dimension> {
    let one = |name: &str, value: &str| vec![Dimension::builder().name(name).value(value).build()];
    match scope {
        Scope::Fleet => Vec::new(),
        Scope::Region(region) => one("Region", region.as_str()),
        Scope::Sweep(sweep) => one("SweepID", sweep.as_str()),
    }
}
