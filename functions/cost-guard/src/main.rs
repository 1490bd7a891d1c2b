//! Wires cost-guard to AWS.

use cost_guard::{Ports, handle};
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::prices::Prices;
use spawn_aws::s3::Buckets;
use spawn_aws::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            ec2: &Ec2::new(&sdk),
            objects: &Buckets::new(&sdk),
            prices: &Prices::new(&sdk),
            price_book: config.price_book.as_deref(),
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
