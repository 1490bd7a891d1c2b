//! Wires launch-batch to AWS.

use launch_batch::{Ports, handle};
use spawn_aws::ec2::Ec2;
use spawn_aws::lambda::{self, Error};
use spawn_aws::ledger::DynamoLedger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |config, sdk| {
        let ports = Ports {
            ledger: &DynamoLedger::new(&sdk, config.table.as_str()),
            ec2: &Ec2::with_member_role(&sdk, config.member_role.clone()),
            home: &config.home(),
        };
        lambda::run(async |input, now, random| Box::pin(handle(input, &ports, now, random)).await)
            .await
    })
    .await
}
