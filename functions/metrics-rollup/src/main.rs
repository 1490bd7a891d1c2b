//! Wires metrics-rollup to AWS.

use metrics_rollup::{Ports, count, note, publish};
use serde_json::Value;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::metrics::CloudWatch;
use spawn_aws::{stream, telemetry};
use spawn_core::errors::FunctionError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            metrics: &CloudWatch::new(&sdk),
        };
        lambda::run(async |event: Value, now, _| Box::pin(serve(event, &ports, now)).await).await
    })
    .await
}

/// An event of the stream, `{"publish": {}}` every minute, or `{"count": {}}` every hour.
async fn serve(
    event: Value,
    ports: &Ports<'_, DynamoLedger, CloudWatch>,
    now: u64,
) -> Result<Value, FunctionError> {
    let answer = if event.get("Records").is_some() {
        serde_json::to_value(note(&stream::changes(event)?, ports.ledger).await)
    } else {
        let output = if event.get("count").is_some() {
            count(ports, now).await?
        } else if event.get("publish").is_some() {
            publish(ports, now).await?
        } else {
            return Err(FunctionError::Bug(
                "the input is no event of the stream, and asks neither to publish nor to count"
                    .to_owned(),
            ));
        };
        telemetry::publish(&output.measured, now);
        tracing::info!(
            sweeps = output.sweeps,
            sent = output.sent,
            disagreements = output.disagreements,
            note = output.note,
            "pass done"
        );
        serde_json::to_value(output)
    };
    answer.map_err(|error| FunctionError::Bug(error.to_string()))
}
