//! Wires launch-batch to AWS.

use launch_batch::{Ports, handle};
use spawn_aws::clock::Wall;
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;
use spawn_aws::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            ec2: &Ec2::with_member_role(&sdk, config.member_role.clone()),
            clock: &Wall,
            home: &config.home(),
            limits: config.launch_limits,
            publish: &telemetry::publish,
        };
        lambda::run(async |input, _, random| Box::pin(handle(input, &ports, random)).await).await
    })
    .await
}
