//! Wires cost-guard to AWS.

use cost_guard::{Ports, handle};
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::prices::Prices;
use spawn_aws::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            prices: &Prices::new(&sdk),
            price_age_ms_max: config.price_age_ms_max,
        };
        lambda::run(async |input, now, _| {
            let (answer, measured) = Box::pin(handle(input, &ports, now)).await?;
            telemetry::publish(&measured, now);
            Ok(answer)
        })
        .await
    })
    .await
}
