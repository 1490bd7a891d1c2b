//! Wires describe-sweeps to AWS.

use describe_sweeps::answer;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;

/// The function's name in the template.
const NAME: &str = "spawn-describe-sweeps";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ledger = DynamoLedger::new(&sdk, config.table.as_str());
        let (region, account) = (config.home_region, config.account);
        let partition = region.partition();
        let function = format!("arn:{partition}:lambda:{region}:{account}:function:{NAME}");
        lambda::run(async |event, now, _| Box::pin(answer(event, &ledger, &function, now)).await)
            .await
    })
    .await
}
