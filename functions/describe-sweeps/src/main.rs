//! Wires describe-sweeps to AWS.

use describe_sweeps::handle;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ledger = DynamoLedger::new(&sdk, config.table.as_str());
        lambda::run(async |input, now, _| Box::pin(handle(input, &ledger, now)).await).await
    })
    .await
}
